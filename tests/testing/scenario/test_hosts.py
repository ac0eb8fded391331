from ipaddress import IPv4Address

import pytest

from pypptp.net import forwarding
from pypptp.net.namespaces import Namespace
from pypptp.testing.scenario.holders import holders
from pypptp.testing.scenario.hosts import GATEWAY_PRIVATE, GATEWAY_PUBLIC, PRIVATE, PUBLIC, Hosts, set_default_route
from pypptp.testing.scenario.ping import ping

pytestmark = pytest.mark.netns


def answers(host: Namespace, address: IPv4Address) -> bool:
    return ping(host, address, count=1, patience=0.3).received == 1


def test_who_reaches_whom() -> None:
    with Hosts() as hosts:
        assert answers(hosts.private, GATEWAY_PRIVATE)
        assert answers(hosts.gateway, PRIVATE)
        assert answers(hosts.gateway, PUBLIC)
        assert answers(hosts.public, GATEWAY_PUBLIC)
        assert not answers(hosts.private, PUBLIC)
        # Not for want of a route alone: the gateway does not forward.
        set_default_route(hosts.private, GATEWAY_PRIVATE, "eth0")
        assert not answers(hosts.private, PUBLIC)
        hosts.gateway.run(forwarding.enable)
        assert not answers(hosts.private, PUBLIC)  # nor would the public host know the way back


def test_changes_are_told_by_host() -> None:
    with Hosts() as hosts:
        before = hosts.snapshot()
        assert hosts.changes_since(before) == []
        set_default_route(hosts.private, GATEWAY_PRIVATE, "eth0")
        changes = hosts.changes_since(before, patience=0.0)
        assert len(changes) == 1
        assert changes[0].startswith("private: + route 0.0.0.0/0 via 10.100.100.1 dev eth0")


def test_nothing_is_left_of_them() -> None:
    hosts = Hosts()
    inodes = hosts.inodes()
    assert sorted(inodes.values()) == ["gateway", "private", "public"]
    hosts.close()
    hosts.close()
    assert holders(inodes) == []
