"""The runner: what becomes of a finding, in which order checks run, and when a run is given up."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from pypptp.roles import Role
from pypptp.testing.dialogue.case import Case
from pypptp.testing.dialogue.memory import MemoryNetwork, Peers, target_of
from pypptp.testing.dialogue.verdicts import Failed, Informed, NotStrict, Skipped, Unreached
from pypptp.testing.dialogue.virtual_time import run
from pypptp.testing.spec import CATALOGUE, REGISTRY, Check, Level, Outcome, Result, Run, TargetSilent, Verdict
from pypptp.testing.spec.registry import BOTH, CheckFunction

SHOULD, MUST, INFO = "cc/2.1/3", "cc/2.1/1", "gre/4.4/1"


def check_of(check_id: str, function: CheckFunction, *, alone: bool = False, order: int = 0) -> Check:
    return Check(CATALOGUE[check_id], function, BOTH, alone, False, order, 5.0)


def outcome_of(*ids: str, strict: bool = False, sanity: bool = False, peers: Peers | None = None) -> Outcome:
    peers = peers or Peers(Role.SERVER)
    return run(Run(target_of(peers), lambda: MemoryNetwork(peers), strict=strict).run(ids, sanity=sanity))


def judged(monkeypatch: pytest.MonkeyPatch, check_id: str, error: Exception | None, *, strict: bool = False) -> Result:
    async def function(case: Case) -> str:
        if error is not None:
            raise error
        return "as it should be"

    monkeypatch.setitem(REGISTRY, check_id, check_of(check_id, function))
    return outcome_of(check_id, strict=strict).results[0]


@pytest.mark.parametrize(
    ("check_id", "error", "lenient", "strict"),
    [
        (MUST, None, Verdict.PASS, Verdict.PASS),
        (MUST, Failed("x"), Verdict.FAIL, Verdict.FAIL),
        (MUST, NotStrict("x"), Verdict.NONSTRICT, Verdict.FAIL),
        (MUST, Skipped("x"), Verdict.SKIP, Verdict.SKIP),
        (MUST, Informed("x"), Verdict.INFO, Verdict.INFO),
        (MUST, Unreached("x"), Verdict.FAIL, Verdict.FAIL),
        (MUST, OSError("x"), Verdict.FAIL, Verdict.FAIL),
        (SHOULD, Failed("x"), Verdict.NONSTRICT, Verdict.FAIL),
        (SHOULD, Unreached("x"), Verdict.FAIL, Verdict.FAIL),
        (INFO, None, Verdict.INFO, Verdict.INFO),
    ],
)
def test_verdicts(
    monkeypatch: pytest.MonkeyPatch, check_id: str, error: Exception | None, lenient: Verdict, strict: Verdict
) -> None:
    assert judged(monkeypatch, check_id, error).verdict is lenient
    assert judged(monkeypatch, check_id, error, strict=True).verdict is strict


def test_a_check_that_does_not_end_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    async def function(case: Case) -> str:
        await asyncio.sleep(1000)
        return ""

    monkeypatch.setitem(REGISTRY, MUST, check_of(MUST, function))
    result = outcome_of(MUST).results[0]
    assert (result.verdict, result.actual, result.seconds) == (Verdict.FAIL, "not over after 5 s", 5.0)


def test_deadlines_are_longer_for_whoever_waits_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def function(case: Case) -> str:
        await asyncio.sleep(9.0)
        return ""

    monkeypatch.setitem(REGISTRY, MUST, check_of(MUST, function))
    peers = Peers(Role.SERVER)

    def verdict(timeout: float) -> Verdict:
        target = replace(target_of(peers), timeout=timeout)
        return run(Run(target, lambda: MemoryNetwork(peers)).run([MUST], sanity=False)).results[0].verdict

    assert [verdict(timeout) for timeout in (0.5, 2.0, 4.0)] == [Verdict.FAIL, Verdict.FAIL, Verdict.PASS]


def test_order(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    running: set[str] = set()

    def note(name: str) -> CheckFunction:
        async def function(case: Case) -> str:
            begun.append(name)
            assert name.startswith("together") or not running
            running.add(name)
            await asyncio.sleep(1.0)
            running.discard(name)
            return ""

        return function

    plan = {
        "cc/2.1/1": check_of("cc/2.1/1", note("last"), alone=True, order=1000),
        "cc/2.1/2": check_of("cc/2.1/2", note("alone, later"), alone=True, order=2),
        "cc/2.1/3": check_of("cc/2.1/3", note("alone"), alone=True),
        "cc/2.1/4": check_of("cc/2.1/4", note("together 1")),
        "cc/2.1/5": check_of("cc/2.1/5", note("together 2")),
    }
    for check_id, check in plan.items():
        monkeypatch.setitem(REGISTRY, check_id, check)
    outcome = outcome_of(*plan)
    assert begun == ["together 1", "together 2", "alone", "alone, later", "last"]
    assert [result.id for result in outcome.results] == list(plan)


def test_sanity_before_and_after() -> None:
    outcome = outcome_of(MUST, sanity=True)
    assert [result.id for result in outcome.sanity] == ["sanity/first", "sanity/last"]
    assert outcome.failed() == []


def test_a_target_that_says_nothing() -> None:
    peers = Peers(Role.SERVER)
    peers.wire.control_out = lambda octets: []
    with pytest.raises(TargetSilent, match="did not come"):
        outcome_of(MUST, sanity=True, peers=peers)


def test_a_target_that_refuses_the_password_is_no_silent_one() -> None:
    peers = Peers(Role.SERVER)
    target = replace(target_of(peers), password="wrong")
    outcome = run(Run(target, lambda: MemoryNetwork(peers)).run([MUST]))
    assert outcome.results[0].verdict is Verdict.PASS
    assert [result.verdict for result in outcome.sanity] == [Verdict.FAIL, Verdict.FAIL]
    assert "log-in" in outcome.sanity[0].actual


def test_what_is_about_the_other_side_is_skipped() -> None:
    result = outcome_of("cc/2.8/1").results[0]
    assert (result.verdict, result.actual) == (Verdict.SKIP, "this one is about a client under test")
    assert result.level is Level.MUST
