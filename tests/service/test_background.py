"""A process that divides itself: who waits, who works, and what each ends with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import logging, os, signal, sys, time
from pathlib import Path
from pypptp.errors import NetworkError
from pypptp.net import journal_folder
from pypptp.service import background

folder = Path(sys.argv[1])
journal_folder.RUNTIME_FOLDER = folder
os.environ["XDG_RUNTIME_DIR"] = sys.argv[1]
background.SYSLOG = folder / "none"
logging.basicConfig(stream=sys.stderr, level="INFO", format="%(message)s")

def work(connected):
    print("to nowhere")
    logging.info("before")
    (folder / "pid").write_text(f"{os.getpid()} {os.getsid(0)} {os.getppid()}")
    BODY

sys.exit(background.run_in_background("test", work))
"""


def run(folder: Path, body: str) -> subprocess.CompletedProcess[str]:
    code = PROGRAM.replace("BODY", body.replace("\n", "\n    "))
    return subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, timeout=30, check=False
    )


def log_of(folder: Path) -> str:
    (path,) = folder.rglob("test.log")
    return path.read_text()


def await_log(folder: Path, text: str) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if list(folder.rglob("test.log")) and text in log_of(folder):
            return True
        time.sleep(0.02)
    return False


def test_it_waits_until_the_other_is_connected_and_no_longer(tmp_path: Path) -> None:
    began = time.monotonic()
    result = run(
        tmp_path,
        "time.sleep(0.3)\nconnected()\nlogging.info('after')\n"
        "while not (folder / 'end').exists(): time.sleep(0.02)\nlogging.info('ended')",
    )
    assert 0.3 < time.monotonic() - began < 10
    # The pipes are closed, or subprocess would still wait: nothing holds the terminal.
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr.splitlines()[0] == "before"
    assert "after" not in result.stderr
    pid, session, _ = (tmp_path / "pid").read_text().split()
    assert pid == session
    os.kill(int(pid), 0)
    (tmp_path / "end").touch()
    assert await_log(tmp_path, "ended")
    assert "after" in log_of(tmp_path)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("sys.exit(19)", 19),
        ("pass", 1),
        ("os.kill(os.getpid(), signal.SIGKILL)", 137),
        ("raise ValueError('a fault')", 1),
    ],
)
def test_one_that_is_not_connected_ends_with_the_others_status(tmp_path: Path, body: str, status: int) -> None:
    result = run(tmp_path, body)
    assert (result.returncode, result.stdout) == (status, "")
    assert result.stderr.startswith("before\n")
    assert ("a fault" in result.stderr) == ("fault" in body)


def test_what_goes_wrong_later_is_in_the_log(tmp_path: Path) -> None:
    result = run(tmp_path, "connected()\nraise NetworkError('the server has gone')")
    assert result.returncode == 0
    assert "the server has gone" not in result.stderr
    assert await_log(tmp_path, "ERROR   the server has gone")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_is_interrupted_while_waiting_takes_the_other_along(tmp_path: Path, number: signal.Signals) -> None:
    code = PROGRAM.replace("BODY", "time.sleep(60)")
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 10
        while not (tmp_path / "pid").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.1)
        process.send_signal(number)
        process.communicate(timeout=10)
        assert process.returncode != 0
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text().split()[0]), 0)
