"""PPP protocol numbers (RFC 1661 section 2), and how a frame says which one it carries."""

from __future__ import annotations

from enum import IntEnum


class Protocol(IntEnum):
    """The PPP protocols that are met on a PPTP tunnel."""

    IPV4 = 0x0021
    VJ_COMPRESSED = 0x002D
    VJ_UNCOMPRESSED = 0x002F
    IPV6 = 0x0057
    COMPRESSED = 0x00FD
    """A compressed or, with MPPE, an encrypted datagram (RFC 1962, RFC 3078)."""
    IPCP = 0x8021
    IPV6CP = 0x8057
    CCP = 0x80FD
    LCP = 0xC021
    PAP = 0xC023
    CBCP = 0xC029
    BACP = 0xC02B
    CHAP = 0xC223
    EAP = 0xC227


FIRST_DATA_PROTOCOL = 0x0021
LAST_DATA_PROTOCOL = 0x00FA
"""MPPE encrypts the protocols from 0x0021 to 0x00FA and no others (RFC 3078 section 3)."""

ADDRESS_CONTROL = b"\xff\x03"
"""All-Stations address and Unnumbered-Information control octets (RFC 1662 section 3.1)."""


def name(protocol: int) -> str:
    """Return the protocol's name, or its number in hexadecimal where it has none here."""
    try:
        return Protocol(protocol).name
    except ValueError:
        return f"0x{protocol:04x}"


def split_frame(frame: bytes) -> tuple[int, bytes] | None:
    """Split a PPP frame into its protocol number and information field.

    The address and control octets may be absent and the protocol field may be one octet long at any time, whatever
    was negotiated (RFC 1661 section 6.5 and 6.6 ask to accept both forms).

    Returns:
        ``(protocol, information)``, or None where the frame is too short. A number that breaks the rule of RFC 1661
        section 2 (last octet odd, first even) is returned like any other that nobody knows.
    """
    start = 2 if frame[:2] == ADDRESS_CONTROL else 0
    if len(frame) <= start:
        return None
    if frame[start] & 1:
        return frame[start], frame[start + 1 :]
    if len(frame) < start + 2:
        return None
    return frame[start] << 8 | frame[start + 1], frame[start + 2 :]
