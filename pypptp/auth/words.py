r"""Words as pppd reads them from its files: chap-secrets, pap-secrets and option files share this grammar.

Words are set apart by white space; ``#`` outside quotes starts a comment, inside a word too. ``"`` and ``'`` quote,
anywhere in a word and across line ends. A backslash escapes, inside quotes as well: ``\a \b \f \n \r \t`` as in
C, ``\s`` a space, ``\ooo`` up to three octal digits, ``\xhh`` up to two hex digits, backslash and line end
together are nothing, any other character stands for itself.

The grammar is that of ``getword`` in pppd's options.c; pppd has no other description of it than pppd(8) "OPTIONS
FILES".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pypptp.errors import ConfigurationError

MAXIMUM_WORD = 1023
"""Octets in a word: pppd's MAXWORDLEN without the final NUL. pppd cuts longer words; here they are an error."""

_NEWLINE, _BACKSLASH, _HASH, _QUOTES = ord("\n"), ord("\\"), ord("#"), b"\"'"
_WHITE_SPACE = b" \t\n\v\f\r"
_OCTAL, _HEXADECIMAL = b"01234567", b"0123456789abcdefABCDEF"
_ESCAPES = {
    ord("a"): 0x07,
    ord("b"): 0x08,
    ord("f"): 0x0C,
    ord("n"): 0x0A,
    ord("r"): 0x0D,
    ord("s"): 0x20,
    ord("t"): 0x09,
}


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a file.

    Attributes:
        value: its octets, quotes and escapes resolved.
        line: the line it begins on, from 1.
        starts_line: it is the first of its (logical) line.
        lines: how many line ends its quotes take in; more than 0 is mostly a forgotten quote.
        start: the octet of the file it begins at, quotes included.
        end: the octet behind it.
    """

    value: bytes
    line: int
    starts_line: bool
    lines: int = 0
    start: int = 0
    end: int = 0

    def __repr__(self) -> str:
        # A word may be a secret.
        return f"Word({len(self.value)} octets, line {self.line})"

    @property
    def text(self) -> str:
        """The word as text: UTF-8 where it is that, else Latin-1, which is how pppd widens octets for the NT hash."""
        try:
            return self.value.decode("utf-8")
        except UnicodeDecodeError:
            return self.value.decode("latin-1")


def split_words(data: bytes, source: str) -> Iterator[Word]:
    """Yield the words of a file's content.

    Args:
        data: the file, whole. A UTF-8 byte order mark before it is dropped.
        source: the file's name, for errors.

    Raises:
        ConfigurationError: a quote that is never closed, a NUL, or a word too long; names ``source:line``.
    """
    position, line, starts_line = (3 if data.startswith(b"\xef\xbb\xbf") else 0), 1, True
    while True:
        position, skipped, line_end_seen = _skip_blank(data, position)
        line += skipped
        starts_line = starts_line or line_end_seen
        if position >= len(data):
            return
        value, end = _read_word(data, position, f"{source}:{line}")
        line_ends = data.count(b"\n", position, end)
        quoted_line_ends = line_ends - data.count(b"\\\n", position, end)
        yield Word(value, line, starts_line, max(quoted_line_ends, 0), position, end)
        line += line_ends
        position, starts_line = end, False


def _skip_blank(data: bytes, position: int) -> tuple[int, int, bool]:
    """Pass what is between words; return the new position, the line ends passed, and whether one ended a line."""
    skipped, line_end_seen = 0, False
    while position < len(data):
        octet = data[position]
        if octet == _NEWLINE:
            skipped += 1
            line_end_seen = True
        elif octet == _HASH:
            end = data.find(b"\n", position)
            position = len(data) if end < 0 else end
            continue
        elif octet == _BACKSLASH:
            if data[position + 1 : position + 2] != b"\n":
                # A backslash that ends the file is no word.
                return (position if position + 1 < len(data) else len(data)), skipped, line_end_seen
            skipped += 1
            position += 1
        elif octet not in _WHITE_SPACE:
            break
        position += 1
    return position, skipped, line_end_seen


def _read_word(data: bytes, position: int, where: str) -> tuple[bytes, int]:
    """Read the word at ``position``; return it and the position behind it."""
    word = bytearray()
    quote = 0
    while position < len(data):
        octet = data[position]
        if octet == _BACKSLASH:
            position = _read_escape(data, position + 1, word)
            continue
        if quote:
            if octet == quote:
                quote = 0
            else:
                word.append(octet)
        elif octet in _QUOTES:
            quote = octet
        elif octet in _WHITE_SPACE or octet == _HASH:
            break
        else:
            word.append(octet)
        position += 1
    if quote:
        raise ConfigurationError(f"{where}: a quote ({chr(quote)}) is opened here and never closed")
    if len(word) > MAXIMUM_WORD:
        raise ConfigurationError(f"{where}: a word is longer than {MAXIMUM_WORD} octets")
    if 0 in word:
        raise ConfigurationError(f"{where}: a word holds a NUL octet")
    return bytes(word), position


def _read_escape(data: bytes, position: int, word: bytearray) -> int:
    """Append what the escape sequence behind a backslash stands for; return the position behind it."""
    octet = data[position] if position < len(data) else None
    if octet is None or octet == _NEWLINE:
        return position + 1
    if octet in _OCTAL:
        end = _end_of_digits(data, position, _OCTAL, 3)
        word.append(int(data[position:end], 8) & 0xFF)
        return end
    if octet == ord("x"):
        end = _end_of_digits(data, position + 1, _HEXADECIMAL, 2)
        word.append(int(data[position + 1 : end] or b"0", 16))
        return end
    word.append(_ESCAPES.get(octet, octet))
    return position + 1


def _end_of_digits(data: bytes, start: int, digits: bytes, most: int) -> int:
    end = start
    while end < min(start + most, len(data)) and data[end] in digits:
        end += 1
    return end


def quote_word(value: str) -> str:
    """Write ``value`` so that ``split_words`` (and pppd) reads it back as one word.

    Raises:
        ConfigurationError: it holds a NUL or is too long.
    """
    octets = value.encode("utf-8", "surrogateescape")
    if 0 in octets or len(octets) > MAXIMUM_WORD:
        raise ConfigurationError(f"a word of a secrets file holds no NUL and at most {MAXIMUM_WORD} octets")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    plain = value and not any(character in "\"'#\\" or character in " \t\n\v\f\r" for character in value)
    return value if plain else f'"{escaped}"'
