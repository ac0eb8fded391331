"""The proxy: listens on the machine, and connects through the tunnel.

Everything is bounded: clients at once, the time to make a request, to connect, names looked up at once.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import IPv4Address
from types import TracebackType
from typing import Final

from pypptp.aio.socks.association import Association
from pypptp.aio.socks.messages import (
    NO_AUTHENTICATION,
    NONE_ACCEPTABLE,
    VERSION,
    Command,
    Destination,
    Reply,
    SocksError,
    build_reply,
    read_greeting,
    read_request,
)
from pypptp.aio.socks.names import NameNotFound, OpenSocket, Resolver
from pypptp.errors import NetworkError

log = logging.getLogger("pypptp.socks")

MOST_CLIENTS: Final = 512
REQUEST_SECONDS = 10.0
"""What a client has to make its request."""
CONNECT_SECONDS = 30.0
_CHUNK: Final = 1 << 16

_REPLIES: Final = {
    errno.ECONNREFUSED: Reply.CONNECTION_REFUSED,
    errno.ENETUNREACH: Reply.NETWORK_UNREACHABLE,
    errno.EHOSTUNREACH: Reply.HOST_UNREACHABLE,
    errno.ENETDOWN: Reply.NETWORK_UNREACHABLE,
    errno.ETIMEDOUT: Reply.HOST_UNREACHABLE,
    errno.EACCES: Reply.NOT_ALLOWED,
    errno.EPERM: Reply.NOT_ALLOWED,
}


class SocksServer:
    """A SOCKS5 proxy without authentication: whoever reaches the port uses the tunnel.

    Args:
        host: the address to listen on.
        port: the port, 0 for any.
        open_socket: opens the sockets that lead into the tunnel.
        name_servers: whom to ask for names, through it.

    Attributes:
        port: the port it listens on, once it does.
    """

    def __init__(
        self, host: str, port: int, *, open_socket: OpenSocket, name_servers: Callable[[], Sequence[IPv4Address]]
    ) -> None:
        self.port = port
        self._host = host
        self._open_socket = open_socket
        self._resolver = Resolver(name_servers, open_socket)
        self._clients: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> SocksServer:
        """Begin to listen.

        Raises:
            NetworkError: the port is in use, or the address is not one of this machine's.
        """
        try:
            self._server = await asyncio.start_server(self._accept, self._host, self.port)
        except OSError as error:
            reason = "it is in use" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
            raise NetworkError(f"cannot listen on {self._host} port {self.port} for SOCKS: {reason}") from error
        self.port = self._server.sockets[0].getsockname()[1]
        log.info("SOCKS proxy on %s port %d", self._host, self.port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and end what is going on."""
        if self._server is not None:
            self._server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) >= MOST_CLIENTS:
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._follow(reader, writer)
        except SocksError as error:
            log.debug("a client is refused: %s", error)
            if error.reply is not None:
                writer.write(build_reply(error.reply))
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            pass  # it left, or was too slow
        finally:
            await _close(writer)

    async def _follow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(REQUEST_SECONDS):
            if not await read_greeting(reader):
                writer.write(bytes((VERSION, NONE_ACCEPTABLE)))
                return
            writer.write(bytes((VERSION, NO_AUTHENTICATION)))
            request = await read_request(reader)
        if request.command is Command.CONNECT:
            await self._connect(request.destination, reader, writer)
        else:
            await self._associate(reader, writer)

    async def _connect(
        self, destination: Destination, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                address = await self._address_of(destination.host)
                there, back = await self._open_connection(address, destination.port)
        except NameNotFound as error:
            raise SocksError(str(error), Reply.HOST_UNREACHABLE) from None
        except TimeoutError:
            raise SocksError("no answer", Reply.HOST_UNREACHABLE) from None
        except OSError as error:
            raise SocksError(str(error), _REPLIES.get(error.errno or 0, Reply.GENERAL_FAILURE)) from None
        try:
            ours = back.get_extra_info("sockname")
            writer.write(build_reply(Reply.SUCCEEDED, IPv4Address(ours[0]), ours[1]))
            await _relay_both(reader, writer, there, back)
        finally:
            await _close(back)

    async def _address_of(self, host: IPv4Address | str) -> IPv4Address:
        return host if isinstance(host, IPv4Address) else await self._resolver.look_up(host)

    async def _open_connection(
        self, address: IPv4Address, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        outgoing = await self._open_socket(socket.SOCK_STREAM)
        try:
            await asyncio.get_running_loop().sock_connect(outgoing, (str(address), port))
            return await asyncio.open_connection(sock=outgoing)
        except BaseException:
            outgoing.close()
            raise

    async def _associate(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relay datagrams for as long as the client's TCP connection stands (section 6)."""
        here, client = writer.get_extra_info("sockname")[0], writer.get_extra_info("peername")[0]
        try:
            outgoing = await self._open_socket(socket.SOCK_DGRAM)
        except OSError as error:
            raise SocksError(str(error), Reply.GENERAL_FAILURE) from None
        async with Association(here, client, outgoing, self._address_of) as association:
            writer.write(build_reply(Reply.SUCCEEDED, IPv4Address(here), association.port))
            while await reader.read(_CHUNK):
                pass


async def _close(writer: asyncio.StreamWriter) -> None:
    """Close once everything is out; a peer that does not read is waited for a while."""
    try:
        writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(REQUEST_SECONDS):
                await writer.wait_closed()
    finally:
        writer.transport.abort()


async def _relay_both(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    there: asyncio.StreamReader,
    back: asyncio.StreamWriter,
) -> None:
    """Carry octets both ways until both have ended; where one breaks, the other ends too."""
    ways = [asyncio.create_task(_relay(reader, back)), asyncio.create_task(_relay(there, writer))]
    try:
        await asyncio.gather(*ways)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


__all__ = ["SocksServer"]
