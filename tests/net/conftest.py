"""Namespaces for the tests; the pytest process itself never leaves its own."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

import pytest

from pypptp.net import routes
from pypptp.net.edge import Route
from pypptp.net.namespaces import Namespace, connect
from pypptp.net.netlink import NetlinkSocket


def set_default_route(namespace: Namespace, gateway: str, interface: str = "eth0", metric: int = 0) -> None:
    def act() -> None:
        with NetlinkSocket() as netlink:
            routes.add(netlink, Route(IPv4Network("0.0.0.0/0"), interface, IPv4Address(gateway), metric=metric))

    namespace.run(act)


@pytest.fixture
def host() -> Iterator[Namespace]:
    """A host on 10.9.0.0/24 as .2, its default route through .1."""
    with Namespace("host") as host, Namespace("router") as router:
        connect(host, "eth0", router, "eth0")
        host.add_address("eth0", "10.9.0.2/24")
        router.add_address("eth0", "10.9.0.1/24")
        set_default_route(host, "10.9.0.1")
        yield host
