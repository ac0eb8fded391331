"""pppd's option files: which words stand in them, with their values, through ``file`` and ``call``.

pppd takes a file as a row of words (pypptp.auth.words), lines mean nothing to it: a word of its tables takes as many
words behind it as belong to it (``options_from_file`` in its options.c). It also takes ``local:remote`` addresses, a
serial device and a speed by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pypptp.auth.words import Word, split_words
from pypptp.errors import ConfigurationError
from pypptp.service.findings import Finding, Level
from pypptp.service.kinds import did_you_mean, shown
from pypptp.service.meanings import MOST_UNKNOWN, Meaning
from pypptp.service.pppd_words import ALIASES, PPPD_WORDS

ADDRESSES = "local:remote"
"""Stands for the word that gives both addresses."""

DEEPEST = 10
"""Files within files; one that names itself would have no end."""

MOST_WORDS = 10_000
"""Words in all files; two files that name each other many times would have no end in sight."""

ReadFile = Callable[[Path], bytes]
"""Returns a file's content. Raises ConfigurationError where it cannot."""


@dataclass(frozen=True, slots=True)
class Given:
    """A word of the tables that a file gives.

    Attributes:
        word: its first name, or ``ADDRESSES``.
        written: as the file has it.
        value: what stands behind it, "" where nothing belongs there. May be a password, so ``repr`` leaves it out.
        source: the file.
        line: where it stands, from 1.
    """

    word: str
    written: str
    value: str
    source: str
    line: int

    def __repr__(self) -> str:
        return f"Given({self.word!r}, {self.source}:{self.line})"

    @property
    def where(self) -> str:
        """``file:line``."""
        return f"{self.source}:{self.line}"


def parse_options(
    data: bytes,
    source: str,
    *,
    read_file: ReadFile,
    peers: Path = Path("/etc/ppp/peers"),
    table: Mapping[str, Meaning] = PPPD_WORDS,
) -> tuple[list[Given], list[Finding]]:
    """Read the content of an option file and of those it names.

    Args:
        data: the file, whole.
        source: its name.
        read_file: reads the file of a ``file`` or ``call`` word.
        peers: where ``call`` looks.
        table: the words there are.

    Returns:
        Every word in order, those without effect too, and what there is to say of words nobody knows.

    Raises:
        ConfigurationError: quotes that do not end, a word without the one that belongs to it, a file that cannot be
            read, files within files without end, or hardly a word that is pppd's.
    """
    reader = _Reader(read_file, peers, table)
    reader.read(data, source, 0)
    return reader.given, reader.findings


class _Reader:
    def __init__(self, read_file: ReadFile, peers: Path, table: Mapping[str, Meaning]) -> None:
        self.given: list[Given] = []
        self.findings: list[Finding] = []
        self._read_file = read_file
        self._peers = peers
        self._table = table
        self._unknown = 0

    def read(self, data: bytes, source: str, depth: int) -> None:
        words = split_words(data, source)
        skipping = False
        for word in words:
            skipping = skipping and not word.starts_line
            if skipping:
                continue
            name = word.text
            meaning = self._table.get(ALIASES.get(name, name))
            if meaning is None:
                skipping = not self._read_unknown(word, source)
                continue
            value = self._argument(words, name, f"{source}:{word.line}") if meaning.arguments else ""
            given = Given(ALIASES.get(name, name), name, value, source, word.line)
            self._add(given)
            if given.word in ("file", "call"):
                self._include(given, depth)

    def _argument(self, words: Iterator[Word], name: str, where: str) -> str:
        word = next(words, None)
        if word is None:
            raise ConfigurationError(f"{where}: '{name}' has no value behind it")
        return word.text

    def _add(self, given: Given) -> None:
        self.given.append(given)
        if len(self.given) > MOST_WORDS:
            raise ConfigurationError(f"{given.where}: more than {MOST_WORDS} words, files that name each other?")

    def _include(self, given: Given, depth: int) -> None:
        if depth >= DEEPEST:
            raise ConfigurationError(f"{given.where}: more than {DEEPEST} files within files")
        path = Path(given.value)
        if given.word == "call":
            if given.value.startswith("/") or ".." in path.parts:
                raise ConfigurationError(f"{given.where}: {shown(given.value)} is not the name of a file in peers/")
            path = self._peers / path
        try:
            data = self._read_file(path)
        except ConfigurationError as error:
            raise ConfigurationError(f"{given.where}: {error}") from None
        self.read(data, str(path), depth + 1)

    def _read_unknown(self, word: Word, source: str) -> bool:
        """Take a word that is in no table; say False where the rest of the line is anybody's guess."""
        name = word.text
        if _looks_like_addresses(name):
            self._add(Given(ADDRESSES, name, name, source, word.line))
            return True
        if name.isascii() and (name.isdigit() or name.startswith(("/dev/", "tty"))):
            message = f"{shown(name)} has no effect, which does not matter: there is no serial line"
            self.findings.append(Finding(source, word.line, Level.INFO, message))
            return True
        self._unknown += 1
        if self._unknown > MOST_UNKNOWN:
            where = f"{source}:{word.line}"
            raise ConfigurationError(f"{where}: {self._unknown} words that are not pppd's: this is another file")
        # Where a quote was forgotten this may be a password's second half: the word is shown only if it looks like one.
        said = shown(name) if re.fullmatch(r"[-+]?[a-z][-a-z0-9]{1,30}", name, re.ASCII) else "this"
        near = did_you_mean(name, tuple(self._table))
        message = f"{said} is no word of pppd's, the rest of the line is left out{near}"
        self.findings.append(Finding(source, word.line, Level.WARNING, message))
        return False


def _looks_like_addresses(word: str) -> bool:
    local, colon, remote = word.partition(":")
    return bool(colon) and all(re.fullmatch(r"[0-9.]*", end, re.ASCII) for end in (local, remote))


def read_number(text: str) -> int:
    """Read a number as pppd does: decimal, ``0x`` and hexadecimal, or ``0`` and octal. Raises ValueError."""
    if re.fullmatch(r"[+-]?(0[xX][0-9a-fA-F]{1,8}|0[0-7]{0,11}|[1-9][0-9]{0,9})", text, re.ASCII) is None:
        raise ValueError(f"{shown(text)} is not a whole number")
    negative, digits = text.startswith("-"), text.lstrip("+-")
    base = 16 if digits[:2] in ("0x", "0X") else 8 if digits[0] == "0" else 10
    value = int(digits, base)
    return -value if negative else value
