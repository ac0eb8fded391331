"""One packet through a session, without sockets, and what that costs beside its cipher."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.cores import NOW, Pair
from bench.limits import packet_costs
from bench.packets import ip_packet, slot
from pypptp.gre import Tunnel, parse_header
from pypptp.mppe.rc4 import bind
from pypptp.ppp.config import LinkConfig, MppePolicy
from pypptp.session import Session

SIZES = [64, 1400]
LINKS = {
    "stateless-128": LinkConfig(name="alice"),
    "stateful-128": LinkConfig(name="alice", stateless=False),
    "clear": LinkConfig(name="alice", mppe=MppePolicy.DENY),
}
PACKETS = 5_000
MOST_BESIDE_THE_CIPHER = 1.6


@pytest.mark.parametrize("octets", SIZES)
@pytest.mark.parametrize("link", LINKS)
def test_encapsulate(benchmark: BenchmarkFixture, link: str, octets: int) -> None:
    client, _ = Pair(LINKS[link]).connect().sessions()
    buffer = slot(ip_packet(octets))
    handle, first = bind(buffer), Session.HEADROOM

    def encapsulate() -> int:
        # Encryption in place leaves no IP packet there for the next round.
        buffer[first] = 0x45
        return client.encapsulate(handle, buffer, first, first + octets, NOW)

    assert benchmark(encapsulate)
    assert client.counters.packets_out


@pytest.mark.parametrize("octets", SIZES)
@pytest.mark.parametrize("link", LINKS)
def test_decapsulate(benchmark: BenchmarkFixture, link: str, octets: int) -> None:
    client, server = Pair(LINKS[link]).connect().sessions()
    packet = ip_packet(octets)

    def prepare() -> tuple[tuple[object, bytearray, int, int, float], dict[str, object]]:
        # A packet is received once: each is made while the clock stands.
        buffer = slot(packet)
        handle = bind(buffer)
        start = client.encapsulate(handle, buffer, Session.HEADROOM, len(buffer), NOW)
        return (handle, buffer, start, len(buffer), NOW), {}

    benchmark.pedantic(server.receive, setup=prepare, rounds=PACKETS)  # type: ignore[no-untyped-call]
    assert server.counters.packets_in == client.counters.packets_out == PACKETS


def test_gre_header_out(benchmark: BenchmarkFixture) -> None:
    tunnel, buffer = Tunnel(1, 2), bytearray(1500)
    assert benchmark(tunnel.write_header, buffer, 100, 1500, NOW) == 88


def test_gre_header_in(benchmark: BenchmarkFixture) -> None:
    buffer = bytearray(1500)
    start = Tunnel(1, 2).write_header(buffer, 100, 1500, NOW)
    header = bytes(buffer[start:])
    parsed = benchmark(parse_header, header)
    assert parsed is not None
    assert parsed.payload_length == 1400


def test_encapsulation_costs_little_beside_its_cipher() -> None:
    costs = packet_costs()
    if not costs:
        pytest.skip("measured against libcrypto, which is not there")
    print(", ".join(f"{name} {cost:.2f}" for name, cost in costs.items()))
    assert costs["encapsulate beside the cipher"] <= MOST_BESIDE_THE_CIPHER
