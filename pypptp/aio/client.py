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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any, TypeVar

from pypptp.aio.dataplane import LARGEST_MTU, DataPlane
from pypptp.aio.driver import CLOSE_GRACE, Driver
from pypptp.aio.words import describe_network, describe_refusals
from pypptp.control import CallIdAllocator, CallRefused, ConnectionClosed, ConnectionStarted, printable
from pypptp.endpoint import Endpoint, EndpointConfig, EndpointEvent, SessionEnded, SessionEvent
from pypptp.errors import NetworkError, PptpError
from pypptp.net.edge import NetworkEdge, Tun
from pypptp.net.raw_gre import open_gre_socket
from pypptp.ppp.auth import Secret
from pypptp.ppp.events import Authenticated, NetworkDown, NetworkUp
from pypptp.roles import Role

log = logging.getLogger("pypptp.client")

CONNECT_TIMEOUT = 15.0
"""Seconds to wait for TCP."""
T = TypeVar("T")


class SessionLost(PptpError):
    """The session ended without being asked to, or never came up; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """What a client needs beside those it works with.

    Attributes:
        endpoint: the settings of the connection.
        server: host name or address.
        port: the TCP port.
        ifname: name or pattern of the TUN device, None for the next free ppp.
        default_route: send everything through the tunnel.
        routes: networks to reach through the tunnel.
        bypass: networks that go the way the server itself is reached.
    """

    endpoint: EndpointConfig
    server: str
    port: int = 1723
    ifname: str | None = None
    default_route: bool = False
    routes: tuple[IPv4Network, ...] = ()
    bypass: tuple[IPv4Network, ...] = ()


class Client:
    """A PPTP client.

    Args:
        config: the settings.
        secret: the user's own.
        edge: the system's network.

    Attributes:
        connected: set once packets can pass.
        network: what was agreed, once it was.
        interface: name of the TUN, once there is one.
    """

    def __init__(self, config: ClientConfig, *, secret: Secret, edge: NetworkEdge) -> None:
        self.config = config
        self.connected = asyncio.Event()
        self.network: NetworkUp | None = None
        self.interface = ""
        self._secret = secret
        self._edge = edge
        self._edge_thread = ThreadPoolExecutor(1, "network-edge")
        self._driver: Driver | None = None
        self._plane: DataPlane | None = None
        self._gre: socket.socket | None = None
        self._tun: Tun | None = None
        self._setting_up: asyncio.Task[None] | None = None
        self._failure = ""
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
            raise SessionLost(self._failure or "the session ended")

    def stop(self, reason: str = "the user asked for it") -> None:
        """End the session in order; ``run`` returns once it is gone."""
        self._stopping = True
        if self._driver is None:
            self._over.set()
        else:
            self._driver.close(reason)

    async def _resolve(self) -> IPv4Address:
        # In a thread of its own that nobody waits for: asyncio's executor would have the program stay until the
        # resolver gives up.
        answer: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        threading.Thread(target=_look_up, args=(self.config.server, answer), daemon=True).start()
        try:
            found = await answer
        except OSError as error:
            raise NetworkError(f"no address found for the server {self.config.server}: {error.strerror}") from error
        return IPv4Address(found[0][4][0])

    async def _connect(self) -> None:
        server = await self._resolve()
        # GRE first: until a raw socket is open, the kernel answers GRE with "protocol unreachable".
        self._gre = open_gre_socket()
        link = self.config.endpoint.link
        loop = asyncio.get_running_loop()
        self._plane = plane = DataPlane(loop, self._gre, largest_mtu=max(link.mtu, link.mru, LARGEST_MTU))
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                _, self._driver = await loop.create_connection(
                    lambda: Driver(plane, self, self._make_endpoint), str(server), self.config.port
                )
        except TimeoutError:
            raise NetworkError(
                f"no answer from {server} port {self.config.port} within {CONNECT_TIMEOUT:.0f} s: "
                "is the address right, and is the port open in the firewalls between?"
            ) from None
        except OSError as error:
            raise NetworkError(_connect_failed(server, self.config.port, error)) from error
        self._driver.connect()

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
                self._failure = f"the server refused the call: {event.reason}"
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
            case SessionEnded(reason=reason, session=session):
                self._failure = self._failure or reason
                flow = driver.flows.get(event.call_id)
                refused = describe_refusals(
                    asdict(session.counters), session.tunnel.counters(), {} if flow is None else flow.counters()
                )
                if refused:
                    log.info("refused: %s", refused)
            case ConnectionClosed(reason=reason):
                self._failure = self._failure or reason

    def connection_closed(self, driver: Driver) -> None:
        """TCP is gone."""
        self._failure = self._failure or "the server closed the connection at once"
        self._over.set()

    async def _on_edge(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._edge_thread, work)

    async def _set_up(
        self, driver: Driver, event: SessionEvent, network: NetworkUp, previous: asyncio.Task[None] | None
    ) -> None:
        if previous is not None:
            await previous
        try:
            tun = await self._on_edge(lambda: self._make_interface(driver.peer, network))
            flow = driver.flows.get(event.call_id)
            if flow is None:
                return
            # It is open already where the link was negotiated anew.
            flow.close_tun()
            flow.open_tun(tun.fd)
        except (PptpError, OSError) as error:
            self._failure = str(error)
            driver.close("the client cannot make its network interface")
            return
        log.info("up: %s", describe_network(network, tun.name))
        self.connected.set()

    def _make_interface(self, server: IPv4Address, network: NetworkUp) -> Tun:
        """Runs in the edge's thread: the TUN first, then routes, the server's own before any that could cover it."""
        edge, config = self._edge, self.config
        first = self._tun is None
        if self._tun is None:
            self._tun = edge.open_tun(config.ifname, mtu=network.mtu)
            self.interface = self._tun.name
        tun = self._tun
        # Some servers use their public address as the inner one, too. The host route that comes with the TUN would then
        # lead the tunnel into itself; the kernel puts it behind one that is there before.
        covered = config.default_route or server == network.peer or any(server in route for route in config.routes)
        if first and (covered or config.bypass):
            way = edge.pin_route(server, session=tun) if covered else edge.route_to(server)
            for bypassed in config.bypass:
                edge.add_route(bypassed, via=way, session=tun)
        edge.configure(tun, local=network.local, peer=network.peer, mtu=network.mtu)
        if first:
            for route in config.routes:
                edge.add_route(route, via=tun)
            if config.default_route:
                edge.add_default_route(tun)
        return tun

    async def _take_back(self) -> None:
        if self._driver is not None:
            self._driver.abort("the client is over")
            for flow in self._driver.flows.values():
                flow.close_tun()
        if self._plane is not None:
            self._plane.close()
        if self._gre is not None:
            self._gre.close()
        if self._setting_up is not None:
            self._setting_up.cancel()
            await asyncio.gather(self._setting_up, return_exceptions=True)
        # In the edge's thread, behind whatever it is doing still: cancelling does not reach into a thread.
        for error in await self._on_edge(self._undo):
            log.warning("%s", error)
        self._edge_thread.shutdown(wait=False)

    def _undo(self) -> list[str]:
        return [] if self._tun is None else self._edge.undo_for(self._tun)


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


def _connect_failed(server: IPv4Address, port: int, error: OSError) -> str:
    if error.errno == errno.ECONNREFUSED:
        return f"{server} refuses connections to port {port}: no PPTP server runs there"
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return f"there is no way to {server}: check the address and the routes"
    return f"cannot connect to {server} port {port}: {os.strerror(error.errno or 0)}"


__all__ = ["CLOSE_GRACE", "Client", "ClientConfig", "SessionLost"]
