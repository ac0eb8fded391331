"""Control packets and option lists: whole, cut at every octet, and with octets behind them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.errors import LocalProtocolError
from pypptp.ppp.packet import (
    LONGEST_OPTION_VALUE,
    Code,
    ControlPacket,
    Option,
    build_options,
    code_name,
    parse_options,
    parse_packet,
)

OCTET = st.integers(0, 255)
PACKETS = st.builds(ControlPacket, OCTET, OCTET, st.binary(max_size=64))
OPTIONS = st.lists(st.builds(Option, OCTET, st.binary(max_size=LONGEST_OPTION_VALUE)), max_size=8)


@given(PACKETS, st.binary(max_size=8))
def test_octets_behind_the_length_are_padding(packet: ControlPacket, padding: bytes) -> None:
    assert parse_packet(packet.build() + padding) == packet


@given(PACKETS)
def test_a_packet_cut_anywhere_is_discarded(packet: ControlPacket) -> None:
    octets = packet.build()
    assert [parse_packet(octets[:length]) for length in range(len(octets))] == [None] * len(octets)


@given(st.binary(max_size=64))
def test_any_octets_are_a_packet_or_none(octets: bytes) -> None:
    packet = parse_packet(octets)
    assert packet is None or octets.startswith(packet.build())


@pytest.mark.parametrize("length", [0, 1, 2, 3, 9, 0xFFFF])
def test_a_length_below_the_header_or_beyond_the_packet_is_discarded(length: int) -> None:
    assert parse_packet(bytes((1, 7)) + length.to_bytes(2, "big") + b"data") is None


def test_the_wire_form_is_the_rfcs() -> None:
    packet = ControlPacket(Code.CONFIGURE_REQUEST, 0x2A, build_options([Option(1, b"\x05\x78"), Option(7)]))
    assert packet.build() == bytes.fromhex("01 2a 000a 0104 0578 0702")


def test_the_length_field_is_the_limit() -> None:
    assert len(ControlPacket(9, 1, bytes(0xFFFF - 4)).build()) == 0xFFFF
    with pytest.raises(LocalProtocolError, match="65536 octets do not fit"):
        ControlPacket(9, 1, bytes(0xFFFF - 3)).build()


@given(OPTIONS)
def test_options_come_back_in_their_order(options: list[Option]) -> None:
    assert parse_options(build_options(options)) == options


@given(OPTIONS)
def test_a_list_cut_inside_an_option_is_discarded_whole(options: list[Option]) -> None:
    octets = build_options(options)
    whole = {sum(len(option.build()) for option in options[:count]) for count in range(len(options) + 1)}
    for length in range(len(octets)):
        assert (parse_options(octets[:length]) is not None) == (length in whole)


@given(st.binary(max_size=300))
def test_any_octets_are_a_list_or_none(octets: bytes) -> None:
    options = parse_options(octets)
    assert options is None or build_options(options) == octets


@pytest.mark.parametrize("bad", ["0500", "0501", "05ff0102"], ids=["zero", "one", "beyond the packet"])
@pytest.mark.parametrize("before", ["", "0104 0578"])
@pytest.mark.parametrize("after", ["", "0702 0802"])
def test_a_bad_option_length_discards_the_list_wherever_it_stands(before: str, bad: str, after: str) -> None:
    assert parse_options(bytes.fromhex(before + bad + after)) is None


def test_an_option_longer_than_its_length_octet_can_say_is_the_callers_mistake() -> None:
    assert len(Option(3, bytes(LONGEST_OPTION_VALUE)).build()) == 255
    with pytest.raises(LocalProtocolError, match="254 octets do not fit"):
        Option(3, bytes(LONGEST_OPTION_VALUE + 1)).build()


def test_codes_have_the_standards_names() -> None:
    assert code_name(Code.CONFIGURE_REQUEST) == "Configure-Request"
    assert code_name(200) == "code 200"
