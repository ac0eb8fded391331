"""What a server does for each session about what may pass, with the edge in memory."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from ipaddress import IPv4Address
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

from pypptp.aio.passage import LOOK_AGAIN, Passage, PassageConfig
from pypptp.aio.rates import Rate, Rates
from pypptp.endpoint import EndpointConfig
from pypptp.inner_traffic import InnerPolicy
from pypptp.net.memory import ADDRESS, MemoryEdge
from pypptp.ppp.config import LinkConfig

LOCAL = IPv4Address("192.168.0.1")
OUTER = IPv4Address("198.51.100.1")
T = TypeVar("T")


async def at_once(work: Callable[[], T]) -> T:
    return work()


def passage(edge: MemoryEdge | None = None, **config: Any) -> Passage:
    return Passage(PassageConfig(**config), edge=edge or MemoryEdge(), on_edge=at_once, local=LOCAL)


def network(peer: str = "203.0.113.77") -> Any:
    return SimpleNamespace(local=LOCAL, peer=IPv4Address(peer), mtu=1300)


def endpoint() -> EndpointConfig:
    return EndpointConfig(link=LinkConfig(name="x"), policy=InnerPolicy(multicast=True))


def test_every_address_of_this_machine_is_guarded_and_stays_so_while_it_is_one() -> None:
    edge = MemoryEdge()
    rules = passage(edge)
    policy = rules.guard(endpoint(), 1724).policy
    assert (policy.port, policy.multicast, policy.guarded) == (1724, True, {int(LOCAL)})
    assert rules.reached_at(OUTER, 100.0)
    assert policy.guarded == {int(LOCAL), int(OUTER)}
    asyncio.run(rules.learn())
    assert policy.guarded == {int(LOCAL), int(OUTER), int(ADDRESS)}
    assert not rules.reached_at(OUTER, 100.0 + LOOK_AGAIN / 2)
    edge.address = IPv4Address("203.0.113.9")
    assert rules.reached_at(OUTER, 100.0 + LOOK_AGAIN)
    asyncio.run(rules.learn())
    assert policy.guarded == {int(LOCAL), int(OUTER), int(edge.address)}


def test_nothing_is_guarded_where_nesting_is_allowed() -> None:
    rules = passage(nested=True)
    assert rules.guard(endpoint(), 1723) == endpoint()
    assert not rules.reached_at(OUTER, 0.0)


def test_an_edge_that_cannot_tell_its_addresses(caplog: pytest.LogCaptureFixture) -> None:
    rules = passage(MemoryEdge(refusals={"own_addresses": "no netlink"}))
    policy = rules.guard(endpoint(), 1723).policy
    rules.reached_at(OUTER, 0.0)
    asyncio.run(rules.learn())
    assert policy.guarded == {int(LOCAL), int(OUTER)}
    assert "cannot tell this machine's own addresses: no netlink" in caplog.text


@pytest.mark.parametrize("isolated", [True, False])
def test_the_tun_of_a_session(isolated: bool) -> None:
    edge = MemoryEdge()
    rules = passage(edge, isolated=isolated, rates=Rates(users={"alice": Rate(10_000_000)}))
    for user, queue in (("alice", 241), ("bob", None)):
        tun = edge.open_tun()
        asyncio.run(rules.configure(tun, network(), user))
        made = edge.tuns[-1]
        assert (made.isolated, made.queue, made.mtu, made.peer) == (isolated, queue, 1300, network().peer)
    assert edge.proxy_arp == []
    edge.undo()


@pytest.mark.parametrize(
    ("peer", "refusals", "words"),
    [
        ("203.0.113.77", {}, "proxy ARP for 203.0.113.77 on eth0"),
        ("192.168.0.234", {}, "no proxy ARP for 192.168.0.234: no local network holds this address"),
        ("203.0.113.77", {"add_proxy_arp": "not allowed"}, "no proxy ARP for 203.0.113.77: not allowed"),
    ],
)
def test_proxy_arp_warns_and_never_stops(
    caplog: pytest.LogCaptureFixture, peer: str, refusals: dict[str, str], words: str
) -> None:
    caplog.set_level(logging.INFO)
    edge = MemoryEdge(refusals=refusals)
    tun = edge.open_tun()
    asyncio.run(passage(edge, proxy_arp=True).configure(tun, network(peer), "alice"))
    assert edge.tuns[0].peer == IPv4Address(peer)
    assert [record.getMessage() for record in caplog.records] == [words]
    assert bool(edge.proxy_arp) == words.startswith("proxy ARP for")
    assert [record.levelno for record in caplog.records] == [logging.INFO if edge.proxy_arp else logging.WARNING]
    edge.undo()


def test_a_session_is_held_to_its_users_rate() -> None:
    limits: list[dict[str, object]] = []
    flow: Any = SimpleNamespace(limit=lambda **given: limits.append(given))
    rules = passage(rates=Rates(Rate(1_000_000, None), {"bob": Rate()}))
    assert rules.limit(flow, "bob", 0.0) is None
    assert limits == []
    first, second = rules.limit(flow, "alice", 0.0), rules.limit(flow, "alice", 1.0)
    assert first is second
    assert first is not None
    assert limits == [{"down": first.down, "up": None}] * 2
