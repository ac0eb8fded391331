"""Frames into protocol and information, however much of the header the peer left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.ppp.protocols import ADDRESS_CONTROL, FIRST_DATA_PROTOCOL, LAST_DATA_PROTOCOL, Protocol, name, split_frame


@pytest.mark.parametrize("header", ["ff030021", "ff0321", "0021", "21"])
def test_every_form_of_the_header_is_accepted(header: str) -> None:
    assert split_frame(bytes.fromhex(header) + b"packet") == (Protocol.IPV4, b"packet")


@pytest.mark.parametrize("protocol", Protocol)
@given(information=st.binary(max_size=32))
def test_the_full_form_comes_back(protocol: Protocol, information: bytes) -> None:
    frame = ADDRESS_CONTROL + protocol.to_bytes(2, "big") + information
    assert split_frame(frame) == (protocol, information)
    assert split_frame(frame[2:]) == (protocol, information)


@pytest.mark.parametrize("frame", ["", "ff", "00", "ff03", "ff0300", "ff03c0", "c0"])
def test_what_is_too_short_for_a_protocol_is_none(frame: str) -> None:
    expected = (0xFF, b"") if frame == "ff" else None
    assert split_frame(bytes.fromhex(frame)) == expected


def test_an_even_number_is_an_unrecognized_protocol_not_a_broken_frame() -> None:
    """RFC 1661 section 2: what breaks the rule is "treated as having an unrecognized Protocol", so it is rejected."""
    assert split_frame(bytes.fromhex("ff03 1234 aabb")) == (0x1234, b"\xaa\xbb")
    assert split_frame(bytes.fromhex("ff03 0022 aabb")) == (0x0022, b"\xaa\xbb")


@given(st.binary(max_size=16))
def test_any_octets_are_a_frame_or_none(frame: bytes) -> None:
    parts = split_frame(frame)
    if parts is not None:
        protocol, information = parts
        assert 0 <= protocol <= 0xFFFF
        assert frame.endswith(information)
        assert len(frame) - len(information) in (1, 2, 3, 4)


def test_the_range_mppe_encrypts() -> None:
    assert FIRST_DATA_PROTOCOL <= Protocol.IPV4 < Protocol.IPV6 <= LAST_DATA_PROTOCOL < Protocol.COMPRESSED


def test_names() -> None:
    assert name(0xC021) == "LCP"
    assert name(0x1235) == "0x1235"
