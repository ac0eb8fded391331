from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest

from pypptp.net import links
from pypptp.net.addresses import LocalAddress, local_addresses, own_addresses
from pypptp.net.namespaces import Namespace
from pypptp.net.netlink import NetlinkSocket
from pypptp.net.tun import LinuxTun


@pytest.mark.netns
def test_the_addresses_of_every_interface(host: Namespace) -> None:
    def act() -> list[LocalAddress]:
        tun = LinuxTun("vpn%d")
        try:
            with NetlinkSocket() as netlink:
                links.add_address(netlink, tun.name, IPv4Address("192.168.0.1"), peer=IPv4Address("192.168.0.234"))
            return local_addresses()
        finally:
            tun.close()

    assert [known for known in host.run(act) if known.interface != "lo"] == [
        LocalAddress("eth0", IPv4Address("10.9.0.2"), IPv4Network("10.9.0.0/24")),
        LocalAddress("vpn0", IPv4Address("192.168.0.1"), IPv4Network("192.168.0.234/32")),
    ]


@pytest.mark.netns
def test_our_own_addresses_without_objects(host: Namespace) -> None:
    def act() -> list[tuple[int, IPv4Address, int]]:
        tun = LinuxTun("vpn%d")
        try:
            with NetlinkSocket() as netlink:
                links.add_address(netlink, tun.name, IPv4Address("192.168.0.1"), peer=IPv4Address("192.168.0.234"))
                names = {links.interface_index(name): name for name in ("lo", "eth0", tun.name)}
                found = own_addresses(netlink)
                assert [names[index] for index, _, _ in found if names[index] != "lo"] == ["eth0", tun.name]
                return found
        finally:
            tun.close()

    assert [(str(address), prefix) for _, address, prefix in host.run(act) if not address.is_loopback] == [
        ("10.9.0.2", 24),
        ("192.168.0.1", 32),
    ]
