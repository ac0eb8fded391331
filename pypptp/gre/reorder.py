"""Which sequence number comes next: the order of received frames when it is not simply the next one (RFC 2637 4.3).

Frames in order never come here. This is for gaps, duplicates, late frames and numbers far off the present flow:

- A gap within the window waits for its frames, at most the reorder time-out and at most a window's worth of numbers.
- A number further ahead is held alone. A neighbour that follows before anything in order does, or the time-out with
  nothing in order meanwhile, proves it; a frame in order disproves it. So one forged number does not move the flow, and
  after a burst of loss the first two frames do.
- Numbers far behind, RESYNCHRONISE_AFTER in a row without one in order, set the flow back to them.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from pypptp.gre.header import HALF_SEQUENCE_SPACE, SEQUENCE_MASK
from pypptp.gre.verdicts import DELIVER, DUPLICATE, FAR, LATE, QUEUE_FULL, QUEUED

RESYNCHRONISE_AFTER: Final = 8
DUPLICATE_HORIZON: Final = 65_536
"""A number behind by at most this that was not given up was delivered: copies of it never set the flow back."""
REMEMBERED_GAPS: Final = 64
DECAY: Final = 7 / 8


class _Gap:
    """A run of numbers given up; ``noticed`` is when the wait began, None where no longer wait would have helped."""

    __slots__ = ("count", "first", "noticed")

    def __init__(self, first: int, count: int, noticed: float | None) -> None:
        self.first = first
        self.count = count
        self.noticed = noticed


class _Held:
    """The one frame far ahead that nothing speaks for yet; ``accepted`` is the queue's count when it came."""

    __slots__ = ("accepted", "arrival", "payload", "sequence")

    def __init__(self, sequence: int, arrival: float, payload: bytes, accepted: int) -> None:
        self.sequence = sequence
        self.arrival = arrival
        self.payload = payload
        self.accepted = accepted


class ReorderQueue:
    """The receive order of one tunnel.

    The tunnel moves ``expected``, ``highest`` and ``accepted`` itself on its in-order path, only while ``queue`` is
    empty.

    Attributes:
        expected: the number to deliver next.
        highest: the highest number received, what is acknowledged; meaningless while ``accepted`` is 0.
        accepted: frames taken in, delivered or queued.
        queue: number -> (arrival, payload) of the frames that wait, in order of arrival.
        ready: a frame can be taken with pop.
        timeout: seconds a gap is waited for now; grows when late frames show it too short, else decays.
        passed_over: number of a frame without payload; a peer may or may not have spent it on that. -1 for none.
    """

    __slots__ = (
        "_floor",
        "_floor_noticed",
        "_gaps",
        "_held",
        "_late_accepted",
        "_late_next",
        "_late_run",
        "_skipped_from",
        "_skipped_to",
        "accepted",
        "base_timeout",
        "discarded",
        "duplicate",
        "expected",
        "far",
        "far_dropped",
        "far_jumps",
        "given_up",
        "highest",
        "late",
        "maximum_timeout",
        "passed_over",
        "queue",
        "queue_full",
        "queued",
        "ready",
        "resynchronised",
        "timeout",
        "window",
    )

    def __init__(self, window: int, timeout: float, maximum_timeout: float) -> None:
        self.window = window
        self.base_timeout = timeout
        self.maximum_timeout = max(timeout, maximum_timeout)
        self.timeout = timeout
        self.expected = 0
        self.highest = SEQUENCE_MASK
        self.accepted = 0
        self.queue: dict[int, tuple[float, bytes]] = {}
        self.ready = False
        self.passed_over = -1
        self.queued = 0
        self.duplicate = 0
        self.late = 0
        self.far = 0
        self.far_jumps = 0
        self.far_dropped = 0
        self.given_up = 0
        self.queue_full = 0
        self.resynchronised = 0
        self.discarded = 0
        # Numbers below the floor are no longer waited for.
        self._floor: int | None = None
        self._floor_noticed: float | None = None
        self._gaps: deque[_Gap] = deque(maxlen=REMEMBERED_GAPS)
        self._held: _Held | None = None
        self._late_next = -1
        self._late_run = 0
        self._late_accepted = 0
        self._skipped_from = -1
        self._skipped_to = -1

    def offer(self, sequence: int, buffer: bytes | bytearray | memoryview, start: int, end: int, now: float) -> int:
        """Judge a frame with payload ``buffer[start:end]``; copies it where it must wait. Returns a verdict.

        DELIVER means the payload in the buffer is the next one; ``ready`` frames, if any, come after it.
        """
        expected = self.expected
        ahead = (sequence - expected) & SEQUENCE_MASK
        if self.accepted == 0:
            # Sessions start at 0 (section 4.1); Linux pptp.ko and pptp-linux start at 1.
            if ahead > self.window:
                return self._offer_far(sequence, buffer, start, end, now)
            if ahead == 1:
                return self._deliver_after_skip(sequence)
        elif ahead >= HALF_SEQUENCE_SPACE:
            return self._offer_behind(sequence, now)
        if sequence in self.queue:
            self.duplicate += 1
            return DUPLICATE
        if ahead == 0:
            return self._deliver(sequence)
        if ahead == 1 and expected == self.passed_over:
            return self._deliver_after_skip(sequence)
        span = (self.highest + 1 - expected) & SEQUENCE_MASK
        if ahead >= span + self.window:
            return self._offer_far(sequence, buffer, start, end, now)
        if len(self.queue) >= 2 * self.window:
            self.queue_full += 1
            return QUEUE_FULL
        self.queue[sequence] = (now, bytes(memoryview(buffer)[start:end]))
        self.accepted += 1
        self.queued += 1
        if ahead >= span:
            self.highest = sequence
        if ahead >= self.window:
            # A gap in a fast flow: a window of frames behind it says as much as the time-out does.
            self._raise_floor((sequence - self.window + 1) & SEQUENCE_MASK, None)
        return QUEUED

    def pop(self) -> bytes | None:
        """Take the next frame out of the queue, stepping over numbers given up; its number is then ``expected - 1``."""
        if not self.ready:
            return None
        queue = self.queue
        expected = self.expected
        if expected not in queue:
            step = self._nearest()
            self._give_up(step, self._floor_noticed)
            expected = self._skipped_to = (expected + step) & SEQUENCE_MASK
        _, payload = queue.pop(expected)
        self.expected = (expected + 1) & SEQUENCE_MASK
        if not queue:
            self.highest = expected
            self._floor = None
        self._settle()
        return payload

    def take_back(self, sequence: int) -> bool:
        """Undo that ``sequence``, the last number delivered, was accepted, and the jump over a gap that led to it.

        Returns False, and does nothing, where it is not the last number delivered.
        """
        if (self.expected - sequence) & SEQUENCE_MASK != 1:
            return False
        if sequence == self._skipped_to:
            distance = (sequence - self._skipped_from) & SEQUENCE_MASK
            self.expected = self._skipped_from
            self._skipped_to = -1
            self._floor = None
            if self._gaps and self._gaps[-1].first == self.expected:
                self.given_up -= self._gaps.pop().count
            if distance > self.window:
                self.accepted -= len(self.queue)
                self._discard_queue()
        else:
            self.expected = sequence
        self.accepted -= 1
        if not self.queue:
            self.highest = (self.expected - 1) & SEQUENCE_MASK
        self._settle()
        return True

    def get_timer(self) -> float | None:
        """When the oldest gap or the held frame is decided; None while nothing waits."""
        deadline: float | None = None
        if self.queue and not self.ready:
            deadline = next(iter(self.queue.values()))[0] + self.timeout
        if self._held is not None and (deadline is None or self._held.arrival + self.timeout < deadline):
            deadline = self._held.arrival + self.timeout
        return deadline

    def handle_timer(self, now: float) -> None:
        """Give up gaps older than the time-out; decide on the held frame."""
        held = self._held
        held_expired = held is not None and held.arrival + self.timeout <= now
        if self.queue and not self.ready:
            self._expire_gaps(now)
        if held is not None and held_expired:
            self._held = None
            if held.accepted == self.accepted and len(self.queue) < 2 * self.window:
                self._jump_to([held])
            else:
                self.far_dropped += 1

    def _deliver(self, sequence: int) -> int:
        self.expected = (sequence + 1) & SEQUENCE_MASK
        self.accepted += 1
        if not self.queue:
            self.highest = sequence
        self._settle()
        return DELIVER

    def _deliver_after_skip(self, sequence: int) -> int:
        self._give_up((sequence - self.expected) & SEQUENCE_MASK, None)
        self._skipped_to = sequence
        self.expected = sequence
        return self._deliver(sequence)

    def _offer_far(
        self, sequence: int, buffer: bytes | bytearray | memoryview, start: int, end: int, now: float
    ) -> int:
        held = self._held
        if held is not None and held.sequence == sequence:
            self.duplicate += 1
            return DUPLICATE
        if len(self.queue) >= 2 * self.window:
            self.queue_full += 1
            return QUEUE_FULL
        self.far += 1
        frame = _Held(sequence, now, bytes(memoryview(buffer)[start:end]), self.accepted)
        if held is not None and held.accepted == self.accepted:
            after = (sequence - held.sequence) & SEQUENCE_MASK
            if after <= self.window or after > SEQUENCE_MASK - self.window:
                self._held = None
                self._jump_to([held, frame] if after <= self.window else [frame, held])
                return QUEUED
        if held is not None:
            self.far_dropped += 1
        self._held = frame
        return FAR

    def _jump_to(self, frames: list[_Held]) -> None:
        first = frames[0].sequence
        backwards = (first - self.expected) & SEQUENCE_MASK >= HALF_SEQUENCE_SPACE
        self.far_jumps += 1
        for frame in frames:
            self.queue[frame.sequence] = (frame.arrival, frame.payload)
        self.accepted += len(frames)
        self.queued += len(frames)
        self.highest = frames[-1].sequence
        if backwards:  # only before the first frame
            self._skipped_from = self.expected
            self._skipped_to = self.expected = first
            self.ready = True
        else:
            self._raise_floor(first, None)

    def _offer_behind(self, sequence: int, now: float) -> int:
        behind = (self.expected - sequence) & SEQUENCE_MASK
        gap = self._gap_of(sequence)
        if gap is None and behind <= DUPLICATE_HORIZON:
            self.duplicate += 1
            return DUPLICATE
        if gap is not None and gap.noticed is not None:
            if now - gap.noticed <= self.maximum_timeout:
                self.timeout = min(2 * self.timeout, self.maximum_timeout)
            gap.noticed = None
        follows = sequence == self._late_next and self.accepted == self._late_accepted
        if follows or behind > self.window:
            self._late_run = self._late_run + 1 if follows else 1
            self._late_next = (sequence + 1) & SEQUENCE_MASK
            self._late_accepted = self.accepted
            if self._late_run >= RESYNCHRONISE_AFTER:
                return self._resynchronise(sequence)
        self.late += 1
        return LATE

    def _resynchronise(self, sequence: int) -> int:
        self.resynchronised += 1
        self._late_run = 0
        self._discard_queue()
        self._held = None
        self._floor = None
        self._gaps.clear()
        self._skipped_from = self.expected
        self._skipped_to = sequence
        return self._deliver(sequence)

    def _discard_queue(self) -> None:
        self.discarded += len(self.queue)
        self.queue.clear()
        self.ready = False

    def _expire_gaps(self, now: float) -> None:
        furthest = -1
        noticed = now
        for number, (arrival, _) in self.queue.items():
            if arrival + self.timeout > now:
                break
            distance = (number - self.expected) & SEQUENCE_MASK
            if distance > furthest:
                furthest = distance
            noticed = min(noticed, arrival)
        if furthest > 0:
            self.timeout = max(self.base_timeout, self.timeout * DECAY)
            self._raise_floor((self.expected + furthest) & SEQUENCE_MASK, noticed)

    def _raise_floor(self, floor: int, noticed: float | None) -> None:
        self._floor = floor
        self._floor_noticed = noticed
        self._settle()

    def _nearest(self) -> int:
        expected = self.expected
        return min((number - expected) & SEQUENCE_MASK for number in self.queue)

    def _settle(self) -> None:
        """Set ``ready``: the expected number is here, or all before one that is here has been given up.

        Numbers are stepped over only when the frame after them is taken: until then the missing one is still in time.
        """
        self.ready = self.expected in self.queue
        if self.ready or self._floor is None:
            return
        step = (self._floor - self.expected) & SEQUENCE_MASK
        if step >= HALF_SEQUENCE_SPACE:
            self._floor = None
        elif self.queue:
            self.ready = self._nearest() <= step

    def _give_up(self, count: int, noticed: float | None) -> None:
        self._gaps.append(_Gap(self.expected, count, noticed))
        self._skipped_from = self.expected
        self.given_up += count

    def _gap_of(self, sequence: int) -> _Gap | None:
        for gap in self._gaps:
            if (sequence - gap.first) & SEQUENCE_MASK < gap.count:
                return gap
        return None
