from ipaddress import IPv4Address
from typing import Any

import pytest

from pypptp.aio.passage import PassageConfig
from pypptp.aio.rates import Rate, Rates
from pypptp.aio.time_limits import NO_LIMITS, TimeLimits
from pypptp.mppe.keys import Strength
from pypptp.ppp.auth import AuthMethod
from pypptp.ppp.config import MppePolicy
from pypptp.service.core_config import AUTH_METHODS, client_endpoint, server_config, server_endpoint
from pypptp.service.kinds import Choice, ListOf
from pypptp.service.options import options_of
from pypptp.service.rate_kinds import UserRate
from pypptp.service.settings import ClientSettings, ServerSettings, as_flags, make_settings


def server(**settings: Any) -> ServerSettings:
    return ServerSettings(local=IPv4Address("192.168.0.1"), **settings)


def test_defaults_of_a_server() -> None:
    config = server_endpoint(server())
    assert config.check_source
    assert config.control.echo_interval == 60
    link = config.link
    assert (link.name, link.auth, link.mppe) == ("pptpd", (AuthMethod.MSCHAPV2,), MppePolicy.REQUIRE)
    assert (link.strengths, link.stateless) == ((Strength.BITS_128,), True)
    # A packet of 1400 octets is 1404 with MPPE around it.
    assert (link.mtu, link.mru) == (1400, 1404)
    assert (link.echo_interval, link.echo_failure) == (30, 4)
    assert not link.ask_dns


def test_what_a_server_needs_beside_its_connections() -> None:
    assert server_config(server()).limits == NO_LIMITS
    wins, dns = (IPv4Address("10.0.0.3"),), (IPv4Address("9.9.9.9"),)
    config = server_config(server(wins=wins, dns=dns, idle=600.0, maxconnect=3600.0, chap_interval=300.0))
    assert (config.nbns, config.dns) == (wins, dns)
    assert config.limits == TimeLimits(idle=600, maxconnect=3600, chap_interval=300)


def test_what_may_pass() -> None:
    config = server_config(server())
    assert config.passage == PassageConfig()
    assert (config.endpoint.policy.multicast, config.endpoint.policy.port) == (False, 1723)
    slow, fast = Rate(1_000_000, 500_000), Rate(None, None)
    settings = server(
        port=1724,
        allow_multicast=True,
        allow_nested=True,
        isolate=True,
        proxy_arp=True,
        rate=slow,
        user_rate=(UserRate("bob", fast),),
    )
    config = server_config(settings)
    assert config.passage == PassageConfig(nested=True, isolated=True, proxy_arp=True, rates=Rates(slow, {"bob": fast}))
    assert (config.endpoint.policy.multicast, config.endpoint.policy.port) == (True, 1724)
    client = ClientSettings(server="vpn.example", allow_multicast=True)
    assert client_endpoint(client, "alice").policy.multicast
    # What workers are told makes the same settings.
    assert make_settings(ServerSettings, as_flags(settings)) == settings


def test_defaults_of_a_client() -> None:
    config = client_endpoint(ClientSettings(server="vpn.example"), "DOMAIN\\alice")
    assert config.check_source
    assert config.link.name == "DOMAIN\\alice"
    assert config.link.ask_dns
    assert config.link.mppe is MppePolicy.REQUIRE


@pytest.mark.parametrize("make", [server, lambda **settings: ClientSettings(server="vpn.example", **settings)])
def test_everything_said_arrives(make: Any) -> None:
    settings = make(
        auth=("chap", "mschap-v2", "pap", "mschap"),
        mppe="prefer",
        mppe_strength=(40, 56),
        mtu=1300,
        mru=1500,
        echo_interval=0.0,
        lcp_echo_interval=5.0,
        lcp_echo_failure=2,
    )
    config = server_endpoint(settings) if isinstance(settings, ServerSettings) else client_endpoint(settings, "a")
    link = config.link
    assert link.auth == (AuthMethod.CHAP, AuthMethod.MSCHAPV2, AuthMethod.PAP, AuthMethod.MSCHAP)
    assert (link.mppe, link.strengths) == (MppePolicy.PREFER, (Strength.BITS_40, Strength.BITS_56))
    assert (link.mtu, link.mru) == (1300, 1500)
    assert config.control.echo_interval == 0
    assert (link.echo_interval, link.echo_failure) == (5, 2)


def test_every_method_a_user_can_name_is_one() -> None:
    (kind,) = [option.kind for option in options_of(ServerSettings) if option.name == "auth"]
    assert isinstance(kind, ListOf)
    assert isinstance(kind.item, Choice)
    assert set(AUTH_METHODS) == set(kind.item.choices)


def test_the_extremes_a_user_may_ask_for_are_accepted() -> None:
    for mtu in (68, 65_535):
        config = server_endpoint(server(mtu=mtu, mru=mtu, echo_interval=86_400.0))
        assert config.link.mtu == mtu
