"""Server and client as real programs with real sockets, TUN devices and NAT: how they come, and how they go.

private 10.100.100.2 ----- 10.100.100.1 gateway 203.0.113.1 ----- 203.0.113.2 public
ppp0 192.168.0.234 ======= 192.168.0.1 ppp0
"""

import signal

import pytest

from pypptp.net.snapshot import take_snapshot
from pypptp.testing.scenario import GATEWAY_PUBLIC, PUBLIC, Sink, ping, send

from .conftest import PATIENCE, Lab

pytestmark = pytest.mark.netns

EVERYTHING = ("--default-route", "--bypass", "private")
POLITE = [signal.SIGTERM, signal.SIGINT]


def test_a_session_carries_packets_and_the_public_host_sees_the_gateway(lab: Lab) -> None:
    assert ping(lab.hosts.private, PUBLIC, count=2).received == 0
    lab.server()
    _, network = lab.connected(*EVERYTHING)
    assert (network.interface, str(network.local), str(network.peer)) == ("ppp0", "192.168.0.234", "192.168.0.1")
    assert (network.method, network.strength, network.stateless, network.mtu) == ("MS-CHAPv2", 128, True, 1400)
    assert ping(lab.hosts.private, PUBLIC).received == 4
    assert ping(lab.hosts.gateway, network.local).received == 4
    with Sink(lab.hosts.public, PUBLIC) as sink:
        send(lab.hosts.private, PUBLIC, sink.port, seconds=0.3)
        transfer = sink.take()
    assert transfer is not None
    assert transfer.source == GATEWAY_PUBLIC
    assert transfer.octets > 0


@pytest.mark.parametrize("number", POLITE)
def test_a_client_that_is_asked_to_end(lab: Lab, number: signal.Signals) -> None:
    server = lab.server()
    client, _ = lab.connected(*EVERYTHING)
    assert client.stop(number) == 0, client.lines
    # The server takes the session's own things back, and only those: its NAT stays for the next one.
    server.await_line(lambda line: "user 'alice' ended" in line or None, patience=PATIENCE)
    left = lab.hosts.changes_since(lab.before, patience=0.5)
    assert left
    assert all(line.startswith("gateway: ") and "ppp0" not in line for line in left), left
    again, network = lab.connected(*EVERYTHING)
    assert network.interface == "ppp0"
    assert again.stop() == 0
    assert server.stop(number) == 0, server.lines
    assert lab.left_behind() == []


@pytest.mark.parametrize("number", POLITE)
def test_a_server_that_is_asked_to_end_tells_its_client(lab: Lab, number: signal.Signals) -> None:
    server = lab.server()
    client, _ = lab.connected(*EVERYTHING)
    assert server.stop(number) == 0, server.lines
    assert client.wait(PATIENCE) == 16
    assert client.last_line.startswith("pypptp: ")
    assert lab.left_behind() == []


def test_a_client_that_is_killed(lab: Lab) -> None:
    server = lab.server()
    client, _ = lab.connected()
    assert client.stop(signal.SIGKILL) == -signal.SIGKILL
    # Without a word the server has the closed connection to go by.
    server.await_line(lambda line: "user 'alice' ended" in line or None, patience=PATIENCE)
    assert server.stop() == 0, server.lines
    assert lab.left_behind() == []


def test_a_server_that_is_killed(lab: Lab) -> None:
    server = lab.server("--nat", "none")
    client, _ = lab.connected(*EVERYTHING)
    assert server.stop(signal.SIGKILL) == -signal.SIGKILL
    assert client.wait(PATIENCE) == 16
    assert client.last_line.startswith("pypptp: ")
    assert lab.left_behind() == []


def test_a_killed_server_loses_its_nat_but_not_forwarding(lab: Lab) -> None:
    server = lab.server()
    server.stop(signal.SIGKILL)
    left = lab.hosts.changes_since(lab.before, patience=0.5)
    assert left
    assert all("forward" in line or "accept_redirects" in line for line in left), left


def test_a_killed_client_leaves_the_default_route_as_it_was(lab: Lab) -> None:
    lab.server()
    client, _ = lab.connected(*EVERYTHING)
    client.stop(signal.SIGKILL)
    routes = [line for line in lab.hosts.private.run(take_snapshot) if line.startswith("route ")]
    assert routes
    # What kept private networks off the tunnel names eth0, which is still there.
    assert all("dev ppp0" not in line for line in routes), routes


def test_two_clients_behind_one_address(lab: Lab) -> None:
    server = lab.server()
    _, first = lab.connected()
    bob, second = lab.connected(user="bob", password="builder")
    assert [str(first.local), str(second.local)] == ["192.168.0.234", "192.168.0.240"]
    assert [first.interface, second.interface] == ["ppp0", "ppp1"]
    # Both TUNs of the private host lead to 192.168.0.1, so answers go out by the first: it is the one to ask.
    assert ping(lab.hosts.gateway, first.local, count=2).received == 2
    assert bob.stop() == 0
    assert ping(lab.hosts.gateway, first.local, count=2).received == 2
    assert server.status is None


@pytest.mark.parametrize(("user", "password"), [("alice", "wrong"), ("mallory", "wonder land")])
def test_a_wrong_password_or_user(lab: Lab, user: str, password: str) -> None:
    server = lab.server()
    client = lab.client(user=user, password=password)
    assert client.wait(PATIENCE) == 19
    assert client.last_line.startswith("pypptp: ")
    assert "E=691" in client.last_line or "Authentication" in client.last_line, client.lines
    _, network = lab.connected()
    assert network.interface == "ppp0"
    assert server.status is None


def test_a_client_that_will_not_encrypt_is_told_why(lab: Lab) -> None:
    lab.server()
    client = lab.client("--mppe", "deny")
    assert client.wait(PATIENCE) == 10
    assert any(word in client.last_line for word in ("MPPE", "encrypt")), client.lines


def test_no_server_there(lab: Lab) -> None:
    client = lab.client()
    assert client.wait(PATIENCE) == 8
    assert client.last_line == "pypptp: 10.100.100.1 refuses connections to port 1723: no PPTP server runs there"
    assert lab.left_behind() == []


def test_the_port_is_taken(lab: Lab) -> None:
    lab.server()
    second = lab.start("server", lab.hosts.gateway, "server", "--local", "192.168.1.1", "--secrets", "chap-secrets")
    assert second.wait(PATIENCE) == 1
    assert "port 1723 on 0.0.0.0 is in use" in second.last_line
