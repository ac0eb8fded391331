"""The server: accepts control connections, decides who gets in, and gives every session an address and a TUN."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from typing import Any, TypeVar

from pypptp.aio.admission import NO_CONNECTION_LIMITS, Admission, ConnectionLimits, Porter, Refusal
from pypptp.aio.dataplane import LARGEST_MTU, DataPlane
from pypptp.aio.driver import CLOSE_GRACE, Driver
from pypptp.aio.figures import ServerFigures, counters_of, figures_of, server_figures
from pypptp.aio.passage import Passage, PassageConfig
from pypptp.aio.rates import Buckets
from pypptp.aio.register import SessionEnd, SessionEntry, Watcher
from pypptp.aio.time_limits import NO_LIMITS, TimeKeeper, TimeLimits
from pypptp.aio.words import describe_encryption, describe_network, describe_refusals, describe_traffic
from pypptp.auth.account import Account
from pypptp.auth.authority import Authority
from pypptp.auth.leases import LeaseRefused, LeaseRequest, Leases
from pypptp.auth.pace import Pace
from pypptp.auth.secret_cache import SecretCache
from pypptp.control import CallIdAllocator, ConnectionClosed, ConnectionStarted, printable
from pypptp.endpoint import Endpoint, EndpointConfig, EndpointEvent, SessionEnded, SessionEvent, SessionStarted
from pypptp.errors import NetworkError, PptpError
from pypptp.net.edge import NetworkEdge, Tun
from pypptp.net.raw_gre import OpenGre, open_gre_socket
from pypptp.ppp.events import AddressWanted, Authenticated, LinkClosed, NetworkDown, NetworkUp, Refused, SecretWanted
from pypptp.roles import Role

log = logging.getLogger("pypptp.server")

BACKLOG = 128
CLOSING_THREADS = 16
FIGURES_PER_TURN = 32
NO_LOOK_UP = "the server cannot look up its users"
NO_INTERFACE = "the server cannot make a network interface"
NO_POOL = "the server cannot reach its addresses"
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
        nbns: WINS servers to tell the clients, two at most.
        limits: how long sessions may last.
        ifname: name or pattern of the TUN devices, None for ppp0, ppp1, ...
        connections: how many control connections there may be.
        passage: what may pass between the clients and the networks behind the server.
    """

    endpoint: EndpointConfig
    local: IPv4Address
    listen: IPv4Address
    port: int = 1723
    dns: tuple[IPv4Address, ...] = ()
    nbns: tuple[IPv4Address, ...] = ()
    limits: TimeLimits = NO_LIMITS
    ifname: str | None = None
    connections: ConnectionLimits = NO_CONNECTION_LIMITS
    passage: PassageConfig = field(default_factory=PassageConfig)


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
        holder: the user who holds it in the pool.
        tun: its TUN device.
        network: what was agreed.
        keeper: holds it to its time limits.
        buckets: hold it to its user's rate.
        questions: how often it was asked for proof.
        ended: whether the call is over.
        setting_up: held while its TUN is made or taken away, so that the one waits for the other.
    """

    driver: Driver
    call_id: int
    since: float
    name: str = ""
    account: Account | None = None
    address: IPv4Address | None = None
    holder: str = ""
    tun: Tun | None = None
    network: NetworkUp | None = None
    keeper: TimeKeeper | None = None
    buckets: Buckets | None = None
    questions: int = 0
    ended: bool = False
    setting_up: asyncio.Lock = field(default_factory=asyncio.Lock)


class Server:
    """A PPTP server on one address.

    Args:
        config: the settings.
        authority: who may log in.
        leases: the addresses to hand out.
        edge: the system's network.
        call_ids: those this server may use, where other processes have the rest.
        watcher: is told of the sessions that come and go.
        porter: decides which connections may come in, where other processes have some too.
    """

    def __init__(
        self,
        config: ServerConfig,
        *,
        authority: Authority,
        leases: Leases,
        edge: NetworkEdge,
        call_ids: CallIdAllocator | None = None,
        watcher: Watcher | None = None,
        porter: Porter | None = None,
    ) -> None:
        self._passage = Passage(config.passage, edge=edge, on_edge=self._on_edge, local=config.local)
        self.config = replace(config, endpoint=self._passage.guard(config.endpoint, config.port))
        self.clients: dict[int, Client] = {}
        self._authority = authority
        self._leases = leases
        self._secrets = SecretCache()
        self._pace = Pace()
        self._edge = edge
        self._call_ids = CallIdAllocator(os.urandom) if call_ids is None else call_ids
        self._watcher = watcher
        self._porter: Porter = Admission(config.connections, self.end_connection) if porter is None else porter
        self._accepted = 0
        self._up_of: Counter[Driver] = Counter()
        self._entries: dict[int, SessionEntry] = {}
        self._drivers: set[Driver] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        # One thread, so that what is done to the system keeps its order; and never the loop's: closing a TUN takes
        # the kernel 20 ms.
        self._edge_thread = ThreadPoolExecutor(1, "network-edge")
        self._gre: socket.socket | None = None
        self._plane: DataPlane | None = None
        self._listener: asyncio.Server | None = None
        self._idle = asyncio.Event()
        self._drained: asyncio.Event | None = None

    @property
    def sessions(self) -> list[tuple[int, SessionEntry]]:
        """Who is connected: (0 for this process, the session), the longest connected first."""
        return sorted(((0, entry) for entry in self._entries.values()), key=lambda numbered: numbered[1].since)

    async def start(self, listener: socket.socket | None = None, *, open_gre: OpenGre | None = None) -> None:
        """Open the GRE socket, then listen.

        Args:
            listener: a socket that listens already; it becomes the server's to close.
            open_gre: opens the raw GRE socket, where this process may not.

        Raises:
            NetworkError: the system refuses a socket; the sentence says which and what to do.
        """
        try:
            # GRE first: until a raw socket is open, the kernel answers GRE with "protocol unreachable".
            plane = self.open((open_gre or open_gre_socket)(local_of(self.config)))
            if listener is None:
                listener = open_listener(self.config)
            self._listener = await asyncio.get_running_loop().create_server(
                lambda: self._make_driver(plane), sock=listener, backlog=BACKLOG
            )
        except BaseException:
            if listener is not None:
                listener.close()
            self._close_gre()
            raise

    def open(self, gre: socket.socket) -> DataPlane:
        """Serve a GRE socket, which becomes the server's to close; ``start`` does it for one of its own."""
        link = self.config.endpoint.link
        self._gre = gre
        self._plane = DataPlane(asyncio.get_running_loop(), gre, largest_mtu=max(link.mtu, link.mru, LARGEST_MTU))
        return self._plane

    async def adopt(self, connection: socket.socket, number: int) -> None:
        """Serve a control connection that somebody else has accepted; it becomes the server's to close.

        Args:
            connection: its socket.
            number: what they know it by.
        """
        plane = self._plane
        if plane is None:
            connection.close()
            return
        await asyncio.get_running_loop().connect_accepted_socket(lambda: self._make_driver(plane, number), connection)

    def end_connection(self, number: int, reason: str) -> None:
        """End a control connection and all its sessions at once; one that has ended meanwhile is no error."""
        for driver in self._drivers:
            if driver.number == number:
                asyncio.get_running_loop().call_soon(driver.abort, reason)
                return

    @property
    def processes(self) -> list[tuple[int, int]]:
        """The number of this process, and how many connections it has."""
        return [(os.getpid(), len(self._drivers))]

    async def figures(self) -> ServerFigures:
        """Return what is counted of each session that is up, and of the data plane, as it is now."""
        found = []
        for number, call_id in enumerate(list(self._entries)):
            client = self.clients.get(call_id)
            session = None if client is None else client.driver.endpoint.sessions.get(call_id)
            if client is not None and session is not None:
                found.append(figures_of(session, client.driver.flows.get(call_id)))
            if number % FIGURES_PER_TURN == FIGURES_PER_TURN - 1:
                await asyncio.sleep(0)
        return server_figures(found, [] if self._plane is None else [self._plane.counters()])

    async def drain(self) -> None:
        """Take no new connections and no new calls, and return when the last session has ended."""
        self._stop_listening()
        if self._drained is None:
            self._drained = asyncio.Event()
        for driver in self._drivers:
            driver.endpoint.refuse_calls = True
        self._wake()
        await self._drained.wait()

    def disconnect(self, call_id: int, reason: str) -> bool:
        """End one session in order. Returns whether there is one that is up; one that is still coming up ends too."""
        client = self.clients.get(call_id)
        if client is None:
            return False
        now = asyncio.get_running_loop().time()
        client.driver.endpoint.close_session(call_id, reason, now)
        client.driver.settle(now)
        if not client.ended:
            # A peer that is gone acknowledges nothing, and somebody may wait for what the session holds.
            asyncio.get_running_loop().call_later(CLOSE_GRACE, self._end_hard, client, reason)
        return client.network is not None or call_id in self._entries

    def _end_hard(self, client: Client, reason: str) -> None:
        if not client.ended:
            now = asyncio.get_running_loop().time()
            client.driver.endpoint.abort_session(client.call_id, reason, now)
            client.driver.settle(now)

    async def stop(self, reason: str = "the server is shutting down", grace: float = CLOSE_GRACE) -> None:
        """Stop listening, end every session in order, and take its TUN away; what is not done in time ends hard."""
        self._stop_listening()
        # All the TUNs at once: the kernel takes 20 ms for each, but most of that is waiting.
        one_by_one, self._edge_thread = self._edge_thread, ThreadPoolExecutor(CLOSING_THREADS, "network-edge")
        for driver in list(self._drivers):
            driver.close(reason, grace)
        self._wake()
        try:
            await asyncio.wait_for(self._idle.wait(), grace + 1.0)
        except TimeoutError:
            if self._drivers:
                log.warning("%d connections did not end in time", len(self._drivers))
        finally:
            # For the impatient too, who cancel: whoever undoes the edge must find its thread at rest.
            for driver in list(self._drivers):
                driver.abort(reason)
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._close_gre()
            for threads in (one_by_one, self._edge_thread):
                await asyncio.get_running_loop().run_in_executor(None, threads.shutdown)

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _close_gre(self) -> None:
        if self._plane is not None:
            refused = describe_refusals(self._plane.counters())
            if refused:
                log.info("GRE refused for no session of ours: %s", refused)
            self._plane.close()
            self._plane = None
        if self._gre is not None:
            self._gre.close()
            self._gre = None

    def _make_driver(self, plane: DataPlane, number: int | None = None) -> Driver:
        driver = Driver(plane, self, self._make_endpoint)
        self._accepted += 1
        driver.number = self._accepted if number is None else number
        return driver

    def _make_endpoint(self, now: float) -> Endpoint:
        return Endpoint(Role.SERVER, self.config.endpoint, random=os.urandom, call_ids=self._call_ids, now=now)

    def _wake(self) -> None:
        if self._drained is not None and not self.clients and not self._tasks:
            self._drained.set()
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
        if self._passage.reached_at(driver.local, asyncio.get_running_loop().time()):
            self._spawn(self._passage.learn())
        driver.endpoint.refuse_calls = self._drained is not None
        now = asyncio.get_running_loop().time()
        refusal = self._porter.came(driver.number, driver.peer, now)
        if refusal is Refusal.SILENT:
            asyncio.get_running_loop().call_soon(driver.abort, "refused")
        elif refusal is not None:
            driver.endpoint.control.refuse_start(*refusal.codes)
        elif self._pace.exhausted(driver.peer, now):
            driver.endpoint.control.refuse_start()
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
                self._porter.called(driver.number)
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
        self._porter.left(driver.number)
        if self._watcher is not None:
            self._watcher.connection_closed()
        self._wake()

    def _handle_link_event(self, client: Client, event: object) -> None:
        match event:
            case SecretWanted():
                client.name = printable(event.name.encode("utf-8", "surrogateescape"), whole=True)
                client.questions += 1
                self._spawn(self._look_up(client, event.name, client.questions))
            case Refused():
                now = asyncio.get_running_loop().time()
                for key in _guessers(client):
                    self._pace.failed(key, now)
                log.warning(
                    "%s: user '%s' refused: wrong name or %s proof", client.driver.peer, event.name, event.method
                )
            case Authenticated():
                log.info(
                    "%s: user '%s' authenticated with %s", client.driver.peer, client.name, event.method or "nothing"
                )
            case AddressWanted():
                self._spawn(self._assign(client))
            case NetworkUp():
                client.network = event
                self._keep_time(client)
                self._spawn(self._open_tun(client, event))
            case NetworkDown():
                client.network = None
                log.info("%s: user '%s' down: %s", client.driver.peer, client.name, event.reason)
            case LinkClosed():
                pass

    async def _look_up(self, client: Client, name: str, question: int) -> None:
        try:
            account = await self._authority.account(name, self.config.endpoint.link.name)
        except Exception as error:
            # Whatever an authority has behind it, its trouble is this one session's and not the server's.
            words = " ".join(str(error).split()) or type(error).__name__
            self._give_up(client, f"cannot look up user '{client.name}': {words}", NO_LOOK_UP)
            return
        await self._hold_back(client)
        if client.ended or client.questions != question:
            # The peer has started over meanwhile, maybe as somebody else: this answer is for a question nobody asks.
            return
        client.account = account
        secret = None
        if account is not None:
            secret = self._secrets.secret(account)
        now = asyncio.get_running_loop().time()
        # Whoever has an address is in: asked for proof again, it is not one too many.
        objection = account.objection if account is not None and client.address is None else ""
        client.driver.endpoint.provide_secret(client.call_id, secret, now, objection)
        client.driver.settle(now)

    async def _hold_back(self, client: Client) -> None:
        """Let who has guessed wrong too often wait, before the proof is looked at: right and wrong take as long."""
        now = asyncio.get_running_loop().time()
        delay = max(self._pace.delay(key, now) for key in _guessers(client))
        if delay:
            await asyncio.sleep(delay)

    async def _assign(self, client: Client) -> None:
        if client.address is None:
            request = _request(client)
            try:
                address = await self._leases.lease(request)
            except LeaseRefused as refusal:
                self._refuse(client, str(refusal))
                return
            except PptpError as error:
                self._give_up(client, str(error), NO_POOL)
                return
            self._hold(client, address, request.user)
        if client.ended or client.address is None:
            return
        now = asyncio.get_running_loop().time()
        dns, nbns = self.config.dns, self.config.nbns
        client.driver.endpoint.assign_address(
            client.call_id, self.config.local, client.address, now, dns=dns, nbns=nbns
        )
        client.driver.settle(now)

    def _refuse(self, client: Client, reason: str) -> None:
        """End the session of a user who has logged in; the peer reads the reason in the LCP Terminate-Request."""
        log.warning("%s: user '%s' refused: %s", client.driver.peer, client.name, reason)
        if not client.ended:
            now = asyncio.get_running_loop().time()
            client.driver.endpoint.close_session(client.call_id, reason, now)
            client.driver.settle(now)

    def _hold(self, client: Client, address: IPv4Address, user: str) -> None:
        if client.ended or client.address is not None:
            # The call is over, or it asked twice and has one by now.
            self._leases.give_back(address, user)
        else:
            client.address, client.holder = address, user

    async def _open_tun(self, client: Client, network: NetworkUp) -> None:
        edge, ifname = self._edge, self.config.ifname
        try:
            async with client.setting_up:
                if client.ended:
                    return
                tun = client.tun
                if tun is None:
                    tun = client.tun = await self._on_edge(lambda: edge.open_tun(ifname, mtu=network.mtu))
                user = "" if client.account is None else client.account.identity
                await self._passage.configure(tun, network, user)
                flow = client.driver.flows.get(client.call_id)
                if flow is None:
                    return  # it ended meanwhile
                # It is open already where the link was negotiated anew.
                flow.close_tun()
                client.buckets = self._passage.limit(flow, user, asyncio.get_running_loop().time())
                flow.open_tun(tun.fd)
        except (PptpError, OSError) as error:
            self._give_up(client, str(error), NO_INTERFACE)
            return
        log.info("%s: user '%s' up: %s", client.driver.peer, client.name, describe_network(network, tun.name))
        self._enter(client, network, tun)

    def _enter(self, client: Client, network: NetworkUp, tun: Tun) -> None:
        if client.call_id not in self._entries:
            self._up_of[client.driver] += 1
            self._porter.settled(client.driver.number)
        entry = self._entries[client.call_id] = SessionEntry(
            call_id=client.call_id,
            user=client.name,
            peer=client.driver.peer,
            local=network.local,
            address=network.peer,
            interface=tun.name,
            since=client.since,
            method=network.method.value if network.method else "",
            encryption=describe_encryption(network.encryption),
            mtu=network.mtu,
            dns=self.config.dns,
        )
        if self._watcher is not None:
            self._watcher.session_up(entry)

    def _keep_time(self, client: Client) -> None:
        """Hold a session to its limits from the moment its network is up, as pppd does."""
        session = client.driver.endpoint.sessions.get(client.call_id)
        if session is None or client.keeper is not None or self.config.limits == NO_LIMITS:
            return

        def end(reason: str) -> None:
            now = asyncio.get_running_loop().time()
            client.driver.endpoint.close_session(client.call_id, reason, now)
            client.driver.settle(now)

        def challenge() -> None:
            now = asyncio.get_running_loop().time()
            client.driver.endpoint.rechallenge(client.call_id, now)
            client.driver.settle(now)

        client.keeper = TimeKeeper(self.config.limits, session, end=end, challenge=challenge)

    def _give_up(self, client: Client, trouble: str, reason: str) -> None:
        """End a session for the server's own trouble: the log says what it is, the client only that there is some."""
        log.error("%s: %s", client.driver.peer, trouble)
        if not client.ended:
            now = asyncio.get_running_loop().time()
            client.driver.endpoint.close_session(client.call_id, reason, now)
            client.driver.settle(now)

    def _end(self, event: SessionEnded) -> None:
        client = self.clients.pop(event.call_id, None)
        if client is None:
            return
        client.ended = True
        if client.keeper is not None:
            client.keeper.stop()
        seconds = asyncio.get_running_loop().time() - client.since
        session = event.session
        traffic = describe_traffic(session.counters, seconds)
        flow = client.driver.flows.get(event.call_id)
        refused = describe_refusals(counters_of(session, flow))
        traffic += f"; refused: {refused}" if refused else ""
        who = f"user '{client.name}'" if client.name else "a call"
        log.info("%s: %s ended: %s; %s", client.driver.peer, who, event.reason, traffic)
        if flow is not None:
            flow.close_tun()
        entry = self._entries.pop(client.call_id, None)
        if entry is not None:
            self._up_of[client.driver] -= 1
            if not self._up_of[client.driver]:
                del self._up_of[client.driver]
                self._porter.unsettled(client.driver.number, asyncio.get_running_loop().time())
        if entry is not None and self._watcher is not None:
            counters = session.counters
            self._watcher.session_down(
                SessionEnd(
                    call_id=client.call_id,
                    reason=event.reason,
                    seconds=seconds,
                    packets_in=counters.packets_in,
                    octets_in=counters.octets_in,
                    packets_out=counters.packets_out,
                    octets_out=counters.octets_out,
                )
            )
        self._spawn(self._take_back(client))

    async def _take_back(self, client: Client) -> None:
        # The address goes back only when the interface that carries it is gone; a sticky client would get it again
        # while the kernel still has it.
        async with client.setting_up:
            await self._close_tun(client)
        if client.address is not None:
            self._leases.give_back(client.address, client.holder)
            client.address = None

    async def _close_tun(self, client: Client) -> None:
        tun, client.tun = client.tun, None
        if tun is not None:
            for error in await self._on_edge(lambda: self._edge.undo_for(tun)):
                log.warning("%s", error)


def local_of(config: ServerConfig) -> str | None:
    """Return the address to bind the GRE socket to, None for any."""
    return None if config.listen.is_unspecified else str(config.listen)


def open_listener(config: ServerConfig) -> socket.socket:
    """Open the socket that listens for control connections.

    Raises:
        NetworkError: the system refuses it; the sentence says what to do.
    """
    host, port = str(config.listen), config.port
    try:
        listener = socket.create_server((host, port), backlog=BACKLOG)
    except OSError as error:
        raise NetworkError(_listen_failed(host, port, error)) from error
    listener.setblocking(False)
    return listener


def _request(client: Client) -> LeaseRequest:
    account = client.account
    if account is None:
        return LeaseRequest(user="", call_id=client.call_id)
    return LeaseRequest(user=account.identity, rule=account.addresses, pool=account.pool, call_id=client.call_id)


def _guessers(client: Client) -> tuple[IPv4Address, str]:
    """Who is slowed when a proof is wrong: the address it came from, and the user it was about."""
    return client.driver.peer, client.name


def _listen_failed(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use: stop the other PPTP server (pptpd?) or choose another --port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine: choose another --listen"
    if error.errno == errno.EACCES:
        return f"not allowed to listen on port {port}: run as root or give the process CAP_NET_BIND_SERVICE"
    return f"cannot listen on {host} port {port}: {os.strerror(error.errno or 0)}"
