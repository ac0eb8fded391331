"""Proxy ARP with a real LAN.

host 10.9.0.2/24 eth0 ------ 10.9.0.1/24 router
     10.9.0.66/28 eth1 ----- router eth1
     10.9.0.161/27 lo
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from pypptp.net import forwarding, links, proxy_arp
from pypptp.net.journal import Journal
from pypptp.net.linux import LinuxEdge
from pypptp.net.namespaces import Namespace, connect
from pypptp.net.netlink import NetlinkSocket
from pypptp.net.snapshot import take_snapshot
from pypptp.testing.scenario import ping

pytestmark = pytest.mark.netns
ROOT = Path(__file__).resolve().parents[2]
CLIENT = IPv4Address("10.9.0.234")
LOCAL = IPv4Address("10.9.0.2")


@pytest.fixture
def lan() -> Iterator[tuple[Namespace, Namespace]]:
    with Namespace("host") as host, Namespace("router") as router:
        connect(host, "eth0", router, "eth0")
        connect(host, "eth1", router, "eth1")
        host.add_address("eth0", f"{LOCAL}/24")
        host.add_address("eth1", "10.9.0.66/28")
        host.add_address("lo", "10.9.0.161/27")
        router.add_address("eth0", "10.9.0.1/24")
        host.run(forwarding.enable)
        yield host, router


def entries(host: Namespace) -> list[str]:
    return [line for line in host.run(take_snapshot) if line.startswith("proxy ARP")]


def found(host: Namespace, address: str) -> str | None:
    def act() -> str | None:
        with NetlinkSocket() as netlink:
            index = proxy_arp.find_interface(netlink, IPv4Address(address))
            return None if index is None else links.interface_name(index)

    return host.run(act)


def test_the_interface_is_the_one_pppd_finds(lan: tuple[Namespace, Namespace]) -> None:
    host, _ = lan
    assert found(host, "10.9.0.234") == "eth0"
    assert found(host, "10.9.0.70") == "eth1"  # the longer prefix
    assert found(host, "10.9.0.170") == "eth0"  # lo's is longer still, and speaks no ARP
    assert found(host, "10.10.0.1") is None

    def down() -> None:
        with NetlinkSocket() as netlink:
            message = links._link(links.interface_index("eth1"))
            message["change"] = links.IFF_UP
            netlink.request(message, links.RTM_NEWLINK)

    host.run(down)
    assert found(host, "10.9.0.70") == "eth0"


def test_a_neighbour_without_a_route_reaches_the_client(lan: tuple[Namespace, Namespace]) -> None:
    host, router = lan
    edge = LinuxEdge()
    tun = host.run(lambda: edge.open_tun(mtu=1400))
    host.run(lambda: edge.configure(tun, local=LOCAL, peer=CLIENT, isolated=True, queue=33))
    assert ping(router, CLIENT, count=1).received == 0
    assert host.run(lambda: edge.add_proxy_arp(tun, CLIENT)) == "eth0"
    assert entries(host) == ["proxy ARP 10.9.0.234 dev eth0"]
    assert f"proxy ARP for {CLIENT} on eth0" in edge.changes()
    # Nobody answers behind this TUN: that the packet is there says that ARP has led it here.
    ping(router, CLIENT, count=1)
    seen = []
    while True:
        try:
            seen.append(os.read(tun.fd, 2000))
        except BlockingIOError:
            break
    assert any(packet[9] == 1 and packet[16:20] == CLIENT.packed for packet in seen), seen
    # Once more is no second entry, and what is not in any network is not answered for.
    assert host.run(lambda: edge.add_proxy_arp(tun, CLIENT)) == "eth0"
    assert host.run(lambda: edge.add_proxy_arp(tun, IPv4Address("172.16.0.9"))) is None
    assert host.run(lambda: edge.undo_for(tun)) == []
    assert entries(host) == []


def test_what_somebody_else_has_published_stays(lan: tuple[Namespace, Namespace]) -> None:
    host, _ = lan

    def by_hand() -> None:
        with NetlinkSocket() as netlink:
            proxy_arp.publish(netlink, CLIENT, links.interface_index("eth0"))

    host.run(by_hand)
    edge = LinuxEdge()
    tun = host.run(lambda: edge.open_tun())
    assert host.run(lambda: edge.add_proxy_arp(tun, CLIENT)) == "eth0"
    assert host.run(edge.undo) == []
    assert entries(host) == ["proxy ARP 10.9.0.234 dev eth0"]


def test_after_a_kill_it_is_taken_back(lan: tuple[Namespace, Namespace], tmp_path: Path) -> None:
    host, _ = lan
    program = (
        "import sys, time; from ipaddress import IPv4Address; from pathlib import Path\n"
        "from pypptp.net.journal import Journal; from pypptp.net.linux import LinuxEdge\n"
        "edge = LinuxEdge(Journal('server', folder=Path(sys.argv[1]))); tun = edge.open_tun()\n"
        f"print(edge.add_proxy_arp(tun, IPv4Address('{CLIENT}')), flush=True); time.sleep(60)"
    )
    folder = tmp_path / "journals"
    child = host.popen([sys.executable, "-c", program, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "eth0\n"
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate()
    assert entries(host) == ["proxy ARP 10.9.0.234 dev eth0"]
    recovery = host.run(lambda: LinuxEdge(Journal("server", folder=folder)).recover())
    assert [change.partition(", of")[0] for change in recovery.taken_back] == [f"proxy ARP for {CLIENT} on eth0"]
    assert entries(host) == []


def test_withdrawing_what_is_gone_is_no_error(lan: tuple[Namespace, Namespace]) -> None:
    host, _ = lan

    def act() -> None:
        with NetlinkSocket() as netlink:
            proxy_arp.withdraw(netlink, CLIENT, links.interface_index("eth0"))
            proxy_arp.withdraw(netlink, CLIENT, 9999)

    host.run(act)
