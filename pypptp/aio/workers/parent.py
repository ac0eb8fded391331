"""The parent's side: accepts connections, hands each to the least loaded worker, and keeps what they share."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import subprocess
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address
from typing import Any, Protocol

from pypptp.aio.admission import Admission, Refusal
from pypptp.aio.driver import CLOSE_GRACE
from pypptp.aio.figures import ServerFigures, SessionFigures, server_figures
from pypptp.aio.register import SessionEnd, SessionEntry, Watcher
from pypptp.aio.server import BACKLOG, ServerConfig, local_of, open_listener
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
)
from pypptp.aio.workers.worker import share_of
from pypptp.auth.authority import Authority
from pypptp.auth.leases import LeaseRefused, Leases
from pypptp.errors import NetworkError
from pypptp.net.raw_gre import OpenGre, open_gre_socket

log = logging.getLogger("pypptp.parent")

START_SECONDS = 30.0
"""A worker that is not ready by then will never be; a busy machine takes its time to start Python."""

STOP_SECONDS = 2.0
"""Beyond the grace of its sessions, until a worker that was told to end is killed."""

SESSION_SECONDS = 0.01
"""For each session, beyond that: the kernel takes its time to close a thousand TUNs, killed or not."""

EXIT_SECONDS = 1.0
"""From the end of a worker's channel, which is its last act, to the end of the process."""

CLOGGED = 64
"""Messages a worker has not read, from where on it is given no more connections."""

QUICK_SECONDS = 60.0
"""A worker that ends sooner is started again later and later."""

FIRST_PAUSE = 1.0
"""Seconds until a worker that ended soon is started again; twice that the next time, and so on."""

LONGEST_PAUSE = 30.0
"""Seconds between two attempts to start a worker that keeps ending."""

FIGURES_SECONDS = 2.0
"""For the workers to tell their figures; who watches them live would rather miss some than wait."""

ACCEPT_PAUSE = 1.0
"""Seconds without a new connection after the system had no descriptor for one."""


WORKER_GONE = "the worker process has ended"


class Process(Protocol):
    """A worker's process; ``subprocess.Popen`` is one."""

    @property
    def pid(self) -> int:
        """Its number."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end: the exit status, negative for a signal. Raises subprocess.TimeoutExpired."""

    def kill(self) -> None:
        """End it at once."""


Launch = Callable[[socket.socket, socket.socket], Process]
"""Starts a worker's process with its end of the channel and its GRE socket. Both stay the caller's to close."""


class _Run:
    """A worker's process, from start to end.

    Attributes:
        process: the process.
        channel: our end of the channel.
        lost: set when its end of the channel is gone.
        numbers: of the connections it was given and has not reported closed.
        leases: the addresses on loan to it, and for whom.
        sessions: its part of the list, by call id.
        ready: whether it takes connections.
        drained: whether it has no session any more, and will have none.
    """

    __slots__ = ("channel", "drained", "leases", "lost", "numbers", "process", "ready", "sessions")

    def __init__(
        self, process: Process, end: socket.socket, receive: Callable[[_Run, Message, socket.socket | None], None]
    ) -> None:
        self.process = process
        self.lost = asyncio.Event()
        self.channel = Channel(
            end, receive=lambda message, connection: receive(self, message, connection), lost=self.lost.set
        )
        self.numbers: set[int] = set()
        self.leases: dict[IPv4Address, str] = {}
        self.sessions: dict[int, SessionEntry] = {}
        self.ready = False
        self.drained = False

    @property
    def connections(self) -> int:
        """How many connections it has."""
        return len(self.numbers)

    @property
    def free(self) -> bool:
        """Whether it takes connections, and takes them in time."""
        return self.ready and self.channel.waiting < CLOGGED


@dataclass(slots=True, eq=False)
class _Place:
    """A worker's place, whichever process fills it.

    Attributes:
        index: from 0.
        gre: the raw socket for its call ids.
        begun: done when the first process is ready, or failed to be.
        run: the present process.
    """

    index: int
    gre: socket.socket
    begun: asyncio.Future[None]
    run: _Run | None = None

    @property
    def name(self) -> str:
        """For the log; people count from 1."""
        return f"worker {self.index + 1}"


class _Collection:
    """Answers of several workers to one question about their figures; ``done`` is set with the last."""

    __slots__ = ("done", "planes", "sessions", "waiting")

    def __init__(self, asked: list[_Run]) -> None:
        self.sessions: list[SessionFigures] = []
        self.planes: list[dict[str, int]] = []
        self.done = asyncio.Event()
        self.waiting = set(asked)

    def add(self, run: _Run, answer: FiguresAnswer) -> None:
        self.sessions += answer.sessions
        if answer.last:
            self.planes.append(dict(answer.planes))
            self.expect_no_more(run)

    def expect_no_more(self, run: _Run) -> None:
        self.waiting.discard(run)
        if not self.waiting:
            self.done.set()


class Parent:
    """A PPTP server in several processes; to whoever starts and stops it, the same as a ``Server``.

    Args:
        config: the server's settings.
        workers: how many processes.
        settings: what each worker is told to make the same settings of, as (name, text).
        authority: who may log in.
        leases: the addresses to hand out.
        launch: starts a worker.
        watcher: is told of the sessions that come and go, in whichever worker.
    """

    def __init__(
        self,
        config: ServerConfig,
        *,
        workers: int,
        settings: tuple[tuple[str, str], ...],
        authority: Authority,
        leases: Leases,
        launch: Launch,
        watcher: Watcher | None = None,
    ) -> None:
        self.config = config
        self._count = workers
        self._settings = settings
        self._authority = authority
        self._leases = leases
        self._launch = launch
        self._watcher = watcher
        self._admission = Admission(config.connections, self.end_connection)
        self._accepted = 0
        self._places: list[_Place] = []
        self._keepers: set[asyncio.Task[None]] = set()
        self._answers: set[asyncio.Task[None]] = set()
        self._listener: socket.socket | None = None
        self._accepting = False
        self._resume: asyncio.TimerHandle | None = None
        self._over = asyncio.Event()
        self._drained: asyncio.Event | None = None
        self._collections: dict[int, _Collection] = {}
        self._questions = 0
        # Waiting for a process blocks; one thread for each, so that none waits for another's.
        self._reapers = ThreadPoolExecutor(workers, "worker-reaper")

    @property
    def sessions(self) -> list[tuple[int, SessionEntry]]:
        """Who is connected: (number of the worker, from 1, and the session), the longest connected first."""
        entries = [
            (place.index + 1, entry)
            for place in self._places
            if place.run is not None
            for entry in place.run.sessions.values()
        ]
        return sorted(entries, key=lambda numbered: numbered[1].since)

    @property
    def processes(self) -> list[tuple[int, int]]:
        """The process number of each worker that is ready, and how many connections it has."""
        return [
            (place.run.process.pid, place.run.connections)
            for place in self._places
            if place.run is not None and place.run.ready
        ]

    async def start(self, listener: socket.socket | None = None, *, open_gre: OpenGre | None = None) -> None:
        """Open the GRE sockets, listen, and start the workers; return when all of them are ready.

        Args:
            listener: a socket that listens already; it becomes the parent's to close.
            open_gre: opens the raw GRE sockets, where this process may not.

        Raises:
            NetworkError: the system refuses a socket, or a worker does not start; what it wrote to stderr says why.
        """
        loop = asyncio.get_running_loop()
        self._listener = listener
        try:
            for index in range(self._count):
                gre = (open_gre or open_gre_socket)(local_of(self.config), call_ids=share_of(index, self._count))
                self._places.append(_Place(index, gre, loop.create_future()))
            if self._listener is None:
                self._listener = open_listener(self.config)
            for place in self._places:
                self._spawn(self._keepers, self._keep(place))
            try:
                async with asyncio.timeout(START_SECONDS):
                    await asyncio.gather(*(place.begun for place in self._places))
            except TimeoutError:
                raise NetworkError(f"the workers were not ready within {START_SECONDS:.0f} seconds") from None
        except BaseException:
            await self.stop(grace=0.0)
            raise

    async def figures(self) -> ServerFigures:
        """Return what is counted of each session that is up, and of the data planes; who is late is left out."""
        asked = [place.run for place in self._places if place.run is not None and place.run.ready]
        self._questions += 1
        question, collection = self._questions, _Collection(asked)
        self._collections[question] = collection
        try:
            for run in asked:
                run.channel.send(FiguresQuestion(question))
            if asked:
                async with asyncio.timeout(FIGURES_SECONDS):
                    await collection.done.wait()
        except TimeoutError:
            pass
        finally:
            del self._collections[question]
        return server_figures(collection.sessions, collection.planes)

    async def drain(self) -> None:
        """Take no new connections and no new calls, and return when the last session has ended."""
        self._stop_listening()
        if self._drained is None:
            self._drained = asyncio.Event()
            for place in self._places:
                if place.run is not None:
                    place.run.channel.send(Drain())
        self._look_whether_drained()
        await self._drained.wait()

    def _look_whether_drained(self) -> None:
        if self._drained is not None and all(place.run is None or place.run.drained for place in self._places):
            self._drained.set()

    def disconnect(self, call_id: int, reason: str) -> bool:
        """End one session in order, in whichever worker. Returns whether there is one that is up."""
        run = next((place.run for place in self._places if call_id in share_of(place.index, self._count)), None)
        if run is None:
            return False
        run.channel.send(Disconnect(call_id, reason))
        return call_id in run.sessions

    async def stop(self, reason: str = "the server is shutting down", grace: float = CLOSE_GRACE) -> None:
        """Stop listening, and let every worker end its sessions in order; one that does not in time is killed."""
        self._over.set()
        if self._resume is not None:
            self._resume.cancel()
        self._stop_listening()
        for place in self._places:
            if place.run is not None:
                place.run.channel.send(End(reason))
        patience = grace + STOP_SECONDS + SESSION_SECONDS * len(self.sessions)
        try:
            if waiting := [keeper for keeper in self._keepers if not keeper.done()]:
                _, late = await asyncio.wait(waiting, timeout=patience)
                if late:
                    self._kill_all()
                    await asyncio.wait(late, timeout=EXIT_SECONDS)
        finally:
            # For the impatient too, who cancel: the workers end by themselves when the channel does.
            tasks = [*self._keepers, *self._answers]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for place in self._places:
                place.begun.cancel()
                place.gre.close()
            await asyncio.get_running_loop().run_in_executor(None, self._reapers.shutdown)

    def _stop_listening(self) -> None:
        self._pause()
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _kill_all(self) -> None:
        for place in self._places:
            if place.run is not None:
                log.warning("%s (process %d) did not end in time", place.name, place.run.process.pid)
                place.run.process.kill()

    def _spawn(self, tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    # Workers come and go.

    async def _keep(self, place: _Place) -> None:
        """Keep a process in a worker's place, until the end."""
        loop = asyncio.get_running_loop()
        pause = 0.0
        while not self._over.is_set():
            started = loop.time()
            status = await self._fill(place)
            if self._over.is_set():
                break
            end = describe_status(status)
            if self._drained is not None:
                log.error("%s %s; its sessions have ended", place.name, end)
                break
            if not place.begun.done():
                place.begun.set_exception(NetworkError(f"{place.name} did not start: {end}"))
                return
            pause = 0.0 if loop.time() - started >= QUICK_SECONDS else min(max(FIRST_PAUSE, 2 * pause), LONGEST_PAUSE)
            again = f"in {pause:g} s" if pause else "now"
            log.error("%s %s; its sessions have ended, it is started again %s", place.name, end, again)
            try:
                async with asyncio.timeout(pause):
                    await self._over.wait()
            except TimeoutError:
                pass

    async def _fill(self, place: _Place) -> int:
        """Start a process, stay until it has ended, and clear up after it. Returns its exit status."""
        ours, theirs = channel_pair()
        with theirs:
            try:
                process = self._launch(theirs, place.gre)
            except OSError as error:
                ours.close()
                log.error("cannot start %s: %s", place.name, error.strerror or error)
                return 1
        run = place.run = _Run(process, ours, partial(self._receive, place))
        overdue = asyncio.get_running_loop().call_later(START_SECONDS, self._kill_unready, place, run)
        try:
            run.channel.send(Begin(place.index, self._count, self._settings))
            if self._over.is_set():
                run.channel.send(End("the server is shutting down"))
            await run.lost.wait()
            run.ready = False
            self._accept_or_not()
            # The addresses go back only when the interfaces that carry them are gone: with the process.
            return await asyncio.get_running_loop().run_in_executor(self._reapers, _reap, process)
        finally:
            place.run = None
            overdue.cancel()
            run.channel.close()
            self._clear_up(run)

    def _kill_unready(self, place: _Place, run: _Run) -> None:
        if not run.ready:
            log.error("%s (process %d) was not ready within %.0f s", place.name, run.process.pid, START_SECONDS)
            run.process.kill()

    def _clear_up(self, run: _Run) -> None:
        sessions = list(run.sessions.values())
        run.sessions.clear()
        for collection in self._collections.values():
            collection.expect_no_more(run)
        self._look_whether_drained()
        for address, user in run.leases.items():
            self._leases.give_back(address, user)
        run.leases.clear()
        now = asyncio.get_running_loop().time()
        for entry in sessions:
            log.info("%s: user '%s' ended: %s", entry.peer, entry.user, WORKER_GONE)
            if self._watcher is not None:
                seconds = now - entry.since
                self._watcher.session_down(SessionEnd(call_id=entry.call_id, reason=WORKER_GONE, seconds=seconds))
        for number in list(run.numbers):
            self._left(run, number)

    def _receive(self, place: _Place, run: _Run, message: Message, connection: socket.socket | None) -> None:
        if connection is not None:
            connection.close()
        match message:
            case Ready():
                run.ready = True
                log.info("%s is process %d", place.name, run.process.pid)
                if not place.begun.done():
                    place.begun.set_result(None)
                self._accept_or_not()
            case AccountQuestion():
                self._spawn(self._answers, self._look_up(run, message))
            case LeaseQuestion():
                self._spawn(self._answers, self._lease(run, message))
            case GiveBack(address=address):
                user = run.leases.pop(address, None)
                if user is not None:
                    self._leases.give_back(address, user)
            case SessionUp(entry=entry):
                run.sessions[entry.call_id] = entry
                if self._watcher is not None:
                    self._watcher.session_up(entry)
            case Drained():
                run.drained = True
                self._look_whether_drained()
            case FiguresAnswer(question=question):
                if (collection := self._collections.get(question)) is not None:
                    collection.add(run, message)
            case SessionDown(end=end):
                if run.sessions.pop(end.call_id, None) is not None and self._watcher is not None:
                    self._watcher.session_down(end)
            case ConnectionCalled(number=number):
                self._admission.called(number)
            case ConnectionSettled(number=number, settled=True):
                self._admission.settled(number)
            case ConnectionSettled(number=number):
                self._admission.unsettled(number, asyncio.get_running_loop().time())
            case ConnectionClosed(number=number):
                self._left(run, number)
            case _:
                log.error("%s sent a message that is not for the parent: %s", place.name, type(message).__name__)

    def _left(self, run: _Run, number: int) -> None:
        if number in run.numbers:
            run.numbers.remove(number)
            self._admission.left(number)
            if self._watcher is not None:
                self._watcher.connection_closed()

    async def _look_up(self, run: _Run, question: AccountQuestion) -> None:
        account, trouble = None, ""
        try:
            account = await self._authority.account(question.name, question.server_name)
        except Exception as error:
            trouble = str(error) or type(error).__name__
        try:
            run.channel.send(AccountAnswer(question.question, account, trouble))
        except BadMessage:
            run.channel.send(AccountAnswer(question.question, None, "the line of this user is too long"))

    async def _lease(self, run: _Run, question: LeaseQuestion) -> None:
        user = question.request.user
        try:
            address = await self._leases.lease(question.request)
        except LeaseRefused as refusal:
            run.channel.send(LeaseAnswer(question.question, None, str(refusal)))
            return
        if run.channel.closed:
            self._leases.give_back(address, user)
            return
        run.leases[address] = user
        run.channel.send(LeaseAnswer(question.question, address))

    # Connections come.

    def _accept_or_not(self) -> None:
        """Accept while somebody can serve; what comes meanwhile waits in the kernel."""
        if not self._over.is_set() and self._least_loaded() is not None:
            if not self._accepting and self._listener is not None and self._resume is None:
                self._accepting = True
                asyncio.get_running_loop().add_reader(self._listener.fileno(), self._accept)
        else:
            self._pause()

    def _pause(self, seconds: float = 0.0) -> None:
        if self._accepting and self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener.fileno())
        self._accepting = False
        if seconds:
            self._resume = asyncio.get_running_loop().call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        self._resume = None
        self._accept_or_not()

    def _accept(self) -> None:
        for _ in range(BACKLOG):
            run = self._least_loaded()
            if run is None or self._listener is None:
                self._pause(ACCEPT_PAUSE)
                return
            try:
                connection, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                log.error("cannot accept a connection: %s", error.strerror or error)
                self._pause(ACCEPT_PAUSE)
                return
            self._hand_over(run, connection, IPv4Address(address[0]))

    def _hand_over(self, run: _Run, connection: socket.socket, address: IPv4Address) -> None:
        self._accepted += 1
        number = self._accepted
        refusal = self._admission.came(number, address, asyncio.get_running_loop().time())
        if refusal is Refusal.SILENT:
            connection.close()
            return
        run.numbers.add(number)
        run.channel.send(Serve(number, "" if refusal is None else refusal.value), connection)

    def end_connection(self, number: int, reason: str) -> None:
        """End a control connection and all its sessions at once; see ``Server.end_connection``."""
        for place in self._places:
            if place.run is not None and number in place.run.numbers:
                place.run.channel.send(EndConnection(number, reason))
                return

    def _least_loaded(self) -> _Run | None:
        free = [place.run for place in self._places if place.run is not None and place.run.free]
        return min(free, key=lambda run: run.connections, default=None)


def describe_status(status: int) -> str:
    """Say how a process ended, to be put behind its name.

    >>> describe_status(3), describe_status(-9)
    ('ended with exit status 3', 'was killed by SIGKILL')
    """
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


def _reap(process: Process) -> int:
    try:
        return process.wait(EXIT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
