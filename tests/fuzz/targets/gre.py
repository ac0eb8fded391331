"""Enhanced GRE: a tunnel fed with packets, in any order, among them well formed ones."""

from __future__ import annotations

from pypptp.gre import Tunnel, build_header, parse_header
from tests.fuzz.script import read_script

LOCAL, PEER = 0x1111, 0x2222
MOST_QUEUED = 128


def tunnel(data: bytes) -> None:
    """Nothing is delivered twice or out of order, acknowledgements stay within what was sent, queues are bounded."""
    now = 0.0
    ours = Tunnel(LOCAL, PEER)
    delivered: list[int] = []
    for step in read_script(data):
        now += step.delay
        octets = bytearray(step.octets)
        header = parse_header(bytes(octets))
        assert header is None or header.header_length <= len(octets)
        verdict = ours.receive(octets, 0, len(octets), now)
        assert isinstance(verdict, int)
        _take(ours, delivered)
        due = ours.get_timer()
        if due is not None and due <= now:
            ours.handle_timer(now)
            _take(ours, delivered)
        if ours.ack_ready:
            acknowledgement = ours.bare_ack(now)
            assert acknowledgement is not None
            assert parse_header(acknowledgement) is not None
        if len(step.octets) % 3 == 0:
            buffer = bytearray(64)
            start = ours.write_header(buffer, 32, 64, now)
            assert parse_header(bytes(buffer[start:])) is not None
        assert ours.in_flight <= ours.next_sequence
    counters = ours.counters()
    assert all(count >= 0 for count in counters.values())
    # A frame counts as received when it is accepted; what waits in the queue is accepted, too.
    assert ours.received >= len(delivered)


def _take(ours: Tunnel, delivered: list[int]) -> None:
    for _ in range(MOST_QUEUED):
        if not ours.ready:
            return
        frame = ours.next_queued()
        assert frame is not None
        delivered.append(len(frame))
    raise AssertionError("the queue has no end")


def packet(sequence: int | None, acknowledgement: int | None, payload: bytes) -> bytes:
    """Build a packet for the tunnel above, for the corpus."""
    return build_header(len(payload), LOCAL, sequence, acknowledgement) + payload
