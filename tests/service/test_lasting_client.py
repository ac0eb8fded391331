"""A client that stays connected: a real server on loopback, a network kept in memory, chance without luck."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from pypptp.aio import client as client_module
from pypptp.aio.client import ClientConfig, SessionLost
from pypptp.aio.client_network import ClientNetworkConfig
from pypptp.aio.dataplane import DataPlane
from pypptp.aio.time_limits import TimeLimits
from pypptp.causes import Cause
from pypptp.endpoint import EndpointConfig
from pypptp.errors import NetworkError
from pypptp.net.edge import Route
from pypptp.net.memory import MemoryEdge
from pypptp.ppp.auth import Secret
from pypptp.ppp.config import LinkConfig
from pypptp.service.client_state import ClientState, Doing
from pypptp.service.lasting_client import Demand, LastingClient
from pypptp.service.redial import RedialPolicy
from tests.aio.dialling import CLIENT, PASSWORD, SERVER, USER, Site, site, udp_for_gre, until
from tests.aio.test_client import received
from tests.aio.test_waiting_packets import ICMP, STAND_IN, packet
from tests.peers import ip_packet

from .running import free_port

LAN = IPv4Network("203.0.113.0/24")
PING = bytes((8, 0, 0, 0, 0, 1, 0, 1))
PERSIST = RedialPolicy(persist=True, holdoff=0.1)
STANDING_IN = Demand(local=STAND_IN, peer=IPv4Address("10.112.112.112"))


@pytest.fixture
def gre(monkeypatch: pytest.MonkeyPatch) -> int:
    return udp_for_gre(monkeypatch)


@pytest.fixture(autouse=True)
def _keep_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def own_edge(**settings: Any) -> MemoryEdge:
    address = IPv4Address(CLIENT)
    return MemoryEdge(address=address, routes=[Route(IPv4Network("0.0.0.0/0"), "eth0", source=address)], **settings)


class Running:
    """A client at work."""

    def __init__(
        self,
        port: int,
        *,
        edge: MemoryEdge | None = None,
        policy: RedialPolicy = PERSIST,
        demand: Demand | None = None,
        password: str = PASSWORD,
        limits: TimeLimits | None = None,
        server: str = SERVER,
        **network: Any,
    ) -> None:
        self.edge = edge or own_edge()
        self.state = ClientState(SERVER, USER)
        self.ready = 0
        config = ClientConfig(
            endpoint=EndpointConfig(link=LinkConfig(name=USER)),
            server=server,
            port=port,
            network=ClientNetworkConfig(**network),
            limits=limits or TimeLimits(),
        )
        self.client = LastingClient(
            config,
            secret=Secret(password=password),
            edge=self.edge,
            policy=policy,
            state=self.state,
            chance=lambda: 0.0,
            demand=demand,
            on_ready=self._count,
        )
        self.task = asyncio.create_task(self.client.run())

    def _count(self) -> None:
        self.ready += 1

    async def until(self, condition: Callable[[], object]) -> None:
        await until(lambda: condition() or self.task.done())
        if self.task.done():
            self.task.result()
            raise AssertionError("it has ended")

    async def doing(self, doing: Doing, sessions: int = 0) -> None:
        await self.until(lambda: self.state.doing is doing and self.state.sessions >= sessions)

    async def stop(self) -> None:
        self.client.stop()
        await asyncio.wait_for(self.task, 5)
        assert self.edge.changes() == []
        assert self.edge.tuns == []

    async def failure(self, patience: float = 10) -> SessionLost | NetworkError:
        with pytest.raises((SessionLost, NetworkError)) as caught:
            await asyncio.wait_for(self.task, patience)
        assert self.edge.changes() == []
        assert isinstance(caught.value, (SessionLost, NetworkError))
        return caught.value


def with_site(gre: int, test: Callable[[Site], Awaitable[None]], **settings: Any) -> None:
    async def run() -> None:
        async with site(gre, **settings) as here:
            await test(here)

    asyncio.run(run())


def cut(here: Site) -> None:
    """End the server's sessions without a word."""
    for driver in list(here.server._drivers):
        assert driver._transport is not None
        driver._transport.abort()


# Dialling again.


def test_a_lost_session_comes_back_through_the_same_tun(gre: int, caplog: pytest.LogCaptureFixture) -> None:
    async def test(here: Site) -> None:
        running = Running(here.port, routes=(LAN,))
        await running.doing(Doing.CONNECTED)
        (tun,) = running.edge.tuns
        routes = list(running.edge.routes)
        cut(here)
        await running.doing(Doing.CONNECTED, sessions=2)
        assert running.edge.tuns == [tun]
        assert sorted(map(str, running.edge.routes)) == sorted(map(str, routes))
        assert tun.local is not None
        sent = ip_packet(b"again", source=str(tun.local))
        tun.kernel.send(sent)
        await until(lambda: here.edge.tuns and received(here.edge.tuns[-1].kernel) == sent)
        assert (running.state.failure, running.state.cause) == ("the peer closed the connection", Cause.LOST)
        assert running.ready == 2
        await running.stop()

    with_site(gre, test)
    assert "dialling again in 0.1 s" in caplog.text


def test_what_was_sent_while_there_was_no_session_is_sent_with_the_next(gre: int) -> None:
    async def test(here: Site) -> None:
        running = Running(here.port, policy=RedialPolicy(persist=True, holdoff=0.5))
        await running.doing(Doing.CONNECTED)
        (tun,) = running.edge.tuns
        cut(here)
        await running.doing(Doing.WAITING)
        sent = ip_packet(b"meanwhile", source=str(tun.local))
        tun.kernel.send(sent)
        await running.doing(Doing.CONNECTED, sessions=2)
        await until(lambda: here.edge.tuns and received(here.edge.tuns[-1].kernel) == sent)
        await running.stop()

    with_site(gre, test)


def test_another_address_is_given_to_the_tun(gre: int) -> None:
    async def test(here: Site) -> None:
        running = Running(here.port, routes=(LAN,))
        await running.doing(Doing.CONNECTED)
        (tun,) = running.edge.tuns
        before = tun.local
        assert before is not None
        cut(here)
        await until(lambda: not here.pool.in_use)
        # Somebody else takes it meanwhile.
        assert here.pool.allocate("bob", before) == before
        await running.doing(Doing.CONNECTED, sessions=2)
        assert running.edge.tuns == [tun]
        assert tun.local not in (None, before)
        assert [route for route in running.edge.routes if route.network == LAN] == [Route(LAN, "ppp0")]
        here.pool.release(before)
        await running.stop()

    with_site(gre, test)


def test_a_wrong_password_is_said_once(gre: int, caplog: pytest.LogCaptureFixture) -> None:
    async def test(here: Site) -> None:
        error = await Running(here.port, password="looking-glass").failure()
        assert error.cause is Cause.AUTHENTICATION
        assert str(error).endswith("(E=691, wrong user name or password); check the user name and the password")

    with_site(gre, test)
    assert "not dialling again: the log-in was refused, and more tries could lock the account" in caplog.text
    assert caplog.text.count("connected to ") == 1


def test_it_gives_up_after_max_fail(gre: int, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        error = await Running(free_port(), policy=RedialPolicy(persist=True, max_fail=3, holdoff=0.1)).failure()
        assert error.cause is Cause.REFUSED

    asyncio.run(run())
    assert "dialling again in 0.1 s" in caplog.text
    assert "dialling again in 0.2 s" in caplog.text
    assert "not dialling again: 3 failures in a row" in caplog.text


def test_without_persist_one_failure_is_the_end(gre: int, caplog: pytest.LogCaptureFixture) -> None:
    async def test(here: Site) -> None:
        running = Running(here.port, policy=RedialPolicy())
        await running.doing(Doing.CONNECTED)
        cut(here)
        assert (await running.failure()).cause is Cause.LOST

    with_site(gre, test)
    assert "dialling" not in caplog.text


def test_the_servers_name_is_looked_up_each_time(gre: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def look_up(host: str, *_: object, **__: object) -> list[Any]:
        asked.append(host)
        # The first answer is out of date.
        address = "127.0.0.9" if len(asked) == 1 else SERVER
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0))]

    async def test(here: Site) -> None:
        running = Running(here.port, server="vpn.example")
        await running.doing(Doing.CONNECTED)
        assert asked == ["vpn.example", "vpn.example"]
        assert running.state.cause is Cause.REFUSED
        await running.stop()

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with_site(gre, test)


def test_where_a_name_cannot_be_looked_up_any_more_its_last_address_is_tried_and_then_the_routes_go(
    gre: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = True

    def look_up(host: str, *_: object, **__: object) -> list[Any]:
        if not known:
            raise socket.gaierror(-3, "Temporary failure in name resolution")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (SERVER, 0))]

    async def test(here: Site) -> None:
        nonlocal known
        running = Running(here.port, server="vpn.example", routes=(LAN,))
        await running.doing(Doing.CONNECTED)
        known = False
        cut(here)
        await running.doing(Doing.CONNECTED, sessions=2)
        assert len(running.edge.tuns) == 1
        # The server has moved, and whoever knows where to is behind the tunnel.
        await here.server.stop("moving")
        await running.until(lambda: running.state.tries >= 1 and running.state.cause is Cause.REFUSED)
        await running.until(lambda: not running.edge.tuns)
        assert not any(route.network == LAN for route in running.edge.routes)
        await running.stop()

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with_site(gre, test)


def test_a_machine_that_is_out_of_descriptors_for_a_moment(gre: int, monkeypatch: pytest.MonkeyPatch) -> None:
    exhausted = False

    def make(*given: Any, **settings: Any) -> DataPlane:
        nonlocal exhausted
        if exhausted:
            exhausted = False
            raise OSError(24, "Too many open files")
        return DataPlane(*given, **settings)

    async def test(here: Site) -> None:
        nonlocal exhausted
        running = Running(here.port)
        await running.doing(Doing.CONNECTED)
        exhausted = True
        cut(here)
        await running.until(lambda: running.state.failure == "Too many open files")
        await running.doing(Doing.CONNECTED, sessions=2)
        await running.stop()

    monkeypatch.setattr(client_module, "DataPlane", make)
    with_site(gre, test)


def test_stopping_while_it_waits(gre: int) -> None:
    async def run() -> None:
        running = Running(free_port(), policy=RedialPolicy(persist=True, holdoff=60.0))
        await running.doing(Doing.WAITING)
        assert running.state.next_try is not None
        assert 55 < running.state.next_try - running.state.since <= 60
        assert "dialling 127.0.0.2 again in" in running.state.describe()
        await running.stop()

    asyncio.run(run())


# News of the network.


def test_it_dials_the_moment_the_way_to_the_server_changes(gre: int, caplog: pytest.LogCaptureFixture) -> None:
    async def test(here: Site) -> None:
        running = Running(free_port(), policy=RedialPolicy(persist=True, holdoff=60.0))
        await running.doing(Doing.WAITING)
        # News without anything new is none.
        running.edge.tell()
        await asyncio.sleep(0.6)
        assert running.state.doing is Doing.WAITING
        running.edge.routes = []
        running.edge.tell()
        await asyncio.sleep(0.6)
        assert running.state.doing is Doing.WAITING
        running.edge.routes = [Route(IPv4Network("0.0.0.0/0"), "wlan0", IPv4Address("10.0.0.1"))]
        running.edge.tell()
        await running.until(lambda: running.state.tries == 2)
        await running.stop()

    with pytest.MonkeyPatch.context() as patch:
        # The server stands for one far away.
        patch.setattr(IPv4Address, "is_loopback", property(lambda self: False))
        with_site(gre, test)
    assert f"the way to {SERVER} has changed" in caplog.text


def test_a_session_ends_with_its_own_address(gre: int, caplog: pytest.LogCaptureFixture) -> None:
    async def test(here: Site) -> None:
        running = Running(here.port)
        await running.doing(Doing.CONNECTED)
        running.edge.tell()
        await asyncio.sleep(0.5)
        assert running.state.doing is Doing.CONNECTED
        running.edge.address = IPv4Address("10.0.0.9")
        running.edge.tell()
        await until(lambda: running.state.cause is Cause.ADDRESS_CHANGED)
        await running.doing(Doing.CONNECTED, sessions=2)
        await running.stop()

    with_site(gre, test)
    assert f"the address {CLIENT} is no longer this machine's; dialling again" in caplog.text


# On demand.


def test_the_first_packet_dials_and_is_sent_with_the_address_that_was_given(gre: int) -> None:
    async def test(here: Site) -> None:
        running = Running(here.port, demand=STANDING_IN, routes=(LAN,))
        await running.doing(Doing.LISTENING)
        (tun,) = running.edge.tuns
        assert (tun.local, tun.peer) == (STANDING_IN.local, STANDING_IN.peer)
        assert any(route.network == LAN for route in running.edge.routes)
        assert (running.ready, len(here.server._drivers)) == (1, 0)
        tun.kernel.send(packet(PING, ICMP, source=STANDING_IN.local))
        await running.doing(Doing.CONNECTED)
        assert running.edge.tuns == [tun]
        assert tun.local is not None
        assert tun.local != STANDING_IN.local
        await until(lambda: here.edge.tuns)
        await until(lambda: received(here.edge.tuns[0].kernel) == packet(PING, ICMP, source=tun.local or STAND_IN))
        await running.stop()

    with_site(gre, test)


def test_an_idle_session_ends_and_the_next_packet_dials_again(gre: int, caplog: pytest.LogCaptureFixture) -> None:
    async def test(here: Site) -> None:
        running = Running(here.port, demand=STANDING_IN, limits=TimeLimits(idle=0.4))
        await running.doing(Doing.LISTENING)
        (tun,) = running.edge.tuns
        tun.kernel.send(packet(PING, ICMP, source=STANDING_IN.local))
        await running.doing(Doing.CONNECTED)
        address = tun.local
        await running.doing(Doing.LISTENING)
        assert running.state.cause is Cause.IDLE
        assert tun.local == address
        await asyncio.sleep(0.3)
        assert running.state.doing is Doing.LISTENING
        tun.kernel.send(packet(PING, ICMP, source=address or STAND_IN))
        await running.doing(Doing.CONNECTED, sessions=2)
        await running.stop()

    with_site(gre, test)
    assert "waiting for the next packet" in caplog.text


def test_a_packet_whose_session_did_not_come_up_calls_for_no_other(gre: int) -> None:
    async def run() -> None:
        running = Running(free_port(), demand=STANDING_IN, policy=PERSIST)
        await running.doing(Doing.LISTENING)
        running.edge.tuns[0].kernel.send(packet(PING, ICMP, source=STANDING_IN.local))
        await running.until(lambda: running.state.cause is Cause.REFUSED)
        await running.doing(Doing.LISTENING)
        await asyncio.sleep(0.5)
        assert (running.state.doing, running.state.tries) == (Doing.LISTENING, 1)
        await running.stop()

    asyncio.run(run())


def test_stopping_while_it_listens(gre: int) -> None:
    async def test(here: Site) -> None:
        running = Running(here.port, demand=STANDING_IN)
        await running.doing(Doing.LISTENING)
        await running.stop()
        assert not here.server._drivers

    with_site(gre, test)


# Limits and state.


@pytest.mark.parametrize(
    ("limits", "cause"),
    [(TimeLimits(idle=0.3), Cause.IDLE), (TimeLimits(maxconnect=0.3), Cause.TIME_IS_UP)],
)
def test_limits_end_a_session(gre: int, limits: TimeLimits, cause: Cause) -> None:
    async def test(here: Site) -> None:
        running = Running(here.port, policy=RedialPolicy(), limits=limits)
        await running.doing(Doing.CONNECTED)
        assert (await running.failure()).cause is cause
        await until(lambda: here.idle)

    with_site(gre, test)


def test_the_state_tells_everything(gre: int) -> None:
    async def test(here: Site) -> None:
        running = Running(here.port)
        await running.doing(Doing.CONNECTED)
        report = json.loads(json.dumps(running.state.report()))
        assert (report["state"], report["server"], report["user"]) == ("connected", SERVER, USER)
        assert (report["interface"], report["local"], report["peer"]) == ("ppp0", "192.168.0.234", "192.168.0.1")
        assert report["encryption"] == "MPPE 128-bit stateless"
        assert report["counters"]["packets_in"] == 0
        assert (report["tries"], report["sessions"], report["cause"]) == (0, 1, None)
        await running.stop()

    with_site(gre, test)
