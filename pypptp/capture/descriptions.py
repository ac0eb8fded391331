"""Control messages and PPP packets in words, one line each. Nothing a peer sent reaches the line unescaped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from enum import IntEnum
from ipaddress import IPv4Address

from pypptp.control.codes import (
    CONTROL_MESSAGE,
    DisconnectResult,
    EchoResult,
    IncomingCallResult,
    MessageType,
    OutgoingCallResult,
    StartResult,
    StopReason,
    StopResult,
    WireCode,
    explain,
)
from pypptp.control.messages import (
    CallDisconnectNotify,
    EchoReply,
    IncomingCallReply,
    MalformedMessage,
    Message,
    OutgoingCallReply,
    StartControlConnectionReply,
    StopControlConnectionReply,
    StopControlConnectionRequest,
    parse_message,
    printable,
)
from pypptp.ppp import ccp, ipcp, lcp
from pypptp.ppp.packet import Code, ControlPacket, Option, code_name, parse_options, parse_packet
from pypptp.ppp.protocols import Protocol, name

_FIRST_CONTROL_PROTOCOL = 0x8000
_LONGEST_VALUE = 32

_RESULTS: dict[type[Message], type[WireCode]] = {
    StartControlConnectionReply: StartResult,
    StopControlConnectionReply: StopResult,
    EchoReply: EchoResult,
    OutgoingCallReply: OutgoingCallResult,
    IncomingCallReply: IncomingCallResult,
    CallDisconnectNotify: DisconnectResult,
}
_SHOWN_ELSEWHERE = frozenset({"result_code", "error_code", "phone_number_length"})
_HEXADECIMAL = frozenset({"send_accm", "receive_accm", "protocol_version", "firmware_revision"})

_AUTHENTICATION = {
    b"\xc0\x23": "PAP",
    b"\xc2\x23\x05": "CHAP-MD5",
    b"\xc2\x23\x80": "MS-CHAP",
    b"\xc2\x23\x81": "MS-CHAPv2",
    b"\xc2\x27": "EAP",
}
_CHAP_CODES = {1: "Challenge", 2: "Response", 3: "Success", 4: "Failure"}
_PAP_CODES = {1: "Authenticate-Request", 2: "Authenticate-Ack", 3: "Authenticate-Nak"}
_CALLBACK_CODES = {1: "Callback-Request", 2: "Callback-Response", 3: "Callback-Ack"}
_MPPE_BITS = (
    (ccp.SupportedBits.BITS_128, "128"),
    (ccp.SupportedBits.BITS_56, "56"),
    (ccp.SupportedBits.BITS_40, "40"),
    (ccp.SupportedBits.STATELESS, "stateless"),
    (ccp.SupportedBits.COMPRESSION, "MPPC"),
    (ccp.SupportedBits.OBSOLETE, "obsolete"),
)
_OPTIONS: dict[int, type[IntEnum]] = {
    Protocol.LCP: lcp.OptionType,
    Protocol.CCP: ccp.OptionType,
    Protocol.IPCP: ipcp.OptionType,
}


def is_message(protocol: int) -> bool:
    """Whether a PPP protocol negotiates, as those from 0x8000 on do, and is not data."""
    return protocol >= _FIRST_CONTROL_PROTOCOL


def describe_control(data: bytes) -> str:
    """Describe a control message of RFC 2637, given from its length field on."""
    try:
        message = parse_message(data)
    except MalformedMessage as error:
        return (
            f"malformed: {error}" if len(data) > 2 and data[2:4] == CONTROL_MESSAGE.to_bytes(2, "big") else str(error)
        )
    words = [MessageType(message.TYPE).text]
    codes = _RESULTS.get(type(message))
    if codes is not None:
        words.append(explain(codes, getattr(message, "result_code", 0), getattr(message, "error_code", 0)))
    for field in fields(message):
        value = getattr(message, field.name)
        if field.name in _SHOWN_ELSEWHERE or value in (0, b""):
            continue
        if isinstance(message, StopControlConnectionRequest):
            words.append(StopReason.describe(value))
        elif isinstance(value, bytes):
            words.append(f'{field.name} "{printable(value)}"')
        elif field.name in _HEXADECIMAL:
            words.append(f"{field.name} 0x{value:04x}")
        else:
            words.append(f"{field.name} {value}")
    return ", ".join(words)


def describe_ppp(protocol: int, information: bytes) -> str:
    """Describe the information field of a PPP control protocol."""
    packet = parse_packet(information)
    if packet is None:
        return f"malformed, {len(information)} octets"
    if protocol == Protocol.CHAP:
        return _chap(packet)
    if protocol == Protocol.PAP:
        return _pap(packet)
    if protocol == Protocol.CBCP:
        return _head(_CALLBACK_CODES.get(packet.code, f"code {packet.code}"), packet)
    if protocol == Protocol.EAP:
        kinds = {1: "Request", 2: "Response", 3: "Success", 4: "Failure"}
        return _head(kinds.get(packet.code, f"code {packet.code}"), packet)
    return _negotiation(protocol, packet)


def _head(code: str, packet: ControlPacket) -> str:
    return f"{code} id {packet.identifier}"


def _chap(packet: ControlPacket) -> str:
    head = _head(_CHAP_CODES.get(packet.code, f"code {packet.code}"), packet)
    if packet.code not in (1, 2):
        return f'{head}, "{printable(packet.data, 128)}"'
    size = packet.data[0] if packet.data else 0
    value, who = packet.data[1 : 1 + size], packet.data[1 + size :]
    return f'{head}, value {value.hex()}, name "{printable(who)}"'


def _pap(packet: ControlPacket) -> str:
    head = _head(_PAP_CODES.get(packet.code, f"code {packet.code}"), packet)
    size = packet.data[0] if packet.data else 0
    text = printable(packet.data[1 : 1 + size])
    # The password behind the name is in clear in the capture; that is no reason to print it.
    return f'{head}, name "{text}"' if packet.code == 1 else f'{head}, "{text}"'


def _negotiation(protocol: int, packet: ControlPacket) -> str:
    head = _head(code_name(packet.code), packet)
    data = packet.data
    if Code.CONFIGURE_REQUEST <= packet.code <= Code.CONFIGURE_REJECT:
        options = parse_options(data)
        if options is None:
            return f"{head}, malformed options"
        return ", ".join([head, *(describe_option(protocol, option) for option in options)])
    if packet.code in (Code.TERMINATE_REQUEST, Code.TERMINATE_ACK):
        return f'{head}, "{printable(data)}"' if data else head
    if packet.code == Code.PROTOCOL_REJECT and len(data) >= 2:
        return f"{head}, {name(data[0] << 8 | data[1])}"
    if packet.code == Code.CODE_REJECT and data:
        return f"{head}, {code_name(data[0])}"
    if packet.code == Code.IDENTIFICATION and len(data) > 4:
        return f'{head}, "{printable(data[4:])}"'
    return head


def describe_option(protocol: int, option: Option) -> str:
    """Describe one option of LCP, CCP or IPCP: its name and its value, as a person reads it."""
    types = _OPTIONS.get(protocol)
    try:
        title = f"option {option.type}" if types is None else types(option.type).name.replace("_", "-")
    except ValueError:
        title = f"option {option.type}"
    show = _VALUES.get((protocol, option.type))
    text = show(option.value) if show is not None else None
    if text is None:
        text = option.value[:_LONGEST_VALUE].hex()
    return f"{title} {text}".rstrip()


def _number(value: bytes) -> str:
    return str(int.from_bytes(value[:8], "big"))


def _address(value: bytes) -> str | None:
    return str(IPv4Address(value)) if len(value) == 4 else None


def _authentication(value: bytes) -> str | None:
    return _AUTHENTICATION.get(value) or _AUTHENTICATION.get(value[:2])


def _mppe(value: bytes) -> str | None:
    if len(value) != 4:
        return None
    bits = int.from_bytes(value, "big")
    return "+".join(text for bit, text in _MPPE_BITS if bits & bit) or "nothing"


_VALUES: dict[tuple[int, int], Callable[[bytes], str | None]] = {
    (Protocol.LCP, lcp.OptionType.MRU): _number,
    (Protocol.LCP, lcp.OptionType.MRRU): _number,
    (Protocol.LCP, lcp.OptionType.AUTHENTICATION): _authentication,
    (Protocol.CCP, ccp.OptionType.MPPE): _mppe,
    (Protocol.IPCP, ipcp.OptionType.IP_ADDRESS): _address,
    **{(Protocol.IPCP, option): _address for option in ipcp.NAME_SERVER_OPTIONS},
}
