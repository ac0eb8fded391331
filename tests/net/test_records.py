import json
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.net.edge import Route
from pypptp.net.forwarding import ForwardingState
from pypptp.net.records import (
    FilterMade,
    ForwardingOn,
    KillSwitchOn,
    NameServersFiled,
    NatMade,
    ProxyArpMade,
    Record,
    RouteAdded,
    from_fields,
    to_fields,
)

letters = st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/")
interfaces = st.text(letters, min_size=1, max_size=15).filter(lambda name: name not in (".", ".."))
networks = st.builds(
    lambda address, length: IPv4Network((address, length), strict=False), st.ip_addresses(v=4), st.integers(0, 32)
)
routes = st.builds(
    Route,
    networks,
    interfaces,
    st.none() | st.ip_addresses(),
    st.none() | st.ip_addresses(v=4),
    st.integers(0, 0xFFFF_FFFF),
)
settings = st.dictionaries(
    st.just("all/accept_redirects") | interfaces.map(lambda name: f"{name}/forwarding"), st.sampled_from(["0", "1"])
)
records: st.SearchStrategy[Record] = st.one_of(
    st.builds(RouteAdded, routes, st.integers(1, 0x7FFF_FFFF)),
    st.builds(ForwardingOn, st.builds(ForwardingState, st.sampled_from(["0", "1"]), settings)),
    st.builds(FilterMade, st.sampled_from(["MSS clamp", "isolation"]), st.just("pypptp 12 345")),
    st.builds(ProxyArpMade, st.ip_addresses(v=4), interfaces, st.integers(1, 0x7FFF_FFFF)),
    st.builds(KillSwitchOn, st.just("pypptp-kill-switch-4711-0123abcd")),
    st.builds(NameServersFiled, interfaces.filter(lambda name: name[0] != "-").map("{}.pypptp".format)),
    st.builds(NatMade, interfaces, st.lists(networks, max_size=3).map(tuple), st.just("pypptp 12 345")),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)

ROUTE = RouteAdded(Route(IPv4Network("10.0.0.0/8"), "eth0", IPv4Address("192.0.2.1"), metric=3), 2)
FORWARDING = ForwardingOn(ForwardingState("0", {"all/accept_redirects": "1", "eth0/forwarding": "0"}))
FILTER = FilterMade("isolation", "pypptp 12 345")
PROXY = ProxyArpMade(IPv4Address("10.9.0.234"), "eth0", 2)
SWITCH = KillSwitchOn("pypptp-kill-switch-4711-0123abcd")
FILED = NameServersFiled("ppp0.pypptp")
NAT = NatMade("eth0", (IPv4Network("192.168.0.234/31"),), "pypptp 12 345")


@given(records)
def test_written_and_read(record: Record) -> None:
    assert from_fields(json.loads(json.dumps(to_fields(record)))) == record


@given(json_values)
def test_anything_else_is_a_value_error(value: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever the words
        from_fields(value)


@given(st.data())
def test_a_value_of_another_kind_is_a_value_error_or_none_the_less_sound(data: st.DataObject) -> None:
    fields = to_fields(data.draw(records))
    fields[data.draw(st.sampled_from(sorted(fields)))] = data.draw(json_values)
    try:
        record = from_fields(fields)
    except ValueError:
        return
    assert from_fields(to_fields(record)) == record


@pytest.mark.parametrize(
    ("record", "field", "value"),
    [
        (SWITCH, "name", "firewalld"),
        (SWITCH, "name", "pypptp-kill-switch-1-2-3"),
        (SWITCH, "name", "pypptp-kill-switch-1-0123abcd\n"),
        (FILED, "key", "eth0.dhclient"),
        (FILED, "key", "-x.pypptp"),
        (FILED, "key", "../x.pypptp"),
        (ROUTE, "network", "10.0.0.1/8"),
        (ROUTE, "network", 10),
        (ROUTE, "interface", "../eth0"),
        (ROUTE, "interface", "\ud800"),
        (ROUTE, "index", 0),
        (ROUTE, "index", True),
        (ROUTE, "metric", 2**32),
        (ROUTE, "metric", 1.0),
        (FORWARDING, "before", "0\n"),
        (FORWARDING, "settings", {"../../kernel/panic": "1"}),
        (FORWARDING, "settings", {"../forwarding": "1"}),
        (FORWARDING, "settings", {"eth0/forwarding": "1; reboot"}),
        (FORWARDING, "settings", []),
        (NAT, "sources", "10.0.0.0/8"),
        (NAT, "comment", "somebody else's"),
        (NAT, "kind", "table"),
        (FILTER, "purpose", "flush ruleset"),
        (FILTER, "comment", "somebody else's"),
        (PROXY, "address", "10.9.0.0/24"),
        (PROXY, "interface", "../eth0"),
        (PROXY, "index", 0),
    ],
)
def test_refused(record: Record, field: str, value: Any) -> None:
    fields = to_fields(record)
    assert from_fields(fields) == record
    with pytest.raises(ValueError):  # noqa: PT011 - whatever the words
        from_fields(fields | {field: value})


def test_in_words() -> None:
    assert str(ROUTE) == "route 10.0.0.0/8 via 192.0.2.1 dev eth0 metric 3"
    assert str(RouteAdded(Route(IPv4Network("10.0.0.0/8"), "eth0", IPv6Address("fe80::1")), 2)).endswith("dev eth0")
    assert str(FILTER) == "isolation of the tunnels"
    assert str(PROXY) == "proxy ARP for 10.9.0.234 on eth0"
    assert str(FORWARDING) == "IPv4 forwarding on"
    assert str(SWITCH) == "kill switch (nftables table pypptp-kill-switch-4711-0123abcd)"
    assert str(FILED) == "name servers filed with resolvconf as ppp0.pypptp"
    assert str(NAT) == "NAT of 192.168.0.234/31 out of eth0"
    assert str(NatMade("eth0", (), "pypptp 1 2")) == "NAT of nothing out of eth0"
