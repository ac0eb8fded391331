"""``pypptp demo`` as a user runs it, to its end and not."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pypptp.net.snapshot import take_snapshot
from pypptp.testing.scenario import marked_processes

from .conftest import PATIENCE, PYPPTP

DEMO = [*PYPPTP, "demo", "--json"]
MARK = "TEST_OF_DEMO"


class Running:
    """A demo, and what it has started: the mark is in everybody's environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = f"{os.getpid()}-{folder.name}"
        environment = os.environ | {MARK: self.mark, "TMPDIR": str(folder)}
        self.process = subprocess.Popen(
            DEMO, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def programs(self) -> list[str]:
        own = str(self.process.pid)
        return [found for found in marked_processes(MARK, self.mark) if found.split()[0] != own]

    def left_behind(self) -> list[str]:
        return [*self.programs(), *map(str, self.folder.iterdir())]

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()
        wait_until(lambda: not self.left_behind())


def wait_until(met: Callable[[], bool], patience: float = PATIENCE) -> bool:
    deadline = time.monotonic() + patience
    while not met() and time.monotonic() < deadline:
        time.sleep(0.05)
    return met()


@pytest.mark.netns
def test_to_its_end(tmp_path: Path) -> None:
    before = take_snapshot()
    running = Running(tmp_path)
    output, remarks = running.process.communicate(timeout=50)
    assert running.process.returncode == 0, remarks
    found = json.loads(output)
    rate = found.pop("mbit_per_s")
    assert rate > 1
    assert found == {
        "connected": True,
        "auth": "MS-CHAPv2",
        "mppe": "MPPE-128 stateless",
        "client_ip": "192.168.0.234",
        "server_ip": "192.168.0.1",
        "ping_before": {"sent": 4, "received": 0},
        "ping_after": {"sent": 4, "received": 4},
        "seen_source": "203.0.113.1",
        "left_behind": [],
    }
    assert "4 of 4 answered" in remarks
    assert "MS-CHAPv2 log-in" in remarks
    assert "\x1b" not in remarks
    assert running.left_behind() == []
    # The machine's own namespace was not so much as touched. (Others may change it meanwhile, but not like this.)
    assert not [line for line in set(take_snapshot()) - set(before) if "ppp" in line or "203.0.113." in line]


@pytest.mark.netns
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(tmp_path: Path, number: signal.Signals) -> None:
    running = Running(tmp_path)
    try:
        # Folder, warden, server and client are there: in the middle of everything.
        assert wait_until(lambda: len(running.programs()) == 3)
        running.process.send_signal(number)
        output, remarks = running.process.communicate(timeout=20)
        assert running.process.returncode == 128 + number
        assert output == ""
        assert "everything has been taken back" in remarks
        assert "Traceback" not in remarks
        assert running.left_behind() == []
    finally:
        running.end()


@pytest.mark.netns
def test_killed(tmp_path: Path) -> None:
    running = Running(tmp_path)
    try:
        assert wait_until(lambda: len(running.programs()) == 3)
        running.process.kill()
        running.process.communicate()
        assert wait_until(lambda: running.left_behind() == [])
    finally:
        running.end()


WITHOUT_RIGHTS = """
import ctypes, os, sys
PR_CAPBSET_DROP, CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN = 24, 12, 13, 21
for capability in (CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN):
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.netns
def test_what_is_missing_is_said_in_one_line(tmp_path: Path) -> None:
    # What root in a container without rights is.
    command = [sys.executable, "-c", WITHOUT_RIGHTS, *DEMO]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (result.returncode, result.stdout) == (77, "")
    assert result.stderr.startswith("pypptp demo: ")
    assert result.stderr.count("\n") == 1
    assert "run as root" in result.stderr
