from __future__ import annotations

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.testing.path import Impairment, Path

PACKETS = 20_000


def test_a_good_path_hands_everything_on() -> None:
    path = Path(Impairment(latency=0.02))
    assert path.take(b"packet") == [(0.02, b"packet")]
    assert (path.counters.sent, path.counters.lost) == (1, 0)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_shares_are_what_was_asked_for(share: float) -> None:
    path = Path(Impairment(loss=share, duplication=share, reordering=share, corruption=share, holding=0.005), seed=7)
    arrivals = [path.take(bytes(40)) for _ in range(PACKETS)]
    counters = path.counters
    passed = PACKETS - counters.lost
    copies = passed + counters.duplicated
    for found, of in (
        (counters.lost, PACKETS),
        (counters.duplicated, passed),
        (counters.reordered, copies),
        (counters.corrupted, copies),
    ):
        assert found == pytest.approx(of * share, abs=4 * sqrt(of * share * (1 - share)))
    assert sum(map(len, arrivals)) == copies
    spoiled = [octets for arrival in arrivals for _, octets in arrival if octets != bytes(40)]
    assert len(spoiled) == counters.corrupted
    assert all(int.from_bytes(octets, "big").bit_count() == 1 for octets in spoiled)


def test_what_is_held_back_is_overtaken() -> None:
    path = Path(Impairment(latency=0.0, reordering=1.0, holding=0.005))
    assert path.take(b"x") == [(0.005, b"x")]
    path.impairment = Impairment(latency=0.01, reordering=1.0, holding=0.005)
    assert path.take(b"x") == [(0.04, b"x")]


@given(st.binary(max_size=60), st.integers(0, 1000))
def test_the_same_seed_does_the_same(octets: bytes, seed: int) -> None:
    impairment = Impairment(loss=0.3, duplication=0.3, reordering=0.3, corruption=0.3, jitter=0.01)
    paths = Path(impairment, seed=seed), Path(impairment, seed=seed)
    for _ in range(20):
        assert paths[0].take(octets) == paths[1].take(octets)
    assert paths[0].counters == paths[1].counters


def test_lost_on_purpose() -> None:
    path = Path(Impairment())
    path.lose()
    assert (path.counters.sent, path.counters.lost) == (1, 1)
