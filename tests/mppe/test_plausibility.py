import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.mppe.plausibility import anything, is_plausible

from .frames import ipv4, ipv6


def check(frame: bytes, *, strict: bool = False) -> bool:
    # Off the buffer's start, and with other octets behind it: positions count, not the buffer's ends.
    return is_plausible(bytearray(b"\x00\x21E" + frame + b"\xff" * 60), 3, 3 + len(frame), strict)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("protocol", [b"\x00", b""])
def test_sound_packets_in_both_forms(protocol: bytes, strict: bool) -> None:
    assert check(protocol + b"\x21" + ipv4(), strict=strict)
    assert check(protocol + b"\x21" + ipv4(b""), strict=strict)
    assert check(protocol + b"\x21" + ipv4(options=bytes(40)), strict=strict)
    assert check(protocol + b"\x57" + ipv6(), strict=strict)
    assert check(protocol + b"\x57" + ipv6(b""), strict=strict)


def test_padding_behind_a_packet_is_no_objection() -> None:
    assert check(b"\x00\x21" + ipv4() + b"pad", strict=True)
    assert check(b"\x00\x57" + ipv6() + b"pad")
    assert not check(b"\x00\x57" + ipv6() + b"pad", strict=True)


@pytest.mark.parametrize(
    ("position", "octet", "why"),
    [
        (0, 0x55, "version 5"),
        (0, 0x44, "header of 16 octets"),
        (0, 0x4F, "header longer than the total length"),
        (2, 0xFF, "total length beyond the frame"),
        (3, 19, "total length below the header"),
    ],
)
def test_unsound_ipv4(position: int, octet: int, why: str) -> None:
    packet = bytearray(ipv4())
    packet[position] = octet
    assert not check(b"\x00\x21" + bytes(packet)), why


def test_the_checksum_counts_only_where_the_key_jumped() -> None:
    packet = bytearray(ipv4())
    packet[10] ^= 1
    assert check(b"\x00\x21" + bytes(packet))
    assert not check(b"\x00\x21" + bytes(packet), strict=True)


def test_unsound_ipv6() -> None:
    assert not check(b"\x00\x57" + b"\x50" + ipv6()[1:])
    assert not check(b"\x00\x57" + ipv6()[:-1])
    assert not check(b"\x00\x57" + ipv6()[:39])


@pytest.mark.parametrize(
    ("protocol", "plausible"),
    [
        (0x0023, True),
        (0x00F9, True),
        (0x001F, False),
        (0x0022, False),
        (0x00FA, False),  # in RFC 3078's range, but no protocol number is even (RFC 1661 section 2)
        (0x00FB, False),
        (0x00FD, False),
        (0x8021, False),
        (0x80FD, False),
        (0xC021, False),
        (0xC223, False),
    ],
)
def test_other_protocols(protocol: int, plausible: bool) -> None:
    frame = protocol.to_bytes(2, "big") + b"whatever"
    assert check(frame) is plausible
    assert not check(frame, strict=True)


def test_other_protocols_in_one_octet_are_not_believed() -> None:
    assert not check(b"\x2d" + b"whatever")


def test_frames_too_short_for_anything() -> None:
    for frame in (b"", b"\x00", b"\x21", b"\x57", b"\x00\x21", b"\x00\x57", b"\x21\x45"):
        assert not check(frame)


@given(frame=st.binary(max_size=80), strict=st.booleans())
def test_any_octets_get_an_answer(frame: bytes, strict: bool) -> None:
    buffer = bytearray(frame)
    assert is_plausible(buffer, 0, len(buffer), strict) in (True, False)
    assert buffer == frame


def test_random_frames_hardly_ever_pass() -> None:
    source = random.Random(2637)
    passed = strictly = 0
    for _ in range(20_000):
        frame = source.randbytes(60)
        passed += check(frame)
        strictly += check(frame, strict=True)
    assert passed < 20_000 / 128
    assert strictly == 0


def test_anything_is_anything() -> None:
    assert anything(bytearray(), 0, 0, True)
