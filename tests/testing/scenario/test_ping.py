from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.net.namespaces import Namespace
from pypptp.testing.scenario.ping import ECHO_REPLY, build_echo, checksum, parse_echo_reply, ping

IP_HEADER = bytes([0x45]) + bytes(19)


def test_checksum_of_rfc_1071() -> None:
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == ~0xDDF2 & 0xFFFF


@given(st.binary(max_size=100))
def test_a_message_with_its_checksum_sums_up_to_nothing(payload: bytes) -> None:
    assert checksum(build_echo(1, 2, payload)) == 0


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.binary(max_size=64), st.integers(5, 15))
def test_an_answer_is_known_behind_any_ip_header(identifier: int, sequence: int, payload: bytes, words: int) -> None:
    header = bytes([0x40 | words]) + bytes(words * 4 - 1)
    reply = build_echo(identifier, sequence, payload, ECHO_REPLY)
    assert parse_echo_reply(header + reply, identifier, payload) == sequence


def test_what_is_no_answer_to_us() -> None:
    reply = build_echo(7, 1, b"payload", ECHO_REPLY)
    assert parse_echo_reply(IP_HEADER + build_echo(7, 1, b"payload"), 7, b"payload") is None  # our own request
    assert parse_echo_reply(IP_HEADER + reply, 8, b"payload") is None
    assert parse_echo_reply(IP_HEADER + reply, 7, b"other") is None
    assert parse_echo_reply(IP_HEADER + reply + b"x", 7, b"payload") is None
    damaged = bytearray(IP_HEADER + reply)
    damaged[23] ^= 1
    assert parse_echo_reply(bytes(damaged), 7, b"payload") is None
    for length in range(len(IP_HEADER + reply)):
        assert parse_echo_reply((IP_HEADER + reply)[:length], 7, b"payload") is None


@given(st.binary(max_size=120))
def test_no_packet_raises(packet: bytes) -> None:
    parse_echo_reply(packet, 1, b"")


@pytest.fixture
def host() -> Iterator[Namespace]:
    with Namespace("host") as host:
        yield host


@pytest.mark.netns
def test_the_kernel_answers(host: Namespace) -> None:
    pings = ping(host, IPv4Address("127.0.0.1"), count=3, interval=0.01)
    assert (pings.sent, pings.received, len(pings.round_trips), pings.refusal) == (3, 3, 3, "")
    assert all(0 < seconds < 1 for seconds in pings.round_trips)


@pytest.mark.netns
def test_no_way_there(host: Namespace) -> None:
    pings = ping(host, IPv4Address("203.0.113.2"), count=3)
    assert (pings.sent, pings.received, pings.refusal) == (3, 0, "network unreachable")
