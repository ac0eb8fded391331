"""Whole tunnels, beside references in the same run: the bare link, a session in clear, and a bare pair of endpoints.

Rounds are interleaved: each takes every carrier in turn, so that whatever else the machine does meets them all.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from bench.delays import Delay, control_replies, delay, idle_and_busy, round_trips
from bench.loads import UDP_AND_IP_HEADERS, Run, Tool, flood, transfer
from bench.site import Carriers, Site
from bench.traffic import BURST

UDP_SIZES = (64, 512, 1400)
PACED = ", paced"
"""The name of UDP traffic at half the rate that arrived when as much was sent as could be."""
CLEAR = "pypptp, clear"
MANY_TRIES = 200
Carry = Callable[[], AbstractContextManager[Carriers]]


@dataclass
class Tunnels:
    """What was measured: transfers, round trips of ping, and replies on the control connection."""

    runs: list[Run] = field(default_factory=list)
    round_trips: list[Delay] = field(default_factory=list)
    control: list[Delay] = field(default_factory=list)


def both_ways(site: Site, tool: Tool, carriers: Carriers, seconds: float) -> list[Run]:
    """TCP from the clients to the server, then the other way."""
    return [transfer(site, tool, carriers, "tcp", up=up, seconds=seconds) for up in (True, False)]


def udp(site: Site, tool: Tool, carriers: Carriers, seconds: float) -> list[Run]:
    """UDP of each size as fast as it can be sent, and then at a rate that should lose nothing."""
    runs = []
    for octets in UDP_SIZES:
        run = transfer(site, tool, carriers, "udp", up=True, seconds=seconds, octets=octets)
        runs.append(run)
    arrived = run.octets / (octets - UDP_AND_IP_HEADERS) / run.seconds
    rate = max(BURST, arrived / 2 / len(carriers.tunnels))
    runs.append(transfer(site, tool, carriers, "udp", up=True, seconds=seconds, octets=octets, rate=rate, note=PACED))
    return runs


def single(
    site: Site, tool: Tool, measured: Tunnels, *, rounds: int, seconds: float, tries: int, beside: Path | None
) -> None:
    """One session at a time, in interleaved rounds; UDP and round trips in the first."""
    carry: list[Carry] = [
        site.links,
        lambda: site.pypptp(1),
        lambda: site.pypptp(1, "--mppe", "deny", name=CLEAR),
    ]
    if beside is not None:
        # Next to what it is compared with.
        carry.insert(2, lambda: site.bare_pair(beside.resolve()))
    for number in range(rounds):
        for make in carry:
            with make() as carriers:
                measured.runs += both_ways(site, tool, carriers, seconds)
                if number == 0:
                    measured.runs += udp(site, tool, carriers, seconds)
                    measured.round_trips += idle_and_busy(site, tool, carriers, tries)


def many(site: Site, tool: Tool, measured: Tunnels, *, sessions: int, seconds: float) -> None:
    """Several sessions on one server process, all busy; and a newcomer's handshake beside a flood."""
    with site.pypptp(sessions) as carriers:
        first, last = carriers.tunnels[0], carriers.tunnels[-1]
        measured.control.append(delay("control reply, idle", control_replies(last.client, site, MANY_TRIES)))
        with flood(site, first):
            replies = control_replies(last.client, site, MANY_TRIES)
            # What the machine makes everybody wait, pypptp or not.
            with site.links(sessions) as links:
                bare = round_trips(links.tunnels[-1], MANY_TRIES, 0.005)
        measured.control.append(delay("control reply, another session flooded", replies))
        measured.control.append(delay("ping past the tunnels, a session flooded", bare))
        measured.runs += both_ways(site, tool, carriers, seconds) + udp(site, tool, carriers, seconds)
