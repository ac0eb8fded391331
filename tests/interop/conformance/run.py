"""A whole run of ``pypptp spec``, and once more, alone and against a fresh target, what did not pass in it.

Checks run side by side, and a target that does one badly may do the next one badly for that reason alone. So the second
verdict counts; the first is kept where it was another.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from pypptp.testing.spec import Verdict

from .results import SHOWN_LINES, Found, Record

AGAIN = (Verdict.FAIL, Verdict.NONSTRICT)

Invoke = Callable[[Sequence[str]], dict[str, Any]]
"""Runs ``pypptp spec ... --json`` against a target just started, with further words; gives the object it prints."""


def run(invoke: Invoke, program: str, target: str, command: str) -> Record:
    """Run everything."""
    began = time.monotonic()
    whole = invoke([])
    results = [_found(one) for one in whole["results"]]
    doubtful = [number for number, found in enumerate(results) if found.verdict in AGAIN]
    say(f"{_counts(whole)} in {time.monotonic() - began:.0f} s; {len(doubtful)} of them once more")
    for number in doubtful:
        first = results[number]
        # Ids are prefixes: others may come along.
        alone = next(one for one in invoke(["--only", first.id])["results"] if one["id"] == first.id)
        together = "" if alone["verdict"] == first.verdict else f"{first.verdict}: {first.actual}"
        results[number] = _found(alone, together)
        say(f"  {first.id}: {first.verdict}, alone {alone['verdict']}")
    sanity = [one["verdict"] for one in whole["sanity"]]
    seconds = round(time.monotonic() - began, 1)
    return Record(program, target, command, f"{datetime.now(UTC):%Y-%m-%d}", seconds, sanity, results)


def say(text: str) -> None:
    """Tell whoever waits."""
    sys.stderr.write(f"{text}\n")


def _found(one: dict[str, Any], together: str = "") -> Found:
    verdict = Verdict(one["verdict"])
    lines = one["transcript"][-SHOWN_LINES:]
    return Found(one["id"], verdict, one["actual"], one["seconds"], lines, together)


def _counts(whole: dict[str, Any]) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in whole["counts"].items())
