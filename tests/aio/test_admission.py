from __future__ import annotations

import logging
from ipaddress import IPv4Address

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pypptp.aio.admission import COURTESY, QUIET_SECONDS, STALE_SECONDS, Admission, ConnectionLimits, Refusal

HERE, THERE, ELSEWHERE = (IPv4Address(f"10.0.0.{number}") for number in (1, 2, 3))


class Gate:
    """An admission, and those it has ended."""

    def __init__(self, **limits: int) -> None:
        self.ended: list[int] = []
        given = {"most": 0, "starting": 0, "per_address": 0, **limits}
        self.book = Admission(ConnectionLimits(**given), lambda number, reason: self.ended.append(number))

    def call(self, number: int, address: IPv4Address, now: float) -> None:
        """Come in, and place a call."""
        assert self.book.came(number, address, now) is None
        self.book.called(number)


def test_no_limits() -> None:
    gate = Gate()
    assert all(gate.book.came(number, HERE, 0.0) is None for number in range(1000))
    assert (len(gate.book), gate.book.starting) == (1000, 1000)


def test_a_limit_for_each_address() -> None:
    gate = Gate(per_address=2)
    assert [gate.book.came(number, HERE, 0.0) for number in (1, 2, 3)] == [None, None, Refusal.ADDRESS]
    assert gate.book.came(4, THERE, 0.0) is None
    # Sessions that are up count as well, and the refused do not.
    gate.book.settled(1)
    assert gate.book.came(5, HERE, 0.0) is Refusal.ADDRESS
    gate.book.left(1)
    assert gate.book.came(6, HERE, 0.0) is None
    assert Refusal.ADDRESS.codes == (4, 0)


def test_a_limit_for_all() -> None:
    gate = Gate(most=2)
    assert [gate.book.came(number, HERE, 0.0) for number in (1, 2, 3)] == [None, None, Refusal.FULL]
    gate.book.left(3)
    assert gate.book.came(4, HERE, 0.0) is Refusal.FULL
    gate.book.left(2)
    assert gate.book.came(5, HERE, 0.0) is None
    assert Refusal.FULL.codes == (2, 4)


def test_who_holds_the_most_places_gives_way() -> None:
    gate = Gate(starting=3)
    for number, address in enumerate((THERE, HERE, HERE)):
        gate.call(number, address, 0.0)
    gate.call(3, ELSEWHERE, 1.0)
    assert gate.ended == [1], "the oldest of the address with the most"
    # Now each address has one: nobody has more than the newcomer would.
    assert gate.book.came(4, HERE, 1.0) is Refusal.FULL
    assert gate.ended == [1]


def test_a_flood_takes_its_own_places() -> None:
    gate = Gate(starting=10)
    gate.call(0, THERE, 0.0)
    for number in range(1, 100):
        if gate.book.came(number, HERE, 0.0) is None:
            gate.book.called(number)
    assert 0 not in gate.ended
    assert gate.book.came(100, ELSEWHERE, 0.0) is None


def test_who_says_nothing_gives_way_to_who_comes() -> None:
    gate = Gate(starting=3)
    gate.call(1, IPv4Address("10.1.0.1"), 0.0)
    for number in range(2, 100):
        assert gate.book.came(number, IPv4Address(f"10.2.0.{number}"), 0.0) is None
    assert gate.ended == list(range(2, 98)), "the one that has longest said nothing, and never the one that calls"


def test_who_takes_too_long_gives_way() -> None:
    gate = Gate(starting=2)
    gate.call(1, HERE, 0.0)
    gate.call(2, THERE, 5.0)
    assert gate.book.came(3, ELSEWHERE, STALE_SECONDS - 0.1) is Refusal.FULL
    assert gate.book.came(4, ELSEWHERE, STALE_SECONDS) is None
    assert gate.ended == [1]


def test_a_session_that_is_up_is_safe_and_one_that_has_ended_is_not() -> None:
    gate = Gate(starting=1)
    gate.book.came(1, HERE, 0.0)
    gate.book.settled(1)
    gate.book.came(2, HERE, 100.0)
    assert gate.ended == []
    gate.book.settled(2)
    gate.book.unsettled(1, 200.0)
    assert gate.book.came(3, HERE, 201.0) is Refusal.FULL
    assert gate.book.came(4, HERE, 200.0 + STALE_SECONDS) is None
    assert gate.ended == [1]
    # What is said of it from now on is about nobody.
    gate.book.unsettled(1, 300.0)
    gate.book.left(1)
    assert gate.book.starting == 1


def test_few_are_told_why_and_the_log_is_not_flooded(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    gate = Gate(per_address=1)
    gate.book.came(0, HERE, 0.0)
    refusals = [gate.book.came(number, HERE, 1.0) for number in range(1, COURTESY + 3)]
    assert refusals == [Refusal.ADDRESS] * COURTESY + [Refusal.SILENT] * 2
    gate.book.left(1)
    assert gate.book.came(200, HERE, 1.0 + QUIET_SECONDS) is Refusal.ADDRESS
    assert [record.getMessage() for record in caplog.records] == [
        "a connection is refused: 10.0.0.1 has 1 control connections, the most for one address (--max-per-address)",
        f"a connection is refused, {COURTESY + 2} since this was last said: "
        "10.0.0.1 has 1 control connections, the most for one address (--max-per-address)",
    ]


class Traffic(RuleBasedStateMachine):
    """Connections come, settle and go in any order, and no limit is ever passed."""

    LIMITS = ConnectionLimits(most=6, starting=4, per_address=3)

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.last = 0
        self.inside: dict[int, IPv4Address] = {}
        self.up: set[int] = set()
        self.book = Admission(self.LIMITS, self.end)

    def end(self, number: int, reason: str) -> None:
        assert number not in self.up, "a session that is up never gives way"
        del self.inside[number]

    @rule(address=st.sampled_from([HERE, THERE, ELSEWHERE]), seconds=st.sampled_from([0.0, 1.0, 20.0]))
    def come(self, address: IPv4Address, seconds: float) -> None:
        self.now += seconds
        self.last += 1
        if self.book.came(self.last, address, self.now) is None:
            self.inside[self.last] = address

    @rule(data=st.data())
    def call(self, data: st.DataObject) -> None:
        if self.last:
            self.book.called(data.draw(st.integers(1, self.last)))

    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        if self.inside:
            number = data.draw(st.sampled_from(sorted(self.inside)))
            self.book.settled(number)
            self.up.add(number)

    @rule(data=st.data())
    def unsettle(self, data: st.DataObject) -> None:
        if self.up:
            number = data.draw(st.sampled_from(sorted(self.up)))
            self.book.unsettled(number, self.now)
            self.up.discard(number)

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        if self.last:
            number = data.draw(st.integers(1, self.last))
            self.book.left(number)
            self.inside.pop(number, None)
            self.up.discard(number)

    @invariant()
    def limits_hold(self) -> None:
        assert len(self.book) == len(self.inside) <= self.LIMITS.most
        assert self.book.starting == len(self.inside.keys() - self.up)
        for address in (HERE, THERE, ELSEWHERE):
            assert list(self.inside.values()).count(address) <= self.LIMITS.per_address


TestTraffic = Traffic.TestCase
