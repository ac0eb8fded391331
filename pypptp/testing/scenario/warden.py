"""Whoever is killed takes nothing back; so another process waits for that.

The warden is this file run as a program. It listens at a pipe whose other end we hold, and when that closes, however
we ended, it ends the processes and removes the folders that were given to it and not taken back.

``PR_SET_PDEATHSIG`` would do without another process, but it watches the thread that started the program, and a
program is born inside a namespace by a thread that lives a moment (:mod:`pypptp.net.namespaces`).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

_TERM_SECONDS = 6.0


class Warden:
    """Cleans up behind this process if it cannot do it itself, after kill -9."""

    def __init__(self) -> None:
        # Isolated and without site-packages: it starts in 10 ms and holds 7 MB.
        self._process = subprocess.Popen(  # noqa: S603 - this very file
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            bufsize=0,  # what could not be told must not come up again when the pipe is closed
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def __enter__(self) -> Warden:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The warden's own process number."""
        return self._process.pid

    def watch(self, pid: int) -> None:
        """End this process when we are gone: SIGTERM, and SIGKILL six seconds later."""
        self._tell("watch", f"{pid}:{_start(pid)}")

    def release(self, pid: int) -> None:
        """Forget a process that has ended."""
        self._tell("release", str(pid))

    def keep(self, folder: Path) -> None:
        """Remove this folder when we are gone; one that is gone already is no error."""
        self._tell("keep", str(folder.absolute()))

    def close(self) -> None:
        """Let it do what is left to do, and wait for its end. Closing twice is no error."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
            self._process.wait()

    def _tell(self, verb: str, what: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{verb} {what}\n".encode())
        except (BrokenPipeError, ValueError):
            pass  # somebody killed the warden: the programs are still ended by those who started them


def _serve() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    watched: dict[int, str] = {}
    folders: list[str] = []
    for line in sys.stdin.buffer:
        verb, _, what = line.decode().rstrip("\n").partition(" ")
        if verb == "watch":
            pid, _, start = what.partition(":")
            watched[int(pid)] = start
        elif verb == "release":
            watched.pop(int(what), None)
        elif verb == "keep":
            folders.append(what)
    _end(watched)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _end(watched: dict[int, str]) -> None:
    for number, patience in ((signal.SIGTERM, _TERM_SECONDS), (signal.SIGKILL, 1.0)):
        # The start time is compared each time: a number may have been given to somebody else.
        for pid in _alive(watched):
            try:
                os.kill(pid, number)
            except OSError:
                pass
        deadline = time.monotonic() + patience
        while _alive(watched) and time.monotonic() < deadline:
            time.sleep(0.02)


def _alive(watched: dict[int, str]) -> list[int]:
    return [pid for pid, start in watched.items() if start and _start(pid) == start]


def _start(pid: int) -> str:
    """When a process started, in clock ticks after boot (/proc/PID/stat, field 22); empty for none and for a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:  # noqa: PTH123 - pathlib not needed
            fields = stat.read().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


if __name__ == "__main__":
    _serve()
