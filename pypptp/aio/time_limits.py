"""How long a session may last, how long it may be silent, and how often its user proves again who it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from pypptp.session import Session

LOOKS = 8
"""How often within the idle time it is looked whether packets passed: a session ends by an eighth of it too late at
most, and the packet path need not note the time of each packet."""

TIME_IS_UP = "its time is up"


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds, 0 for no limit.

    Attributes:
        idle: without a packet in either direction, until the session ends.
        maxconnect: from the first packet that could pass, until it ends in any case.
        chap_interval: between two challenges (RFC 1994 section 2).
    """

    idle: float = 0.0
    maxconnect: float = 0.0
    chap_interval: float = 0.0


NO_LIMITS = TimeLimits()


class TimeKeeper:
    """Holds one session to its limits, from now until ``stop``.

    Args:
        limits: its limits.
        session: the session, whose network is up.
        end: ends the session, for the reason given.
        challenge: asks the user to prove itself again.
    """

    __slots__ = ("_challenge", "_end", "_idle_since", "_limits", "_loop", "_packets", "_session", "_timers")

    def __init__(
        self, limits: TimeLimits, session: Session, *, end: Callable[[str], None], challenge: Callable[[], None]
    ) -> None:
        self._limits = limits
        self._session = session
        self._end = end
        self._challenge = challenge
        self._loop = asyncio.get_running_loop()
        self._packets = self._count()
        self._idle_since = self._loop.time()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        if limits.maxconnect:
            self._timers["maxconnect"] = self._loop.call_later(limits.maxconnect, self._end, TIME_IS_UP)
        if limits.idle:
            self._look_later()
        if limits.chap_interval:
            self._ask_later()

    def stop(self) -> None:
        """Forget the session; twice is no error."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _count(self) -> int:
        counters = self._session.counters
        return counters.packets_in + counters.packets_out

    def _look_later(self) -> None:
        self._timers["idle"] = self._loop.call_later(self._limits.idle / LOOKS, self._look)

    def _look(self) -> None:
        packets, now = self._count(), self._loop.time()
        if packets != self._packets:
            self._packets, self._idle_since = packets, now
        elif now - self._idle_since >= self._limits.idle:
            self._end(f"no packet for {now - self._idle_since:.0f} s")
            return
        self._look_later()

    def _ask_later(self) -> None:
        self._timers["challenge"] = self._loop.call_later(self._limits.chap_interval, self._ask)

    def _ask(self) -> None:
        self._challenge()
        # Unless that was what ended it.
        if self._timers:
            self._ask_later()
