"""What a client says of itself at each step."""

from __future__ import annotations

import json
from ipaddress import IPv4Address

import pytest

from pypptp.causes import Cause
from pypptp.mppe.keys import Strength
from pypptp.ppp.auth import AuthMethod
from pypptp.ppp.events import Encryption, NetworkUp
from pypptp.service.client_state import ClientState, Doing

NETWORK = NetworkUp(
    IPv4Address("192.168.0.234"),
    IPv4Address("192.168.0.1"),
    1400,
    Encryption(Strength.BITS_128, True),
    (IPv4Address("8.8.8.8"),),
    "alice",
    AuthMethod.MSCHAPV2,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(clock: Clock) -> ClientState:
    return ClientState("vpn.example", "alice", clock=clock)


def test_a_life(state: ClientState, clock: Clock) -> None:
    assert state.describe() == "connecting to vpn.example"
    state.listening("ppp0")
    assert state.describe() == "ppp0 waits for a packet to vpn.example"
    clock.now += 5
    state.dialling()
    assert (state.doing, state.tries, state.since) == (Doing.DIALLING, 1, clock.now)
    state.failed("nobody there", Cause.REFUSED)
    state.waiting(8.0)
    assert state.next_try == clock.now + 8
    clock.now += 3
    assert state.describe() == "dialling vpn.example again in 5 s; last failure: nobody there"
    state.dialling()
    assert state.tries == 2
    assert state.report()["next_try"] is None
    clock.now += 1
    state.connected(NETWORK, "ppp0")
    up = clock.now
    assert state.describe() == "connected to vpn.example, ppp0 192.168.0.234"
    clock.now += 60
    state.connected(NETWORK, "ppp0")
    assert (state.tries, state.sessions, state.since) == (0, 1, up), "the link was negotiated anew, no more"
    state.stopping()
    assert state.describe() == "disconnecting from vpn.example; last failure: nobody there"


def test_the_report_is_json_whatever_it_is_doing(state: ClientState) -> None:
    state.counters = lambda: {"packets_in": 7}
    state.dialling()
    report = json.loads(json.dumps(state.report()))
    assert (report["local"], report["encryption"], report["dns"], report["method"]) == (None, None, [], "")
    state.connected(NETWORK, "ppp0")
    report = json.loads(json.dumps(state.report()))
    assert report == {
        "server": "vpn.example",
        "user": "alice",
        "state": "connected",
        "since": 1_700_000_000.0,
        "interface": "ppp0",
        "local": "192.168.0.234",
        "peer": "192.168.0.1",
        "mtu": 1400,
        "dns": ["8.8.8.8"],
        "method": "MS-CHAPv2",
        "encryption": "MPPE 128-bit stateless",
        "counters": {"packets_in": 7},
        "tries": 0,
        "sessions": 1,
        "failure": "",
        "cause": None,
        "next_try": None,
    }
    state.failed("gone", Cause.LOST)
    state.waiting(2.5)
    report = state.report()
    assert (report["state"], report["cause"], report["next_try"]) == ("waiting", "lost", 1_700_000_002.5)
    assert report["local"] is None
