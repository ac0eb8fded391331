"""Token buckets under a simulated clock."""

from __future__ import annotations

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.aio.rates import (
    LEAST_BURST,
    LEAST_QUEUE,
    MOST_QUEUE,
    POLICING_SECONDS,
    SHAPING_SECONDS,
    UNLIMITED,
    Rate,
    RateKeeper,
    Rates,
    TokenBucket,
)


def pass_in(bucket: TokenBucket, octets: int, until: float, *, every: float = 0.0007, now: float = 0.0) -> int:
    """Offer a packet every so often; return the octets that passed."""
    passed = 0
    while now < until:
        now += every
        if bucket.left(now):
            bucket.spend(octets)
            passed += octets
    return passed


@given(st.floats(1_000, 1e9), st.integers(1, 1500), st.floats(0, 1e6))
def test_over_a_longer_time_the_rate_is_kept(rate: float, octets: int, depth: float) -> None:
    passed = pass_in(TokenBucket(rate, depth, 0.0), octets, 1.0)
    offered = octets * (1 / 0.0007)
    assert passed <= depth + rate + octets + 1e-6 * rate
    # What the bucket cannot hold between two packets is lost to whoever asks so seldom.
    assert passed >= min(rate, offered, depth / 0.0007) * 0.98 - 2 * octets


def test_a_full_bucket_at_once_and_then_nothing() -> None:
    bucket = TokenBucket(1000.0, 5000.0, 0.0)
    passed = 0
    while bucket.left(0.0):
        bucket.spend(1400)
        passed += 1
    assert passed == 4  # the last one on credit
    assert bucket.wait() == pytest.approx(0.601)
    assert not bucket.left(0.6)
    assert bucket.left(0.602)
    assert bucket.wait() == 0.0 or bucket.wait() < 0.001


def test_it_holds_no_more_than_its_depth() -> None:
    bucket = TokenBucket(1000.0, 3000.0, 0.0)
    assert pass_in(bucket, 1000, 0.01, every=0.01, now=1e6) == 0
    assert bucket.left(1e6)
    for _ in range(3):
        bucket.spend(1000)
    assert not bucket.left(1e6)


def test_a_clock_that_stands_or_goes_back_gives_nothing() -> None:
    bucket = TokenBucket(1000.0, 1000.0, 10.0)
    bucket.spend(1000)
    assert not bucket.left(10.0)
    assert not bucket.left(5.0)
    assert bucket.left(10.5)


@pytest.mark.parametrize(
    ("rate", "mtu", "packets"),
    [
        (Rate(), 1400, None),
        (Rate(None, 1_000_000), 1400, None),
        (Rate(64_000, None), 1400, LEAST_QUEUE),
        (Rate(10_000_000, None), 1400, 224),
        (Rate(10_000_000_000, None), 1400, MOST_QUEUE),
    ],
)
def test_the_queue_in_front(rate: Rate, mtu: int, packets: int | None) -> None:
    assert rate.queue(mtu) == packets


def test_who_is_limited() -> None:
    keeper = RateKeeper(Rates(Rate(8_000_000, 4_000_000), {"bob": UNLIMITED, "eve": Rate(None, 64_000)}))
    assert keeper.buckets("bob", 0.0) is None
    alice, eve = keeper.buckets("alice", 0.0), keeper.buckets("eve", 0.0)
    assert alice is not None
    assert eve is not None
    assert (eve.down, eve.up is not None) == (None, True)
    assert alice.down is not None
    assert alice.up is not None
    assert pass_in(alice.down, 1000, 1e-3, every=1e-6) == pytest.approx(1_000_000 * SHAPING_SECONDS + 1000, abs=1001)
    assert pass_in(alice.up, 1000, 1e-3, every=1e-6) == pytest.approx(500_000 * POLICING_SECONDS + 500, abs=1001)
    assert eve.up is not None
    assert pass_in(eve.up, 1000, 1e-3, every=1e-6) == pytest.approx(LEAST_BURST, abs=1001)


def test_a_users_sessions_share_and_nobodys_do_not() -> None:
    keeper = RateKeeper(Rates(Rate(8_000_000, 8_000_000)))
    first = keeper.buckets("alice", 0.0)
    assert keeper.buckets("alice", 5.0) is first
    assert keeper.buckets("bob", 5.0) is not first
    assert keeper.buckets("", 0.0) is not keeper.buckets("", 0.0)
    del first
    gc.collect()
    # With the last session they go: nothing is kept of users who are not there.
    assert not set(keeper._live.keys())


def test_nobody_is_limited_where_nobody_says_so() -> None:
    assert RateKeeper(Rates()).buckets("alice", 0.0) is None


def test_a_rate_in_words() -> None:
    words = [str(rate) for rate in (Rate(), Rate(2_000_000, 2_000_000), Rate(2_500_000, 1), Rate(None, 10**9))]
    assert words == ["unlimited", "2mbit", "2500kbit/1bit", "unlimited/1gbit"]
