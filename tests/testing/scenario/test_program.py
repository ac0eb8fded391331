import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pypptp.testing.scenario.program import Program, ProgramEnded, ProgramSilent


class Here:
    """The host we are on."""

    def popen(self, arguments: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        return subprocess.Popen(arguments, **options)


def program(code: str, **variables: str) -> Program:
    return Program("trial", Here(), [sys.executable, "-u", "-c", code], environment={**os.environ, **variables})


def number(line: str) -> int | None:
    return int(line) if line.isdigit() else None


WAIT = "import time; print('ready'); time.sleep(60)"


def test_lines_are_read_from_the_beginning_and_as_they_come() -> None:
    with program(
        "import sys, time; print('a\\n1'); time.sleep(0.2); print(2, file=sys.stderr); time.sleep(60)"
    ) as running:
        assert running.await_line(number, patience=10) == 1
        assert running.await_line(lambda line: line if line == "2" else None, patience=10) == "2"
        assert running.await_line(number, patience=10) == 1
        assert running.lines == ["a", "1", "2"]


def test_one_that_ends_instead() -> None:
    with program("print('no such file'); raise SystemExit(3)") as running:
        with pytest.raises(ProgramEnded, match=r"^no such file$"):
            running.await_line(number, patience=10)
        assert running.wait(10) == 3


def test_one_that_ends_without_a_word() -> None:
    with program("") as running, pytest.raises(ProgramEnded, match="the trial ended without a word"):
        running.await_line(number, patience=10)


def test_one_that_says_something_else() -> None:
    with program(WAIT) as running:
        running.await_line(lambda line: line or None, patience=10)
        with pytest.raises(ProgramSilent, match=r"did not get there within 0 s: ready"):
            running.await_line(number, patience=0.1)
        assert running.wait(0.01) is None


def test_environment_and_folder_are_the_given_ones(tmp_path: Path) -> None:
    code = "import os; print(os.environ['COLOUR'], os.getcwd())"
    with Program(
        "trial", Here(), [sys.executable, "-c", code], environment={"COLOUR": "blue"}, folder=tmp_path
    ) as running:
        assert running.wait(10) == 0
        assert running.last_line == f"blue {tmp_path}"


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_ends_it(signum: signal.Signals) -> None:
    with program(WAIT.replace("import time", "import time, signal; signal.signal(2, signal.SIG_DFL)")) as running:
        running.await_line(lambda line: line or None, patience=10)
        assert running.stop(signum) == -signum
        assert running.stop() == -signum


def test_one_that_does_not_listen_is_killed() -> None:
    with program("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + WAIT) as running:
        running.await_line(lambda line: line or None, patience=10)
        began = time.monotonic()
        assert running.stop(patience=0.2) == -signal.SIGKILL
        assert time.monotonic() - began < 5
