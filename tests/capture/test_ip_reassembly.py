"""IPv4 packets read, and fragments put together whatever their order."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.capture.ip_reassembly import (
    FRAGMENT_LIFETIME,
    MAXIMUM_DATAGRAMS,
    MAXIMUM_OCTETS_HELD,
    IpDatagram,
    Reassembler,
)
from tests.capture.tape import CLIENT, SERVER, ipv4

PAYLOAD = bytes(range(256)) * 12
WHOLE = IpDatagram(CLIENT, SERVER, 47, PAYLOAD)
MORE = 0x2000


def fragments(payload: bytes = PAYLOAD, size: int = 1480, ident: int = 1) -> list[bytes]:
    packets = []
    for start in range(0, len(payload), size):
        piece = payload[start : start + size]
        more = MORE if start + size < len(payload) else 0
        packets.append(ipv4(CLIENT, SERVER, 47, piece, fragment=start // 8 | more, ident=ident))
    return packets


def feed(reassembler: Reassembler, packets: list[bytes], time: int = 0) -> list[IpDatagram]:
    return [datagram for datagram in (reassembler.feed(packet, time) for packet in packets) if datagram is not None]


def test_a_whole_packet_passes() -> None:
    packet = ipv4(CLIENT, SERVER, 47, b"payload")
    assert Reassembler().feed(packet + b"Ethernet padding", 0) == IpDatagram(CLIENT, SERVER, 47, b"payload")


def test_what_was_not_captured_is_counted() -> None:
    packet = ipv4(CLIENT, SERVER, 47, b"payload")
    assert Reassembler().feed(packet[:-3], 0) == IpDatagram(CLIENT, SERVER, 47, b"payl", missing=3)


def test_offloaded_packets_have_no_length() -> None:
    packet = ipv4(CLIENT, SERVER, 6, b"payload")
    assert Reassembler().feed(packet[:2] + b"\0\0" + packet[4:], 0) == IpDatagram(CLIENT, SERVER, 6, b"payload")


def test_other_protocols_are_passed_over() -> None:
    assert Reassembler().feed(ipv4(CLIENT, SERVER, 17, b"payload"), 0) is None


@pytest.mark.parametrize("seed", range(5))
def test_fragments_in_any_order_and_repeated(seed: int) -> None:
    packets = fragments(size=256) + fragments(size=256)[3:7]
    random.Random(seed).shuffle(packets)
    assert feed(Reassembler(), packets)[0] == WHOLE


def test_two_datagrams_at_once() -> None:
    other = bytes(reversed(PAYLOAD))
    interleaved = [packet for pair in zip(fragments(), fragments(other, ident=2), strict=True) for packet in pair]
    assert [datagram.payload for datagram in feed(Reassembler(), interleaved)] == [PAYLOAD, other]


def test_overlapping_fragments_keep_what_came_first() -> None:
    first = ipv4(CLIENT, SERVER, 47, b"A" * 16, fragment=MORE)
    second = ipv4(CLIENT, SERVER, 47, b"B" * 16, fragment=1)
    assert feed(Reassembler(), [first, second])[0].payload == b"A" * 16 + b"B" * 8


def test_a_hole_is_never_filled_with_anything() -> None:
    packets = fragments(size=256)
    del packets[5]
    reassembler = Reassembler()
    assert feed(reassembler, packets) == []
    assert feed(reassembler, fragments(size=256)[5:6], FRAGMENT_LIFETIME + 1) == []
    assert reassembler.given_up == 1


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        bytes(40),
        ipv4(CLIENT, SERVER, 47, b"x")[:19],
        b"\x44" + ipv4(CLIENT, SERVER, 47, b"x")[1:],
        b"\x4f" + ipv4(CLIENT, SERVER, 47, b"x")[1:],
        ipv4(CLIENT, SERVER, 47, bytes(9), fragment=MORE),
        ipv4(CLIENT, SERVER, 47, bytes(1400), fragment=0x1FFF),
        ipv4(CLIENT, SERVER, 47, b"", fragment=1),
    ],
)
def test_contradictions_are_counted(packet: bytes) -> None:
    reassembler = Reassembler()
    assert reassembler.feed(packet, 0) is None
    assert reassembler.malformed == 1


def test_memory_is_bounded() -> None:
    reassembler = Reassembler()
    for ident in range(5000):
        reassembler.feed(ipv4(CLIENT, SERVER, 47, bytes(1400), fragment=MORE, ident=ident), 0)
    assert reassembler.given_up >= 5000 - MAXIMUM_DATAGRAMS
    large = Reassembler()
    for ident in range(200):
        large.feed(ipv4(CLIENT, SERVER, 47, bytes(60000), fragment=MORE, ident=ident), 0)
    assert large.given_up >= 200 - MAXIMUM_OCTETS_HELD // 60000


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=64)), max_size=30))
def test_any_fragments_give_whole_datagrams_or_none(pieces: list[tuple[int, bytes]]) -> None:
    reassembler = Reassembler()
    for fragment, payload in pieces:
        datagram = reassembler.feed(ipv4(CLIENT, SERVER, 47, payload, fragment=fragment), 0)
        assert datagram is None or len(datagram.payload) <= 65535


@given(st.binary(max_size=100))
def test_any_octets_are_read_or_counted(packet: bytes) -> None:
    Reassembler().feed(packet, 0)
