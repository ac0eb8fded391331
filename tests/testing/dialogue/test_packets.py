from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from pypptp.testing.dialogue import packets

HERE, THERE = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")


def test_checksum_of_rfc_1071() -> None:
    # The example of RFC 1071 section 3, whose sum is 0xddf2.
    assert packets.checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2


def test_a_packet_checks_itself() -> None:
    packet = packets.ipv4(packets.UDP, HERE, THERE, b"payload", 7)
    assert packets.checksum(packet[:20]) == 0
    assert int.from_bytes(packet[2:4], "big") == len(packet)


@given(st.binary(max_size=64), st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
def test_echo_there_and_back(data: bytes, identifier: int, number: int) -> None:
    message = packets.echo(packets.ECHO_REPLY, identifier, number, data)
    assert packets.checksum(message) == 0
    echo = packets.parse_echo(packets.ipv4(packets.ICMP, HERE, THERE, message) + b"padding")
    assert echo == packets.Echo(packets.ECHO_REPLY, HERE, THERE, identifier, number, data)


@given(st.binary(max_size=80))
def test_any_octets_are_an_echo_or_none(octets: bytes) -> None:
    packets.parse_echo(octets)
    packets.parse_echo(b"\x45" + octets)


def test_what_is_no_echo() -> None:
    message = packets.echo(packets.ECHO_REQUEST, 1, 1)
    good = packets.ipv4(packets.ICMP, HERE, THERE, message)
    assert packets.parse_echo(good) is not None
    for position, value in ((0, 0x46), (9, packets.UDP), (3, 99), (3, 20), (6, 0x20), (20, 3)):
        packet = bytearray(good)
        packet[position] = value
        assert packets.parse_echo(bytes(packet)) is None
