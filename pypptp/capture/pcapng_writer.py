"""Writes pcapng (draft-ietf-opsawg-pcapng): packets of several link types side by side, each with a comment."""

from __future__ import annotations

import struct
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from pypptp.capture.pcap_file import CaptureError

_SECTION_HEADER = 0x0A0D0D0A
_INTERFACE_DESCRIPTION = 1
_ENHANCED_PACKET = 6
_BYTE_ORDER_MAGIC = 0x1A2B3C4D
_UNKNOWN_LENGTH = -1
_OPTION_END = 0
_OPTION_COMMENT = 1
_OPTION_NAME = 2
_OPTION_RESOLUTION = 9
_NANOSECONDS = b"\x09"
_LONGEST_COMMENT = 1000


class PcapngWriter:
    """A pcapng file; close it, or use it in ``with``. Every link type and name makes an interface of its own.

    Raises:
        CaptureError: the file cannot be opened or written.
    """

    def __init__(self, path: Path) -> None:
        self._interfaces: dict[tuple[int, str], int] = {}
        try:
            self._file: BinaryIO = path.open("wb")
        except OSError as error:
            raise CaptureError(error.strerror or str(error)) from error
        self._block(_SECTION_HEADER, struct.pack("<IHHq", _BYTE_ORDER_MAGIC, 1, 0, _UNKNOWN_LENGTH))

    def write(
        self,
        time: int,
        packet: bytes,
        *,
        link_type: int,
        interface: str,
        original_length: int | None = None,
        comment: str = "",
    ) -> None:
        """Add a packet.

        Args:
            time: nanoseconds since 1970.
            packet: the octets.
            link_type: LINKTYPE_ value.
            interface: what to call the interface it came by.
            original_length: octets it had on the wire.
            comment: shown beside it by programs that read comments.
        """
        number = self._interface(link_type, interface)
        high, low = time >> 32 & 0xFFFFFFFF, time & 0xFFFFFFFF
        length = max(len(packet), original_length or 0)
        body = struct.pack("<IIIII", number, high, low, len(packet), length) + _padded(packet)
        if comment:
            body += _option(_OPTION_COMMENT, comment.encode()[:_LONGEST_COMMENT]) + _option(_OPTION_END, b"")
        self._block(_ENHANCED_PACKET, body)

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

    def _interface(self, link_type: int, name: str) -> int:
        key = (link_type, name)
        if key not in self._interfaces:
            self._interfaces[key] = len(self._interfaces)
            options = _option(_OPTION_NAME, name.encode()) + _option(_OPTION_RESOLUTION, _NANOSECONDS)
            body = struct.pack("<HHI", link_type, 0, 0) + options + _option(_OPTION_END, b"")
            self._block(_INTERFACE_DESCRIPTION, body)
        return self._interfaces[key]

    def _block(self, kind: int, body: bytes) -> None:
        length = struct.pack("<I", len(body) + 12)
        try:
            self._file.write(struct.pack("<I", kind) + length + body + length)
        except OSError as error:
            raise CaptureError(error.strerror or str(error)) from error


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _padded(octets: bytes) -> bytes:
    return octets + bytes(-len(octets) % 4)
