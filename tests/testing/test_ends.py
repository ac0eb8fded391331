from __future__ import annotations

from collections.abc import Iterator

import pytest

from pypptp.ppp.config import LinkConfig, MppePolicy
from pypptp.testing.ends import RunningClient, RunningServer
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
