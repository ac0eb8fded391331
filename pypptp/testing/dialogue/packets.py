"""IPv4 packets: those to send through a tunnel, and those a capture file is made of."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

ICMP: Final = 1
TCP: Final = 6
UDP: Final = 17
GRE: Final = 47

ECHO_REQUEST: Final = 8
ECHO_REPLY: Final = 0

HEADER_LENGTH: Final = 20
SEGMENT: Final = 1400
"""Octets of TCP payload in one packet of a capture."""

_HEADER = struct.Struct("!BBHHHBBH4s4s")
_TCP = struct.Struct("!HHIIBBHHH")
_ECHO = struct.Struct("!BBHHH")
_PSH_ACK = 0x18


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(protocol: int, source: IPv4Address, destination: IPv4Address, payload: bytes, number: int = 0) -> bytes:
    """Return a packet without options."""
    length = HEADER_LENGTH + len(payload)
    header = _HEADER.pack(0x45, 0, length, number, 0, 64, protocol, 0, source.packed, destination.packed)
    return header[:10] + checksum(header).to_bytes(2, "big") + header[12:] + payload


def tcp(source: int, destination: int, sequence: int, acknowledged: int, payload: bytes) -> bytes:
    """Return a segment without a checksum, as a network card that fills it in itself would be handed."""
    wrapped = sequence & 0xFFFFFFFF, acknowledged & 0xFFFFFFFF
    return _TCP.pack(source, destination, *wrapped, 0x50, _PSH_ACK, 0xFFFF, 0, 0) + payload


def echo(kind: int, identifier: int, number: int, data: bytes = b"") -> bytes:
    """Return an ICMP Echo message (RFC 792)."""
    message = _ECHO.pack(kind, 0, 0, identifier, number) + data
    return message[:2] + checksum(message).to_bytes(2, "big") + message[4:]


@dataclass(frozen=True, slots=True)
class Echo:
    """An ICMP Echo or Echo Reply that came out of a tunnel."""

    kind: int
    source: IPv4Address
    destination: IPv4Address
    identifier: int
    number: int
    data: bytes


def parse_echo(packet: bytes) -> Echo | None:
    """Read an unfragmented ICMP Echo or Echo Reply; None where the packet is something else."""
    if len(packet) < HEADER_LENGTH + _ECHO.size or packet[0] != 0x45 or packet[9] != ICMP:
        return None
    total = int.from_bytes(packet[2:4], "big")
    if int.from_bytes(packet[6:8], "big") & 0x3FFF or not HEADER_LENGTH + _ECHO.size <= total <= len(packet):
        return None
    kind, _, _, identifier, number = _ECHO.unpack_from(packet, HEADER_LENGTH)
    if kind not in (ECHO_REQUEST, ECHO_REPLY):
        return None
    return Echo(
        kind,
        IPv4Address(packet[12:16]),
        IPv4Address(packet[16:20]),
        identifier,
        number,
        packet[HEADER_LENGTH + _ECHO.size : total],
    )
