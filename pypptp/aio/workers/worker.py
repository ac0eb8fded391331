"""The worker's side: a server whose connections, users and addresses come from its parent."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from pypptp.aio.admission import Refusal
from pypptp.aio.driver import CLOSE_GRACE
from pypptp.aio.register import SessionEnd, SessionEntry
from pypptp.aio.server import Server, ServerConfig
from pypptp.aio.workers.channel import Channel, receive_message
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
)
from pypptp.auth.account import Account
from pypptp.auth.leases import LeaseRefused, LeaseRequest
from pypptp.control import CallIdAllocator
from pypptp.errors import PptpError
from pypptp.net.edge import NetworkEdge

log = logging.getLogger("pypptp.worker")

FIGURES_PER_MESSAGE = 24
"""Each has some thirty counters at most, of some thirty octets."""

PARENT_GONE = "the server's main process has ended"
BEGIN_SECONDS = 10.0


class ParentSilent(PptpError):
    """The parent cannot answer: it is gone, or has trouble of its own."""


def receive_begin(end: socket.socket) -> Begin:
    """Wait for the first message on this end of the channel.

    Raises:
        BadMessage: it is another one.
        ParentSilent: the parent is gone, or says nothing.
    """
    end.settimeout(BEGIN_SECONDS)
    try:
        received = receive_message(end)
    except TimeoutError:
        received = None
    if received is None:
        raise ParentSilent(PARENT_GONE)
    begin, _ = received
    if not isinstance(begin, Begin):
        raise BadMessage("the first message from the parent does not say who we are")
    return begin


def share_of(index: int, workers: int) -> range:
    """Return the call ids of one of several workers: 1 to 65535 in pieces of the same size, one after the other.

    >>> share_of(0, 2), share_of(1, 2)
    (range(1, 32768), range(32768, 65536))
    """
    return range(1 + 65_535 * index // workers, 1 + 65_535 * (index + 1) // workers)


@dataclass(slots=True)
class _Questions:
    """What was asked and is not answered yet."""

    pending: dict[int, asyncio.Future[Any]]
    last: int = 0

    def ask(self) -> tuple[int, asyncio.Future[Any]]:
        self.last += 1
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.pending[self.last] = answer
        return self.last, answer

    def take(self, question: int) -> asyncio.Future[Any] | None:
        answer = self.pending.pop(question, None)
        return None if answer is None or answer.done() else answer

    def fail(self, error: Exception) -> None:
        for question in list(self.pending):
            answer = self.take(question)
            if answer is not None:
                answer.set_exception(error)


class Worker:
    """One worker process. To its server it is authority, leases, watcher and porter; the parent is behind it.

    Args:
        config: the settings; listening is the parent's.
        begin: what the parent said first.
        end: this end of the channel.
        gre: the raw socket that receives for our call ids.
        edge: the system's network, for TUN devices.
    """

    def __init__(
        self, config: ServerConfig, begin: Begin, *, end: socket.socket, gre: socket.socket, edge: NetworkEdge
    ) -> None:
        self._end = end
        self._edge = edge
        self._gre = gre
        self._questions = _Questions({})
        self._channel: Channel | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._refusals: dict[int, Refusal] = {}
        call_ids = CallIdAllocator(os.urandom, share_of(begin.index, begin.workers))
        self.server = Server(
            config, authority=self, leases=self, edge=edge, call_ids=call_ids, watcher=self, porter=self
        )

    async def run(self, grace: float = CLOSE_GRACE) -> None:
        """Serve until the parent says that it is over, or is gone; then end every session in order.

        The channel ends last, when the system is as it was: the parent takes that for the end of the process.
        """
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def end(reason: str) -> None:
            if not ended.done():
                ended.set_result(reason)

        def lost() -> None:
            if not ended.done():
                log.error("%s", PARENT_GONE)
            self._questions.fail(ParentSilent(PARENT_GONE))
            end(PARENT_GONE)

        def receive(message: Message, connection: socket.socket | None) -> None:
            self._receive(message, connection, end)

        self.server.open(self._gre)
        self._channel = Channel(self._end, receive=receive, lost=lost)
        try:
            self._channel.send(Ready())
            reason = await ended
            await self.server.stop(reason, grace)
        finally:
            for error in await asyncio.to_thread(self._edge.undo):
                log.warning("%s", error)
            self._channel.close()

    def _receive(self, message: Message, connection: socket.socket | None, end: Callable[[str], None]) -> None:
        match message:
            case Serve(number=number, refusal=refusal):
                self._adopt(connection, number, refusal)
            case AccountAnswer(question=question, account=account, trouble=trouble):
                self._answer(question, account, trouble)
            case LeaseAnswer(question=question, address=address):
                if not self._answer(question, message) and address is not None:
                    # Nobody waits for it any more, and it would be on loan for ever.
                    self._send(GiveBack(address))
            case Disconnect(call_id=call_id, reason=reason):
                self.server.disconnect(call_id, reason)
            case Drain():
                self._spawn(self._drain())
            case FiguresQuestion(question=question):
                self._spawn(self._tell_figures(question))
            case EndConnection(number=number, reason=reason):
                self.server.end_connection(number, reason)
            case End(reason=reason):
                end(reason)
            case _:
                log.error("the parent sent a message that is not for workers: %s", type(message).__name__)

    def _adopt(self, connection: socket.socket | None, number: int, refusal: str) -> None:
        if connection is None:
            log.error("a connection was refused: no file descriptor left, raise the limit with 'ulimit -n'")
            self.left(number)
            return
        if refusal:
            self._refusals[number] = Refusal(refusal)
        task = asyncio.get_running_loop().create_task(self._serve(connection, number))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: socket.socket, number: int) -> None:
        try:
            connection.setblocking(False)
            await self.server.adopt(connection, number)
        except OSError as error:
            log.error("a connection could not be served: %s", error.strerror or error)
            connection.close()
            self.left(number)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drain(self) -> None:
        await self.server.drain()
        self._send(Drained())

    async def _tell_figures(self, question: int) -> None:
        figures = await self.server.figures()
        rest = figures.sessions
        while len(rest) > FIGURES_PER_MESSAGE:
            self._send(FiguresAnswer(question, rest[:FIGURES_PER_MESSAGE], (), last=False))
            rest = rest[FIGURES_PER_MESSAGE:]
        self._send(FiguresAnswer(question, rest, figures.planes, last=True))

    def _answer(self, question: int, value: object, trouble: str = "") -> bool:
        answer = self._questions.take(question)
        if answer is None:
            return False
        if trouble:
            answer.set_exception(ParentSilent(trouble))
        else:
            answer.set_result(value)
        return True

    def _send(self, message: Message) -> None:
        if self._channel is not None:
            self._channel.send(message)

    async def _ask(self, question: int, answer: asyncio.Future[Any], message: Message) -> Any:
        channel = self._channel
        if channel is None or channel.closed:
            self._questions.take(question)
            raise ParentSilent(PARENT_GONE)
        try:
            channel.send(message)
            return await answer
        finally:
            self._questions.take(question)

    # What the server asks for and reports.

    async def account(self, name: str, server_name: str) -> Account | None:
        """Ask the parent who somebody is.

        Raises:
            ParentSilent: it cannot say.
        """
        question, answer = self._questions.ask()
        account: Account | None = await self._ask(question, answer, AccountQuestion(question, name, server_name))
        return account

    async def lease(self, request: LeaseRequest) -> IPv4Address:
        """Ask the parent for an address.

        Raises:
            LeaseRefused: there is none.
            ParentSilent: it is gone.
        """
        question, answer = self._questions.ask()
        found: LeaseAnswer = await self._ask(question, answer, LeaseQuestion(question, request))
        if found.address is None:
            raise LeaseRefused(found.refusal)
        return found.address

    def give_back(self, address: IPv4Address, user: str) -> None:
        """Give an address back to the parent."""
        self._send(GiveBack(address))

    def session_up(self, entry: SessionEntry) -> None:
        """Enter a session in the parent's list."""
        self._send(SessionUp(entry))

    def session_down(self, end: SessionEnd) -> None:
        """Strike a session from the parent's list."""
        self._send(SessionDown(end))

    def connection_closed(self) -> None:
        """Nothing: the parent hears it from ``left``, by the connection's number."""

    def came(self, number: int, address: IPv4Address, now: float) -> Refusal | None:
        """Say what the parent has decided."""
        return self._refusals.pop(number, None)

    def called(self, number: int) -> None:
        """Tell the parent that this connection has placed a call."""
        self._send(ConnectionCalled(number))

    def settled(self, number: int) -> None:
        """Tell the parent that a session of this connection is up."""
        self._send(ConnectionSettled(number, True))

    def unsettled(self, number: int, now: float) -> None:
        """Tell the parent that none is up any more."""
        self._send(ConnectionSettled(number, False))

    def left(self, number: int) -> None:
        """Tell the parent that this connection has ended."""
        self._refusals.pop(number, None)
        self._send(ConnectionClosed(number))
