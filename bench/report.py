"""What was measured: as tables to read, as ratios to judge by, and as JSON."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench.delays import Delay
from bench.loads import Run
from bench.tunnel import CLEAR, Tunnels
from bench.workers import WORKERS, Capacity, capacity_ratio, smallest_share

TCP = ("TCP up", "TCP down")


@dataclass
class Results:
    """Everything of one run; what was left out is empty.

    Attributes:
        machine: a description that names nobody.
        date: the day.
        tool: what made the traffic.
        tunnels: transfers and delays.
        capacities: of one and of several workers.
        limits, setup, idle: named figures.
        troubles: why something is missing.
    """

    tool: str
    machine: str = field(default_factory=lambda: describe_machine())
    date: str = field(default_factory=lambda: time.strftime("%Y-%m-%d"))
    tunnels: Tunnels = field(default_factory=Tunnels)
    capacities: list[Capacity] = field(default_factory=list)
    limits: dict[str, float] = field(default_factory=dict)
    setup: dict[str, float] = field(default_factory=dict)
    idle: dict[str, float] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """All of it, with the ratios."""
        figures = asdict(self)
        figures["tunnels"]["runs"] = [run.as_json() for run in self.tunnels.runs]
        return figures | {"ratios": ratios(self)}

    def lines(self) -> list[str]:
        """All of it, to read."""
        lines = [f"{self.machine}, {self.date}, traffic by {self.tool}", ""]
        if self.tunnels.runs:
            lines += [*_transfers(self.tunnels.runs), ""]
        delays = self.tunnels.round_trips
        if delays:
            lines += [*_delays(delays), ""]
        if self.tunnels.control:
            lines += [*_control(self.tunnels.control), ""]
        if self.capacities:
            lines += [*_capacities(self.capacities), ""]
        for figures in (self.limits, self.setup, self.idle):
            if figures:
                lines += [*(f"{value:10.2f}  {name}" for name, value in figures.items()), ""]
        lines += [f"{value:10.2f}  {name}" for name, value in ratios(self).items()]
        return lines + [f"left out: {trouble}" for trouble in self.troubles]


def describe_machine() -> str:
    """For example ``2 cores x86_64 VM, Python 3.11, Linux 6.18``."""
    try:
        virtual = " hypervisor" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        virtual = False
    release = ".".join(platform.release().split(".")[:2])
    python = ".".join(platform.python_version_tuple()[:2])
    kind = " VM" if virtual else ""
    return f"{os.cpu_count()} cores {platform.machine()}{kind}, Python {python}, {platform.system()} {release}"


def grouped(runs: list[Run]) -> dict[tuple[str, int, str], list[Run]]:
    """Those that are the same but for the round."""
    groups: dict[tuple[str, int, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.carrier, run.sessions, run.traffic), []).append(run)
    return groups


def pairs(runs: list[Run], ours: str, theirs: str, traffic: str) -> list[tuple[Run, Run]]:
    """Transfers of one session through either carrier, those of the same round together."""
    groups = grouped(runs)
    return list(zip(groups.get((ours, 1, traffic), []), groups.get((theirs, 1, traffic), []), strict=False))


def _cost(run: Run) -> float:
    return run.near_us + run.far_us


def ratios(results: Results) -> dict[str, float]:
    """Everything that can be said without naming a machine."""
    runs = results.tunnels.runs
    found: dict[str, float] = {}
    comparisons: tuple[tuple[str, str, str, Callable[[Run, Run], float]], ...] = (
        ("Mbit/s, of the bare link's", "pypptp", "link", lambda a, b: a.mbit_per_s / b.mbit_per_s),
        ("Mbit/s, of a clear session's", "pypptp", CLEAR, lambda a, b: a.mbit_per_s / b.mbit_per_s),
        ("processor time a packet, of a clear session's", "pypptp", CLEAR, lambda a, b: _cost(a) / _cost(b)),
        ("Mbit/s, of the bare pair's", "pypptp", "beside", lambda a, b: a.mbit_per_s / b.mbit_per_s),
        ("processor time a packet, of the bare pair's", "pypptp", "beside", lambda a, b: _cost(a) / _cost(b)),
    )
    for what, ours, theirs, compare in comparisons:
        for traffic in TCP:
            together = pairs(runs, ours, theirs, traffic)
            if together:
                found[f"{traffic}: {what}"] = median(compare(a, b) for a, b in together)
    whole = [_cost(run) for run in runs if (run.carrier, run.sessions, run.traffic) == ("pypptp", 1, TCP[0])]
    cipher = results.limits.get("cipher alone, us a packet")
    if whole and cipher:
        # Each packet is encrypted at one end and decrypted at the other.
        found["TCP up: processor time a packet and end, of the cipher's alone"] = median(whole) / 2 / cipher
    speed = next((value for name, value in results.limits.items() if name.startswith("openssl")), 0.0)
    if whole and speed:
        found["TCP up: processor time a packet and end, of openssl speed's"] = median(whole) / 2 / speed
    if cipher:
        found["encapsulate a full packet, of the cipher alone"] = results.limits["encapsulate beside the cipher"]
    if results.capacities:
        found[f"{WORKERS} workers: payload a processor second, of one's"] = capacity_ratio(results.capacities)
        found[f"{WORKERS} workers: smallest share of the work, of a fair one"] = smallest_share(results.capacities)
    return found


def _transfers(runs: list[Run]) -> list[str]:
    lines = [
        f"{'carrier':14} {'n':>2} {'traffic':20} {'Mbit/s':>8} {'kpps':>7}"
        f" {'us client':>10} {'us server':>10} {'loss':>6}"
    ]
    for (carrier, sessions, traffic), group in grouped(runs).items():
        speed, kpps, near, far = (
            median(getattr(run, name) for run in group) for name in ("mbit_per_s", "kpps", "near_us", "far_us")
        )
        losses = [run.loss for run in group if run.loss is not None]
        loss = f"{median(losses):6.1%}" if losses else f"{'-':>6}"
        costs = f"{near:10.1f} {far:10.1f}" if near else f"{'-':>10} {'-':>10}"
        lines.append(f"{carrier:14} {sessions:2} {traffic:20} {speed:8.0f} {kpps:7.1f} {costs} {loss}")
    return lines


def _delays(delays: list[Delay]) -> list[str]:
    lines = [f"{'round trip':30} {'median ms':>10} {'p99 ms':>10} {'added ms':>10} {'p99':>10}"]
    link = {one.what.partition(", ")[2]: one for one in delays if one.what.startswith("link")}
    for one in delays:
        bare = link.get(one.what.rpartition(", ")[2])
        added = (
            f"{one.median_ms - bare.median_ms:10.2f} {one.p99_ms - bare.p99_ms:10.2f}"
            if bare and bare is not one
            else ""
        )
        lines.append(f"{one.what:30} {one.median_ms:10.2f} {one.p99_ms:10.2f} {added}".rstrip())
    return lines


def _control(delays: list[Delay]) -> list[str]:
    lines = [f"{'newcomers':42} {'median ms':>10} {'p99 ms':>10}"]
    return lines + [f"{one.what:42} {one.median_ms:10.2f} {one.p99_ms:10.2f}" for one in delays]


def _capacities(capacities: list[Capacity]) -> list[str]:
    lines = [f"{'workers':>7} {'Mbit/s':>8} {'Mbit a processor second':>24}   load on each, seconds"]
    for one in capacities:
        loads = ", ".join(f"{load:.2f}" for load in one.loads)
        lines.append(f"{one.workers:7} {one.mbit_per_s:8.0f} {one.mbit_per_processor_second:24.0f}   {loads}")
    return lines
