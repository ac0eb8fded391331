"""What may pass through a tunnel besides its own rules: which destinations, and what is told of packets too long.

Addresses here are whole numbers, as they are read from a packet: no object is made for one.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from struct import Struct
from typing import Final

CONTROL_PORT: Final = 1723

LONGEST_ERROR: Final = 576
"""Octets of the longest ICMP error (RFC 1812 section 4.3.2.3)."""

PASSES: Final = 0
TO_LOOPBACK: Final = 1
TO_MULTICAST: Final = 2
NESTED: Final = 3

SPECIAL: Final = bytes(octet in (0, 127) or 224 <= octet <= 239 or octet == 255 for octet in range(256))
"""By the first octet of an address: 0/8 and 127/8 are this host's own, 224/4 is multicast, 255 begins the broadcast."""

unpack_addresses = Struct("!12xII").unpack_from
"""Source and destination of an IPv4 header."""

_ICMP: Final = 1
_TCP: Final = 6
_GRE: Final = 47
_HEADER: Final = 20
_DONT_FRAGMENT: Final = 0x40
_ICMP_ERRORS: Final = frozenset({3, 4, 5, 11, 12})
_INTERNETWORK_CONTROL: Final = 0xC0
_TIME_TO_LIVE: Final = 64

_ip_header = Struct("!BBHHHBBH4s4s")
_icmp_header = Struct("!BBHHH")
_unpack_port = Struct("!2xH").unpack_from


@dataclass(frozen=True, slots=True)
class InnerPolicy:
    """Which destinations a peer's packets may have.

    This host's loop-back never is one: the kernel drops such packets too, unless somebody has set route_localnet.

    Attributes:
        multicast: multicast and broadcast pass.
        guarded: this host's own addresses, to which neither GRE nor TCP to ``port`` may go: a tunnel inside a tunnel
            is a loop, and one user's way to everybody's log-in. The set may change while sessions live.
        port: of the control connection.
    """

    multicast: bool = False
    guarded: Set[int] = frozenset()
    port: int = CONTROL_PORT

    def judge(self, buffer: bytearray, start: int, end: int, destination: int) -> int:
        """Say what a packet is whose destination is special or guarded: PASSES, or why it does not."""
        octet = destination >> 24
        if SPECIAL[octet]:
            if octet in (0, 127):
                return TO_LOOPBACK
            return PASSES if self.multicast else TO_MULTICAST
        protocol = buffer[start + 9]
        if protocol == _GRE:
            return NESTED
        transport = start + (buffer[start] & 0x0F) * 4
        # A later fragment has no port; without the first one nobody puts it together.
        if protocol != _TCP or end < transport + 4 or (buffer[start + 6] & 0x1F or buffer[start + 7]):
            return PASSES
        return NESTED if _unpack_port(buffer, transport)[0] == self.port else PASSES


def fragmentation_needed(buffer: bytearray, start: int, end: int, *, source: bytes, mtu: int) -> bytes | None:
    """Make the ICMP error that tells the sender of ``buffer[start:end]`` how long a packet may be (RFC 1191).

    Args:
        buffer: holds the packet; what is cut off its end does no harm.
        start: where it begins.
        end: where it ends.
        source: the address it is to come from, as octets.
        mtu: octets of the longest packet that passes.

    Returns:
        The IP packet; None where there is to be none (RFC 1122 section 3.2.2): the packet may be fragmented, is a later
        fragment or an ICMP error itself, or names as its sender no single host.
    """
    if end - start < _HEADER + 8 or buffer[start] >> 4 != 4:
        return None
    header_length = (buffer[start] & 0x0F) * 4
    flags = buffer[start + 6]
    if header_length < _HEADER or not flags & _DONT_FRAGMENT or flags & 0x1F or buffer[start + 7]:
        return None
    if SPECIAL[buffer[start + 12]] or SPECIAL[buffer[start + 16]]:
        return None
    transport = start + header_length
    if buffer[start + 9] == _ICMP and (transport >= end or buffer[transport] in _ICMP_ERRORS):
        return None
    quoted = bytes(memoryview(buffer)[start : min(end, start + LONGEST_ERROR - _HEADER - _icmp_header.size)])
    message = bytearray(_icmp_header.pack(3, 4, 0, 0, mtu) + quoted)
    message[2:4] = _checksum(message).to_bytes(2, "big")
    length = _HEADER + len(message)
    sender = quoted[12:16]
    header = bytearray(
        _ip_header.pack(0x45, _INTERNETWORK_CONTROL, length, 0, 0, _TIME_TO_LIVE, _ICMP, 0, source, sender)
    )
    header[10:12] = _checksum(header).to_bytes(2, "big")
    return bytes(header + message)


def _checksum(data: bytes | bytearray) -> int:
    """The Internet checksum (RFC 1071)."""
    total = sum(int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total >> 16) + (total & 0xFFFF)
    return ~total & 0xFFFF
