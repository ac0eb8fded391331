"""A bad line between a real client and a real server: TCP and GRE pass through here, and not unharmed.

    client  ──TCP──►  proxy's address  ──TCP──►  server
            ◄─GRE──►                   ◄─GRE──►

Either end takes the proxy for the other, and nothing is changed but what the impairment changes: call ids stay what
they are. TCP is delayed only, as TCP hides the rest; it can be held up, and cut, on request.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from ipaddress import IPv4Address
from typing import Final, Self

from pypptp.control import FramingError, MalformedMessage, MessageBuffer
from pypptp.control.messages import Message, OutgoingCallReply, OutgoingCallRequest, parse_message
from pypptp.errors import NetworkError
from pypptp.net.raw_gre import open_gre_socket
from pypptp.testing.loop_thread import LoopThread
from pypptp.testing.path import Impairment, Path, PathCounters

PORT: Final = 1723
CHUNK: Final = 65_536
CONNECT_PATIENCE: Final = 10.0
_SEQUENCE_PRESENT: Final = 0x10
_BATCH: Final = 256
"""Packets read before others have their turn."""


@dataclass(slots=True)
class ProxyCounters:
    """What passed, and what did not.

    Attributes:
        connections: control connections taken.
        to_server: GRE packets of clients.
        to_client: GRE packets of the server.
        frames_lost: of the GRE packets lost, those with a frame in them.
        strangers: GRE packets of neither, or for a call nobody placed.
        octets: of TCP, both directions.
    """

    connections: int = 0
    to_server: PathCounters = field(default_factory=PathCounters)
    to_client: PathCounters = field(default_factory=PathCounters)
    frames_lost: int = 0
    strangers: int = 0
    octets: int = 0

    def as_json(self) -> dict[str, object]:
        """Return them as one object."""
        return asdict(self)


class Proxy:
    """One bad line. Start it, point the client at ``listen``, stop it.

    Attributes:
        counters: what passed.
        port: the port it listens on, once it does.
    """

    def __init__(
        self,
        listen: IPv4Address,
        server: IPv4Address,
        *,
        port: int = PORT,
        server_port: int = PORT,
        to_server: Impairment,
        to_client: Impairment | None = None,
        seed: int = 0,
    ) -> None:
        """Describe the line.

        Args:
            listen: an address of this machine, not the server's: clients connect there, and GRE goes out from there.
            server: the server.
            port: to listen on; 0 for a free one.
            server_port: the server's.
            to_server: what clients' packets suffer.
            to_client: what the server's suffer; the same where left out.
            seed: of everything that happens to packets.
        """
        self.counters = ProxyCounters()
        self.port = port
        self._listen = listen
        self._server = server
        self._server_port = server_port
        self._to_server = Path(to_server, self.counters.to_server, seed)
        self._to_client = Path(to_client or to_server, self.counters.to_client, seed + 1)
        self._clients: dict[int, IPv4Address] = {}
        """Where the packets for a call id of a client go."""
        self._addresses: dict[IPv4Address, int] = {}
        """Clients that are connected, and how often."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self._gre: socket.socket | None = None
        self._up = asyncio.Event()
        self._up.set()
        self._pending: set[asyncio.TimerHandle] = set()

    async def start(self) -> None:
        """Open the sockets.

        Raises:
            NetworkError: the system refuses one; the sentence says what to do.
        """
        if self._listen == self._server:
            raise NetworkError(f"{self._listen} is the server's own address: let the proxy listen on another")
        self._gre = open_gre_socket(str(self._listen))
        try:
            self._listener = await asyncio.start_server(self._connected, str(self._listen), self.port)
        except OSError as error:
            self._gre.close()
            raise NetworkError(f"cannot listen on {self._listen} port {self.port}: {error.strerror}") from error
        self.port = self._listener.sockets[0].getsockname()[1]
        asyncio.get_running_loop().add_reader(self._gre, self._readable, self._gre)

    async def stop(self) -> None:
        """Close everything; connections are cut. Twice is no error."""
        if self._listener is None or self._gre is None:
            return
        self._listener.close()
        self._listener = None
        asyncio.get_running_loop().remove_reader(self._gre)
        for timer in self._pending:
            timer.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._gre.close()

    async def __aenter__(self) -> Proxy:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def impair(self, to_server: Impairment, to_client: Impairment | None = None) -> None:
        """Make the line better or worse from now on."""
        self._to_server.impairment = to_server
        self._to_client.impairment = to_client or to_server

    def down(self) -> None:
        """Let nothing through: GRE is lost, TCP waits, as on a link that is unplugged."""
        self._up.clear()

    def up(self) -> None:
        """Let it through again."""
        self._up.set()

    def cut(self) -> None:
        """Cut every control connection with a reset, as a middlebox does that has forgotten it."""
        for task in list(self._tasks):
            task.cancel()

    # The control connection.

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        client = IPv4Address(writer.get_extra_info("peername")[0])
        self._addresses[client] = self._addresses.get(client, 0) + 1
        self.counters.connections += 1
        far: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(CONNECT_PATIENCE):
                far_reader, far = await asyncio.open_connection(
                    str(self._server), self._server_port, local_addr=(str(self._listen), 0)
                )
            await self._relay_both(client, reader, writer, far_reader, far)
        except (OSError, TimeoutError):
            pass  # the client sees its connection end, as it would without us
        except asyncio.CancelledError:
            for end in filter(None, (writer, far)):
                end.transport.abort()
        finally:
            self._tasks.discard(task)
            for end in filter(None, (writer, far)):
                end.close()
                with contextlib.suppress(OSError):
                    await end.wait_closed()
            self._forget(client)

    async def _relay_both(
        self,
        client: IPv4Address,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far: asyncio.StreamWriter,
    ) -> None:
        calls = _Calls(lambda call_id: self._clients.__setitem__(call_id, client))
        async with asyncio.TaskGroup() as both:
            both.create_task(self._relay(reader, far, self._to_server, calls.from_client))
            both.create_task(self._relay(far_reader, writer, self._to_client, calls.from_server))

    async def _relay(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: Path, watch: Callable[[bytes], None]
    ) -> None:
        """Hand octets on in their order, each chunk by the path's latency later than it came."""
        loop = asyncio.get_running_loop()
        line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=64)

        async def deliver() -> None:
            while True:
                due, octets = await line.get()
                await asyncio.sleep(max(due - loop.time(), 0.0))
                await self._up.wait()
                if not octets:
                    writer.write_eof()
                    return
                # Before it is on its way, as GRE may follow at once.
                watch(octets)
                self.counters.octets += len(octets)
                writer.write(octets)
                await writer.drain()

        with contextlib.suppress(OSError):
            async with asyncio.TaskGroup() as group:
                group.create_task(deliver())
                while octets := await reader.read(CHUNK):
                    await line.put((loop.time() + path.impairment.latency, octets))
                await line.put((loop.time() + path.impairment.latency, b""))

    def _forget(self, client: IPv4Address) -> None:
        self._addresses[client] -= 1
        if not self._addresses[client]:
            del self._addresses[client]
            self._clients = {call_id: owner for call_id, owner in self._clients.items() if owner != client}

    # GRE.

    def _readable(self, gre: socket.socket) -> None:
        for _ in range(_BATCH):
            try:
                packet, (source, _) = gre.recvfrom(CHUNK)
            except BlockingIOError:
                return
            except OSError:
                continue
            self._forward(IPv4Address(source), packet[(packet[0] & 15) * 4 :])

    def _forward(self, source: IPv4Address, datagram: bytes) -> None:
        if source == self._server:
            destination = self._clients.get(int.from_bytes(datagram[6:8], "big"))
            path = self._to_client
        else:
            destination = self._server if source in self._addresses else None
            path = self._to_server
        if destination is None:
            self.counters.strangers += 1
            return
        if self._up.is_set():
            arrivals = path.take(datagram)
        else:
            arrivals = []
            path.lose()
        if not arrivals and datagram[:1] and datagram[0] & _SEQUENCE_PRESENT:
            self.counters.frames_lost += 1
        for delay, octets in arrivals:
            self._send_later(delay, octets, str(destination))

    def _send_later(self, delay: float, datagram: bytes, destination: str) -> None:
        if delay <= 0:
            self._send(datagram, destination)
            return

        def fire() -> None:
            self._pending.discard(timer)
            self._send(datagram, destination)

        timer = asyncio.get_running_loop().call_later(delay, fire)
        self._pending.add(timer)

    def _send(self, datagram: bytes, destination: str) -> None:
        # What the system has no room for is lost, as on any line.
        if self._gre is not None:
            with contextlib.suppress(OSError):
                self._gre.sendto(datagram, (destination, 0))


class RunningProxy(LoopThread):
    """A bad line in a thread of its own, from ``with`` to the end of the block.

    Attributes:
        address: where clients connect.
        counters: what passed.
    """

    def __init__(
        self,
        server: str,
        server_port: int = PORT,
        *,
        listen: str,
        port: int = PORT,
        to_server: Impairment,
        to_client: Impairment | None = None,
        seed: int = 0,
    ) -> None:
        """Describe the line; see ``Proxy``."""
        super().__init__()
        self.address = listen
        self._proxy = Proxy(
            IPv4Address(listen),
            IPv4Address(server),
            port=port,
            server_port=server_port,
            to_server=to_server,
            to_client=to_client,
            seed=seed,
        )
        self.counters = self._proxy.counters

    def __enter__(self) -> Self:
        self._begin()
        try:
            self._do(self._proxy.start())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._proxy.stop())
        self._end()

    @property
    def port(self) -> int:
        """The TCP port it listens on."""
        return self._proxy.port

    def impair(self, to_server: Impairment, to_client: Impairment | None = None) -> None:
        """Make the line better or worse from now on."""
        self._loop.call_soon_threadsafe(self._proxy.impair, to_server, to_client)

    def down(self) -> None:
        """Let nothing through."""
        self._loop.call_soon_threadsafe(self._proxy.down)

    def up(self) -> None:
        """Let it through again."""
        self._loop.call_soon_threadsafe(self._proxy.up)

    def cut(self) -> None:
        """Cut every control connection."""
        self._loop.call_soon_threadsafe(self._proxy.cut)


class _Calls:
    """Learns from the messages of one control connection which call ids are its client's."""

    def __init__(self, learn: Callable[[int], None]) -> None:
        self._learn = learn
        self._client = MessageBuffer()
        self._server = MessageBuffer()

    def from_client(self, octets: bytes) -> None:
        for message in _messages(self._client, octets):
            if isinstance(message, OutgoingCallRequest):
                self._learn(message.call_id)

    def from_server(self, octets: bytes) -> None:
        for message in _messages(self._server, octets):
            if isinstance(message, OutgoingCallReply):
                self._learn(message.peer_call_id)


def _messages(buffer: MessageBuffer, octets: bytes) -> list[Message]:
    """Cut out what can be read; octets out of step pass all the same, only nothing is learned from them."""
    found: list[Message] = []
    with contextlib.suppress(FramingError):
        buffer.feed(octets)
        while (whole := buffer.next_message()) is not None:
            with contextlib.suppress(MalformedMessage):
                found.append(parse_message(whole))
    return found
