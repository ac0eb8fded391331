import os
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

import pytest

from pypptp.errors import LocalProtocolError, NetworkError
from pypptp.net.edge import Hold, NetworkEdge, Recovery, Route, RouteTaken
from pypptp.net.memory import MemoryEdge, MemoryKillSwitch, MemoryNat

from .test_books import Paper

LOCAL, PEER = IPv4Address("192.168.0.1"), IPv4Address("192.168.0.234")
SERVER = IPv4Address("198.51.100.7")


@pytest.fixture
def edge() -> Iterator[MemoryEdge]:
    edge = MemoryEdge()
    yield edge
    edge.undo()


def test_it_is_an_edge(edge: MemoryEdge) -> None:
    checked: NetworkEdge = edge
    assert checked.changes() == []


def test_units_are_the_lowest_free(edge: MemoryEdge) -> None:
    first, second, third = edge.open_tun(), edge.open_tun("ppp"), edge.open_tun("vpn%d")
    assert [first.name, second.name, third.name] == ["ppp0", "ppp1", "vpn0"]
    edge.undo_for(first)
    assert edge.open_tun().name == "ppp0"
    with pytest.raises(NetworkError, match="ppp1"):
        edge.open_tun("ppp1")


def test_packets_keep_their_bounds(edge: MemoryEdge) -> None:
    tun = edge.tuns[0] if edge.tuns else edge.open_tun()
    memory = edge.tuns[0]
    with pytest.raises(BlockingIOError):
        os.read(tun.fd, 2048)
    memory.kernel.send(b"one")
    memory.kernel.send(b"two")
    assert os.read(tun.fd, 2048) == b"one"
    assert os.read(tun.fd, 2048) == b"two"
    os.write(tun.fd, b"three")
    assert memory.kernel.recv(2048) == b"three"


def test_a_client_with_a_default_route(edge: MemoryEdge) -> None:
    before = list(edge.routes)
    pinned = edge.pin_route(SERVER)
    assert pinned == RouteTaken("eth0", IPv4Address("203.0.113.1"), IPv4Address("203.0.113.2"))
    tun = edge.open_tun(mtu=1300)
    edge.configure(tun, local=LOCAL, peer=PEER)
    edge.add_default_route(tun)
    assert edge.add_route(IPv4Network("10.0.0.0/8"), via=pinned, session=tun)
    assert edge.route_to(IPv4Address("8.8.8.8")) == RouteTaken("ppp0", None, LOCAL)
    assert edge.route_to(SERVER) == pinned
    assert edge.route_to(IPv4Address("10.1.2.3")) == pinned
    assert edge.route_to(PEER).interface == "ppp0"
    assert edge.route_to(LOCAL).local
    assert edge.tuns[0].mtu == 1300
    assert edge.undo_for(tun) == []
    assert edge.changes() == ["route 198.51.100.7/32 via 203.0.113.1 dev eth0"]
    assert edge.undo() == []
    assert edge.routes == before
    assert edge.tuns == []


def test_the_same_route_is_left_alone() -> None:
    same = Route(IPv4Network("10.0.0.0/8"), "eth0", IPv4Address("203.0.113.1"))
    edge = MemoryEdge(routes=[same])
    assert not edge.add_route(same.network, via=RouteTaken("eth0", IPv4Address("203.0.113.1")))
    edge.undo()
    assert edge.routes == [same]


def test_addresses_can_change(edge: MemoryEdge) -> None:
    tun = edge.open_tun()
    edge.configure(tun, local=LOCAL, peer=PEER)
    edge.configure(tun, local=LOCAL, peer=IPv4Address("192.168.0.235"))
    assert edge.route_to(PEER).interface == "eth0"
    assert len(edge.changes()) == 2


def test_forwarding_and_nat(edge: MemoryEdge) -> None:
    source = IPv4Network("192.168.0.0/24")
    assert edge.enable_forwarding()
    assert not edge.enable_forwarding()
    assert edge.add_nat(None, [source]) == "eth0"
    assert edge.nat == [MemoryNat("eth0", (source,), "ppp%d")]
    edge.undo()
    assert not edge.forwarding
    assert edge.nat == []


def test_forwarding_that_was_on_stays_on() -> None:
    edge = MemoryEdge(forwarding=True)
    assert not edge.enable_forwarding()
    edge.undo()
    assert edge.forwarding


def test_no_default_route() -> None:
    edge = MemoryEdge(routes=[])
    assert edge.default_route() is None
    with pytest.raises(NetworkError, match="no default route"):
        edge.add_nat(None, [])
    with pytest.raises(NetworkError, match="no route to"):
        edge.route_to(SERVER)


def test_refusals() -> None:
    edge = MemoryEdge(refusals={"open_tun": "there is no /dev/net/tun: use 'modprobe tun'"})
    with pytest.raises(NetworkError, match="modprobe"):
        edge.open_tun()
    assert edge.changes() == []


def test_a_closed_tun_is_the_callers_mistake(edge: MemoryEdge) -> None:
    tun = edge.open_tun()
    edge.undo_for(tun)
    assert tun.fd == -1
    with pytest.raises(LocalProtocolError, match="ppp0 is closed"):
        edge.configure(tun, local=LOCAL, peer=PEER)


def test_only_what_outlives_the_process_is_recorded() -> None:
    paper = Paper()
    edge = MemoryEdge(ledger=paper)
    pinned = edge.pin_route(SERVER)
    tun = edge.open_tun()
    edge.configure(tun, local=LOCAL, peer=PEER)
    edge.add_default_route(tun)
    edge.add_route(IPv4Network("10.0.0.0/8"), via=pinned, session=tun)
    edge.enable_forwarding()
    edge.add_nat(None, [])
    written = ["write RouteAdded", "write RouteAdded", "write ForwardingOn", "write NatMade"]
    assert paper.notes == written
    assert edge.undo() == []
    assert len(paper.notes) == len(written) + 3


def test_what_a_predecessor_left(edge: MemoryEdge) -> None:
    assert edge.recover() == Recovery()
    edge.recovery = Recovery(taken_back=["IPv4 forwarding on, of pid 7 (server)"])
    assert edge.recover().taken_back == ["IPv4 forwarding on, of pid 7 (server)"]


def test_what_may_pass_is_taken_back() -> None:
    paper = Paper()
    edge = MemoryEdge(ledger=paper)
    tun = edge.open_tun()
    edge.configure(tun, local=LOCAL, peer=PEER, isolated=True, queue=33)
    assert (edge.tuns[0].isolated, edge.tuns[0].queue) == (True, 33)
    edge.isolate()
    edge.clamp_mss(tunnels="vpn%d")
    near, far = IPv4Address("203.0.113.77"), IPv4Address("192.168.0.234")
    assert [edge.add_proxy_arp(tun, address) for address in (near, near, far)] == ["eth0", "eth0", None]
    assert (edge.isolation, edge.clamped, edge.proxy_arp) == (True, ["vpn%d"], [near])
    assert edge.own_addresses() == {IPv4Address("203.0.113.2"), LOCAL}
    assert edge.undo_for(tun) == []
    assert edge.proxy_arp == []
    assert edge.undo() == []
    assert (edge.isolation, edge.clamped) == (False, [])
    assert [note for note in paper.notes if note.startswith("write")] == [
        "write FilterMade",
        "write FilterMade",
        "write ProxyArpMade",
    ]
    assert sum(note.startswith("strike") for note in paper.notes) == 3


@pytest.mark.parametrize("method", ["isolate", "clamp_mss", "own_addresses"])
def test_what_may_pass_refused(method: str) -> None:
    edge = MemoryEdge(refusals={method: "no nftables"})
    with pytest.raises(NetworkError, match="no nftables"):
        getattr(edge, method)()


def test_it_holds_its_own_addresses_and_those_of_its_tuns(edge: MemoryEdge) -> None:
    tun = edge.open_tun()
    edge.configure(tun, local=LOCAL, peer=PEER)
    assert edge.holds_address(edge.address)
    assert edge.holds_address(LOCAL)
    assert not edge.holds_address(PEER)


def test_news_is_what_a_test_tells(edge: MemoryEdge) -> None:
    first, second = edge.watch(), edge.watch()
    assert not first.drain()
    edge.tell()
    edge.tell()
    assert first.drain()
    assert not first.drain()
    second.close()
    second.close()
    edge.tell()
    assert first.drain()
    first.close()


def test_a_hold_goes_by_itself(edge: MemoryEdge) -> None:
    before = list(edge.routes)
    hold = Hold()
    way = edge.route_to(SERVER, by="eth0")
    assert edge.pin_route(SERVER, via=way, session=hold) == way
    tun = edge.open_tun()
    edge.configure(tun, local=LOCAL, peer=PEER)
    edge.add_default_route(tun, metric=7)
    assert edge.route_to(IPv4Address("8.8.8.8"), around=tun).interface == "eth0"
    with pytest.raises(NetworkError, match="no route"):
        edge.route_to(SERVER, by="eth9")
    assert edge.release(hold) == []
    assert edge.changes()[0] == "interface ppp0"
    edge.undo()
    assert edge.routes == before


def test_a_kill_switch_is_taken_back_or_left() -> None:
    paper = Paper()
    edge = MemoryEdge(ledger=paper)
    assert not edge.leave_kill_switch()
    edge.add_kill_switch(SERVER, 1723)
    edge.add_kill_switch(PEER, 1724)
    assert edge.kill_switch == MemoryKillSwitch(PEER, 1724, ())
    assert edge.undo() == []
    assert edge.kill_switch is None
    edge.add_kill_switch(SERVER, 1723)
    assert edge.leave_kill_switch()
    assert edge.undo() == []
    assert edge.kill_switch is not None
    assert [note.partition(" at ")[0] for note in paper.notes] == [
        "write KillSwitchOn",
        "strike 1",
        "write KillSwitchOn",
    ]


def test_name_servers_and_sockets(edge: MemoryEdge) -> None:
    tun = edge.open_tun()
    assert edge.set_name_servers(tun, [PEER]) == "memory"
    edge.set_name_servers(tun, [PEER, LOCAL])
    assert edge.name_servers == {tun: (PEER, LOCAL)}
    with socket.socket() as sock:
        edge.bind_socket(sock, "eth0")
    assert edge.bound == ["eth0"]
    edge.undo_for(tun)
    assert edge.name_servers == {}
