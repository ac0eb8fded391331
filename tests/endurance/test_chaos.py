"""The mix of bad things that the tunnel must bear without a loss of its own; and what time does to a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypptp.endpoint import Endpoint, EndpointConfig
from pypptp.ppp.auth import Secret
from pypptp.ppp.config import LinkConfig
from pypptp.roles import Role
from pypptp.testing import SimulatedNetwork, seeded
from tests.endurance.chaos import OWN_LOSS_ALLOWED, SESSIONS, THE_MIX, Passage, pass_through
from tests.endurance.ground import ground


@pytest.mark.netns
@pytest.mark.timeout(120)
def test_what_is_lost_is_lost_by_the_line(tmp_path: Path) -> None:
    with ground(tmp_path) as site:
        passage = pass_through(site, THE_MIX, 10.0)
    assert passage.established == SESSIONS
    assert passage.dropped == 0
    assert passage.inner >= 20_000
    assert passage.lost_by_line > 100
    assert passage.own_loss <= OWN_LOSS_ALLOWED


def test_a_loss_of_the_tunnels_own_is_seen() -> None:
    passage = Passage(THE_MIX, 20, 1.0, 1.0, 0, 20_000, 230, 200, 0)
    assert passage.own_loss == pytest.approx(0.0015)


def joined() -> SimulatedNetwork:
    client = Endpoint(
        Role.CLIENT,
        EndpointConfig(link=LinkConfig(name="alice")),
        random=seeded(1),
        now=0.0,
        secret=Secret(password="wonderland"),
    )
    server = Endpoint(Role.SERVER, EndpointConfig(link=LinkConfig(name="pptpd")), random=seeded(2), now=0.0)
    network = SimulatedNetwork(client, server, users={"alice": "wonderland"})
    client.connect(network.now)
    assert network.run_until(lambda: network.network_up)
    return network


@pytest.mark.parametrize("seconds", [5.0, 60.0, 119.0])
def test_a_line_that_is_down_for_less_than_the_patience_of_both_ends(seconds: float) -> None:
    network = joined()
    network.drop = lambda sender, datagram: True
    network.run(seconds)
    network.drop = None
    assert network.network_up
    packet = bytes.fromhex("4500001c0001000040117d0ac0a800eac0a800010009000900080000")
    assert network.client.send_packet(packet, network.now)
    network.run(1.0)
    assert network.server.packets_received() == [packet]


def test_a_line_that_is_down_for_longer() -> None:
    network = joined()
    network.drop = lambda sender, datagram: True
    network.run(200.0)
    assert not network.network_up
    assert network.reasons("server") == network.reasons("client") == ["no answer to 4 LCP Echo-Requests"]


@pytest.mark.parametrize("jump", [3600.0, 86_400.0, 30 * 86_400.0])
def test_a_clock_that_jumps_ahead_ends_nothing_by_itself(jump: float) -> None:
    # A machine that slept: its clock stood still or jumped, and the peer may still be there.
    network = joined()
    network.now += jump
    network.run(120.0)
    assert network.network_up
