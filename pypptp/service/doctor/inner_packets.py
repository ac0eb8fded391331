"""IPv4 packets made by hand, to be sent through a tunnel: ICMP echo, UDP, a DNS question."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from typing import Final

_HEADER: Final = struct.Struct("!BBHHHBBH4s4s")
_UDP: Final = struct.Struct("!HHHH")
_ECHO: Final = struct.Struct("!BBHHH")
ICMP: Final = 1
UDP: Final = 17
ECHO_OVERHEAD: Final = 28
"""Octets of an IPv4 and an ICMP echo header."""


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) & ~1]))
    total += data[-1] << 8 if len(data) % 2 else 0
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _ip_packet(
    source: IPv4Address, destination: IPv4Address, protocol: int, payload: bytes, time_to_live: int = 64
) -> bytes:
    fields = (0x45, 0, 20 + len(payload), 0, 0x4000, time_to_live, protocol)
    bare = _HEADER.pack(*fields, 0, source.packed, destination.packed)
    return _HEADER.pack(*fields, _checksum(bare), source.packed, destination.packed) + payload


def udp_packet(
    source: IPv4Address,
    destination: IPv4Address,
    source_port: int,
    port: int,
    payload: bytes,
    *,
    time_to_live: int = 64,
) -> bytes:
    """Make a UDP packet without a checksum, which RFC 768 allows."""
    datagram = _UDP.pack(source_port, port, 8 + len(payload), 0) + payload
    return _ip_packet(source, destination, UDP, datagram, time_to_live)


def echo_request(source: IPv4Address, destination: IPv4Address, identifier: int, sequence: int, size: int) -> bytes:
    """Make an ICMP echo request, an IPv4 packet of ``size`` octets (``ECHO_OVERHEAD`` at least)."""
    data = bytes(number & 0xFF for number in range(max(0, size - ECHO_OVERHEAD)))
    bare = _ECHO.pack(8, 0, 0, identifier, sequence) + data
    return _ip_packet(source, destination, ICMP, _ECHO.pack(8, 0, _checksum(bare), identifier, sequence) + data)


def is_echo_reply(packet: bytes, identifier: int, sequence: int) -> bool:
    """Say whether a packet is the answer to that echo request."""
    start = (packet[0] & 0x0F) * 4 if packet else 0
    if len(packet) < start + 8 or start < 20 or packet[9] != ICMP:
        return False
    kind, _, _, its_identifier, its_sequence = _ECHO.unpack_from(packet, start)
    return (kind, its_identifier, its_sequence) == (0, identifier, sequence)


def dns_question(identifier: int) -> bytes:
    """Make a DNS question every resolver can answer: who serves the root (RFC 1035 section 4)."""
    return struct.pack("!6H", identifier, 0x0100, 1, 0, 0, 0) + b"\0" + struct.pack("!HH", 2, 1)


def is_dns_answer(packet: bytes, server: IPv4Address, port: int, identifier: int) -> bool:
    """Say whether a packet is a name server's answer, whatever it says, to that question from that port."""
    start = (packet[0] & 0x0F) * 4 if packet else 0
    if len(packet) < start + 20 or start < 20 or packet[9] != UDP or packet[12:16] != server.packed:
        return False
    source_port, its_port, _, _ = _UDP.unpack_from(packet, start)
    return (source_port, its_port) == (53, port) and packet[start + 8 : start + 10] == identifier.to_bytes(2, "big")
