from __future__ import annotations

import pytest

from pypptp_cli.live.rows import ORDERS, in_order, rows_of
from tests.cli.answers import session, sessions


def test_rates_are_those_between_two_looks() -> None:
    before = sessions(session(octets_in=1000, octets_out=2000, gre_received=100, gre_lost=0), at=100.0)
    after = sessions(session(octets_in=3500, octets_out=2000, gre_received=195, gre_lost=5), at=102.0)
    (row,) = rows_of(after, before)
    assert (row.rate_in, row.rate_out, row.loss) == (10_000.0, 0.0, 0.05)
    assert (row.round_trip, row.exact) == (0.0123, True)


def test_one_look_has_no_rates() -> None:
    (row,) = rows_of(sessions(session(echo_round_trip=None)), None)
    assert (row.rate_in, row.rate_out, row.loss) == (None, None, None)
    assert (row.round_trip, row.exact) == (0.1, False)
    (row,) = rows_of(sessions(session(echo_round_trip=None, ack_round_trip=None)), None)
    assert row.round_trip is None


def test_a_session_of_the_same_number_is_another_one() -> None:
    before = sessions(session(since=1_700_000_000.0))
    (row,) = rows_of(sessions(session(since=1_700_000_099.0, octets_in=5), at=102.0), before)
    assert row.rate_in is None


@pytest.mark.parametrize("late", [0, 1])
def test_a_worker_that_was_late_once_makes_no_peak(late: int) -> None:
    nothing = session(packets_in=0, octets_in=0, octets_out=0, gre_received=0)
    looks = [sessions(session(), at=100.0), sessions(session(), at=102.0)]
    looks[late] = sessions(nothing, at=looks[late]["at"])
    (row,) = rows_of(looks[1], looks[0])
    assert (row.rate_in, row.rate_out, row.loss) == (0.0, 0.0, None)


def test_the_clock_that_stands_still_divides_nothing() -> None:
    (row,) = rows_of(sessions(session()), sessions(session()))
    assert row.rate_in is None


ROWS = rows_of(
    sessions(
        session(1, user="carol", **{"from": "10.0.0.9"}, octets_in=2000, octets_out=2000, seconds=5, gre_lost=9),
        session(
            2, user="alice", **{"from": "10.0.0.10"}, octets_in=1000, octets_out=2500, seconds=7, echo_round_trip=1
        ),
        session(3, user="bob", **{"from": "9.0.0.1"}, octets_in=1500, octets_out=2200, seconds=6, gre_received=101),
        at=101.0,
    ),
    sessions(session(1), session(2), session(3)),
)


@pytest.mark.parametrize(
    ("order", "ids"),
    [
        ("user", [2, 3, 1]),
        ("from", [3, 1, 2]),
        ("address", [1, 2, 3]),
        ("in", [1, 3, 2]),
        ("out", [2, 3, 1]),
        ("loss", [1, 2, 3]),
        ("rtt", [2, 1, 3]),
        ("since", [2, 3, 1]),
    ],
)
def test_orders(order: str, ids: list[int]) -> None:
    assert [row.call_id for row in in_order(list(reversed(ROWS)), order)] == ids


def test_each_order_has_a_key_of_its_own_in_its_name() -> None:
    assert len({order.key for order in ORDERS.values()}) == len(ORDERS)
    assert all(order.key in name for name, order in ORDERS.items())
    assert "q" not in {order.key for order in ORDERS.values()}
