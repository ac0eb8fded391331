"""Everything a check sent and received, with its own remarks between."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address
from itertools import chain, count

from pypptp.testing.dialogue import packets

KEPT = 2000
"""Entries kept from the beginning, and as many from the end, of a check that floods."""


class Direction(StrEnum):
    """Who sent it."""

    SENT = "->"
    RECEIVED = "<-"
    REMARK = "--"


class Layer(StrEnum):
    """What it is: a piece of TCP's stream, or a GRE packet."""

    CONTROL = "control"
    GRE = "gre"
    REMARK = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened.

    Attributes:
        time: seconds since the check began.
        direction: who sent it.
        layer: where.
        octets: what, as it went over the wire above IP.
        text: a remark instead.
        near: our address.
        far: the target's.
        ports: our and the target's TCP port; zeros with GRE.
    """

    time: float
    direction: Direction
    layer: Layer
    octets: bytes
    text: str
    near: IPv4Address
    far: IPv4Address
    ports: tuple[int, int]


class Transcript:
    """What happened in one check, in order.

    Attributes:
        began: the clock's reading when the check began.
        judged: seconds from then until the verdict; what came later is only the taking down. None before.
        left_out: entries in the middle that were not kept.
    """

    def __init__(self, began: float) -> None:
        self.began = began
        self.judged: float | None = None
        self.left_out = 0
        self._first: list[Entry] = []
        self._last: deque[Entry] = deque(maxlen=KEPT)

    def add(self, entry: Entry) -> None:
        """Add what happened."""
        if len(self._first) < KEPT:
            self._first.append(entry)
            return
        self.left_out += len(self._last) == KEPT
        self._last.append(entry)

    @property
    def entries(self) -> list[Entry]:
        """What was kept."""
        return [*self._first, *self._last]

    def heard(self) -> bool:
        """Whether the other side ever said anything."""
        return any(entry.direction is Direction.RECEIVED for entry in self._first)

    def captured(self) -> list[tuple[float, bytes]]:
        """Return everything as IPv4 packets with the seconds since the check began.

        The TCP headers are made up: the numbers fit the octets, and nothing was ever lost.
        """
        captured: list[tuple[float, bytes]] = []
        sequences: dict[tuple[IPv4Address, int, Direction], int] = {}
        numbers = count(1)
        for entry in chain(self._first, self._last):
            if entry.layer is Layer.REMARK or not entry.octets:
                continue
            outward = entry.direction is Direction.SENT
            source, destination = (entry.near, entry.far) if outward else (entry.far, entry.near)
            if entry.layer is Layer.GRE:
                captured.append((entry.time, packets.ipv4(packets.GRE, source, destination, entry.octets)))
                continue
            stream = (entry.near, entry.ports[0])
            back = Direction.RECEIVED if outward else Direction.SENT
            sequence = sequences.setdefault((*stream, entry.direction), 1)
            acknowledged = sequences.setdefault((*stream, back), 1)
            ports = entry.ports if outward else entry.ports[::-1]
            for at in range(0, len(entry.octets), packets.SEGMENT):
                piece = entry.octets[at : at + packets.SEGMENT]
                segment = packets.tcp(*ports, sequence + at, acknowledged, piece)
                number = next(numbers) & 0xFFFF
                captured.append((entry.time, packets.ipv4(packets.TCP, source, destination, segment, number)))
            sequences[(*stream, entry.direction)] = sequence + len(entry.octets)
        return captured
