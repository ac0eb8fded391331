"""A whole run of ``pypptp spec``, and once more, alone and against a fresh target, what did not pass in it.

Checks run side by side, and a target that does one badly may do the next one badly for that reason alone. So the second
verdict counts; the first is kept where it was another.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from pypptp.testing.spec import Verdict

from .results import SHOWN_LINES, Found, Record

AGAIN = (Verdict.FAIL, Verdict.NONSTRICT)

Invoke = Callable[[Sequence[str]], dict[str, Any]]
"""Runs ``pypptp spec ... --json`` against a target just started, with further words; gives the object it prints."""


def run(invoke: Invoke, fresh: Record, keep: Callable[[Record], None], *, side_by_side: bool = True) -> Record:
    """Run everything; what did not pass once more, unless each check had a target of its own anyway.

    Args:
        invoke: runs the checks.
        fresh: a record without results.
        keep: told the record as far as it is, so that a run that is interrupted has not been for nothing.
        side_by_side: whether checks had one target together.
    """
    began = time.monotonic()
    whole = invoke([])
    results = [_found(one) for one in whole["results"]]
    doubtful = [number for number, found in enumerate(results) if side_by_side and found.verdict in AGAIN]
    say(f"{_counts(whole)} in {time.monotonic() - began:.0f} s; {len(doubtful)} of them once more")
    sanity = [one["verdict"] for one in whole["sanity"]]

    def record() -> Record:
        kept = replace(fresh, sanity=sanity, results=list(results), seconds=round(time.monotonic() - began, 1))
        keep(kept)
        return kept

    record()
    for number in doubtful:
        first = results[number]
        alone = _alone(invoke, first.id)
        together = "" if alone["verdict"] == first.verdict else f"{first.verdict}: {first.actual}"
        results[number] = _found(alone, together)
        say(f"  {first.id}: {first.verdict} ({first.actual}), alone {alone['verdict']} ({alone['actual']})")
        record()
    return record()


def _alone(invoke: Invoke, check_id: str) -> dict[str, Any]:
    # Ids are prefixes: others may come along.
    return next(one for one in invoke(["--only", check_id])["results"] if one["id"] == check_id)


def repeat(invoke: Invoke, record: Record, ids: Sequence[str]) -> Record:
    """Run single checks anew, each alone against a target just started, and put them into a record."""
    results = list(record.results)
    for check_id in ids:
        number = next(number for number, found in enumerate(results) if found.id == check_id)
        alone = _alone(invoke, check_id)
        say(f"  {check_id}: {results[number].verdict}, now {alone['verdict']} ({alone['actual']})")
        results[number] = _found(alone, results[number].together)
    return replace(record, results=results)


def say(text: str) -> None:
    """Tell whoever waits."""
    sys.stderr.write(f"{text}\n")


def _found(one: dict[str, Any], together: str = "") -> Found:
    verdict = Verdict(one["verdict"])
    lines = one["transcript"][-SHOWN_LINES:]
    return Found(one["id"], verdict, one["actual"], one["seconds"], lines, together)


def _counts(whole: dict[str, Any]) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in whole["counts"].items())
