"""One UDP association (RFC 1928 section 7): datagrams of one client, out and back."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address
from types import TracebackType
from typing import Final

from pypptp.aio.socks.messages import Destination, build_datagram, parse_datagram
from pypptp.aio.socks.names import NameNotFound

MOST_LOOKED_UP: Final = 16
"""Datagrams at once whose destination's name is being looked up; others are dropped, as UDP may."""

LookUp = Callable[[IPv4Address | str], Awaitable[IPv4Address]]


class Association:
    """Relays while it is entered.

    Args:
        here: the address of ours the client is connected to, where it sends its datagrams.
        client: its own address; datagrams from elsewhere are dropped.
        outgoing: a UDP socket that leads into the tunnel; closed at the end.
        look_up: finds the address of a name.

    Attributes:
        port: where the client sends its datagrams to.
    """

    port: int

    def __init__(self, here: str, client: str, outgoing: socket.socket, look_up: LookUp) -> None:
        self._here, self._client_host = here, client
        self._outgoing = outgoing
        self._look_up = look_up
        self._client: tuple[str, int] | None = None
        self._looking: set[asyncio.Task[None]] = set()
        self._inside: asyncio.DatagramTransport | None = None
        self._outside: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Association:
        """Open the client's side."""
        loop = asyncio.get_running_loop()
        try:
            self._inside, _ = await loop.create_datagram_endpoint(
                lambda: _Receiver(self._from_client), local_addr=(self._here, 0)
            )
            # Bound, or asyncio takes it for one that cannot receive yet.
            self._outgoing.bind(("0.0.0.0", 0))
            self._outside, _ = await loop.create_datagram_endpoint(
                lambda: _Receiver(self._from_outside), sock=self._outgoing
            )
        except BaseException:
            self._close()
            raise
        self.port = self._inside.get_extra_info("sockname")[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close both sides."""
        for task in self._looking:
            task.cancel()
        await asyncio.gather(*self._looking, return_exceptions=True)
        self._close()

    def _close(self) -> None:
        for transport in (self._inside, self._outside):
            if transport is not None:
                transport.abort()
        if self._outside is None:
            self._outgoing.close()

    def _from_client(self, data: bytes, sender: tuple[str, int]) -> None:
        # The first port that speaks is the client's; nobody else on that machine is let in behind it.
        if sender[0] != self._client_host or (self._client is not None and sender != self._client):
            return
        parsed = parse_datagram(data)
        if parsed is None:
            return
        self._client = sender
        destination, content = parsed
        if isinstance(destination.host, IPv4Address):
            self._send(destination.host, destination.port, content)
        elif len(self._looking) < MOST_LOOKED_UP:
            task = asyncio.get_running_loop().create_task(self._send_to_name(destination, content))
            self._looking.add(task)
            task.add_done_callback(self._looking.discard)

    async def _send_to_name(self, destination: Destination, content: bytes) -> None:
        try:
            address = await self._look_up(destination.host)
        except (NameNotFound, OSError):
            return
        self._send(address, destination.port, content)

    def _send(self, address: IPv4Address, port: int, content: bytes) -> None:
        if self._outside is not None and port:
            self._outside.sendto(content, (str(address), port))

    def _from_outside(self, data: bytes, sender: tuple[str, int]) -> None:
        if self._inside is not None and self._client is not None:
            self._inside.sendto(build_datagram(IPv4Address(sender[0]), sender[1], data), self._client)


class _Receiver(asyncio.DatagramProtocol):
    """Hands datagrams on; what the network says of those sent (port unreachable) is nothing to end for."""

    def __init__(self, take: Callable[[bytes, tuple[str, int]], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._take(data, addr)

    def error_received(self, exc: Exception) -> None:
        pass


__all__ = ["Association"]
