"""Packets before a session: which call for one, which are kept, and with which address they leave."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address
from struct import pack, unpack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.aio.waiting_packets import KEPT, WaitingPackets, is_worth_a_call, readdressed

from .dialling import until

STAND_IN, OURS, OTHER = (IPv4Address(text) for text in ("10.64.64.64", "192.168.0.234", "192.168.0.1"))
UDP, TCP, ICMP = 17, 6, 1


def checksum(data: bytes) -> int:
    """RFC 1071; 0 over data that holds its own right checksum."""
    padded = data + bytes(len(data) % 2)
    total: int = sum(unpack(f"!{len(padded) // 2}H", padded))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def packet(payload: bytes, protocol: int, *, source: IPv4Address = STAND_IN, to: IPv4Address = OTHER) -> bytes:
    header = pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 7, 0, 64, protocol, 0, source.packed, to.packed)
    return header[:10] + checksum(header).to_bytes(2, "big") + header[12:] + payload


def pseudo_header(whole: bytes) -> bytes:
    return whole[12:20] + pack("!BBH", 0, whole[9], len(whole) - 20)


def udp(data: bytes, source: IPv4Address = STAND_IN) -> bytes:
    bare = packet(pack("!HHHH", 5000, 53, 8 + len(data), 0) + data, UDP, source=source)
    total = checksum(pseudo_header(bare) + bare[20:]) or 0xFFFF
    return bare[:26] + total.to_bytes(2, "big") + bare[28:]


# Addresses.


@given(st.binary(max_size=60), st.ip_addresses(v=4))
def test_a_udp_packet_gets_the_new_address_with_right_checksums(data: bytes, address: IPv4Address) -> None:
    changed = readdressed(udp(data), address)
    assert changed is not None
    assert changed == udp(data, source=address)


def test_udp_without_a_checksum_stays_without() -> None:
    bare = packet(pack("!HHHH", 5000, 53, 8, 0), UDP)
    changed = readdressed(bare, OURS)
    assert changed == packet(pack("!HHHH", 5000, 53, 8, 0), UDP, source=OURS)


def test_a_later_fragment_has_no_checksum_of_udp() -> None:
    whole = bytearray(packet(b"the rest of it, no header", UDP))
    whole[6:8] = (185).to_bytes(2, "big")
    changed = readdressed(bytes(whole), OURS)
    assert changed is not None
    assert changed[20:] == whole[20:]


def test_an_echo_request_keeps_its_own_checksum() -> None:
    ping = bytes((8, 0, 0, 0, 0, 1, 0, 1)) + b"hello"
    changed = readdressed(packet(ping, ICMP), OURS)
    assert changed == packet(ping, ICMP, source=OURS)


def test_tcp_of_the_old_address_is_let_go_and_of_the_new_one_kept() -> None:
    assert readdressed(packet(bytes(20), TCP), OURS) is None
    late = packet(bytes(20), TCP, source=OURS)
    assert readdressed(late, OURS) == late


@given(st.binary(min_size=20, max_size=80), st.sampled_from([UDP, ICMP, TCP, 255]), st.integers(0, 15))
def test_no_packet_raises(octets: bytes, protocol: int, words: int) -> None:
    made = bytearray(octets)
    made[0], made[9] = 0x40 | words, protocol
    changed = readdressed(bytes(made), OURS)
    assert changed is None or (len(changed) == len(made) and changed[12:16] == OURS.packed)


@pytest.mark.parametrize(
    ("octets", "worth"),
    [
        (packet(b"", ICMP), True),
        (packet(b"", UDP, to=IPv4Address("224.0.0.251")), False),
        (packet(b"", UDP, to=IPv4Address("255.255.255.255")), False),
        (bytes((0x60,)) + bytes(60), False),
        (packet(b"", ICMP)[:19], False),
        (b"", False),
    ],
)
def test_what_is_worth_a_call(octets: bytes, worth: bool) -> None:
    assert is_worth_a_call(octets) is worth


# Reading.


def scenario(test: Callable[[WaitingPackets, socket.socket, socket.socket], Awaitable[None]]) -> None:
    async def run() -> None:
        ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        ours.setblocking(False)
        with ours, kernel:
            waiting = WaitingPackets()
            try:
                await test(waiting, ours, kernel)
            finally:
                waiting.stop()

    asyncio.run(run())


def test_the_first_packet_calls_and_the_latest_are_kept() -> None:
    async def test(waiting: WaitingPackets, ours: socket.socket, kernel: socket.socket) -> None:
        waiting.start(ours.fileno())
        kernel.send(packet(b"", UDP, to=IPv4Address("224.0.0.1")))
        await asyncio.sleep(0.02)
        assert not waiting.called.is_set()
        sent = [packet(bytes((8, 0, 0, number)), ICMP, source=OURS) for number in range(KEPT + 4)]
        for one in sent:
            kernel.send(one)
            await asyncio.sleep(0)
        await asyncio.wait_for(waiting.called.wait(), 5)
        assert waiting.take(OURS) == sent[4:]
        assert not waiting.called.is_set()
        assert waiting.take(OURS) == []

    scenario(test)


def test_what_is_taken_over_is_left_for_who_reads_next() -> None:
    async def test(waiting: WaitingPackets, ours: socket.socket, kernel: socket.socket) -> None:
        waiting.start(ours.fileno())
        waiting.start(ours.fileno())
        assert waiting.take(OURS) == []
        kernel.send(packet(b"", ICMP))
        await asyncio.sleep(0.02)
        assert not waiting.called.is_set()
        assert ours.recv(100) == packet(b"", ICMP)

    scenario(test)


def test_forgotten_packets_call_for_nothing() -> None:
    async def test(waiting: WaitingPackets, ours: socket.socket, kernel: socket.socket) -> None:
        waiting.start(ours.fileno())
        kernel.send(packet(b"", ICMP))
        await until(waiting.called.is_set)
        waiting.forget()
        assert not waiting.called.is_set()
        assert waiting.take(OURS) == []

    scenario(test)


def test_a_tun_that_is_taken_away_is_read_no_more() -> None:
    async def test(waiting: WaitingPackets, ours: socket.socket, kernel: socket.socket) -> None:
        # The end of a stream stands for the error that a TUN gives whose interface was deleted.
        reader, writer = socket.socketpair()
        with reader, writer:
            reader.setblocking(False)
            writer.close()
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            waiting.start(reader.fileno())
            await until(lambda: waiting.lost)

    scenario(test)
