"""A server as the shell runs it, on sockets anybody may open: TCP on loopback, and UDP in the place of raw GRE.

    Dialler (an Endpoint) -- TCP 127.0.0.1 -> 127.0.0.2 -- Server -- MemoryEdge
                          -- UDP 127.0.0.1 <-> 127.0.0.2, the same port at both ends

Everything between is the real thing: drivers, the data plane, the edge's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from typing import Any

import pytest

from pypptp.aio import client, dataplane, server
from pypptp.aio.admission import NO_CONNECTION_LIMITS, ConnectionLimits
from pypptp.aio.batch_io import BATCH, SocketIo
from pypptp.aio.server import Server, ServerConfig
from pypptp.aio.time_limits import NO_LIMITS, TimeLimits
from pypptp.auth.address_pool import AddressPool
from pypptp.auth.authority import Authority, SecretsAuthority
from pypptp.auth.chap_secrets import parse_chap_secrets
from pypptp.auth.leases import PoolLeases
from pypptp.auth.session_limits import SessionLimits, SessionPolicy
from pypptp.control import ConnectionClosed
from pypptp.endpoint import Endpoint, EndpointConfig, EndpointEvent, SessionEnded, SessionEvent
from pypptp.gre import parse_header
from pypptp.net.memory import MemoryEdge, MemoryTun
from pypptp.ppp.auth import Secret
from pypptp.ppp.config import LinkConfig
from pypptp.ppp.events import NetworkUp
from pypptp.roles import Role
from pypptp.session import Session

from .plane import outer_header

CLIENT = "127.0.0.1"
SERVER = "127.0.0.2"
USER, PASSWORD = "alice", "wonderland"
SECRETS = f"{USER} * {PASSWORD} *\nbob * builder 192.168.0.250\n"
ANY_NUMBER = SessionPolicy()
PATIENCE = 10.0
"""Seconds until a test gives up; on a machine with other things to do even loopback takes its time."""


class GreOverUdp(SocketIo):
    """UDP that looks like a raw socket: the IP header in front of what comes, the peer's port for all that goes."""

    def receive(self) -> int:
        count = 0
        with contextlib.suppress(BlockingIOError):
            while count < BATCH:
                datagram, (source, _) = self._socket.recvfrom(65_535, socket.MSG_DONTWAIT)
                whole = outer_header(IPv4Address(source)) + datagram
                self.received[count * self.slot : count * self.slot + len(whole)] = whole
                self._lengths[count] = len(whole)
                count += 1
        return count


def udp_for_gre(monkeypatch: pytest.MonkeyPatch) -> int:
    """Put UDP in the place of raw GRE for servers and clients; returns the port all of them use."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        trial.bind((SERVER, 0))
        port: int = trial.getsockname()[1]

    def open_socket(local: str | None = None) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        made.bind((local or CLIENT, port))
        return made

    monkeypatch.setattr(server, "open_gre_socket", open_socket)
    monkeypatch.setattr(client, "open_gre_socket", open_socket)
    monkeypatch.setattr(dataplane, "default", lambda: GreOverUdp)
    return port


async def until(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """Wait for a condition, and fail where it does not come."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.005)


class Dialler(asyncio.Protocol):
    """A client without a shell: its endpoint, and what happened on it."""

    def __init__(
        self, port: int, *, user: str = USER, password: str = PASSWORD, octet_by_octet: bool = False, **link: Any
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.endpoint = Endpoint(
            Role.CLIENT,
            EndpointConfig(link=LinkConfig(name=user, **link)),
            random=os.urandom,
            now=self.loop.time(),
            secret=Secret(password=password),
        )
        self.events: list[EndpointEvent] = []
        self.packets: list[bytes] = []
        self.transport: asyncio.Transport
        self._gre_port = port
        self._octet_by_octet = octet_by_octet
        self._ticking: asyncio.Task[None] | None = None
        self.gre: socket.socket | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.endpoint.connect(self.loop.time())
        self._ticking = self.loop.create_task(self._tick())

    def data_received(self, data: bytes) -> None:
        self.endpoint.receive_data(data, self.loop.time())
        self.settle()

    def connection_lost(self, exc: Exception | None) -> None:
        self.endpoint.receive_eof(self.loop.time())
        self.settle()
        if self._ticking is not None:
            self._ticking.cancel()

    def settle(self) -> None:
        now = self.loop.time()
        while (event := self.endpoint.next_event()) is not None:
            self.events.append(event)
        data = self.endpoint.data_to_send()
        if data and not self.transport.is_closing():
            for piece in (data[at : at + 1] for at in range(len(data))) if self._octet_by_octet else (data,):
                self.transport.write(piece)
        for datagram in self.endpoint.datagrams_to_send(now):
            assert self.gre is not None
            self.gre.sendto(datagram, (SERVER, self._gre_port))
        self.packets += self.endpoint.packets_received()

    async def _tick(self) -> None:
        while True:
            deadline = self.endpoint.get_timer()
            if deadline is not None and self.loop.time() >= deadline:
                self.endpoint.handle_timer(self.loop.time())
            self.settle()
            await asyncio.sleep(0.01)

    @property
    def session(self) -> Session:
        (session,) = self.endpoint.sessions.values()
        return session

    @property
    def up(self) -> NetworkUp | None:
        """What was agreed, the last time it was."""
        found = [e.event for e in self.events if isinstance(e, SessionEvent) and isinstance(e.event, NetworkUp)]
        return found[-1] if found else None

    @property
    def ups(self) -> int:
        return sum(isinstance(e, SessionEvent) and isinstance(e.event, NetworkUp) for e in self.events)

    @property
    def end(self) -> str | None:
        """Why its session ended, in its own words."""
        return next((event.reason for event in self.events if isinstance(event, SessionEnded)), None)

    @property
    def closed(self) -> bool:
        return any(isinstance(event, ConnectionClosed) for event in self.events)

    def send(self, packet: bytes) -> None:
        assert self.endpoint.send_packet(packet, self.loop.time())
        self.settle()

    def hang_up(self) -> None:
        self.endpoint.close("the user asked for it", self.loop.time())
        self.settle()


class Site:
    """A running server and those who dial in."""

    def __init__(self, gre_port: int, running: Server, pool: AddressPool, edge: MemoryEdge) -> None:
        self.server = running
        self.pool = pool
        self.edge = edge
        self.gre_port = gre_port
        assert running._listener is not None
        self.port: int = running._listener.sockets[0].getsockname()[1]
        self._gre = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._gre_open = False
        self._diallers: list[Dialler] = []

    async def dial(self, **settings: Any) -> Dialler:
        """Connect, and say what a client says first."""
        loop = asyncio.get_running_loop()
        if not self._gre_open:
            self._gre.bind((CLIENT, self.gre_port))
            loop.add_reader(self._gre.fileno(), self._receive)
            self._gre_open = True
        made = Dialler(self.gre_port, **settings)
        made.gre = self._gre
        self._diallers.append(made)
        await loop.create_connection(lambda: made, SERVER, self.port)
        return made

    async def connected(self, **settings: Any) -> Dialler:
        """Dial, and wait until the server's TUN is there, too."""
        made = await self.dial(**settings)
        await until(lambda: made.up)
        assert made.up is not None
        address = made.up.local
        await until(lambda: any(tun.peer == address for tun in self.edge.tuns))
        return made

    def tun(self, dialler: Dialler) -> MemoryTun:
        """The server's TUN that leads to a dialler."""
        assert dialler.up is not None
        return next(tun for tun in self.edge.tuns if tun.peer == dialler.up.local)

    @property
    def idle(self) -> bool:
        """Whether the server has nothing left of any session."""
        nothing = not self.server.clients and not self.server._tasks
        return nothing and not self.edge.tuns and not self.pool.in_use and not self.edge.changes()

    def _receive(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                datagram = self._gre.recv(65_535)
                header = parse_header(datagram)
                assert header is not None
                for dialler in self._diallers:
                    if header.call_id in dialler.endpoint.control.calls:
                        dialler.endpoint.receive_datagram(datagram, dialler.loop.time())
                        dialler.settle()

    def close(self) -> None:
        if self._gre_open:
            asyncio.get_running_loop().remove_reader(self._gre.fileno())
        self._gre.close()
        for dialler in self._diallers:
            dialler.transport.abort()


@asynccontextmanager
async def site(
    gre_port: int,
    *,
    authority: Authority | None = None,
    edge: MemoryEdge | None = None,
    remote: str = "192.168.0.234-236",
    grace: float = 1.0,
    dns: tuple[IPv4Address, ...] = (),
    nbns: tuple[IPv4Address, ...] = (),
    limits: TimeLimits = NO_LIMITS,
    connections: ConnectionLimits = NO_CONNECTION_LIMITS,
    policy: SessionPolicy = ANY_NUMBER,
    pools: Mapping[str, str] | None = None,
    **link: Any,
) -> AsyncIterator[Site]:
    """A server for one test; nothing of it is left when it has stopped."""
    local = IPv4Address("192.168.0.1")
    pool = AddressPool.from_text(remote, exclude={local}, named=pools)
    edge = edge or MemoryEdge()
    config = ServerConfig(
        endpoint=EndpointConfig(link=LinkConfig(name="pptpd", **link), check_source=True),
        local=local,
        listen=IPv4Address(SERVER),
        port=0,
        dns=dns,
        nbns=nbns,
        limits=limits,
        connections=connections,
    )
    sessions = SessionLimits(policy, authority or secrets_authority(), PoolLeases(pool))
    running = Server(config, authority=sessions, leases=sessions, edge=edge)
    sessions.end_session = running.disconnect
    await running.start()
    made = Site(gre_port, running, pool, edge)
    try:
        yield made
    finally:
        try:
            await running.stop(grace=grace)
        finally:
            made.close()
            await asyncio.sleep(0)
        assert edge.undo() == []
        assert edge.tuns == []


def secrets_authority(text: str = SECRETS) -> SecretsAuthority:
    return SecretsAuthority(parse_chap_secrets(text.encode()))
