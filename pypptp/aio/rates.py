"""How fast a user's packets may pass: token buckets for the data plane.

A packet passes while there are tokens, whatever its length, and may leave the bucket in debt: so the rate is kept to
the octet over any longer time, and a bucket need not hold the largest packet there is.

To the client a TUN is not read until there are tokens: its queue holds the packets back, and TCP slows down without a
loss until that is full. From the client there is no queue to hold them in, so what has no tokens is dropped, and the
bucket is deep enough for TCP's bursts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from weakref import WeakValueDictionary

SHAPING_SECONDS: Final = 0.02
"""Of the rate, what may go to the client at once."""

POLICING_SECONDS: Final = 0.5
"""Of the rate, what may come from the client at once: some round trips' worth, or TCP would not reach the rate."""

LEAST_BURST: Final = 12_000
"""Octets."""

QUEUE_SECONDS: Final = 0.25
"""Of the rate, what the TUN's queue holds; its usual thousand packets would be seconds."""

UNITS: Final = {"bit": 1, "kbit": 1_000, "mbit": 1_000_000, "gbit": 1_000_000_000}
"""Bits a second; powers of ten, as in tc(8) and in what providers sell."""

NO_LIMIT: Final = "unlimited"

LEAST_QUEUE: Final = 16
MOST_QUEUE: Final = 1000
"""Packets."""


@dataclass(frozen=True, slots=True)
class Rate:
    """What may pass, in bits per second of IP packets; None for as much as there is.

    Attributes:
        down: to the client.
        up: from the client.
    """

    down: int | None = None
    up: int | None = None

    def __str__(self) -> str:
        """Write it as a user writes it.

        >>> str(Rate(2_500_000, None)), str(Rate(2_000_000, 2_000_000))
        ('2500kbit/unlimited', '2mbit')
        """
        return write_bits(self.down) if self.down == self.up else f"{write_bits(self.down)}/{write_bits(self.up)}"

    def queue(self, mtu: int) -> int | None:
        """Return how many packets the TUN's queue is to hold, None for as many as usual."""
        if self.down is None:
            return None
        return max(LEAST_QUEUE, min(math.ceil(self.down * QUEUE_SECONDS / 8 / mtu), MOST_QUEUE))


UNLIMITED: Final = Rate()


class TokenBucket:
    """Octets that may pass: so many a second, and so many at once.

    Args:
        octets_per_second: how fast it fills.
        depth: octets it holds; it begins full.
        now: the time, in seconds of the clock that ``left`` will be asked by.
    """

    __slots__ = ("_depth", "_per_second", "_since", "_tokens")

    def __init__(self, octets_per_second: float, depth: float, now: float) -> None:
        self._per_second = octets_per_second
        self._depth = self._tokens = depth
        self._since = now

    def left(self, now: float) -> bool:
        """Say whether a packet may pass now."""
        if now > self._since:
            self._tokens = min(self._depth, self._tokens + (now - self._since) * self._per_second)
            self._since = now
        return self._tokens > 0

    def spend(self, octets: int) -> None:
        """A packet has passed."""
        self._tokens -= octets

    def wait(self) -> float:
        """Return the seconds, from the time ``left`` was last asked, until a packet may pass."""
        return max(0.0, (1 - self._tokens) / self._per_second)


@dataclass(eq=False)
class Buckets:
    """The two of one user, for all of the user's sessions in this process.

    Attributes:
        down: to the client; None where that is not limited.
        up: from the client.
    """

    down: TokenBucket | None
    up: TokenBucket | None


@dataclass(frozen=True)
class Rates:
    """How fast whom.

    Attributes:
        everybody: the rate of all users that have none of their own.
        users: their own, by name.
    """

    everybody: Rate = UNLIMITED
    users: Mapping[str, Rate] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, user: str) -> Rate:
        """Return a user's rate."""
        return self.users.get(user, self.everybody)


class RateKeeper:
    """Gives sessions their buckets: those of one user share them.

    Args:
        rates: how fast whom.
    """

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._live: WeakValueDictionary[str, Buckets] = WeakValueDictionary()

    def rate(self, user: str) -> Rate:
        """Return a user's rate."""
        return self._rates.of(user)

    def buckets(self, user: str, now: float) -> Buckets | None:
        """Return a user's buckets, to be kept as long as the session lives; None where the user is not limited.

        Args:
            user: who; nobody in particular, '', shares with nobody.
            now: the time.
        """
        rate = self._rates.of(user)
        if rate == UNLIMITED:
            return None
        buckets = self._live.get(user) if user else None
        if buckets is None:
            buckets = Buckets(_bucket(rate.down, SHAPING_SECONDS, now), _bucket(rate.up, POLICING_SECONDS, now))
            self._live[user] = buckets
        return buckets


def write_bits(rate: int | None) -> str:
    """Write bits a second with the largest unit that leaves no fraction.

    >>> write_bits(64_000), write_bits(None)
    ('64kbit', 'unlimited')
    """
    if rate is None:
        return NO_LIMIT
    unit = next(unit for unit in reversed(UNITS) if rate % UNITS[unit] == 0)
    return f"{rate // UNITS[unit]}{unit}"


def _bucket(rate: int | None, seconds: float, now: float) -> TokenBucket | None:
    return None if rate is None else TokenBucket(rate / 8, max(rate / 8 * seconds, LEAST_BURST), now)
