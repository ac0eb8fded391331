"""What mutations are made of: a table, hands in the wire, and functions put around the core's methods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pypptp.gre import build_header, parse_header
from pypptp.ppp import link
from pypptp.ppp.control_protocol import ControlProtocol, NegotiationLimits
from pypptp.ppp.packet import ControlPacket, parse_packet
from pypptp.ppp.protocols import ADDRESS_CONTROL, Protocol, split_frame
from pypptp.testing.dialogue.memory import Peers

Mutation = Callable[[Peers, pytest.MonkeyPatch], None]
Change = Callable[[int, ControlPacket], ControlPacket | None]

MUTATIONS: dict[str, Mutation] = {}
COOKIE = b"\x1a\x2b\x3c\x4d"
START_REPLY, CALL_REPLY, ECHO_REPLY, DISCONNECT = 2, 8, 6, 13


def breaks(*ids: str) -> Callable[[Mutation], Mutation]:
    def register(mutation: Mutation) -> Mutation:
        for check_id in ids:
            assert check_id not in MUTATIONS, check_id
            MUTATIONS[check_id] = mutation
        return mutation

    return register


def control_messages(kind: int, change: Callable[[bytearray], object]) -> Callable[[bytes], list[bytes]]:
    """Change every control message of a kind; ``change`` returns False to lose it."""

    def rewrite(octets: bytes) -> list[bytes]:
        kept = []
        while len(octets) >= 12:
            length = int.from_bytes(octets[:2], "big") or len(octets)
            message = bytearray(octets[:length])
            if message[9] != kind or change(message) is not False:
                kept.append(bytes(message))
            octets = octets[length:]
        return [*kept, octets] if octets else kept

    return rewrite


def ppp_packets(change: Change) -> Callable[[bytes], list[bytes]]:
    """Change control packets of PPP in clear; ``change`` returns None to lose one."""

    def rewrite(datagram: bytes) -> list[bytes]:
        header = parse_header(datagram)
        parts = None if header is None else split_frame(datagram[header.header_length :])
        packet = None if parts is None or parts[0] < 0x8000 else parse_packet(parts[1])
        if header is None or parts is None or packet is None:
            return [datagram]
        changed = change(parts[0], packet)
        if changed is packet:
            return [datagram]
        if changed is None:
            return []
        frame = ADDRESS_CONTROL + parts[0].to_bytes(2, "big") + changed.build()
        return [build_header(len(frame), header.call_id, header.sequence, header.acknowledgement) + frame]

    return rewrite


def lose(protocol: int, code: int) -> Callable[[bytes], list[bytes]]:
    return ppp_packets(lambda given, packet: None if (given, packet.code) == (protocol, code) else packet)


def encrypted(change: Callable[[bytearray, int], object]) -> Callable[[bytes], list[bytes]]:
    """Change datagrams with MPPE; ``change`` gets the datagram and where its MPPE header is, and may return False."""

    def rewrite(datagram: bytes) -> list[bytes]:
        header = parse_header(datagram)
        if header is None or not header.payload_length:
            return [datagram]
        at = header.header_length + 2 * (datagram[header.header_length :][:2] == ADDRESS_CONTROL)
        at += datagram[at] == 0
        octets = bytearray(datagram)
        if datagram[at] == Protocol.COMPRESSED and change(octets, at + 1) is False:
            return []
        return [bytes(octets)]

    return rewrite


def wrapped(patch: pytest.MonkeyPatch, owner: type, name: str, around: Callable[..., Any]) -> None:
    """Put a function around a method: it gets the original first."""
    original = getattr(owner, name)
    patch.setattr(owner, name, lambda self, *args, **kwargs: around(original, self, *args, **kwargs))


def limits(peers: Peers, **values: Any) -> None:
    peers.config = replace(peers.config, link=replace(peers.config.link, limits=NegotiationLimits(**values)))


def believes(patch: pytest.MonkeyPatch, code: int) -> None:
    def receive_answer(original: Any, self: ControlProtocol, packet: ControlPacket, now: float) -> None:
        awaited = self._awaited
        if awaited is not None and packet.code == code:
            data = awaited.data if code == 2 else packet.data
            packet = replace(packet, identifier=awaited.identifier, data=data)
        original(self, packet, now)

    wrapped(patch, ControlProtocol, "_receive_answer", receive_answer)


def dispatching(patch: pytest.MonkeyPatch, act: Callable[[link.Link, int, bytes], bool]) -> None:
    """Let a function see every packet first; it returns whether it has dealt with it."""

    def dispatch(original: Any, self: link.Link, protocol: int, information: bytes, now: float) -> None:
        if not act(self, protocol, information):
            original(self, protocol, information, now)

    wrapped(patch, link.Link, "_dispatch", dispatch)
