from __future__ import annotations

import struct
from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from pypptp.service.doctor.inner_packets import (
    dns_question,
    echo_request,
    is_dns_answer,
    is_echo_reply,
    udp_packet,
)

HERE, THERE = IPv4Address("10.0.0.2"), IPv4Address("10.0.0.1")


def total(data: bytes) -> int:
    """Sum a packet's halves with the carries: 0xffff where its checksum is right (RFC 1071)."""
    found: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while found >> 16:
        found = (found & 0xFFFF) + (found >> 16)
    return found


def answer_to(request: bytes) -> bytes:
    reply = bytearray(request)
    reply[12:16], reply[16:20] = request[16:20], request[12:16]
    reply[20] = 0
    return bytes(reply)


@given(st.integers(28, 1500))
def test_an_echo_request(size: int) -> None:
    packet = echo_request(HERE, THERE, 7, 9, size)
    assert len(packet) == size == int.from_bytes(packet[2:4], "big")
    assert total(packet[:20]) == 0xFFFF
    assert total(packet[20:] + bytes(size % 2)) == 0xFFFF
    assert packet[12:20] == HERE.packed + THERE.packed


def test_its_answer() -> None:
    reply = answer_to(echo_request(HERE, THERE, 7, 9, 100))
    assert is_echo_reply(reply, 7, 9)
    assert not is_echo_reply(reply, 7, 8)
    assert not is_echo_reply(echo_request(HERE, THERE, 7, 9, 100), 7, 9)


def test_a_dns_answer() -> None:
    question = udp_packet(HERE, THERE, 4000, 53, dns_question(5))
    answer = udp_packet(THERE, HERE, 53, 4000, dns_question(5))
    assert is_dns_answer(answer, THERE, 4000, 5)
    assert not is_dns_answer(answer, THERE, 4000, 6)
    assert not is_dns_answer(answer, HERE, 4000, 5)
    assert not is_dns_answer(question, THERE, 4000, 5)


@given(st.binary(max_size=60))
def test_whatever_comes_raises_nothing(packet: bytes) -> None:
    is_echo_reply(packet, 1, 1)
    is_dns_answer(packet, THERE, 1, 1)
