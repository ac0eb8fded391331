"""A run, its second look at what did not pass, and single checks run anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pypptp.testing.spec import Verdict

from .results import Record
from .run import repeat, run

FRESH = Record.fresh("program", "target", "command")


def result(check_id: str, verdict: str) -> dict[str, Any]:
    lines = [f"line {number}" for number in range(30)]
    return {"id": check_id, "verdict": verdict, "actual": f"seen: {verdict}", "seconds": 1.0, "transcript": lines}


class Target:
    """Fails three checks of five beside the others; alone it gives what is in `alone`."""

    def __init__(self, **alone: str) -> None:
        self.alone = {name.replace("_", "/"): verdict for name, verdict in alone.items()}
        self.asked: list[list[str]] = []

    def __call__(self, further: Sequence[str]) -> dict[str, Any]:
        self.asked.append(list(further))
        if further:
            # An id is a prefix: its longer neighbour comes along.
            results = [result(f"{further[1]}0", "FAIL"), result(further[1], self.alone[further[1]])]
        else:
            verdicts = {"a/1": "PASS", "a/2": "FAIL", "a/3": "NONSTRICT", "a/4": "SKIP", "a/5": "FAIL"}
            results = [result(check_id, verdict) for check_id, verdict in verdicts.items()]
        return {"results": results, "sanity": [result("sanity/first", "PASS")], "counts": {}}


def test_the_second_verdict_counts() -> None:
    target = Target(a_2="PASS", a_3="NONSTRICT", a_5="NONSTRICT")
    kept: list[Record] = []
    record = run(target, FRESH, kept.append)
    assert [len([found for found in one.results if found.verdict is Verdict.FAIL]) for one in kept] == [2, 1, 1, 0, 0]
    assert kept[-1] == record
    assert target.asked == [[], ["--only", "a/2"], ["--only", "a/3"], ["--only", "a/5"]]
    assert [str(found.verdict) for found in record.results] == ["PASS", "PASS", "NONSTRICT", "SKIP", "NONSTRICT"]
    assert [found.together for found in record.results] == ["", "FAIL: seen: FAIL", "", "", "FAIL: seen: FAIL"]
    assert record.results[2].transcript[-1] == "line 29"
    assert len(record.results[2].transcript) < 30
    assert record.sanity == ["PASS"]


def test_no_second_look_where_each_had_its_own_target() -> None:
    target = Target()
    record = run(target, FRESH, lambda record: None, side_by_side=False)
    assert target.asked == [[]]
    assert [found.verdict for found in record.results].count(Verdict.FAIL) == 2


def test_single_checks_anew() -> None:
    record = run(Target(), FRESH, lambda record: None, side_by_side=False)
    mended = repeat(Target(a_5="PASS"), record, ["a/5"])
    assert mended.results[:4] == record.results[:4]
    assert mended.results[4].verdict is Verdict.PASS
