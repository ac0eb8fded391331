from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address

from pypptp.aio.socks.association import Association
from pypptp.aio.socks.messages import build_datagram
from pypptp.aio.socks.names import NameNotFound

HERE = IPv4Address("127.0.0.1")


async def look_up(host: IPv4Address | str) -> IPv4Address:
    if host == "host":
        return HERE
    raise NameNotFound(str(host))


def udp(address: str = "127.0.0.1") -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    opened.bind((address, 0))
    return opened


def named(name: bytes, port: int, content: bytes) -> bytes:
    return b"\0\0\0\3" + bytes([len(name)]) + name + port.to_bytes(2, "big") + content


def test_datagrams_go_and_come_back() -> None:
    async def act() -> None:
        loop = asyncio.get_running_loop()
        outgoing = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        with udp() as target, udp() as client, udp() as intruder, udp("127.0.0.2") as stranger:
            port = target.getsockname()[1]
            async with Association("127.0.0.1", "127.0.0.1", outgoing, look_up) as association:
                place = ("127.0.0.1", association.port)
                # From another address, broken, and for a name nobody knows: none goes out.
                stranger.sendto(build_datagram(HERE, port, b"stranger"), place)
                client.sendto(b"\0\0\1" + build_datagram(HERE, port, b"fragment")[3:], place)
                client.sendto(named(b"none", port, b"lost"), place)
                client.sendto(named(b"host", port, b"by name"), place)
                data, sender = await loop.sock_recvfrom(target, 100)
                assert data == b"by name"
                # The first port that spoke is the client's.
                intruder.sendto(build_datagram(HERE, port, b"intruder"), place)
                client.sendto(build_datagram(HERE, port, b"by address"), place)
                assert await loop.sock_recv(target, 100) == b"by address"
                target.sendto(b"answer", sender)
                assert await loop.sock_recv(client, 100) == build_datagram(HERE, port, b"answer")
            await asyncio.sleep(0)  # asyncio closes it one turn later
            assert outgoing.fileno() == -1

    asyncio.run(asyncio.wait_for(act(), 10))
