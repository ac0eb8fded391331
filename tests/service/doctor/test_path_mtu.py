from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.service.doctor.finding import Mark
from pypptp.service.doctor.path_mtu import LEAST_OUTER, find_largest, judge_largest, largest_passing


@given(st.integers(68, 2000))
def test_the_largest_is_found_in_few_steps(limit: int) -> None:
    tried: list[int] = []

    def passes(size: int) -> bool:
        tried.append(size)
        return size <= limit

    assert largest_passing(passes, 68, 1500) == min(limit, 1500)
    assert len(tried) <= 12


class Path:
    """Lets packets up to a limit through, and now and then loses one. Its clock stands where nobody waits."""

    def __init__(self, limit: int, *, round_trip: float, loses: int = 0) -> None:
        self.limit, self.round_trip, self.loses = limit, round_trip, loses
        self.now = 0.0
        self.count = 0

    def echo(self, size: int, patience: float) -> bool:
        self.count += 1
        lost = self.loses and self.count % self.loses == 0
        passes = size <= self.limit and not lost and self.round_trip <= patience
        self.now += self.round_trip if passes else patience
        return passes


@pytest.mark.parametrize("loses", [0, 2, 3])
@pytest.mark.parametrize("limit", [1444, 1300, 600])
def test_a_lost_packet_is_no_limit(limit: int, loses: int) -> None:
    path = Path(limit, round_trip=0.2, loses=loses)
    assert find_largest(path.echo, 1444, lambda: path.now) == limit


def test_a_slow_path_is_waited_for() -> None:
    path = Path(1300, round_trip=0.9)
    assert find_largest(path.echo, 1444, lambda: path.now) == 1300


def test_nothing_comes_back() -> None:
    path = Path(0, round_trip=0.1)
    assert find_largest(path.echo, 1444, lambda: path.now) == 0
    assert path.count == 2


def test_what_it_means() -> None:
    assert judge_largest(1444, 1444).mark is Mark.GOOD
    assert judge_largest(0, 1444).mark is Mark.NOTE
    found = judge_largest(1300, 1444)
    assert (found.mark, found.cure) == (Mark.WRONG, "give client and server --mtu 1256")
    assert judge_largest(LEAST_OUTER, 1444).cure.endswith("--mtu 68")
