"""One guest for the whole run; one wire at a time; a folder of traces and a cell of the matrix for each test."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from .lab.build import LabUnavailableError, check_host, obtain
from .lab.guest import Guest
from .lab.topology import Lan, Shape
from .pairs import PAIRS, Pair
from .results import FOLDER, Result
from .scenario import Scenario

LIMIT_SECONDS = 240
BUILD_LIMIT_SECONDS = 1200
ONE_CLIENT = Shape()
PROJECT = Path(__file__).parents[2]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "nightly: an interop test that waits long; 'make interop-nightly' runs it")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and "guest" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.interop)
            item.add_marker(pytest.mark.timeout(LIMIT_SECONDS, func_only=True))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash.setdefault(REPORTS, {})[call.when] = report
    return report


REPORTS = pytest.StashKey[dict[str, pytest.TestReport]]()


@pytest.fixture(scope="session")
def guest() -> Iterator[Guest]:
    """The running guest; skips, with one sentence, where there can be none."""
    try:
        check_host()
        ingredients = obtain()
    except LabUnavailableError as reason:
        pytest.skip(str(reason))
    running = Guest.boot(ingredients, [PROJECT, *interpreter_folders()])
    yield running
    running.stop()


def interpreter_folders() -> list[Path]:
    """Where the interpreter of the virtual environment that runs the tests is at home, unless the guest's own /usr
    has it.
    """
    found = {Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve()}
    return sorted(path for path in found if not path.is_relative_to(PROJECT) and path not in (Path("/usr"), Path("/")))


class Wires:
    """The wire of the last test is used again when the next asks for the same shape and nothing was left on it."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._current: Lan | None = None

    def get(self, shape: Shape) -> Lan:
        lan = self._current
        if lan is not None and lan.shape == shape and lan.clean:
            lan.clear_files()
            return lan
        self.close()
        self._current = Lan(self._guest, shape)
        return self._current

    def close(self) -> None:
        if self._current is not None:
            self._current.close()
            self._current = None


@pytest.fixture(scope="session")
def wires(guest: Guest) -> Iterator[Wires]:
    made = Wires(guest)
    yield made
    made.close()


@pytest.fixture(params=PAIRS, ids=lambda pair: pair.name)
def pair(request: pytest.FixtureRequest) -> Pair:
    found: Pair = request.param
    return found


MakeScenario = Callable[..., Scenario]


@pytest.fixture
def scenario(request: pytest.FixtureRequest, pair: Pair, wires: Wires) -> Iterator[MakeScenario]:
    """Makes the test's scenario: `scenario(row, Shape(...))`. Its traces and its cell are written afterwards."""
    made: list[tuple[str, Scenario]] = []
    began = time.monotonic()

    def make(row: str, shape: Shape = ONE_CLIENT) -> Scenario:
        folder = FOLDER / pair.name / row
        shutil.rmtree(folder, ignore_errors=True)
        one = Scenario(wires.get(shape), pair, folder)
        made.append((row, one))
        return one

    yield make
    report = request.node.stash.get(REPORTS, {}).get("call")
    for row, one in made:
        verdict = "passed" if report is not None and report.passed else "failed"
        try:
            summary = one.finish(verdict)
            Result(pair.name, row, verdict, round(time.monotonic() - began, 2), summary).write()
        finally:
            one.clean_up()


def not_applicable(pair: Pair, row: str, reason: str) -> None:
    """Make the cell of this pair and row `n/a`, and skip the test with the same words."""
    Result(pair.name, row, f"n/a: {reason}", 0.0, "").write()
    pytest.skip(f"n/a: {reason}")
