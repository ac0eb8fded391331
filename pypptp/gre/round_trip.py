"""How long acknowledgements take, and the send window they open (RFC 2637 sections 4.2 and 4.4).

Both only report: Linux pptp.ko never sends an acknowledgement of its own, so a sender that waited would stop for good.
"""

from __future__ import annotations

from typing import Final

ALPHA: Final = 1 / 8
"""Gain of the average (section 4.4.1)."""
BETA: Final = 1 / 4
"""Gain of the deviation."""
CHI: Final = 4
"""Deviations added to the round-trip time."""
DELTA: Final = 2
"""Back-off after a time-out (section 4.4.2)."""


class RoundTrip:
    """The adaptive acknowledgement time-out of section 4.4. All times are seconds.

    Attributes:
        round_trip_time: RTT, the smoothed estimate; the seed (the peer's Packet Processing Delay) before any sample.
        deviation: DEV, the smoothed mean deviation.
        adaptive_timeout: ATO, within [minimum, maximum].
        samples: acknowledgements measured so far; 0 means that round_trip_time is only the seed.
        latest: the last one measured as it was, without average and back-off; None before the first.
        timeouts: acknowledgements that did not come within ATO.
    """

    __slots__ = (
        "adaptive_timeout",
        "deviation",
        "latest",
        "maximum",
        "minimum",
        "round_trip_time",
        "samples",
        "timeouts",
    )

    def __init__(self, seed: float = 0.0, *, minimum: float = 0.05, maximum: float = 10.0) -> None:
        self.minimum = minimum
        self.maximum = maximum
        self.round_trip_time = min(seed, maximum)
        self.deviation = 0.0
        self.samples = 0
        self.latest: float | None = None
        self.timeouts = 0
        self.adaptive_timeout = minimum
        self._set_timeout()

    def _set_timeout(self) -> None:
        wanted = self.round_trip_time + CHI * self.deviation
        self.adaptive_timeout = max(self.minimum, min(wanted, self.maximum))

    def sample(self, seconds: float) -> None:
        """Take in one measured time between sending a frame and its acknowledgement (section 4.4.1)."""
        difference = seconds - self.round_trip_time
        self.deviation += BETA * (abs(difference) - self.deviation)
        self.round_trip_time += ALPHA * difference
        self.samples += 1
        self.latest = seconds
        self._set_timeout()

    def back_off(self) -> None:
        """Take in that no acknowledgement came within the time-out (section 4.4.2).

        A seed of zero would stay zero when doubled, so doubling starts at the minimum; it ends at the maximum.
        """
        self.round_trip_time = min(DELTA * max(self.round_trip_time, self.minimum), self.maximum)
        self.timeouts += 1
        self._set_timeout()


class SendWindow:
    """The transmit window of section 4.2: half the peer's at first, one more for each window acknowledged.

    Attributes:
        size: frames that may be under way by the standard's rule.
        maximum: the receive window the peer gave in its call message.
    """

    __slots__ = ("_credit", "maximum", "size")

    def __init__(self, maximum: int) -> None:
        self.maximum = max(1, maximum)
        self.size = max(1, self.maximum // 2)
        self._credit = 0

    def acknowledged(self, frames: int) -> None:
        """Count newly acknowledged frames; a whole window's worth opens it by one (4.2.3)."""
        self._credit += frames
        if self._credit >= self.size:
            self._credit = 0
            if self.size < self.maximum:
                self.size += 1

    def timed_out(self) -> None:
        """Close to half, rounded up, never below one (4.2.2)."""
        self.size = (self.size + 1) // 2
        self._credit = 0
