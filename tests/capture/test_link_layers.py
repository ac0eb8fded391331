"""Every link type gives the same IP packet."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.capture.link_layers import KNOWN_LINK_TYPES, Layer, find_network_layer

IP = b"\x45" + bytes(19)
LCP = b"\xc0\x21\x09\x00\x00\x08" + bytes(4)
SNAP = b"\xaa\xaa\x03\x00\x00\x00\x08\x00"
ADDRESSES = bytes(12)
PPPOE = b"\x11\x00\x00\x01\x00\x16"


def wireless(control: int, more: bytes = b"") -> bytes:
    return struct.pack("<H", control) + bytes(22) + more + SNAP + IP


CARRIERS = [
    (0, b"\x02\0\0\0" + IP),
    (0, b"\0\0\0\x02" + IP),
    (1, ADDRESSES + b"\x08\x00" + IP),
    (1, ADDRESSES + b"\x81\x00\x00\x05\x08\x00" + IP),
    (1, ADDRESSES + b"\x88\xa8\x00\x05\x81\x00\x00\x07\x08\x00" + IP),
    (1, ADDRESSES + b"\x00\x1c" + SNAP + IP),
    (1, ADDRESSES + b"\x88\x64" + PPPOE + b"\x00\x21" + IP),
    (9, b"\xff\x03\x00\x21" + IP),
    (9, b"\x00\x21" + IP),
    (9, b"\x21" + IP),
    (12, IP),
    (14, IP),
    (50, b"\xff\x03\x00\x21" + IP),
    (50, b"\xff\x03\x21" + IP),
    (50, b"\x0f\x00\x08\x00" + IP),
    (50, b"\x00\x21" + IP),
    (51, PPPOE + b"\x00\x21" + IP),
    (101, IP),
    (105, wireless(0x0008)),
    (105, wireless(0x0108)),
    (105, wireless(0x0308, bytes(6))),
    (105, wireless(0x0188, bytes(2))),
    (105, wireless(0x8188, bytes(6))),
    (108, b"\0\0\0\x02" + IP),
    (113, bytes(14) + b"\x08\x00" + IP),
    (113, bytes(14) + b"\x81\x00\x00\x05\x08\x00" + IP),
    (127, b"\0\0\x0c\0" + bytes(8) + wireless(0x0108)),
    (127, b"\0\0\x09\0\x02\0\0\0\x20" + wireless(0x0188, bytes(2) + bytes(2))),
    (166, b"\x01\xff\x03\x00\x21" + IP),
    (204, b"\x00\xff\x03\x00\x21" + IP),
    (204, b"\x01\x21" + IP),
    (228, IP),
    (276, b"\x08\x00" + bytes(18) + IP),
]


@pytest.mark.parametrize(("link_type", "frame"), CARRIERS)
def test_the_ip_packet_is_found(link_type: int, frame: bytes) -> None:
    assert find_network_layer(link_type, frame) == (Layer.IPV4, IP)
    assert find_network_layer(0x30000000 | link_type, frame) == (Layer.IPV4, IP)


def test_every_link_type_is_tried() -> None:
    assert {link_type for link_type, _ in CARRIERS} == KNOWN_LINK_TYPES


@pytest.mark.parametrize(
    ("link_type", "head"), [(9, b""), (9, b"\xff\x03"), (50, b"\xff\x03"), (204, b"\0"), (51, PPPOE)]
)
def test_other_ppp_frames_are_found(link_type: int, head: bytes) -> None:
    assert find_network_layer(link_type, head + LCP) == (Layer.PPP, LCP)


@pytest.mark.parametrize(
    ("link_type", "frame"),
    [
        (1, ADDRESSES + b"\x86\xdd" + b"\x60" + bytes(40)),
        (1, ADDRESSES + b"\x88\x63" + PPPOE),
        (101, b"\x60" + bytes(39)),
        (105, wireless(0x0000)),
        (105, wireless(0x0048)),
        (105, wireless(0x4108)),
        (9, b"\xff\x03"),
        (9, b"\xff\x03\x00"),
        (2, IP),
        (65535, IP),
    ],
)
def test_what_concerns_nobody_here(link_type: int, frame: bytes) -> None:
    assert find_network_layer(link_type, frame) is None


@pytest.mark.parametrize(("link_type", "frame"), CARRIERS)
def test_cut_at_every_octet(link_type: int, frame: bytes) -> None:
    for length in range(len(frame)):
        found = find_network_layer(link_type, frame[:length])
        assert found is None or found[1] in IP or found[0] is Layer.PPP


@given(st.sampled_from(sorted(KNOWN_LINK_TYPES)), st.binary(max_size=200))
def test_any_octets_are_read_or_passed_over(link_type: int, frame: bytes) -> None:
    found = find_network_layer(link_type, frame)
    assert found is None or frame.endswith(found[1]) or link_type == 127
