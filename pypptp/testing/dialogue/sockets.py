"""The checks' way to a target over real sockets: TCP and raw GRE (Linux, root)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shlex
import signal
import socket
import struct
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from itertools import count
from typing import Final

from pypptp.net.raw_gre import open_gre_socket
from pypptp.roles import Role
from pypptp.testing.dialogue.network import ControlChannel, GreChannel, ProgramEnd, TargetSilent

LOOPBACK: Final = IPv4Network("127.0.0.0/8")
CHUNK: Final = 65536
_LINGER: Final = struct.Struct("ii")
_SEND_RETRIES: Final = 1000
_BATCH: Final = 256


class TcpChannel:
    """A TCP connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._loop = asyncio.get_running_loop()
        near, far = connection.getsockname(), connection.getpeername()
        self.near = IPv4Address(near[0])
        self.far = IPv4Address(far[0])
        self.ports = (near[1], far[1])

    async def send(self, data: bytes) -> None:
        """Write all octets."""
        try:
            await self._loop.sock_sendall(self._socket, data)
        except OSError as error:
            raise ConnectionError(str(error)) from error

    async def receive(self) -> bytes:
        """Return what came; nothing at the end."""
        try:
            return await self._loop.sock_recv(self._socket, CHUNK)
        except OSError:
            return b""

    def close(self) -> None:
        """End with FIN."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._let_go()

    def abort(self) -> None:
        """End with RST."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER.pack(1, 0))
        self._let_go()

    def _let_go(self) -> None:
        # A descriptor the loop still watches would be watched in the name of whoever gets its number next.
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._loop.remove_writer(self._socket.fileno())
            self._socket.close()


class RawGre:
    """A raw GRE socket of one of our addresses."""

    def __init__(self, near: IPv4Address, far: IPv4Address, receive: Callable[[bytes], None]) -> None:
        self._socket = open_gre_socket(str(near))
        self._loop = asyncio.get_running_loop()
        self._far = far.packed
        self._peer = (str(far), self._socket.getsockname()[1])
        self._receive = receive
        self._loop.add_reader(self._socket.fileno(), self._readable)

    def send(self, datagram: bytes) -> None:
        """Send a packet."""
        for _ in range(_SEND_RETRIES):
            try:
                self._socket.sendto(datagram, self._peer)
            except (BlockingIOError, ConnectionError):
                continue
            except OSError as error:
                # Nothing at the other end listens to GRE, and the kernel says so: no error of ours.
                if error.errno in (errno.ENOPROTOOPT, errno.EPROTO, errno.ENOBUFS):
                    continue
                raise
            return

    def close(self) -> None:
        """Send and receive no more."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()

    def _readable(self) -> None:
        for _ in range(_BATCH):
            try:
                packet = self._socket.recv(CHUNK)
            except OSError:
                return
            if packet[12:16] == self._far:
                self._receive(packet[(packet[0] & 0x0F) * 4 :])


class Addresses:
    """Addresses of our own to send from, each given out once.

    Args:
        target: where the target is: on loopback every check has an address of its own.
    """

    def __init__(self, target: IPv4Address) -> None:
        self.many = target in LOOPBACK
        self._target = target
        self._numbers = count(2)

    def next(self) -> IPv4Address | None:
        """Return an address nobody has used, None for the system's choice."""
        if not self.many:
            return None
        while True:
            number = next(self._numbers)
            address = LOOPBACK.network_address + (number // 250 << 8) + number % 250 + 2
            if address != self._target:
                return address


class ServerNetwork:
    """The way to a server.

    Args:
        address: where it is.
        port: its TCP port.
        addresses: ours, shared by all checks.
        patience: seconds a connection may take.
    """

    target = Role.SERVER

    def __init__(self, address: IPv4Address, port: int, addresses: Addresses, patience: float) -> None:
        self.sources = addresses.many
        self._address = address
        self._port = port
        self._addresses = addresses
        self._patience = patience

    def source(self) -> IPv4Address | None:
        """Return an address nobody has used."""
        return self._addresses.next()

    async def open(self, source: IPv4Address | None) -> ControlChannel:
        """Connect."""
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if source is not None:
                connection.bind((str(source), 0))
            async with asyncio.timeout(max(self._patience, 5.0)):
                await asyncio.get_running_loop().sock_connect(connection, (str(self._address), self._port))
        except (OSError, TimeoutError) as error:
            connection.close()
            reason = getattr(error, "strerror", None) or "no answer"
            raise TargetSilent(f"{self._address} port {self._port}: {reason}") from error
        return TcpChannel(connection)

    def open_gre(
        self, near: IPv4Address, far: IPv4Address, receive: Callable[[bytes], None], *, foreign: bool = False
    ) -> GreChannel:
        """Open a raw socket."""
        return RawGre(near, far, receive)

    async def program_end(self, patience: float) -> ProgramEnd:
        """A server is not ours to end."""
        return ProgramEnd(None, "")

    async def end_program(self) -> None:
        """A server is not ours to end."""

    async def close(self) -> None:
        """Nothing here outlives its check."""


class ClientNetwork:
    """The way from a client, which is started for this check.

    Args:
        listener: a listening TCP socket.
        command: what to start.
        patience: seconds until its connection must be there.
        own_listener: whether the socket is closed with this network.
    """

    target = Role.CLIENT
    sources = False

    def __init__(self, listener: socket.socket, command: str, patience: float, *, own_listener: bool = False) -> None:
        self._listener = listener
        self._own_listener = own_listener
        self._command = shlex.split(command)
        self._patience = patience
        self._process: asyncio.subprocess.Process | None = None
        self._output = bytearray()
        self._reader: asyncio.Task[None] | None = None

    def source(self) -> IPv4Address | None:
        """A client comes to us."""
        return None

    async def open(self, source: IPv4Address | None) -> ControlChannel:
        """Start the client if it does not run, and take its connection."""
        if self._process is None:
            await self._start()
        try:
            async with asyncio.timeout(self._patience):
                connection, _ = await asyncio.get_running_loop().sock_accept(self._listener)
        except TimeoutError:
            raise TargetSilent(f"the client did not connect within {self._patience:g} s") from None
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return TcpChannel(connection)

    def open_gre(
        self, near: IPv4Address, far: IPv4Address, receive: Callable[[bytes], None], *, foreign: bool = False
    ) -> GreChannel:
        """Open a raw socket."""
        return RawGre(near, far, receive)

    async def program_end(self, patience: float) -> ProgramEnd:
        """Wait for the client to end."""
        if self._process is None:
            return ProgramEnd(None, "")
        try:
            async with asyncio.timeout(patience):
                await self._process.wait()
        except TimeoutError:
            pass
        if self._reader is not None and self._process.returncode is not None:
            await asyncio.wait({self._reader}, timeout=1.0)
        return ProgramEnd(self._process.returncode, self._output.decode("utf-8", "replace"))

    async def close(self) -> None:
        """End the client, and stop listening where nobody else does so here."""
        await self.end_program()
        if self._own_listener:
            self._listener.close()

    async def end_program(self) -> None:
        """End the client: SIGTERM first, to everything it has started."""
        process = self._process
        if process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
            if (await self.program_end(5.0)).status is not None:
                break
        if self._reader is not None:
            self._reader.cancel()
        self._process = self._reader = None

    async def _start(self) -> None:
        # A connection that an earlier client had begun is not this one's.
        with contextlib.suppress(OSError):
            while True:
                self._listener.accept()[0].close()
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = asyncio.get_running_loop().create_task(self._collect())

    async def _collect(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while chunk := await self._process.stdout.read(CHUNK):
            self._output += chunk[: max(0, (1 << 20) - len(self._output))]


def listen(address: IPv4Address, port: int) -> socket.socket:
    """Return a listening socket for clients under test.

    Raises:
        OSError: the address or the port cannot be had.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((str(address), port))
        listener.listen(16)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
