"""The host is 10.9.0.2/24 on eth0, its default route goes by 10.9.0.1."""

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network, IPv6Address

import pytest

from pypptp.errors import NetworkError
from pypptp.net import links, routes
from pypptp.net.edge import HALVES, Route, RouteTaken
from pypptp.net.namespaces import Namespace, connect
from pypptp.net.netlink import NLM_F_CREATE, NLM_F_EXCL, NetlinkSocket, rtmsg
from pypptp.net.snapshot import take_snapshot

GATEWAY, HOST = IPv4Address("10.9.0.1"), IPv4Address("10.9.0.2")
FAR = IPv4Address("198.51.100.7")
TEN = IPv4Network("10.0.0.0/8")

pytestmark = pytest.mark.netns


def _foreign(netlink: NetlinkSocket, network: str, gateway: str, metric: int = 0) -> None:
    """Add a route as an administrator would ("proto static")."""
    message = routes._full(
        Route(IPv4Network(network), "eth0", IPv4Address(gateway), metric=metric), links.interface_index("eth0")
    )
    message["proto"] = 4
    netlink.request(message, routes.RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL)


@contextmanager
def _nothing_left() -> Iterator[NetlinkSocket]:
    before = take_snapshot()
    with NetlinkSocket() as netlink:
        yield netlink
    assert take_snapshot() == before


def test_ways(host: Namespace) -> None:
    def act() -> None:
        with NetlinkSocket() as netlink:
            assert routes.look_up(netlink, GATEWAY) == RouteTaken("eth0", None, HOST)
            assert routes.look_up(netlink, FAR) == RouteTaken("eth0", GATEWAY, HOST)
            assert routes.look_up(netlink, HOST) == RouteTaken("lo", None, HOST, local=True)
            assert routes.find_default(netlink) == RouteTaken("eth0", GATEWAY)

    host.run(act)


def test_no_way() -> None:
    def act() -> None:
        with NetlinkSocket() as netlink:
            assert routes.find_default(netlink) is None
            with pytest.raises(NetworkError, match=r"no route to 198\.51\.100\.7"):
                routes.look_up(netlink, FAR)

    with Namespace("alone") as alone:
        alone.run(act)


def test_the_default_route_with_the_lowest_metric(host: Namespace) -> None:
    def act() -> None:
        with NetlinkSocket() as netlink:
            _foreign(netlink, "0.0.0.0/0", "10.9.0.9", metric=100)
            assert routes.find_default(netlink) == RouteTaken("eth0", GATEWAY)

    host.run(act)


@pytest.mark.parametrize("prefix", range(33))
def test_added_found_and_removed(host: Namespace, prefix: int) -> None:
    def act() -> None:
        network = IPv4Network((int(FAR) >> (32 - prefix) << (32 - prefix), prefix))
        with _nothing_left() as netlink:
            route = Route(network, "eth0", IPv4Address("10.9.0.77"))
            added = routes.add(netlink, route)
            assert added == route
            assert routes.look_up(netlink, FAR).gateway == IPv4Address("10.9.0.77")
            routes.remove(netlink, added)
            assert routes.look_up(netlink, FAR).gateway == GATEWAY
            routes.remove(netlink, added)

    host.run(act)


def test_halves_beat_the_default_route_and_leave_it(host: Namespace) -> None:
    def act() -> None:
        with _nothing_left() as netlink:
            for half in HALVES:
                assert routes.add(netlink, Route(half, "lo")) is not None
            for address in ("8.8.8.8", "198.51.100.7"):
                assert routes.look_up(netlink, IPv4Address(address)).interface == "lo"
            assert routes.find_default(netlink) == RouteTaken("eth0", GATEWAY)
            for half in HALVES:
                routes.remove(netlink, Route(half, "lo"))

    host.run(act)


def test_the_same_route_is_not_added(host: Namespace) -> None:
    def act() -> None:
        with NetlinkSocket() as netlink:
            _foreign(netlink, "10.0.0.0/8", "10.9.0.1")
        with _nothing_left() as netlink:
            assert routes.add(netlink, Route(TEN, "eth0", GATEWAY)) is None
            routes.remove(netlink, Route(TEN, "eth0", GATEWAY))

    host.run(act)


def test_a_route_elsewhere_is_overridden_and_comes_back(host: Namespace) -> None:
    def act() -> None:
        with NetlinkSocket() as netlink:
            _foreign(netlink, "10.0.0.0/8", "10.9.0.5")
        with _nothing_left() as netlink:
            added = routes.add(netlink, Route(TEN, "eth0", GATEWAY))
            assert added is not None
            assert routes.look_up(netlink, IPv4Address("10.1.1.1")).gateway == GATEWAY
            routes.remove(netlink, added)
            assert routes.look_up(netlink, IPv4Address("10.1.1.1")).gateway == IPv4Address("10.9.0.5")

    host.run(act)


@pytest.mark.parametrize("first_to_go", [0, 1])
def test_two_instances_take_each_their_own_away(host: Namespace, first_to_go: int) -> None:
    def act() -> None:
        with _nothing_left() as netlink:
            pin = Route(IPv4Network(FAR), "eth0", GATEWAY, HOST)
            both = [routes.add(netlink, pin), routes.add(netlink, pin)]
            assert [route.metric for route in both if route is not None] == [0, 1]
            gone, left = both[first_to_go], both[1 - first_to_go]
            assert gone is not None
            assert left is not None
            routes.remove(netlink, gone)
            routes.remove(netlink, gone)
            assert len(routes._same(netlink, left, links.interface_index("eth0"))) == 1
            routes.remove(netlink, left)

    host.run(act)


def test_a_gateway_that_is_not_on_the_link(host: Namespace) -> None:
    def act() -> None:
        with _nothing_left() as netlink:
            added = routes.add(netlink, Route(TEN, "eth0", IPv4Address("192.0.2.1")))
            assert added is not None
            assert routes.look_up(netlink, IPv4Address("10.1.1.1")).gateway == IPv4Address("192.0.2.1")
            routes.remove(netlink, added)

    host.run(act)


def test_an_ipv6_gateway(host: Namespace) -> None:
    def act() -> None:
        with _nothing_left() as netlink:
            gateway = IPv6Address("fe80::1")
            added = routes.add(netlink, Route(TEN, "eth0", gateway))
            assert added is not None
            assert routes.look_up(netlink, IPv4Address("10.1.1.1")).gateway == gateway
            routes.remove(netlink, added)

    host.run(act)


def test_refusals_name_the_route(host: Namespace) -> None:
    def act() -> None:
        with NetlinkSocket() as netlink:
            with pytest.raises(NetworkError, match="no interface eth7"):
                routes.add(netlink, Route(TEN, "eth7"))
            with pytest.raises(NetworkError, match=r"cannot add route 10\.0\.0\.0/8 via 10\.9\.0\.1 dev eth0: "):
                routes.add(netlink, Route(TEN, "eth0", GATEWAY, source=IPv4Address("192.0.2.9")))
            routes.remove(netlink, Route(TEN, "eth7"))

    host.run(act)


def test_several_next_hops() -> None:
    reply = rtmsg()
    reply["attrs"] = [
        ("RTA_MULTIPATH", [_Hop({"oif": 1, "attrs": []}, "192.0.2.1"), _Hop({"oif": 2, "attrs": []}, "192.0.2.2")])
    ]
    assert routes._hop(reply) == ("lo", IPv4Address("192.0.2.1"), None)


class _Hop(dict[str, object]):
    def __init__(self, fields: dict[str, object], gateway: str) -> None:
        super().__init__(fields)
        self._gateway = gateway

    def get_attr(self, name: str) -> str | None:
        return self._gateway if name == "RTA_GATEWAY" else None


SECOND_GATEWAY = IPv4Address("10.8.0.1")


@pytest.fixture
def two_uplinks(host: Namespace) -> Iterator[Namespace]:
    """The host has a second way out, by eth1, which the kernel takes where the first is not to be had."""
    with Namespace("other router") as router:
        connect(host, "eth1", router, "eth0")
        host.add_address("eth1", "10.8.0.2/24")

        def act() -> None:
            with NetlinkSocket() as netlink:
                routes.add(netlink, Route(IPv4Network("0.0.0.0/0"), "eth1", SECOND_GATEWAY, metric=200))

        host.run(act)
        yield host


def test_the_way_by_one_interface(two_uplinks: Namespace) -> None:
    def act() -> None:
        with NetlinkSocket() as netlink:
            assert routes.look_up(netlink, FAR).interface == "eth0"
            found = routes.look_up(netlink, FAR, by="eth1")
            assert (found.interface, found.gateway) == ("eth1", SECOND_GATEWAY)
            routes.remove(netlink, Route(IPv4Network("0.0.0.0/0"), "eth1", SECOND_GATEWAY, metric=200))
            # Without a route by it the kernel would take anybody for a neighbour.
            with pytest.raises(NetworkError, match=r"no route to 198\.51\.100\.7 by eth1"):
                routes.look_up(netlink, FAR, by="eth1")
            with pytest.raises(NetworkError, match="no interface eth9"):
                routes.look_up(netlink, FAR, by="eth9")

    two_uplinks.run(act)


def test_the_way_around_an_interface(two_uplinks: Namespace) -> None:
    def act() -> None:
        with NetlinkSocket() as netlink:
            for half in HALVES:
                routes.add(netlink, Route(half, "eth1", SECOND_GATEWAY))
            assert routes.look_up(netlink, FAR).interface == "eth1"
            assert routes.look_up_around(netlink, FAR, "eth1").interface == "eth0"
            assert routes.look_up_around(netlink, FAR, "eth0").interface == "eth1"
            # The longest prefix, then the lowest metric: the kernel's own order.
            _foreign(netlink, "198.51.100.0/24", "10.9.0.3", metric=500)
            assert routes.look_up_around(netlink, FAR, "eth1").gateway == IPv4Address("10.9.0.3")

    two_uplinks.run(act)


def test_no_way_around(host: Namespace) -> None:
    def act() -> None:
        with NetlinkSocket() as netlink, pytest.raises(NetworkError, match="besides the one by eth0"):
            routes.look_up_around(netlink, FAR, "eth0")

    host.run(act)
