"""What a check says in the end, and how it says so."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """The outcome of one check."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    NONSTRICT = "NONSTRICT"
    """Not as it should be, but allowed or only a SHOULD; with ``--strict`` it is a FAIL."""
    FAIL = "FAIL"
    SKIP = "SKIP"
    """Could not be told, and why."""
    INFO = "INFO"
    """Nothing to judge, something to report."""


class Finding(Exception):
    """Ends a check with another verdict than PASS; the text is what was seen.

    A check that returns passes; the text it returns is what was seen.
    """

    verdict = Verdict.FAIL


class Failed(Finding):
    """The target did what it must not, or not what it must. In a SHOULD check that makes NONSTRICT."""


class NotStrict(Finding):
    """The target did what the standard allows but does not want."""

    verdict = Verdict.NONSTRICT


class Skipped(Finding):
    """It cannot be told from here; the text says why."""

    verdict = Verdict.SKIP


class Informed(Finding):
    """There is nothing to judge."""

    verdict = Verdict.INFO


class Unreached(Failed):
    """The target did not come to the state the check begins in."""


def require(condition: object, seen: str) -> None:
    """Fail with what was seen unless the condition holds.

    Raises:
        Failed: it does not.
    """
    if not condition:
        raise Failed(seen)
