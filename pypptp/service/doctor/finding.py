"""What the doctor says: one sentence, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Mark(StrEnum):
    """How a check went."""

    GOOD = "good"
    """As it should be."""
    NOTE = "note"
    """Worth knowing, or not to be told from here."""
    WRONG = "wrong"
    """A tunnel does not work, or not well, with this."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check.

    Attributes:
        check: the check's name, for programs: it stays as it is.
        mark: how it went.
        sentence: what was found.
        cure: what to do about it; empty where there is nothing to do.
    """

    check: str
    mark: Mark
    sentence: str
    cure: str = ""


def good(check: str, sentence: str) -> Finding:
    """Make a finding of what is as it should be."""
    return Finding(check, Mark.GOOD, sentence)


def note(check: str, sentence: str, cure: str = "") -> Finding:
    """Make a finding of what is worth knowing, or not to be told."""
    return Finding(check, Mark.NOTE, sentence, cure)


def wrong(check: str, sentence: str, cure: str) -> Finding:
    """Make a finding of what is in a tunnel's way."""
    return Finding(check, Mark.WRONG, sentence, cure)
