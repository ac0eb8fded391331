"""Decrypting a stream of scapy packets as it goes by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import GRE_PPTP
from scapy.layers.ppp import PPP
from scapy.packet import Packet
from scapy.sessions import DefaultSession, IPSession

from pypptp.control.messages import MalformedMessage, OutgoingCallReply, parse_message
from pypptp.gre import parse_header
from pypptp.mppe.cipher import Decryptor
from pypptp.mppe.keys import MppeKeys, keys_for_mschap_v1, keys_for_mschap_v2
from pypptp.ppp import ccp
from pypptp.ppp.auth.chap import ChapCode, parse_value
from pypptp.ppp.auth.mschap import lm_password_hash, nt_password_hash
from pypptp.ppp.packet import Code, ControlPacket, parse_options, parse_packet
from pypptp.ppp.protocols import Protocol, split_frame
from pypptp.testing.scapy_layers.layers import MPPE

PORT = 1723
_CALLS = 4096
"""Calls remembered at most; the oldest go first."""
_V2_CHALLENGE = 16
_MSCHAP_RESPONSE = 49


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
        authenticator: its address.
    """

    sides: dict[str, _Side] = field(default_factory=dict)
    challenges: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    keys: MppeKeys | None = None
    authenticator: str = ""


class PptpSession(DefaultSession):
    """A scapy session: hands packets on with what MPPE hides of them decrypted, where it can.

    ``sniff(session=PptpSession("password"))`` or ``sniff(offline=..., session=PptpSession({"alice": "wonderland"}))``.
    The recording has to hold the log-in. A decrypted packet has PPP and what is in it as the payload of its MPPE layer;
    what cannot be decrypted is handed on as it is.

    Args:
        passwords: the one password of everybody, or passwords by user name.
        supersession: scapy's: a session to go through first; by default the one that puts IP fragments together, as
            full packets through a tunnel often come in two.

    Attributes:
        decrypted: packets that were.
        undecrypted: encrypted packets that were not.
    """

    def __init__(self, passwords: str | Mapping[str, str], supersession: Any = IPSession) -> None:
        super().__init__(supersession)
        self.decrypted = 0
        self.undecrypted = 0
        self._passwords = passwords
        self._calls: dict[tuple[str, str, int], _Call] = {}
        self._peers: dict[tuple[str, str, int], tuple[str, str, int]] = {}

    def process(self, pkt: Packet) -> Packet | None:
        """Take one packet, and return it, decrypted or not."""
        found: Packet | None = super().process(pkt)
        if found is None or IP not in found:
            return found
        if TCP in found and PORT in (found[TCP].sport, found[TCP].dport):
            self._pair(found)
        elif GRE_PPTP in found:
            return self._receive(found)
        return found

    def _pair(self, pkt: Packet) -> None:
        """Learn from an Outgoing-Call-Reply which two call ids belong together."""
        octets = bytes(pkt[TCP].payload)
        try:
            message = parse_message(octets)
        except MalformedMessage:
            return
        if isinstance(message, OutgoingCallReply) and message.result_code == 1:
            server, client = pkt[IP].src, pkt[IP].dst
            towards_server, towards_client = (client, server, message.call_id), (server, client, message.peer_call_id)
            self._peers[towards_server], self._peers[towards_client] = towards_client, towards_server
            # A new call, though its ids may be those of one long over.
            call = _Call()
            self._remember(towards_server, call)
            self._remember(towards_client, call)

    def _receive(self, pkt: Packet) -> Packet:
        source, destination = pkt[IP].src, pkt[IP].dst
        # A packet put together of fragments has no octets it came as.
        datagram = pkt[GRE_PPTP].original or bytes(pkt[GRE_PPTP])
        header = parse_header(datagram)
        if header is None or header.sequence is None:
            return pkt
        call = self._find((source, destination, header.call_id))
        parts = split_frame(datagram[header.header_length : header.header_length + header.payload_length])
        if parts is None:
            return pkt
        protocol, information = parts
        if protocol == Protocol.COMPRESSED:
            return self._decrypt(pkt, call, source, information, header.sequence)
        packet = parse_packet(information)
        if packet is not None and protocol == Protocol.CHAP:
            self._watch_login(call, source, packet)
        elif packet is not None and protocol == Protocol.CCP:
            self._watch_encryption(call, source, destination, packet, header.sequence)
        return pkt

    def _find(self, flow: tuple[str, str, int]) -> _Call:
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

    def _remember(self, flow: tuple[str, str, int], call: _Call) -> None:
        self._calls.pop(flow, None)
        self._calls[flow] = call
        while len(self._calls) > _CALLS:
            oldest = next(iter(self._calls))
            del self._calls[oldest]
            self._peers.pop(oldest, None)

    def _watch_login(self, call: _Call, source: str, packet: ControlPacket) -> None:
        value = parse_value(packet.data)
        if value is None:
            return
        if packet.code == ChapCode.CHALLENGE:
            call.challenges[packet.identifier] = (source, value[0])
        elif packet.code == ChapCode.RESPONSE and len(value[0]) == _MSCHAP_RESPONSE:
            authenticator, challenge = call.challenges.get(packet.identifier, ("", b""))
            password = self._password(value[1].decode("utf-8", "replace"))
            if authenticator and authenticator != source and password is not None:
                call.keys = _keys(challenge, value[0], password)
                call.authenticator = authenticator

    def _password(self, user: str) -> str | None:
        if isinstance(self._passwords, str):
            return self._passwords
        found = self._passwords.get(user)
        return self._passwords.get(user.rpartition("\\")[2]) if found is None else found

    def _watch_encryption(
        self, call: _Call, source: str, destination: str, packet: ControlPacket, sequence: int
    ) -> None:
        bits = _mppe_bits(packet)
        if packet.code == Code.CONFIGURE_REQUEST:
            call.sides.setdefault(source, _Side()).requests[packet.identifier] = bits
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
            send if source == call.authenticator else receive,
            strengths[0],
            stateless=bool(asked & ccp.SupportedBits.STATELESS),
            sequence=sequence,
        )

    def _decrypt(self, pkt: Packet, call: _Call, source: str, information: bytes, sequence: int) -> Packet:
        side = call.sides.get(source)
        decryptor = None if side is None else side.decryptor
        plaintext = None
        if decryptor is not None and len(information) > 2:
            plaintext = decryptor.decrypt_frame(information, sequence)
        if plaintext is None or MPPE not in pkt:
            self.undecrypted += 1
            return pkt
        self.decrypted += 1
        layer = pkt[MPPE]
        layer.remove_payload()
        layer.add_payload(PPP(plaintext))
        return pkt


def _keys(challenge: bytes, response: bytes, password: str) -> MppeKeys | None:
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
