"""The parent with workers that are a few lines of the test, and sockets anybody may open."""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from typing import Any

import pytest

from pypptp.aio import server as server_module
from pypptp.aio.admission import NO_CONNECTION_LIMITS, ConnectionLimits
from pypptp.aio.figures import SessionFigures
from pypptp.aio.register import SessionEnd, SessionEntry
from pypptp.aio.server import ServerConfig
from pypptp.aio.workers import parent as module
from pypptp.aio.workers.channel import Channel
from pypptp.aio.workers.messages import (
    AccountAnswer,
    AccountQuestion,
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
)
from pypptp.aio.workers.parent import Parent, describe_status
from pypptp.aio.workers.worker import share_of
from pypptp.auth.account import Account
from pypptp.auth.address_pool import AddressPool
from pypptp.auth.leases import LeaseRequest, PoolLeases
from pypptp.endpoint import EndpointConfig
from pypptp.errors import NetworkError
from pypptp.ppp.config import LinkConfig
from tests.aio.dialling import until
from tests.aio.entries import session_end, session_entry

ADDRESSES = [IPv4Address("192.168.0.50"), IPv4Address("192.168.0.51")]
SETTINGS = (("local", "192.168.0.1"),)


class Fake:
    """A worker: its process as the parent sees it, and its end of the channel."""

    def __init__(self, number: int, end: socket.socket, *, obedient: bool = True, ready: bool = True) -> None:
        self.pid = 1000 + number
        self.messages: list[Message] = []
        self.connections: list[socket.socket] = []
        self._obedient = obedient
        self._over = threading.Event()
        self._status = 0
        self.channel = Channel(end.dup(), receive=self._receive, lost=lambda: self.exit(0))
        if ready:
            self.say(Ready())

    def _receive(self, message: Message, connection: socket.socket | None) -> None:
        self.messages.append(message)
        if connection is not None:
            self.connections.append(connection)
        if isinstance(message, End) and self._obedient:
            self.exit(0)

    def say(self, message: Message) -> None:
        self.channel.send(message)

    def heard(self, kind: type[Any]) -> list[Any]:
        return [message for message in self.messages if isinstance(message, kind)]

    def exit(self, status: int) -> None:
        """End as a process does: everything it holds is closed before its parent sees it gone."""
        self.channel.close()
        for connection in self.connections:
            connection.close()
        if not self._over.is_set():
            self._status = status
            self._over.set()

    # What the parent asks of a process.

    def wait(self, timeout: float | None = None) -> int:
        if not self._over.wait(timeout):
            raise subprocess.TimeoutExpired("fake", timeout or 0)
        return self._status

    def kill(self) -> None:
        loop = self.channel._loop
        loop.call_soon_threadsafe(self.exit, -9)


class Users:
    """An authority."""

    async def account(self, name: str, server_name: str) -> Account | None:
        if name == "trouble":
            raise OSError("no route to the directory")
        if name == "long":
            return Account("long", "x" * 100_000)
        return Account(name, "secret") if name == "alice" and server_name == "pptpd" else None


class Office:
    """A parent and its fakes."""

    def __init__(
        self, make: Callable[[int, socket.socket], Fake], limits: ConnectionLimits = NO_CONNECTION_LIMITS
    ) -> None:
        self.fakes: list[Fake] = []
        self._make = make
        self._clients: list[socket.socket] = []
        self.pool = AddressPool(ADDRESSES)
        config = ServerConfig(
            endpoint=EndpointConfig(link=LinkConfig(name="pptpd")),
            local=IPv4Address("192.168.0.1"),
            listen=IPv4Address("127.0.0.1"),
            port=0,
            connections=limits,
        )
        self.parent = Parent(
            config,
            workers=2,
            settings=SETTINGS,
            authority=Users(),
            leases=PoolLeases(self.pool),
            launch=self._launch,
            watcher=self,
        )
        self.ups: list[SessionEntry] = []
        self.downs: list[SessionEnd] = []
        self.closed = 0

    def _launch(self, end: socket.socket, gre: socket.socket) -> Fake:
        assert gre.fileno() >= 0
        fake = self._make(len(self.fakes), end)
        self.fakes.append(fake)
        return fake

    def session_up(self, entry: SessionEntry) -> None:
        self.ups.append(entry)

    def session_down(self, end: SessionEnd) -> None:
        self.downs.append(end)

    def connection_closed(self) -> None:
        self.closed += 1

    def dial(self) -> socket.socket:
        assert self.parent._listener is not None
        client = socket.create_connection(self.parent._listener.getsockname()[:2])
        self._clients.append(client)
        return client

    @property
    def loads(self) -> list[int]:
        return [connections for _, connections in self.parent.processes]

    def close(self) -> None:
        for client in self._clients:
            client.close()
        for fake in self.fakes:
            fake.exit(0)


@pytest.fixture(autouse=True)
def shares(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> list[range | None]:
    """The call ids for which GRE sockets were opened, which are of another kind here."""
    caplog.set_level(logging.INFO)
    opened: list[range | None] = []

    def open_socket(local: str | None = None, *, call_ids: range | None = None) -> socket.socket:
        opened.append(call_ids)
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    monkeypatch.setattr(module, "open_gre_socket", open_socket)
    return opened


@asynccontextmanager
async def office(
    make: Callable[[int, socket.socket], Fake] = Fake, *, limits: ConnectionLimits = NO_CONNECTION_LIMITS
) -> AsyncIterator[Office]:
    made = Office(make, limits)
    try:
        await made.parent.start()
        yield made
        await made.parent.stop(grace=0.2)
    finally:
        made.close()


def test_workers_are_told_who_they_are_and_that_it_is_over(shares: list[range | None]) -> None:
    async def scenario() -> None:
        async with office() as here:
            assert [pid for pid, _ in here.parent.processes] == [1000, 1001]
        assert [fake.messages for fake in here.fakes] == [
            [Begin(0, 2, SETTINGS), End("the server is shutting down")],
            [Begin(1, 2, SETTINGS), End("the server is shutting down")],
        ]
        await here.parent.stop()

    asyncio.run(scenario())
    assert shares == [share_of(0, 2), share_of(1, 2)]


def test_a_connection_goes_to_the_least_loaded() -> None:
    async def scenario() -> None:
        async with office() as here:
            first, second = here.fakes
            clients = []
            for count in range(1, 5):
                clients.append(here.dial())
                await until(lambda count=count: len(first.connections) + len(second.connections) == count)  # type: ignore[misc]
            assert here.loads == [2, 2]
            clients[0].send(b"hello")
            first.connections[0].setblocking(True)
            assert first.connections[0].recv(10) == b"hello"
            second.say(ConnectionClosed(second.heard(Serve)[0].number))
            await until(lambda: here.loads == [2, 1])
            here.dial()
            await until(lambda: here.loads == [2, 2])
            assert [len(fake.heard(Serve)) for fake in here.fakes] == [2, 3]

    asyncio.run(scenario())


def test_questions() -> None:
    async def scenario() -> None:
        async with office() as here:
            worker, _ = here.fakes
            for number, name in enumerate(("alice", "mallory", "trouble", "long")):
                worker.say(AccountQuestion(number, name, "pptpd"))
            await until(lambda: len(worker.heard(AccountAnswer)) == 4)
            assert worker.heard(AccountAnswer) == [
                AccountAnswer(0, Account("alice", "secret"), ""),
                AccountAnswer(1, None, ""),
                AccountAnswer(2, None, "no route to the directory"),
                AccountAnswer(3, None, "the line of this user is too long"),
            ]

    asyncio.run(scenario())


def test_one_pool_for_all() -> None:
    async def scenario() -> None:
        async with office() as here:
            first, second = here.fakes
            first.say(LeaseQuestion(1, LeaseRequest(user="alice")))
            await until(lambda: first.heard(LeaseAnswer) == [LeaseAnswer(1, ADDRESSES[0])])
            second.say(LeaseQuestion(1, LeaseRequest(user="bob")))
            second.say(LeaseQuestion(2, LeaseRequest(user="carol")))
            await until(
                lambda: (
                    second.heard(LeaseAnswer)
                    == [LeaseAnswer(1, ADDRESSES[1]), LeaseAnswer(2, None, "no address left in the pool")]
                )
            )
            # What is not on loan to it, a worker cannot give back.
            second.say(GiveBack(ADDRESSES[0]))
            first.say(GiveBack(ADDRESSES[0]))
            first.say(GiveBack(ADDRESSES[0]))
            await until(lambda: here.pool.free == 1)
            assert here.pool.holder(ADDRESSES[1]) == "bob"

    asyncio.run(scenario())


def test_limits_hold_for_all_workers_together() -> None:
    async def scenario() -> None:
        async with office(limits=ConnectionLimits(starting=2, per_address=3)) as here:
            first, second = here.fakes
            here.dial()
            here.dial()
            await until(lambda: first.heard(Serve) and second.heard(Serve))
            first.say(ConnectionCalled(1))
            second.say(ConnectionCalled(2))
            await until(lambda: all(start.called for start in here.parent._admission._starting.values()))
            here.dial()
            # All from one address, none of them stale: the newcomer has to go, and is told by the worker.
            await until(lambda: len(first.heard(Serve)) == 2)
            assert first.heard(Serve) == [Serve(1), Serve(3, "full")]
            first.say(ConnectionClosed(3))
            first.say(ConnectionSettled(1, True))
            second.say(ConnectionSettled(2, True))
            await until(lambda: here.parent._admission.starting == 0)
            here.dial()
            await until(lambda: len(first.heard(Serve)) == 3)
            here.dial()
            await until(lambda: len(second.heard(Serve)) == 2)
            assert (first.heard(Serve)[-1], second.heard(Serve)[-1]) == (Serve(4), Serve(5, "address"))
            first.say(ConnectionSettled(1, False))
            await until(lambda: here.parent._admission.starting == 2)
            # A worker that ends takes its connections along.
            first.exit(1)
            await until(lambda: len(here.parent._admission) == 1)

    asyncio.run(scenario())


def test_a_connection_is_ended_by_the_worker_that_has_it() -> None:
    async def scenario() -> None:
        async with office() as here:
            first, second = here.fakes
            here.dial()
            here.dial()
            await until(lambda: first.heard(Serve) and second.heard(Serve))
            here.parent.end_connection(2, "enough")
            here.parent.end_connection(3, "nobody's")
            await until(lambda: second.heard(EndConnection) == [EndConnection(2, "enough")])
            assert first.heard(EndConnection) == []

    asyncio.run(scenario())


def test_the_list_of_sessions() -> None:
    async def scenario() -> None:
        async with office() as here:
            first, second = here.fakes
            late, early, end = session_entry(7, since=9.0), session_entry(40_000, since=3.0), session_end(40_000)
            first.say(SessionUp(late))
            second.say(SessionUp(early))
            await until(lambda: len(here.parent.sessions) == 2)
            assert here.parent.sessions == [(2, early), (1, late)]
            second.say(SessionDown(end))
            second.say(SessionDown(end))
            here.dial()
            here.dial()
            await until(lambda: second.heard(Serve))
            number = second.heard(Serve)[0].number
            # What it does not have, a worker cannot give up.
            second.say(ConnectionClosed(number - 1))
            second.say(ConnectionClosed(number))
            second.say(ConnectionClosed(number))
            await until(lambda: here.parent.sessions == [(1, late)] and here.closed)
            assert here.ups == [late, early]
            assert here.downs == [end]
            assert here.closed == 1

    asyncio.run(scenario())


def test_a_session_is_ended_by_the_worker_that_has_it() -> None:
    async def scenario() -> None:
        async with office() as here:
            first, second = here.fakes
            second.say(SessionUp(session_entry(40_000)))
            await until(lambda: here.parent.sessions)
            assert here.parent.disconnect(40_000, "enough")
            assert not here.parent.disconnect(7, "not up yet, perhaps")
            assert not here.parent.disconnect(0, "nobody's")
            await until(lambda: first.heard(Disconnect) and second.heard(Disconnect))
            assert first.heard(Disconnect) == [Disconnect(7, "not up yet, perhaps")]
            assert second.heard(Disconnect) == [Disconnect(40_000, "enough")]

    asyncio.run(scenario())


def figures(call_id: int) -> SessionFigures:
    return SessionFigures(call_id=call_id, counters=(("packets_in", 3),), echo_round_trip=0.01, ack_round_trip=None)


def answer_in_parts(fake: Fake, question: int) -> None:
    """Tell the figures of two sessions, one at a time."""
    fake.say(FiguresAnswer(question, (figures(1),), (), last=False))
    fake.say(FiguresAnswer(question, (figures(2),), (("datagrams_in", 5), ("late", 1)), last=True))


def test_the_figures_of_all_workers_together() -> None:
    async def scenario() -> None:
        async with office() as here:
            first, second = here.fakes
            asked = asyncio.create_task(here.parent.figures())
            await until(lambda: first.heard(FiguresQuestion) and second.heard(FiguresQuestion))
            (question,) = first.heard(FiguresQuestion)
            answer_in_parts(first, question.question)
            await asyncio.sleep(0.02)
            assert not asked.done()
            second.say(FiguresAnswer(question.question, (figures(40_000),), (("datagrams_in", 2),), last=True))
            # One that comes too late is for nobody.
            second.say(FiguresAnswer(question.question + 7, (figures(40_001),), (), last=True))
            found = await asked
            assert sorted(each.call_id for each in found.sessions) == [1, 2, 40_000]
            assert dict(found.planes) == {"datagrams_in": 7, "late": 1}

    asyncio.run(scenario())


@pytest.mark.parametrize("how", ["silent", "dead"])
def test_figures_without_a_worker_that_does_not_tell_them(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIGURES_SECONDS", 0.1 if how == "silent" else 20.0)

    async def scenario() -> None:
        async with office() as here:
            first, second = here.fakes
            asked = asyncio.create_task(here.parent.figures())
            await until(lambda: first.heard(FiguresQuestion))
            answer_in_parts(first, first.heard(FiguresQuestion)[0].question)
            if how == "dead":
                second.exit(-11)
            found = await asyncio.wait_for(asked, 5)
            assert [each.call_id for each in found.sessions] == [1, 2]

    asyncio.run(scenario())


@pytest.mark.parametrize("one_dies", [False, True])
def test_drained_is_when_every_worker_is(one_dies: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with office() as here:
            first, second = here.fakes
            listener = here.parent._listener
            assert listener is not None
            drained = asyncio.create_task(here.parent.drain())
            await until(lambda: first.heard(Drain) and second.heard(Drain))
            assert listener.fileno() == -1
            first.say(Drained())
            await asyncio.sleep(0.05)
            assert not drained.done()
            if one_dies:
                second.exit(-11)
            else:
                second.say(Drained())
            await drained
            # Nobody is started to take its place, and asked again it says so at once.
            await here.parent.drain()
            await asyncio.sleep(0.05)
            assert len(here.fakes) == 2
            assert len(first.heard(Drain)) == 1

    asyncio.run(scenario())
    assert ("worker 2 was killed by SIGSEGV; its sessions have ended" in caplog.messages) is one_dies


def test_a_worker_that_dies(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with office() as here:
            first, second = here.fakes
            client = here.dial()
            await until(lambda: first.connections)
            first.say(LeaseQuestion(1, LeaseRequest(user="alice")))
            up_since = asyncio.get_running_loop().time() - 60
            first.say(SessionUp(session_entry(7, since=up_since)))
            await until(lambda: here.parent.sessions)
            assert here.pool.in_use == 1
            first.exit(-11)
            await until(lambda: here.downs)
            assert not here.pool.in_use
            (end,) = here.downs
            assert (end.call_id, end.reason, round(end.seconds, -1)) == (7, "the worker process has ended", 60)
            assert here.closed == 1
            assert client.recv(1) == b""
            assert here.parent.sessions == []
            # Others go on meanwhile.
            here.dial()
            await until(lambda: second.connections)
            await until(lambda: len(here.fakes) == 3 and len(here.parent.processes) == 2)
            assert here.fakes[2].heard(Begin) == [Begin(0, 2, SETTINGS)]
            here.dial()
            await until(lambda: here.fakes[2].connections)

    asyncio.run(scenario())
    lines = [record.getMessage() for record in caplog.records]
    assert "10.0.0.9: user 'alice' ended: the worker process has ended" in lines
    assert "worker 1 was killed by SIGSEGV; its sessions have ended, it is started again in 1 s" in lines
    assert "worker 1 is process 1002" in lines


def test_one_that_keeps_dying_is_started_later_and_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(module, "LONGEST_PAUSE", 0.03)

    def make(number: int, end: socket.socket) -> Fake:
        fake = Fake(number, end)
        if number >= 2:
            fake.channel._loop.call_later(0.01, fake.exit, 1)
        return fake

    async def scenario() -> None:
        async with office(make) as here:
            here.fakes[1].exit(1)
            await until(lambda: len(here.fakes) >= 6)

    asyncio.run(scenario())
    pauses = [line for line in caplog.messages if "is started again" in line][:4]
    assert [line.rpartition(" in ")[2] for line in pauses] == ["0.01 s", "0.02 s", "0.03 s", "0.03 s"]


def test_while_nobody_can_serve_connections_wait() -> None:
    async def scenario() -> None:
        async with office() as here:
            for fake in list(here.fakes):
                fake.exit(1)
            await until(lambda: not here.parent.processes)
            client = here.dial()
            await until(lambda: any(fake.connections for fake in here.fakes))
            client.send(b"still here")
            (connection,) = [connection for fake in here.fakes for connection in fake.connections]
            connection.setblocking(True)
            assert connection.recv(20) == b"still here"

    asyncio.run(scenario())


def test_a_worker_that_does_not_start() -> None:
    def make(number: int, end: socket.socket) -> Fake:
        fake = Fake(number, end, ready=number == 0)
        if number == 1:
            fake.exit(1)
        return fake

    async def scenario() -> None:
        here = Office(make)
        with pytest.raises(NetworkError, match="worker 2 did not start: ended with exit status 1"):
            await here.parent.start()
        here.close()
        assert here.parent.processes == []

    asyncio.run(scenario())


def test_a_worker_that_is_never_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "START_SECONDS", 0.2)
    monkeypatch.setattr(module, "STOP_SECONDS", 0.1)

    async def scenario() -> None:
        here = Office(lambda number, end: Fake(number, end, ready=False, obedient=False))
        with pytest.raises(NetworkError, match=r"not ready within|did not start"):
            await here.parent.start()
        here.close()

    asyncio.run(scenario())


def test_a_process_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(number: int, end: socket.socket) -> Fake:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    async def scenario() -> None:
        here = Office(make)
        with pytest.raises(NetworkError, match="worker 1 did not start"):
            await here.parent.start()

    asyncio.run(scenario())


def test_a_worker_that_does_not_end_is_killed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "STOP_SECONDS", 0.1)

    async def scenario() -> None:
        async with office(lambda number, end: Fake(number, end, obedient=number == 0)) as here:
            here.fakes[1].say(LeaseQuestion(1, LeaseRequest(user="alice")))
            await until(lambda: here.pool.in_use)
        assert not here.pool.in_use
        assert here.fakes[1].wait(0) == -9

    asyncio.run(scenario())
    assert "worker 2 (process 1001) did not end in time" in caplog.messages


def test_no_descriptor_for_another_connection(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "ACCEPT_PAUSE", 0.05)

    class Exhausted:
        """A listener that has one bad moment."""

        def __init__(self, listener: socket.socket) -> None:
            self._listener = listener
            self.refusals = 1

        def accept(self) -> tuple[socket.socket, Any]:
            if self.refusals:
                self.refusals -= 1
                raise OSError(24, "Too many open files")
            return self._listener.accept()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._listener, name)

    monkeypatch.setattr(module, "open_listener", lambda config: Exhausted(server_module.open_listener(config)))

    async def scenario() -> None:
        async with office() as here:
            here.dial()
            await until(lambda: here.fakes[0].connections)

    asyncio.run(scenario())
    assert caplog.messages.count("cannot accept a connection: Too many open files") == 1


@pytest.mark.parametrize(
    ("status", "words"), [(0, "ended with exit status 0"), (-9, "was killed by SIGKILL"), (-99, "by signal 99")]
)
def test_how_a_process_ended(status: int, words: str) -> None:
    assert words in describe_status(status)
