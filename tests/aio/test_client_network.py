"""The steps of a client's network on a MemoryEdge; with real processes they are in tests/netns."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from pypptp.aio import client_network
from pypptp.aio.client_network import ClientNetwork, ClientNetworkConfig
from pypptp.causes import Cause
from pypptp.errors import NetworkError
from pypptp.net.edge import HALVES, Recovery, Route
from pypptp.net.memory import MemoryEdge, MemoryKillSwitch
from pypptp.ppp.events import NetworkUp

from .dialling import until

SERVER, OTHER_SERVER = IPv4Address("198.51.100.7"), IPv4Address("198.51.100.8")
GATEWAY, SECOND = IPv4Address("10.0.0.1"), IPv4Address("10.1.0.1")
OWN = IPv4Address("10.0.0.5")
EVERYWHERE = IPv4Network("0.0.0.0/0")
PRIVATE = IPv4Network("172.16.0.0/12")
UP = NetworkUp(
    local=IPv4Address("192.168.0.234"),
    peer=IPv4Address("192.168.0.1"),
    mtu=1400,
    encryption=None,
    dns=(IPv4Address("192.168.0.1"), IPv4Address("9.9.9.9")),
    user="alice",
    method=None,
)


@pytest.fixture(autouse=True)
def _keep_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def machine(**settings: Any) -> MemoryEdge:
    """A machine with two uplinks, of which eth0 has the better default route."""
    routes = [
        Route(IPv4Network("10.0.0.0/24"), "eth0", source=OWN),
        Route(IPv4Network("10.1.0.0/24"), "eth1"),
        Route(EVERYWHERE, "eth0", GATEWAY, OWN),
        Route(EVERYWHERE, "eth1", SECOND, metric=200),
    ]
    return MemoryEdge(address=OWN, routes=routes, **settings)


def run(act: Callable[[ClientNetwork, MemoryEdge], Awaitable[None]], edge: MemoryEdge, **config: Any) -> None:
    """Run a scenario, and see that nothing is left of it."""
    before = list(edge.routes)

    async def scenario() -> None:
        network = ClientNetwork(ClientNetworkConfig(**config), edge)
        try:
            await act(network, edge)
        finally:
            await network.close()
        assert network.interface == ""

    asyncio.run(asyncio.wait_for(scenario(), 10))
    assert edge.changes() == []
    assert edge.routes == before
    assert edge.tuns == []


def added(edge: MemoryEdge) -> dict[str, tuple[str, IPv4Address | None, int]]:
    return {
        str(route.network): (route.interface, route.gateway, route.metric)  # type: ignore[misc]
        for route in reversed(edge.routes)
    }


# Routes.


def test_what_a_session_needs_and_no_more() -> None:
    async def act(network: ClientNetwork, edge: MemoryEdge) -> None:
        tun = await network.configure(SERVER, UP)
        assert network.interface == tun.name == "ppp0"
        assert [route for route in edge.routes if "ppp0" in str(route)] == [Route(IPv4Network(UP.peer), "ppp0")]
        assert f"{SERVER}/32" not in added(edge)

    run(act, machine())


def test_routes_inside_and_past_the_tunnel() -> None:
    async def act(network: ClientNetwork, edge: MemoryEdge) -> None:
        await network.configure(SERVER, UP)
        found = added(edge)
        assert found["198.18.0.0/15"] == ("ppp0", None, 7)
        assert found["172.16.0.0/12"] == ("eth0", GATEWAY, 0)
        assert found[f"{SERVER}/32"] == ("eth0", GATEWAY, 0)
        # Beside the old one, which would win with a lower metric.
        assert [route for route in edge.routes if route.network == EVERYWHERE and route.interface == "ppp0"] == [
            Route(EVERYWHERE, "ppp0", metric=7)
        ]
        await network.session_over()
        assert edge.changes() == []

    run(act, machine(), default_route=True, metric=7, routes=(IPv4Network("198.18.0.0/15"),), bypass=(PRIVATE,))


def test_a_server_whose_inner_address_is_its_outer_one_is_pinned() -> None:
    async def act(network: ClientNetwork, edge: MemoryEdge) -> None:
        await network.configure(SERVER, replace(UP, peer=SERVER))
        assert edge.route_to(SERVER).interface == "eth0"

    run(act, machine())


def test_another_session_in_the_same_tun_changes_only_what_differs() -> None:
    async def act(network: ClientNetwork, edge: MemoryEdge) -> None:
        tun = await network.configure(SERVER, UP)
        before = edge.changes()
        await network.hold(SERVER, None)
        assert await network.configure(SERVER, replace(UP, local=IPv4Address("192.168.0.240"))) is tun
        assert edge.tuns[0].local == IPv4Address("192.168.0.240")
        assert len(edge.changes()) == len(before)
        assert await network.tun() is tun

    run(act, machine(), default_route=True, bypass=(PRIVATE,))


def test_the_way_to_the_server_is_found_anew_around_a_tun_that_stayed() -> None:
    async def act(network: ClientNetwork, edge: MemoryEdge) -> None:
        await network.configure(SERVER, UP)
        assert added(edge)[f"{SERVER}/32"] == ("eth0", GATEWAY, 0)
        edge.routes = [route for route in edge.routes if route.interface != "eth0"]
        await network.hold(OTHER_SERVER, None)
        found = added(edge)
        assert found[f"{OTHER_SERVER}/32"] == found["172.16.0.0/12"] == ("eth1", SECOND, 0)
        assert f"{SERVER}/32" not in found
        await network.session_over()
        edge.routes = machine().routes

    run(act, machine(), default_route=True, bypass=(PRIVATE,))


def test_demand_dial_has_its_routes_before_the_session() -> None:
    async def act(network: ClientNetwork, edge: MemoryEdge) -> None:
        local, peer = IPv4Address("10.64.64.64"), IPv4Address("10.112.112.112")
        tun = await network.prepare(SERVER, local=local, peer=peer, mtu=1400)
        assert edge.route_to(IPv4Address("8.8.8.8")).interface == tun.name
        assert edge.route_to(SERVER).interface == "eth0"
        await network.hold(SERVER, None)
        assert edge.route_to(SERVER).interface == "eth0"
        assert await network.configure(SERVER, UP) is tun
        assert edge.tuns[0].peer == UP.peer

    run(act, machine(), default_route=True)


@pytest.mark.parametrize("refused", ["configure", "add_route", "pin_route"])
def test_half_of_it_is_taken_back(refused: str) -> None:
    async def act(network: ClientNetwork, edge: MemoryEdge) -> None:
        with pytest.raises(NetworkError, match="not today"):
            await network.configure(SERVER, UP)
        assert edge.changes() == []
        assert await network.tun() is None
        edge.refusals.clear()
        await network.configure(SERVER, UP)
        assert set(added(edge)) >= {str(half) for half in HALVES}

    run(act, machine(refusals={refused: "not today"}), default_route=True)


# Uplinks.


def test_no_uplinks_is_the_kernels_way() -> None:
    async def act(network: ClientNetwork, edge: MemoryEdge) -> None:
        assert await network.ways(SERVER) == [None]
        await network.hold(SERVER, None)
        assert edge.changes() == []

    run(act, machine())


def test_uplinks_in_order_and_the_one_that_failed_last(caplog: pytest.LogCaptureFixture) -> None:
    async def act(network: ClientNetwork, edge: MemoryEdge) -> None:
        assert await network.ways(SERVER) == ["eth1", "eth0"]
        assert "uplink eth9: there is no route" in caplog.text
        network.failed("eth1")
        assert await network.ways(SERVER) == ["eth0", "eth1"]
        await network.hold(SERVER, "eth1")
        assert added(edge)[f"{SERVER}/32"] == ("eth1", SECOND, 0)
        with socket.socket() as sock:
            network.bind(sock, "eth1")
        assert edge.bound == ["eth1"]
        await network.configure(SERVER, UP, uplink="eth1")
        assert added(edge)["172.16.0.0/12"] == ("eth1", SECOND, 0)
        assert await network.ways(SERVER) == ["eth1", "eth0"]

    run(act, machine(), uplinks=("eth9", "eth1", "eth0"), bypass=(PRIVATE,))


def test_no_uplink_that_leads_there() -> None:
    async def act(network: ClientNetwork, edge: MemoryEdge) -> None:
        with pytest.raises(NetworkError, match="no uplink of eth8, eth9 leads to") as caught:
            await network.ways(SERVER)
        assert caught.value.cause is Cause.UNREACHABLE

    run(act, machine(), uplinks=("eth8", "eth9"))


def test_the_next_uplink_lets_go_of_the_one_before() -> None:
    async def act(network: ClientNetwork, edge: MemoryEdge) -> None:
        for uplink, gateway in (("eth0", GATEWAY), ("eth1", SECOND)):
            await network.hold(SERVER, uplink)
            assert [route.gateway for route in edge.routes if route.network == IPv4Network(SERVER)] == [gateway]

    run(act, machine(), uplinks=("eth0", "eth1"))


# The kill switch.


def test_the_kill_switch_outlives_sessions_and_follows_the_server(caplog: pytest.LogCaptureFixture) -> None:
    async def act(network: ClientNetwork, edge: MemoryEdge) -> None:
        edge.recovery = Recovery(taken_back=["kill switch (nftables table x), of pid 7 (client)"], errors=["oh"])
        await network.open(SERVER, 1723)
        assert edge.kill_switch == MemoryKillSwitch(SERVER, 1723, (PRIVATE,))
        assert "took back what was left behind: kill switch" in caplog.text
        await network.configure(SERVER, UP)
        await network.session_over()
        assert edge.kill_switch is not None
        await network.open(OTHER_SERVER, 1724)
        assert edge.kill_switch == MemoryKillSwitch(OTHER_SERVER, 1724, (PRIVATE,))
        assert len(edge.changes()) == 1
        assert caplog.text.count("kill switch on") == 1

    edge = machine()
    run(act, edge, kill_switch=True, bypass=(PRIVATE,))
    assert edge.kill_switch is None


@pytest.mark.parametrize("told", [True, False])
def test_a_client_that_was_not_told_to_stop_leaves_it_on(told: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(edge: MemoryEdge) -> None:
        network = ClientNetwork(ClientNetworkConfig(kill_switch=True), edge)
        await network.open(SERVER, 1723)
        await network.configure(SERVER, UP)
        await network.close(told=told)

    edge = machine()
    asyncio.run(scenario(edge))
    assert edge.undo() == []
    assert (edge.kill_switch is None) is told
    assert ("the kill switch stays on" in caplog.text) is not told


def test_without_it_nothing_is_closed() -> None:
    async def act(network: ClientNetwork, edge: MemoryEdge) -> None:
        await network.open(SERVER, 1723)
        assert edge.kill_switch is None

    run(act, machine())


# Name servers.


def test_name_servers_and_routes_to_those_beyond_the_tunnel(caplog: pytest.LogCaptureFixture) -> None:
    async def act(network: ClientNetwork, edge: MemoryEdge) -> None:
        tun = await network.configure(SERVER, UP)
        assert edge.name_servers == {tun: UP.dns}
        # The peer itself is reached through the tunnel already.
        assert added(edge)["9.9.9.9/32"] == ("ppp0", None, 0)
        assert sum(route.network == IPv4Network(UP.peer) for route in edge.routes) == 1
        before = list(edge.routes)
        await network.configure(SERVER, UP)
        assert edge.routes == before
        await network.configure(SERVER, replace(UP, dns=(UP.peer,)))
        assert edge.name_servers == {tun: (UP.peer,)}
        assert caplog.text.count("name servers: ") == 2
        await network.session_over()
        assert edge.name_servers == {}

    run(act, machine(), peer_dns=True)


def test_a_name_server_that_is_the_server_is_not_put_into_its_own_tunnel() -> None:
    async def act(network: ClientNetwork, edge: MemoryEdge) -> None:
        await network.configure(SERVER, replace(UP, dns=(SERVER,)))
        assert edge.route_to(SERVER).interface == "eth0"

    run(act, machine(), peer_dns=True)


@pytest.mark.parametrize("why", ["none", "refused"])
def test_a_tunnel_without_name_servers_is_better_than_none(why: str, caplog: pytest.LogCaptureFixture) -> None:
    async def act(network: ClientNetwork, edge: MemoryEdge) -> None:
        tun = await network.configure(SERVER, UP if why == "refused" else replace(UP, dns=()))
        assert tun.fd >= 0
        assert edge.name_servers == {}
        words = {"none": "the server gave no name servers", "refused": "the name servers stay as they were: not today"}
        assert words[why] in caplog.text

    run(act, machine(refusals={"set_name_servers": "not today"} if why == "refused" else {}), peer_dns=True)


def test_nobody_asked_for_name_servers() -> None:
    async def act(network: ClientNetwork, edge: MemoryEdge) -> None:
        await network.configure(SERVER, UP)
        assert edge.name_servers == {}

    run(act, machine())


# Who wins.


def test_another_default_route_that_wins_is_noticed_when_it_comes(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_network, "NEWS_PAUSE", 0.01)

    async def act(network: ClientNetwork, edge: MemoryEdge) -> None:
        await network.configure(SERVER, UP)
        assert "another default route" not in caplog.text
        edge.routes.insert(0, Route(HALVES[1], "tun9", IPv4Address("10.9.9.9")))
        for _ in range(3):
            edge.tell()
        await until(lambda: "another default route wins, by tun9 via 10.9.9.9" in caplog.text)
        edge.tell()
        edge.routes = edge.routes[1:]
        edge.tell()
        await until(lambda: "the default route through the tunnel wins again" in caplog.text)
        assert caplog.text.count("another default route") == 1
        await network.session_over()
        assert [watch.fd for watch in edge.watches] == [-1]

    run(act, machine(), default_route=True)


def test_a_metric_that_is_too_high_is_noticed_at_once(caplog: pytest.LogCaptureFixture) -> None:
    async def act(network: ClientNetwork, edge: MemoryEdge) -> None:
        await network.configure(SERVER, UP)
        assert "another default route wins, by eth0 via 10.0.0.1" in caplog.text

    run(act, machine(), default_route=True, metric=50)


def test_what_is_to_go_past_the_tunnel_is_no_other_default_route(caplog: pytest.LogCaptureFixture) -> None:
    async def act(network: ClientNetwork, edge: MemoryEdge) -> None:
        await network.configure(SERVER, UP)
        assert "another default route" not in caplog.text

    run(act, machine(), default_route=True, bypass=(HALVES[0],))


def test_closing_while_something_is_being_done_waits_for_it() -> None:
    async def scenario(edge: MemoryEdge) -> None:
        network = ClientNetwork(ClientNetworkConfig(default_route=True), edge)
        task = asyncio.create_task(network.configure(SERVER, UP))
        await asyncio.sleep(0)
        task.cancel()
        await network.close()
        await asyncio.gather(task, return_exceptions=True)

    edge = machine()
    asyncio.run(scenario(edge))
    assert edge.changes() == []
