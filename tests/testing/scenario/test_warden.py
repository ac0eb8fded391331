import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pypptp.testing.scenario.warden import Warden, _start

# Starts a program, gives it and a folder to a warden, says who is who, and waits to be killed.
KEEPER = """
import subprocess, sys, time
from pathlib import Path
from pypptp.testing.scenario.warden import Warden

warden = Warden()
program = subprocess.Popen([sys.executable, "-c", sys.argv[2]], stdout=subprocess.PIPE)
program.stdout.readline()
warden.watch(program.pid)
warden.keep(Path(sys.argv[1]))
print(warden.pid, program.pid, flush=True)
time.sleep(60)
"""
POLITE = "import time; print('ready', flush=True); time.sleep(60)"


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        yield process
        process.kill()


def gone(pid: int) -> bool:
    return _start(pid) == ""


def wait_until(met: Callable[[], bool], patience: float = 10.0) -> bool:
    deadline = time.monotonic() + patience
    while not met() and time.monotonic() < deadline:
        time.sleep(0.02)
    return met()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_after_kill_9_programs_end_and_folders_go(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / "secret").touch()
    with subprocess.Popen([sys.executable, "-c", KEEPER, folder, POLITE], stdout=subprocess.PIPE) as keeper:
        assert keeper.stdout is not None
        warden, program = map(int, keeper.stdout.readline().split())
        assert not gone(program)
        keeper.kill()
        assert wait_until(lambda: gone(warden) and gone(program))
    assert not folder.exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_in_order_it_ends_what_was_not_released(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    with Warden() as warden:
        warden.watch(sleeper.pid)
        assert sleeper.poll() is None
    assert sleeper.wait(10) == -signal.SIGTERM
    assert gone(warden.pid)
    warden.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_what_was_released_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    with Warden() as warden:
        warden.watch(sleeper.pid)
        warden.release(sleeper.pid)
    assert sleeper.poll() is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_number_that_was_given_to_somebody_else_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    with Warden() as warden:
        warden._tell("watch", f"{sleeper.pid}:1")
    assert sleeper.poll() is None


def test_a_warden_that_was_killed_is_no_error() -> None:
    with Warden() as warden:
        os.kill(warden.pid, signal.SIGKILL)
        warden._process.wait()
        warden.release(1)
