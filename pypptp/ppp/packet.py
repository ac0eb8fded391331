"""The packet all PPP control protocols share, and its options (RFC 1661 sections 5 and 6)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from pypptp.errors import LocalProtocolError

HEADER = struct.Struct("!BBH")
HEADER_LENGTH = HEADER.size
OPTION_HEADER_LENGTH = 2
LONGEST_OPTION_VALUE = 255 - OPTION_HEADER_LENGTH


class Code(IntEnum):
    """Codes of LCP, and of those NCPs that share them (RFC 1661 section 5, RFC 1570 section 2, RFC 1962 section 3)."""

    CONFIGURE_REQUEST = 1
    CONFIGURE_ACK = 2
    CONFIGURE_NAK = 3
    CONFIGURE_REJECT = 4
    TERMINATE_REQUEST = 5
    TERMINATE_ACK = 6
    CODE_REJECT = 7
    PROTOCOL_REJECT = 8
    ECHO_REQUEST = 9
    ECHO_REPLY = 10
    DISCARD_REQUEST = 11
    IDENTIFICATION = 12
    TIME_REMAINING = 13
    RESET_REQUEST = 14
    RESET_ACK = 15


def code_name(code: int) -> str:
    """Return the code as the standard writes it, for example ``Configure-Request``."""
    try:
        return Code(code).name.replace("_", "-").title()
    except ValueError:
        return f"code {code}"


@dataclass(frozen=True, slots=True)
class Option:
    """One configuration option: its type octet and its value without the two header octets."""

    type: int
    value: bytes = b""

    def build(self) -> bytes:
        """Return the option as it goes on the wire.

        Raises:
            LocalProtocolError: the value does not fit into the 8-bit Length.
        """
        if len(self.value) > LONGEST_OPTION_VALUE:
            raise LocalProtocolError(f"{len(self.value)} octets do not fit into one option")
        return bytes((self.type, OPTION_HEADER_LENGTH + len(self.value))) + self.value


@dataclass(frozen=True, slots=True)
class ControlPacket:
    """One packet of LCP, CCP, IPCP or another control protocol."""

    code: int
    identifier: int
    data: bytes = b""

    def build(self) -> bytes:
        """Return the packet as it goes into the information field of a PPP frame.

        Raises:
            LocalProtocolError: the data does not fit into the 16-bit Length.
        """
        length = HEADER_LENGTH + len(self.data)
        if length > 0xFFFF:
            raise LocalProtocolError(f"{length} octets do not fit into one control packet")
        return HEADER.pack(self.code, self.identifier, length) + self.data


def parse_packet(information: bytes) -> ControlPacket | None:
    """Read a control packet; octets behind its Length are padding (RFC 1661 section 5).

    Returns:
        The packet, or None where it must be silently discarded: shorter than its header, or than its Length says.
    """
    if len(information) < HEADER_LENGTH:
        return None
    code, identifier, length = HEADER.unpack_from(information)
    if not HEADER_LENGTH <= length <= len(information):
        return None
    return ControlPacket(code, identifier, information[HEADER_LENGTH:length])


def parse_options(data: bytes) -> list[Option] | None:
    """Read a list of options (RFC 1661 section 6).

    Returns:
        The options in their order, or None where one's Length is below two or runs past the packet. Such a packet is
        discarded whole: an option of length zero made more than one implementation loop for ever.
    """
    options = []
    position = 0
    while position < len(data):
        if position + OPTION_HEADER_LENGTH > len(data):
            return None
        length = data[position + 1]
        if length < OPTION_HEADER_LENGTH or position + length > len(data):
            return None
        options.append(Option(data[position], data[position + OPTION_HEADER_LENGTH : position + length]))
        position += length
    return options


def build_options(options: Iterable[Option]) -> bytes:
    """Join options into the data field of a Configure packet."""
    return b"".join(option.build() for option in options)
