"""One call's GRE tunnel (RFC 2637 section 4): numbers frames out, orders frames in, acknowledges, keeps the books.

The in-order path in each direction is straight-line code on the caller's buffer: no copy, no object, no exception.
Every packet refused has a counter (:meth:`Tunnel.counters`). The tunnel opens no socket and reads no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pypptp.gre.header import (
    ACKNOWLEDGEMENT_PRESENT,
    BARE_ACK,
    CHECKSUM_PRESENT,
    DATA,
    DATA_LENGTH,
    DATA_WITH_ACK,
    DATA_WITH_ACK_LENGTH,
    FIXED,
    FIXED_LENGTH,
    FOUR_WORDS,
    HALF_SEQUENCE_SPACE,
    KEY_PRESENT,
    NUMBER,
    PROTOCOL_TYPE,
    RESERVED_MASK,
    ROUTING_PRESENT,
    SEQUENCE_MASK,
    SEQUENCE_PRESENT,
    THREE_WORDS,
    VERSION,
    VERSION_MASK,
)
from pypptp.gre.reorder import ReorderQueue
from pypptp.gre.round_trip import RoundTrip, SendWindow
from pypptp.gre.verdicts import ACK_ONLY, DELIVER, MALFORMED, WRONG_CALL

_pack_data: Final = THREE_WORDS.pack_into
_pack_data_with_ack: Final = FOUR_WORDS.pack_into
_unpack_four_words: Final = FOUR_WORDS.unpack_from


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelConfig:
    """Limits of one tunnel. Times are seconds, windows are frames.

    Attributes:
        reorder_window: how far ahead a frame may be and still be put in order; also bounds the queue.
        reorder_timeout: how long a gap holds delivery up, at first.
        maximum_reorder_timeout: what that may grow to when frames keep coming just too late.
        ack_delay: how long a received frame may wait for a frame that carries its acknowledgement; under 0.5.
        receive_window: the window this end gave in its call message; an acknowledgement is ready after half of it, so
            that a peer which keeps to the window (section 4.2) is not slowed by ack_delay.
        peer_window: the window the peer gave; only for statistics, sending never blocks.
        peer_processing_delay: the peer's Packet Processing Delay in seconds (the wire has tenths): seed of the RTT.
        minimum_ack_timeout, maximum_ack_timeout: MinTimeOut and MaxTimeOut of section 4.4.1.
        first_sequence: number of the first frame sent; section 4.1 says 0.
    """

    reorder_window: int = 64
    reorder_timeout: float = 0.025
    maximum_reorder_timeout: float = 0.2
    ack_delay: float = 0.1
    receive_window: int = 64
    peer_window: int = 64
    peer_processing_delay: float = 0.0
    minimum_ack_timeout: float = 0.05
    maximum_ack_timeout: float = 10.0
    first_sequence: int = 0


class Tunnel:
    """The data path of one call, both directions.

    ``local_call_id`` is what packets to this end carry, ``peer_call_id`` what packets to the peer carry. Which tunnel a
    packet belongs to, and whether its source address is the peer's, the caller has decided before.

    After each :meth:`receive` and :meth:`handle_timer` the caller looks at two flags: while ``ready``, it takes frames
    with :meth:`next_queued`; when ``ack_ready``, it sends :meth:`bare_ack`, unless a frame it is about to send carries
    the acknowledgement anyway.

    Attributes:
        payload_start, payload_end: where the payload lies in the buffer after DELIVER.
        sequence: number of the frame delivered last, by receive or next_queued.
        ready: next_queued has a frame.
        ack_ready: an acknowledgement has waited for its delay, or for half the receive window.
        sent, received: frames with payload sent, and accepted (delivered or queued).
        acks_sent, acks_piggybacked: acknowledgements alone, and carried by a frame.
        round_trip: estimate of section 4.4; send_window: the window of section 4.2. Neither holds anything back.
    """

    __slots__ = (
        "_ack_deadline",
        "_ack_delay",
        "_ack_limit",
        "_acknowledged",
        "_next_sequence",
        "_order",
        "_timed_at",
        "_timed_sequence",
        "_unacknowledged",
        "ack_ready",
        "acks_backwards",
        "acks_beyond_sent",
        "acks_piggybacked",
        "acks_received",
        "acks_sent",
        "checksum_or_routing",
        "empty",
        "key_missing",
        "local_call_id",
        "payload_beyond_packet",
        "payload_end",
        "payload_start",
        "payload_without_sequence",
        "peer_call_id",
        "ready",
        "reserved_bits",
        "round_trip",
        "send_window",
        "sent",
        "sequence",
        "taken_back",
        "truncated",
        "wrong_call",
        "wrong_protocol",
        "wrong_version",
    )

    def __init__(self, local_call_id: int, peer_call_id: int, *, config: TunnelConfig | None = None) -> None:
        config = config or TunnelConfig()
        self.local_call_id = local_call_id
        self.peer_call_id = peer_call_id
        self.payload_start = 0
        self.payload_end = 0
        self.sequence = 0
        self.ready = False
        self.ack_ready = False
        self.round_trip = RoundTrip(
            config.peer_processing_delay, minimum=config.minimum_ack_timeout, maximum=config.maximum_ack_timeout
        )
        self.send_window = SendWindow(config.peer_window)
        self._order = ReorderQueue(config.reorder_window, config.reorder_timeout, config.maximum_reorder_timeout)
        self._next_sequence = config.first_sequence & SEQUENCE_MASK
        self._acknowledged = (config.first_sequence - 1) & SEQUENCE_MASK
        self._ack_delay = config.ack_delay
        self._ack_limit = max(1, config.receive_window // 2)
        self._ack_deadline = 0.0
        self._unacknowledged = 0
        self._timed_at: float | None = None
        self._timed_sequence = 0
        self.sent = 0
        self.acks_sent = 0
        self.acks_piggybacked = 0
        self.acks_received = 0
        self.acks_backwards = 0
        self.acks_beyond_sent = 0
        self.empty = 0
        self.taken_back = 0
        self.truncated = 0
        self.wrong_version = 0
        self.wrong_protocol = 0
        self.checksum_or_routing = 0
        self.key_missing = 0
        self.reserved_bits = 0
        self.payload_beyond_packet = 0
        self.payload_without_sequence = 0
        self.wrong_call = 0

    # -- out ---------------------------------------------------------------------------------------------------------

    def write_header(self, buffer: bytearray, payload_start: int, payload_end: int, now: float) -> int:
        """Write the header right before ``buffer[payload_start:payload_end]``; returns where the packet starts.

        The payload is a PPP frame of 1 to 65,535 octets with at least HEADROOM octets free before it. The header is 12
        octets, or 16 when an acknowledgement is due, which it then carries. Every call takes the next number.
        """
        sequence = self._next_sequence
        self._next_sequence = (sequence + 1) & SEQUENCE_MASK
        self.sent += 1
        if self._timed_at is None:
            self._timed_at = now
            self._timed_sequence = sequence
        key = (payload_end - payload_start) << 16 | self.peer_call_id
        if self._unacknowledged:
            self._unacknowledged = 0
            self.ack_ready = False
            self.acks_piggybacked += 1
            start = payload_start - DATA_WITH_ACK_LENGTH
            _pack_data_with_ack(buffer, start, DATA_WITH_ACK, key, sequence, self._order.highest)
            return start
        start = payload_start - DATA_LENGTH
        _pack_data(buffer, start, DATA, key, sequence)
        return start

    def bare_ack(self, now: float) -> bytes | None:
        """Build a packet of 12 octets that only acknowledges, or None when nothing is unacknowledged.

        It has no S bit and takes no number; the acknowledgement stands where a sequence number would (section 4.1).
        """
        if not self._unacknowledged:
            return None
        self._unacknowledged = 0
        self.ack_ready = False
        self.acks_sent += 1
        return THREE_WORDS.pack(BARE_ACK, self.peer_call_id, self._order.highest)

    # -- in ----------------------------------------------------------------------------------------------------------

    def receive(self, buffer: bytes | bytearray | memoryview, start: int, end: int, now: float) -> int:
        """Judge the GRE packet at ``buffer[start:end]`` (no IP header); returns a verdict and never raises.

        On DELIVER the PPP frame is ``buffer[tunnel.payload_start:tunnel.payload_end]``, cut to the declared length, and
        comes before anything :meth:`next_queued` gives. On every other verdict the buffer may be used again.
        """
        if end - start < DATA_WITH_ACK_LENGTH:
            return self._receive_other(buffer, start, end, now)
        first_word, key, sequence, acknowledgement = _unpack_four_words(buffer, start)
        if first_word == DATA:
            payload_start = start + DATA_LENGTH
        elif first_word == DATA_WITH_ACK:
            payload_start = start + DATA_WITH_ACK_LENGTH
        else:
            return self._receive_other(buffer, start, end, now)
        payload_end = payload_start + (key >> 16)
        if key & 0xFFFF != self.local_call_id or not payload_start < payload_end <= end:
            return self._receive_other(buffer, start, end, now)
        if first_word == DATA_WITH_ACK and acknowledgement != self._acknowledged:
            self._acknowledge(acknowledgement, now)
        order = self._order
        if sequence != order.expected or order.queue:
            return self._receive_out_of_order(sequence, buffer, payload_start, payload_end, now)
        order.highest = sequence
        order.expected = (sequence + 1) & SEQUENCE_MASK
        order.accepted += 1
        unacknowledged = self._unacknowledged + 1
        self._unacknowledged = unacknowledged
        if unacknowledged == 1:
            self._ack_deadline = now + self._ack_delay
        if unacknowledged >= self._ack_limit:
            self.ack_ready = True
        self.sequence = sequence
        self.payload_start = payload_start
        self.payload_end = payload_end
        return DELIVER

    def _receive_out_of_order(
        self, sequence: int, buffer: bytes | bytearray | memoryview, payload_start: int, payload_end: int, now: float
    ) -> int:
        order = self._order
        accepted = order.accepted
        verdict = order.offer(sequence, buffer, payload_start, payload_end, now)
        self._note_accepted(order.accepted - accepted, now)
        self.ready = order.ready
        if verdict == DELIVER:
            self.sequence = sequence
            self.payload_start = payload_start
            self.payload_end = payload_end
        return verdict

    def _receive_other(self, buffer: bytes | bytearray | memoryview, start: int, end: int, now: float) -> int:
        """Judge short packets, those without payload, and all that is wrong with the rest."""
        if end - start < FIXED_LENGTH:
            self.truncated += 1
            return MALFORMED
        flags, protocol_type, payload_length, call_id = FIXED.unpack_from(buffer, start)
        if flags & VERSION_MASK != VERSION:
            self.wrong_version += 1
            return MALFORMED
        if protocol_type != PROTOCOL_TYPE:
            self.wrong_protocol += 1
            return MALFORMED
        if flags & (CHECKSUM_PRESENT | ROUTING_PRESENT):
            self.checksum_or_routing += 1
            return MALFORMED
        if not flags & KEY_PRESENT:
            self.key_missing += 1
            return MALFORMED
        if flags & RESERVED_MASK:
            self.reserved_bits += 1
            return MALFORMED
        if call_id != self.local_call_id:
            self.wrong_call += 1
            return WRONG_CALL
        acknowledgement_start = start + FIXED_LENGTH + (NUMBER.size if flags & SEQUENCE_PRESENT else 0)
        payload_start = acknowledgement_start + (NUMBER.size if flags & ACKNOWLEDGEMENT_PRESENT else 0)
        payload_end = payload_start + payload_length
        if payload_start > end:
            self.truncated += 1
            return MALFORMED
        if payload_end > end:
            self.payload_beyond_packet += 1
            return MALFORMED
        if payload_length and not flags & SEQUENCE_PRESENT:
            self.payload_without_sequence += 1
            return MALFORMED
        if flags & ACKNOWLEDGEMENT_PRESENT:
            (acknowledgement,) = NUMBER.unpack_from(buffer, acknowledgement_start)
            self._acknowledge(acknowledgement, now)
        if not flags & SEQUENCE_PRESENT:
            if flags & ACKNOWLEDGEMENT_PRESENT:
                self.acks_received += 1
            else:
                self.empty += 1
            return ACK_ONLY
        (sequence,) = NUMBER.unpack_from(buffer, start + FIXED_LENGTH)
        if not payload_length:
            self.empty += 1
            self._order.passed_over = sequence
            return ACK_ONLY
        return self._receive_out_of_order(sequence, buffer, payload_start, payload_end, now)

    def next_queued(self) -> bytes | None:
        """Take the next frame in order from the reorder queue, or None; sets ``sequence`` and ``ready``."""
        order = self._order
        payload = order.pop()
        self.ready = order.ready
        if payload is not None:
            self.sequence = (order.expected - 1) & SEQUENCE_MASK
        return payload

    def take_back(self) -> None:
        """Undo the last delivery: its payload proved implausible, and the genuine frame of that number may still come.

        Where the forged number had stepped over a gap or far ahead, that is undone too. Call it before anything else
        is received or taken.
        """
        order = self._order
        accepted = order.accepted
        if not accepted or not order.take_back(self.sequence):
            return
        self.taken_back += 1
        self.ready = order.ready
        self._unacknowledged = max(0, self._unacknowledged - (accepted - order.accepted))
        if not self._unacknowledged:
            self.ack_ready = False

    def _note_accepted(self, frames: int, now: float) -> None:
        if frames <= 0:
            return
        if not self._unacknowledged:
            self._ack_deadline = now + self._ack_delay
        self._unacknowledged += frames
        if self._unacknowledged >= self._ack_limit:
            self.ack_ready = True

    def _acknowledge(self, acknowledgement: int, now: float) -> None:
        """Take in what the peer acknowledges, if it is newer than the last and was sent."""
        advance = (acknowledgement - self._acknowledged) & SEQUENCE_MASK
        if advance == 0:
            return
        if advance > (self._next_sequence - 1 - self._acknowledged) & SEQUENCE_MASK:
            if advance >= HALF_SEQUENCE_SPACE:
                self.acks_backwards += 1
            else:
                self.acks_beyond_sent += 1
            return
        self._acknowledged = acknowledgement
        self.send_window.acknowledged(advance)
        timed_at = self._timed_at
        if timed_at is not None and (acknowledgement - self._timed_sequence) & SEQUENCE_MASK < HALF_SEQUENCE_SPACE:
            self._timed_at = None
            self.round_trip.sample(now - timed_at)

    # -- time --------------------------------------------------------------------------------------------------------

    def get_timer(self) -> float | None:
        """When :meth:`handle_timer` is to be called next, or None."""
        deadline = self._order.get_timer()
        if self._unacknowledged and not self.ack_ready and (deadline is None or self._ack_deadline < deadline):
            deadline = self._ack_deadline
        if self._timed_at is not None:
            timeout = self._timed_at + self.round_trip.adaptive_timeout
            if deadline is None or timeout < deadline:
                deadline = timeout
        return deadline

    def handle_timer(self, now: float) -> None:
        """Do what is due at ``now``: may set ``ack_ready`` and ``ready``."""
        if self._unacknowledged and now >= self._ack_deadline:
            self.ack_ready = True
        order = self._order
        accepted = order.accepted
        order.handle_timer(now)
        self._note_accepted(order.accepted - accepted, now)
        self.ready = order.ready
        if self._timed_at is not None and now >= self._timed_at + self.round_trip.adaptive_timeout:
            # The frame or its acknowledgement is lost, or the peer sends none: measure the next frame instead.
            self._timed_at = None
            self.round_trip.back_off()
            self.send_window.timed_out()

    # -- books -------------------------------------------------------------------------------------------------------

    @property
    def received(self) -> int:
        """Frames with payload accepted: delivered, or queued for delivery."""
        return self._order.accepted

    @property
    def next_sequence(self) -> int:
        """Number the next frame sent takes."""
        return self._next_sequence

    @property
    def highest_received(self) -> int | None:
        """Highest number received, which is what is acknowledged; None before the first frame."""
        return self._order.highest if self._order.accepted else None

    @property
    def in_flight(self) -> int:
        """Frames sent and not yet acknowledged; grows without end where the peer never acknowledges."""
        return (self._next_sequence - 1 - self._acknowledged) & SEQUENCE_MASK

    @property
    def window(self) -> int:
        """Send window in frames (section 4.2); reported, never enforced."""
        return self.send_window.size

    @property
    def round_trip_time(self) -> float:
        """Estimated round-trip time in seconds (section 4.4.1)."""
        return self.round_trip.round_trip_time

    @property
    def adaptive_timeout(self) -> float:
        """Adaptive acknowledgement time-out in seconds (section 4.4.1)."""
        return self.round_trip.adaptive_timeout

    @property
    def reorder_timeout(self) -> float:
        """Seconds a gap is waited for now."""
        return self._order.timeout

    def counters(self) -> dict[str, int]:
        """Everything counted, by name; each way to refuse a packet has its own."""
        order = self._order
        return {
            "sent": self.sent,
            "received": order.accepted,
            "acks_sent": self.acks_sent,
            "acks_piggybacked": self.acks_piggybacked,
            "acks_received": self.acks_received,
            "acks_backwards": self.acks_backwards,
            "acks_beyond_sent": self.acks_beyond_sent,
            "ack_timeouts": self.round_trip.timeouts,
            "empty": self.empty,
            "queued": order.queued,
            "given_up": order.given_up,
            "far_jumps": order.far_jumps,
            "resynchronised": order.resynchronised,
            "taken_back": self.taken_back,
            "truncated": self.truncated,
            "wrong_version": self.wrong_version,
            "wrong_protocol": self.wrong_protocol,
            "checksum_or_routing": self.checksum_or_routing,
            "key_missing": self.key_missing,
            "reserved_bits": self.reserved_bits,
            "payload_beyond_packet": self.payload_beyond_packet,
            "payload_without_sequence": self.payload_without_sequence,
            "wrong_call": self.wrong_call,
            "duplicate": order.duplicate,
            "late": order.late,
            "far": order.far,
            "far_dropped": order.far_dropped,
            "queue_full": order.queue_full,
            "discarded": order.discarded,
        }
