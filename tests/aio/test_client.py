"""The client with everything but the kernel's part, against a real server and against ones that are no good."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
import threading
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from pypptp.aio import client as module
from pypptp.aio.client import Client, ClientConfig, SessionLost
from pypptp.aio.client_network import ClientNetworkConfig
from pypptp.aio.dataplane import DataPlane
from pypptp.aio.driver import CLOSE_GRACE
from pypptp.causes import Cause
from pypptp.endpoint import Endpoint, EndpointConfig
from pypptp.errors import NetworkError
from pypptp.net.edge import Route, Tun
from pypptp.net.memory import MemoryEdge
from pypptp.ppp.auth import AuthMethod, Secret
from pypptp.ppp.config import LinkConfig, MppePolicy
from pypptp.ppp.control_protocol import NegotiationLimits
from tests.peers import ip_packet

from .dialling import PASSWORD, SERVER, USER, Site, site, udp_for_gre, until
from .test_server import complaints

PUBLIC = IPv4Network("203.0.113.0/24")


@pytest.fixture
def gre(monkeypatch: pytest.MonkeyPatch) -> int:
    return udp_for_gre(monkeypatch)


@pytest.fixture(autouse=True)
def _keep_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def own_edge(**settings: Any) -> MemoryEdge:
    """A machine whose own address is the one the server sees, with a way to the server that is no loopback."""
    address = IPv4Address("10.0.0.5")
    routes = [
        Route(IPv4Network("10.0.0.0/24"), "eth0", source=address),
        Route(IPv4Network("0.0.0.0/0"), "eth0", IPv4Address("10.0.0.1"), address),
    ]
    return MemoryEdge(address=address, routes=routes, **settings)


def make_client(
    port: int, edge: MemoryEdge, *, server: str = SERVER, user: str = USER, password: str = PASSWORD, **config: Any
) -> Client:
    link = LinkConfig(name=user, ask_dns=True, **config.pop("link", {}))
    known = config.pop("known", None)
    network = ClientNetworkConfig(**config)
    made = ClientConfig(endpoint=EndpointConfig(link=link), server=server, port=port, network=network)
    return Client(made, secret=Secret(password=password), edge=edge, known=known)


async def failure(client: Client, patience: float = 10) -> str:
    """Run a client that will not stay, and return why not."""
    with pytest.raises((SessionLost, NetworkError)) as caught:
        await asyncio.wait_for(client.run(), patience)
    return str(caught.value)


async def stopped(client: Client, running: asyncio.Task[None], patience: float) -> float:
    """Stop a client; returns how long it took."""
    began = asyncio.get_running_loop().time()
    client.stop()
    await asyncio.wait_for(running, patience)
    return asyncio.get_running_loop().time() - began


async def reached(client: Client, running: asyncio.Task[None]) -> None:
    await until(lambda: client.connected.is_set() or running.done())
    if running.done():
        running.result()


# A session.


def test_connect_pass_packets_and_stop(gre: int, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        edge = own_edge()
        before = list(edge.routes)
        async with site(gre, dns=(IPv4Address("9.9.9.9"),)) as here:
            client = make_client(here.port, edge)
            running = asyncio.create_task(client.run())
            await reached(client, running)
            assert client.network is not None
            assert client.network.dns == (IPv4Address("9.9.9.9"),)
            assert client.interface == "ppp0"
            (tun,) = edge.tuns
            assert (str(tun.local), str(tun.peer), tun.mtu) == ("192.168.0.234", "192.168.0.1", 1400)
            # Without --route or --default-route, the peer's host route alone.
            assert [route for route in edge.routes if route not in before] == [tun.peer_route]
            await until(lambda: here.edge.tuns and " up: ppp0" in caplog.text.split("authenticated", 1)[1])
            outward, inward = ip_packet(b"there"), ip_packet(b"back", source="192.168.0.1", destination="192.168.0.234")
            tun.kernel.send(outward)
            there = here.edge.tuns[0].kernel
            await until(lambda: received(there) == outward)
            there.send(inward)
            await until(lambda: received(tun.kernel) == inward)
            assert await stopped(client, running, 5) < CLOSE_GRACE
            await until(lambda: here.idle)
        assert edge.changes() == []
        assert edge.tuns == []
        assert edge.routes == before

    asyncio.run(scenario())
    assert complaints(caplog) == []


def received(kernel: socket.socket, most: int = 2000) -> bytes | None:
    with contextlib.suppress(BlockingIOError):
        return kernel.recv(most)
    return None


def test_routes_come_and_go(gre: int) -> None:
    async def scenario() -> None:
        edge = own_edge()
        before = list(edge.routes)
        async with site(gre) as here:
            client = make_client(
                here.port,
                edge,
                default_route=True,
                routes=(PUBLIC,),
                bypass=(IPv4Network("172.16.0.0/12"),),
            )
            running = asyncio.create_task(client.run())
            await reached(client, running)
            ways = {str(route.network): (route.interface, route.gateway) for route in edge.routes}
            gateway = IPv4Address("10.0.0.1")
            assert ways[f"{SERVER}/32"] == ("eth0", gateway)
            assert ways["172.16.0.0/12"] == ("eth0", gateway)
            assert ways["203.0.113.0/24"] == ("ppp0", None)
            assert ways["0.0.0.0/1"] == ways["128.0.0.0/1"] == ("ppp0", None)
            assert ways["0.0.0.0/0"] == ("eth0", gateway)
            await stopped(client, running, 5)
        assert edge.routes == before
        assert edge.changes() == []

    # MemoryEdge holds loopback for its own, as the kernel does; here 127.0.0.2 stands for a server far away.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(IPv4Address, "is_loopback", property(lambda self: False))
        asyncio.run(scenario())


def test_the_link_negotiated_anew_keeps_its_tun(gre: int, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        edge = own_edge()
        async with site(gre) as here:
            client = make_client(here.port, edge)
            running = asyncio.create_task(client.run())
            await reached(client, running)
            tun = edge.tuns[0]
            await until(lambda: here.edge.tuns)
            (served,) = here.server.clients.values()
            session = served.driver.endpoint.sessions[served.call_id]
            session._despair(asyncio.get_running_loop().time())
            served.driver.settle(asyncio.get_running_loop().time())
            await until(lambda: caplog.text.count("up: ppp0") == 4)
            assert edge.tuns == [tun]
            packet = ip_packet(b"still there")
            tun.kernel.send(packet)
            await until(lambda: received(here.edge.tuns[0].kernel) == packet)
            await stopped(client, running, 5)

    asyncio.run(scenario())
    assert complaints(caplog) == []


def test_large_packets_have_room(gre: int) -> None:
    async def scenario() -> None:
        edge = own_edge()
        large: dict[str, Any] = {"mtu": 9000, "mru": 9004}
        async with site(gre, **large) as here:
            client = make_client(here.port, edge, link=large)
            running = asyncio.create_task(client.run())
            await reached(client, running)
            await until(lambda: here.edge.tuns)
            packet = ip_packet(bytes(8980))
            edge.tuns[0].kernel.send(packet)
            there = here.edge.tuns[0].kernel
            await until(lambda: received(there, 9000) == packet)
            await stopped(client, running, 5)

    asyncio.run(scenario())


# Sessions that do not come up, or are lost.


def test_the_peers_own_words_for_a_wrong_password(gre: int) -> None:
    async def scenario() -> str:
        async with site(gre) as here:
            edge = own_edge()
            said = await failure(make_client(here.port, edge, password="looking-glass"))
            assert edge.changes() == []
            return said

    assert "E=691" in asyncio.run(scenario())


def test_a_lost_session_is_an_error_with_its_reason(gre: int) -> None:
    async def scenario() -> None:
        async with site(gre) as here:
            edge = own_edge()
            client = make_client(here.port, edge)
            running = asyncio.create_task(client.run())
            await reached(client, running)
            await here.server.stop("closing time")
            with pytest.raises(SessionLost, match="closing time"):
                await running
            assert edge.changes() == []

    asyncio.run(scenario())


@pytest.mark.parametrize("refused", ["open_tun", "configure"])
def test_an_edge_that_refuses(gre: int, refused: str, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with site(gre) as here:
            edge = own_edge(refusals={refused: "the kernel says no: buy another one"})
            assert await failure(make_client(here.port, edge)) == "the kernel says no: buy another one"
            assert edge.changes() == []
            await until(lambda: here.idle)

    asyncio.run(scenario())
    assert complaints(caplog) == []


def test_no_server(gre: int) -> None:
    with socket.socket() as taken:
        taken.bind((SERVER, 0))
        port = taken.getsockname()[1]
        said = asyncio.run(failure_of(port))
    assert said == f"{SERVER} refuses connections to port {port}: no PPTP server runs there"


async def failure_of(port: int, **settings: Any) -> str:
    edge = own_edge()
    said = await failure(make_client(port, edge, **settings))
    assert edge.changes() == []
    return said


class Listener:
    """A TCP server that does one thing to whoever connects, in a thread of its own."""

    def __init__(self, words: bytes | None) -> None:
        self.socket = socket.create_server((SERVER, 0))
        self.port: int = self.socket.getsockname()[1]
        self._words = words
        self._kept: list[socket.socket] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        connection, _ = self.socket.accept()
        if self._words is None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
            return
        self._kept.append(connection)
        if self._words:
            connection.sendall(self._words)

    def close(self) -> None:
        self._thread.join(5)
        self.socket.close()
        for connection in self._kept:
            connection.close()


@contextlib.contextmanager
def listener(words: bytes | None) -> Iterator[Listener]:
    made = Listener(words)
    try:
        yield made
    finally:
        made.close()


def test_a_server_that_resets_at_once(gre: int, caplog: pytest.LogCaptureFixture) -> None:
    with listener(None) as hostile:
        said = asyncio.run(failure_of(hostile.port))
    assert said
    assert "internal" not in said
    assert complaints(caplog) == []


def test_a_web_server(gre: int) -> None:
    with listener(b"HTTP/1.0 400 Bad Request\r\n\r\n" * 8) as web:
        said = asyncio.run(failure_of(web.port))
    assert said
    assert said.isprintable()


def test_a_server_that_says_nothing_and_a_user_who_stops(gre: int) -> None:
    async def scenario(port: int) -> None:
        client = make_client(port, own_edge())
        running = asyncio.create_task(client.run())
        await until(lambda: client._driver is not None)
        assert await stopped(client, running, 5) < CLOSE_GRACE + 1

    with listener(b"") as mute:
        asyncio.run(scenario(mute.port))


def test_stopping_while_tcp_connects(gre: int) -> None:
    async def scenario(port: int) -> None:
        client = make_client(port, own_edge())
        running = asyncio.create_task(client.run())
        await asyncio.sleep(0.2)
        assert not running.done()
        assert await stopped(client, running, 5) < 1

    # A full backlog: the kernel answers no further SYN.
    with socket.create_server((SERVER, 0), backlog=0) as full, contextlib.ExitStack() as stack:
        for _ in range(3):
            early = stack.enter_context(socket.socket())
            early.setblocking(False)
            early.connect_ex(full.getsockname())
        asyncio.run(scenario(full.getsockname()[1]))


def test_stopping_while_the_name_is_looked_up(gre: int, monkeypatch: pytest.MonkeyPatch) -> None:
    may_answer = threading.Event()

    def no_answer(*_: Any, **__: Any) -> list[Any]:
        may_answer.wait(20)
        return []

    async def scenario() -> None:
        client = make_client(1723, own_edge(), server="vpn.example")
        running = asyncio.create_task(client.run())
        await asyncio.sleep(0.1)
        assert await stopped(client, running, 5) < 1

    monkeypatch.setattr(socket, "getaddrinfo", no_answer)
    try:
        # asyncio.run waits for the executor's threads at its end, so this is part of what is tested.
        asyncio.run(asyncio.wait_for(scenario(), 5))
    finally:
        may_answer.set()


def test_a_name_nobody_knows(gre: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    said = asyncio.run(failure_of(1723, server="vpn.example"))
    assert said == "no address found for the server vpn.example: Name or service not known"


def test_no_right_to_open_raw_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> socket.socket:
        raise NetworkError("not allowed to open a raw GRE socket: run as root")

    monkeypatch.setattr(module, "open_gre_socket", refuse)
    assert asyncio.run(failure_of(1723)) == "not allowed to open a raw GRE socket: run as root"


def test_stopping_while_the_tun_is_made_leaves_nothing(gre: int) -> None:
    class SlowEdge(MemoryEdge):
        asked = threading.Event()

        def open_tun(self, name: str | None = None, *, mtu: int = 1400) -> Tun:
            self.asked.set()
            threading.Event().wait(0.3)
            return super().open_tun(name, mtu=mtu)

    async def scenario() -> None:
        edge = SlowEdge()
        async with site(gre) as here:
            client = make_client(here.port, edge)
            running = asyncio.create_task(client.run())
            await until(edge.asked.is_set)
            await stopped(client, running, 5)
            assert edge.changes() == []
            assert edge.tuns == []

    asyncio.run(scenario())


def test_a_server_that_falls_silent_does_not_keep_a_user_who_stops(gre: int) -> None:
    async def scenario() -> None:
        edge = own_edge()
        async with site(gre) as here:
            client = make_client(here.port, edge)
            running = asyncio.create_task(client.run())
            await reached(client, running)
            mute(here)
            assert await stopped(client, running, 5) < CLOSE_GRACE + 1
            assert edge.changes() == []

    asyncio.run(scenario())


def mute(here: Site) -> None:
    """The server hears nothing more, as if the cable had been cut."""
    for driver in here.server._drivers:
        assert driver._transport is not None
        driver._transport.pause_reading()
        driver._reading = False
        plane = here.server._plane
        assert plane is not None
        plane._epoll.unregister(plane._gre_fd)


@pytest.mark.parametrize(
    ("number", "words"), [(113, "there is no way to 192.0.2.1"), (101, "there is no way"), (12, "cannot connect to")]
)
def test_refusals_are_sentences(number: int, words: str) -> None:
    said = module._connect_failed(IPv4Address("192.0.2.1"), 1723, OSError(number, "no"))
    assert words in said
    assert said.isprintable()


# Why, for programs, and for whoever decides whether to dial again.


async def cause_of(client: Client, patience: float = 10) -> Cause:
    with pytest.raises((SessionLost, NetworkError)) as caught:
        await asyncio.wait_for(client.run(), patience)
    assert isinstance(caught.value, (SessionLost, NetworkError))
    return caught.value.cause


@pytest.mark.parametrize(("number", "cause"), [(111, "REFUSED"), (113, "UNREACHABLE"), (101, "UNREACHABLE")])
def test_why_tcp_does_not_connect(gre: int, monkeypatch: pytest.MonkeyPatch, number: int, cause: str) -> None:
    async def refuse(self: object, sock: socket.socket, address: object) -> None:
        raise OSError(number, "no")

    async def scenario() -> Cause:
        monkeypatch.setattr(type(asyncio.get_running_loop()), "sock_connect", refuse)
        return await cause_of(make_client(1723, own_edge()))

    assert asyncio.run(scenario()) is Cause[cause]


def unknown_name(*_: Any, **__: Any) -> list[Any]:
    raise socket.gaierror(-2, "Name or service not known")


def test_why_a_name_leads_nowhere(gre: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", unknown_name)
    assert asyncio.run(cause_of(make_client(1723, own_edge(), server="vpn.example"))) is Cause.NAME


@pytest.mark.parametrize("silent", [False, True])
def test_a_name_that_cannot_be_looked_up_again_has_its_last_address(
    gre: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, silent: bool
) -> None:
    def no_answer(*_: Any, **__: Any) -> list[Any]:
        time.sleep(0.5)
        return unknown_name()

    monkeypatch.setattr(socket, "getaddrinfo", no_answer if silent else unknown_name)
    monkeypatch.setattr(module, "RESOLVE_PATIENCE", 0.1)

    async def scenario() -> None:
        async with site(gre) as here:
            client = make_client(here.port, own_edge(), server="vpn.example", known=IPv4Address(SERVER))
            running = asyncio.create_task(client.run())
            await reached(client, running)
            assert (client.fell_back, client.server) == (True, IPv4Address(SERVER))
            await stopped(client, running, 5)

    asyncio.run(scenario())
    assert f"trying {SERVER}, its last one" in caplog.text


@pytest.mark.parametrize(
    ("settings", "cause"),
    [
        ({"password": "looking-glass"}, Cause.AUTHENTICATION),
        ({"link": {"auth": (AuthMethod.PAP,)}}, Cause.METHOD),
        ({"link": {"mppe": MppePolicy.DENY}}, Cause.ENCRYPTION),
    ],
)
def test_why_a_session_does_not_come_up(gre: int, settings: dict[str, Any], cause: Cause) -> None:
    async def scenario() -> None:
        async with site(gre) as here:
            client = make_client(here.port, own_edge(), **settings)
            assert await cause_of(client) is cause
            assert client.lasted is None

    asyncio.run(scenario())


def test_a_server_that_takes_no_calls(gre: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with site(gre) as here:
            monkeypatch.setattr(
                Endpoint, "refuse_calls", property(lambda _: True, lambda _, value: None), raising=False
            )
            assert await cause_of(make_client(here.port, own_edge())) is Cause.CALL_REFUSED

    asyncio.run(scenario())


def cut(plane: DataPlane) -> None:
    """From now on no GRE passes, either way."""
    plane._epoll.unregister(plane._gre_fd)
    plane._io.send_one = lambda route, datagram: True  # type: ignore[method-assign]


def test_a_path_that_drops_gre_is_told_from_a_server_that_is_dead(gre: int) -> None:
    async def scenario(*, cut_before: bool) -> tuple[str, Cause]:
        async with site(gre) as here:
            plane = here.server._plane
            assert plane is not None
            if cut_before:
                cut(plane)
            # With the usual limits to wait for the answer to its last words takes six seconds.
            limits = NegotiationLimits(restart_interval=0.05, max_configure=5) if cut_before else NegotiationLimits()
            client = make_client(
                here.port, own_edge(), link={"limits": limits, "echo_interval": 0.1, "echo_failure": 2}
            )
            running = asyncio.create_task(client.run())
            if not cut_before:
                await reached(client, running)
                cut(plane)
            began = asyncio.get_running_loop().time()
            with pytest.raises(SessionLost) as caught:
                await asyncio.wait_for(running, 5)
            assert asyncio.get_running_loop().time() - began < 1
            return str(caught.value), caught.value.cause

    said, cause = asyncio.run(scenario(cut_before=True))
    assert said == "5 GRE packets sent, none came back; a firewall or NAT on the path drops protocol 47"
    assert cause is Cause.GRE_BLOCKED
    said, cause = asyncio.run(scenario(cut_before=False))
    assert (said, cause) == ("no answer to 2 LCP Echo-Requests", Cause.PEER_DEAD)


def test_a_client_that_gives_up_waits_for_nobody(gre: int) -> None:
    async def scenario() -> None:
        async with site(gre) as here:
            client = make_client(here.port, own_edge())
            assert client.local is None
            running = asyncio.create_task(client.run())
            await reached(client, running)
            assert client.local == IPv4Address("127.0.0.1")
            assert client.session is not None
            assert client.flow is not None
            mute(here)
            began = asyncio.get_running_loop().time()
            client.give_up("the address is gone", Cause.ADDRESS_CHANGED)
            with pytest.raises(SessionLost, match="the address is gone") as caught:
                await running
            assert caught.value.cause is Cause.ADDRESS_CHANGED
            assert asyncio.get_running_loop().time() - began < 1
            assert client.lasted is not None
            assert client.session is None
            assert "packets_in" in client.figures

    asyncio.run(scenario())
