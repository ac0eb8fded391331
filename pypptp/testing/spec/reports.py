"""Results for other programs: JSON and JUnit; and lists of failures that are known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any
from xml.etree import ElementTree

from pypptp.testing.dialogue.annotation import annotate
from pypptp.testing.dialogue.verdicts import Verdict
from pypptp.testing.spec.runner import Outcome, Result

EXPLAINED = (Verdict.FAIL, Verdict.NONSTRICT)
_PRINTABLE = {**{code: f"\\x{code:02x}" for code in range(0x20)}, 0x0A: "\n", 0x09: "\t"}


def as_json(outcome: Outcome, expected: Sequence[str] = ()) -> dict[str, Any]:
    """Return a whole run as one object; what failed, or would with ``--strict``, with the exchange in words."""
    return {
        "results": [_as_object(result, expected) for result in outcome.results],
        "sanity": [_as_object(result, expected) for result in outcome.sanity],
        "counts": dict(Counter(result.verdict.value for result in outcome.results)),
    }


def _as_object(result: Result, expected: Sequence[str]) -> dict[str, Any]:
    return {
        "id": result.id,
        "verdict": result.verdict.value,
        "expected": result.expected,
        "actual": result.actual,
        "reference": result.reference,
        "level": result.level.value,
        "seconds": round(result.seconds, 3),
        "expected_failure": is_expected(result.id, expected),
        "transcript": annotate(result.transcript) if result.transcript and result.verdict in EXPLAINED else [],
    }


def as_junit(outcome: Outcome, transcript: dict[str, str], expected: Sequence[str] = ()) -> bytes:
    """Return a whole run as JUnit's XML.

    Args:
        outcome: the run.
        transcript: what passed in the failed checks, by id.
        expected: ids, or beginnings of ids, whose failure is known.
    """
    results = [*outcome.sanity, *outcome.results]
    failures = [result for result in results if result.verdict is Verdict.FAIL and not is_expected(result.id, expected)]
    skipped = [result for result in results if result.verdict in (Verdict.SKIP, Verdict.INFO)]
    suite = ElementTree.Element(
        "testsuite", name="pypptp spec", tests=str(len(results)), failures=str(len(failures)), skipped=str(len(skipped))
    )
    for result in results:
        group = result.id.rpartition("/")[0]
        case = ElementTree.SubElement(
            suite, "testcase", classname=group.replace("/", "."), name=result.id, time=f"{result.seconds:.3f}"
        )
        words = _clean(result.actual)
        if result in failures:
            failure = ElementTree.SubElement(case, "failure", message=words, type=result.level.value)
            failure.text = _clean(f"{result.reference}\nexpected: {result.expected}\n{transcript.get(result.id, '')}")
        elif result in skipped or result.verdict is Verdict.FAIL:
            ElementTree.SubElement(case, "skipped", message=words)
        else:
            ElementTree.SubElement(case, "system-out").text = words
    written: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return written


def _clean(text: str) -> str:
    """Leave out what XML cannot hold."""
    return text.translate(_PRINTABLE)


def read_expected(lines: Iterable[str]) -> list[str]:
    """Read a file of expected failures: an id, or the beginning of ids with ``/`` at its end, on each line."""
    found = []
    for line in lines:
        words = line.partition("#")[0].split()
        if words:
            found.append(words[0])
    return found


def is_expected(check_id: str, expected: Sequence[str]) -> bool:
    """Whether the failure of a check is known."""
    return any(check_id == known or (known.endswith("/") and check_id.startswith(known)) for known in expected)


def unexpected(outcome: Outcome, expected: Sequence[str]) -> tuple[list[Result], list[Result]]:
    """Return what failed without being expected to, and what did not fail though it was."""
    failed = [result for result in outcome.failed() if not is_expected(result.id, expected)]
    mended = [
        result
        for result in outcome.results
        if result.id in expected and result.verdict in (Verdict.PASS, Verdict.NONSTRICT)
    ]
    return failed, mended
