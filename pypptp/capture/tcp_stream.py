"""The control connection's octets out of captured TCP segments: in order, once, over gaps (RFC 9293, RFC 2637 1.3).

A capture is not a receiver: it may begin in the middle, miss segments both ends had, or hold them twice. So nothing is
waited for longer than it could still come, and behind a gap the reader looks for the next magic cookie, which a live
connection must never do.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from pypptp.capture.pcap_file import NANOSECONDS
from pypptp.control.codes import HEADER_LENGTH, MAGIC_COOKIE
from pypptp.control.framing import MAXIMUM_MESSAGE_LENGTH

MAXIMUM_SEGMENTS_HELD = 256
MAXIMUM_OCTETS_HELD = 65536
LONGEST_WAIT = 10 * NANOSECONDS
"""Nanoseconds of capture time a missing segment may take to be sent again before it counts as not captured."""

_FARTHEST_AHEAD = 1 << 24
"""No control connection has a window of 16 MiB: such a segment is not of this connection."""

_HEADER = struct.Struct("!HHIIBB")
_SHORTEST_HEADER = 20
_FIN = 0x01
_SYN = 0x02
_RST = 0x04
_MODULUS = 1 << 32
_HALF = 1 << 31
_COOKIE = MAGIC_COOKIE.to_bytes(4, "big")
_COOKIE_POSITION = 4


@dataclass(frozen=True, slots=True)
class Segment:
    """A TCP segment's ports, sequence number, flags and data."""

    source_port: int
    destination_port: int
    sequence: int
    data: bytes
    syn: bool
    end: bool
    """FIN or RST: no later octets follow those of this segment."""


def parse_segment(payload: bytes, missing: int = 0) -> Segment | None:
    """Read a TCP segment; None where it is shorter than its header says.

    Octets missing at its end become zeros: what a snap length cuts off a control message is the padding of its strings.
    """
    if len(payload) < _SHORTEST_HEADER:
        return None
    source_port, destination_port, sequence, _, offset, flags = _HEADER.unpack_from(payload)
    start = (offset >> 4) * 4
    if not _SHORTEST_HEADER <= start <= len(payload):
        return None
    data = payload[start:] + bytes(missing)
    return Segment(source_port, destination_port, sequence, data, bool(flags & _SYN), bool(flags & (_FIN | _RST)))


class ControlStream:
    """One direction of one control connection: segments in, whole control messages out.

    Attributes:
        gaps: places where octets are missing from the capture.
        skipped: octets passed over to find the next message.
    """

    __slots__ = ("_buffer", "_held", "_next", "_waiting_since", "gaps", "skipped")

    def __init__(self) -> None:
        self.gaps = 0
        self.skipped = 0
        self._next: int | None = None
        self._held: dict[int, bytes] = {}
        self._waiting_since = 0
        self._buffer = bytearray()

    def feed(self, segment: Segment, time: int) -> Iterator[bytes]:
        """Take a segment in capture order; yield the messages that are complete now, each from its length field on."""
        sequence = segment.sequence
        if segment.syn:
            sequence = sequence + 1 & _MODULUS - 1
            if self._next is None or not self._repeats(sequence, segment.data):
                self._start_over(sequence)
        if self._next is None:
            self._next = sequence
        if segment.data:
            self._hold(sequence, segment.data, time)
        self._deliver()
        if self._held:
            octets = sum(map(len, self._held.values()))
            late = abs(time - self._waiting_since) > LONGEST_WAIT
            if segment.end or late or len(self._held) > MAXIMUM_SEGMENTS_HELD or octets > MAXIMUM_OCTETS_HELD:
                self._pass_gap(everything=segment.end)
        yield from self._messages()

    def finish(self) -> Iterator[bytes]:
        """Yield the messages behind whatever gaps are left at the end of the capture."""
        self._pass_gap(everything=True)
        yield from self._messages()

    def _repeats(self, sequence: int, data: bytes) -> bool:
        # A retransmitted SYN lies a few octets behind what was read; a new connection begins anywhere else.
        assert self._next is not None
        behind = self._next - sequence & _MODULUS - 1
        return behind <= MAXIMUM_OCTETS_HELD and not data

    def _start_over(self, sequence: int) -> None:
        self._next = sequence
        self._held.clear()
        self._buffer.clear()

    def _hold(self, sequence: int, data: bytes, time: int) -> None:
        assert self._next is not None
        ahead = _distance(self._next, sequence)
        if ahead > _FARTHEST_AHEAD:
            return
        if ahead < 0:
            data = data[-ahead:]
            sequence = self._next
        if not data:
            return
        if not self._held:
            self._waiting_since = time
        if len(data) > len(self._held.get(sequence, b"")):
            self._held[sequence] = data

    def _deliver(self) -> None:
        while self._held:
            following = self._next
            assert following is not None
            sequence = min(self._held, key=lambda held: _distance(following, held))
            ahead = _distance(following, sequence)
            if ahead > 0:
                return
            data = self._held.pop(sequence)[-ahead:] if ahead else self._held.pop(sequence)
            self._buffer += data
            self._next = following + len(data) & _MODULUS - 1

    def _pass_gap(self, *, everything: bool) -> None:
        while self._held:
            following = self._next
            assert following is not None
            self._next = min(self._held, key=lambda held: _distance(following, held))
            self.gaps += 1
            # What was read before the gap can be no more than a message's beginning.
            self.skipped += len(self._buffer)
            self._buffer.clear()
            self._deliver()
            if not everything:
                return

    def _messages(self) -> Iterator[bytes]:
        buffer = self._buffer
        while len(buffer) >= _COOKIE_POSITION + len(_COOKIE):
            length = buffer[0] << 8 | buffer[1]
            framed = HEADER_LENGTH <= length <= MAXIMUM_MESSAGE_LENGTH
            if not framed or buffer[_COOKIE_POSITION : _COOKIE_POSITION + len(_COOKIE)] != _COOKIE:
                self._skip_to_cookie()
                continue
            if len(buffer) < length:
                return
            yield bytes(buffer[:length])
            del buffer[:length]

    def _skip_to_cookie(self) -> None:
        found = self._buffer.find(_COOKIE, _COOKIE_POSITION + 1)
        if found < 0:
            # The last octets may be the beginning of a message whose cookie has not come whole.
            found = max(len(self._buffer) - len(_COOKIE) + 1, _COOKIE_POSITION + 1)
        skipped = found - _COOKIE_POSITION
        self.skipped += skipped
        del self._buffer[:skipped]


def _distance(start: int, end: int) -> int:
    """Signed distance between two 32-bit sequence numbers."""
    return (end - start + _HALF) % _MODULUS - _HALF
