"""Guessing is slowed, nobody is locked out, and what is remembered is bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pypptp.auth import pace
from pypptp.auth.pace import Pace


def test_the_first_failures_cost_nothing() -> None:
    guard = Pace(burst=6, interval=1.0, longest=10.0)
    for _ in range(6):
        assert guard.delay("host", 100.0) == 0
        guard.failed("host", 100.0)
    assert guard.delay("host", 100.0) == 0
    guard.failed("host", 100.0)
    assert guard.delay("host", 100.0) == 1.0
    assert guard.delay("another", 100.0) == 0


def test_who_waits_as_told_is_held_to_the_interval() -> None:
    guard, now = Pace(), 0.0
    for _ in range(60):
        now += guard.delay("host", now)
        guard.failed("host", now)
    assert 60 - pace.BURST - 2 <= now <= 60


def test_it_is_forgotten_in_time() -> None:
    guard = Pace()
    for _ in range(1000):
        guard.failed("host", 0.0)
    assert guard.exhausted("host", 0.0)
    assert guard.delay("host", 0.0) == pace.LONGEST
    assert not guard.exhausted("host", 6 * pace.LONGEST)
    assert guard.delay("host", 7 * pace.LONGEST + pace.BURST) == 0


def test_many_addresses_cost_no_more_memory_than_the_table() -> None:
    guard = Pace()
    for number in range(3 * pace.ENTRIES):
        guard.failed(number, 0.0)
    assert len(guard._due) == pace.ENTRIES
    assert guard.delay(3 * pace.ENTRIES - 1, 0.0) == 0


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 5))))
def test_a_delay_is_never_longer_than_the_longest(steps: list[tuple[int, float]]) -> None:
    guard, now = Pace(), 0.0
    for key, passed in steps:
        now += passed
        assert 0 <= guard.delay(key, now) <= pace.LONGEST
        guard.failed(key, now)
