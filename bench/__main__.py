"""Measure pypptp: ``make bench``, or ``python -m bench [OPTIONS]``.

First the parts, by pytest-benchmark; then the whole: real servers and clients in namespaces, which needs root. A table
is printed, and build/bench/ receives parts.json, results.json, results.txt and performance.png. Absolute figures say
something about this machine at this hour; the ratios are what to look at.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import idle, limits, plot, setup_rate, tunnel, workers
from bench.loads import Tool, find_tool
from bench.report import Results
from bench.site import Site
from pypptp.errors import PptpError
from pypptp.net.namespaces import why_no_namespaces
from pypptp.testing.scenario import Warden

SECTIONS = ("parts", "limits", "tunnel", "many", "workers", "setup", "idle")
OUTPUT = Path("build/bench")


@dataclass(frozen=True)
class Effort:
    """How much to measure.

    Attributes:
        part_seconds: of each part, about.
        rounds: with one session.
        pairs: of one worker and several.
        seconds: of each transfer.
        tries: round trips.
        sessions: of the run with many.
        set_up: sessions to set up over sockets.
        flood_seconds: to set some up beside a flood.
        idle_sessions: that do nothing but answer.
        idle_seconds: to watch them.
    """

    part_seconds: float = 0.4
    rounds: int = 5
    pairs: int = 5
    seconds: float = 1.5
    tries: int = 150
    sessions: int = 8
    set_up: int = 200
    flood_seconds: float = 12.0
    idle_sessions: int = 2000
    idle_seconds: float = idle.DEFAULT_ECHO_INTERVAL


QUICK = Effort(
    part_seconds=0.02,
    rounds=1,
    pairs=1,
    seconds=0.5,
    tries=50,
    sessions=4,
    set_up=60,
    flood_seconds=3.0,
    idle_sessions=200,
    idle_seconds=5.0,
)


def run_parts(effort: Effort, folder: Path) -> bool:
    """Have pytest measure the parts. Returns whether all went well."""
    options = ["--benchmark-columns=median,iqr,ops,rounds", "--benchmark-sort=name", "--benchmark-group-by=func"]
    options += [f"--benchmark-max-time={effort.part_seconds}", "--benchmark-min-rounds=3", "--benchmark-warmup=off"]
    options += [f"--benchmark-json={folder / 'parts.json'}", "-q", "-s", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", str(Path(__file__).parent), *options]
    return subprocess.run(command, check=False).returncode == 0


class Whole:
    """The measurements in namespaces, each apart: where one fails, the others are measured all the same."""

    def __init__(self, site: Site, tool: Tool, effort: Effort, results: Results, beside: Path | None) -> None:
        self._site, self._tool, self._effort, self._results, self._beside = site, tool, effort, results, beside

    def tunnel(self) -> None:
        effort = self._effort
        tunnel.single(
            self._site,
            self._tool,
            self._results.tunnels,
            rounds=effort.rounds,
            seconds=effort.seconds,
            tries=effort.tries,
            beside=self._beside,
        )

    def many(self) -> None:
        effort, books = self._effort, self._results.tunnels
        tunnel.many(self._site, self._tool, books, sessions=effort.sessions, seconds=effort.seconds)

    def workers(self) -> None:
        effort = self._effort
        self._results.capacities = workers.compare(
            self._site, self._tool, pairs=effort.pairs, sessions=effort.sessions, seconds=effort.seconds
        )

    def setup(self) -> None:
        self._results.setup = asyncio.run(setup_rate.measure(self._site, self._effort.set_up, at_once=20))
        self._results.setup |= asyncio.run(
            setup_rate.beside_a_flood(self._site, self._effort.set_up // 2, self._effort.flood_seconds)
        )

    def idle(self) -> None:
        self._results.idle = asyncio.run(
            idle.measure(self._site, self._effort.idle_sessions, self._effort.idle_seconds)
        )


def attempt(name: str, measure: Callable[[], None], results: Results) -> None:
    """Measure one section; what is in its way is noted."""
    begun = time.monotonic()
    print(f"measuring: {name} ...", end=" ", flush=True)
    try:
        measure()
    except (PptpError, RuntimeError, OSError, TimeoutError) as error:
        results.troubles.append(f"{name}: {error}")
        print(f"failed: {error}", flush=True)
    else:
        print(f"{time.monotonic() - begun:.0f} s", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure pypptp, its parts and the whole.")
    parser.add_argument("--quick", action="store_true", help="measure little, to see that everything runs")
    parser.add_argument("--only", action="append", choices=SECTIONS, help="measure just this; may be repeated")
    parser.add_argument("--beside", type=Path, metavar="SCRIPT", help="a bare pair of endpoints to compare with")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FOLDER", help=f"default {OUTPUT}")
    arguments = parser.parse_args()
    sections = tuple(arguments.only or SECTIONS)
    effort = QUICK if arguments.quick else Effort()
    arguments.output.mkdir(parents=True, exist_ok=True)
    well = "parts" not in sections or run_parts(effort, arguments.output)
    results = Results(find_tool().name)
    if "limits" in sections:
        results.limits = limits.measure(quick=arguments.quick)
    whole = [name for name in SECTIONS if name in sections and hasattr(Whole, name)]
    reason = "it needs root" if os.geteuid() != 0 else why_no_namespaces()
    if whole and reason is not None:
        results.troubles.append(f"{', '.join(whole)}: {reason}")
    elif whole:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            site = Site(stack, stack.enter_context(Warden()), folder, effort.sessions)
            measurements = Whole(site, find_tool(), effort, results, arguments.beside)
            for name in whole:
                attempt(name, getattr(measurements, name), results)
    text = "\n".join(results.lines()) + "\n"
    print(f"\n{text}", end="")
    (arguments.output / "results.txt").write_text(text, encoding="utf-8")
    written = json.dumps(results.as_json(), indent=1) + "\n"
    (arguments.output / "results.json").write_text(written, encoding="utf-8")
    if results.tunnels.runs:
        print(plot.draw(results, arguments.output / "performance.png"))
    return 0 if well and (not results.troubles or reason is not None) else 1


if __name__ == "__main__":
    sys.exit(main())
