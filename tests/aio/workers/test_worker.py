"""A worker with a test as its parent: real TCP, the real data plane over UDP, an edge in memory."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.aio.figures import ServerFigures
from pypptp.aio.register import SessionEntry
from pypptp.aio.server import NO_LOOK_UP, ServerConfig
from pypptp.aio.workers import worker as module
from pypptp.aio.workers.channel import Channel, channel_pair
from pypptp.aio.workers.messages import (
    AccountAnswer,
    AccountQuestion,
    BadMessage,
    Begin,
    ConnectionCalled,
    ConnectionClosed,
    ConnectionSettled,
    Disconnect,
    Drain,
    Drained,
    End,
    EndConnection,
    FiguresAnswer,
    FiguresQuestion,
    GiveBack,
    LeaseAnswer,
    LeaseQuestion,
    Message,
    Ready,
    Serve,
    SessionDown,
    SessionUp,
    encode,
)
from pypptp.aio.workers.worker import PARENT_GONE, ParentSilent, Worker, receive_begin, share_of
from pypptp.auth.account import Account, AddressRule
from pypptp.auth.leases import LeaseRequest
from pypptp.endpoint import EndpointConfig
from pypptp.net.memory import MemoryEdge
from pypptp.ppp.config import LinkConfig
from tests.aio.dialling import CLIENT, PASSWORD, SERVER, USER, Dialler, udp_for_gre, until
from tests.peers import ip_packet

ADDRESS = IPv4Address("192.168.0.240")
RULE, _ = AddressRule.from_words(["192.168.0.240", "10.0.0.0/8"])
ALICE = Account(USER, PASSWORD, addresses=RULE, pool="staff")


@pytest.fixture
def gre(monkeypatch: pytest.MonkeyPatch) -> int:
    return udp_for_gre(monkeypatch)


def udp(address: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    made.bind((address, port))
    return made


class Parent:
    """What the test says to the worker, and what it heard from it."""

    def __init__(self, gre_port: int) -> None:
        self.said: list[Message] = []
        self.lost = False
        self.edge = MemoryEdge()
        self.account: Account | None = ALICE
        self.trouble = ""
        self.refusal = ""
        self.address: IPv4Address | None = ADDRESS
        self.silent = False
        ours, theirs = channel_pair()
        self.channel = Channel(ours, receive=self._receive, lost=self._lose)
        config = ServerConfig(
            endpoint=EndpointConfig(link=LinkConfig(name="pptpd"), check_source=True),
            local=IPv4Address("192.168.0.1"),
            listen=IPv4Address(SERVER),
            dns=(IPv4Address("9.9.9.9"),),
        )
        self.worker = Worker(config, Begin(1, 2, ()), end=theirs, gre=udp(SERVER, gre_port), edge=self.edge)
        self.gre = udp(CLIENT, gre_port)
        self._gre_port = gre_port

    def _lose(self) -> None:
        self.lost = True

    def _receive(self, message: Message, connection: socket.socket | None) -> None:
        assert connection is None
        self.said.append(message)
        if self.silent:
            return
        if isinstance(message, AccountQuestion):
            self.channel.send(AccountAnswer(message.question, self.account, self.trouble))
        if isinstance(message, LeaseQuestion):
            refusal = "" if self.address else "no address left in the pool"
            self.channel.send(LeaseAnswer(message.question, self.address, refusal))

    def heard(self, kind: type[Any]) -> list[Any]:
        return [message for message in self.said if isinstance(message, kind)]

    async def dial(self) -> Dialler:
        """A client whose connection the parent hands to the worker."""
        loop = asyncio.get_running_loop()
        dialler = Dialler(self._gre_port)
        dialler.gre = self.gre
        with socket.create_server((SERVER, 0)) as listener:
            outgoing = socket.create_connection(listener.getsockname()[:2], source_address=(CLIENT, 0))
            incoming, _ = listener.accept()
        outgoing.setblocking(False)
        self.channel.send(Serve(7, self.refusal), incoming)
        await loop.create_connection(lambda: dialler, sock=outgoing)
        loop.add_reader(self.gre.fileno(), self._carry, dialler)
        return dialler

    def _carry(self, dialler: Dialler) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                dialler.endpoint.receive_datagram(self.gre.recv(65_535), dialler.loop.time())
                dialler.settle()


@asynccontextmanager
async def working(gre_port: int) -> AsyncIterator[Parent]:
    parent = Parent(gre_port)
    running = asyncio.create_task(parent.worker.run(grace=0.5))
    try:
        await until(lambda: parent.said == [Ready()])
        yield parent
        if not running.done() and not parent.channel.closed:
            parent.channel.send(End("over"))
        await asyncio.wait_for(running, 10)
        await until(lambda: parent.lost or parent.channel.closed)
        assert parent.edge.changes() == []
    finally:
        running.cancel()
        asyncio.get_running_loop().remove_reader(parent.gre.fileno())
        parent.channel.close()
        parent.gre.close()


def test_a_session_in_the_words_of_worker_and_parent(gre: int) -> None:
    async def scenario() -> None:
        async with working(gre) as parent:
            client = await parent.dial()
            await until(lambda: parent.heard(SessionUp))
            assert client.up is not None
            assert client.up.local == ADDRESS
            (entry,) = [message.entry for message in parent.heard(SessionUp)]
            # The second of two workers has the upper half of the call ids.
            assert entry.call_id in share_of(1, 2)
            assert entry == SessionEntry(
                call_id=entry.call_id,
                user=USER,
                peer=IPv4Address(CLIENT),
                local=IPv4Address("192.168.0.1"),
                address=ADDRESS,
                interface="ppp0",
                since=entry.since,
                method="MS-CHAPv2",
                encryption="MPPE 128-bit stateless",
                mtu=1400,
                dns=(IPv4Address("9.9.9.9"),),
            )
            client.send(ip_packet(b"in", source=str(ADDRESS)))
            client.hang_up()
            await until(lambda: parent.heard(ConnectionClosed) and parent.heard(GiveBack))
        assert parent.lost
        assert parent.said[:6] == [
            Ready(),
            ConnectionCalled(7),
            AccountQuestion(1, USER, "pptpd"),
            LeaseQuestion(2, LeaseRequest(user=USER, rule=RULE, pool="staff", call_id=entry.call_id)),
            ConnectionSettled(7, True),
            SessionUp(entry),
        ]
        (end,) = [message.end for message in parent.heard(SessionDown)]
        assert set(parent.said[6:]) == {
            ConnectionSettled(7, False),
            SessionDown(end),
            GiveBack(ADDRESS),
            ConnectionClosed(7),
        }
        assert (end.call_id, end.packets_in, end.octets_in, end.packets_out) == (entry.call_id, 1, 22, 0)
        assert "the user asked for it" in end.reason
        assert 0 < end.seconds < 60

    asyncio.run(scenario())


def test_figures_in_parts(gre: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIGURES_PER_MESSAGE", 1)

    async def scenario() -> None:
        async with working(gre) as parent:
            client = await parent.dial()
            await until(lambda: parent.heard(SessionUp))
            client.send(ip_packet(b"in", source=str(ADDRESS)))
            await until(lambda: parent.worker.server._plane and parent.worker.server._plane.datagrams_in)
            (found,) = (await parent.worker.server.figures()).sessions

            async def three() -> ServerFigures:
                return ServerFigures((found, found, found), (("datagrams_in", 9),))

            monkeypatch.setattr(parent.worker.server, "figures", three)
            parent.channel.send(FiguresQuestion(5))
            await until(lambda: len(parent.heard(FiguresAnswer)) == 3)
            assert parent.heard(FiguresAnswer) == [
                FiguresAnswer(5, (found,), (), last=False),
                FiguresAnswer(5, (found,), (), last=False),
                FiguresAnswer(5, (found,), (("datagrams_in", 9),), last=True),
            ]

    asyncio.run(scenario())


def test_drained_with_the_last_session(gre: int) -> None:
    async def scenario() -> None:
        async with working(gre) as parent:
            client = await parent.dial()
            await until(lambda: parent.heard(SessionUp))
            parent.channel.send(Drain())
            await asyncio.sleep(0.05)
            assert parent.heard(Drained) == []
            client.hang_up()
            await until(lambda: parent.heard(Drained))
            assert parent.heard(GiveBack)

    asyncio.run(scenario())


def test_the_parent_ends_one_session(gre: int) -> None:
    async def scenario() -> None:
        async with working(gre) as parent:
            client = await parent.dial()
            await until(lambda: parent.heard(SessionUp))
            call_id = parent.heard(SessionUp)[0].entry.call_id
            # One that has ended meanwhile is no error.
            parent.channel.send(Disconnect(call_id - 1, "somebody else"))
            parent.channel.send(Disconnect(call_id, "enough for today"))
            await until(lambda: client.end)
            assert client.end == "the peer terminated the link: enough for today"
            await until(lambda: parent.heard(SessionDown))
            assert parent.heard(SessionDown)[0].end.reason == "enough for today"

    asyncio.run(scenario())


@pytest.mark.parametrize("parent_dies", [False, True])
def test_the_end_is_told_to_the_clients(gre: int, parent_dies: bool) -> None:
    async def scenario() -> None:
        async with working(gre) as parent:
            client = await parent.dial()
            await until(lambda: parent.heard(SessionUp))
            if parent_dies:
                parent.channel.close()
            else:
                parent.channel.send(End("enough for today"))
            await until(lambda: client.end)
            assert client.end is not None
            assert (PARENT_GONE if parent_dies else "enough for today") in client.end
            await until(lambda: not parent.edge.tuns)
        if not parent_dies:
            # The address went back before the end of the channel.
            assert parent.heard(GiveBack) == [GiveBack(ADDRESS)]

    asyncio.run(scenario())


def test_no_such_user(gre: int) -> None:
    async def scenario() -> None:
        async with working(gre) as parent:
            parent.account = None
            client = await parent.dial()
            await until(lambda: client.end)
            assert parent.heard(LeaseQuestion) == []
            await until(lambda: parent.heard(ConnectionClosed))

    asyncio.run(scenario())


def test_trouble_at_the_parent_ends_this_session_only(gre: int, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with working(gre) as parent:
            parent.trouble = "the directory is on fire"
            client = await parent.dial()
            await until(lambda: client.end)
            assert client.end is not None
            assert NO_LOOK_UP in client.end
            await until(lambda: parent.heard(ConnectionClosed))
            parent.trouble = ""
            await parent.dial()
            await until(lambda: parent.heard(SessionUp))

    asyncio.run(scenario())
    assert sum("the directory is on fire" in record.getMessage() for record in caplog.records) == 1


def test_no_address_left(gre: int) -> None:
    async def scenario() -> None:
        async with working(gre) as parent:
            parent.address = None
            client = await parent.dial()
            await until(lambda: client.end)
            assert client.end is not None
            assert "no address left" in client.end
        assert parent.heard(GiveBack) == []

    asyncio.run(scenario())


def test_an_answer_that_comes_too_late(gre: int) -> None:
    async def scenario() -> None:
        async with working(gre) as parent:
            client = await parent.dial()
            parent.silent = True
            await until(lambda: parent.heard(AccountQuestion))
            parent.channel.send(AccountAnswer(1, ALICE, ""))
            await until(lambda: parent.heard(LeaseQuestion))
            client.transport.abort()
            await until(lambda: parent.heard(ConnectionClosed))
            parent.channel.send(LeaseAnswer(2, ADDRESS))
            await until(lambda: parent.heard(GiveBack))
            # And one to a question nobody has asked.
            parent.channel.send(LeaseAnswer(99, IPv4Address("192.168.0.250")))
            await until(lambda: len(parent.heard(GiveBack)) == 2)
        assert parent.heard(GiveBack) == [GiveBack(ADDRESS), GiveBack(IPv4Address("192.168.0.250"))]

    asyncio.run(scenario())


def test_a_parent_that_dies_leaves_no_question_open(gre: int) -> None:
    async def scenario() -> None:
        async with working(gre) as parent:
            parent.silent = True
            client = await parent.dial()
            await until(lambda: parent.heard(AccountQuestion))
            parent.channel.close()
            await until(lambda: client.end)
            with pytest.raises(ParentSilent):
                await parent.worker.lease(LeaseRequest(user="alice"))

    asyncio.run(scenario())


def test_a_connection_that_was_lost_on_the_way_counts_as_closed(gre: int) -> None:
    async def scenario() -> None:
        async with working(gre) as parent:
            # The kernel leaves a descriptor out where the worker has none left.
            parent.channel.send(Serve(8))
            await until(lambda: parent.heard(ConnectionClosed) == [ConnectionClosed(8)])

    asyncio.run(scenario())


def test_a_connection_the_parent_refuses(gre: int) -> None:
    async def scenario() -> None:
        async with working(gre) as parent:
            parent.refusal = "address"
            client = await parent.dial()
            await until(lambda: client.closed)
            assert "may not open a control connection" in (client.endpoint.control.close_reason or "")
            await until(lambda: parent.heard(ConnectionClosed) == [ConnectionClosed(7)])
            assert parent.heard(AccountQuestion) == []

    asyncio.run(scenario())


def test_a_connection_the_parent_ends(gre: int) -> None:
    async def scenario() -> None:
        async with working(gre) as parent:
            parent.silent = True
            client = await parent.dial()
            await until(lambda: parent.heard(AccountQuestion))
            parent.channel.send(EndConnection(6, "somebody else's"))
            parent.channel.send(EndConnection(7, "its time is up"))
            await until(lambda: client.closed)
            await until(lambda: parent.heard(ConnectionClosed) == [ConnectionClosed(7)])

    asyncio.run(scenario())


def test_beginning() -> None:
    ours, theirs = channel_pair()
    with ours, theirs:
        begin = Begin(0, 3, (("local", "192.168.0.1"), ("auth", "pap,chap")))
        ours.send(encode(begin))
        assert receive_begin(theirs) == begin
        ours.send(encode(Ready()))
        with pytest.raises(BadMessage):
            receive_begin(theirs)
        ours.close()
        with pytest.raises(ParentSilent):
            receive_begin(theirs)


@given(st.integers(1, 32))
def test_shares_are_even_and_leave_nothing_out(workers: int) -> None:
    shares = [share_of(index, workers) for index in range(workers)]
    assert [call_id for share in shares for call_id in share] == list(range(1, 65_536))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
