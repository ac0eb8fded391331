"""Targets that give wrong addresses, or carry packets they should not."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from itertools import count
from typing import Any

import pytest

from pypptp.ppp import ipcp, link
from pypptp.ppp.packet import ControlPacket
from pypptp.ppp.protocols import Protocol
from pypptp.testing.dialogue.memory import Connection, Peers
from tests.testing.spec.mutations.hands import (
    breaks,
    dispatching,
    encrypted,
    lose,
    wrapped,
)


@breaks("ipcp/3.3/1")
def takes_no_address_for_one(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ipcp.IpAddress, "judge", lambda self, value: value)


@breaks("ipcp/3.3/2")
def gives_what_is_asked(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    wrapped(
        patch, ipcp.IpAddress, "judge", lambda original, self, value: value if any(value) else original(self, value)
    )


@breaks("ipcp/3.3/3")
def keeps_addresses(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Peers, "give_back", lambda self, address: None)


@breaks("ipcp/1877/1")
def name_server_of_zero(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ipcp.NameServer, "judge", lambda self, value: self.given.packed if self.given else b"\0\0\0\0")


@breaks("ipcp/5/1")
def ignores_the_end_of_ipcp(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    peers.wire.gre_in = lose(Protocol.IPCP, 5)


@breaks("ipcp/7/1")
def ends_ipcp_that_is_early(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def act(self: link.Link, protocol: int, information: bytes) -> bool:
        early = protocol == Protocol.IPCP and self.ipcp is None
        if early:
            self._send(protocol, ControlPacket(6, information[1]).build())
        return early

    dispatching(patch, act)


@breaks("data/1")
def believes_any_source(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    peers.config = replace(peers.config, check_source=False)


@breaks("data/2")
def delivers_twice(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    def route(original: Any, self: Connection, destination: IPv4Address, packet: bytes, now: float) -> None:
        original(self, destination, packet, now)
        original(self, destination, packet, now)

    wrapped(patch, Connection, "_route", route)


@breaks("data/4")
def takes_short_packets_only(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    peers.wire.gre_in = lambda datagram: [datagram] if len(datagram) < 1300 else []


@breaks("data/5")
def loses_packets_of_its_own(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    seen = count(1)
    peers.wire.gre_in = encrypted(lambda datagram, at: next(seen) % 200 != 0)


@breaks("life/3")
def lets_guess(peers: Peers, patch: pytest.MonkeyPatch) -> None:
    peers.failure_limit = None
