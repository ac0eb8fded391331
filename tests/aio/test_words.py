from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.aio.words import NetworkFacts, describe_network, describe_refusals, parse_network
from pypptp.mppe.keys import Strength
from pypptp.ppp.auth import AuthMethod
from pypptp.ppp.events import Encryption, NetworkUp

addresses = st.integers(0, 2**32 - 1).map(IPv4Address)
encryptions = st.none() | st.builds(Encryption, strength=st.sampled_from(Strength), stateless=st.booleans())
networks = st.builds(
    NetworkUp,
    local=addresses,
    peer=addresses,
    mtu=st.integers(68, 65_535),
    encryption=encryptions,
    dns=st.just(()),
    user=st.just("alice"),
    method=st.none() | st.sampled_from(AuthMethod),
)


@given(networks, st.sampled_from(["ppp0", "vpn7", "a.b-c_d"]))
def test_what_is_described_is_read_back(network: NetworkUp, interface: str) -> None:
    assert parse_network(f"12:00:00 INFO    up: {describe_network(network, interface)}") == NetworkFacts(
        interface=interface,
        local=network.local,
        peer=network.peer,
        method=network.method.value if network.method else "",
        strength=int(network.encryption.strength) if network.encryption else None,
        stateless=bool(network.encryption and network.encryption.stateless),
        mtu=network.mtu,
    )


def test_the_servers_line_is_read_as_well() -> None:
    line = (
        "21:23:22 INFO    10.100.100.2: user 'alice' up: ppp3, local 192.168.0.1, remote 192.168.0.234, MS-CHAPv2, "
        "MPPE 128-bit stateless, mtu 1400"
    )
    facts = parse_network(line)
    assert facts is not None
    assert (facts.interface, facts.strength, facts.stateless) == ("ppp3", 128, True)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "21:23:12 INFO    connected to 10.100.100.1, a 'pypptp'",
        "21:23:12 INFO    down: the peer terminated the link",
        "up: ppp0, local 192.168.0.999, remote 192.168.0.1, MS-CHAPv2, not encrypted, mtu 1400",
        "up: ppp0, local 192.168.0.2, remote 192.168.0.1, MS-CHAPv2, not encrypted, mtu 1400 or so",
    ],
)
def test_other_lines_are_not(line: str) -> None:
    assert parse_network(line) is None


@given(st.text())
def test_no_line_raises(line: str) -> None:
    parse_network(f"up: {line}")


def test_refusals_are_named_and_what_passed_is_not() -> None:
    book = {"packets_in": 7, "wrong_source": 2, "not_up": 0, "sent": 9, "late": 3, "queued": 1, "tun_full": 1}
    assert describe_refusals(book) == "wrong source 2, late 3, tun full 1"
    assert describe_refusals({"packets_in": 7, "received": 3}) == ""
