from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address

import pytest

from pypptp.aio.socks import server as module
from pypptp.aio.socks.server import SocksServer
from pypptp.errors import NetworkError

HERE = "127.0.0.1"
NOWHERE = IPv4Address("127.0.0.99")


async def open_socket(kind: int) -> socket.socket:
    return socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)


def proxy(port: int = 0) -> SocksServer:
    return SocksServer(HERE, port, open_socket=open_socket, name_servers=list)


def request_for(port: int, command: int = 1) -> bytes:
    return bytes((5, command, 0, 1, 127, 0, 0, 1)) + port.to_bytes(2, "big")


async def ask(port: int, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
    reader, writer = await asyncio.open_connection(HERE, port)
    writer.write(b"\x05\x01\x00" + request)
    assert await reader.readexactly(2) == b"\x05\x00"
    return reader, writer, await reader.readexactly(10)


def run(work: Callable[[SocksServer], Awaitable[None]]) -> None:
    async def act() -> None:
        async with proxy() as server:
            await asyncio.wait_for(work(server), 10)

    asyncio.run(act())


def test_both_halves_of_a_connection_end_by_themselves_and_nothing_is_lost() -> None:
    data = bytes(range(256)) * 8192

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        writer.close()

    async def act(server: SocksServer) -> None:
        async with await asyncio.start_server(serve, HERE, 0) as target:
            reader, writer, _ = await ask(server.port, request_for(target.sockets[0].getsockname()[1]))
            writer.write(data)
            writer.write_eof()
            received = b""
            while piece := await reader.read(1 << 16):
                received += piece
            assert received == data
            writer.close()
            await writer.wait_closed()

    run(act)


def test_what_a_slow_target_has_not_read_yet_is_not_lost() -> None:
    data = bytes(1 << 19)

    async def open_narrow(kind: int) -> socket.socket:
        opened = await open_socket(kind)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return opened

    async def act() -> None:
        received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write_eof()
            found = b""
            while piece := await reader.read(4096):
                found += piece
                await asyncio.sleep(0.002)
            received.set_result(found)
            writer.close()

        listening = socket.create_server((HERE, 0))
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with (
            SocksServer(HERE, 0, open_socket=open_narrow, name_servers=list) as server,
            await asyncio.start_server(serve, sock=listening, limit=1 << 10) as target,
        ):
            _, writer, _ = await ask(server.port, request_for(target.sockets[0].getsockname()[1]))
            writer.write(data)
            writer.write_eof()
            assert len(await received) == len(data)
            writer.close()
            await writer.wait_closed()

    asyncio.run(asyncio.wait_for(act(), 20))


@pytest.mark.parametrize(
    ("code", "reply"),
    [
        (errno.ECONNREFUSED, 5),
        (errno.ENETUNREACH, 3),
        (errno.EHOSTUNREACH, 4),
        (errno.EPERM, 2),
        (errno.EMFILE, 1),
    ],
)
def test_what_does_not_work_has_its_reply(code: int, reply: int) -> None:
    async def refuse(kind: int) -> socket.socket:
        raise OSError(code, "no")

    async def act() -> None:
        async with SocksServer(HERE, 0, open_socket=refuse, name_servers=list) as server:
            reader, writer, said = await ask(server.port, request_for(80))
            assert said[1] == reply
            assert await reader.read() == b""
            writer.close()

    asyncio.run(act())


def test_a_name_without_name_servers() -> None:
    async def act(server: SocksServer) -> None:
        _, writer, said = await ask(server.port, b"\x05\x01\x00\x03\x04host\x00\x50")
        assert said[1] == 4
        writer.close()

    run(act)


def test_a_client_that_says_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REQUEST_SECONDS", 0.1)

    async def act(server: SocksServer) -> None:
        reader, writer = await asyncio.open_connection(HERE, server.port)
        assert await reader.read() == b""
        writer.close()

    run(act)


def test_too_many_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CLIENTS", 2)

    async def act(server: SocksServer) -> None:
        kept = [await asyncio.open_connection(HERE, server.port) for _ in range(2)]
        for reader, writer in kept:
            writer.write(b"\x05\x01\x00")
            assert await reader.readexactly(2) == b"\x05\x00"
        reader, writer = await asyncio.open_connection(HERE, server.port)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        for _, each in [*kept, (reader, writer)]:
            each.close()

    run(act)


def test_the_end_of_the_proxy_ends_its_connections() -> None:
    async def act() -> None:
        ended = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()
            ended.set()

        async with await asyncio.start_server(serve, HERE, 0) as target:
            async with proxy() as server:
                reader, writer, _ = await ask(server.port, request_for(target.sockets[0].getsockname()[1]))
            assert await reader.read() == b""
            await ended.wait()
            writer.close()

    asyncio.run(asyncio.wait_for(act(), 10))


def test_the_port_is_taken() -> None:
    async def act() -> None:
        async with proxy() as server:
            with pytest.raises(NetworkError, match=rf"cannot listen on 127\.0\.0\.1 port {server.port} .* in use"):
                await proxy(server.port).__aenter__()

    asyncio.run(act())
