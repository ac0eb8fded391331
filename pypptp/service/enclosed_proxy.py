"""A SOCKS proxy whose way out is the tunnel: ``client --socks``."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pypptp.aio.socks import SocksServer
from pypptp.net.enclosure import Enclosure


@asynccontextmanager
async def serving_socks(listen: str | None, enclosure: Enclosure | None) -> AsyncIterator[None]:
    """Serve while entered, or do nothing where there is nowhere to listen.

    Args:
        listen: ``address:port``, or None.
        enclosure: where the tunnel leads; while there is none, clients are told that the network is unreachable.

    Raises:
        NetworkError: it cannot listen there.
    """
    if listen is None or enclosure is None:
        yield
        return

    def open_inside(kind: int) -> socket.socket:
        return enclosure.run(lambda: socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK))

    async def open_socket(kind: int) -> socket.socket:
        return await asyncio.to_thread(open_inside, kind)

    host, _, port = listen.rpartition(":")
    async with SocksServer(host, int(port), open_socket=open_socket, name_servers=lambda: enclosure.name_servers):
        yield
