"""Whether octets that came out of the cipher can be what went in.

MPPE has no integrity check (RFC 3078 section 9): under a wrong key every frame decrypts to something. What tells a
genuine frame from a forged or misplaced one is that its plaintext starts with a PPP protocol field and, behind that, a
sound IP header.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Final, TypeAlias

IPV4: Final = 0x0021
IPV6: Final = 0x0057

# RFC 3078 section 3: only these protocols are ever encrypted.
_LOWEST_PROTOCOL: Final = 0x0021
_HIGHEST_PROTOCOL: Final = 0x00FA

Plausibility: TypeAlias = Callable[[bytearray, int, int, bool], bool]
"""``check(buffer, start, end, strict)``: whether buffer[start:end], PPP protocol field first, can be genuine."""

_HEADER_WORDS: Final = tuple(Struct(f"!{2 * length}H") for length in range(16))


def is_plausible(buffer: bytearray, start: int, end: int, strict: bool) -> bool:
    """Return whether buffer[start:end] can be a frame its sender encrypted.

    The protocol field has one or two octets (RFC 1661 section 2). IPv4 and IPv6 must have sound headers. Any other
    protocol from 0x0021 to 0x00FA passes with its two octets written out, as they do as long as nobody agreed on
    compressing those; in the one-octet form, which nearly half of all random frames seem to have, it does not.

    Args:
        buffer: holds the frame.
        start: position of the protocol field.
        end: position behind the last octet.
        strict: the key had to jump to get here, so an accident would be kept. Then the IPv4 header checksum must be
            right, the IPv6 payload length exact, and no other protocol passes: random octets come through once in
            2**28.
    """
    if end - start < 2:
        return False
    protocol = buffer[start]
    packet = start + 1
    if not protocol & 1:
        protocol = protocol << 8 | buffer[packet]
        packet += 1
    if protocol == IPV4:
        return _ipv4_is_sound(buffer, packet, end, strict)
    if protocol == IPV6:
        return _ipv6_is_sound(buffer, packet, end, strict)
    if strict or packet - start != 2:
        return False
    return bool(protocol & 1) and _LOWEST_PROTOCOL <= protocol <= _HIGHEST_PROTOCOL


def _ipv4_is_sound(buffer: bytearray, start: int, end: int, strict: bool) -> bool:
    present = end - start
    if present < 20 or not 0x45 <= buffer[start] <= 0x4F:
        return False
    words = buffer[start] & 0x0F
    total_length = buffer[start + 2] << 8 | buffer[start + 3]
    if not words * 4 <= total_length <= present:
        return False
    if not strict:
        return True
    # RFC 791 section 3.1: the one's complement sum over a header that holds its checksum is all ones.
    checksum: int = sum(_HEADER_WORDS[words].unpack_from(buffer, start))
    return checksum % 0xFFFF == 0


def _ipv6_is_sound(buffer: bytearray, start: int, end: int, strict: bool) -> bool:
    present = end - start - 40
    if present < 0 or buffer[start] >> 4 != 6:
        return False
    payload_length = buffer[start + 4] << 8 | buffer[start + 5]
    return payload_length == present if strict else payload_length <= present


def anything(buffer: bytearray, start: int, end: int, strict: bool) -> bool:
    """Take every plaintext: for vectors and recorded sessions, where no key can be led astray for long."""
    return True
