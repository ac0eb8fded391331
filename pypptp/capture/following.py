"""Calls followed packet by packet, as they go by: for what cannot wait for the end of a capture.

``decryption`` sees a recording whole, and so knows of every renegotiation and loss; this sees the present only, and
holds no more than a few hundred octets for each call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import TypeAlias

from pypptp.control.messages import Message, OutgoingCallReply
from pypptp.gre.header import parse_header
from pypptp.mppe.cipher import Decryptor
from pypptp.mppe.keys import MppeKeys, keys_for_mschap_v1, keys_for_mschap_v2
from pypptp.ppp import ccp
from pypptp.ppp.auth.chap import ChapCode, parse_value
from pypptp.ppp.auth.mschap import lm_password_hash, nt_password_hash
from pypptp.ppp.packet import Code, ControlPacket, parse_options, parse_packet
from pypptp.ppp.protocols import Protocol, split_frame

FindPassword: TypeAlias = Callable[[str], "str | None"]
"""Gives the password of a user, None where nobody knows it."""

MAXIMUM_CALLS = 4096
"""Directions of calls that are remembered; the oldest give way."""
_MSCHAP_RESPONSE = 49
_V2_CHALLENGE = 16

_Flow: TypeAlias = tuple[IPv4Address, IPv4Address, int]


@dataclass(frozen=True, slots=True)
class Followed:
    """A PPP frame that went by.

    Attributes:
        sequence: its GRE number.
        protocol: of PPP.
        information: what follows the protocol field.
        from_client: who sent it; None where nothing told yet.
        plaintext: of an encrypted frame the PPP frame inside; None where it could not be decrypted.
    """

    sequence: int
    protocol: int
    information: bytes
    from_client: bool | None
    plaintext: bytes | None


@dataclass(slots=True)
class _Side:
    """One direction of a call: what its sender has said.

    Attributes:
        requests: the MPPE bits it asked for, by identifier.
        decryptor: for what it sends.
    """

    requests: dict[int, int] = field(default_factory=dict)
    decryptor: Decryptor | None = None


@dataclass(slots=True)
class _Call:
    """A call, from both directions' point of view.

    Attributes:
        sides: by the sender's address.
        challenges: by identifier: who asked, and what.
        keys: the authenticator's, once somebody has proven itself.
        server: the authenticator's address, or that of the end that took the call.
    """

    sides: dict[IPv4Address, _Side] = field(default_factory=dict)
    challenges: dict[int, tuple[IPv4Address, bytes]] = field(default_factory=dict)
    keys: MppeKeys | None = None
    server: IPv4Address | None = None


class CallFollower:
    """Follows every call it is shown, and decrypts where it knows the password. It never raises.

    Args:
        find_password: gives passwords.

    Attributes:
        decrypted: frames that were.
        undecrypted: encrypted frames that were not.
    """

    def __init__(self, find_password: FindPassword) -> None:
        self.decrypted = 0
        self.undecrypted = 0
        self._find_password = find_password
        self._calls: dict[_Flow, _Call] = {}
        self._peers: dict[_Flow, _Flow] = {}

    def learn(self, source: IPv4Address, destination: IPv4Address, message: Message) -> None:
        """Take a control message: an Outgoing-Call-Reply says which two call ids belong together."""
        if isinstance(message, OutgoingCallReply) and message.result_code == 1:
            to_server, to_client = (destination, source, message.call_id), (source, destination, message.peer_call_id)
            self._peers[to_server], self._peers[to_client] = to_client, to_server
            # A new call, though its ids may be those of one long over.
            call = _Call(server=source)
            self._remember(to_server, call)
            self._remember(to_client, call)

    def receive(self, source: IPv4Address, destination: IPv4Address, datagram: bytes) -> Followed | None:
        """Take a GRE packet, without its IP header; None for one that carries no frame."""
        header = parse_header(datagram)
        if header is None or header.sequence is None:
            return None
        parts = split_frame(datagram[header.header_length : header.header_length + header.payload_length])
        if parts is None:
            return None
        protocol, information = parts
        call = self._find((source, destination, header.call_id))
        plaintext = None
        if protocol == Protocol.COMPRESSED:
            plaintext = self._decrypt(call, source, information, header.sequence)
        elif protocol in (Protocol.CHAP, Protocol.CCP):
            packet = parse_packet(information)
            if packet is not None and protocol == Protocol.CHAP:
                self._watch_login(call, source, packet)
            elif packet is not None:
                self._watch_encryption(call, source, destination, packet, header.sequence)
        from_client = None if call.server is None else source != call.server
        return Followed(header.sequence, protocol, information, from_client, plaintext)

    def _find(self, flow: _Flow) -> _Call:
        call = self._calls.get(flow)
        if call is None:
            # Without the control connection: the first flow the other way that has no partner is taken to be its own.
            source, destination, _ = flow
            partner = next(
                (other for other in self._calls if other[:2] == (destination, source) and other not in self._peers),
                None,
            )
            call = _Call() if partner is None else self._calls[partner]
            if partner is not None:
                self._peers[flow], self._peers[partner] = partner, flow
            self._remember(flow, call)
        return call

    def _remember(self, flow: _Flow, call: _Call) -> None:
        self._calls.pop(flow, None)
        self._calls[flow] = call
        while len(self._calls) > MAXIMUM_CALLS:
            oldest = next(iter(self._calls))
            del self._calls[oldest]
            self._peers.pop(oldest, None)

    def _watch_login(self, call: _Call, source: IPv4Address, packet: ControlPacket) -> None:
        value = parse_value(packet.data)
        if value is None:
            return
        if packet.code == ChapCode.CHALLENGE:
            call.challenges[packet.identifier] = (source, value[0])
            call.server = call.server or source
        elif packet.code == ChapCode.RESPONSE and len(value[0]) == _MSCHAP_RESPONSE:
            authenticator, challenge = call.challenges.get(packet.identifier, (None, b""))
            password = self._find_password(value[1].decode("utf-8", "surrogateescape"))
            if authenticator is not None and authenticator != source and password is not None:
                call.keys = _keys(challenge, value[0], password)
                call.server = authenticator

    def _watch_encryption(
        self, call: _Call, source: IPv4Address, destination: IPv4Address, packet: ControlPacket, sequence: int
    ) -> None:
        if packet.code == Code.CONFIGURE_REQUEST:
            call.sides.setdefault(source, _Side()).requests[packet.identifier] = _mppe_bits(packet)
            return
        if packet.code != Code.CONFIGURE_ACK or call.keys is None:
            return
        # Who acknowledges a request sends as it asks from then on.
        asked = call.sides.setdefault(destination, _Side()).requests.get(packet.identifier, 0)
        strengths = [strength for strength, bit in ccp.STRENGTH_BIT.items() if asked & bit]
        if len(strengths) != 1 or strengths[0] not in call.keys.strengths:
            return
        send, receive = call.keys.start_keys(strengths[0])
        call.sides.setdefault(source, _Side()).decryptor = Decryptor(
            send if source == call.server else receive,
            strengths[0],
            stateless=bool(asked & ccp.SupportedBits.STATELESS),
            sequence=sequence,
        )

    def _decrypt(self, call: _Call, source: IPv4Address, information: bytes, sequence: int) -> bytes | None:
        side = call.sides.get(source)
        plaintext = None
        if side is not None and side.decryptor is not None and len(information) > 2:
            plaintext = side.decryptor.decrypt_frame(information, sequence)
        if plaintext is None:
            self.undecrypted += 1
        else:
            self.decrypted += 1
        return plaintext


def _keys(challenge: bytes, response: bytes, password: str) -> MppeKeys:
    """Return the authenticator's keys; whether the password is right shows when they fit."""
    nt_hash = nt_password_hash(password)
    if len(challenge) == _V2_CHALLENGE:
        return keys_for_mschap_v2(nt_hash, response[24:48], is_server=True)
    return keys_for_mschap_v1(lm_password_hash(password), nt_hash, challenge)


def _mppe_bits(packet: ControlPacket) -> int:
    for option in parse_options(packet.data) or ():
        if option.type == ccp.OptionType.MPPE and len(option.value) == 4:
            return int.from_bytes(option.value, "big")
    return 0
