"""How the log looks where the journal reads it: a priority in front of each line, and no time of its own."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from typing import Final, TextIO

_PRIORITIES: Final = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
"""From this level on, this priority of syslog (sd-daemon(3)): error, warning, informational."""

_DEBUG: Final = 7


def priority(level: int) -> int:
    """Return the syslog priority of a level.

    >>> priority(logging.CRITICAL), priority(logging.WARNING), priority(logging.INFO), priority(logging.DEBUG)
    (3, 4, 6, 7)
    """
    return next((number for least, number in _PRIORITIES if level >= least), _DEBUG)


def read_by_journal(stream: TextIO | None, environment: Mapping[str, str]) -> bool:
    """Say whether the journal is at the other end: ``JOURNAL_STREAM`` names its device and inode.

    The variable alone says nothing: a terminal started in a service inherits it.
    """
    if stream is None or "JOURNAL_STREAM" not in environment:
        return False
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environment["JOURNAL_STREAM"] == f"{found.st_dev}:{found.st_ino}"


class JournalFormatter(logging.Formatter):
    """Writes the priority before each line of a message: the journal takes each for itself."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record."""
        before = f"<{priority(record.levelno)}>"
        return "\n".join(before + line for line in super().format(record).split("\n"))


def formatter() -> logging.Formatter:
    """Return the one for standard error as it is now."""
    if read_by_journal(sys.stderr, os.environ):
        return JournalFormatter("%(message)s")
    return logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", datefmt="%H:%M:%S")
