"""Which control connections may come in, and which has to go when too many are only starting.

A connection is starting as long as no session of it is up: until then nobody has proved anything, or it does nothing.
Those are what a flood consists of, so there is a limit to them, and beyond it not simply the newcomer is refused: who
holds the most places gives way; then who has not even placed a call, which every client does at once; then who has
held a place for longer than any log-in takes. A flood from one address so takes the places of its own connections, one
of half-open connections from many takes each other's, and one that places calls has ``STALE_SECONDS`` to log in.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address
from typing import Protocol

from pypptp.control import GeneralError, StartResult

log = logging.getLogger("pypptp.server")

STALE_SECONDS = 10.0
"""A log-in takes a second or two; who starts for longer gives way to a newcomer. Without one nobody has to."""

COURTESY = 32
"""Connections at a time that are told why they are refused; a further one is just closed. Being told takes until the
Start-Control-Connection-Request, five seconds at most, and a flood would have us keep thousands for that."""

QUIET_SECONDS = 10.0
"""The log says once in so many seconds that connections are refused, and how many were meanwhile."""

GIVE_WAY = "too many connections were starting, and this one had its time"


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Control connections at a time, 0 for any number.

    Attributes:
        most: in all.
        starting: without a session that is up.
        per_address: from one address. Many clients sit behind one NAT.
    """

    most: int = 0
    starting: int = 512
    per_address: int = 64


NO_CONNECTION_LIMITS = ConnectionLimits(0, 0, 0)


class Refusal(Enum):
    """Why a connection may not come in; the value goes between processes."""

    ADDRESS = "address"
    """Its address has as many as it may."""
    FULL = "full"
    """There are as many as may be."""
    SILENT = "silent"
    """One of these, and so many are being told so that this one is not."""

    @property
    def codes(self) -> tuple[int, int]:
        """Result and error code of the Start-Control-Connection-Reply (RFC 2637 section 2.2)."""
        if self is Refusal.ADDRESS:
            return StartResult.NOT_AUTHORIZED, GeneralError.NONE
        return StartResult.GENERAL_ERROR, GeneralError.NO_RESOURCE


class Porter(Protocol):
    """Who decides which connections may come in. Each has a number, unique in all processes of a server."""

    def came(self, number: int, address: IPv4Address, now: float) -> Refusal | None:
        """Say whether a connection may stay; None: it may."""
        ...

    def called(self, number: int) -> None:
        """A connection has placed a call."""
        ...

    def settled(self, number: int) -> None:
        """A session of a connection is up."""
        ...

    def unsettled(self, number: int, now: float) -> None:
        """No session of a connection is up any more."""
        ...

    def left(self, number: int) -> None:
        """A connection has ended, refused or not; of one nobody knows it is no error."""
        ...


@dataclass(slots=True)
class _Start:
    """A connection that is starting: from where, since when, and whether it has placed a call."""

    address: IPv4Address
    since: float
    called: bool = False


class Admission:
    """The porter of a server, with its book of all connections.

    Args:
        limits: how many there may be.
        end: ends a connection by its number, for the reason given.
    """

    def __init__(self, limits: ConnectionLimits, end: Callable[[int, str], object]) -> None:
        self._limits = limits
        self._end = end
        self._addresses: dict[int, IPv4Address] = {}
        self._per_address: Counter[IPv4Address] = Counter()
        # In the order in which they began.
        self._starting: dict[int, _Start] = {}
        self._refused: set[int] = set()
        self._turned_away = 0
        self._said = -QUIET_SECONDS

    def __len__(self) -> int:
        """Connections that are in."""
        return len(self._addresses)

    @property
    def starting(self) -> int:
        """Those of them that have no session up."""
        return len(self._starting)

    def came(self, number: int, address: IPv4Address, now: float) -> Refusal | None:
        """Let a connection in, or say why not; one that is starting may have to go for it."""
        limits = self._limits
        if 0 < limits.per_address <= self._per_address[address]:
            why = f"{address} has {limits.per_address} control connections, the most for one address"
            return self._refuse(number, Refusal.ADDRESS, f"{why} (--max-per-address)", now)
        if 0 < limits.most <= len(self._addresses):
            return self._refuse(
                number, Refusal.FULL, f"there are {limits.most} control connections (--connections)", now
            )
        if 0 < limits.starting <= len(self._starting) and not self._make_room(address, now):
            why = f"{limits.starting} control connections are starting (--max-starting)"
            return self._refuse(number, Refusal.FULL, why, now)
        self._addresses[number] = address
        self._per_address[address] += 1
        self._starting[number] = _Start(address, now)
        return None

    def called(self, number: int) -> None:
        """Note that a connection has placed a call."""
        if number in self._starting:
            self._starting[number].called = True

    def settled(self, number: int) -> None:
        """Take a connection from those that are starting."""
        self._starting.pop(number, None)

    def unsettled(self, number: int, now: float) -> None:
        """Put a connection back to those that are starting."""
        address = self._addresses.get(number)
        if address is not None and number not in self._starting:
            self._starting[number] = _Start(address, now, called=True)

    def left(self, number: int) -> None:
        """Forget a connection."""
        self._refused.discard(number)
        self._starting.pop(number, None)
        address = self._addresses.pop(number, None)
        if address is not None:
            self._per_address[address] -= 1
            if not self._per_address[address]:
                del self._per_address[address]

    def _make_room(self, address: IPv4Address, now: float) -> bool:
        """End a connection that is starting for one from this address; say False where the newcomer has to go."""
        held = Counter(start.address for start in self._starting.values())
        greediest, places = held.most_common(1)[0]
        starting = self._starting.items()
        if places > held[address] + 1:
            victim = next((number for number, start in starting if start.address == greediest), None)
        else:
            stale = now - STALE_SECONDS
            silent = next((number for number, start in starting if not start.called), None)
            slow = next((number for number, start in starting if start.since <= stale), None)
            victim = slow if silent is None else silent
        if victim is None:
            return False
        # It is out of the book at once, whenever its end is heard of.
        self.left(victim)
        self._end(victim, GIVE_WAY)
        return True

    def _refuse(self, number: int, refusal: Refusal, why: str, now: float) -> Refusal:
        self._turned_away += 1
        if now - self._said >= QUIET_SECONDS:
            more = f", {self._turned_away} since this was last said" if self._turned_away > 1 else ""
            log.warning("a connection is refused%s: %s", more, why)
            self._said, self._turned_away = now, 0
        if len(self._refused) >= COURTESY:
            return Refusal.SILENT
        self._refused.add(number)
        return refusal
