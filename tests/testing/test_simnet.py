"""The simulated network does what it says, and the same each time."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.endpoint import SessionEvent
from pypptp.ppp.events import NetworkUp
from pypptp.testing import Direction, Impairment, SimulatedNetwork, seeded
from pypptp.testing import simnet as module
from tests.peers import CLIENT_ADDRESS, SERVER_ADDRESS, connected, ip_packet, make_network


def send(network: SimulatedNetwork, count: int, *, interval: float = 0.001) -> list[int]:
    """Have the client send numbered packets; returns the numbers the server received."""
    network.server.packets_received()
    for number in range(count):
        assert network.client.send_packet(ip_packet(b"x" * 40, number=number), network.now)
        network.run(interval)
    network.run(1.0)
    return [int.from_bytes(packet[4:6], "big") for packet in network.server.packets_received()]


def test_a_seed_gives_the_same_octets() -> None:
    first, second, other = seeded(1), seeded(1), seeded(2)
    assert [first(8), first(3)] == [second(8), second(3)]
    assert first(16) != other(16)
    assert len(first(100)) == 100


def test_latency_is_what_passes_between_sending_and_receiving() -> None:
    network = connected(impairment=Impairment(latency=0.25))
    began = network.now
    network.client.send_packet(ip_packet(), network.now)
    assert network.run_until(lambda: bool(network.server.packets_received()), 10)
    assert network.now - began == pytest.approx(0.25)


def test_time_passes_though_nothing_happens() -> None:
    network = make_network()
    network.run(3.0)
    assert network.now == pytest.approx(3.0)
    network.run(0.0)
    assert network.now == pytest.approx(3.0)
    assert not network.network_up


def test_run_until_stops_at_once_and_says_where_it_stands() -> None:
    network = make_network()
    assert network.run_until(lambda: True)
    assert network.now == 0
    assert not network.run_until(lambda: False, 2.0)
    assert network.now == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("impairment", "counted"),
    [
        (Impairment(loss=0.2), "lost"),
        (Impairment(duplication=0.2), "duplicated"),
        (Impairment(reordering=0.2), "reordered"),
        (Impairment(corruption=0.2), "corrupted"),
    ],
)
def test_each_impairment_happens_about_as_often_as_asked_for_and_alone(impairment: Impairment, counted: str) -> None:
    network = connected(seed=4)
    network.impairment = impairment
    before = network.counters.sent
    send(network, 1000)
    sent = network.counters.sent - before
    for name in ("lost", "duplicated", "reordered", "corrupted"):
        count = getattr(network.counters, name)
        assert (0.15 * sent < count < 0.25 * sent) if name == counted else count == 0, (name, count)


def test_a_clean_path_loses_nothing() -> None:
    network = connected()
    assert send(network, 300) == list(range(300))
    counters = network.counters
    assert (counters.lost, counters.duplicated, counters.reordered, counters.corrupted) == (0, 0, 0, 0)


def test_every_packet_comes_once_though_the_path_doubles_and_reorders() -> None:
    network = connected(seed=6)
    network.impairment = Impairment(latency=0.005, jitter=0.01, duplication=0.5, reordering=0.05)
    assert send(network, 500) == list(range(500))


def test_a_test_can_aim() -> None:
    seen: Counter[Direction] = Counter()

    def drop(side: Direction, datagram: bytes) -> bool:
        seen[side] += 1
        return side == "client"

    network = make_network(drop=drop)
    network.client.connect(network.now)
    network.run(5)
    assert seen["client"] > 1
    assert seen["server"] > 1
    assert not network.network_up
    (session,) = network.server.sessions.values()
    assert session.tunnel.highest_received is None


def test_the_trace_has_every_octet_in_order() -> None:
    network = connected()
    times = [when for when, _, _, _ in network.trace]
    assert times == sorted(times)
    assert {(side, kind) for _, side, kind, _ in network.trace} == {
        (side, kind) for side in ("client", "server") for kind in ("tcp", "gre")
    }
    # Start-Control-Connection-Request is first.
    _, side, kind, octets = network.trace[0]
    assert (side, kind, octets[8:10]) == ("client", "tcp", b"\x00\x01")


def test_addresses_are_given_once_and_taken_back() -> None:
    network = connected(addresses=(CLIENT_ADDRESS,))
    network.client.control.place_call(network.now)
    network.client.settle(network.now)
    network.run(10)
    assert network.reasons("server") == ["no address left in the pool"]
    network.client.close("enough", network.now)
    assert network.run_until(lambda: network.closed, 20)
    assert [str(address) for address in network._free] == [CLIENT_ADDRESS]
    assert not network.network_up


def test_unknown_users_are_refused() -> None:
    network = make_network(users={})
    network.client.connect(network.now)
    assert network.run_until(lambda: network.closed, 60)
    assert "E=691" in network.reasons("client")[0]


def test_name_servers_are_told() -> None:
    network = connected(dns=("9.9.9.9",), client={"ask_dns": True})
    (up,) = [
        event.event
        for _, side, event in network.events
        if side == "client" and isinstance(event, SessionEvent) and isinstance(event.event, NetworkUp)
    ]
    assert [str(server) for server in up.dns] == ["9.9.9.9"]
    assert str(up.peer) == SERVER_ADDRESS


def test_a_scenario_without_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVENT_LIMIT", 100)
    network = make_network()
    network.client.connect(network.now)
    with pytest.raises(RuntimeError, match="does not come to an end"):
        network.run(1000)


chances = st.floats(0, 0.3)


@given(
    st.builds(
        Impairment,
        latency=st.floats(0, 0.2),
        jitter=st.floats(0, 0.1),
        loss=chances,
        duplication=chances,
        reordering=chances,
        corruption=chances,
    ),
    st.integers(0, 1000),
)
def test_no_path_makes_an_end_raise_or_invent_packets(impairment: Impairment, seed: int) -> None:
    network: Any = make_network(seed=seed, impairment=impairment)
    network.client.connect(network.now)
    network.run_until(lambda: network.network_up or network.closed, 30)
    # What a flipped bit leaves plausible passes: MPPE has no integrity. On a path that flips none, nothing is invented.
    sent = {ip_packet(b"x" * 40, number=number) for number in range(10)}
    for packet in sorted(sent) if network.network_up else ():
        network.client.send_packet(packet, network.now)
        network.run(0.01)
    network.run(1)
    found = network.server.packets_received()
    if not impairment.corruption:
        assert set(found) <= sent
        assert len(found) == len(set(found))
    network.client.close("enough", network.now)
    assert network.run_until(lambda: network.closed, 120)
