"""A server of several processes against one of a single process, with the same sessions."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from bench.loads import Tool
from bench.site import Site
from bench.tunnel import both_ways

WORKERS = 2


@dataclass(frozen=True)
class Capacity:
    """One run, both directions together.

    Attributes:
        workers: processes that carried the sessions.
        mbit_per_s: payload that arrived while it was sent.
        mbit_per_processor_second: payload for each second the server's processes took, all of them.
        loads: processor seconds of each worker.
    """

    workers: int
    mbit_per_s: float
    mbit_per_processor_second: float
    loads: tuple[float, ...]


def capacity(site: Site, tool: Tool, workers: int, *, sessions: int, seconds: float) -> Capacity:
    """Measure one server with all sessions busy, up and then down."""
    with site.pypptp(sessions, server_options=("--workers", str(workers))) as carriers:
        runs = both_ways(site, tool, carriers, seconds)
    spent = [sum(times) for times in zip(*(run.far_seconds for run in runs), strict=True)]
    megabits = sum(run.octets for run in runs) * 8e-6
    # With several, the first process is the parent, which carries nothing.
    return Capacity(
        workers=workers,
        mbit_per_s=megabits / sum(run.seconds for run in runs),
        mbit_per_processor_second=megabits / sum(spent),
        loads=tuple(spent if workers == 1 else spent[1:]),
    )


def compare(site: Site, tool: Tool, *, pairs: int, sessions: int, seconds: float) -> list[Capacity]:
    """Take both in turn, in pairs whose order alternates."""
    order = (1, WORKERS)
    return [
        capacity(site, tool, workers, sessions=sessions, seconds=seconds)
        for number in range(pairs)
        for workers in (order if number % 2 == 0 else order[::-1])
    ]


def capacity_ratio(capacities: list[Capacity]) -> float:
    """Several workers' capacity as a part of one's: the median over the pairs."""
    one, several = (
        [run.mbit_per_processor_second for run in capacities if (run.workers == 1) is single]
        for single in (True, False)
    )
    return median(b / a for a, b in zip(one, several, strict=True))


def smallest_share(capacities: list[Capacity]) -> float:
    """The least part of the work any worker ever had, of what would be its fair share."""
    return min(min(run.loads) * len(run.loads) / sum(run.loads) for run in capacities if run.workers > 1)
