"""Everything a server asks for passes, and everything around it does not."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from pypptp.net.edge import NetworkEdge, RouteTaken
from pypptp.net.memory import MemoryTun
from pypptp.net.remote.allowed import Allowed, NotAllowed, rules

LOCAL = IPv4Address("192.168.0.1")
POOL = IPv4Network("192.168.0.232/29")
ALLOWED = Allowed(tunnels="ppp%d", local=LOCAL, peers=set(POOL), nat="auto")
ONLY_A_CLIENTS = {
    *("pin_route", "add_route", "add_default_route", "bind_socket", "add_kill_switch", "leave_kill_switch"),
    *("set_name_servers", "watch", "release"),
}
NAT: dict[str, Any] = {"interface": None, "sources": (POOL,), "tunnels": "ppp%d"}
CONFIGURE: dict[str, Any] = {"local": LOCAL, "peer": POOL[3], "mtu": 1400, "isolated": False, "queue": None}


def way() -> RouteTaken | None:
    return RouteTaken("eth1", IPv4Address("203.0.113.254"))


def judge(method: str, allowed: Allowed = ALLOWED, **given: Any) -> None:
    allowed.check(method, given, way)


def test_every_method_of_an_edge_is_decided() -> None:
    # A new one fails here until it has a rule, or is a client's.
    methods = {name for name, value in vars(NetworkEdge).items() if callable(value) and not name.startswith("_")}
    assert methods == rules() | ONLY_A_CLIENTS
    for method in ONLY_A_CLIENTS:
        with pytest.raises(NotAllowed, match="not for a server's process"):
            judge(method)


def test_what_a_server_does() -> None:
    judge("recover", keep_kill_switch=False)
    judge("open_tun", name=None, mtu=1400)
    judge("open_tun", name="ppp%d", mtu=1400)
    judge("configure", **CONFIGURE)
    judge("default_route")
    judge("enable_forwarding")
    judge("add_nat", **NAT)
    judge("add_nat", **NAT | {"interface": "eth1", "sources": (IPv4Network(POOL[1]),)})
    judge("clamp_mss", tunnels="ppp%d")
    judge("undo")


@pytest.mark.parametrize(
    ("method", "given", "words"),
    [
        ("open_tun", {"name": "eth%d", "mtu": 1400}, "eth%d is not the name of a TUN"),
        ("open_tun", {"name": None, "mtu": 67}, "67 is no MTU"),
        ("open_tun", {"name": None, "mtu": 65_536}, "65536 is no MTU"),
        ("configure", CONFIGURE | {"local": LOCAL + 1}, "192.168.0.2 is not the inner address"),
        ("configure", CONFIGURE | {"peer": IPv4Address("203.0.113.254")}, "203.0.113.254 is not for clients"),
        ("configure", CONFIGURE | {"isolated": True}, "isolate is off"),
        ("configure", CONFIGURE | {"queue": 0}, "no length of a queue"),
        ("configure", CONFIGURE | {"mtu": 1}, "1 is no MTU"),
        ("add_nat", NAT | {"interface": "lo"}, "lo is not the interface for NAT: that is eth1"),
        ("add_nat", NAT | {"sources": (POOL, IPv4Network("10.0.0.0/32"))}, "10.0.0.0/32 is not for clients"),
        ("add_nat", NAT | {"sources": (IPv4Network("192.168.0.0/24"),)}, "192.168.0.0/24 is not for clients"),
        ("add_nat", NAT | {"sources": (IPv4Network("0.0.0.0/0"),)}, "0.0.0.0/0 is not for clients"),
        ("add_nat", NAT | {"tunnels": "eth%d"}, "eth%d is not the name of a TUN"),
        ("clamp_mss", {"tunnels": "eth0"}, "eth0 is not the name of a TUN"),
        ("isolate", {}, "False: that is|True is not the setting"),
        ("add_proxy_arp", {"address": POOL[1]}, "setting of proxyarp"),
        ("recover", {"keep_kill_switch": True}, "client's request"),
        ("__init__", {}, "not for a server's process"),
    ],
)
def test_what_goes_beyond_it(method: str, given: dict[str, Any], words: str) -> None:
    with pytest.raises(NotAllowed, match=words):
        judge(method, **given)


def test_what_settings_open_and_close() -> None:
    closed = replace(ALLOWED, nat="none")
    for method, given in (("enable_forwarding", {}), ("add_nat", NAT)):
        with pytest.raises(NotAllowed):
            judge(method, closed, **given)
    arp = replace(closed, proxy_arp=True)
    judge("enable_forwarding", arp)
    judge("add_proxy_arp", arp, address=POOL[1])
    with pytest.raises(NotAllowed):
        judge("add_proxy_arp", arp, address=LOCAL)
    judge("isolate", replace(closed, isolate=True))
    named = replace(ALLOWED, nat="wan0", tunnels="vpn7")
    judge("add_nat", named, **NAT | {"interface": "wan0", "tunnels": "vpn7"})
    with pytest.raises(NotAllowed):
        judge("add_nat", named, **NAT | {"interface": "eth1", "tunnels": "vpn7"})
    judge("open_tun", named, name="vpn7", mtu=1400)


def test_a_worker_has_tuns_and_nothing_that_is_shared() -> None:
    worker = replace(ALLOWED, serves_all=False, isolate=True)
    judge("open_tun", worker, name=None, mtu=1400)
    judge("configure", worker, **CONFIGURE)
    judge("undo", worker)
    for method, given in (
        ("enable_forwarding", {}),
        ("add_nat", NAT),
        ("clamp_mss", {"tunnels": "ppp%d"}),
        ("isolate", {}),
        ("recover", {"keep_kill_switch": False}),
    ):
        with pytest.raises(NotAllowed, match="not for a server's process"):
            judge(method, worker, **given)


def test_a_later_address_is_a_workers_too() -> None:
    # Both look at the same set: what a reload adds counts for all.
    allowed = replace(ALLOWED, peers=set(POOL))
    worker = replace(allowed, serves_all=False)
    allowed.peers |= {IPv4Address("192.168.0.250")}
    judge("configure", worker, **CONFIGURE | {"peer": IPv4Address("192.168.0.250")})


def test_a_tun_does_not_matter_to_the_rules() -> None:
    tun = MemoryTun("ppp0")
    judge("undo_for", tun=tun)
    tun.close()
