"""News of the network, from a real one."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network

import pytest

from pypptp.net import links, routes
from pypptp.net.edge import Route
from pypptp.net.namespaces import Namespace
from pypptp.net.netlink import NetlinkSocket
from pypptp.net.tun import LinuxTun
from pypptp.net.watch import LinuxWatch

pytestmark = pytest.mark.netns

ADDRESS = IPv4Address("10.9.0.77")


def wait(watch: LinuxWatch, seconds: float) -> bool:
    return bool(select.select([watch.fd], [], [], seconds)[0])


def add_address(netlink: NetlinkSocket) -> None:
    links.add_address(netlink, "eth0", ADDRESS, prefix=24)


def add_route(netlink: NetlinkSocket) -> None:
    routes.add(netlink, Route(IPv4Network("198.51.100.0/24"), "eth0", IPv4Address("10.9.0.1")))


@pytest.mark.parametrize("change", [add_address, add_route])
def test_it_hears_of_addresses_and_routes(host: Namespace, change: Callable[[NetlinkSocket], None]) -> None:
    def act() -> None:
        watch = LinuxWatch()
        try:
            with NetlinkSocket() as netlink:
                wait(watch, 0.2)
                watch.drain()
                assert not wait(watch, 0.1)
                assert not watch.drain()
                change(netlink)
                assert wait(watch, 2)
                assert watch.drain()
                assert not watch.drain()
        finally:
            watch.close()

    host.run(act)


def test_it_hears_of_links(host: Namespace) -> None:
    def act() -> None:
        watch = LinuxWatch()
        try:
            watch.drain()
            LinuxTun(None).close()
            assert wait(watch, 2)
            assert watch.drain()
        finally:
            watch.close()

    host.run(act)


def test_news_that_were_lost_are_news(host: Namespace) -> None:
    def act() -> None:
        watch = LinuxWatch()
        try:
            with NetlinkSocket() as netlink:
                watch._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
                # More than its buffer holds now.
                for number in range(1, 30):
                    links.add_address(netlink, "eth0", ADDRESS + number, prefix=24)
            # The first thing it hears is ENOBUFS.
            assert watch.drain()
            assert not watch.drain()
        finally:
            watch.close()

    host.run(act)


def test_closing_twice(host: Namespace) -> None:
    def act() -> None:
        watch = LinuxWatch()
        watch.close()
        watch.close()
        assert watch.fd == -1

    host.run(act)
