"""Whether a client dials again, and when: decided from why it failed. No clock, no randomness.

    cause                                    what follows
    a log-in refused, an account closed      stop: more tries lock an account, and will not go better
    the server is no such server's place     stop, or wait long, as below
    the server is full, or wants no MPPE     wait long: it takes somebody there, or time
    the way there is broken                  wait, each time longer, or until the network changes
    anything else                            wait, each time longer

A session that lasted makes all failures before it forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pypptp.causes import Cause

LASTING: Final = 60.0
"""Seconds after which a session was no failure."""

LONG_WAIT: Final = 30.0
"""Seconds of the first wait where an early try is of no use."""

SHORTEST_WAIT: Final = 0.1
"""Seconds; without one a server that refuses would be asked thousands of times a minute."""

_FINAL: Final = frozenset(
    {
        Cause.AUTHENTICATION,
        Cause.ACCOUNT_DISABLED,
        Cause.PASSWORD_EXPIRED,
        Cause.NO_PERMISSION,
        Cause.IMPOSTOR,
        Cause.METHOD,
        Cause.ASKED,
    }
)
_PATIENT: Final = frozenset({Cause.BUSY, Cause.ENCRYPTION, Cause.LOGON_HOURS, Cause.NOT_PPTP, Cause.LOOPED_BACK})
_OF_THE_WAY: Final = frozenset(
    {
        Cause.ADDRESS_CHANGED,
        Cause.GRE_BLOCKED,
        Cause.LOOPED_BACK,
        Cause.LOST,
        Cause.NAME,
        Cause.PEER_DEAD,
        Cause.REFUSED,
        Cause.TIMED_OUT,
        Cause.UNREACHABLE,
    }
)
_PLANNED: Final = frozenset({Cause.ADDRESS_CHANGED, Cause.IDLE, Cause.TIME_IS_UP})

_STOPS: Final = {
    Cause.AUTHENTICATION: "the log-in was refused, and more tries could lock the account",
    Cause.IMPOSTOR: "the server did not prove itself, and it shall not get more to crack",
    Cause.METHOD: "the server asks for a proof that these settings do not allow",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RedialPolicy:
    """How stubborn to be. Times are seconds.

    Attributes:
        persist: dial again at all.
        max_fail: connections in a row that may fail to come up, 0 for any number.
        holdoff: the first wait; it doubles with each failure.
        longest: the longest wait.
    """

    persist: bool = False
    max_fail: int = 0
    holdoff: float = 1.0
    longest: float = 300.0


@dataclass(frozen=True, slots=True)
class Wait:
    """Dial again.

    Attributes:
        delay: seconds to wait first.
        until_news: dial earlier where the way to the server changes.
    """

    delay: float
    until_news: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """Dial no more.

    Attributes:
        why: in words that fit behind "not dialling again: "; empty where nobody wanted to.
    """

    why: str = ""


class Redial:
    """The failures of one client, and what follows of the next.

    Attributes:
        failures: connections in a row that did not come up.
    """

    def __init__(self, policy: RedialPolicy) -> None:
        self.policy = policy
        self.failures = 0
        self._step = 0
        self._ever_up = False

    def after(self, cause: Cause, lasted: float | None, chance: float) -> Wait | Stop:
        """Decide what follows of a session that ended.

        Args:
            cause: why it did.
            lasted: seconds that packets could pass, None where it never came so far.
            chance: a random number from 0 to 1. It takes up to half of the wait away, so that the clients of a server
                that starts again do not all come at once.
        """
        policy = self.policy
        if lasted is None:
            self.failures += 1
        else:
            self.failures = 0
            self._ever_up = True
            if lasted >= LASTING:
                self._step = 0
        if not policy.persist:
            return Stop()
        if cause in _FINAL or (cause is Cause.SYSTEM and not self._ever_up):
            return Stop(_STOPS.get(cause, "it would not go better"))
        if policy.max_fail and self.failures >= policy.max_fail:
            return Stop(f"{self.failures} failures in a row")
        holdoff = max(policy.holdoff, SHORTEST_WAIT)
        if cause in _PLANNED and lasted is not None and lasted >= holdoff:
            self._step = 0
            return Wait(0.0, until_news=True)
        first = max(holdoff, LONG_WAIT) if cause in _PATIENT else holdoff
        # The exponent is bounded: a float has its limits, and the wait has been the longest for long.
        delay = min(first * 2.0 ** min(self._step, 30), policy.longest)
        self._step += 1
        return Wait(delay * (1 - chance / 2), until_news=cause in _OF_THE_WAY)


__all__ = ["LASTING", "LONG_WAIT", "Redial", "RedialPolicy", "Stop", "Wait"]
