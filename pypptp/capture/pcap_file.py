"""Capture files: pcap of either byte order and resolution, pcapng, and a writer for the packets inside a tunnel.

A file that is none raises CaptureError before the first packet; from then on whatever is cut off or impossible ends the
packets early and says so in ``Capture.damage``. Layouts: the IETF drafts draft-ietf-opsawg-pcap and -pcapng.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from pypptp.errors import PptpError

NANOSECONDS = 1_000_000_000
LINK_TYPE_MASK = 0xFFFF
"""The upper half of the link-type word holds flags about the frame check sequence, not the type."""

LINKTYPE_RAW = 101
"""Packets that begin with their IPv4 or IPv6 header."""

_PCAP_MAGICS = {
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
}
_PCAP_HEADER_LENGTH = 24
_PCAP_RECORD_LENGTH = 16

_SECTION_HEADER = b"\x0a\x0d\x0d\x0a"
_BLOCK_SECTION = 0x0A0D0D0A
_BLOCK_INTERFACE = 1
_BLOCK_OLD_PACKET = 2
_BLOCK_SIMPLE_PACKET = 3
_BLOCK_ENHANCED_PACKET = 6
_BYTE_ORDERS = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
_SHORTEST_BLOCK = 12
_SHORTEST_SECTION_HEADER = 28
_OPTION_END = 0
_OPTION_TIME_RESOLUTION = 9
_OPTION_TIME_OFFSET = 14
_MAXIMUM_INTERFACES = 65536
_LATEST_TIME = 1 << 63


class CaptureError(PptpError):
    """The file is no capture, or cannot be read at all. The text is one sentence without the file's name."""


@dataclass(frozen=True, slots=True)
class CapturedPacket:
    """One packet of a capture.

    Attributes:
        number: position in the file, from 1, as other programs count frames.
        time: nanoseconds since 1970-01-01 UTC.
        link_type: LINKTYPE_ value, 16 bits.
        data: the octets captured.
        original_length: octets the packet had on the wire; more than ``len(data)`` where a snap length cut it.
    """

    number: int
    time: int
    link_type: int
    data: bytes
    original_length: int


class Capture:
    """An opened capture; iterate over it, as often as wanted, for its packets.

    Attributes:
        damage: why the packets end before the file should, or the empty string; known after the last packet.

    Raises:
        CaptureError: ``data`` does not begin as a capture file does.
    """

    def __init__(self, data: bytes) -> None:
        self.damage = ""
        self._data = data
        if data[:4] in _PCAP_MAGICS:
            if len(data) < _PCAP_HEADER_LENGTH:
                raise CaptureError("the file ends inside its pcap header")
            self._packets = self._read_pcap
        elif data[:4] == _SECTION_HEADER and data[8:12] in _BYTE_ORDERS:
            if len(data) < _SHORTEST_SECTION_HEADER:
                raise CaptureError("the file ends inside its pcapng section header")
            self._packets = self._read_pcapng
        elif not data:
            raise CaptureError("the file is empty")
        else:
            raise CaptureError("the file is neither pcap nor pcapng")

    def __iter__(self) -> Iterator[CapturedPacket]:
        self.damage = ""
        return self._packets()

    def _read_pcap(self) -> Iterator[CapturedPacket]:
        data = self._data
        order, nanoseconds_per_tick = _PCAP_MAGICS[data[:4]]
        record = struct.Struct(order + "IIII")
        link_type = struct.unpack_from(order + "I", data, 20)[0] & LINK_TYPE_MASK
        position = _PCAP_HEADER_LENGTH
        number = 0
        while position < len(data):
            start = position + _PCAP_RECORD_LENGTH
            if start > len(data):
                self.damage = "the file ends inside a record header"
                return
            seconds, fraction, length, original_length = record.unpack_from(data, position)
            if length > len(data) - start:
                self.damage = "the file ends inside a record"
                return
            number += 1
            position = start + length
            time = seconds * NANOSECONDS + fraction * nanoseconds_per_tick
            yield CapturedPacket(number, time, link_type, data[start:position], original_length)

    def _read_pcapng(self) -> Iterator[CapturedPacket]:
        section = _Section("<")
        number = 0
        for block_type, body in self._blocks():
            if block_type == _BLOCK_SECTION:
                section = _Section(_BYTE_ORDERS[body[:4]])
                continue
            if block_type == _BLOCK_INTERFACE:
                section.add_interface(body)
                continue
            packet = section.packet(block_type, body, number + 1)
            if packet is not None:
                number += 1
                yield packet

    def _blocks(self) -> Iterator[tuple[int, bytes]]:
        data = self._data
        position = 0
        order = "<"
        while position < len(data):
            if len(data) - position < _SHORTEST_BLOCK:
                self.damage = "the file ends inside a block header"
                return
            if data[position : position + 4] == _SECTION_HEADER:
                # The type reads the same in both orders; only what follows tells which one this section is in.
                known = _BYTE_ORDERS.get(data[position + 8 : position + 12])
                if known is None:
                    self.damage = "a section header without its byte-order magic"
                    return
                order = known
            block_type, length = struct.unpack_from(order + "II", data, position)
            if length < _SHORTEST_BLOCK or length % 4:
                self.damage = f"a block of {length} octets"
                return
            if length > len(data) - position:
                self.damage = "the file ends inside a block"
                return
            yield block_type, data[position + 8 : position + length - 4]
            position += length


@dataclass(slots=True)
class _Interface:
    link_type: int
    snap_length: int
    ticks_per_second: int = 1_000_000
    time_offset: int = 0


@dataclass(slots=True)
class _Section:
    """What the blocks of one pcapng section refer to: its byte order and its interfaces."""

    order: str
    interfaces: list[_Interface] = field(default_factory=list)

    def add_interface(self, body: bytes) -> None:
        if len(body) < 8 or len(self.interfaces) >= _MAXIMUM_INTERFACES:
            return
        link_type, snap_length = struct.unpack_from(self.order + "H2xI", body)
        interface = _Interface(link_type & LINK_TYPE_MASK, snap_length)
        position = 8
        while position + 4 <= len(body):
            code, length = struct.unpack_from(self.order + "HH", body, position)
            value = body[position + 4 : position + 4 + length]
            if code == _OPTION_END or len(value) < length:
                break
            if code == _OPTION_TIME_RESOLUTION and length == 1:
                exponent = value[0] & 0x7F
                interface.ticks_per_second = (2 if value[0] & 0x80 else 10) ** exponent
            elif code == _OPTION_TIME_OFFSET and length == 8:
                interface.time_offset = struct.unpack(self.order + "q", value)[0]
            position += 4 + (length + 3 & ~3)
        self.interfaces.append(interface)

    def packet(self, block_type: int, body: bytes, number: int) -> CapturedPacket | None:
        """Return the packet of an enhanced, simple or old packet block; None for any other, or a senseless one."""
        ticks = 0
        if block_type == _BLOCK_ENHANCED_PACKET and len(body) >= 20:
            index, high, low, length, original_length = struct.unpack_from(self.order + "IIIII", body)
            start = 20
        elif block_type == _BLOCK_OLD_PACKET and len(body) >= 20:
            index, high, low, length, original_length = struct.unpack_from(self.order + "H2xIIII", body)
            start = 20
        elif block_type == _BLOCK_SIMPLE_PACKET and len(body) >= 4:
            original_length = struct.unpack_from(self.order + "I", body)[0]
            index = high = low = 0
            start = 4
            length = min(original_length, len(body) - start)
            if self.interfaces and self.interfaces[0].snap_length:
                length = min(length, self.interfaces[0].snap_length)
        else:
            return None
        if index >= len(self.interfaces) or length > len(body) - start:
            return None
        interface = self.interfaces[index]
        ticks = high << 32 | low
        time = ticks * NANOSECONDS // interface.ticks_per_second + interface.time_offset * NANOSECONDS
        time = max(0, min(time, _LATEST_TIME))
        return CapturedPacket(number, time, interface.link_type, body[start : start + length], original_length)


def read_capture(path: Path) -> Capture:
    """Open a capture file; it is read into memory whole.

    Raises:
        CaptureError: it cannot be read, or is no capture.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CaptureError(error.strerror or str(error)) from error
    return Capture(data)


class PcapWriter:
    """Writes packets as a nanosecond-free, little-endian pcap of one link type; close it, or use it in ``with``.

    Raises:
        CaptureError: the file cannot be opened or written.
    """

    def __init__(self, path: Path, link_type: int = LINKTYPE_RAW) -> None:
        self._file: BinaryIO
        try:
            self._file = path.open("wb")
        except OSError as error:
            raise CaptureError(error.strerror or str(error)) from error
        self._write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 0x40000, link_type))

    def write(self, time: int, packet: bytes, original_length: int | None = None) -> None:
        """Add a packet; ``time`` in nanoseconds since 1970, written to the microsecond."""
        seconds, rest = divmod(time, NANOSECONDS)
        wire_length = max(len(packet), original_length or 0)
        header = struct.pack("<IIII", seconds & 0xFFFFFFFF, rest // 1000, len(packet), wire_length)
        self._write(header + packet)

    def close(self) -> None:
        """Write out what is buffered."""
        try:
            self._file.close()
        except OSError as error:
            raise CaptureError(error.strerror or str(error)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, octets: bytes) -> None:
        try:
            self._file.write(octets)
        except OSError as error:
            raise CaptureError(error.strerror or str(error)) from error
