"""Opens the sessions, each with a control connection of its own, holds them, and lets them go."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from pypptp.aio.dataplane import DataPlane
from pypptp.aio.driver import Driver
from pypptp.causes import Cause
from pypptp.control import CallIdAllocator, CallRefused, ConnectionClosed, ConnectionStarted
from pypptp.endpoint import Endpoint, EndpointConfig, EndpointEvent, SessionEnded, SessionEvent, SessionStarted
from pypptp.errors import ConfigurationError
from pypptp.net.raw_gre import open_gre_socket
from pypptp.ppp.auth import Secret
from pypptp.ppp.config import LinkConfig, MppePolicy
from pypptp.ppp.events import Authenticated, LinkClosed, NetworkUp
from pypptp.roles import Role
from pypptp.testing.dialogue import packets
from pypptp.testing.dialogue.sockets import Addresses
from pypptp.testing.load.figures import Phase, Report

NUMBER = "{n}"
"""Stands in a user's name for the session's number, from 1."""
MOST_SESSIONS = 60_000
"""Fewer than the call ids there are."""
_SPARE_DESCRIPTORS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """What to do.

    Attributes:
        server: whom to load.
        port: its TCP port.
        sessions: how many.
        rate: sessions begun per second, 0 for all at once.
        hold: seconds each is held.
        user: whom to log in as; ``{n}`` in it is the session's number.
        password: the password of them all.
        timeout: seconds a session may take to be established, and to end.
        pings: ICMP Echos per second and session while it is held, 0 for none.
        size: octets of data in each.
        mppe: what to do about encryption.
    """

    server: IPv4Address
    port: int = 1723
    sessions: int = 10
    rate: float = 10.0
    hold: float = 1.0
    user: str
    password: str = field(repr=False)
    timeout: float = 10.0
    pings: float = 0.0
    size: int = 56
    mppe: MppePolicy = MppePolicy.REQUIRE


class _Session:
    """One session: when it came how far, and how it ended."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.driver: Driver | None = None
        self.call_id = 0
        self.network: NetworkUp | None = None
        self.reached = 0.0
        """When the phase before this one ended."""
        self.up = asyncio.Event()
        self.over = asyncio.Event()
        self.reason = ""
        self.inside: socket.socket | None = None
        self.tun: socket.socket | None = None
        self.answered = asyncio.Event()
        self.sent: dict[int, float] = {}
        """When the pings without a reply were sent, by number."""

    def blame(self, cause: Cause, reason: str) -> None:
        """Remember the first thing that went wrong: the rest follows from it."""
        self.reason = self.reason or f"{cause.value}: {reason}"


class Load:
    """One load.

    Attributes:
        report: what has become of it so far.
    """

    def __init__(self, plan: LoadPlan) -> None:
        """Get ready.

        Raises:
            ConfigurationError: more sessions than this process can have.
        """
        self.plan = plan
        self.report = Report(requested=plan.sessions)
        self._require_descriptors()
        self._call_ids = CallIdAllocator(os.urandom)
        self._addresses = Addresses(plan.server)
        self._sessions: dict[Driver, _Session] = {}
        self._plane: DataPlane | None = None
        self._began = 0.0

    def _require_descriptors(self) -> None:
        wanted = self.plan.sessions * (3 if self.plan.pings else 1) + _SPARE_DESCRIPTORS
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < wanted:
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
        if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < wanted or self.plan.sessions > MOST_SESSIONS:
            raise ConfigurationError(
                f"sessions: {self.plan.sessions} take {wanted} open files and {hard} are allowed: raise the limit "
                f"(ulimit -n), or ask for fewer; {MOST_SESSIONS} is the most"
            )

    async def run(self) -> Report:
        """Do it all, and return the report.

        Raises:
            NetworkError: the system has no raw socket for us.
        """
        plan, loop = self.plan, asyncio.get_running_loop()
        with open_gre_socket() as gre:
            self._plane = plane = DataPlane(loop, gre)
            self._began = loop.time()
            try:
                async with asyncio.TaskGroup() as sessions:
                    for number in range(1, plan.sessions + 1):
                        if plan.rate:
                            due = self._began + (number - 1) / plan.rate
                            await asyncio.sleep(max(due - loop.time(), 0.0))
                        sessions.create_task(self._live(_Session(number)))
            finally:
                plane.close()
                self.report.seconds = loop.time() - self._began
        return self.report

    # One session.

    async def _live(self, session: _Session) -> None:
        report, plan, loop = self.report, self.plan, asyncio.get_running_loop()
        report.started += 1
        began = session.reached = loop.time()
        try:
            async with asyncio.timeout(plan.timeout):
                await self._connect(session)
                await self._first(session.up, session.over)
        except TimeoutError:
            session.blame(Cause.TIMED_OUT, f"not established within {plan.timeout:g} s")
        except OSError as error:
            cause = Cause.REFUSED if isinstance(error, ConnectionRefusedError) else Cause.UNREACHABLE
            session.blame(cause, os.strerror(error.errno).lower() if error.errno else str(error))
        if not session.up.is_set() or session.over.is_set():
            report.failed[session.reason or "lost: the connection ended"] += 1
            self._abandon(session)
            return
        report.established += 1
        report.ramp = loop.time() - self._began
        report.times[Phase.SETUP].append(loop.time() - began)
        await self._hold(session)
        await self._release(session)

    async def _connect(self, session: _Session) -> None:
        plane, plan = self._plane, self.plan
        assert plane is not None
        name = plan.user.replace(NUMBER, str(session.number))
        config = EndpointConfig(link=LinkConfig(name=name, mppe=plan.mppe))

        def make_endpoint(now: float) -> Endpoint:
            secret = Secret(password=plan.password)
            return Endpoint(Role.CLIENT, config, random=os.urandom, call_ids=self._call_ids, now=now, secret=secret)

        # On loopback each session has an address of its own, so that a server's limits by address do not meet it.
        source = self._addresses.next()
        driver = Driver(plane, self, make_endpoint)
        session.driver, self._sessions[driver] = driver, session
        await asyncio.get_running_loop().create_connection(
            lambda: driver, str(plan.server), plan.port, local_addr=None if source is None else (str(source), 0)
        )
        driver.connect()

    async def _first(self, *events: asyncio.Event) -> None:
        tasks = [asyncio.create_task(event.wait()) for event in events]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    async def _hold(self, session: _Session) -> None:
        plan, loop = self.plan, asyncio.get_running_loop()
        until = loop.time() + plan.hold
        if plan.pings:
            self._open_inside(session)
        step = 1 / plan.pings if plan.pings else plan.hold
        number = 0
        while not session.over.is_set() and (left := until - loop.time()) > 0:
            if plan.pings:
                number = number % 0xFFFF + 1
                self._ping(session, number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(step, left)):
                    await session.over.wait()
        # The last ping's reply has the time that the others had.
        if session.sent and not session.over.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(plan.timeout, 1.0)):
                    await self._first(session.answered, session.over)

    async def _release(self, session: _Session) -> None:
        report, loop = self.report, asyncio.get_running_loop()
        if session.over.is_set():
            report.dropped[session.reason or "lost: the connection ended"] += 1
        else:
            asked = loop.time()
            assert session.driver is not None
            session.driver.close("the load is over", self.plan.timeout)
            await session.over.wait()
            report.released += 1
            report.times[Phase.RELEASE].append(loop.time() - asked)
        self._abandon(session)

    def _abandon(self, session: _Session) -> None:
        if session.driver is not None:
            for flow in session.driver.flows.values():
                flow.close_tun()
            session.driver.abort("the load gives up")
            self._sessions.pop(session.driver, None)
        if session.inside is not None and session.tun is not None:
            asyncio.get_running_loop().remove_reader(session.inside)
            session.inside.close()
            session.tun.close()
            session.inside = session.tun = None

    # Data.

    def _open_inside(self, session: _Session) -> None:
        """Put a pair of sockets in the place of a TUN: a packet for each datagram."""
        assert session.driver is not None
        flow = session.driver.flows.get(session.call_id)
        if flow is None:
            return
        session.tun, session.inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        session.inside.setblocking(False)
        flow.open_tun(session.tun.fileno())
        asyncio.get_running_loop().add_reader(session.inside, self._replies, session, session.inside)

    def _ping(self, session: _Session, number: int) -> None:
        network = session.network
        if network is None or session.inside is None:
            return
        echo = packets.echo(packets.ECHO_REQUEST, session.number & 0xFFFF, number, bytes(self.plan.size))
        packet = packets.ipv4(packets.ICMP, network.local, network.peer, echo, number)
        with contextlib.suppress(BlockingIOError):
            session.inside.send(packet)
        session.sent[number] = asyncio.get_running_loop().time()
        session.answered.clear()
        self.report.pings += 1

    def _replies(self, session: _Session, inside: socket.socket) -> None:
        now = asyncio.get_running_loop().time()
        try:
            packet = inside.recv(65_535)
        except BlockingIOError:
            return
        echo = packets.parse_echo(packet)
        sent = None
        if echo is not None and echo.kind == packets.ECHO_REPLY:
            sent = session.sent.pop(echo.number, None)
            if not session.sent:
                session.answered.set()
        if sent is not None:
            self.report.pongs += 1
            self.report.times[Phase.PING].append(now - sent)

    # What the drivers report.

    def connection_made(self, driver: Driver) -> None:
        """TCP is up."""
        self._reach(self._sessions[driver], Phase.TCP)

    def handle_event(self, driver: Driver, event: EndpointEvent) -> None:
        """Note how far a session has come."""
        session = self._sessions.get(driver)
        if session is None:
            return
        match event:
            case ConnectionStarted():
                self._reach(session, Phase.CONTROL)
            case SessionStarted(call_id=call_id):
                session.call_id = call_id
                self._reach(session, Phase.CALL)
            case SessionEvent(event=Authenticated()):
                self._reach(session, Phase.LOGIN)
            case SessionEvent(event=NetworkUp() as network):
                if session.network is None:
                    self._reach(session, Phase.NETWORK)
                session.network = network
                session.up.set()
            case SessionEvent(event=LinkClosed(reason=reason, cause=cause)):
                session.blame(cause, reason)
            case CallRefused():
                session.blame(event.why, event.reason)
            case SessionEnded(reason=reason, cause=cause):
                # A server that clears the call at once leaves the link no time to say that it is closed.
                session.blame(cause, reason)
                flow = driver.flows.get(event.call_id)
                if flow is not None:
                    flow.close_tun()
            case ConnectionClosed(reason=reason):
                session.blame(event.why, reason)

    def connection_closed(self, driver: Driver) -> None:
        """TCP is gone."""
        session = self._sessions.get(driver)
        if session is not None:
            session.over.set()

    def _reach(self, session: _Session, phase: Phase) -> None:
        now = asyncio.get_running_loop().time()
        self.report.times[phase].append(now - session.reached)
        session.reached = now
