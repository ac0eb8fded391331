from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest

from pypptp.errors import NetworkError
from pypptp.testing.ends import RunningClient, RunningServer
from pypptp.testing.path import Impairment
from pypptp.testing.proxy import Proxy, RunningProxy

pytestmark = pytest.mark.netns  # for the raw sockets

PROXY = "127.62.0.2"
GOOD = Impairment(latency=0.0)
PINGS = 200


@pytest.fixture
def server() -> Iterator[RunningServer]:
    users = {"alice": "wonderland", "bob": "builder"}
    with RunningServer(users, address="127.62.0.1") as running:
        yield running


def line(server: RunningServer, to_server: Impairment = GOOD, to_client: Impairment | None = None) -> RunningProxy:
    return RunningProxy(server.address, server.port, listen=PROXY, port=0, to_server=to_server, to_client=to_client)


def test_a_good_line_changes_nothing(server: RunningServer) -> None:
    with line(server) as proxy, RunningClient(PROXY, proxy.port, user="alice", password="wonderland") as client:
        client.await_connected()
        session = server.await_session("alice")
        assert str(session.peer) == PROXY
        assert client.ping()
        assert server.ping(session)
    counters = proxy.counters
    assert (counters.connections, counters.strangers) == (1, 0)
    assert counters.to_server.sent > 5
    assert counters.to_client.sent > 5
    assert (counters.to_server.lost, counters.to_client.lost) == (0, 0)
    assert counters.octets > 500


def test_losses_are_counted_and_felt(server: RunningServer) -> None:
    with line(server) as proxy, RunningClient(PROXY, proxy.port, user="alice", password="wonderland") as client:
        client.await_connected()
        server.await_session("alice")
        before = proxy.counters.to_server.lost
        proxy.impair(Impairment(latency=0.0, loss=0.5), GOOD)
        answered = sum(client.ping(within=0.05) for _ in range(PINGS))
        lost = proxy.counters.to_server.lost - before
        assert lost > PINGS * 0.35
        assert PINGS * 0.3 < answered <= PINGS * 0.65
        assert proxy.counters.to_client.lost == 0


def test_two_clients_from_one_address(server: RunningServer) -> None:
    with (
        line(server, Impairment(latency=0.002, duplication=0.1, reordering=0.1)) as proxy,
        RunningClient(PROXY, proxy.port, user="alice", password="wonderland") as alice,
        RunningClient(PROXY, proxy.port, user="bob", password="builder") as bob,
    ):
        assert alice.await_connected() != bob.await_connected()
        assert all(client.ping() for client in (alice, bob) for _ in range(20))


def test_the_line_is_down_for_a_while_and_cut_in_the_end(server: RunningServer) -> None:
    with line(server) as proxy, RunningClient(PROXY, proxy.port, user="alice", password="wonderland") as client:
        client.await_connected()
        assert client.ping()
        proxy.down()
        assert not client.ping(within=0.2)
        proxy.up()
        assert client.ping()
        proxy.cut()
        assert client.await_end()
        server.await_no_session()


def test_nobody_is_there() -> None:
    with (
        RunningProxy("127.62.0.3", 9, listen=PROXY, port=0, to_server=GOOD) as proxy,
        RunningClient(PROXY, proxy.port, user="alice", password="wonderland") as client,
    ):
        assert "closed the connection" in client.await_end()


def test_addresses_that_cannot_be(server: RunningServer) -> None:
    with pytest.raises(NetworkError, match="the server's own address"):
        RunningProxy(PROXY, 1723, listen=PROXY, port=0, to_server=GOOD).__enter__()
    with pytest.raises(NetworkError, match="is not an address of this machine"):
        RunningProxy(PROXY, 1723, listen="192.0.2.1", port=0, to_server=GOOD).__enter__()
    with pytest.raises(NetworkError, match="cannot listen on"):
        RunningProxy(PROXY, 1723, listen=server.address, port=server.port, to_server=GOOD).__enter__()


def test_what_is_not_ours_is_counted(server: RunningServer) -> None:
    proxy = Proxy(IPv4Address(PROXY), IPv4Address(server.address), to_server=GOOD)
    proxy._forward(IPv4Address(server.address), bytes(12))
    proxy._forward(IPv4Address("127.62.0.9"), bytes(3))
    assert proxy.counters.strangers == 2
