"""The enhanced GRE header (RFC 2637 section 4.1): constants, structs for the packet path, a parser and a builder.

    0               1               2               3
   |C|R|K|S|s|Recur|A| Flags | Ver |         Protocol Type         |
   |    Key (HW) Payload Length    |       Key (LW) Call ID        |
   |                  Sequence Number (if S)                       |
   |               Acknowledgment Number (if A)                    |

The first 32 bits of every valid packet are one of four constants, so the packet path tells them with one comparison.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Final

from pypptp.errors import LocalProtocolError

PROTOCOL_TYPE: Final = 0x880B
VERSION: Final = 1

CHECKSUM_PRESENT: Final = 0x8000
ROUTING_PRESENT: Final = 0x4000
KEY_PRESENT: Final = 0x2000
SEQUENCE_PRESENT: Final = 0x1000
ACKNOWLEDGEMENT_PRESENT: Final = 0x0080
VERSION_MASK: Final = 0x0007
RESERVED_MASK: Final = 0x0F78
"""Strict source route, recursion control and flags: all "set to zero"; pptp-linux and the kernel drop them too."""

DATA: Final = (KEY_PRESENT | SEQUENCE_PRESENT | VERSION) << 16 | PROTOCOL_TYPE
"""First 32 bits of a frame with payload and no acknowledgement."""
DATA_WITH_ACK: Final = DATA | ACKNOWLEDGEMENT_PRESENT << 16
BARE_ACK: Final = (KEY_PRESENT | ACKNOWLEDGEMENT_PRESENT | VERSION) << 16 | PROTOCOL_TYPE

FIXED_LENGTH: Final = 8
DATA_LENGTH: Final = 12
BARE_ACK_LENGTH: Final = 12
DATA_WITH_ACK_LENGTH: Final = 16
HEADROOM: Final = DATA_WITH_ACK_LENGTH
"""Octets to keep free before a payload so that any header fits in front of it."""

SEQUENCE_MASK: Final = 0xFFFFFFFF
HALF_SEQUENCE_SPACE: Final = 0x80000000
"""Numbers are compared modulo 2**32: a number less than this far ahead is ahead, any other is behind."""

FIXED: Final = Struct("!HHHH")
"""Flags and version, protocol type, payload length, call id."""
NUMBER: Final = Struct("!I")
THREE_WORDS: Final = Struct("!III")
"""The whole header of DATA and BARE_ACK: first word, key, sequence or acknowledgement."""
FOUR_WORDS: Final = Struct("!IIII")
"""The whole header of DATA_WITH_ACK: first word, key, sequence, acknowledgement."""


@dataclass(frozen=True, slots=True)
class GreHeader:
    """One enhanced GRE header, as RFC 2637 section 4.1 names its fields.

    Attributes:
        payload_length: octets of PPP frame after the header, as declared; may exceed what is there.
        call_id: the receiver's call id (the sender's "Peer's Call ID").
        sequence: number of this payload, 32 bits; None where the S bit is clear.
        acknowledgement: highest number the sender has received, 32 bits; None where the A bit is clear.
        header_length: octets of this header: 8, 12 or 16.
    """

    payload_length: int
    call_id: int
    sequence: int | None
    acknowledgement: int | None
    header_length: int


def parse_header(data: bytes | bytearray | memoryview, start: int = 0, end: int | None = None) -> GreHeader | None:
    """Read the header at ``data[start:end]``; None where that is not an enhanced GRE header, or not all of it.

    Raises nothing. Whether the payload fits the packet is for the caller to compare: captures may be cut short.
    """
    end = len(data) if end is None else min(end, len(data))
    if start < 0 or end - start < FIXED_LENGTH:
        return None
    flags, protocol_type, payload_length, call_id = FIXED.unpack_from(data, start)
    if protocol_type != PROTOCOL_TYPE or flags & VERSION_MASK != VERSION or not flags & KEY_PRESENT:
        return None
    if flags & (CHECKSUM_PRESENT | ROUTING_PRESENT | RESERVED_MASK):
        return None
    position = start + FIXED_LENGTH
    sequence: int | None = None
    acknowledgement: int | None = None
    if flags & SEQUENCE_PRESENT:
        if position + NUMBER.size > end:
            return None
        (sequence,) = NUMBER.unpack_from(data, position)
        position += NUMBER.size
    if flags & ACKNOWLEDGEMENT_PRESENT:
        if position + NUMBER.size > end:
            return None
        (acknowledgement,) = NUMBER.unpack_from(data, position)
        position += NUMBER.size
    return GreHeader(payload_length, call_id, sequence, acknowledgement, position - start)


def build_header(
    payload_length: int, call_id: int, sequence: int | None = None, acknowledgement: int | None = None
) -> bytes:
    """Build a header of 8, 12 or 16 octets; the counterpart of :func:`parse_header`.

    Raises:
        LocalProtocolError: a value does not fit its field (payload length and call id 16 bits, numbers 32).
    """
    for name, value, bits in (
        ("payload length", payload_length, 16),
        ("call id", call_id, 16),
        ("sequence number", sequence or 0, 32),
        ("acknowledgement number", acknowledgement or 0, 32),
    ):
        if not 0 <= value < 1 << bits:
            msg = f"GRE {name} {value} does not fit {bits} bits"
            raise LocalProtocolError(msg)
    flags = KEY_PRESENT | VERSION
    numbers = b""
    if sequence is not None:
        flags |= SEQUENCE_PRESENT
        numbers += NUMBER.pack(sequence)
    if acknowledgement is not None:
        flags |= ACKNOWLEDGEMENT_PRESENT
        numbers += NUMBER.pack(acknowledgement)
    return FIXED.pack(flags, PROTOCOL_TYPE, payload_length, call_id) + numbers
