"""What a load measured, in the words of the tools people know: h2load and perfdhcp."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from math import ceil
from statistics import fmean, median, pstdev
from typing import Any

SCHEMA = 1
_MILLISECONDS = 1000.0


class Phase(StrEnum):
    """A part of a session's life that is timed."""

    TCP = "tcp"
    """Until TCP is connected."""
    CONTROL = "control"
    """From there to the Start-Control-Connection-Reply."""
    CALL = "call"
    """From there to the Outgoing-Call-Reply."""
    LOGIN = "login"
    """From there to the end of the authentication, LCP included."""
    NETWORK = "network"
    """From there until packets can pass: CCP and IPCP."""
    SETUP = "setup"
    """All of them together."""
    RELEASE = "release"
    """From our Terminate-Request to the end of the control connection."""
    PING = "ping"
    """From an ICMP Echo to its reply, through the tunnel."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How a number of times lie, in seconds."""

    count: int
    minimum: float
    maximum: float
    median: float
    p95: float
    p99: float
    mean: float
    deviation: float

    @classmethod
    def of(cls, times: list[float]) -> Spread | None:
        """Return the spread of some times, None of none. A percentile is the nearest rank's time, never made up."""
        if not times:
            return None
        ordered = sorted(times)
        return cls(
            count=len(ordered),
            minimum=ordered[0],
            maximum=ordered[-1],
            median=median(ordered),
            p95=ordered[ceil(0.95 * len(ordered)) - 1],
            p99=ordered[ceil(0.99 * len(ordered)) - 1],
            mean=fmean(ordered),
            deviation=pstdev(ordered),
        )

    def as_json(self) -> dict[str, float]:
        """Return it as one object, times in milliseconds."""
        times = {
            "min": self.minimum,
            "max": self.maximum,
            "median": self.median,
            "p95": self.p95,
            "p99": self.p99,
            "mean": self.mean,
            "sd": self.deviation,
        }
        return {"count": self.count, **{name: round(time * _MILLISECONDS, 3) for name, time in times.items()}}


@dataclass(slots=True)
class Report:
    """What became of a load.

    Attributes:
        requested: sessions that were wanted.
        started: sessions that were begun.
        established: sessions through which packets could pass.
        released: of these, the ones that ended when we asked for it.
        failed: sessions that were not established, by reason.
        dropped: established ones that ended before we asked for it, by reason.
        pings: ICMP Echos sent through them.
        pongs: replies that came.
        seconds: from the first session's beginning to the last one's end.
        ramp: from the first session's beginning to the last one's establishment.
        times: of each phase, in seconds.
    """

    requested: int
    started: int = 0
    established: int = 0
    released: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    pings: int = 0
    pongs: int = 0
    seconds: float = 0.0
    ramp: float = 0.0
    times: dict[Phase, list[float]] = field(default_factory=lambda: {phase: [] for phase in Phase})

    @property
    def good(self) -> bool:
        """Whether everything that was wanted happened, each ping's reply included."""
        return self.released == self.requested and not self.dropped and self.pings == self.pongs

    @property
    def rate(self) -> float:
        """Sessions established per second, from the first one's beginning."""
        return self.established / self.ramp if self.ramp else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return it as one object: ``schema`` 1, counts, and times in milliseconds by phase."""
        return {
            "schema": SCHEMA,
            "requested": self.requested,
            "started": self.started,
            "established": self.established,
            "released": self.released,
            "failed": dict(self.failed),
            "dropped": dict(self.dropped),
            "rate": round(self.rate, 3),
            "seconds": round(self.seconds, 3),
            "pings": {"sent": self.pings, "received": self.pongs, "lost": self.pings - self.pongs},
            "phases": {
                phase.value: spread.as_json()
                for phase, times in self.times.items()
                if (spread := Spread.of(times)) is not None
            },
        }
