import os
import subprocess
import sys

import pytest

from pypptp.net.namespaces import Namespace
from pypptp.testing.scenario.holders import holders, marked_processes

pytestmark = pytest.mark.netns
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_a_namespace_is_held_by_us_then_by_a_program_then_by_nobody() -> None:
    with Namespace("gateway") as gateway:
        inodes = {os.fstat(gateway.fileno()).st_ino: "gateway"}
        assert [line.split(" (")[0] for line in holders(inodes)] == [
            f"namespace gateway: held by process {os.getpid()}"
        ]
        with gateway.popen(SLEEP) as program:
            gateway.close()
            held = [f"namespace gateway: held by process {program.pid}"]
            assert [line.split(" (")[0] for line in holders(inodes)] == held
            program.kill()
        assert holders(inodes) == []


def test_marked_processes() -> None:
    mark = f"{os.getpid()}-trial"
    with subprocess.Popen(SLEEP, env={**os.environ, "PYPPTP_TRIAL": mark}) as program:
        assert [found.split()[0] for found in marked_processes("PYPPTP_TRIAL", mark)] == [str(program.pid)]
        assert marked_processes("PYPPTP_TRIAL", mark[:-1]) == []
        program.kill()
    assert marked_processes("PYPPTP_TRIAL", mark) == []
