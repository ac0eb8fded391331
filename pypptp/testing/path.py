"""A path that loses, repeats, reorders and spoils packets, by the seed: nothing of it is random otherwise."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Impairment:
    """How bad the path of the GRE packets is; TCP is delayed only, as TCP hides the rest.

    Attributes:
        latency: seconds one way.
        jitter: seconds by which a packet may be later, each by its own draw; enough of it reorders.
        loss: probability that a packet is lost.
        duplication: probability that a packet comes twice.
        reordering: probability that a packet is held back by three latencies.
        holding: seconds by which it is held back at least, for a path without latency.
        corruption: probability that one bit of a packet is flipped.
    """

    latency: float = 0.010
    jitter: float = 0.0
    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    holding: float = 0.0
    corruption: float = 0.0


@dataclass(slots=True)
class PathCounters:
    """What the path did to GRE packets, both directions together."""

    sent: int = 0
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    corrupted: int = 0


@dataclass(slots=True)
class Path:
    """What becomes of packets on their way. It has no clock: it says how much later a packet comes.

    Attributes:
        impairment: how bad it is; may be replaced at any time.
        counters: what it did.
        seed: of everything it does.
    """

    impairment: Impairment
    counters: PathCounters = field(default_factory=PathCounters)
    seed: int = 0
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - a simulation must not be unpredictable

    def take(self, datagram: bytes) -> list[tuple[float, bytes]]:
        """Return what comes out at the other end of a packet, and after how many seconds: nothing, one or two."""
        path, draw, counters = self.impairment, self._random.random, self.counters
        counters.sent += 1
        if draw() < path.loss:
            counters.lost += 1
            return []
        copies = 1
        if draw() < path.duplication:
            counters.duplicated += 1
            copies = 2
        arrivals = []
        for _ in range(copies):
            delay = path.latency + path.jitter * draw()
            if draw() < path.reordering:
                counters.reordered += 1
                delay += max(3 * path.latency, path.holding)
            octets = datagram
            if draw() < path.corruption:
                counters.corrupted += 1
                octets = self._flip_a_bit(datagram)
            arrivals.append((delay, octets))
        return arrivals

    def lose(self) -> None:
        """Lose a packet on purpose."""
        self.counters.sent += 1
        self.counters.lost += 1

    def _flip_a_bit(self, datagram: bytes) -> bytes:
        if not datagram:
            return datagram
        position = self._random.randrange(8 * len(datagram))
        octets = bytearray(datagram)
        octets[position // 8] ^= 1 << position % 8
        return bytes(octets)
