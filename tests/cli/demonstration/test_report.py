from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from pypptp.aio.words import NetworkFacts
from pypptp.testing.scenario import Pings, Transfer
from pypptp_cli.demonstration.report import Report

NETWORK = NetworkFacts(
    interface="ppp0",
    local=IPv4Address("192.168.0.234"),
    peer=IPv4Address("192.168.0.1"),
    method="MS-CHAPv2",
    strength=128,
    stateless=True,
    mtu=1400,
)
TRANSFER = Transfer(IPv4Address("203.0.113.1"), 75_000_000, 3.0)


def good() -> Report:
    return Report(NETWORK, Pings(4, 0), Pings(4, 4), TRANSFER)


def test_all_is_well() -> None:
    assert good().faults() == []
    assert good().as_json() == {
        "connected": True,
        "auth": "MS-CHAPv2",
        "mppe": "MPPE-128 stateless",
        "client_ip": "192.168.0.234",
        "server_ip": "192.168.0.1",
        "ping_before": {"sent": 4, "received": 0},
        "ping_after": {"sent": 4, "received": 4},
        "seen_source": "203.0.113.1",
        "mbit_per_s": 200.0,
        "left_behind": [],
    }


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"ping_before": Pings(4, 1)}, "the public host answered 1 pings before there was a tunnel"),
        ({"ping_after": Pings(4, 3)}, "3 of 4 pings were answered through the tunnel"),
        ({"network": replace(NETWORK, method="PAP")}, "authenticated with PAP, not with MS-CHAPv2"),
        ({"network": replace(NETWORK, method="")}, "authenticated with nothing, not with MS-CHAPv2"),
        ({"network": replace(NETWORK, strength=40)}, "the tunnel has MPPE-40 stateless, not MPPE-128"),
        ({"network": replace(NETWORK, strength=None)}, "the tunnel has no encryption, not MPPE-128"),
        (
            {"transfer": replace(TRANSFER, source=IPv4Address("192.168.0.234"))},
            "the public host saw 192.168.0.234, not the gateway's 203.0.113.1",
        ),
        ({"transfer": replace(TRANSFER, octets=0)}, "nothing arrived at the public host"),
        ({"transfer": None}, "the demo did not get to its end"),
        ({"left_behind": ["gateway: + interface ppp0 mtu 1400"]}, "left behind: gateway: + interface ppp0 mtu 1400"),
        ({"trouble": ["the client ended without a word"]}, "the client ended without a word"),
    ],
)
def test_each_fault_is_said(change: dict[str, object], fault: str) -> None:
    report = good()
    for name, value in change.items():
        setattr(report, name, value)
    assert report.faults() == [fault]


def test_one_that_came_to_nothing_has_the_same_keys() -> None:
    report = Report(trouble=["no server"])
    assert report.faults() == ["no server"]
    assert list(report.as_json()) == list(good().as_json())
    assert report.as_json()["connected"] is False
    assert report.as_json()["ping_after"] == {"sent": 0, "received": 0}
