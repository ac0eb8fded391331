"""What follows of each failure: every cause, and any history."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.causes import Cause
from pypptp.service.redial import LASTING, LONG_WAIT, Redial, RedialPolicy, Stop, Wait

PERSIST = RedialPolicy(persist=True)
FINAL = [
    *(Cause.AUTHENTICATION, Cause.ACCOUNT_DISABLED, Cause.PASSWORD_EXPIRED, Cause.NO_PERMISSION),
    *(Cause.IMPOSTOR, Cause.METHOD, Cause.ASKED),
]


def delays(redial: Redial, cause: Cause, count: int, lasted: float | None = None) -> list[float]:
    found = []
    for _ in range(count):
        what = redial.after(cause, lasted, 0.0)
        assert isinstance(what, Wait)
        found.append(what.delay)
    return found


@pytest.mark.parametrize("cause", Cause)
def test_without_persist_nothing_is_tried_again(cause: Cause) -> None:
    assert Redial(RedialPolicy()).after(cause, 3600.0, 0.5) == Stop()


@pytest.mark.parametrize("cause", FINAL)
def test_a_refused_log_in_is_not_tried_again_even_after_a_long_session(cause: Cause) -> None:
    redial = Redial(PERSIST)
    delays(redial, Cause.LOST, 1, lasted=86_400.0)
    what = redial.after(cause, None, 0.5)
    assert isinstance(what, Stop)
    assert what.why


def test_what_the_system_refuses_at_first_it_will_refuse_again() -> None:
    redial = Redial(PERSIST)
    assert isinstance(redial.after(Cause.SYSTEM, None, 0.5), Stop)
    delays(redial, Cause.LOST, 1, lasted=5.0)
    assert isinstance(redial.after(Cause.SYSTEM, None, 0.5), Wait)


def test_each_wait_is_twice_the_one_before_until_the_longest() -> None:
    policy = RedialPolicy(persist=True, holdoff=2.0, longest=20.0)
    assert delays(Redial(policy), Cause.REFUSED, 6) == [2.0, 4.0, 8.0, 16.0, 20.0, 20.0]


@pytest.mark.parametrize("cause", [Cause.BUSY, Cause.ENCRYPTION, Cause.LOGON_HOURS, Cause.NOT_PPTP])
def test_where_an_early_try_is_of_no_use_the_wait_is_long(cause: Cause) -> None:
    assert delays(Redial(PERSIST), cause, 2) == [LONG_WAIT, 2 * LONG_WAIT]


def test_a_session_that_lasted_makes_failures_forgotten_and_a_short_one_does_not() -> None:
    redial = Redial(PERSIST)
    delays(redial, Cause.REFUSED, 4)
    assert delays(redial, Cause.LOST, 1, lasted=LASTING - 1) == [16.0]
    assert delays(redial, Cause.LOST, 1, lasted=LASTING) == [1.0]


def test_it_gives_up_after_as_many_failures_in_a_row_as_allowed() -> None:
    redial = Redial(RedialPolicy(persist=True, max_fail=3))
    delays(redial, Cause.REFUSED, 2)
    delays(redial, Cause.LOST, 1, lasted=5.0)
    delays(redial, Cause.REFUSED, 2)
    assert redial.after(Cause.REFUSED, None, 0.0) == Stop("3 failures in a row")


@pytest.mark.parametrize("cause", [Cause.IDLE, Cause.TIME_IS_UP, Cause.ADDRESS_CHANGED])
def test_what_is_no_failure_needs_no_wait(cause: Cause) -> None:
    redial = Redial(PERSIST)
    assert delays(redial, cause, 3, lasted=10.0) == [0.0, 0.0, 0.0]
    # But for a session that ends as soon as it begins.
    assert delays(redial, cause, 2, lasted=0.1) == [1.0, 2.0]


@pytest.mark.parametrize(("cause", "until_news"), [(Cause.UNREACHABLE, True), (Cause.NAME, True), (Cause.BUSY, False)])
def test_only_what_the_network_may_mend_waits_for_it(cause: Cause, until_news: bool) -> None:
    what = Redial(PERSIST).after(cause, None, 0.0)
    assert isinstance(what, Wait)
    assert what.until_news is until_news


HISTORY = st.lists(
    st.tuples(st.sampled_from(Cause), st.none() | st.floats(0, 1e6), st.floats(0, 1)), min_size=1, max_size=60
)
POLICY = st.builds(
    RedialPolicy,
    persist=st.just(True),
    max_fail=st.integers(0, 20),
    holdoff=st.floats(0, 600),
    longest=st.floats(1, 3600),
)


@given(POLICY, HISTORY)
def test_any_history_leads_to_a_stop_or_a_wait_within_bounds(
    policy: RedialPolicy, history: list[tuple[Cause, float | None, float]]
) -> None:
    redial = Redial(policy)
    for cause, lasted, chance in history:
        what = redial.after(cause, lasted, chance)
        if policy.max_fail:
            assert redial.failures <= policy.max_fail
        if isinstance(what, Stop):
            assert what.why
            return
        assert 0 <= what.delay <= policy.longest
        assert cause not in FINAL


@given(POLICY, st.sampled_from(sorted(set(Cause) - set(FINAL) - {Cause.SYSTEM}, key=str)))
def test_waits_never_get_shorter_and_never_none_while_nothing_comes_up(policy: RedialPolicy, cause: Cause) -> None:
    waits = delays(Redial(RedialPolicy(persist=True, holdoff=policy.holdoff, longest=policy.longest)), cause, 40)
    assert waits == sorted(waits)
    assert waits[0] > 0
    assert waits[-1] == policy.longest
