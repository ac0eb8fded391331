from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from pypptp.net.namespaces import Namespace
from pypptp.net.snapshot import take_snapshot
from pypptp.service.doctor import trial
from pypptp.service.doctor.trial import Trial, try_forwarding
from pypptp.testing.scenario import Hosts
from pypptp.testing.scenario.hosts import set_default_route
from tests.netns.packet_filters import DROP, FORWARD, chain, comes_by

pytestmark = pytest.mark.netns


def test_a_packet_comes_out_and_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "PATIENCE", 0.1)
    with Hosts() as hosts:
        gateway = hosts.gateway
        before = gateway.run(take_snapshot)
        # Forwarding is off there: it is switched on for the trial's own TUN alone.
        assert gateway.run(lambda: try_forwarding("eth1")) == Trial(True)
        assert gateway.run(take_snapshot) == before
        with chain(gateway, FORWARD, [*comes_by("ppp%d"), *DROP]):
            assert gateway.run(lambda: try_forwarding("eth1")) == Trial(False)


def test_it_goes_by_the_default_route_and_not_by_another_link() -> None:
    with Hosts() as hosts:
        set_default_route(hosts.private, IPv4Address("10.100.100.1"), "eth0")
        assert hosts.private.run(lambda: try_forwarding("eth0")).passed


def test_where_it_cannot_be_tried() -> None:
    with Namespace("a") as host:
        found = host.run(lambda: try_forwarding("eth7"))
    assert found.passed is None
    assert found.why
    assert not Path("/proc/sys/net/ipv4/conf/eth7").exists()
