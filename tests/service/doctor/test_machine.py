from __future__ import annotations

import os
import socket
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from pypptp.net.linux import LinuxEdge
from pypptp.net.namespaces import Namespace
from pypptp.service.doctor.machine import WideRoute, find_listeners, look_at_machine

pytestmark = pytest.mark.netns


def test_an_empty_namespace() -> None:
    with Namespace("a") as host:
        seen = host.run(look_at_machine)
    assert (seen.wide_routes, seen.way_out, seen.listeners) == ((), None, ())
    assert seen.forwarding_settable


def test_routes_through_a_tunnel() -> None:
    edge = LinuxEdge()

    def act() -> tuple[WideRoute, ...]:
        try:
            tun = edge.open_tun("ppp3")
            edge.configure(tun, local=IPv4Address("10.9.9.2"), peer=IPv4Address("10.9.9.1"))
            edge.add_default_route(tun)
            edge.add_route(IPv4Network("0.0.0.0/0"), via=tun, metric=7)
            seen = look_at_machine()
            assert seen.way_out is not None
            assert seen.way_out.interface == "ppp3"
            assert "ppp3" in seen.reverse_path
            return seen.wide_routes
        finally:
            edge.undo()

    with Namespace("a") as host:
        routes = host.run(act)
    assert {(str(route.network), route.interface, route.metric, route.tunnel) for route in routes} == {
        ("0.0.0.0/0", "ppp3", 7, True),
        ("0.0.0.0/1", "ppp3", 0, True),
        ("128.0.0.0/1", "ppp3", 0, True),
    }


def test_settings() -> None:
    def act() -> None:
        folder = Path("/proc/sys/net/ipv4")
        (folder / "ip_forward").write_text("1")
        (folder / "conf/all/rp_filter").write_text("0")
        edge = LinuxEdge()
        try:
            edge.open_tun("ppp3")
            (folder / "conf/ppp3/rp_filter").write_text("1")
            seen = look_at_machine()
            assert seen.forwarding
            assert seen.reverse_path["ppp3"] == 1
            (folder / "conf/all/rp_filter").write_text("2")
            assert look_at_machine().reverse_path["ppp3"] == 2
        finally:
            edge.undo()

    with Namespace("a") as host:
        host.run(act)


def test_who_listens() -> None:
    def act() -> None:
        assert find_listeners(1723) == []
        with socket.create_server(("127.0.0.1", 1723)):
            (found,) = find_listeners(1723)
            assert found.pid == os.getpid()
            assert not found.ours
            assert find_listeners(1724) == []

    with Namespace("a") as host:
        host.run(act)
