"""Destinations, and ICMP's "fragmentation needed"."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.inner_traffic import (
    LONGEST_ERROR,
    NESTED,
    PASSES,
    SPECIAL,
    TO_LOOPBACK,
    TO_MULTICAST,
    InnerPolicy,
    fragmentation_needed,
    unpack_addresses,
)
from tests.peers import ip_packet

HOST = IPv4Address("198.51.100.7")
OURS = int(HOST)
GUARD = InnerPolicy(guarded={OURS})
ROUTER = IPv4Address("192.168.0.234").packed


def judged(policy: InnerPolicy, packet: bytes) -> int:
    buffer = bytearray(3) + packet
    _, destination = unpack_addresses(buffer, 3)
    if not (SPECIAL[destination >> 24] or destination in policy.guarded):
        return PASSES
    return policy.judge(buffer, 3, len(buffer), destination)


@given(st.integers(0, 0xFFFFFFFF), st.booleans())
def test_every_destination(number: int, multicast: bool) -> None:
    address = IPv4Address(number)
    expected = PASSES
    if number >> 24 == 0 or address.is_loopback:
        expected = TO_LOOPBACK
    elif (address.is_multicast or number >> 24 == 255) and not multicast:
        expected = TO_MULTICAST
    assert judged(InnerPolicy(multicast=multicast), ip_packet(destination=str(address))) == expected


def tcp(port: int, *, fragment: int = 0, options: bytes = b"") -> bytes:
    packet = bytearray(ip_packet(b"", destination=str(HOST), protocol=6, fragment=fragment))
    packet[0] += len(options) // 4
    return bytes(packet) + options + struct.pack("!HH", 40_000, port) + bytes(16)


@pytest.mark.parametrize(
    ("packet", "verdict"),
    [
        (tcp(1723), NESTED),
        (tcp(1723, options=b"\x01" * 40), NESTED),
        (tcp(1723, fragment=0x2000), NESTED),
        (tcp(1723, fragment=0x4000), NESTED),
        (tcp(1723, fragment=0x0001), PASSES),
        (tcp(1723)[:24], NESTED),
        (tcp(1723)[:23], PASSES),
        (tcp(1724), PASSES),
        (ip_packet(bytes(16), destination=str(HOST), protocol=47), NESTED),
        (ip_packet(bytes(16), destination=str(HOST), protocol=47, fragment=0x0100), NESTED),
        (ip_packet(struct.pack("!HH", 40_000, 1723), destination=str(HOST)), PASSES),
    ],
)
def test_what_goes_to_this_host_itself(packet: bytes, verdict: int) -> None:
    assert judged(GUARD, packet) == verdict
    assert judged(InnerPolicy(), packet) == PASSES


def test_the_control_port_is_the_servers_own() -> None:
    moved = InnerPolicy(guarded={OURS}, port=1724)
    assert (judged(moved, tcp(1724)), judged(moved, tcp(1723))) == (NESTED, PASSES)


def too_long(payload: bytes = bytes(1480), *, fragment: int = 0x4000, **fields: object) -> bytes:
    return ip_packet(payload, fragment=fragment, **fields)  # type: ignore[arg-type]


def answer(packet: bytes, mtu: int = 1400) -> bytes | None:
    buffer = bytearray(7) + packet + b"behind it"
    return fragmentation_needed(buffer, 7, 7 + len(packet), source=ROUTER, mtu=mtu)


def total(data: bytes) -> int:
    """Of the Internet checksum: 0xFFFF where it is right."""
    padded = data + bytes(len(data) % 2)
    value: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while value >> 16:
        value = (value & 0xFFFF) + (value >> 16)
    return value


@given(st.binary(min_size=8, max_size=1480), st.integers(68, 1400))
def test_the_answer(payload: bytes, mtu: int) -> None:
    packet = too_long(payload)
    made = answer(packet, mtu)
    assert made is not None
    assert len(made) == min(LONGEST_ERROR, 28 + len(packet))
    assert struct.unpack("!BBHHHBB", made[:10]) == (0x45, 0xC0, len(made), 0, 0, 64, 1)
    assert made[12:20] == ROUTER + packet[12:16]
    assert struct.unpack("!BB2xHH", made[20:28]) == (3, 4, 0, mtu)
    assert made[28:] == packet[: len(made) - 28]
    assert total(made[:20]) == total(made[20:]) == 0xFFFF


@pytest.mark.parametrize(
    "packet",
    [
        too_long(fragment=0),
        too_long(fragment=0x4001),
        too_long(b"\x03" + bytes(1400), protocol=1),
        too_long(b"\x0b" + bytes(1400), protocol=1),
        too_long(source="0.0.0.0"),
        too_long(source="127.0.0.1"),
        too_long(source="224.0.0.1"),
        too_long(destination="239.1.1.1"),
        too_long(destination="255.255.255.255"),
        too_long(b"1234567"),
        b"\x60" + too_long()[1:],
        b"\x44" + too_long()[1:],
        b"\x4f" + too_long(b"12345678", protocol=1)[1:],
        b"",
    ],
)
def test_what_is_not_answered(packet: bytes) -> None:
    assert answer(packet) is None


def test_an_echo_that_is_too_long_is_answered() -> None:
    assert answer(too_long(b"\x08" + bytes(1400), protocol=1)) is not None


@given(st.binary(max_size=80))
def test_any_octets(data: bytes) -> None:
    answer(data)
    if len(data) >= 20:
        assert judged(GUARD, data) in (PASSES, TO_LOOPBACK, TO_MULTICAST, NESTED)
