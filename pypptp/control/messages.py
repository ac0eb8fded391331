"""The 15 control messages (RFC 2637 section 2): one frozen dataclass each, its fields in wire order.

``message.build()`` gives the octets, ``parse_message(data)`` reads them back. Reserved fields are sent as zero and not
looked at. Codes stay plain integers, since a peer may send any. Strings are octets without their padding: only trailing
NULs are taken off, so what a peer left behind an inner NUL survives a parse and a build. ``printable`` shows one to
people.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, fields
from operator import attrgetter
from struct import Struct
from typing import Any, ClassVar, TypeVar

from pypptp.control.codes import (
    CONTROL_MESSAGE,
    HEADER_LENGTH,
    MAGIC_COOKIE,
    PROTOCOL_VERSION,
    EchoResult,
    GeneralError,
    MessageType,
    StopReason,
    StopResult,
)
from pypptp.errors import LocalProtocolError, RemoteProtocolError

_HEADER = Struct(">HHIHH")
_STRING_LENGTH = 64


class MalformedMessage(RemoteProtocolError):
    """One framed message cannot be read; ``code`` is the general error that answers it (2.16).

    Attributes:
        message_type: the Control Message Type it claims, or None where the message ends before it.
    """

    code: int | None = GeneralError.BAD_FORMAT
    section = "RFC 2637 1.4"

    def __init__(self, message: str, *, message_type: int | None = None) -> None:
        super().__init__(message)
        self.message_type = message_type


class UnknownMessage(MalformedMessage):
    """A well framed message of a type this version does not define: to be ignored, not answered (1.4)."""

    code = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What the 15 messages share: ``TYPE``, ``LENGTH`` in octets with the header, and ``build``."""

    TYPE: ClassVar[MessageType]
    LENGTH: ClassVar[int]
    BODY: ClassVar[Struct]
    FIELDS: ClassVar[tuple[str, ...]]
    STRING_LIMITS: ClassVar[dict[str, int]]

    def build(self) -> bytes:
        """Return the whole message, header included.

        Raises:
            LocalProtocolError: a field does not fit its place on the wire.
        """
        for name, limit in self.STRING_LIMITS.items():
            if len(getattr(self, name)) > limit:
                raise LocalProtocolError(f"{self.TYPE.text}: {name} is longer than {limit} octets")
        try:
            body = self.BODY.pack(*(getattr(self, name) for name in self.FIELDS))
        except struct.error as error:
            raise LocalProtocolError(f"{self.TYPE.text}: {error}") from error
        return _HEADER.pack(self.LENGTH, CONTROL_MESSAGE, MAGIC_COOKIE, self.TYPE, 0) + body


_M = TypeVar("_M", bound=Message)
_MESSAGES: dict[int, type[Message]] = {}


def _wire(message_type: MessageType, body: str) -> Callable[[type[_M]], type[_M]]:
    """Register a dataclass; ``body`` is the struct format behind the header, pad octets being reserved fields."""

    def register(cls: type[_M]) -> type[_M]:
        names = tuple(field.name for field in fields(cls))
        codes = [(size, kind) for size, kind in re.findall(r"(\d*)([A-Za-z])", body) if kind != "x"]
        cls.TYPE = message_type
        cls.BODY = Struct(">" + body)
        cls.LENGTH = HEADER_LENGTH + cls.BODY.size
        cls.FIELDS = names
        cls.STRING_LIMITS = {name: int(size) for name, (size, kind) in zip(names, codes, strict=True) if kind == "s"}
        _MESSAGES[message_type] = cls
        return cls

    return register


def parse_message(data: bytes) -> Message:
    """Read one message, from its length field on.

    Octets behind what the type defines are ignored, as are octets behind the declared length.

    Raises:
        UnknownMessage: the type is not one RFC 2637 defines.
        MalformedMessage: the length or cookie is wrong, or the message is shorter than its type.
    """
    if len(data) < HEADER_LENGTH:
        raise MalformedMessage(f"{len(data)} octets are less than a header")
    length, pptp_type, cookie, message_type, _ = _HEADER.unpack_from(data)
    if cookie != MAGIC_COOKIE:
        raise MalformedMessage(f"magic cookie is 0x{cookie:08x}")
    if not HEADER_LENGTH <= length <= len(data):
        raise MalformedMessage(f"length is {length} where {len(data)} octets are present")
    if pptp_type != CONTROL_MESSAGE:
        raise UnknownMessage(f"PPTP message type is {pptp_type}")
    cls = _MESSAGES.get(message_type)
    if cls is None:
        raise UnknownMessage(f"control message type is {message_type}", message_type=message_type)
    if length < cls.LENGTH:
        raise MalformedMessage(
            f"{cls.TYPE.text} of {length} octets, which needs {cls.LENGTH}", message_type=message_type
        )
    values: dict[str, Any] = dict(zip(cls.FIELDS, cls.BODY.unpack_from(data, HEADER_LENGTH), strict=True))
    for name in cls.STRING_LIMITS:
        values[name] = values[name].rstrip(b"\0")
    return cls(**values)


def printable(octets: bytes, limit: int = _STRING_LENGTH, *, whole: bool = False) -> str:
    """Show a wire string on one line: up to its first NUL, escaped, cut to ``limit`` characters.

    Peers send names with control characters and binary rubbish; none of it may reach a terminal or a log as it is.

    Args:
        octets: the string.
        limit: characters at most.
        whole: it has a length of its own, so that a NUL ends nothing: a user's name in PPP.
    """
    text = "".join(
        chr(octet) if 0x20 <= octet < 0x7F and octet != 0x5C else f"\\x{octet:02x}"
        for octet in (octets if whole else octets.partition(b"\0")[0])
    )
    return text if len(text) <= limit else text[: max(limit - 3, 0)] + "..."


def _default_length(message: Message, length_field: str, string_field: str) -> None:
    if attrgetter(length_field)(message) < 0:
        object.__setattr__(message, length_field, len(attrgetter(string_field)(message)))


# -- Control connection management (2.1 to 2.6) ------------------------------------------------------------------------


@_wire(MessageType.START_CONTROL_CONNECTION_REQUEST, "H2xIIHH64s64s")
@dataclass(frozen=True, slots=True, kw_only=True)
class StartControlConnectionRequest(Message):
    """Opens the control connection (2.1). ``maximum_channels`` is 0 from a client that follows the RFC."""

    protocol_version: int = PROTOCOL_VERSION
    framing_capabilities: int
    bearer_capabilities: int
    maximum_channels: int = 0
    firmware_revision: int = 0
    host_name: bytes = b""
    vendor_name: bytes = b""


@_wire(MessageType.START_CONTROL_CONNECTION_REPLY, "HBBIIHH64s64s")
@dataclass(frozen=True, slots=True, kw_only=True)
class StartControlConnectionReply(Message):
    """Answers the request (2.2); ``result_code`` is a StartResult."""

    protocol_version: int = PROTOCOL_VERSION
    result_code: int
    error_code: int = 0
    framing_capabilities: int
    bearer_capabilities: int
    maximum_channels: int = 0
    firmware_revision: int = 0
    host_name: bytes = b""
    vendor_name: bytes = b""


@_wire(MessageType.STOP_CONTROL_CONNECTION_REQUEST, "B3x")
@dataclass(frozen=True, slots=True, kw_only=True)
class StopControlConnectionRequest(Message):
    """Asks to close the control connection and with it every call (2.3); ``reason`` is a StopReason."""

    reason: int = StopReason.NONE


@_wire(MessageType.STOP_CONTROL_CONNECTION_REPLY, "BB2x")
@dataclass(frozen=True, slots=True, kw_only=True)
class StopControlConnectionReply(Message):
    """Confirms the close (2.4); ``result_code`` is a StopResult."""

    result_code: int = StopResult.OK
    error_code: int = 0


@_wire(MessageType.ECHO_REQUEST, "I")
@dataclass(frozen=True, slots=True, kw_only=True)
class EchoRequest(Message):
    """Keep-alive (2.5)."""

    identifier: int


@_wire(MessageType.ECHO_REPLY, "IBB2x")
@dataclass(frozen=True, slots=True, kw_only=True)
class EchoReply(Message):
    """Answers a keep-alive with its identifier (2.6); ``result_code`` is an EchoResult."""

    identifier: int
    result_code: int = EchoResult.OK
    error_code: int = 0


# -- Call management (2.7 to 2.13) -------------------------------------------------------------------------------------


@_wire(MessageType.OUTGOING_CALL_REQUEST, "HHIIIIHHH2x64s64s")
@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingCallRequest(Message):
    """The client asks for a call (2.7).

    ``call_id`` is the client's. Speeds are in bits a second, the window in packets, the delay in tenths of a second.
    ``phone_number_length`` is what the peer claims, up to 65535; left out, it is the length of ``phone_number``.
    """

    call_id: int
    call_serial_number: int
    minimum_bps: int
    maximum_bps: int
    bearer_type: int
    framing_type: int
    packet_receive_window_size: int
    packet_processing_delay: int = 0
    phone_number_length: int = -1
    phone_number: bytes = b""
    subaddress: bytes = b""

    def __post_init__(self) -> None:
        """Fill in the length nobody gave."""
        _default_length(self, "phone_number_length", "phone_number")


@_wire(MessageType.OUTGOING_CALL_REPLY, "HHBBHIHHI")
@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingCallReply(Message):
    """The server's answer (2.8): ``call_id`` is its own, ``peer_call_id`` the request's; an OutgoingCallResult."""

    call_id: int
    peer_call_id: int
    result_code: int
    error_code: int = 0
    cause_code: int = 0
    connect_speed: int = 0
    packet_receive_window_size: int = 0
    packet_processing_delay: int = 0
    physical_channel_id: int = 0


@_wire(MessageType.INCOMING_CALL_REQUEST, "HHIIHH64s64s64s")
@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingCallRequest(Message):
    """A PAC with telephone lines announces a call (2.9). Lengths as in Outgoing-Call-Request."""

    call_id: int
    call_serial_number: int
    call_bearer_type: int
    physical_channel_id: int = 0
    dialed_number_length: int = -1
    dialing_number_length: int = -1
    dialed_number: bytes = b""
    dialing_number: bytes = b""
    subaddress: bytes = b""

    def __post_init__(self) -> None:
        """Fill in the lengths nobody gave."""
        _default_length(self, "dialed_number_length", "dialed_number")
        _default_length(self, "dialing_number_length", "dialing_number")


@_wire(MessageType.INCOMING_CALL_REPLY, "HHBBHH2x")
@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingCallReply(Message):
    """The PNS's answer to an announced call (2.10); ``result_code`` is an IncomingCallResult."""

    call_id: int
    peer_call_id: int
    result_code: int
    error_code: int = 0
    packet_receive_window_size: int = 0
    packet_transmit_delay: int = 0


@_wire(MessageType.INCOMING_CALL_CONNECTED, "H2xIHHI")
@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingCallConnected(Message):
    """The PAC answered the call (2.11)."""

    peer_call_id: int
    connect_speed: int
    packet_receive_window_size: int
    packet_transmit_delay: int = 0
    framing_type: int


@_wire(MessageType.CALL_CLEAR_REQUEST, "H2x")
@dataclass(frozen=True, slots=True, kw_only=True)
class CallClearRequest(Message):
    """The client asks to end a call, named by the client's own id (2.12)."""

    call_id: int


@_wire(MessageType.CALL_DISCONNECT_NOTIFY, "HBBH2x128s")
@dataclass(frozen=True, slots=True, kw_only=True)
class CallDisconnectNotify(Message):
    """A call has ended (2.13). ``call_id`` is the sender's own; ``result_code`` is a DisconnectResult."""

    call_id: int
    result_code: int
    error_code: int = 0
    cause_code: int = 0
    call_statistics: bytes = b""


# -- Error reporting and PPP session control (2.14, 2.15) --------------------------------------------------------------


@_wire(MessageType.WAN_ERROR_NOTIFY, "H2xIIIIII")
@dataclass(frozen=True, slots=True, kw_only=True)
class WanErrorNotify(Message):
    """Line errors since the call began (2.14). ``peer_call_id`` is the receiver's id."""

    peer_call_id: int
    crc_errors: int = 0
    framing_errors: int = 0
    hardware_overruns: int = 0
    buffer_overruns: int = 0
    time_out_errors: int = 0
    alignment_errors: int = 0


@_wire(MessageType.SET_LINK_INFO, "H2xII")
@dataclass(frozen=True, slots=True, kw_only=True)
class SetLinkInfo(Message):
    """The ACCMs PPP agreed on (2.15). ``peer_call_id`` is the receiver's id. GRE has no use for them."""

    peer_call_id: int
    send_accm: int = 0xFFFFFFFF
    receive_accm: int = 0xFFFFFFFF


LONGEST_MESSAGE = max(cls.LENGTH for cls in _MESSAGES.values())
"""Octets of the longest message defined, Incoming-Call-Request."""
