"""The server: accepts control connections, decides who gets in, and gives every session an address and a TUN."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, TypeVar

from pypptp.aio.dataplane import DataPlane
from pypptp.aio.driver import CLOSE_GRACE, Driver
from pypptp.aio.words import describe_network, describe_traffic
from pypptp.auth.account import Account
from pypptp.auth.address_pool import AddressPool
from pypptp.auth.authority import Authority
from pypptp.control import CallIdAllocator, ConnectionClosed, ConnectionStarted, printable
from pypptp.endpoint import Endpoint, EndpointConfig, EndpointEvent, SessionEnded, SessionEvent, SessionStarted
from pypptp.errors import NetworkError
from pypptp.net.edge import NetworkEdge, Tun
from pypptp.net.raw_gre import open_gre_socket
from pypptp.ppp.auth import Secret
from pypptp.ppp.events import AddressWanted, Authenticated, LinkClosed, NetworkDown, NetworkUp, SecretWanted
from pypptp.roles import Role

log = logging.getLogger("pypptp.server")

BACKLOG = 128
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """What a server needs beside those it works with.

    Attributes:
        endpoint: the settings of each connection.
        local: the server's inner address.
        listen: the address to listen on.
        port: the TCP port.
        dns: name servers to tell the clients, two at most.
        ifname: name or pattern of the TUN devices, None for ppp0, ppp1, ...
    """

    endpoint: EndpointConfig
    local: IPv4Address
    listen: IPv4Address
    port: int = 1723
    dns: tuple[IPv4Address, ...] = ()
    ifname: str | None = None


@dataclass(slots=True)
class Client:
    """One call as the server sees it.

    Attributes:
        driver: its connection.
        call_id: our call id.
        since: when it was connected, by the loop's clock.
        name: the name it gave, escaped, for the log.
        account: who it is, once it is known.
        address: the inner address it holds.
        tun: its TUN device.
        network: what was agreed.
        questions: how often it was asked for proof.
        ended: whether the call is over.
    """

    driver: Driver
    call_id: int
    since: float
    name: str = ""
    account: Account | None = None
    address: IPv4Address | None = None
    tun: Tun | None = None
    network: NetworkUp | None = None
    questions: int = 0
    ended: bool = False


class Server:
    """A PPTP server on one address.

    Args:
        config: the settings.
        authority: who may log in.
        pool: the addresses to hand out.
        edge: the system's network.
    """

    def __init__(self, config: ServerConfig, *, authority: Authority, pool: AddressPool, edge: NetworkEdge) -> None:
        self.config = config
        self.clients: dict[int, Client] = {}
        self._authority = authority
        self._pool = pool
        self._edge = edge
        self._call_ids = CallIdAllocator(os.urandom)
        self._drivers: set[Driver] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        # One thread, so that what is done to the system keeps its order; and never the loop's: closing a TUN takes
        # the kernel 20 ms.
        self._edge_thread = ThreadPoolExecutor(1, "network-edge")
        self._plane: DataPlane | None = None
        self._listener: asyncio.Server | None = None
        self._idle = asyncio.Event()

    async def start(self) -> None:
        """Open the GRE socket, then listen.

        Raises:
            NetworkError: the system refuses a socket; the sentence says which and what to do.
        """
        loop = asyncio.get_running_loop()
        # GRE first: until a raw socket is open, the kernel answers GRE with "protocol unreachable".
        gre = open_gre_socket(None if self.config.listen.is_unspecified else str(self.config.listen))
        self._plane = DataPlane(loop, gre)
        plane = self._plane
        host, port = str(self.config.listen), self.config.port
        try:
            self._listener = await loop.create_server(
                lambda: Driver(plane, self, self._make_endpoint),
                host,
                port,
                family=socket.AF_INET,
                backlog=BACKLOG,
                reuse_address=True,
            )
        except OSError as error:
            plane.close()
            self._plane = None
            raise NetworkError(_listen_failed(host, port, error)) from error

    async def stop(self, reason: str = "the server is shutting down", grace: float = CLOSE_GRACE) -> None:
        """Stop listening, end every session in order, and take its TUN away; what is not done in time ends hard."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for driver in list(self._drivers):
            driver.close(reason, grace)
        self._wake()
        try:
            await asyncio.wait_for(self._idle.wait(), grace + 1.0)
        except TimeoutError:
            log.warning("%d connections did not end in time", len(self._drivers))
        for task in list(self._tasks):
            task.cancel()
        if self._plane is not None:
            self._plane.close()
            self._plane = None
        await asyncio.get_running_loop().run_in_executor(None, self._edge_thread.shutdown)

    def _make_endpoint(self, now: float) -> Endpoint:
        return Endpoint(Role.SERVER, self.config.endpoint, random=os.urandom, call_ids=self._call_ids, now=now)

    def _wake(self) -> None:
        if not self._drivers and not self.clients and not self._tasks:
            self._idle.set()
        else:
            self._idle.clear()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("internal error", exc_info=task.exception())
        self._wake()

    async def _on_edge(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._edge_thread, work)

    # What the drivers report.

    def connection_made(self, driver: Driver) -> None:
        """A client has connected."""
        self._drivers.add(driver)
        self._wake()

    def handle_event(self, driver: Driver, event: EndpointEvent) -> None:
        """Act on what happened on one connection."""
        match event:
            case ConnectionStarted():
                vendor = printable(event.vendor_name)
                log.info(
                    "%s: control connection from %s", driver.peer, f"'{vendor}'" if vendor else "an unnamed vendor"
                )
            case SessionStarted(call_id=call_id):
                now = asyncio.get_running_loop().time()
                self.clients[call_id] = Client(driver, call_id, now)
            case SessionEvent(call_id=call_id, event=inner):
                client = self.clients.get(call_id)
                if client is not None:
                    self._handle_link_event(client, inner)
            case SessionEnded():
                self._end(event)
            case ConnectionClosed():
                log.info("%s: control connection closed: %s", driver.peer, event.reason)

    def connection_closed(self, driver: Driver) -> None:
        """TCP of a connection is gone."""
        self._drivers.discard(driver)
        self._wake()

    def _handle_link_event(self, client: Client, event: object) -> None:
        match event:
            case SecretWanted():
                client.name = printable(event.name.encode("utf-8", "surrogateescape"))
                client.questions += 1
                self._spawn(self._look_up(client, event.name, client.questions))
            case Authenticated():
                log.info(
                    "%s: user '%s' authenticated with %s", client.driver.peer, client.name, event.method or "nothing"
                )
            case AddressWanted():
                self._assign(client)
            case NetworkUp():
                client.network = event
                self._spawn(self._open_tun(client, event))
            case NetworkDown():
                client.network = None
                log.info("%s: user '%s' down: %s", client.driver.peer, client.name, event.reason)
            case LinkClosed():
                pass

    async def _look_up(self, client: Client, name: str, question: int) -> None:
        account = await self._authority.account(name, self.config.endpoint.link.name)
        if client.ended or client.questions != question:
            # The peer has started over meanwhile, maybe as somebody else: this answer is for a question nobody asks.
            return
        client.account = account
        secret = None
        if account is not None:
            secret = Secret(password=account.password, nt_hash=account.nt_hash)
        now = asyncio.get_running_loop().time()
        client.driver.endpoint.provide_secret(client.call_id, secret, now)
        client.driver.settle(now)

    def _assign(self, client: Client) -> None:
        now = asyncio.get_running_loop().time()
        endpoint = client.driver.endpoint
        user = client.account.user if client.account else ""
        if client.address is None:
            if client.account is not None:
                client.address = self._pool.allocate(user, rule=client.account)
            else:
                client.address = self._pool.allocate(user)
        if client.address is None:
            log.warning("%s: no address left for user '%s'", client.driver.peer, client.name)
            endpoint.close_session(client.call_id, "no address left in the pool", now)
            return
        endpoint.assign_address(client.call_id, self.config.local, client.address, now, dns=self.config.dns)

    async def _open_tun(self, client: Client, network: NetworkUp) -> None:
        if client.tun is None:
            try:
                client.tun = await self._on_edge(lambda: self._edge.open_tun(self.config.ifname, mtu=network.mtu))
            except NetworkError as error:
                self._give_up(client, error)
                return
        tun = client.tun
        if client.ended:
            await self._close_tun(client)
            return
        try:
            await self._on_edge(
                lambda: self._edge.configure(tun, local=network.local, peer=network.peer, mtu=network.mtu)
            )
        except NetworkError as error:
            self._give_up(client, error)
            return
        flow = client.driver.flows.get(client.call_id)
        if flow is None or client.ended:
            await self._close_tun(client)
            return
        flow.open_tun(tun.fd)
        log.info("%s: user '%s' up: %s", client.driver.peer, client.name, describe_network(network, tun.name))

    def _give_up(self, client: Client, error: NetworkError) -> None:
        log.error("%s: %s", client.driver.peer, error)
        now = asyncio.get_running_loop().time()
        client.driver.endpoint.close_session(client.call_id, "the server cannot make a network interface", now)
        client.driver.settle(now)

    def _end(self, event: SessionEnded) -> None:
        client = self.clients.pop(event.call_id, None)
        if client is None:
            return
        client.ended = True
        seconds = asyncio.get_running_loop().time() - client.since
        traffic = describe_traffic(event.session.counters, seconds)
        who = f"user '{client.name}'" if client.name else "a call"
        log.info("%s: %s ended: %s; %s", client.driver.peer, who, event.reason, traffic)
        flow = client.driver.flows.get(event.call_id)
        if flow is not None:
            flow.close_tun()
        self._spawn(self._take_back(client))

    async def _take_back(self, client: Client) -> None:
        # The address goes back only when the interface that carries it is gone; a sticky client would get it again
        # while the kernel still has it.
        await self._close_tun(client)
        if client.address is not None:
            self._pool.release(client.address, client.account.user if client.account else "")
            client.address = None

    async def _close_tun(self, client: Client) -> None:
        tun, client.tun = client.tun, None
        if tun is not None:
            for error in await self._on_edge(lambda: self._edge.undo_for(tun)):
                log.warning("%s", error)


def _listen_failed(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use: stop the other PPTP server (pptpd?) or choose another --port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine: choose another --listen"
    if error.errno == errno.EACCES:
        return f"not allowed to listen on port {port}: run as root or give the process CAP_NET_BIND_SERVICE"
    return f"cannot listen on {host} port {port}: {os.strerror(error.errno or 0)}"
