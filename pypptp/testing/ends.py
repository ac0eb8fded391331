"""A server and a client of this project's as a test runs them: whole, over real sockets, but with no TUN to make.

Behind each end is a host that answers pings. An end lives in a thread and an event loop of its own, so that a test is
written without either. Linux, and root or CAP_NET_RAW, for the raw socket of GRE.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import IPv4Address
from typing import Self

from pypptp.aio.client import Client, ClientConfig
from pypptp.aio.register import SessionEntry
from pypptp.aio.server import Server, ServerConfig, open_listener
from pypptp.auth.address_pool import AddressPool
from pypptp.auth.authority import SecretsAuthority
from pypptp.auth.chap_secrets import parse_chap_secrets
from pypptp.auth.leases import PoolLeases
from pypptp.endpoint import EndpointConfig
from pypptp.net.edge import Tun
from pypptp.net.memory import MemoryEdge, MemoryTun
from pypptp.ppp.auth import Secret
from pypptp.ppp.config import LinkConfig
from pypptp.testing.dialogue import packets
from pypptp.testing.loop_thread import PATIENCE, EndFailed, LoopThread

INNER = IPv4Address("192.168.0.1")
POOL = "192.168.0.2-254"


class AnsweringEdge(MemoryEdge):
    """A network edge in memory, with a host behind each of its TUNs that answers ICMP Echo.

    Attributes:
        replies: numbers of the Echo-Replies that came in, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.replies: list[int] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """Say in which loop the hosts live."""
        self._loop = loop

    def open_tun(self, name: str | None = None, *, mtu: int = 1400) -> Tun:
        """Make a TUN, and put a host behind it."""
        tun = super().open_tun(name, mtu=mtu)
        assert isinstance(tun, MemoryTun)
        if self._loop is not None:
            self._put_host_behind(tun, self._loop)
        return tun

    def _put_host_behind(self, tun: MemoryTun, loop: asyncio.AbstractEventLoop) -> None:
        """Read what the tunnel gets, in ``loop``; this is the edge's own thread, and so is where the TUN is closed.

        The host has a descriptor of its own, which the loop closes itself. Were it closed here, a connection accepted
        at once could get its number, and the loop would take it for the one that it watches already.
        """
        host = tun.kernel.dup()
        host.setblocking(False)
        close = tun.close

        def readable() -> None:
            with suppress(OSError):
                self._answer(tun, host.recv(65_535))

        def let_go() -> None:
            loop.remove_reader(host)
            host.close()

        def close_both() -> None:
            close()
            try:
                loop.call_soon_threadsafe(let_go)
            except RuntimeError:  # the loop is over
                host.close()

        tun.close = close_both  # type: ignore[method-assign]
        loop.call_soon_threadsafe(loop.add_reader, host, readable)

    def _answer(self, tun: MemoryTun, packet: bytes) -> None:
        echo = packets.parse_echo(packet)
        if echo is None:
            return
        if echo.kind == packets.ECHO_REPLY:
            self.replies.append(echo.number)
            return
        reply = packets.echo(packets.ECHO_REPLY, echo.identifier, echo.number, echo.data)
        tun.kernel.send(packets.ipv4(packets.ICMP, echo.destination, echo.source, reply))


class _End(LoopThread):
    """What a server and a client share."""

    def __init__(self) -> None:
        super().__init__()
        self.edge = AnsweringEdge()
        self._pings = 0

    def _begin(self) -> None:
        self.edge.serve(self._loop)
        super()._begin()

    def _ping(self, tun: MemoryTun, source: IPv4Address, destination: IPv4Address, within: float) -> bool:
        self._pings += 1
        number = self._pings
        echo = packets.echo(packets.ECHO_REQUEST, 1, number, b"pypptp")

        async def send() -> None:
            tun.kernel.send(packets.ipv4(packets.ICMP, source, destination, echo))

        self._do(send())
        try:
            return self._await(lambda: number in self.edge.replies or None, "no reply", within)
        except EndFailed:
            return False


class RunningServer(_End):
    """A PPTP server on loopback, from ``with`` to the end of the block.

    Attributes:
        address: where it listens.
        port: its TCP port.
        users: passwords by name.
        edge: what it did to a system that is not there.
    """

    def __init__(
        self,
        users: Mapping[str, str],
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        link: LinkConfig | None = None,
    ) -> None:
        """Describe the server.

        Args:
            users: passwords by name.
            address: where to listen.
            port: its TCP port, 0 for a free one.
            link: what its links may agree to; the usual where left out.
        """
        super().__init__()
        self.address = address
        self.port = port
        self.users = dict(users)
        self._link = link or LinkConfig(name="pptpd")
        self._server: Server | None = None

    def __enter__(self) -> Self:
        self._begin()
        try:
            self._do(self._start())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._end()

    def stop(self) -> None:
        """End every session and listen no more; the end of the block does the same. Twice is no error."""
        server, self._server = self._server, None
        if server is not None:
            self._do(server.stop(grace=1.0))

    async def _start(self) -> None:
        lines = "".join(f"{_quoted(user)} * {_quoted(password)} *\n" for user, password in self.users.items())
        config = ServerConfig(
            endpoint=EndpointConfig(link=self._link, check_source=True),
            local=INNER,
            listen=IPv4Address(self.address),
            port=self.port,
        )
        self._server = Server(
            config,
            authority=SecretsAuthority(parse_chap_secrets(lines.encode())),
            leases=PoolLeases(AddressPool.from_text(POOL, exclude={INNER})),
            edge=self.edge,
        )
        listener = open_listener(config)
        self.port = listener.getsockname()[1]
        await self._server.start(listener)

    @property
    def user(self) -> str:
        """The first user."""
        return next(iter(self.users))

    @property
    def password(self) -> str:
        """The first user's."""
        return self.users[self.user]

    @property
    def sessions(self) -> list[SessionEntry]:
        """Who is connected now."""
        server = self._server
        return [] if server is None else [entry for _, entry in server.sessions]

    def await_session(self, user: str | None = None, within: float = PATIENCE) -> SessionEntry:
        """Wait until somebody, or one user, is connected and packets can pass.

        Raises:
            EndFailed: nobody in time.
        """

        def found() -> SessionEntry | None:
            return next((entry for entry in self.sessions if user in (None, entry.user)), None)

        return self._await(found, "nobody was connected" if user is None else f"{user} was not connected", within)

    def await_no_session(self, within: float = PATIENCE) -> None:
        """Wait until nobody is connected.

        Raises:
            EndFailed: somebody still is.
        """
        self._await(lambda: not self.sessions or None, "somebody was still connected", within)

    def ping(self, session: SessionEntry, within: float = 2.0) -> bool:
        """Send an ICMP Echo to a client's inner address; whether its reply comes."""
        tun = next(tun for tun in self.edge.tuns if tun.name == session.interface)
        return self._ping(tun, INNER, session.address, within)


class RunningClient(_End):
    """A PPTP client, from ``with`` to the end of the block.

    Attributes:
        edge: what it did to a system that is not there.
    """

    def __init__(
        self, address: str, port: int = 1723, *, user: str, password: str, link: LinkConfig | None = None
    ) -> None:
        """Describe the client.

        Args:
            address: the server's.
            port: its TCP port.
            user: whom to log in as.
            password: the user's.
            link: what its link may agree to; the usual where left out.
        """
        super().__init__()
        self._config = ClientConfig(
            endpoint=EndpointConfig(link=link or LinkConfig(name=user)), server=address, port=port
        )
        self._secret = Secret(password=password)
        self._client: Client | None = None
        self._task: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        self._begin()

        async def start() -> None:
            self._client = Client(self._config, secret=self._secret, edge=self.edge)
            self._task = asyncio.create_task(self._client.run())

        self._do(start())
        return self

    def __exit__(self, *_: object) -> None:
        async def stop() -> None:
            if self._client is not None and self._task is not None:
                self._client.stop()
                await asyncio.gather(self._task, return_exceptions=True)

        self._do(stop())
        self._end()

    def await_connected(self, within: float = PATIENCE) -> IPv4Address:
        """Wait until packets can pass; return the inner address.

        Raises:
            EndFailed: not in time, or the session ended first; the text says why.
        """

        def found() -> IPv4Address | None:
            client, task = self._client, self._task
            assert client is not None
            assert task is not None
            if task.done() and not task.cancelled():
                raise EndFailed(f"the client is over: {task.exception() or 'it was stopped'}")
            return client.network.local if client.connected.is_set() and client.network is not None else None

        return self._await(found, "the client was not connected", within)

    def await_end(self, within: float = PATIENCE) -> str:
        """Wait until the session has ended without our asking; return why.

        Raises:
            EndFailed: it has not.
        """

        def found() -> str | None:
            assert self._task is not None
            return str(self._task.exception() or "it was stopped") if self._task.done() else None

        return self._await(found, "the session did not end", within)

    def ping(self, within: float = 2.0) -> bool:
        """Send an ICMP Echo to the server's inner address; whether its reply comes."""
        client = self._client
        if client is None or client.network is None or not self.edge.tuns:
            return False
        return self._ping(self.edge.tuns[-1], client.network.local, client.network.peer, within)


def _quoted(word: str) -> str:
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
