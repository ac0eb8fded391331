"""What there is to say about a line of a file, for a log, for a terminal and for a program."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

log = logging.getLogger("pypptp")


class Level(IntEnum):
    """How much a finding matters; the numbers are those of ``logging``."""

    INFO = logging.INFO
    """Has no effect, and needs none."""
    WARNING = logging.WARNING
    """Something is not as the file asks for, or is allowed but unwise."""
    ERROR = logging.ERROR
    """The server does not start with this, or somebody cannot log in."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found.

    Attributes:
        source: the file's name, or what else was looked at; "" where the message says it.
        line: its line, from 1; 0 where it belongs to none.
        level: how much it matters.
        message: a sentence, with the cure in it where there is one. Never holds a secret.
    """

    source: str
    line: int
    level: Level
    message: str

    @property
    def sentence(self) -> str:
        """What is said, behind where."""
        return f"{self.where}: {self.message}" if self.where else self.message

    @property
    def where(self) -> str:
        """``file:line``, or the file alone."""
        return f"{self.source}:{self.line}" if self.line else self.source

    def __str__(self) -> str:
        said = f"{self.level.name.lower()}: {self.message}"
        return f"{self.where}: {said}" if self.where else said


def log_findings(findings: Iterable[Finding]) -> None:
    """Write each as a line of the log."""
    for finding in findings:
        log.log(finding.level, "%s", finding.sentence)
