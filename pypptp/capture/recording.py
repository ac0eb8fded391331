"""What a capture holds of PPTP: control messages, GRE packets by kind, and the PPP frames of every GRE stream.

One pass over the packets, in capture order, without looking into PPP. What it keeps is bounded by the size of the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from pypptp.capture.ip_reassembly import PROTOCOL_GRE, PROTOCOL_TCP, IpDatagram, Reassembler
from pypptp.capture.link_layers import Layer, find_network_layer
from pypptp.capture.pcap_file import CapturedPacket
from pypptp.capture.tcp_stream import ControlStream, Segment, parse_segment
from pypptp.gre.header import HALF_SEQUENCE_SPACE, SEQUENCE_MASK, parse_header
from pypptp.ppp.protocols import split_frame

CONTROL_PORT = 1723
MAXIMUM_CONTROL_STREAMS = 4096

_StreamKey = tuple[IPv4Address, int, IPv4Address, int]


@dataclass(frozen=True, slots=True)
class ControlMessage:
    """One framed control message, parsed or not.

    Attributes:
        number: of the captured packet that completed it.
        time: nanoseconds since 1970-01-01 UTC.
        client: address and port of the end that opened the connection to port 1723.
        server: the other end.
        from_client: who sent it.
        data: the message from its length field on.
    """

    number: int
    time: int
    client: tuple[IPv4Address, int]
    server: tuple[IPv4Address, int]
    from_client: bool
    data: bytes


@dataclass(slots=True, eq=False)
class PppFrame:
    """One PPP frame out of GRE.

    Attributes:
        number: of the captured packet that held it, or the last fragment of it.
        time: nanoseconds since 1970-01-01 UTC.
        sequence: GRE sequence number, counted on over wrap-around (and below zero for a frame from before it);
            None where the packet had none.
        protocol: PPP protocol number.
        information: what follows the protocol field.
        missing: octets at its end that were not captured.
    """

    number: int
    time: int
    sequence: int | None
    protocol: int
    information: bytes
    missing: int


@dataclass(slots=True, eq=False)
class GreStream:
    """The PPP frames one address sent another under one call id, in capture order. The call id is the receiver's."""

    source: IPv4Address
    destination: IPv4Address
    call_id: int
    frames: list[PppFrame] = field(default_factory=list)
    _latest: int | None = None

    def count_on(self, sequence: int) -> int:
        """Carry a 32-bit sequence number on from the last one."""
        if self._latest is None:
            self._latest = sequence
        else:
            ahead = (sequence - self._latest + HALF_SEQUENCE_SPACE & SEQUENCE_MASK) - HALF_SEQUENCE_SPACE
            self._latest += ahead
        return self._latest


@dataclass(slots=True)
class GreCounts:
    """Enhanced GRE packets by kind: with an acknowledgement only, with both numbers, with a sequence number only."""

    total: int = 0
    ack_only: int = 0
    seq_and_ack: int = 0
    seq_only: int = 0


@dataclass(slots=True)
class Recording:
    """Everything about PPTP in one capture.

    Attributes:
        control: control messages, in the order they were complete.
        gre: counts of enhanced GRE packets.
        ppp: frames inside GRE by protocol number.
        streams: PPP frames by (source, destination, call id).
        link_frames: PPP frames other than IP of a capture that was taken on a PPP link itself.
        packets: packets in the capture.
        first_time: time of its first packet.
        damage: why the capture ended before the file should, or the empty string.
    """

    control: list[ControlMessage] = field(default_factory=list)
    gre: GreCounts = field(default_factory=GreCounts)
    ppp: Counter[int] = field(default_factory=Counter)
    streams: dict[tuple[IPv4Address, IPv4Address, int], GreStream] = field(default_factory=dict)
    link_frames: list[PppFrame] = field(default_factory=list)
    packets: int = 0
    first_time: int = 0
    damage: str = ""


class _Recorder:
    def __init__(self) -> None:
        self.recording = Recording()
        self._reassembler = Reassembler()
        self._control: dict[_StreamKey, ControlStream] = {}
        self._last: dict[_StreamKey, tuple[int, int]] = {}

    def feed(self, packet: CapturedPacket) -> None:
        recording = self.recording
        if not recording.packets:
            recording.first_time = packet.time
        recording.packets += 1
        found = find_network_layer(packet.link_type, packet.data)
        if found is None:
            return
        layer, data = found
        if layer is Layer.PPP:
            self._ppp_frame(recording.link_frames, packet, None, data, 0)
            return
        datagram = self._reassembler.feed(data, packet.time)
        if datagram is None:
            return
        if datagram.protocol == PROTOCOL_GRE:
            self._gre(packet, datagram)
        elif datagram.protocol == PROTOCOL_TCP:
            segment = parse_segment(datagram.payload, datagram.missing)
            if segment is not None and CONTROL_PORT in (segment.source_port, segment.destination_port):
                self._segment(packet, datagram, segment)

    def finish(self) -> Recording:
        for key, stream in self._control.items():
            number, time = self._last[key]
            for message in stream.finish():
                self._message(key, number, time, message)
        self.recording.control.sort(key=lambda message: message.number)
        return self.recording

    def _segment(self, packet: CapturedPacket, datagram: IpDatagram, segment: Segment) -> None:
        key = (datagram.source, segment.source_port, datagram.destination, segment.destination_port)
        stream = self._control.get(key)
        if stream is None:
            if len(self._control) >= MAXIMUM_CONTROL_STREAMS:
                # A port scan in the capture must not hold memory for ever: the oldest gives way.
                oldest = next(iter(self._control))
                number, time = self._last.pop(oldest)
                for message in self._control.pop(oldest).finish():
                    self._message(oldest, number, time, message)
            stream = self._control[key] = ControlStream()
        self._last[key] = (packet.number, packet.time)
        for message in stream.feed(segment, packet.time):
            self._message(key, packet.number, packet.time, message)

    def _message(self, key: _StreamKey, number: int, time: int, data: bytes) -> None:
        source, destination = key[:2], key[2:]
        from_client = destination[1] == CONTROL_PORT
        client, server = (source, destination) if from_client else (destination, source)
        self.recording.control.append(ControlMessage(number, time, client, server, from_client, data))

    def _gre(self, packet: CapturedPacket, datagram: IpDatagram) -> None:
        header = parse_header(datagram.payload)
        if header is None:
            return
        counts = self.recording.gre
        counts.total += 1
        if header.sequence is not None:
            if header.acknowledgement is not None:
                counts.seq_and_ack += 1
            else:
                counts.seq_only += 1
        elif header.acknowledgement is not None:
            counts.ack_only += 1
        end = header.header_length + header.payload_length
        payload = datagram.payload[header.header_length : end]
        if not payload:
            return
        key = (datagram.source, datagram.destination, header.call_id)
        stream = self.recording.streams.get(key)
        if stream is None:
            stream = self.recording.streams[key] = GreStream(*key)
        sequence = None if header.sequence is None else stream.count_on(header.sequence)
        protocol = self._ppp_frame(stream.frames, packet, sequence, payload, max(0, end - len(datagram.payload)))
        if protocol is not None:
            self.recording.ppp[protocol] += 1

    @staticmethod
    def _ppp_frame(
        frames: list[PppFrame], packet: CapturedPacket, sequence: int | None, payload: bytes, missing: int
    ) -> int | None:
        split = split_frame(payload)
        if split is None:
            return None
        protocol, information = split
        frames.append(PppFrame(packet.number, packet.time, sequence, protocol, information, missing))
        return protocol


def record(packets: Iterable[CapturedPacket]) -> Recording:
    """Sort a capture's packets into a Recording. Whatever they hold, it is not an error."""
    recorder = _Recorder()
    for packet in packets:
        recorder.feed(packet)
    recording = recorder.finish()
    recording.damage = getattr(packets, "damage", "")
    return recording
