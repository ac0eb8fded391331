from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from pypptp.ppp.config import LinkConfig, MppePolicy
from pypptp.testing.ends import AnsweringEdge, RunningClient, RunningServer
from pypptp.testing.loop_thread import EndFailed

pytestmark = pytest.mark.netns  # for the raw sockets


@pytest.fixture
def server() -> Iterator[RunningServer]:
    with RunningServer({"alice": 'wonder "land"'}, address="127.61.0.1") as running:
        yield running


def test_pings_both_ways(server: RunningServer) -> None:
    with RunningClient(server.address, server.port, user="alice", password='wonder "land"') as client:
        address = client.await_connected()
        session = server.await_session("alice")
        assert session.address == address
        assert client.ping()
        assert server.ping(session)
    server.await_no_session()


def test_a_wrong_password(server: RunningServer) -> None:
    with RunningClient(server.address, server.port, user="alice", password="looking-glass") as client:
        with pytest.raises(EndFailed, match=r"the client is over: .*password"):
            client.await_connected()
        assert not client.ping(within=0.1)
    assert server.sessions == []


def test_nobody_comes(server: RunningServer) -> None:
    with pytest.raises(EndFailed, match=r"alice was not connected within 0\.05 s"):
        server.await_session("alice", within=0.05)


def test_a_server_that_does_not_encrypt() -> None:
    link = LinkConfig(name="pptpd", mppe=MppePolicy.DENY)
    with (
        RunningServer({"bob": "builder"}, address="127.61.0.2", link=link) as server,
        RunningClient(server.address, server.port, user="bob", password="builder") as client,
    ):
        assert "MPPE" in client.await_end()


def test_a_socket_with_the_number_of_a_closed_tun_is_heard() -> None:
    async def play() -> None:
        loop, edge = asyncio.get_running_loop(), AnsweringEdge()
        edge.serve(loop)
        tun = edge.open_tun()
        await asyncio.sleep(0)
        tun.close()
        one, other = socket.socketpair()  # the lowest numbers that are free
        heard = asyncio.Event()
        for end in (one, other):
            loop.add_reader(end, heard.set)
            (other if end is one else one).send(b"x")
            await asyncio.wait_for(heard.wait(), 1.0)
            loop.remove_reader(end)
            heard.clear()
        one.close()
        other.close()
        await asyncio.sleep(0)

    asyncio.run(play())
