"""Targets whose LCP is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pypptp.gre import parse_header
from pypptp.ppp import lcp, link
from pypptp.ppp.config import MppePolicy
from pypptp.ppp.packet import ControlPacket, build_options, parse_options
from pypptp.ppp.protocols import Protocol
from pypptp.testing.dialogue.memory import Peers
from tests.testing.spec.mutations.hands import (
    believes,
    breaks,
    dispatching,
    limits,
    lose,
    ppp_packets,
    wrapped,
)


@breaks("lcp/4.1/1")
def magic_of_zero(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lcp.MagicNumber, "_fresh", lambda self: 0)


@breaks("lcp/4.6/1")
def asks_once(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    limits(peers, restart_interval=1000.0)


@breaks("lcp/4.6/2")
def never_gives_up(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    limits(peers, max_failure=1000)


@breaks("lcp/5.1/1")
def answers_under_another_identifier(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def other(protocol: int, packet: ControlPacket) -> ControlPacket:
        return replace(packet, identifier=packet.identifier ^ 1) if packet.code in (2, 3, 4) else packet

    peers.wire.gre_out = ppp_packets(other)


@breaks("lcp/5.2/1", "ccp/2/3")
def believes_every_ack(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    believes(patch, 2)


@breaks("lcp/5.3/1")
def believes_every_nak(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    believes(patch, 3)


@breaks("lcp/5.4/1")
def rejects_in_another_order(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def turn(protocol: int, packet: ControlPacket) -> ControlPacket:
        options = (parse_options(packet.data) or [])[::-1]
        return replace(packet, data=build_options(options)) if packet.code == 4 else packet

    peers.wire.gre_out = ppp_packets(turn)


@breaks("lcp/5.4/2")
def insists(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lcp.MagicNumber, "rejected", lambda self: None)


@breaks("lcp/5.4/3")
def gives_authentication_up(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def go_on(original: Any, self: link.Link, now: float) -> None:
        self.config = replace(self.config, auth=())
        original(self, now)

    # Where encryption is required, the link would end for want of keys.
    peers.config = replace(peers.config, link=replace(peers.config.link, mppe=MppePolicy.DENY))

    patch.setattr(lcp.AuthenticationProtocol, "rejected", lambda self: setattr(self, "_asking", None))
    wrapped(patch, link.Link, "_without_authentication", go_on)


@breaks("auth/msv2/9")
def takes_any_method(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lcp.AuthenticationProtocol, "naked", lambda self, value: setattr(self, "_asking", value))


@breaks("lcp/5.5/1")
def terminates_under_another_identifier(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    peers.wire.gre_out = ppp_packets(lambda _, packet: replace(packet, identifier=1) if packet.code == 6 else packet)


@breaks("lcp/5.5/2")
def ignores_terminate_ack(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    peers.wire.gre_in = lose(Protocol.LCP, 6)


@breaks("lcp/5.5/3")
def terminates_for_ever(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    limits(peers, max_terminate=1000)


@breaks("lcp/5.6/1")
def rejects_no_code(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    peers.wire.gre_out = lose(Protocol.LCP, 7)


@breaks("lcp/5.6/2")
def ignores_code_reject(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    peers.wire.gre_in = lose(Protocol.LCP, 7)


@breaks("lcp/5.7/1")
def rejects_with_one_identifier(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    peers.wire.gre_out = ppp_packets(lambda _, packet: replace(packet, identifier=1) if packet.code == 8 else packet)


@breaks("lcp/5.7/2", "lcp/5.7/3")
def ignores_protocol_reject(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    peers.wire.gre_in = lose(Protocol.LCP, 8)


@breaks("lcp/5.7/4")
def rejects_before_it_is_open(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def act(self: link.Link, protocol: int, information: bytes) -> bool:
        if protocol != Protocol.LCP and not self.lcp.opened:
            self.lcp.send_protocol_reject(protocol, information)
        return False

    dispatching(patch, act)


@breaks("lcp/5.8/1")
def echoes_without_magic(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def blank(protocol: int, packet: ControlPacket) -> ControlPacket:
        return replace(packet, data=bytes(4) + packet.data[4:]) if packet.code == 10 else packet

    peers.wire.gre_out = ppp_packets(blank)


@breaks("lcp/6.4/1")
def does_not_know_itself(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    limits(peers, max_failure=1000)
    patch.setattr(lcp, "LOOPBACK_LIMIT", 1000)
    patch.setattr(lcp.AuthenticationProtocol, "rejected", lambda self: None)


@breaks("lcp/6.1/1")
def takes_any_mru(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lcp.MaximumReceiveUnit, "judge", lambda self, value: value)


@breaks("lcp/6.5/1")
def wants_all_octets(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def whole(datagram: bytes) -> list[bytes]:
        header = parse_header(datagram)
        short = header is not None and header.payload_length and datagram[header.header_length] != 0xFF
        return [] if short else [datagram]

    peers.wire.gre_in = whole
