"""NAT with real packets.

private                     gateway                     public
172.16.77.9 eth0 --- ppp0 172.16.0.1   eth0 203.0.113.1 --- eth0 203.0.113.2
  MTU 1500            MTU 1400
"""

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from pypptp.errors import NetworkError
from pypptp.net import forwarding, links, nat, routes
from pypptp.net.edge import Route
from pypptp.net.namespaces import Namespace, connect
from pypptp.net.nat import ClampTable, IsolationTable, NatTable
from pypptp.net.netlink import NetlinkSocket
from pypptp.net.snapshot import take_snapshot
from pypptp.testing.scenario import ping

from .conftest import set_default_route

PRIVATE = IPv4Address("172.16.77.9")
GATEWAY = IPv4Address("203.0.113.1")
PUBLIC = IPv4Address("203.0.113.2")
ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.netns


@dataclass
class Hosts:
    private: Namespace
    gateway: Namespace
    public: Namespace


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    with Namespace("private") as private, Namespace("gateway") as gateway, Namespace("public") as public:
        connect(private, "eth0", gateway, "ppp0")
        connect(gateway, "eth0", public, "eth0")
        private.add_address("eth0", f"{PRIVATE}/12")
        gateway.add_address("ppp0", "172.16.0.1/12")
        gateway.add_address("eth0", f"{GATEWAY}/24")
        public.add_address("eth0", f"{PUBLIC}/24")
        set_default_route(private, "172.16.0.1")
        set_default_route(public, str(GATEWAY))

        def act() -> None:
            with NetlinkSocket() as netlink:
                links.set_up(netlink, "ppp0", mtu=1400)
            forwarding.enable()

        gateway.run(act)
        yield Hosts(private, gateway, public)


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def _icmp(namespace: Namespace) -> socket.socket:
    made = namespace.run(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
    made.settimeout(2)
    return made


def _ping(hosts: Hosts, source: IPv4Address, number: int) -> tuple[IPv4Address, bool]:
    """Send one echo request. Return the source address the public host saw, and whether its reply came back."""

    def add() -> None:
        with NetlinkSocket() as netlink:
            links.add_address(netlink, "eth0", source)

    def route() -> None:
        with NetlinkSocket() as netlink:
            routes.add(netlink, Route(IPv4Network(source), "ppp0"))

    def unroute() -> None:
        with NetlinkSocket() as netlink:
            routes.remove(netlink, Route(IPv4Network(source), "ppp0"))

    hosts.private.run(add)
    hosts.gateway.run(route)
    try:
        return _echo(hosts, source, number)
    finally:
        hosts.gateway.run(unroute)


def _echo(hosts: Hosts, source: IPv4Address, number: int) -> tuple[IPv4Address, bool]:
    with _icmp(hosts.private) as near, _icmp(hosts.public) as far:
        near.bind((str(source), 0))
        far.bind((str(PUBLIC), 0))
        # An identifier of its own: connection tracking would go on translating a flow it knows.
        body = struct.pack("!BBHHH", 8, 0, 0, 0x1000 + number, 1)
        near.sendto(body[:2] + struct.pack("!H", _checksum(body)) + body[4:], (str(PUBLIC), 0))
        while True:
            packet = far.recv(2048)
            if packet[20] == 8 and packet[24:26] == struct.pack("!H", 0x1000 + number):
                break
        seen = IPv4Address(packet[12:16])
        while True:
            packet = near.recv(2048)
            if packet[20] == 0 and packet[24:26] == struct.pack("!H", 0x1000 + number):
                return seen, IPv4Address(packet[12:16]) == PUBLIC


def _nat(namespace: Namespace, *networks: IPv4Network, tunnels: str = "ppp%d") -> NatTable:
    return namespace.run(lambda: NatTable("eth0", networks, tunnels=tunnels))


@pytest.mark.parametrize("prefix", range(33))
def test_every_prefix_length(hosts: Hosts, prefix: int) -> None:
    inside = IPv4Network((int(PRIVATE) >> (32 - prefix) << (32 - prefix), prefix))
    table = _nat(hosts.gateway, inside)
    try:
        assert _ping(hosts, PRIVATE, prefix * 2) == (GATEWAY, True)
        if prefix >= 13:  # the nearest address outside, still within the private side's /12
            outside = IPv4Address(int(PRIVATE) ^ 1 << (32 - prefix))
            assert _ping(hosts, outside, prefix * 2 + 1) == (outside, True)
    finally:
        table.remove()


def test_several_networks_and_none_after_removal(hosts: Hosts) -> None:
    other = IPv4Address("172.20.0.9")
    table = _nat(hosts.gateway, IPv4Network(PRIVATE), IPv4Network("172.20.0.8/31"))
    assert _ping(hosts, PRIVATE, 1000) == (GATEWAY, True)
    assert _ping(hosts, other, 1001) == (GATEWAY, True)
    table.remove()
    assert _ping(hosts, PRIVATE, 1002) == (PRIVATE, True)


def test_by_another_interface_nothing_is_masqueraded(hosts: Hosts) -> None:
    table = hosts.gateway.run(lambda: NatTable("eth1", [IPv4Network("0.0.0.0/0")], tunnels="ppp%d"))
    try:
        assert _ping(hosts, PRIVATE, 1100) == (PRIVATE, True)
    finally:
        table.remove()


def _segment_sizes(hosts: Hosts) -> tuple[int, int]:
    """Connect from the private to the public host; return the MSS that each end learnt from the other's SYN."""
    with (
        hosts.public.run(lambda: socket.create_server((str(PUBLIC), 0))) as server,
        hosts.private.run(lambda: socket.create_connection(server.getsockname(), 2)) as client,
    ):
        accepted, _ = server.accept()
        with accepted:
            timestamps = 12
            return tuple(  # type: ignore[return-value]
                end.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) + timestamps for end in (client, accepted)
            )


@pytest.mark.parametrize("tunnels", ["ppp%d", "ppp0"])
def test_mss_is_clamped_in_both_directions(hosts: Hosts, tunnels: str) -> None:
    assert _segment_sizes(hosts) == (1460, 1460)
    table = _nat(hosts.gateway, IPv4Network(PRIVATE), tunnels=tunnels)
    try:
        assert _segment_sizes(hosts) == (1360, 1360)
    finally:
        table.remove()
    assert _segment_sizes(hosts) == (1460, 1460)


@pytest.mark.parametrize("tunnels", ["vpn%d", "ppp1", "pp"])
def test_mss_of_what_passes_no_tunnel_is_left_alone(hosts: Hosts, tunnels: str) -> None:
    table = _nat(hosts.gateway, IPv4Network(PRIVATE), tunnels=tunnels)
    try:
        assert _segment_sizes(hosts) == (1460, 1460)
    finally:
        table.remove()


def test_mss_is_clamped_without_nat(hosts: Hosts) -> None:
    table = hosts.gateway.run(lambda: ClampTable("ppp%d"))
    try:
        assert _segment_sizes(hosts) == (1360, 1360)
        assert _ping(hosts, PRIVATE, 1200) == (PRIVATE, True)
    finally:
        table.remove()
    assert _segment_sizes(hosts) == (1460, 1460)


def test_isolation_is_between_isolated_interfaces_alone(hosts: Hosts) -> None:
    def group(interface: str, number: int) -> None:
        def act() -> None:
            with NetlinkSocket() as netlink:
                links.set_up(netlink, interface, group=number)

        hosts.gateway.run(act)

    table = hosts.gateway.run(IsolationTable)
    try:
        assert _ping(hosts, PRIVATE, 1300) == (PRIVATE, True)
        group("ppp0", links.ISOLATED_GROUP)
        assert _ping(hosts, PRIVATE, 1301) == (PRIVATE, True)
        group("eth0", links.ISOLATED_GROUP)
        with pytest.raises(TimeoutError):
            _ping(hosts, PRIVATE, 1302)
        # This host itself is reached as before.
        assert ping(hosts.private, GATEWAY, count=1).received == 1
        table.remove()
        assert _ping(hosts, PRIVATE, 1303) == (PRIVATE, True)
    finally:
        table.remove()
        group("ppp0", 0)
        group("eth0", 0)


def _tables(namespace: Namespace) -> list[str]:
    words = "nftables table "
    return [line.removeprefix(words) for line in namespace.run(take_snapshot) if line.startswith(words)]


def test_two_instances_keep_their_own(host: Namespace) -> None:
    first, second, third = (_nat(host, IPv4Network(PRIVATE)) for _ in range(3))
    assert [first.name, second.name, third.name] == ["pypptp", f"pypptp-{os.getpid()}", f"pypptp-{os.getpid()}-2"]
    assert host.run(lambda: nat.other_tables([first.name])) == [second.name, third.name]
    first.remove()
    assert _tables(host) == [second.name, third.name]
    third.remove()
    second.remove()
    assert _tables(host) == []


def test_the_table_goes_with_a_killed_process(host: Namespace) -> None:
    program = (
        "import time; from ipaddress import IPv4Network; from pypptp.net.nat import NatTable\n"
        "table = NatTable('eth0', [IPv4Network('10.0.0.0/8')], tunnels='ppp%d'); print('ready', flush=True)\n"
        "time.sleep(60)"
    )
    child = host.popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        assert _tables(host) == ["pypptp"]
        table = _nat(host, IPv4Network(PRIVATE))
        assert table.name == f"pypptp-{os.getpid()}"
        table.remove()
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate()
    deadline = time.monotonic() + 5
    while _tables(host) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert _tables(host) == []


@pytest.fixture
def without_owner_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Linux before 5.12, where a table outlives its maker."""
    monkeypatch.setattr(nat, "NFT_TABLE_F_OWNER", 0)


@pytest.mark.usefixtures("without_owner_flag")
def test_without_the_owner_flag_a_living_process_keeps_its_table(host: Namespace) -> None:
    first = _nat(host, IPv4Network(PRIVATE))
    second = _nat(host, IPv4Network(PRIVATE))
    assert [first.name, second.name] == ["pypptp", f"pypptp-{os.getpid()}"]
    second.remove()
    first.remove()
    assert _tables(host) == []


@pytest.mark.usefixtures("without_owner_flag")
def test_without_the_owner_flag_a_dead_processs_table_is_replaced(
    host: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(nat, "process_start", lambda pid: "1")  # the number has been given to another process since
        dead = _nat(host, IPv4Network(PRIVATE))
    dead._netlink.close()
    assert _tables(host) == ["pypptp"]
    table = _nat(host, IPv4Network(PRIVATE))
    assert table.name == "pypptp"
    table.remove()
    assert _tables(host) == []


@pytest.mark.usefixtures("without_owner_flag")
def test_somebody_elses_table_of_that_name_is_left_alone(host: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(nat, "own_comment", lambda: "made by hand")
        foreign = _nat(host, IPv4Network(PRIVATE))
    table = _nat(host, IPv4Network(PRIVATE))
    assert table.name == f"pypptp-{os.getpid()}"
    table.remove()
    assert _tables(host) == ["pypptp"]
    foreign.remove()


def test_a_kernel_that_does_not_know_the_owner_flag(host: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nat, "NFT_TABLE_F_OWNER", 0x4000_0000)
    table = _nat(host, IPv4Network(PRIVATE))
    assert table.name == "pypptp"
    table.remove()
    assert _tables(host) == []


def test_removed_in_another_thread_and_twice(host: Namespace) -> None:
    table = _nat(host, IPv4Network(PRIVATE))
    thread = threading.Thread(target=table.remove)
    thread.start()
    thread.join()
    assert _tables(host) == []
    table.remove()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "run as root"),
        (93, "no nftables"),
        (95, "no nftables"),
        (2, "nft_masq"),
        (12, "cannot make the nftables table: "),
    ],
)
def test_refusals(monkeypatch: pytest.MonkeyPatch, code: int, words: str) -> None:
    def refuse(self: NetlinkSocket, *args: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(NetlinkSocket, "transaction", refuse)
    monkeypatch.setattr(NetlinkSocket, "request", lambda *args, **options: [])
    with pytest.raises(NetworkError, match=words):
        NatTable("eth0", [], tunnels="ppp%d")
