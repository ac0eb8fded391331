"""How fast one may guess: the delay before an answer, by address and by user.

MS-CHAPv2 falls to an offline attack anyway; this is against the online one, which needs no eavesdropper, and against
the noise it makes for everybody else. It slows and never locks out: many clients sit behind one address, and a user
whose name somebody else tries must still get in.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

BURST = 6
"""Failures that cost nothing: two connections with three tries each, a person with a new keyboard."""
INTERVAL = 1.0
"""Seconds from one failure to the next, beyond the burst."""
LONGEST = 10.0
"""Seconds an answer is held back at most. Peers send their Response again meanwhile and go on waiting: pppd for 30."""
ENTRIES = 4096
"""Addresses and users remembered; beyond, the one that failed longest ago is forgotten."""


class Pace:
    """Counts failures and says how long to wait. Each key is on its own; one call of each method costs constant time.

    For each key there is one number: when its last failure would have been due, had it kept to the interval (the
    generic cell rate algorithm of ATM).

    Args:
        burst: failures without a delay.
        interval: seconds between further ones.
        longest: the longest delay, in seconds.
    """

    def __init__(self, *, burst: int = BURST, interval: float = INTERVAL, longest: float = LONGEST) -> None:
        self._allowance = burst * interval
        self._interval = interval
        self._longest = longest
        self._due: OrderedDict[Hashable, float] = OrderedDict()

    def delay(self, key: Hashable, now: float) -> float:
        """Return how many seconds to hold the next answer to this key back."""
        return min(self._longest, self._excess(key, now))

    def exhausted(self, key: Hashable, now: float) -> bool:
        """Say whether even the longest delay would let this key be too fast: many tries at a time."""
        return self._excess(key, now) > self._longest

    def failed(self, key: Hashable, now: float) -> None:
        """Note a failure."""
        due = max(now, self._due.get(key, now)) + self._interval
        # A flood pays off in the end: what is remembered is bounded in time as well.
        self._due[key] = min(due, now + self._allowance + 6 * self._longest)
        self._due.move_to_end(key)
        if len(self._due) > ENTRIES:
            self._due.popitem(last=False)

    def _excess(self, key: Hashable, now: float) -> float:
        due = self._due.get(key)
        if due is None:
            return 0.0
        if due <= now:
            del self._due[key]
            return 0.0
        return max(0.0, due - now - self._allowance)
