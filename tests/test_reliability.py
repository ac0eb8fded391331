"""docs/reliability.md is made of tests that are there and of results as they are."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "docs" / "render_reliability.py"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    specification = importlib.util.spec_from_file_location("render_reliability", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    yield module
    module.functions_of.cache_clear()


def test_the_page_is_current() -> None:
    result = subprocess.run([sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_each_promise_has_its_tests(script: ModuleType) -> None:
    assert [title.split(".")[0] for title in script.PROMISES] == [str(number) for number in range(1, 11)]
    assert script.missing_tests() == []
    for clauses in script.PROMISES.values():
        for clause in clauses:
            assert list(script.tests_of(clause)), clause.what


def test_a_test_that_is_gone_is_noticed(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    clause = script.Clause("what", "how", "test_reliability::test_that_is_not_there test_the_page_is_current")
    monkeypatch.setattr(script, "PROMISES", {"1. all": (clause, script.Clause("what", "how", "nowhere::test_it"))})
    assert script.missing_tests() == ["test_reliability.py::test_that_is_not_there", "nowhere.py::test_it"]


def test_results_that_are_bad_are_not_praised(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    footprint = {"descriptors": 10, "threads": 3, "children": 0, "resident_kib": 50_000, "tuns": 0, "routes": 1}
    soak = {
        "cycles": 10_000,
        "cycle_seconds": 900.0,
        "failed": {},
        "held": 200,
        "held_seconds": 1800.0,
        "pings": {"sent": 1000, "received": 1000, "lost": 0},
        "footprints": {"warmed up": footprint, "after all": footprint},
    }
    calm = {"flood": "none", "sent": 0, "pings": 1000, "lost": 0, "setup": 20.0, "established": 10, "dropped": 0}
    passage = {
        "line": {"loss": 1.0},
        "established": 20,
        "setup_median": 1.0,
        "setup_maximum": 2.0,
        "dropped": 0,
        "inner": 20_000,
        "lost": 200,
        "lost_by_line": 200,
        "spoiled": 0,
        "own_loss": 0.0,
    }
    total = {
        "seconds": 900.0,
        "longest": 900.0,
        "executions": 12345,
        "branches": 7,
        "features": 9,
        "corpus": 3,
        "crashes": 0,
    }
    monkeypatch.setattr(script, "RESULTS", tmp_path)
    monkeypatch.setattr(script, "TOTALS", tmp_path / "totals.json")
    sections = (script.fuzzing, script.soaks, script.floods, script.bad_lines, script.outages)
    assert sum("Not recorded yet" in "".join(section()) for section in sections) == 5

    def write(leaks: int, lost: int) -> str:
        after = {**footprint, "descriptors": 10 + leaks}
        files = {
            "soak": {**soak, "footprints": {"warmed up": footprint, "after all": after}},
            "floods": [calm, {**calm, "flood": "echo", "sent": 9, "lost": lost}],
            "chaos": [{**passage, "own_loss": lost / 1000}],
            "totals": {"gre": total},
        }
        for name, values in files.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(values), encoding="ascii")
        return "".join("".join(section()) for section in sections)

    good = write(0, 0)
    assert "Not as promised" not in good
    assert "12,345" in good
    assert "10,000 cycles" in good
    bad = write(1, 500)
    assert bad.count("Not as promised") == 3
    assert "descriptors 10 -> 11" in bad
    assert "500 of 1000 pings lost" in bad
