"""The Message field of MS-CHAP's Success and Failure: words with a meaning (RFC 2433, RFC 2759 sections 5, 6).

The standard writes ``E=691 R=1 C=... V=3 M=...`` in that order. Real servers leave fields out, order them anew, send
V=0, or, like pppd for a user it does not know, nothing at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

WRONG_CREDENTIALS = 691
NO_DIALIN_PERMISSION = 649

ERROR_TEXTS = {
    646: "the account may not log on at this hour",
    647: "the account is disabled",
    648: "the password has expired",
    649: "the account has no permission to dial in",
    691: "wrong user name or password",
    709: "the password could not be changed",
}
"""What the error codes of RFC 2759 section 6 mean."""

TEXT_LIMIT = 256
"""Characters of a peer's own words that are kept."""

_FIELD = re.compile(rb"(?:^|(?<=\s))(?:(?P<key>[ERCVS])=(?P<value>[0-9A-Fa-f]+)(?=\s|$|M=)|(?P<text>M=))", re.ASCII)


@dataclass(frozen=True, slots=True)
class MschapMessage:
    """A Message field, read.

    Attributes:
        error: the code behind E=, or None.
        retry: whether R=1 allows another try.
        challenge: the octets behind C=, or None.
        version: the number behind V=, or None.
        proof: the 20 octets behind S=, or None.
        text: the words behind M=; where no field was found at all, the whole message.
    """

    error: int | None = None
    retry: bool = False
    challenge: bytes | None = None
    version: int | None = None
    proof: bytes | None = None
    text: str = ""


def parse_message(message: bytes) -> MschapMessage:
    """Read a Message field, whatever order its fields are in and whichever are missing. It never raises."""
    # M= holds words, so it ends where the next field begins. Of a field sent twice the first counts.
    found: dict[str, bytes] = {}
    words: bytes | None = None
    fields = list(_FIELD.finditer(message))
    # "S=<40 digits>M=..." without a space is seen too: the lookahead above lets the digits end there.
    for position, field in enumerate(fields):
        if field["text"] is None:
            found.setdefault(field["key"].decode(), field["value"])
        elif words is None:
            end = fields[position + 1].start() if position + 1 < len(fields) else len(message)
            words = message[field.end() : end]
    if words is None:
        words = _glued_words(message) if found else message
    return MschapMessage(
        error=_number(found.get("E")),
        retry=found.get("R") == b"1",
        challenge=_octets(found.get("C")),
        version=_number(found.get("V")),
        proof=_octets(found.get("S"), 20),
        text=printable_text(words.strip()),
    )


def _glued_words(message: bytes) -> bytes:
    return message.partition(b"M=")[2]


def _number(digits: bytes | None) -> int | None:
    return int(digits) if digits is not None and digits.isdigit() and len(digits) <= 10 else None


def _octets(digits: bytes | None, length: int | None = None) -> bytes | None:
    if digits is None or len(digits) % 2 or (length is not None and len(digits) != 2 * length):
        return None
    return bytes.fromhex(digits.decode("ascii"))


def build_failure(error: int, challenge: bytes, *, retry: bool, version: int, text: str) -> bytes:
    """Return the Message of a Failure, its challenge in upper-case hexadecimal digits."""
    return f"E={error} R={int(retry)} C={challenge.hex().upper()} V={version} M={text}".encode()


def text_of(octets: bytes) -> str:
    """Return a name or a message as text: UTF-8, or else Latin-1, which an old Windows' code page mostly agrees with.

    RFC 1994 and RFC 2759 fix no character set. Whatever is hashed is hashed as it stood on the wire.
    """
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def printable_text(octets: bytes) -> str:
    """Return a peer's words fit for one line of a log: control characters escaped, cut to ``TEXT_LIMIT``."""
    text = text_of(octets[: 4 * TEXT_LIMIT])
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text[:TEXT_LIMIT])
    return shown[:TEXT_LIMIT]


def explain(message: MschapMessage) -> str:
    """Return why a login failed in one line: the peer's own words where it has any, then the code and what it means."""
    meaning = ERROR_TEXTS.get(message.error) if message.error is not None else None
    code = f"E={message.error}" + (f", {meaning}" if meaning else "") if message.error is not None else ""
    if message.text:
        return f"{message.text} ({code})" if code else message.text
    return code or "the server gave no reason"
