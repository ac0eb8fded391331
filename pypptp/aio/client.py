"""The client: one connection, one call, one TUN, from the first packet to the last."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any

from pypptp.aio.client_network import ClientNetwork, ClientNetworkConfig
from pypptp.aio.dataplane import LARGEST_MTU, DataPlane, Flow
from pypptp.aio.driver import CLOSE_GRACE, Driver
from pypptp.aio.figures import counters_of
from pypptp.aio.time_limits import NO_LIMITS, TIME_IS_UP, TimeKeeper, TimeLimits
from pypptp.aio.waiting_packets import WaitingPackets
from pypptp.aio.words import describe_network, describe_refusals
from pypptp.causes import Cause
from pypptp.control import CallIdAllocator, CallRefused, ConnectionClosed, ConnectionStarted, printable
from pypptp.endpoint import Endpoint, EndpointConfig, EndpointEvent, SessionEnded, SessionEvent
from pypptp.errors import NetworkError, PptpError
from pypptp.net.edge import NetworkEdge
from pypptp.net.raw_gre import open_gre_socket
from pypptp.ppp.auth import Secret
from pypptp.ppp.events import Authenticated, NetworkDown, NetworkUp
from pypptp.roles import Role
from pypptp.session import Session

log = logging.getLogger("pypptp.client")

CONNECT_TIMEOUT = 15.0
"""Seconds to wait for TCP."""


RESOLVE_PATIENCE = 5.0
"""Seconds to wait for a name whose address is known from before; the name servers may be behind the lost tunnel."""
SILENT_PACKETS = 3
"""GRE packets sent without one that came back, which say that the path is blocked: LCP's first three tries, 6 s."""


class SessionLost(PptpError):
    """The session ended without being asked to, or never came up; the text says why, and what to do.

    Attributes:
        reason: why, without what to do.
        cause: why, for programs.
    """

    def __init__(self, reason: str, cause: Cause = Cause.NEGOTIATION) -> None:
        super().__init__(f"{reason}; {cause.cure}" if cause.cure else reason)
        self.reason = reason
        self.cause = cause


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """What a client needs beside those it works with.

    Attributes:
        endpoint: the settings of the connection.
        server: host name or address.
        port: the TCP port.
        network: what of the machine's network is to change.
        limits: how long the session may last, and how long be idle.
    """

    endpoint: EndpointConfig
    server: str
    port: int = 1723
    network: ClientNetworkConfig = field(default_factory=ClientNetworkConfig)
    limits: TimeLimits = NO_LIMITS


class Client:
    """A PPTP client.

    Args:
        config: the settings.
        secret: the user's own.
        edge: the system's network.
        system: the machine's network where it outlives this client, and stays the caller's to close.
        waiting: packets that came before the session.
        known: the server's address at an earlier time, for when its name cannot be looked up.
        on_up: called when packets can pass, and again where the link was negotiated anew.

    Attributes:
        connected: set once packets can pass.
        network: what was agreed, once it was.
        server: the server's address, once it is known.
        system: the machine's network, as far as it is this client's.
        fell_back: the server's name could not be looked up, and ``known`` had to do.
        lasted: seconds that packets could pass, once that is over; None where it never came so far.
        figures: everything counted of the session, once that is over.
    """

    def __init__(
        self,
        config: ClientConfig,
        *,
        secret: Secret,
        edge: NetworkEdge,
        system: ClientNetwork | None = None,
        waiting: WaitingPackets | None = None,
        known: IPv4Address | None = None,
        on_up: Callable[[], None] | None = None,
    ) -> None:
        self.config = config
        self.connected = asyncio.Event()
        self.network: NetworkUp | None = None
        self.server: IPv4Address | None = None
        self.system = ClientNetwork(config.network, edge) if system is None else system
        self.fell_back = False
        self.lasted: float | None = None
        self._outlived = system is not None
        self._waiting = waiting
        self._known = known
        self._on_up = on_up
        self.figures: dict[str, int] = {}
        self._up_since: float | None = None
        self._keeper: TimeKeeper | None = None
        self._secret = secret
        self._driver: Driver | None = None
        self._plane: DataPlane | None = None
        self._gre: socket.socket | None = None
        self._uplink: str | None = None
        self._setting_up: asyncio.Task[None] | None = None
        self._failure = ""
        self._cause = Cause.NEGOTIATION
        self._stopping = False
        self._over = asyncio.Event()

    async def run(self) -> None:
        """Connect and stay until ``stop`` is called.

        Raises:
            NetworkError: the system refuses something, or the server cannot be reached.
            SessionLost: the session did not come up, or was lost.
        """
        connecting = asyncio.create_task(self._connect())
        over = asyncio.create_task(self._over.wait())
        try:
            # A name server or a host that does not answer must not keep a user who wants to stop.
            await asyncio.wait({connecting, over}, return_when=asyncio.FIRST_COMPLETED)
            if connecting.done():
                connecting.result()
                await over
        finally:
            for task in (connecting, over):
                task.cancel()
            await asyncio.gather(connecting, over, return_exceptions=True)
            await self._take_back()
        if not self._stopping:
            raise SessionLost(self._failure or "the session ended", self._cause)

    def stop(self, reason: str = "the user asked for it") -> None:
        """End the session in order; ``run`` returns once it is gone."""
        self._stopping = True
        if self._driver is None:
            self._over.set()
        else:
            self._driver.close(reason)

    def give_up(self, reason: str, cause: Cause) -> None:
        """End the session at once, without a word to a server that cannot be reached; ``run`` raises SessionLost."""
        self._fail(reason, cause)
        if self._driver is None:
            self._over.set()
        else:
            self._driver.abort(reason)

    @property
    def local(self) -> IPv4Address | None:
        """Our own address on the way to the server, once there is a connection."""
        # A connection that was reset at once never had one.
        return getattr(self._driver, "local", None)

    @property
    def session(self) -> Session | None:
        """The session, to read its counters; None while there is none."""
        sessions = [] if self._driver is None else list(self._driver.endpoint.sessions.values())
        return sessions[0] if sessions else None

    @property
    def flow(self) -> Flow | None:
        """Its place in the data plane, likewise."""
        flows = [] if self._driver is None else list(self._driver.flows.values())
        return flows[0] if flows else None

    async def _resolve(self) -> IPv4Address:
        server, known = self.config.server, self._known
        if known is None:
            return await resolve(server)
        try:
            return await asyncio.wait_for(resolve(server), RESOLVE_PATIENCE)
        except (NetworkError, TimeoutError) as error:
            self.fell_back = True
            log.warning("%s; trying %s, its last one", str(error) or f"no answer about the name {server}", known)
            return known

    @property
    def interface(self) -> str:
        """Name of the TUN, empty while there is none."""
        return self.system.interface

    async def _connect(self) -> None:
        self.server = server = await self._resolve()
        await self.system.open(server, self.config.port)
        ways = await self.system.ways(server)
        for way, after in zip(ways, [*ways[1:], None], strict=True):
            try:
                await self.system.hold(server, way)
                await self._connect_by(server, way)
            except NetworkError as error:
                self._close_sockets()
                self.system.failed(way)
                if after is None:
                    raise
                log.warning("by %s: %s; trying %s", way, error, after)
            else:
                self._uplink = way
                break
        if self._driver is not None:
            self._driver.connect()

    async def _connect_by(self, server: IPv4Address, uplink: str | None) -> None:
        # GRE first: until a raw socket is open, the kernel answers GRE with "protocol unreachable".
        self._gre = open_gre_socket()
        self.system.bind(self._gre, uplink)
        link = self.config.endpoint.link
        loop = asyncio.get_running_loop()
        self._plane = plane = DataPlane(loop, self._gre, largest_mtu=max(link.mtu, link.mru, LARGEST_MTU))
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio sets TCP_NODELAY on it
        try:
            tcp.setblocking(False)
            self.system.bind(tcp, uplink)
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await loop.sock_connect(tcp, (str(server), self.config.port))
                _, self._driver = await loop.create_connection(
                    lambda: Driver(plane, self, self._make_endpoint), sock=tcp
                )
        except TimeoutError:
            tcp.close()
            raise NetworkError(
                f"no answer from {server} port {self.config.port} within {CONNECT_TIMEOUT:.0f} s: "
                "is the address right, and is the port open in the firewalls between?",
                cause=Cause.TIMED_OUT,
            ) from None
        except OSError as error:
            tcp.close()
            sentence = _connect_failed(server, self.config.port, error)
            raise NetworkError(sentence, cause=_CAUSES.get(error.errno or 0)) from error
        except BaseException:
            tcp.close()
            raise

    def _make_endpoint(self, now: float) -> Endpoint:
        return Endpoint(
            Role.CLIENT,
            self.config.endpoint,
            random=os.urandom,
            call_ids=CallIdAllocator(os.urandom),
            now=now,
            secret=self._secret,
        )

    # What the driver reports.

    def connection_made(self, driver: Driver) -> None:
        """TCP is up."""

    def handle_event(self, driver: Driver, event: EndpointEvent) -> None:
        """Act on what happened on the connection."""
        match event:
            case ConnectionStarted():
                vendor = printable(event.vendor_name)
                log.info("connected to %s%s", driver.peer, f", a '{vendor}'" if vendor else "")
            case CallRefused():
                self._fail(f"the server refused the call: {event.reason}", event.why)
            case SessionEvent(event=Authenticated(method=method)):
                log.info("authenticated with %s", method.value if method else "nothing: the server asked for no proof")
            case SessionEvent(event=NetworkUp() as network):
                self.network = network
                previous = self._setting_up
                self._setting_up = asyncio.get_running_loop().create_task(
                    self._set_up(driver, event, network, previous)
                )
            case SessionEvent(event=NetworkDown(reason=reason)):
                log.info("down: %s", reason)
                self._bury(driver, event.call_id)
            case SessionEnded(reason=reason, session=session, cause=cause):
                self._session_over(session, reason, cause)
                self.figures = counters_of(session, driver.flows.get(event.call_id))
                refused = describe_refusals(self.figures)
                if refused:
                    log.info("refused: %s", refused)
            case ConnectionClosed(reason=reason, why=cause):
                self._fail(reason, cause)

    def connection_closed(self, driver: Driver) -> None:
        """TCP is gone."""
        self._fail("the server closed the connection at once", Cause.LOST)
        self._over.set()

    def _fail(self, reason: str, cause: Cause) -> None:
        if not self._failure:
            self._failure, self._cause = reason, cause

    def _bury(self, driver: Driver, call_id: int) -> None:
        """Do not go through the motions with a server that is dead: LCP alone would wait six seconds for its answer."""
        session = driver.endpoint.sessions.get(call_id)
        closing = None if session is None else session.link.closing
        if closing is not None and closing.cause is Cause.PEER_DEAD:
            # Not from within the event.
            asyncio.get_running_loop().call_soon(driver.abort, closing.reason)

    def _session_over(self, session: Session, reason: str, cause: Cause) -> None:
        if self._keeper is not None:
            self._keeper.stop()
        if self._up_since is None:
            self.system.failed(self._uplink)
        else:
            self.lasted = asyncio.get_running_loop().time() - self._up_since
        counted = session.tunnel.counters()
        silent = not counted["received"] and not counted["acks_received"] and counted["sent"] >= SILENT_PACKETS
        if silent and cause is not Cause.ASKED:
            reason, cause = f"{counted['sent']} GRE packets sent, none came back", Cause.GRE_BLOCKED
        self._fail(reason, cause)

    def _time_is_up(self, reason: str) -> None:
        self._fail(reason, Cause.TIME_IS_UP if reason == TIME_IS_UP else Cause.IDLE)
        if self._driver is not None:
            self._driver.close(reason)

    async def _set_up(
        self, driver: Driver, event: SessionEvent, network: NetworkUp, previous: asyncio.Task[None] | None
    ) -> None:
        if previous is not None:
            await previous
        try:
            tun = await self.system.configure(driver.peer, network, uplink=self._uplink)
            flow = driver.flows.get(event.call_id)
            if flow is None:
                return
            # It is open already where the link was negotiated anew.
            flow.close_tun()
            waited = [] if self._waiting is None else self._waiting.take(network.local)
            flow.open_tun(tun.fd)
            for packet in waited:
                driver.send_packet(event.call_id, packet)
        except (PptpError, OSError) as error:
            self._fail(str(error), Cause.SYSTEM)
            driver.close("the client cannot make its network interface")
            return
        log.info("up: %s", describe_network(network, tun.name))
        if self._keeper is None:
            self._up_since = asyncio.get_running_loop().time()
            self._keeper = TimeKeeper(self.config.limits, flow.session, end=self._time_is_up, challenge=_nothing)
        self.connected.set()
        if self._on_up is not None:
            self._on_up()

    async def _take_back(self) -> None:
        if self._driver is not None:
            self._driver.abort("the client is over")
            for flow in self._driver.flows.values():
                flow.close_tun()
        self._close_sockets()
        if self._setting_up is not None:
            self._setting_up.cancel()
            await asyncio.gather(self._setting_up, return_exceptions=True)
        # Behind whatever the edge is doing still: cancelling does not reach into a thread.
        if not self._outlived:
            await self.system.close(told=self._stopping)

    def _close_sockets(self) -> None:
        if self._plane is not None:
            self._plane.close()
        if self._gre is not None:
            self._gre.close()
        self._plane = self._gre = None


async def resolve(host: str) -> IPv4Address:
    """Look up a server's address.

    Raises:
        NetworkError: it has none, or nobody can be asked.
    """
    # In a thread of its own that nobody waits for: asyncio's executor would have the program stay until the resolver
    # gives up.
    answer: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
    threading.Thread(target=_look_up, args=(host, answer), daemon=True).start()
    try:
        found = await answer
    except OSError as error:
        raise NetworkError(f"no address found for the server {host}: {error.strerror}", cause=Cause.NAME) from error
    return IPv4Address(found[0][4][0])


def _nothing() -> None:
    """A client challenges nobody."""


def _look_up(host: str, answer: asyncio.Future[list[Any]]) -> None:
    found: list[Any] = []
    failure: OSError | None = None
    try:
        found = socket.getaddrinfo(host, None, family=socket.AF_INET, type=socket.SOCK_STREAM)
    except OSError as error:
        failure = error

    def deliver() -> None:
        if not answer.done():
            if failure is None:
                answer.set_result(found)
            else:
                answer.set_exception(failure)

    # The loop is closed where nobody waited.
    with contextlib.suppress(RuntimeError):
        answer.get_loop().call_soon_threadsafe(deliver)


_CAUSES = {
    errno.ECONNREFUSED: Cause.REFUSED,
    errno.EHOSTUNREACH: Cause.UNREACHABLE,
    errno.ENETUNREACH: Cause.UNREACHABLE,
    errno.EADDRNOTAVAIL: Cause.UNREACHABLE,
    errno.ENETDOWN: Cause.UNREACHABLE,
    errno.ETIMEDOUT: Cause.TIMED_OUT,
    errno.ECONNRESET: Cause.LOST,
}


def _connect_failed(server: IPv4Address, port: int, error: OSError) -> str:
    if error.errno == errno.ECONNREFUSED:
        return f"{server} refuses connections to port {port}: no PPTP server runs there"
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return f"there is no way to {server}: check the address and the routes"
    return f"cannot connect to {server} port {port}: {os.strerror(error.errno or 0)}"


__all__ = ["CLOSE_GRACE", "Client", "ClientConfig", "SessionLost", "resolve"]
