from __future__ import annotations

from dataclasses import asdict

from pypptp.aio.figures import counters_of, figures_of, server_figures
from pypptp.testing import Impairment
from tests.peers import CLIENT_ADDRESS, SERVER_ADDRESS, connected, ip_packet


def test_the_figures_of_a_session() -> None:
    network = connected(server={"echo_interval": 5.0}, impairment=Impairment(latency=0.02))
    (session,) = network.server.sessions.values()
    network.client.send_packet(ip_packet(b"in"), network.now)
    network.server.send_packet(ip_packet(b"out", source=SERVER_ADDRESS, destination=CLIENT_ADDRESS), network.now)
    network.run(1)
    figures = figures_of(session, None)
    counters = dict(figures.counters)
    assert figures.call_id == session.call_id
    assert (counters["packets_in"], counters["octets_in"], counters["octets_out"]) == (1, 22, 23)
    assert 0 not in counters.values()
    # The way there and back, and as long as the peer has put the acknowledgement off.
    assert figures.ack_round_trip is not None
    assert 0.039 < figures.ack_round_trip < 0.2
    assert figures.echo_round_trip is None
    network.run(5)
    echo = figures_of(session, None).echo_round_trip
    assert echo is not None
    assert 0.039 < echo < 0.05


def test_no_two_books_have_a_counter_of_the_same_name() -> None:
    network = connected()
    (session,) = network.server.sessions.values()
    both = asdict(session.counters).keys() & session.tunnel.counters().keys()
    assert both == set()
    assert len(counters_of(session, None)) > 40


def test_the_planes_of_all_processes_are_added_up() -> None:
    found = server_figures([], [{"datagrams_in": 2, "late": 0}, {"datagrams_in": 3, "kernel_drops": 1}])
    assert found.planes == (("datagrams_in", 5), ("kernel_drops", 1))
