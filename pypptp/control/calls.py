"""The calls of one control connection: which are live, under which ids, and until when (RFC 2637 section 3.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from pypptp.control.call_ids import CallIdAllocator


class CallState(Enum):
    """Where a call stands. An idle call has no entry."""

    REQUESTED = "requested"
    """Outgoing-Call-Request sent or received, not answered (wait_reply, wait_cs_ans)."""
    ESTABLISHED = "established"
    """GRE flows."""
    CLEARING = "clearing"
    """Client: Call-Clear-Request sent (wait_disconnect)."""


@dataclass(slots=True, kw_only=True)
class Call:
    """One call. For the owner of the connection to read, not to change.

    Attributes:
        call_id: our id.
        peer_call_id: the peer's, None while a client does not know it.
        state: where it stands.
        deadline: when the state must have been left, or None.
    """

    call_id: int
    peer_call_id: int | None
    state: CallState
    deadline: float | None = None


class CallTable:
    """Finds calls by our id and by the peer's.

    The peer's ids are unique per connection only (3.2.2): behind one NAT every client may use the same.
    """

    __slots__ = ("_by_call_id", "_by_peer_call_id", "_call_ids", "view")

    def __init__(self, call_ids: CallIdAllocator) -> None:
        self._call_ids = call_ids
        self._by_call_id: dict[int, Call] = {}
        self._by_peer_call_id: dict[int, Call] = {}
        self.view: Mapping[int, Call] = MappingProxyType(self._by_call_id)

    def __len__(self) -> int:
        """Calls in any state."""
        return len(self._by_call_id)

    def __iter__(self) -> Iterator[Call]:
        """Iterate over a copy, oldest first: the loop may end calls."""
        return iter(list(self._by_call_id.values()))

    def add(self, peer_call_id: int | None, deadline: float) -> Call:
        """Enter a requested call under a fresh id of ours.

        Raises:
            CallIdsExhausted: there is none.
        """
        call = Call(call_id=self._call_ids.allocate(), peer_call_id=None, state=CallState.REQUESTED, deadline=deadline)
        self._by_call_id[call.call_id] = call
        if peer_call_id is not None:
            self.bind(call, peer_call_id)
        return call

    def bind(self, call: Call, peer_call_id: int) -> None:
        """Note the peer's id of a call; the caller made sure that no other call has it."""
        call.peer_call_id = peer_call_id
        self._by_peer_call_id[peer_call_id] = call

    def remove(self, call: Call) -> None:
        """Forget a call and give its id back."""
        del self._by_call_id[call.call_id]
        if call.peer_call_id is not None:
            del self._by_peer_call_id[call.peer_call_id]
        self._call_ids.release(call.call_id)

    def get(self, call_id: int) -> Call | None:
        """Return the call of our id."""
        return self._by_call_id.get(call_id)

    def of_peer(self, peer_call_id: int) -> Call | None:
        """Return the call of the peer's id."""
        return self._by_peer_call_id.get(peer_call_id)

    def disconnected(self, peer_call_id: int) -> Call | None:
        """Return the call a Call-Disconnect-Notify means.

        It carries the sender's id. A call cleared before its reply has none yet (2.13), and some servers have sent the
        wrong one (accel-ppp once in host byte order), so a sole call that is being cleared anyway is taken as meant.
        """
        call = self._by_peer_call_id.get(peer_call_id)
        if call is not None:
            return call
        clearing = [call for call in self._by_call_id.values() if call.state is CallState.CLEARING]
        unnamed = [call for call in clearing if call.peer_call_id is None]
        if unnamed:
            return unnamed[0]
        return clearing[0] if len(clearing) == 1 else None

    def deadline(self) -> float | None:
        """Return the earliest deadline of all calls."""
        return min((call.deadline for call in self._by_call_id.values() if call.deadline is not None), default=None)
