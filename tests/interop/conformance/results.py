"""What was found out about each target: one file each, which the page is made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pypptp.roles import Role
from pypptp.testing.spec import Verdict

FOLDER = Path(__file__).with_name("results")
SHOWN_LINES = 14


@dataclass(frozen=True, slots=True)
class Subject:
    """A target: what it is called, in files, in text and at the head of its column, and on which side it is."""

    name: str
    title: str
    role: Role
    real: bool


SUBJECTS = (
    Subject("pypptp-server", "pypptp server", Role.SERVER, real=False),
    Subject("pypptp-client", "pypptp client", Role.CLIENT, real=False),
    Subject("pptpd", "pptpd + pppd", Role.SERVER, real=True),
    Subject("pptp-linux", "pptp-linux + pppd", Role.CLIENT, real=True),
)


@dataclass(frozen=True, slots=True)
class Found:
    """How one check went.

    Attributes:
        id: which.
        verdict: how it went; where it was run twice, the second time, alone against a target just started.
        actual: what the target did.
        seconds: how long it took.
        transcript: what passed before the verdict, where that is FAIL or NONSTRICT.
        together: what came of it beside other checks, where that was another verdict.
    """

    id: str
    verdict: Verdict
    actual: str
    seconds: float
    transcript: list[str] = field(default_factory=list)
    together: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """One target's run.

    Attributes:
        program: names and versions.
        target: how it was started, as far as it matters.
        command: how the checks were.
        date: when.
        seconds: how long it all took.
        sanity: the verdicts of the first and the last conversation of the whole run.
        results: of every check.
    """

    program: str
    target: str
    command: str
    date: str
    seconds: float
    sanity: list[str]
    results: list[Found]

    @classmethod
    def fresh(cls, program: str, target: str, command: str) -> Record:
        """A record of today, without results."""
        return cls(program, target, command, f"{datetime.now(UTC):%Y-%m-%d}", 0.0, [], [])

    def by_id(self) -> dict[str, Found]:
        """The results by the checks' ids."""
        return {found.id: found for found in self.results}

    def write(self, name: str) -> None:
        """Keep it."""
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{name}.json").write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")


def read(name: str) -> Record:
    """A target's record."""
    kept = json.loads((FOLDER / f"{name}.json").read_text())
    results = [Found(**{**one, "verdict": Verdict(one["verdict"])}) for one in kept.pop("results")]
    return Record(**kept, results=results)


def read_all() -> Mapping[Subject, Record]:
    """Every target's record."""
    return {subject: read(subject.name) for subject in SUBJECTS}
