from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.testing.load.figures import Phase, Report, Spread


def test_a_spread_by_hand() -> None:
    spread = Spread.of([0.001 * number for number in range(100, 0, -1)])
    assert spread is not None
    assert (spread.count, spread.minimum, spread.maximum) == (100, 0.001, 0.1)
    assert (spread.p95, spread.p99) == (0.095, 0.099)
    assert spread.median == pytest.approx(0.0505)
    assert spread.mean == pytest.approx(0.0505)
    assert spread.deviation == pytest.approx(0.0288661, rel=1e-4)
    assert spread.as_json()["p95"] == 95.0
    assert Spread.of([]) is None


@given(st.lists(st.floats(0, 100), min_size=1))
def test_any_spread_is_in_order(times: list[float]) -> None:
    spread = Spread.of(times)
    assert spread is not None
    assert spread.minimum <= spread.median <= spread.p95 <= spread.p99 <= spread.maximum
    assert {spread.p95, spread.p99} <= set(times)


def test_a_report_as_json() -> None:
    report = Report(requested=3, started=3, established=2, released=1, seconds=2.0, ramp=0.5, pings=4, pongs=3)
    report.failed["authentication: no"] += 1
    report.dropped["lost: gone"] += 1
    report.times[Phase.SETUP] += [0.01, 0.02]
    assert report.as_json() == {
        "schema": 1,
        "requested": 3,
        "started": 3,
        "established": 2,
        "released": 1,
        "failed": {"authentication: no": 1},
        "dropped": {"lost: gone": 1},
        "rate": 4.0,
        "seconds": 2.0,
        "pings": {"sent": 4, "received": 3, "lost": 1},
        "phases": {
            "setup": {
                "count": 2,
                "min": 10.0,
                "max": 20.0,
                "median": 15.0,
                "p95": 20.0,
                "p99": 20.0,
                "mean": 15.0,
                "sd": 5.0,
            }
        },
    }
    assert not report.good


def test_what_is_good() -> None:
    assert Report(requested=2, started=2, established=2, released=2, pings=5, pongs=5).good
    assert not Report(requested=2, started=2, established=2, released=2, pings=5, pongs=4).good
    assert not Report(requested=2, started=2, established=1, released=1).good
    assert Report(requested=2).rate == 0.0
