from __future__ import annotations

import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pypptp.service import secrecy

CRASH = """
import ctypes, os, resource, signal, sys
from pypptp.service.secrecy import guard_memory
resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, resource.RLIM_INFINITY))
if sys.argv[1] == "guarded":
    guard_memory()
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE)[1], flush=True)
os.kill(os.getpid(), signal.SIGSEGV)
"""


def crash(folder: Path, word: str) -> tuple[str, bool]:
    """Returns what it printed, and whether the kernel dumped core, by the status its parent gets."""
    code = (
        "import os, subprocess, sys; child = subprocess.Popen([sys.executable, '-c', sys.argv[1], sys.argv[2]]);"
        "status = os.waitpid(child.pid, 0)[1]; child.returncode = 0; print(os.WTERMSIG(status), os.WCOREDUMP(status))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, CRASH, word], cwd=folder, capture_output=True, text=True, check=True, timeout=30
    )
    said, ended = done.stdout.splitlines()
    number, dumped = ended.split()
    assert int(number) == signal.SIGSEGV
    return said, dumped == "True"


def test_a_crash_leaves_no_core(tmp_path: Path) -> None:
    assert crash(tmp_path, "guarded") == ("0 0", False)
    assert list(tmp_path.iterdir()) == []


def test_without_it_there_would_be_one(tmp_path: Path) -> None:
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        pytest.skip("this machine allows no core dumps at all")
    said, _ = crash(tmp_path, "open")
    # Whether one is written is the machine's affair (core_pattern); that it may be is what is guarded against.
    assert said == "1 -1"


def test_a_refusal_is_said_and_goes_on(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def refuse() -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(secrecy, "_close_to_others", refuse)
    secrecy.guard_memory()
    assert "may leave passwords in a core dump: not allowed" in caplog.text
