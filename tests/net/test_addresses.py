from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest

from pypptp.net import links
from pypptp.net.addresses import LocalAddress, local_addresses
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
