"""Packets that come to the TUN while there is no session to send them through.

The first of them may be what calls for one (demand dial); a few, the latest, are kept and sent once it is up.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from ipaddress import IPv4Address
from struct import Struct
from typing import Final

KEPT: Final = 16
"""Packets; older ones give way. What was sent long ago has been sent again, or is wanted no more."""

_READS: Final = 64
_LARGEST: Final = 65_535
_SMALLEST: Final = 20
_VERSION_4: Final = 4
_FIRST_MULTICAST: Final = 224
_ICMP: Final = 1
_UDP: Final = 17
_UDP_CHECKSUM: Final = 6
_words = Struct("!HH").unpack


class WaitingPackets:
    """Reads a TUN as long as nobody else does.

    Attributes:
        called: set by the first packet that is worth a session, and when the TUN is lost.
        lost: the TUN was taken away by somebody else.
    """

    def __init__(self) -> None:
        self.called = asyncio.Event()
        self.lost = False
        self._loop = asyncio.get_running_loop()
        self._kept: deque[bytes] = deque(maxlen=KEPT)
        self._fd = -1

    def start(self, fd: int) -> None:
        """Begin to read ``fd``, a non-blocking TUN that stays the caller's to close. One that is read already stays so.

        Call ``stop`` or ``take`` before it is closed, or read by somebody else.
        """
        if self._fd >= 0:
            return
        self._fd = fd
        self.lost = False
        self._loop.add_reader(fd, self._read)

    def stop(self) -> None:
        """Read no more. Twice is no error."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            self._fd = -1

    def forget(self) -> None:
        """Throw away what is kept: its session did not come up."""
        self._kept.clear()
        self.called.clear()

    def take(self, local: IPv4Address) -> list[bytes]:
        """Read no more, and return what was kept, oldest first, fit to be sent from ``local``."""
        self._read()
        self.stop()
        packets = [readdressed(packet, local) for packet in self._kept]
        self.forget()
        return [packet for packet in packets if packet is not None]

    def _read(self) -> None:
        for _ in range(_READS):
            if self._fd < 0:
                return
            try:
                packet = os.read(self._fd, _LARGEST)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self.lost = True
                self.called.set()
                self.stop()
                return
            if is_worth_a_call(packet):
                self._kept.append(packet)
                self.called.set()


def is_worth_a_call(packet: bytes) -> bool:
    """Return whether a packet is IPv4 and for one host: nobody dials for announcements to a whole network."""
    return len(packet) >= _SMALLEST and packet[0] >> 4 == _VERSION_4 and packet[16] < _FIRST_MULTICAST


def readdressed(packet: bytes, local: IPv4Address) -> bytes | None:
    """Return an IPv4 packet with ``local`` as its source, checksums and all; None where that would be of no use.

    A packet that called for the session left with the address the TUN had before, and the server drops what comes from
    another one than it gave (RFC 2827). TCP is not helped: its connection is bound to the old address, and answers to
    the new one would be refused.
    """
    source, wanted = packet[12:16], local.packed
    if source == wanted:
        return packet
    header_length = (packet[0] & 0x0F) * 4
    if header_length < _SMALLEST or len(packet) < header_length:
        return None
    protocol, first = packet[9], not (packet[6] & 0x1F or packet[7])
    if protocol not in (_ICMP, _UDP):
        return None
    changed = bytearray(packet)
    changed[12:16] = wanted
    _adjust(changed, 10, source, wanted)
    if protocol == _UDP and first:
        place = header_length + _UDP_CHECKSUM
        if len(packet) < place + 2:
            return None
        if changed[place : place + 2] != b"\0\0":
            _adjust(changed, place, source, wanted)
            if changed[place : place + 2] == b"\0\0":
                changed[place : place + 2] = b"\xff\xff"  # 0 says that there is none (RFC 768)
    return bytes(changed)


def _adjust(packet: bytearray, place: int, old: bytes, new: bytes) -> None:
    """Change a checksum for four octets that changed (RFC 1624, equation 3)."""
    total = 0xFFFF - int.from_bytes(packet[place : place + 2], "big")
    total += sum(0xFFFF - word for word in _words(old)) + sum(_words(new))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    packet[place : place + 2] = (0xFFFF - total).to_bytes(2, "big")


__all__ = ["KEPT", "WaitingPackets", "is_worth_a_call", "readdressed"]
