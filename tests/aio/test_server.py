"""The server with everything but the kernel's part: real TCP, the real data plane, an edge in memory."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import struct
import threading
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

import pytest

from pypptp.aio import admission
from pypptp.aio import server as module
from pypptp.aio.admission import ConnectionLimits
from pypptp.aio.server import NO_INTERFACE, NO_LOOK_UP, Server, ServerConfig
from pypptp.auth.account import Account
from pypptp.auth.address_pool import AddressPool
from pypptp.auth.leases import PoolLeases
from pypptp.auth.pace import Pace
from pypptp.auth.session_limits import REPLACED, SessionPolicy, SingleSession
from pypptp.control import CallRefused, StartControlConnectionRequest
from pypptp.endpoint import EndpointConfig
from pypptp.errors import NetworkError
from pypptp.net.edge import Tun
from pypptp.net.memory import MemoryEdge
from pypptp.ppp.auth import mschap
from pypptp.ppp.config import LinkConfig
from pypptp.session import Session
from tests.peers import ip_packet

from .dialling import CLIENT, SERVER, Dialler, Site, secrets_authority, site, udp_for_gre, until

LOCAL = IPv4Address("192.168.0.1")


@pytest.fixture
def gre(monkeypatch: pytest.MonkeyPatch) -> int:
    return udp_for_gre(monkeypatch)


@pytest.fixture(autouse=True)
def _keep_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def reset(connection: socket.socket) -> None:
    """Close it with a RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class SlowEdge(MemoryEdge):
    """Its ``open_tun`` waits until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()
        self.may = threading.Event()

    def open_tun(self, name: str | None = None, *, mtu: int = 1400) -> Tun:
        self.asked.set()
        assert self.may.wait(20)
        return super().open_tun(name, mtu=mtu)


class AskedAuthority:
    """Answers when a test says so."""

    def __init__(self) -> None:
        self.questions: list[tuple[str, asyncio.Future[Account | None]]] = []

    async def account(self, name: str, server_name: str) -> Account | None:
        assert server_name == "pptpd"
        answer: asyncio.Future[Account | None] = asyncio.get_running_loop().create_future()
        self.questions.append((name, answer))
        return await asyncio.shield(answer)


# A session from its beginning to its end.


@pytest.mark.parametrize("octet_by_octet", [False, True])
def test_a_client_comes_and_goes(gre: int, octet_by_octet: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with site(gre, dns=(IPv4Address("9.9.9.9"),)) as here:
            client = await here.connected(octet_by_octet=octet_by_octet, ask_dns=True)
            assert client.up is not None
            assert client.up.dns == (IPv4Address("9.9.9.9"),)
            tun = here.tun(client)
            assert (tun.name, tun.local, str(tun.peer), tun.mtu) == ("ppp0", LOCAL, "192.168.0.234", 1400)
            inward = ip_packet(b"in", number=1)
            outward = ip_packet(b"out", source="192.168.0.1", destination="192.168.0.234", number=2)
            # The TUN has its addresses a moment before the plane reads and writes it.
            await until(lambda: "up: ppp0" in caplog.text)
            client.send(inward)
            tun.kernel.send(outward)
            await until(lambda: client.packets)
            assert client.packets == [outward]
            assert tun.kernel.recv(2000) == inward
            client.hang_up()
            await until(lambda: here.idle and client.closed)

    asyncio.run(scenario())
    said = [record.getMessage() for record in caplog.records]
    assert [line.split(": ", 2)[1].split(" from")[0] for line in said] == [
        "control connection",
        "user 'alice' authenticated with MS-CHAPv2",
        "user 'alice' up",
        "user 'alice' down",
        "user 'alice' ended",
        "control connection closed",
    ]
    assert "in 1 packets 22 octets, out 1 packets 23 octets" in said[4]
    assert complaints(caplog) == []


def test_the_tun_stays_when_the_link_is_negotiated_anew(gre: int, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with site(gre) as here:
            client = await here.connected()
            tun = here.tun(client)
            client.session.link.renegotiate_encryption(client.loop.time())
            client.session.handle_timer(client.loop.time() + 0.001)
            client.session._follow_link(client.loop.time())
            client.settle()
            await until(lambda: client.ups == 2 and caplog.text.count(" up: ppp0") == 2)
            assert here.edge.tuns == [tun]
            packet = ip_packet(b"still there")
            client.send(packet)
            await until(lambda: next(iter(here.server.clients.values())).driver.endpoint.sessions)
            await asyncio.sleep(0.05)
            assert tun.kernel.recv(2000) == packet

    asyncio.run(scenario())
    assert complaints(caplog) == []


def test_one_session_is_ended_and_the_others_stay(gre: int) -> None:
    async def scenario() -> None:
        async with site(gre) as here:
            first = await here.connected()
            second = await here.connected(user="bob", password="builder")
            await until(lambda: len(here.server.sessions) == 2)
            call_id = here.server.sessions[0][1].call_id
            assert here.server.disconnect(call_id, "enough for today")
            await until(lambda: first.end)
            assert first.end == "the peer terminated the link: enough for today"
            await until(lambda: len(here.edge.tuns) == 1)
            assert not here.server.disconnect(call_id, "again")
            assert second.end is None

    asyncio.run(scenario())


def test_drained_with_the_last_session(gre: int) -> None:
    async def scenario() -> None:
        async with site(gre) as here:
            client, other = await here.connected(), await here.dial(user="bob", password="builder")
            await until(lambda: other.up)
            other.hang_up()
            await until(lambda: len(here.server.sessions) == 1 and len(here.server._drivers) == 1)
            drained = asyncio.create_task(here.server.drain())
            await asyncio.sleep(0)
            with socket.socket() as late:
                assert late.connect_ex((SERVER, here.port)) == errno.ECONNREFUSED
            # Who is connected stays connected, and can begin no other call.
            client.endpoint.control.place_call(client.loop.time())
            client.settle()
            await until(lambda: any(isinstance(event, CallRefused) for event in client.events))
            assert not drained.done()
            client.hang_up()
            await until(lambda: drained.done())
            assert not here.edge.tuns
            assert not here.pool.in_use
            await here.server.drain()

    asyncio.run(scenario())


def test_the_figures_of_those_who_are_up(gre: int) -> None:
    async def scenario() -> None:
        async with site(gre) as here:
            clients = [await here.connected() for _ in range(2)]
            await until(lambda: len(here.server.sessions) == 2)
            for client in clients:
                assert client.up is not None
                client.send(ip_packet(b"in", source=str(client.up.local)))
            drivers = [client.driver for client in here.server.clients.values()]
            live = [session for driver in drivers for session in driver.endpoint.sessions.values()]
            await until(lambda: [session.counters.packets_in for session in live] == [1, 1])
            found = await here.server.figures()
            assert {each.call_id for each in found.sessions} == {entry.call_id for _, entry in here.server.sessions}
            assert [dict(each.counters)["octets_in"] for each in found.sessions] == [22, 22]
            assert here.server._plane is not None
            assert dict(found.planes)["datagrams_in"] == here.server._plane.datagrams_in
            assert here.server.processes == [(os.getpid(), 2)]

    asyncio.run(scenario())


def test_several_calls_at_once_each_have_their_own(gre: int) -> None:
    async def scenario() -> None:
        async with site(gre) as here:
            first, second, third = [
                await here.connected(user=user, password=password)
                for user, password in (("alice", "wonderland"), ("bob", "builder"), ("alice", "wonderland"))
            ]
            assert [tun.name for tun in here.edge.tuns] == ["ppp0", "ppp1", "ppp2"]
            assert [str(client.up.local) for client in (first, second, third) if client.up] == [
                "192.168.0.234",
                "192.168.0.250",
                "192.168.0.235",
            ]
            second.hang_up()
            await until(lambda: len(here.edge.tuns) == 2)
            assert here.pool.in_use == 2
            await here.connected(user="bob", password="builder")
            assert sorted(tun.name for tun in here.edge.tuns) == ["ppp0", "ppp1", "ppp2"]

    asyncio.run(scenario())


# Every way out gives everything back.


async def hang_up(client: Dialler, here: Site) -> None:
    client.hang_up()


async def break_off(client: Dialler, here: Site) -> None:
    reset(client.transport.get_extra_info("socket").dup())
    client.transport.abort()


async def send_rubbish(client: Dialler, here: Site) -> None:
    client.transport.write(b"GET / HTTP/1.0\r\n\r\n" * 10)


async def end_the_call_alone(client: Dialler, here: Site) -> None:
    client.endpoint.close_session(client.session.call_id, "no more", client.loop.time())
    client.settle()


async def stop_the_server(client: Dialler, here: Site) -> None:
    await here.server.stop(grace=1.0)


@pytest.mark.parametrize("end", [hang_up, break_off, send_rubbish, end_the_call_alone, stop_the_server])
def test_every_end_gives_everything_back(
    gre: int, end: Callable[[Dialler, Site], asyncio.Future[None]], caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with site(gre) as here:
            client = await here.connected()
            await end(client, here)
            await until(lambda: here.idle)

    asyncio.run(scenario())
    assert complaints(caplog) == []
    assert caplog.text.count("user 'alice' ended: ") == 1


@pytest.mark.parametrize("refused", ["open_tun", "configure"])
def test_an_edge_that_refuses_costs_one_session(gre: int, refused: str, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        edge = MemoryEdge(refusals={refused: "the kernel says no: buy another one"})
        async with site(gre, edge=edge) as here:
            client = await here.dial()
            await until(lambda: client.end)
            assert client.end is not None
            assert NO_INTERFACE in client.end
            await until(lambda: here.idle)
            edge.refusals.clear()
            await here.connected()

    asyncio.run(scenario())
    assert complaints(caplog) == ["127.0.0.1: the kernel says no: buy another one"]


def test_a_client_that_goes_while_its_tun_is_made(gre: int, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        edge = SlowEdge()
        async with site(gre, edge=edge) as here:
            client = await here.dial()
            await until(edge.asked.is_set)
            client.transport.abort()
            await until(lambda: not here.server.clients)
            # The address is not free before the TUN that is on its way has gone again.
            assert here.pool.in_use == 1
            edge.may.set()
            await until(lambda: here.idle)

    asyncio.run(scenario())
    assert complaints(caplog) == []


def test_stopping_while_a_tun_is_made(gre: int) -> None:
    async def scenario() -> None:
        edge = SlowEdge()
        async with site(gre, edge=edge, grace=0.1) as here:
            await here.dial()
            await until(edge.asked.is_set)
            asyncio.get_running_loop().call_later(0.3, edge.may.set)

    # site() sees to it that edge.undo leaves nothing.
    asyncio.run(scenario())


def test_no_address_left(gre: int, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with site(gre, remote="192.168.0.234") as here:
            first = await here.connected()
            second = await here.dial()
            await until(lambda: second.end)
            assert second.end is not None
            assert "no address left in the pool" in second.end
            first.hang_up()
            await until(lambda: here.idle)
            await here.connected()

    asyncio.run(scenario())
    assert complaints(caplog) == ["127.0.0.1: user 'alice' refused: no address left in the pool"]


# Who may come in.


@pytest.mark.parametrize(("user", "password"), [("alice", "looking-glass"), ("mallory", "wonderland")])
def test_a_wrong_password_or_user(gre: int, user: str, password: str) -> None:
    async def scenario() -> None:
        async with site(gre) as here:
            client = await here.dial(user=user, password=password)
            await until(lambda: client.end)
            assert client.end is not None
            assert "E=691" in client.end
            await until(lambda: here.idle)
            await here.connected()

    asyncio.run(scenario())


def test_guessing_is_slowed_and_a_flood_of_it_refused(gre: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Pace", lambda: Pace(burst=2, interval=0.2, longest=0.5))

    async def scenario() -> None:
        async with site(gre) as here:
            loop = asyncio.get_running_loop()
            began = loop.time()
            for _ in range(5):
                client = await here.dial(password="looking-glass")
                await until(lambda client=client: client.end)  # type: ignore[misc]
            assert loop.time() - began >= 2 * 0.2
            # Who knows the password waits as well, and then is let in.
            await here.connected()
            for _ in range(20):
                here.server._pace.failed(IPv4Address(CLIENT), loop.time())
            refused = await here.dial()
            await until(lambda: refused.endpoint.control.closed)
            assert "refused the control connection" in (refused.endpoint.control.close_reason or "")

    asyncio.run(scenario())


def test_every_wrong_try_is_the_same_work_and_the_same_answer(gre: int, monkeypatch: pytest.MonkeyPatch) -> None:
    work: list[str] = []
    for name in ("md4", "des_encrypt"):
        original = getattr(mschap, name)

        def counting(*arguments: Any, original: Any = original, name: str = name) -> Any:
            work.append(name)
            return original(*arguments)

        monkeypatch.setattr(mschap, name, counting)

    async def scenario() -> list[tuple[object, ...]]:
        found: list[tuple[object, ...]] = []
        async with site(gre) as here:
            # Nobody has been here; then one has, with the right password; then again; then others.
            for user, password in (
                ("bob", "wrong"),
                ("bob", "builder"),
                ("bob", "wrong"),
                ("mallory", "wrong"),
                ("alice", "wrong"),
            ):
                client = await here.dial(user=user, password=password)
                work.clear()
                await until(lambda client=client: client.end or client.up)  # type: ignore[misc]
                if client.up is None:
                    found.append((client.end, tuple(sorted(work))))
                else:
                    client.hang_up()
                await until(lambda: here.idle)
        return found

    found = asyncio.run(scenario())
    assert len(found) == 4
    assert len({words.split("C=")[0] if isinstance(words, str) else words for words, _ in found}) == 1
    # The client's own part is in it, too, and is the same each time.
    assert {done for _, done in found} == {("des_encrypt",) * 6 + ("md4",) * 2}


def test_before_the_log_in_there_is_nothing_to_be_had(gre: int) -> None:
    async def scenario() -> None:
        authority = AskedAuthority()
        async with site(gre, authority=authority) as here:
            client = await here.dial()
            await until(lambda: authority.questions)
            (served,) = here.server.clients.values()
            (flow,) = served.driver.flows.values()
            # The call is there and GRE reaches it, in clear and as if encrypted.
            before = flow.session.tunnel.received
            for frame in (b"\x21" + ip_packet(), b"\x00\x21" + ip_packet(), b"\xfd\x90\x00" + bytes(40)):
                buffer = bytearray(Session.HEADROOM) + frame
                start = client.session.tunnel.write_header(buffer, Session.HEADROOM, len(buffer), 0.0)
                assert client.gre is not None
                client.gre.sendto(bytes(buffer[start:]), (SERVER, gre))
            await until(lambda: flow.session.tunnel.received == before + 3)
            assert flow.session.counters.packets_in == 0
            assert (flow.session.counters.clear_refused, flow.session.counters.not_encrypted_data) == (2, 1)
            assert (here.edge.tuns, here.pool.in_use, served.address, flow._early) == ([], 0, None, [])
            assert here.server.sessions == []
            authority.questions[0][1].set_result(Account("alice", "wonderland"))
            await until(lambda: here.edge.tuns)

    asyncio.run(scenario())


def test_an_authority_that_fails_costs_one_session(gre: int, caplog: pytest.LogCaptureFixture) -> None:
    class Failing:
        def __init__(self) -> None:
            self.healthy = False

        async def account(self, name: str, server_name: str) -> Account | None:
            if not self.healthy:
                raise ConnectionError("RADIUS\nis away")
            return await secrets_authority().account(name, server_name)

    async def scenario() -> None:
        authority = Failing()
        async with site(gre, authority=authority) as here:
            client = await here.dial()
            await until(lambda: client.end)
            assert client.end is not None
            assert NO_LOOK_UP in client.end
            await until(lambda: here.idle)
            authority.healthy = True
            await here.connected()

    asyncio.run(scenario())
    assert complaints(caplog) == ["127.0.0.1: cannot look up user 'alice': RADIUS is away"]


def test_an_answer_that_comes_too_late(gre: int, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        authority = AskedAuthority()
        async with site(gre, authority=authority) as here:
            client = await here.dial()
            await until(lambda: authority.questions)
            (served,) = here.server.clients.values()
            client.transport.abort()
            await until(lambda: not here.server.clients)
            authority.questions[0][1].set_result(Account("alice", "wonderland"))
            await until(lambda: here.idle)
            assert served.account is None

    asyncio.run(scenario())
    assert complaints(caplog) == []


def test_an_authority_that_never_answers_does_not_keep_the_server(gre: int) -> None:
    async def scenario() -> None:
        authority = AskedAuthority()
        async with site(gre, authority=authority, grace=0.1) as here:
            await here.dial()
            await until(lambda: authority.questions)
            began = asyncio.get_running_loop().time()
            await here.server.stop(grace=0.1)
            assert asyncio.get_running_loop().time() - began < 3
            assert here.server._tasks == set()

    asyncio.run(scenario())


def test_names_are_escaped_in_the_log(gre: int, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with site(gre) as here:
            client = await here.dial(user="\x1b[2J\nroot logged in", password="x")
            await until(lambda: client.end)
            await until(lambda: here.idle)

    asyncio.run(scenario())
    for record in caplog.records:
        assert record.getMessage().isprintable(), record.getMessage()
    assert "\\x1b[2J\\x0aroot logged in" in caplog.text


# Peers that do nothing good, and the others.


def test_half_open_connections_do_not_disturb(gre: int, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with site(gre) as here:
            idlers = [socket.create_connection((SERVER, here.port)) for _ in range(50)]
            await until(lambda: len(here.server._drivers) == 50)
            await here.connected()
            for idler in idlers:
                reset(idler)
            await until(lambda: len(here.server._drivers) == 1)

    asyncio.run(scenario())
    assert complaints(caplog) == []


def test_connections_reset_at_once(gre: int, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with site(gre) as here:
            for _ in range(20):
                reset(socket.create_connection((SERVER, here.port)))
            await here.connected()
            await until(lambda: len(here.server._drivers) == 1)

    asyncio.run(scenario())
    assert complaints(caplog) == []


def test_rubbish_ends_one_connection(gre: int, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with site(gre) as here:
            good = await here.connected()
            reader, writer = await asyncio.open_connection(SERVER, here.port)
            writer.write(bytes(range(256)) * 100)
            # Whatever it answers first (a general error), it hangs up, with much of this unread.
            with contextlib.suppress(ConnectionResetError):
                while await reader.read(4096):
                    pass
            writer.close()
            await until(lambda: len(here.server._drivers) == 1)
            assert good.end is None

    asyncio.run(scenario())
    assert complaints(caplog) == []


def test_a_peer_that_does_not_read(gre: int, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with site(gre, grace=0.2) as here:
            start = StartControlConnectionRequest(
                framing_capabilities=3, bearer_capabilities=3, maximum_channels=0, firmware_revision=1
            ).build()
            echo = struct.pack("!HHIHHI", 16, 1, 0x1A2B3C4D, 5, 0, 7)
            with socket.socket() as mute:
                mute.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
                mute.connect((SERVER, here.port))
                mute.setblocking(False)
                mute.send(start)
                await until(lambda: here.server._drivers)
                (driver,) = here.server._drivers
                sent, stuck = 0, 0
                while stuck < 20 and sent < 50_000_000:
                    try:
                        sent += mute.send(echo * 1000)
                        stuck = 0
                    except BlockingIOError:
                        stuck += 1
                    await asyncio.sleep(0.005)
                # It has stopped reading, and what it keeps is bounded.
                assert stuck
                assert not driver._reading
                assert driver._transport is not None
                assert driver._transport.get_write_buffer_size() + len(driver.endpoint.control._output) < 300_000
                await here.connected()
                # Nor does it keep the server from stopping.
                began = asyncio.get_running_loop().time()
                await here.server.stop(grace=0.2)
                assert asyncio.get_running_loop().time() - began < 2
                assert here.server._drivers == set()

    asyncio.run(scenario())


# What the system refuses.


def refused_start(listen: str, port: int) -> str:
    async def scenario() -> str:
        config = ServerConfig(
            endpoint=EndpointConfig(link=LinkConfig(name="pptpd")), local=LOCAL, listen=IPv4Address(listen), port=port
        )
        pool = AddressPool.default_for(LOCAL)
        with pytest.raises(NetworkError) as caught:
            await Server(config, authority=secrets_authority(), leases=PoolLeases(pool), edge=MemoryEdge()).start()
        return str(caught.value)

    return asyncio.run(scenario())


def test_the_port_is_taken(gre: int) -> None:
    with socket.create_server((SERVER, 0)) as other:
        port = other.getsockname()[1]
        said = refused_start(SERVER, port)
    assert said == (f"port {port} on {SERVER} is in use: stop the other PPTP server (pptpd?) or choose another --port")


@pytest.mark.parametrize(
    ("number", "words"),
    [(99, "is not an address of this machine"), (13, "run as root or give"), (105, "cannot listen on 127.0.0.2")],
)
def test_other_refusals_are_sentences(number: int, words: str) -> None:
    said = module._listen_failed(SERVER, 1723, OSError(number, "no"))
    assert words in said
    assert "\n" not in said


def test_large_packets_have_room(gre: int) -> None:
    async def scenario() -> None:
        async with site(gre, mtu=9000, mru=9004) as here:
            client = await here.connected(mtu=9000, mru=9004)
            tun = here.tun(client)
            assert tun.mtu == 9000
            packet = ip_packet(bytes(8980), source="192.168.0.1", destination="192.168.0.234")
            await asyncio.sleep(0.05)
            tun.kernel.send(packet)
            await until(lambda: client.packets)
            assert client.packets == [packet]

    asyncio.run(scenario())


def test_the_list_of_sessions(gre: int) -> None:
    async def scenario() -> None:
        async with site(gre) as here:
            assert here.server.sessions == []
            alice = await here.connected()
            bob = await here.connected(user="bob", password="builder")
            await until(lambda: len(here.server.sessions) == 2)
            listed = [
                (worker, entry.user, str(entry.address), entry.interface) for worker, entry in here.server.sessions
            ]
            assert listed == [(0, "alice", "192.168.0.234", "ppp0"), (0, "bob", "192.168.0.250", "ppp1")]
            alice.hang_up()
            await until(lambda: [entry.user for _, entry in here.server.sessions] == ["bob"])
            assert bob.up is not None
            assert here.server.sessions[0][1].address == bob.up.local

    asyncio.run(scenario())


def test_name_servers_reach_the_negotiation(gre: int) -> None:
    dns, wins = (IPv4Address("9.9.9.9"),), (IPv4Address("10.0.0.3"), IPv4Address("10.0.0.4"))

    async def scenario() -> None:
        async with site(gre, dns=dns, nbns=wins) as here:
            await here.connected()
            (client,) = here.server.clients.values()
            assert client.driver.endpoint.sessions[client.call_id].link._name_servers == (dns, wins)

    asyncio.run(scenario())


# Who may come in, and how often.


def test_a_user_is_denied_a_second_session(gre: int, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with site(gre, policy=SessionPolicy(SingleSession.DENY)) as here:
            first = await here.connected()
            second = await here.dial()
            await until(lambda: second.end)
            assert second.end == "authentication failed: already connected: one session at a time " + (
                "(E=649, the account has no permission to dial in)"
            )
            # Who does not know the password is not told that the user is connected.
            third = await here.dial(password="a guess")
            await until(lambda: third.end)
            assert "E=691" in (third.end or "")
            # Nor is the one that is in asked to go when it proves itself again, or negotiates anew.
            session = next(iter(here.server.clients.values()))
            session.driver.endpoint.rechallenge(session.call_id, first.loop.time())
            session.driver.settle(first.loop.time())
            await asyncio.sleep(0.1)
            first.session.link.lcp.renegotiate(first.loop.time())
            first.session.handle_timer(first.loop.time() + 0.001)
            first.session._follow_link(first.loop.time())
            first.settle()
            await until(lambda: first.ups == 2 or first.end)
            assert first.end is None
            first.hang_up()
            await until(lambda: here.idle)
            await here.connected()

    asyncio.run(scenario())
    assert "user 'alice' ended: already connected: one session at a time" in caplog.text


@pytest.mark.parametrize("silent", [False, True])
def test_a_user_replaces_its_older_session(
    gre: int, silent: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "CLOSE_GRACE", 0.2)

    async def scenario() -> None:
        async with site(gre, policy=SessionPolicy(SingleSession.REPLACE), remote="192.168.0.234-235") as here:
            first = await here.connected()
            assert first.up is not None
            if silent:
                # It has lost its network, and nobody has told the server.
                here._diallers.remove(first)
                first.transport.pause_reading()
            second = await here.connected()
            assert second.up is not None
            assert second.up.local == first.up.local
            assert len(here.server.clients) == 1
            if not silent:
                await until(lambda: first.end)
                assert first.end == f"the peer terminated the link: {REPLACED}"
            first.transport.abort()

    asyncio.run(scenario())
    assert f"user 'alice' ended: {REPLACED}" in caplog.text


def test_pools_by_the_line_of_the_secrets(gre: int, caplog: pytest.LogCaptureFixture) -> None:
    secrets = (
        "alice * wonderland * -- pool staff\nbob * builder *\ncarol * c * -- pool staff\ndora * d * -- pool none\n"
    )

    async def scenario() -> None:
        async with site(gre, authority=secrets_authority(secrets), pools={"staff": "10.9.0.7"}) as here:
            alice = await here.connected()
            bob = await here.connected(user="bob", password="builder")
            assert alice.up is not None
            assert bob.up is not None
            assert (str(alice.up.local), str(bob.up.local)) == ("10.9.0.7", "192.168.0.234")
            for user, words in (("carol", "no address left in the pool 'staff'"), ("dora", "no address pool 'none'")):
                refused = await here.dial(user=user, password=user[0])
                await until(lambda refused=refused: refused.end)  # type: ignore[misc]
                assert words in (refused.end or "")
            alice.hang_up()
            await until(lambda: here.pool.in_use == 1)
            again = await here.connected()
            assert again.up is not None
            assert str(again.up.local) == "10.9.0.7"

    asyncio.run(scenario())
    assert "user 'carol' refused: no address left in the pool 'staff'" in caplog.text


def test_connections_from_one_address(gre: int) -> None:
    async def scenario() -> None:
        async with site(gre, connections=ConnectionLimits(per_address=1)) as here:
            first = await here.connected()
            second = await here.dial()
            await until(lambda: second.closed)
            assert "the requester may not open a control connection" in (second.endpoint.control.close_reason or "")
            first.hang_up()
            await until(lambda: here.idle and not here.server._drivers)
            await here.connected()

    asyncio.run(scenario())


def test_one_that_only_starts_gives_way(gre: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "STALE_SECONDS", 0.2)

    async def scenario() -> None:
        authority = AskedAuthority()
        async with site(gre, authority=authority, connections=ConnectionLimits(starting=1)) as here:
            first = await here.dial()
            await until(lambda: authority.questions)
            second = await here.dial()
            await until(lambda: second.closed)
            assert "no resources for this now" in (second.endpoint.control.close_reason or "")
            await asyncio.sleep(0.25)
            third = await here.dial()
            await until(lambda: first.closed and len(authority.questions) == 2)
            authority.questions[1][1].set_result(Account("alice", "wonderland"))
            await until(lambda: third.up)
            # One that is up is not starting.
            await until(lambda: here.server._porter.starting == 0)  # type: ignore[attr-defined]
            fourth = await here.dial()
            await until(lambda: len(authority.questions) == 3)
            assert third.end is None
            fourth.hang_up()
            authority.questions[0][1].cancel()
            authority.questions[2][1].cancel()

    asyncio.run(scenario())


def test_a_negotiation_that_never_ends_gives_the_address_back(
    gre: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with site(gre, establish_timeout=1.0) as here:
            allocate, held = AddressPool.allocate, []

            def allocate_and_fall_silent(book: AddressPool, *arguments: Any, **named: Any) -> IPv4Address | None:
                # From now on the client hears nothing: our IPCP Configure-Request stays without an answer.
                here._diallers.clear()
                held.append(allocate(book, *arguments, **named))
                return held[-1]

            monkeypatch.setattr(AddressPool, "allocate", allocate_and_fall_silent)
            client = await here.dial()
            await until(lambda: held)
            assert here.pool.in_use == 1
            await until(lambda: "no network after 1 s" in caplog.text or "no network after 1 s" in str(client.end))
            client.transport.abort()
            await until(lambda: here.idle)
            assert client.up is None

    asyncio.run(scenario())
