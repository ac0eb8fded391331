"""What a client does to its machine's network, with real processes: name servers, uplinks, metrics.

private 10.100.100.2 eth0 ----- eth0 10.100.100.1 gateway 203.0.113.1 ----- 203.0.113.2 public
        10.100.200.2 eth1 ----- eth2 10.100.200.1
"""

import signal
import time
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from pypptp.net import links, routes
from pypptp.net.edge import Route
from pypptp.net.namespaces import connect
from pypptp.net.netlink import NetlinkSocket, ifinfmsg
from pypptp.net.snapshot import take_snapshot
from pypptp.testing.scenario import GATEWAY_PRIVATE, GATEWAY_PUBLIC, Program, ping, set_default_route

from .conftest import PATIENCE
from .doomed_lab import RESOLV_CONF, DoomedLab

pytestmark = pytest.mark.netns

SECOND_GATEWAY = IPv4Address("10.100.200.1")
NAME_SERVER = IPv4Address("198.51.100.53")
EVERYWHERE = IPv4Network("0.0.0.0/0")


def said(program: Program, words: str) -> None:
    program.await_line(lambda line: words in line or None, patience=PATIENCE)


def serve(doomed: DoomedLab, *options: str) -> Program:
    server = doomed.run_command(
        "gateway", "server", "--local", "192.168.0.1", "--secrets", "chap-secrets", "--nat", "none", *options
    )
    said(server, "listening on ")
    return server


def dial(doomed: DoomedLab, *options: str, user: str = "alice", server: IPv4Address = GATEWAY_PUBLIC) -> Program:
    return doomed.run_command("private", "client", "--server", str(server), "--user", user, *options)


def two_uplinks(doomed: DoomedLab) -> None:
    """The gateway is reached at its public address by either of two links."""
    private, gateway = doomed.hosts.private, doomed.hosts.gateway
    connect(private, "eth1", gateway, "eth2")
    private.add_address("eth1", "10.100.200.2/24")
    gateway.add_address("eth2", f"{SECOND_GATEWAY}/24")
    set_default_route(private, GATEWAY_PRIVATE, "eth0")

    def second() -> None:
        with NetlinkSocket() as netlink:
            routes.add(netlink, Route(EVERYWHERE, "eth1", SECOND_GATEWAY, metric=200))

    private.run(second)
    doomed.before = doomed.hosts.snapshot()


def packets_sent(doomed: DoomedLab, interface: str) -> int:
    """How many the private host has sent by an interface so far."""

    def read() -> int:
        lines = Path("/proc/thread-self/net/dev").read_text().splitlines()
        (line,) = [line for line in lines if line.split(":")[0].strip() == interface]
        return int(line.split(":")[1].split()[9])

    return doomed.hosts.private.run(read)


def routes_of(doomed: DoomedLab) -> list[str]:
    return [line for line in doomed.hosts.private.run(take_snapshot) if line.startswith("route ")]


# Name servers.


def asked(doomed: DoomedLab) -> list[str]:
    lines = doomed.resolv_conf.read_text().splitlines()
    return [line.split()[1] for line in lines if line.startswith("nameserver ")]


def test_the_peers_name_servers_are_asked_through_the_tunnel(doomed: DoomedLab) -> None:
    serve(doomed, "--dns", str(NAME_SERVER))
    set_default_route(doomed.hosts.private, GATEWAY_PRIVATE, "eth0")
    before = doomed.hosts.snapshot()
    client = dial(doomed, "--use-peer-dns")
    said(client, f"name servers: {NAME_SERVER}, by /etc/resolv.conf")
    said(client, "up: ppp0")
    assert asked(doomed) == [str(NAME_SERVER)]
    assert f"route {NAME_SERVER}/32 dev ppp0 table 254 proto 80 type 1" in routes_of(doomed)
    assert client.stop() == 0
    assert doomed.resolv_conf.read_bytes() == RESOLV_CONF
    assert doomed.hosts.changes_since(before, patience=5.0) == []


@pytest.mark.parametrize("first_to_end", ["alice", "bob"])
@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL])
def test_of_two_clients_the_later_is_asked_and_either_order_comes_back(
    doomed: DoomedLab, first_to_end: str, by: signal.Signals
) -> None:
    serve(doomed, "--dns", "192.168.0.1")
    second = serve(doomed, "--port", "1724", "--dns", "192.168.9.1", "--local", "192.168.9.1")
    set_default_route(doomed.hosts.private, GATEWAY_PRIVATE, "eth0")
    doomed.before = doomed.hosts.snapshot()
    clients = {"alice": dial(doomed, "--use-peer-dns")}
    said(clients["alice"], "up: ppp0")
    clients["bob"] = dial(doomed, "--use-peer-dns", "--port", "1724", user="bob")
    said(clients["bob"], "up: ppp1")
    assert asked(doomed) == ["192.168.9.1"]
    clients[first_to_end].stop(by)
    if by == signal.SIGKILL:
        assert doomed.undo("private")[0] == 0
    assert asked(doomed) == ["192.168.9.1" if first_to_end == "alice" else "192.168.0.1"]
    clients["bob" if first_to_end == "alice" else "alice"].stop()
    assert second.stop() == 0
    assert doomed.left_on("private") == []
    assert list((doomed.var_lib / "pypptp" / "resolv.conf").iterdir()) == []


def test_name_servers_come_back_after_a_boot(doomed: DoomedLab) -> None:
    """/run is gone with the boot, /etc and /var/lib are not."""
    serve(doomed, "--dns", "192.168.0.1")
    client = dial(doomed, "--use-peer-dns", server=GATEWAY_PRIVATE)
    said(client, "up: ppp0")
    client.stop(signal.SIGKILL)
    (doomed.folder / "after boot").mkdir()
    (doomed.folder / "after boot" / "run").mkdir()
    for name in ("etc", "var_lib"):
        (doomed.folder / "after boot" / name).symlink_to(doomed.folder / name)
    undo = doomed.run_command("private", "undo", run=str(doomed.folder / "after boot" / "run"))
    assert undo.wait(PATIENCE) == 0
    assert any(
        line.startswith("took back name servers 192.168.0.1 for ppp0 in /etc/resolv.conf") for line in undo.lines
    )
    assert doomed.resolv_conf.read_bytes() == RESOLV_CONF


def test_what_somebody_else_wrote_is_left_and_said(doomed: DoomedLab) -> None:
    serve(doomed, "--dns", "192.168.0.1")
    client = dial(doomed, "--use-peer-dns", server=GATEWAY_PRIVATE)
    said(client, "up: ppp0")
    doomed.resolv_conf.write_text("nameserver 203.0.113.53\n")
    assert client.stop() == 0
    said(client, "changed by somebody else meanwhile, it is left as it is")
    assert doomed.resolv_conf.read_text() == "nameserver 203.0.113.53\n"


# Uplinks.


def test_a_client_by_each_uplink_at_once(doomed: DoomedLab) -> None:
    two_uplinks(doomed)
    serve(doomed)
    serve(doomed, "--port", "1724", "--local", "192.168.9.1")
    clients = [dial(doomed, "--uplink", "eth0"), dial(doomed, "--uplink", "eth1", "--port", "1724", user="bob")]
    for client in clients:
        said(client, "up: ppp")
    for interface, other, inner in (("eth0", "eth1", "192.168.0.1"), ("eth1", "eth0", "192.168.9.1")):
        before, before_other = packets_sent(doomed, interface), packets_sent(doomed, other)
        assert ping(doomed.hosts.private, IPv4Address(inner), count=6).received == 6
        assert packets_sent(doomed, interface) - before >= 6
        assert packets_sent(doomed, other) - before_other < 6
    pinned = [line for line in routes_of(doomed) if line.startswith(f"route {GATEWAY_PUBLIC}/32 ")]
    assert [line.split(" dev ")[1].split()[0] for line in pinned] == ["eth0", "eth1"]  # sorted
    for client in clients:
        assert client.stop() == 0, client.lines
    assert doomed.left_on("private") == []


@pytest.mark.parametrize("uplink", ["eth0", "eth1"])
def test_an_uplink_carries_all_of_it(doomed: DoomedLab, uplink: str) -> None:
    """With a default route through the tunnel, and one elsewhere that the kernel would prefer."""
    two_uplinks(doomed)
    serve(doomed)
    client = dial(doomed, "--uplink", uplink, "--default-route")
    said(client, "up: ppp0")
    other = "eth1" if uplink == "eth0" else "eth0"
    before, before_other = packets_sent(doomed, uplink), packets_sent(doomed, other)
    assert ping(doomed.hosts.private, IPv4Address("192.168.0.1"), count=6).received == 6
    assert packets_sent(doomed, uplink) - before >= 6
    assert packets_sent(doomed, other) - before_other < 6
    assert client.stop() == 0
    assert doomed.left_on("private") == []


def test_the_next_uplink_where_one_fails(doomed: DoomedLab) -> None:
    two_uplinks(doomed)
    serve(doomed)

    def down() -> None:
        with NetlinkSocket() as netlink:
            message = ifinfmsg()
            message["index"] = links.interface_index("eth0")
            message["change"] = links.IFF_UP
            netlink.request(message, links.RTM_NEWLINK)

    uplinks = ("--uplink", "eth9", "--uplink", "eth0", "--uplink", "eth1")
    echoes = ("--lcp-echo-interval", "0.3", "--lcp-echo-failure", "2")
    client = dial(doomed, *uplinks, *echoes, "--persist", "--holdoff", "0.3")
    said(client, "uplink eth9: there is no interface eth9 here")
    said(client, "up: ppp0")
    assert [line for line in routes_of(doomed) if line.startswith(f"route {GATEWAY_PUBLIC}/32 ") and "eth0" in line]
    doomed.hosts.private.run(down)
    client.await_line(lambda line: "uplink eth0: there is no route" in line or None, patience=PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while ping(doomed.hosts.private, IPv4Address("192.168.0.1"), count=1).received == 0:
        assert time.monotonic() < deadline
    assert [line for line in routes_of(doomed) if line.startswith(f"route {GATEWAY_PUBLIC}/32 ") and "eth1" in line]
    assert client.stop() == 0
    assert not [line for line in routes_of(doomed) if "ppp" in line or f"{GATEWAY_PUBLIC}/32" in line]


# Metrics.


def test_a_metric_and_another_default_route_that_wins(doomed: DoomedLab) -> None:
    two_uplinks(doomed)
    serve(doomed)
    client = dial(doomed, "--default-route", "--metric", "100", "--route", "198.18.0.0/15")
    said(client, "another default route wins, by eth0 via 10.100.100.1")
    said(client, "up: ppp0")
    found = routes_of(doomed)
    assert "route 0.0.0.0/0 dev ppp0 metric 100 table 254 proto 80 type 1" in found
    assert "route 198.18.0.0/15 dev ppp0 metric 100 table 254 proto 80 type 1" in found

    def lose() -> None:
        with NetlinkSocket() as netlink:
            routes.remove(netlink, Route(EVERYWHERE, "eth0", GATEWAY_PRIVATE))

    doomed.hosts.private.run(lose)
    said(client, "the default route through the tunnel wins again")
    set_default_route(doomed.hosts.private, GATEWAY_PRIVATE, "eth0")
    assert client.stop() == 0
    assert doomed.left_on("private") == []


def test_without_a_metric_it_wins_over_any(doomed: DoomedLab) -> None:
    two_uplinks(doomed)
    serve(doomed)
    client = dial(doomed, "--default-route")
    said(client, "up: ppp0")
    assert not [line for line in client.lines if "another default route" in line]

    def halves() -> None:
        with NetlinkSocket() as netlink:
            routes.add(netlink, Route(IPv4Network("128.0.0.0/1"), "eth1", SECOND_GATEWAY))

    doomed.hosts.private.run(halves)
    said(client, "another default route wins, by eth1 via 10.100.200.1")
