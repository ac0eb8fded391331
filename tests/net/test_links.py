import errno
import os
import select
import socket
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from pypptp.errors import NetworkError
from pypptp.net import links, routes
from pypptp.net.edge import Route
from pypptp.net.namespaces import Namespace
from pypptp.net.netlink import NLM_F_DUMP, NetlinkSocket, ifaddrmsg, ifinfmsg
from pypptp.net.tun import LinuxTun

LOCAL, PEER = IPv4Address("192.168.0.1"), IPv4Address("192.168.0.234")


def test_an_interface_that_is_not_there() -> None:
    with pytest.raises(NetworkError, match="there is no interface none-such here"):
        links.interface_index("none-such")
    with pytest.raises(NetworkError, match="number 2147483647"):
        links.interface_name(2**31 - 1)


def _link(netlink: NetlinkSocket, name: str) -> ifinfmsg:
    message = ifinfmsg()
    message["index"] = links.interface_index(name)
    return netlink.request(message, links.RTM_GETLINK)[0]


@pytest.mark.netns
def test_a_tun_as_the_edge_sets_it_up(host: Namespace) -> None:
    def act() -> None:
        tun = LinuxTun(None)
        try:
            with NetlinkSocket() as netlink:
                links.prepare_tun(netlink, tun.name, mtu=1396, alias="pypptp test")
                links.add_address(netlink, tun.name, LOCAL, peer=PEER)
                links.add_address(netlink, tun.name, LOCAL, peer=PEER)
                links.set_up(netlink, tun.name)
                link = _link(netlink, tun.name)
                assert link.get_attr("IFLA_MTU") == 1396
                assert link.get_attr("IFLA_TXQLEN") == 1000
                assert link.get_attr("IFLA_IFALIAS") == "pypptp test"
                assert link["flags"] & links.IFF_UP
                addresses = [
                    address
                    for address in netlink.request(ifaddrmsg(), links.RTM_GETADDR, NLM_F_DUMP)
                    if address["index"] == links.interface_index(tun.name)
                ]
                assert [address["family"] for address in addresses] == [socket.AF_INET]
                assert addresses[0].get_attr("IFA_LOCAL") == str(LOCAL)
                assert addresses[0].get_attr("IFA_ADDRESS") == str(PEER)
                links.set_up(netlink, tun.name, mtu=1300)
                assert _link(netlink, tun.name).get_attr("IFLA_MTU") == 1300
                links.set_up(netlink, tun.name, group=links.ISOLATED_GROUP, queue=33)
                link = _link(netlink, tun.name)
                assert (link.get_attr("IFLA_GROUP"), link.get_attr("IFLA_TXQLEN")) == (links.ISOLATED_GROUP, 33)
                assert links.interface_flags(netlink, link["index"]) & links.IFF_POINTOPOINT
                assert links.interface_flags(netlink, 0x7FFF_FFFF) == 0
                links.remove_address(netlink, tun.name, LOCAL, peer=PEER)
                links.remove_address(netlink, tun.name, LOCAL, peer=PEER)
                left = netlink.request(ifaddrmsg(), links.RTM_GETADDR, NLM_F_DUMP)
                assert not [address for address in left if address["index"] == links.interface_index(tun.name)]
        finally:
            tun.close()

    host.run(act)


@pytest.mark.netns
@pytest.mark.parametrize("in_a_container", [False, True])
def test_the_kernel_sends_nothing_of_its_own_into_the_tunnel(
    host: Namespace, monkeypatch: pytest.MonkeyPatch, in_a_container: bool
) -> None:
    def read_only(*args: object, **options: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    if in_a_container:
        monkeypatch.setattr(Path, "write_text", read_only)

    def act() -> None:
        tun = LinuxTun(None)
        try:
            with NetlinkSocket() as netlink:
                links.prepare_tun(netlink, tun.name, mtu=1400, alias="pypptp test")
                links.add_address(netlink, tun.name, LOCAL, peer=PEER)
                links.set_up(netlink, tun.name)
            # Router solicitations leave within a second of the link coming up.
            assert select.select([tun.fd], [], [], 1.5)[0] == [], os.read(tun.fd, 2048).hex()
        finally:
            tun.close()

    host.run(act)


OTHER = IPv4Address("192.168.0.235")


@pytest.mark.netns
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((LOCAL, PEER), (OTHER, PEER)),
        ((LOCAL, PEER), (LOCAL, OTHER)),
        ((LOCAL, PEER), (OTHER, IPv4Address("192.168.9.9"))),
        ((LOCAL, PEER), (PEER, LOCAL)),
    ],
)
def test_another_address_leaves_the_routes_where_they_are(
    host: Namespace, before: tuple[IPv4Address, IPv4Address], after: tuple[IPv4Address, IPv4Address]
) -> None:
    network = IPv4Network("203.0.113.0/24")

    def act() -> None:
        tun = LinuxTun(None)
        try:
            with NetlinkSocket() as netlink:
                links.add_address(netlink, tun.name, before[0], peer=before[1])
                links.set_up(netlink, tun.name)
                assert routes.add(netlink, Route(network, tun.name)) is not None
                links.change_address(netlink, tun.name, before, after)
                assert links.holds_address(netlink, after[0])
                assert links.holds_address(netlink, before[0]) is (before[0] == after[0])
                taken = routes.look_up(netlink, network[7])
                assert (taken.interface, taken.source) == (tun.name, after[0])
                assert routes.look_up(netlink, after[1]).interface == tun.name
                addresses = [
                    (address.get_attr("IFA_LOCAL"), address.get_attr("IFA_ADDRESS"))
                    for address in netlink.request(ifaddrmsg(), links.RTM_GETADDR, NLM_F_DUMP)
                    if address["index"] == links.interface_index(tun.name) and address["family"] == socket.AF_INET
                ]
                assert addresses == [tuple(map(str, after))]
        finally:
            tun.close()

    host.run(act)


@pytest.mark.netns
def test_an_mtu_the_kernel_does_not_take(host: Namespace) -> None:
    def act() -> None:
        tun = LinuxTun(None)
        try:
            with NetlinkSocket() as netlink, pytest.raises(NetworkError, match="MTU of ppp0 to 20"):
                links.prepare_tun(netlink, tun.name, mtu=20, alias="x")
        finally:
            tun.close()

    host.run(act)
