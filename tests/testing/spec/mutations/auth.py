"""Targets that let the wrong ones in, or the right ones in the wrong way."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from pypptp.ppp import auth, link
from pypptp.ppp.auth import mschap_v2
from pypptp.ppp.auth.chap import ChapAuthenticator, parse_value
from pypptp.ppp.packet import ControlPacket
from pypptp.ppp.protocols import Protocol
from pypptp.testing.dialogue.memory import Peers
from tests.testing.spec.mutations.hands import (
    breaks,
    dispatching,
    ppp_packets,
    wrapped,
)


@breaks("auth/phase/1")
def negotiates_addresses_at_once(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def act(self: link.Link, protocol: int, information: bytes) -> bool:
        early = protocol == Protocol.IPCP and self.phase is not link.Phase.NETWORK
        if early:
            self._send(protocol, b"\2" + information[1:])
        return early

    dispatching(patch, act)


@breaks("auth/phase/2", "auth/pap/1")
def answers_pap(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def act(self: link.Link, protocol: int, information: bytes) -> bool:
        if protocol == Protocol.PAP:
            self._send(protocol, ControlPacket(2, information[1], b"\0").build())
        return protocol == Protocol.PAP

    dispatching(patch, act)


@breaks("auth/chap/1")
def always_one_challenge(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    original = auth.authenticator
    constant = lambda method, name, random: original(method, name=name, random=lambda length: bytes(length))  # noqa: E731
    patch.setattr(link, "authenticator", constant)


@breaks("auth/chap/2")
def takes_any_identifier(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def receive(original: Any, self: ChapAuthenticator, packet: bytes, now: float) -> None:
        original(self, packet[:1] + bytes((self._identifier,)) + packet[2:], now)

    wrapped(patch, ChapAuthenticator, "receive", receive)


@breaks("auth/chap/3")
def says_its_verdict_once(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def receive(original: Any, self: ChapAuthenticator, packet: bytes, now: float) -> None:
        if self._verdict is None or packet[1] != self._verdict[0]:
            original(self, packet, now)

    wrapped(patch, ChapAuthenticator, "receive", receive)


@breaks("auth/msv2/1")
def proves_in_lower_case(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def lower(protocol: int, packet: ControlPacket) -> ControlPacket:
        proof = protocol == Protocol.CHAP and packet.code == 3
        return replace(packet, data=b"S=" + packet.data[2:42].lower() + packet.data[42:]) if proof else packet

    peers.wire.gre_out = ppp_packets(lower)


@breaks("auth/msv2/2")
def cuts_values(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def receive(original: Any, self: ChapAuthenticator, packet: bytes, now: float) -> None:
        value = parse_value(packet[4:])
        if value is not None:
            data = bytes((49,)) + value[0].ljust(49, b"\0")[:49] + value[1]
            packet = ControlPacket(packet[0], packet[1], data).build()
        original(self, packet, now)

    wrapped(patch, ChapAuthenticator, "receive", receive)


@breaks("auth/msv2/3")
def fails_without_challenge(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def strip(protocol: int, packet: ControlPacket) -> ControlPacket:
        failure = protocol == Protocol.CHAP and packet.code == 4
        return replace(packet, data=re.sub(rb" C=\w+", b"", packet.data)) if failure else packet

    peers.wire.gre_out = ppp_packets(strip)


@breaks("auth/msv2/4")
def hashes_the_domain(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def check(original: Any, self: Any, *args: Any) -> Any:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr("pypptp.ppp.auth.mschap.hashed_name", lambda given: given)
            return original(self, *args)

    wrapped(patch, mschap_v2.MschapV2Authenticator, "check", check)


@breaks("auth/msv2/5")
def cuts_names(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    wrapped(patch, Peers, "find_password", lambda original, self, name: original(self, name.partition("\0")[0]))


@breaks("auth/msv2/8")
def tells_who_exists(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def provide(original: Any, self: ChapAuthenticator, secret: Any, now: float, objection: str = "") -> None:
        original(self, secret, now)
        if secret is None:
            self._packets[-1] = self._packets[-1].replace(b"Access denied", b"Unknown user.")

    wrapped(patch, ChapAuthenticator, "provide", provide)


@breaks("auth/msv2/6")
def believes_any_proof(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(mschap_v2, "compare_digest", lambda first, second: True)


@breaks("auth/msv2/7")
def answers_its_own_challenge(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(mschap_v2.MschapV2Peer, "is_answerable", lambda self, challenge: True)
