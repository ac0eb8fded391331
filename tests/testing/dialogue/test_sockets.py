"""The real sockets, as far as they need no root: TCP on loopback, and whose addresses are whose."""

from __future__ import annotations

import asyncio
import socket
import sys
from ipaddress import IPv4Address

import pytest

from pypptp.testing.dialogue.network import TargetSilent
from pypptp.testing.dialogue.sockets import Addresses, ClientNetwork, ServerNetwork, listen

LOOPBACK = IPv4Address("127.0.0.1")


def test_on_loopback_everybody_has_an_address() -> None:
    addresses = Addresses(IPv4Address("127.0.0.4"))
    given = [addresses.next() for _ in range(1000)]
    assert len(set(given)) == 1000
    assert IPv4Address("127.0.0.4") not in given
    assert all(address is not None and address.is_loopback for address in given)
    assert not any(address is not None and address.packed[3] in (0, 1, 255) for address in given)


def test_elsewhere_nobody_has_a_second_one() -> None:
    addresses = Addresses(IPv4Address("192.168.1.1"))
    assert not addresses.many
    assert addresses.next() is None


def test_a_connection_there_and_back() -> None:
    async def scenario() -> None:
        listener = listen(LOOPBACK, 0)
        port = listener.getsockname()[1]
        network = ServerNetwork(LOOPBACK, port, Addresses(LOOPBACK), 1.0)
        channel = await network.open(IPv4Address("127.0.0.7"))
        connection, source = await asyncio.get_running_loop().sock_accept(listener)
        assert source[0] == "127.0.0.7"
        assert (channel.near, channel.far, channel.ports[1]) == (IPv4Address("127.0.0.7"), LOOPBACK, port)
        await channel.send(b"hello")
        assert await asyncio.get_running_loop().sock_recv(connection, 99) == b"hello"
        connection.close()
        assert await channel.receive() == b""
        channel.close()
        channel.close()
        listener.close()

    asyncio.run(scenario())


def test_rst() -> None:
    async def scenario() -> None:
        listener = listen(LOOPBACK, 0)
        network = ServerNetwork(LOOPBACK, listener.getsockname()[1], Addresses(LOOPBACK), 1.0)
        channel = await network.open(None)
        connection, _ = await asyncio.get_running_loop().sock_accept(listener)
        reader = asyncio.ensure_future(channel.receive())
        await asyncio.sleep(0)
        channel.abort()
        reader.cancel()
        with pytest.raises(ConnectionResetError):
            await asyncio.get_running_loop().sock_recv(connection, 99)
        connection.close()
        listener.close()

    asyncio.run(scenario())


def test_nobody_there() -> None:
    with socket.socket() as free:
        free.bind((str(LOOPBACK), 0))
        port = free.getsockname()[1]
        network = ServerNetwork(LOOPBACK, port, Addresses(LOOPBACK), 1.0)
        with pytest.raises(TargetSilent, match=r"127\.0\.0\.1 port"):
            asyncio.run(network.open(None))


def test_a_client_is_started_heard_and_ended() -> None:
    program = (
        "import socket, sys; connection = socket.create_connection(('127.0.0.1', {port})); "
        "print('there', flush=True); connection.recv(1); sys.exit(3)"
    )

    async def scenario() -> None:
        listener = listen(LOOPBACK, 0)
        command = f'{sys.executable} -c "{program.format(port=listener.getsockname()[1])}"'
        network = ClientNetwork(listener, command, 20.0)
        channel = await network.open(None)
        await channel.send(b"x")
        end = await network.program_end(20.0)
        assert (end.status, end.output) == (3, "there\n")
        channel.close()
        await network.close()
        again = await network.open(None)
        assert (await network.program_end(0.0)).status is None
        await network.close()
        again.close()
        listener.close()

    asyncio.run(scenario())
