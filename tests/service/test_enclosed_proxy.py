from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import TypeVar, cast

from pypptp.net.enclosure import Enclosure
from pypptp.service.enclosed_proxy import serving_socks

T = TypeVar("T")


class Anywhere:
    """In place of an enclosure: opens sockets here."""

    name_servers: tuple[IPv4Address, ...] = ()
    opened = 0

    def run(self, function: Callable[[], T]) -> T:
        self.opened += 1
        return function()


def test_connections_are_opened_inside() -> None:
    place = Anywhere()

    async def act() -> None:
        with socket.create_server(("127.0.0.1", 0)) as target, socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
            unused.close()
            async with serving_socks(f"127.0.0.1:{port}", cast(Enclosure, place)):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                request = b"\x05\x01\x00\x01\x7f\0\0\1" + target.getsockname()[1].to_bytes(2, "big")
                writer.write(b"\x05\x01\x00" + request)
                assert (await reader.readexactly(12))[:4] == b"\x05\x00\x05\x00"
                assert place.opened == 1
                writer.close()

    asyncio.run(asyncio.wait_for(act(), 10))


def test_nothing_to_serve() -> None:
    async def act() -> None:
        async with serving_socks(None, None):
            pass

    asyncio.run(act())
