from ipaddress import IPv4Address, IPv4Network

import pytest

from pypptp.net.edge import HALVES, Route, tun_pattern


@pytest.mark.parametrize(
    ("name", "pattern"), [(None, "ppp%d"), ("ppp", "ppp%d"), ("ppp3", "ppp3"), ("vpn", "vpn"), ("vpn%d", "vpn%d")]
)
def test_pattern(name: str | None, pattern: str) -> None:
    assert tun_pattern(name) == pattern


def test_halves_are_everything_and_beat_any_default_route() -> None:
    assert sum(half.num_addresses for half in HALVES) == 2**32
    assert not HALVES[0].overlaps(HALVES[1])
    assert all(half.prefixlen > 0 for half in HALVES)


@pytest.mark.parametrize(
    ("route", "text"),
    [
        (Route(IPv4Network("10.0.0.0/8"), "eth0"), "route 10.0.0.0/8 dev eth0"),
        (
            Route(IPv4Network("10.0.0.0/8"), "eth0", IPv4Address("192.0.2.1"), IPv4Address("192.0.2.9"), 5),
            "route 10.0.0.0/8 via 192.0.2.1 dev eth0 metric 5",
        ),
    ],
)
def test_route_in_words(route: Route, text: str) -> None:
    assert str(route) == text
