"""What may pass between clients and the networks behind the server, with real programs.

private 10.100.100.2 ----- 10.100.100.1 gateway 203.0.113.1 ----- 203.0.113.2 public
alice's ppp0 ============= ppp0         the server         ppp1 ============= bob's ppp0
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from ipaddress import IPv4Address

import pytest

from pypptp.aio.words import NetworkFacts, parse_network
from pypptp.net.namespaces import Namespace
from pypptp.net.snapshot import take_snapshot
from pypptp.testing.scenario import GATEWAY_PUBLIC, PUBLIC, Program, Sink, ping, send

from .conftest import PATIENCE, Lab
from .doomed_lab import DoomedLab

pytestmark = pytest.mark.netns

CLIENTS = ("--route", "192.168.0.0/24")
SERVER = IPv4Address("192.168.0.1")
ON_THE_LAN = ("--remote", "203.0.113.100-203.0.113.101", "--proxy-arp")


def bob_from_the_public_host(lab: Lab) -> NetworkFacts:
    words = ("client", "--server", str(GATEWAY_PUBLIC), "--user", "bob", *CLIENTS)
    client = lab.start("bob", lab.hosts.public, *words, PYPPTP_PASSWORD="builder")
    return client.await_line(parse_network, patience=PATIENCE)


def entries(host: Namespace) -> list[str]:
    return [line for line in host.run(take_snapshot) if line.startswith("proxy ARP")]


def until(wanted: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not wanted() and time.monotonic() < deadline:
        time.sleep(0.02)
    return wanted()


@pytest.mark.parametrize(
    "options", [(), ("--isolate",), ("--isolate", "--nat", "none"), ("--isolate", "--workers", "2")]
)
def test_clients_reach_each_other_unless_they_are_isolated(lab: Lab, options: tuple[str, ...]) -> None:
    if "none" in options:
        # Somebody else has this host forward.
        lab.hosts.gateway.run(lambda: os.write(os.open("/proc/sys/net/ipv4/ip_forward", os.O_WRONLY), b"1"))
    before = lab.hosts.snapshot()
    server = lab.server(*options)
    alice, _ = lab.connected(*CLIENTS, "--route", "203.0.113.0/24")
    bob = bob_from_the_public_host(lab)
    isolated = "--isolate" in options
    assert ping(lab.hosts.private, bob.local, count=2).received == (0 if isolated else 2)
    # Everything else passes.
    assert ping(lab.hosts.private, SERVER, count=1).received == 1
    assert ping(lab.hosts.gateway, bob.local, count=1).received == 1
    if "none" not in options:
        assert ping(lab.hosts.private, PUBLIC, count=1).received == 1
    assert alice.stop() == 0
    assert server.stop() == 0, server.lines
    left = [line for line in lab.hosts.changes_since(before, patience=5.0) if line.startswith("gateway: ")]
    assert left == []


@pytest.mark.parametrize("options", [(), ("--nat", "none")])
def test_a_neighbour_without_a_route_reaches_a_client_on_its_own_network(lab: Lab, options: tuple[str, ...]) -> None:
    server = lab.server(*ON_THE_LAN, *options)
    client, network = lab.connected("--route", "203.0.113.0/24")
    assert str(network.local) == "203.0.113.100"
    server.await_line(lambda line: "proxy ARP for 203.0.113.100 on eth1" in line or None, patience=PATIENCE)
    assert ping(lab.hosts.public, network.local, count=2).received == 2
    assert entries(lab.hosts.gateway) == ["proxy ARP 203.0.113.100 dev eth1"]
    assert client.stop() == 0
    assert until(lambda: entries(lab.hosts.gateway) == [])
    assert server.stop() == 0, server.lines
    assert lab.left_behind() == []


def test_a_killed_workers_proxy_arp_goes_with_the_next_one(doomed: DoomedLab) -> None:
    server = doomed.serve("--workers", "2", *ON_THE_LAN)
    doomed.dial()
    gateway = doomed.hosts.gateway
    assert until(lambda: entries(gateway) == ["proxy ARP 203.0.113.100 dev eth1"])
    lines = [line for line in server.lines if " is process " in line]
    assert len(lines) == 2
    for line in lines:
        os.kill(int(line.rpartition(" ")[2]), signal.SIGKILL)
    server.await_line(lambda line: "took back what was left behind: proxy ARP" in line or None, patience=PATIENCE)
    assert until(lambda: entries(gateway) == [])
    assert server.stop() == 0, server.lines
    assert doomed.left_on("gateway") == []
    assert doomed.files() == []


def transfer(sender: Namespace, receiver: Namespace, address: IPv4Address, seconds: float) -> float:
    with Sink(receiver, address) as sink:
        send(sender, address, sink.port, seconds=seconds)
        result = sink.take()
    assert result is not None
    return result.mbit_per_s


def test_rates(lab: Lab) -> None:
    """TCP payload is 1348 of 1400 octets: a limit of 4 Mbit/s of IP is 3.85 of payload."""
    server = lab.server("--rate", "4mbit", "--user-rate", "bob=unlimited")
    _, alice = lab.connected()
    share = 1348 / 1400
    # The bucket that is full at the start adds its half second to what comes up.
    down = transfer(lab.hosts.gateway, lab.hosts.private, alice.local, 2.5)
    up = transfer(lab.hosts.private, lab.hosts.gateway, SERVER, 6.0)
    assert down == pytest.approx(4 * share, rel=0.1)
    assert up == pytest.approx(4 * share, rel=0.15)
    bob = bob_from_the_public_host(lab)
    assert transfer(lab.hosts.gateway, lab.hosts.public, bob.local, 0.5) > 20
    assert server.stop() == 0
    ended = next(line for line in server.lines if "user 'alice' ended" in line)
    assert "over rate" in ended


def connects(host: Namespace, address: IPv4Address) -> bool:
    def act() -> bool:
        with socket.socket() as sock:
            sock.settimeout(1.0)
            return sock.connect_ex((str(address), 1723)) == 0

    return host.run(act)


@pytest.mark.parametrize("nested", [False, True])
def test_the_control_port_through_the_tunnel(lab: Lab, nested: bool) -> None:
    server: Program = lab.server(*(["--allow-nested"] if nested else []))
    _, _ = lab.connected("--route", "203.0.113.0/24")
    for address in (SERVER, GATEWAY_PUBLIC):
        assert ping(lab.hosts.private, address, count=1).received == 1
        assert connects(lab.hosts.private, address) == nested
    assert server.stop() == 0
    ended = next(line for line in server.lines if "user 'alice' ended" in line)
    assert ("nested" in ended) == (not nested)
