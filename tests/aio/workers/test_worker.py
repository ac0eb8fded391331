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

from pypptp.aio.server import NO_LOOK_UP, ServerConfig
from pypptp.aio.workers.channel import Channel, channel_pair
from pypptp.aio.workers.messages import (
    AccountAnswer,
    AccountQuestion,
    BadMessage,
    Begin,
    ConnectionClosed,
    End,
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
from pypptp.endpoint import EndpointConfig
from pypptp.net.memory import MemoryEdge
from pypptp.ppp.config import LinkConfig
from tests.aio.dialling import CLIENT, PASSWORD, SERVER, USER, Dialler, udp_for_gre, until

ADDRESS = IPv4Address("192.168.0.240")
RULE, _ = AddressRule.from_words(["192.168.0.240", "10.0.0.0/8"])
ALICE = Account(USER, PASSWORD, addresses=RULE)


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
        self.address: IPv4Address | None = ADDRESS
        self.silent = False
        ours, theirs = channel_pair()
        self.channel = Channel(ours, receive=self._receive, lost=self._lose)
        config = ServerConfig(
            endpoint=EndpointConfig(link=LinkConfig(name="pptpd"), check_source=True),
            local=IPv4Address("192.168.0.1"),
            listen=IPv4Address(SERVER),
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
            self.channel.send(LeaseAnswer(message.question, self.address))

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
        self.channel.send(Serve(), incoming)
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
            assert (entry.user, entry.peer, entry.address, entry.interface) == (
                USER,
                IPv4Address(CLIENT),
                ADDRESS,
                "ppp0",
            )
            client.hang_up()
            await until(lambda: parent.heard(ConnectionClosed) and parent.heard(GiveBack))
        assert parent.lost
        assert parent.said[:4] == [
            Ready(),
            AccountQuestion(1, USER, "pptpd"),
            LeaseQuestion(2, USER, RULE),
            SessionUp(entry),
        ]
        assert {SessionDown(entry.call_id), GiveBack(ADDRESS), ConnectionClosed()} == set(parent.said[4:])

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
                await parent.worker.lease("alice", RULE)

    asyncio.run(scenario())


def test_a_connection_that_was_lost_on_the_way_counts_as_closed(gre: int) -> None:
    async def scenario() -> None:
        async with working(gre) as parent:
            # The kernel leaves a descriptor out where the worker has none left.
            parent.channel.send(Serve())
            await until(lambda: parent.heard(ConnectionClosed))

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
