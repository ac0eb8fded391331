"""What can be said in a playbook, and what can be awaited: the same words for both.

A line that is sent holds exactly what was given. A line that is awaited matches whatever agrees with it in what was
given: ``lcp.configure_request()`` is any Configure-Request of LCP, ``lcp.configure_request(mru=1400)`` one that asks
for that MRU among other things, ``lcp.configure_request(mru=ANY)`` one that asks for some MRU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from ipaddress import IPv4Address
from types import EllipsisType
from typing import Final, TypeAlias

from pypptp.errors import LocalProtocolError
from pypptp.ppp import ccp as ccp_options
from pypptp.ppp import ipcp as ipcp_options
from pypptp.ppp import lcp as lcp_options
from pypptp.ppp.auth.chap import ChapCode, build_value, parse_value
from pypptp.ppp.auth.mschap import nt_password_hash, nt_response_v2
from pypptp.ppp.auth.pap import PapCode, build_request
from pypptp.ppp.packet import Code, ControlPacket, Option, build_options, code_name, parse_options
from pypptp.ppp.protocols import Protocol, name

ANY: Final = ...
"""The value of an option that has to be there, whatever it says."""

Value: TypeAlias = "int | str | bytes | bool | EllipsisType"
"""Of an option: a number, an address or the name of a method, octets, True for one without a value, or ANY."""

METHODS: Final[Mapping[str, bytes]] = {
    "pap": b"\xc0\x23",
    "chap-md5": b"\xc2\x23\x05",
    "mschap": b"\xc2\x23\x80",
    "mschap-v2": b"\xc2\x23\x81",
    "eap": b"\xc2\x27",
}
"""Authentication-Protocol by name (RFC 1661 section 6.2, RFC 1994, RFC 2433, RFC 2759)."""

_PEER_CHALLENGE = bytes(range(16))
_WIDTHS: Final[Mapping[tuple[int, int], int]] = {
    (Protocol.LCP, lcp_options.OptionType.MRU): 2,
    (Protocol.LCP, lcp_options.OptionType.MRRU): 2,
    (Protocol.LCP, lcp_options.OptionType.CALLBACK): 1,
    (Protocol.CCP, ccp_options.OptionType.BSD_COMPRESS): 1,
    (Protocol.CCP, ccp_options.OptionType.DEFLATE): 2,
    (Protocol.IPCP, ipcp_options.OptionType.IP_COMPRESSION): 2,
}
"""Octets of an option given as a number; four where nothing is said."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet of a PPP control protocol.

    Attributes:
        protocol: of PPP.
        code: of the packet.
        identifier: None for the next one of our own, or for any.
        options: option types and values; None for a value that may be anything.
        data: what follows the header where that is no options; None for nothing, or for anything.
    """

    protocol: int
    code: int
    identifier: int | None = None
    options: tuple[tuple[int, bytes | None], ...] | None = None
    data: bytes | None = None

    def build(self, identifier: int) -> ControlPacket:
        """Return the packet to send, under ``identifier`` where the line names none.

        Raises:
            LocalProtocolError: a value is ANY, which nobody can say.
        """
        data = self.data or b""
        if self.options is not None:
            options = []
            for kind, value in self.options:
                if value is None:
                    raise LocalProtocolError(f"option {kind} has no value: ANY is for what is awaited")
                options.append(Option(kind, value))
            data = build_options(options) + data
        return ControlPacket(self.code, self.identifier if self.identifier is not None else identifier, data)

    def matches(self, heard: Heard) -> bool:
        """Whether what was heard agrees with this line."""
        if (heard.protocol, heard.code) != (self.protocol, self.code):
            return False
        if self.identifier is not None and heard.identifier != self.identifier:
            return False
        for kind, value in self.options or ():
            if kind not in heard.values or (value is not None and heard.values[kind] != value):
                return False
        return self.data is None or heard.data == self.data

    def __str__(self) -> str:
        words = f"{name(self.protocol)} {_code_name(self.protocol, self.code)}"
        if self.identifier is not None:
            words += f" id {self.identifier}"
        for kind, value in self.options or ():
            words += f" {_option_name(self.protocol, kind)}={'ANY' if value is None else value.hex() or 'True'}"
        return words + (f" data {self.data!r}" if self.data is not None else "")


@dataclass(frozen=True, slots=True)
class Heard:
    """A packet of a PPP control protocol that came from the target.

    Attributes:
        protocol: of PPP.
        code: of the packet.
        identifier: its own.
        data: what follows its header.
        sequence: the GRE number it came under.
        time: when, in seconds since the playbook began.
    """

    protocol: int
    code: int
    identifier: int
    data: bytes
    sequence: int
    time: float

    @property
    def values(self) -> dict[int, bytes]:
        """Its options by type; empty where it has none."""
        if self.protocol not in _OPTIONS:
            return {}
        return {option.type: option.value for option in parse_options(self.data) or ()}

    @property
    def challenge(self) -> bytes:
        """The Value of a CHAP Challenge or Response; empty in anything else."""
        value = parse_value(self.data) if self.protocol == Protocol.CHAP else None
        return b"" if value is None else value[0]

    @property
    def name(self) -> bytes:
        """The Name of a CHAP Challenge or Response; empty in anything else."""
        value = parse_value(self.data) if self.protocol == Protocol.CHAP else None
        return b"" if value is None else value[1]

    def __getitem__(self, option: str) -> bytes:
        """Return the value of an option by its name. Raises KeyError where it is not there."""
        kind = _OPTIONS[self.protocol][option.upper()] if self.protocol in _OPTIONS else -1
        return self.values[kind]


class Negotiation:
    """The lines of a protocol that negotiates options (RFC 1661 section 5).

    Options are named as the standard does, in small letters: ``lcp.configure_request(mru=1400, magic_number=7)``. An
    option without a name here is put as ``Option(type, value)`` before them.

    Args:
        protocol: of PPP.
    """

    def __init__(self, protocol: int) -> None:
        self.protocol = protocol

    def configure_request(self, *options: Option, identifier: int | None = None, **named: Value) -> Packet:
        """Return a Configure-Request."""
        return self._configure(Code.CONFIGURE_REQUEST, identifier, options, named)

    def configure_ack(
        self, request: Heard | None = None, *options: Option, identifier: int | None = None, **named: Value
    ) -> Packet:
        """Return a Configure-Ack: of a request that was heard, options and all, or of what is named."""
        if request is not None and not options and not named:
            answer = self.packet(Code.CONFIGURE_ACK, request.data, identifier=request.identifier)
            return replace(answer, identifier=answer.identifier if identifier is None else identifier)
        return self._answer(Code.CONFIGURE_ACK, request, identifier, options, named)

    def configure_nak(
        self, request: Heard | None = None, *options: Option, identifier: int | None = None, **named: Value
    ) -> Packet:
        """Return a Configure-Nak with the values that would do."""
        return self._answer(Code.CONFIGURE_NAK, request, identifier, options, named)

    def configure_reject(
        self, request: Heard | None = None, *options: Option | str, identifier: int | None = None, **named: Value
    ) -> Packet:
        """Return a Configure-Reject; options of the request may be given by name alone."""
        rejected: list[Option] = []
        for option in options:
            if isinstance(option, str):
                if request is None:
                    raise LocalProtocolError(f"{option} has no value without the request it stood in")
                rejected.append(Option(_OPTIONS[self.protocol][option.upper()], request[option]))
            else:
                rejected.append(option)
        return self._answer(Code.CONFIGURE_REJECT, request, identifier, tuple(rejected), named)

    def terminate_request(self, data: bytes | None = None, *, identifier: int | None = None) -> Packet:
        """Return a Terminate-Request."""
        return self.packet(Code.TERMINATE_REQUEST, data, identifier=identifier)

    def terminate_ack(self, request: Heard | None = None) -> Packet:
        """Return a Terminate-Ack."""
        return self.packet(Code.TERMINATE_ACK, identifier=None if request is None else request.identifier)

    def code_reject(self, data: bytes | None = None, *, identifier: int | None = None) -> Packet:
        """Return a Code-Reject."""
        return self.packet(Code.CODE_REJECT, data, identifier=identifier)

    def protocol_reject(self, protocol: int | None = None, *, identifier: int | None = None) -> Packet:
        """Return a Protocol-Reject of LCP; to be awaited it matches any."""
        data = None if protocol is None else protocol.to_bytes(2, "big")
        return self.packet(Code.PROTOCOL_REJECT, data, identifier=identifier)

    def echo_request(self, data: bytes | None = None, *, identifier: int | None = None) -> Packet:
        """Return an Echo-Request of LCP; ``data`` begins with the Magic-Number."""
        return self.packet(Code.ECHO_REQUEST, data, identifier=identifier)

    def echo_reply(self, data: bytes | None = None, *, identifier: int | None = None) -> Packet:
        """Return an Echo-Reply of LCP."""
        return self.packet(Code.ECHO_REPLY, data, identifier=identifier)

    def reset_request(self, *, identifier: int | None = None) -> Packet:
        """Return a Reset-Request of CCP (RFC 1962 section 3.1)."""
        return self.packet(Code.RESET_REQUEST, identifier=identifier)

    def reset_ack(self, *, identifier: int | None = None) -> Packet:
        """Return a Reset-Ack of CCP."""
        return self.packet(Code.RESET_ACK, identifier=identifier)

    def packet(self, code: int, data: bytes | None = None, *, identifier: int | None = None) -> Packet:
        """Return a packet of any code."""
        return Packet(self.protocol, code, identifier, None, data)

    def _answer(
        self,
        code: Code,
        request: Heard | None,
        identifier: int | None,
        options: tuple[Option, ...],
        named: Mapping[str, Value],
    ) -> Packet:
        if identifier is None and request is not None:
            identifier = request.identifier
        return self._configure(code, identifier, options, named)

    def _configure(
        self, code: Code, identifier: int | None, options: tuple[Option, ...], named: Mapping[str, Value]
    ) -> Packet:
        pairs: list[tuple[int, bytes | None]] = [(option.type, option.value) for option in options]
        for option_name, value in named.items():
            try:
                kind = _OPTIONS[self.protocol][option_name.upper()]
            except KeyError:
                known = ", ".join(option.name.lower() for option in _OPTIONS[self.protocol])
                raise LocalProtocolError(
                    f"{name(self.protocol)} has no option {option_name}, but {known}; others are Option(type, value)"
                ) from None
            pairs.append((kind, self._encode(kind, value)))
        return Packet(self.protocol, code, identifier, tuple(pairs))

    def _encode(self, kind: int, value: Value) -> bytes | None:
        if isinstance(value, EllipsisType):
            return None
        if value is True or value is False:
            return b""
        if isinstance(value, bytes):
            return value
        if isinstance(value, str):
            return METHODS[value] if value in METHODS else IPv4Address(value).packed
        return value.to_bytes(_WIDTHS.get((self.protocol, kind), 4), "big")


class Chap:
    """The lines of CHAP and of both MS-CHAPs (RFC 1994, RFC 2433, RFC 2759)."""

    def challenge(
        self, value: bytes | None = None, name: bytes = b"pypptp", *, identifier: int | None = None
    ) -> Packet:
        """Return a Challenge; without a value it is there to be awaited."""
        data = None if value is None else build_value(value, name)
        return Packet(Protocol.CHAP, ChapCode.CHALLENGE, identifier, None, data)

    def response(self, value: bytes | None = None, name: bytes = b"pypptp", *, identifier: int | None = None) -> Packet:
        """Return a Response; without a value it is there to be awaited."""
        data = None if value is None else build_value(value, name)
        return Packet(Protocol.CHAP, ChapCode.RESPONSE, identifier, None, data)

    def mschap_v2_response(
        self, challenge: Heard, user: str, password: str, *, peer_challenge: bytes = _PEER_CHALLENGE
    ) -> Packet:
        """Return the Response that a user with this password gives to a Challenge (RFC 2759 section 4)."""
        proof = nt_response_v2(challenge.challenge, peer_challenge, user.encode(), nt_password_hash(password))
        value = peer_challenge + bytes(8) + proof + b"\0"
        return self.response(value, user.encode(), identifier=challenge.identifier)

    def success(self, message: bytes | None = None, *, identifier: int | None = None) -> Packet:
        """Return a Success."""
        return Packet(Protocol.CHAP, ChapCode.SUCCESS, identifier, None, message)

    def failure(self, message: bytes | None = None, *, identifier: int | None = None) -> Packet:
        """Return a Failure; the message is ``E=691 R=0 ...`` of RFC 2759 section 6, for example."""
        return Packet(Protocol.CHAP, ChapCode.FAILURE, identifier, None, message)


class Pap:
    """The lines of PAP (RFC 1334)."""

    def request(
        self, user: str | None = None, password: str = "", *, data: bytes | None = None, identifier: int | None = None
    ) -> Packet:
        """Return an Authenticate-Request of a user, or with any octets as its data."""
        if user is not None:
            data = build_request(user.encode(), password.encode())
        return Packet(Protocol.PAP, PapCode.AUTHENTICATE_REQUEST, identifier, None, data)

    def ack(self, *, identifier: int | None = None) -> Packet:
        """Return an Authenticate-Ack."""
        return Packet(Protocol.PAP, PapCode.AUTHENTICATE_ACK, identifier)

    def nak(self, *, identifier: int | None = None) -> Packet:
        """Return an Authenticate-Nak."""
        return Packet(Protocol.PAP, PapCode.AUTHENTICATE_NAK, identifier)


@dataclass(frozen=True, slots=True)
class Segment:
    """Octets of the control connection that need not be a message."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Gre:
    """An enhanced GRE packet (RFC 2637 section 4.1).

    Attributes:
        payload: the PPP frame; None for no payload, or for any.
        sequence: its number, which leaves the call's own count as it is; None for none, or for any.
        acknowledgement: the number it acknowledges; None for none, or for any.
        raw: the whole packet instead of all this, well formed or not; only to be sent.
    """

    payload: bytes | None = None
    sequence: int | None = None
    acknowledgement: int | None = None
    raw: bytes | None = None

    def __str__(self) -> str:
        given = {"payload": self.payload, "sequence": self.sequence, "acknowledgement": self.acknowledgement}
        words = " ".join(f"{field} {value!r}" for field, value in given.items() if value is not None)
        return f"GRE packet {words}".rstrip()


@dataclass(frozen=True, slots=True)
class Frame:
    """A PPP frame of any protocol, in clear.

    Attributes:
        protocol: of PPP.
        information: what follows it; None for anything.
    """

    protocol: int
    information: bytes | None = None

    def __str__(self) -> str:
        return f"{name(self.protocol)} frame{'' if self.information is None else ' ' + self.information.hex()}"


@dataclass(frozen=True, slots=True)
class Ip:
    """An IPv4 packet through the tunnel, encrypted once MPPE is open.

    Attributes:
        packet: the packet; None for any.
        clear: to be sent in clear all the same.
    """

    packet: bytes | None = None
    clear: bool = False

    def __str__(self) -> str:
        return f"IPv4 packet{'' if self.packet is None else ' ' + self.packet.hex()}"


Line: TypeAlias = Packet | Segment | Gre | Frame | Ip

_OPTIONS: Final[Mapping[int, type[IntEnum]]] = {
    Protocol.LCP: lcp_options.OptionType,
    Protocol.CCP: ccp_options.OptionType,
    Protocol.IPCP: ipcp_options.OptionType,
}
_CODES: Final[Mapping[int, type[IntEnum]]] = {Protocol.CHAP: ChapCode, Protocol.PAP: PapCode}

lcp = Negotiation(Protocol.LCP)
ccp = Negotiation(Protocol.CCP)
ipcp = Negotiation(Protocol.IPCP)
chap = Chap()
pap = Pap()


def _code_name(protocol: int, code: int) -> str:
    codes = _CODES.get(protocol)
    try:
        return code_name(code) if codes is None else codes(code).name.replace("_", "-").title()
    except ValueError:
        return f"code {code}"


def _option_name(protocol: int, kind: int) -> str:
    try:
        return _OPTIONS[protocol](kind).name.lower()
    except (KeyError, ValueError):
        return f"option {kind}"
