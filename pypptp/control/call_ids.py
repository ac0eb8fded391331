"""Call ids: random, unique while live, not given out again at once (RFC 2637 section 3.2.2)."""

from __future__ import annotations

from collections import deque

from pypptp.errors import LocalProtocolError, PptpError
from pypptp.roles import RandomBytes

RESTING_IDS = 4096
"""Released ids kept back, so that GRE still under way for an old call does not reach a new one."""

_RANDOM_TRIES = 32


class CallIdsExhausted(PptpError):
    """Every call id is in use."""


class CallIdAllocator:
    """Hands out call ids to all connections of one process.

    Ids are random because an off-path attacker who knows one can inject GRE. They come from ``ids``: 1 to 65535 unless
    a process shares the number space with others. 0 is left out: it is legal and pptpd sends it, but it is also what
    an implementation takes for "none".
    """

    __slots__ = ("_ids", "_in_use", "_random", "_resting", "_resting_limit", "_resting_order", "_serial")

    def __init__(self, random: RandomBytes, ids: range = range(1, 0x10000)) -> None:
        if not ids or ids[0] < 0 or ids[-1] > 0xFFFF or ids.step < 1:
            raise LocalProtocolError("call ids lie between 0 and 65535")
        self._random = random
        self._ids = ids
        self._in_use: set[int] = set()
        self._resting: set[int] = set()
        self._resting_order: deque[int] = deque()
        self._resting_limit = min(RESTING_IDS, len(ids) // 4)
        self._serial = 0

    def __len__(self) -> int:
        """Ids in use."""
        return len(self._in_use)

    def allocate(self) -> int:
        """Return an id that is not in use and was not in use lately.

        Raises:
            CallIdsExhausted: all are in use.
        """
        count = len(self._ids)
        if len(self._in_use) == count:
            raise CallIdsExhausted(f"all {count} call ids are in use")
        candidate = 0
        for _ in range(_RANDOM_TRIES):
            candidate = int.from_bytes(self._random(4), "big") % count
            call_id = self._ids[candidate]
            if call_id not in self._in_use and call_id not in self._resting:
                break
        else:
            call_id = self._nearly_full(candidate)
        self._in_use.add(call_id)
        return call_id

    def release(self, call_id: int) -> None:
        """Give an id back.

        Raises:
            LocalProtocolError: it was not in use; two calls would come to share it.
        """
        if call_id not in self._in_use:
            raise LocalProtocolError(f"call id {call_id} is not in use")
        self._in_use.remove(call_id)
        self._resting.add(call_id)
        self._resting_order.append(call_id)
        if len(self._resting_order) > self._resting_limit:
            self._resting.remove(self._resting_order.popleft())

    def next_serial_number(self) -> int:
        """Return the next Call Serial Number (2.7): 16 bits, only for logs, one after the other across connections."""
        self._serial = (self._serial + 1) & 0xFFFF
        return self._serial

    def _nearly_full(self, start: int) -> int:
        """Search from a random place on; only when all free ids are resting, take the one that rested longest."""
        count = len(self._ids)
        for offset in range(count):
            call_id = self._ids[(start + offset) % count]
            if call_id not in self._in_use and call_id not in self._resting:
                return call_id
        call_id = self._resting_order.popleft()
        self._resting.remove(call_id)
        return call_id
