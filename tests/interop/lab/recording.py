"""A capture of the wire, read for the tests: control messages, GRE packets, PPP frames.

Written apart from the product's own readers, so that a misreading there cannot hide itself here.
"""

from __future__ import annotations

import enum
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from .topology import SERVER_ADDRESS

CONTROL_NAMES = {
    1: "SCCRQ",
    2: "SCCRP",
    3: "StopCCRQ",
    4: "StopCCRP",
    5: "EchoRQ",
    6: "EchoRP",
    7: "OCRQ",
    8: "OCRP",
    9: "ICRQ",
    10: "ICRP",
    11: "ICCN",
    12: "CallClear",
    13: "CDN",
    14: "WEN",
    15: "SLI",
}
"""RFC 2637 chapter 2, by control message type."""

LCP, PAP, CHAP = 0xC021, 0xC023, 0xC223
IPCP, IPV6CP, CCP = 0x8021, 0x8057, 0x80FD
IPV4, IPV6, VJ_COMPRESSED, VJ_UNCOMPRESSED, COMPRESSED = 0x0021, 0x0057, 0x002D, 0x002F, 0x00FD
PROTOCOL_NAMES = {
    LCP: "LCP",
    PAP: "PAP",
    CHAP: "CHAP",
    IPCP: "IPCP",
    IPV6CP: "IPV6CP",
    CCP: "CCP",
    IPV4: "IPv4",
    COMPRESSED: "MPPE",
}
CONFIGURE_REQUEST, CONFIGURE_ACK, CONFIGURE_NAK, CONFIGURE_REJECT, TERMINATE_REQUEST, TERMINATE_ACK = 1, 2, 3, 4, 5, 6
PROTOCOL_REJECT, ECHO_REQUEST, ECHO_REPLY = 8, 9, 10
OPTION_MPPE = 18
MPPE_H, MPPE_S, MPPE_L, MPPE_C = 0x01000000, 0x40, 0x20, 0x01

CONTROL_PORT = 1723


class Protocol(enum.IntEnum):
    """IP protocol numbers."""

    ICMP = 1
    TCP = 6
    GRE = 47


@dataclass(frozen=True, slots=True)
class Control:
    """One control message: `to_server`, its type's short name, all its octets."""

    time: float
    peer: str
    to_server: bool
    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Frame:
    """One PPP frame in its GRE packet. `code`, `identifier` and `data` are those of a control protocol's packet."""

    time: float
    peer: str
    to_server: bool
    call_id: int
    sequence: int
    protocol: int
    body: bytes
    address_and_control: bool

    @property
    def code(self) -> int:
        return self.body[0] if self.body else 0

    @property
    def data(self) -> bytes:
        return self.body[4 : int.from_bytes(self.body[2:4])]

    @property
    def options(self) -> dict[int, bytes]:
        """The configuration options of a Configure packet, by type."""
        found, data = {}, self.data
        while len(data) >= 2 and data[1] >= 2:
            found[data[0]] = data[2 : data[1]]
            data = data[data[1] :]
        return found


@dataclass(slots=True)
class Recording:
    """What went over the wire."""

    control: list[Control] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    acknowledgements: int = 0
    fragments: int = 0
    unreachable: int = 0
    fins: list[tuple[float, bool]] = field(default_factory=list)
    resets: int = 0

    def control_names(self) -> list[str]:
        """The control messages' names, in order."""
        return [message.name for message in self.control]

    def of(self, protocol: int, code: int | None = None, *, to_server: bool | None = None) -> list[Frame]:
        """The frames of one protocol, of one code and one direction where given."""
        return [
            frame
            for frame in self.frames
            if frame.protocol == protocol
            and (code is None or frame.code == code)
            and (to_server is None or frame.to_server == to_server)
        ]

    def summary(self) -> str:
        """One line."""
        counts = Counter(PROTOCOL_NAMES.get(frame.protocol, f"{frame.protocol:#06x}") for frame in self.frames)
        frames = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
        return (
            f"control {' '.join(self.control_names())}; frames {frames or 'none'}; "
            f"{self.acknowledgements} acknowledgements alone; "
            f"{self.fragments} fragments; {self.unreachable} unreachable"
        )


def read(capture: bytes) -> Recording:
    """Read a little-endian microsecond pcap file of Ethernet frames, as tcpdump writes it."""
    recording = Recording()
    streams: dict[tuple[str, int, bool], _Stream] = {}
    for time, packet in packets(capture):
        if packet[12:14] != b"\x08\x00":
            continue
        _read_ipv4(time, packet[14:], recording, streams)
    recording.control.sort(key=lambda message: message.time)
    return recording


def packets(capture: bytes) -> Iterator[tuple[float, bytes]]:
    """The packets of a little-endian microsecond pcap file, with their times in seconds."""
    if len(capture) < 24:
        return
    if capture[:4] != b"\xd4\xc3\xb2\xa1":
        raise ValueError("not a little-endian microsecond pcap file")
    offset = 24
    while offset + 16 <= len(capture):
        seconds, microseconds, length, _ = struct.unpack_from("<IIII", capture, offset)
        yield seconds + microseconds / 1e6, capture[offset + 16 : offset + 16 + length]
        offset += 16 + length


@dataclass(slots=True)
class _Stream:
    """One direction of a TCP connection, put together by sequence number."""

    expected: int | None = None
    waiting: dict[int, bytes] = field(default_factory=dict)
    buffer: bytes = b""

    def add(self, sequence: int, data: bytes) -> None:
        if self.expected is None:
            self.expected = sequence
        self.waiting[sequence] = data
        progress = True
        while progress:
            progress = False
            for start in list(self.waiting):
                behind = (self.expected - start) & 0xFFFFFFFF
                if behind < 0x80000000:
                    piece = self.waiting.pop(start)[behind:]
                    self.buffer += piece
                    self.expected = (self.expected + len(piece)) & 0xFFFFFFFF
                    progress = True

    def messages(self) -> Iterator[bytes]:
        while len(self.buffer) >= 2:
            length = int.from_bytes(self.buffer[:2])
            if length < 12 or len(self.buffer) < length:
                return
            yield self.buffer[:length]
            self.buffer = self.buffer[length:]


def _read_ipv4(time: float, packet: bytes, recording: Recording, streams: dict[tuple[str, int, bool], _Stream]) -> None:
    total = int.from_bytes(packet[2:4])
    header = (packet[0] & 0x0F) * 4
    fragment = int.from_bytes(packet[6:8])
    source, destination = (".".join(map(str, packet[start : start + 4])) for start in (12, 16))
    to_server = destination == SERVER_ADDRESS
    peer = source if to_server else destination
    if fragment & 0x3FFF:
        recording.fragments += 1
        if fragment & 0x1FFF:
            return
    payload = packet[header:total]
    match packet[9]:
        case Protocol.ICMP if payload[0] == 3:
            recording.unreachable += 1
        case Protocol.TCP:
            ports = struct.unpack_from("!HH", payload)
            if CONTROL_PORT in ports:
                _read_tcp(
                    time, payload, recording, streams, peer, ports[0] if to_server else ports[1], to_server=to_server
                )
        case Protocol.GRE:
            _read_gre(time, payload, recording, peer, to_server=to_server)


def _read_tcp(
    time: float,
    segment: bytes,
    recording: Recording,
    streams: dict[tuple[str, int, bool], _Stream],
    peer: str,
    port: int,
    *,
    to_server: bool,
) -> None:
    sequence = int.from_bytes(segment[4:8])
    flags = segment[13]
    data = segment[(segment[12] >> 4) * 4 :]
    stream = streams.setdefault((peer, port, to_server), _Stream())
    if flags & 0x02:
        streams[peer, port, to_server] = _Stream(expected=(sequence + 1) & 0xFFFFFFFF)
    elif data:
        stream.add(sequence, data)
        for message in stream.messages():
            kind = int.from_bytes(message[8:10])
            recording.control.append(Control(time, peer, to_server, CONTROL_NAMES.get(kind, f"type {kind}"), message))
    if flags & 0x01:
        recording.fins.append((time, to_server))
    if flags & 0x04:
        recording.resets += 1


def _read_gre(time: float, packet: bytes, recording: Recording, peer: str, *, to_server: bool) -> None:
    if len(packet) < 8:
        return
    flags, kind, length, call_id = struct.unpack_from("!HHHH", packet)
    if flags & 0x07 != 1 or kind != 0x880B:
        return
    offset, sequence = 8, -1
    if flags & 0x1000:
        sequence = int.from_bytes(packet[8:12])
        offset += 4
    if flags & 0x0080:
        offset += 4
    if sequence < 0:
        recording.acknowledgements += 1
        return
    frame = packet[offset : offset + length]
    address_and_control = frame[:2] == b"\xff\x03"
    if address_and_control:
        frame = frame[2:]
    if not frame:
        return
    size = 1 if frame[0] & 1 else 2
    protocol = int.from_bytes(frame[:size])
    recording.frames.append(
        Frame(time, peer, to_server, call_id, sequence, protocol, frame[size:], address_and_control)
    )
