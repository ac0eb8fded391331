"""A program in one of the hosts: started, listened to, ended."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeVar

from pypptp.errors import PptpError
from pypptp.testing.scenario.warden import Warden

T = TypeVar("T")

STOP_SECONDS = 5.0
"""In this time server and client have taken everything back after a signal."""


class Host(Protocol):
    """Where a program can be started; see :class:`pypptp.net.namespaces.Namespace`."""

    def popen(self, arguments: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a program there; the options are those of ``subprocess.Popen``."""


class ProgramEnded(PptpError):
    """The program ended while something was awaited of it; the text is its own last line."""


class ProgramSilent(PptpError):
    """The program did not say in time what was awaited."""


class Program:
    """A running program whose output is collected by a thread.

    It runs in a session of its own, so that a terminal's Ctrl-C reaches us alone and we end it in order.

    Args:
        name: for messages.
        host: where it runs.
        arguments: the command.
        environment: all of it.
        folder: its working folder, ours if None.
        warden: ends the program if this process is killed.

    Attributes:
        lines: what it wrote to stdout and stderr so far.
    """

    def __init__(
        self,
        name: str,
        host: Host,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path | None = None,
        warden: Warden | None = None,
    ) -> None:
        self.name = name
        self.lines: list[str] = []
        self._warden = warden
        self._news = threading.Condition()
        self._silent = False
        self._process = host.popen(
            arguments,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        if warden is not None:
            warden.watch(self._process.pid)
        self._reader = threading.Thread(target=self._read, name=f"output of {name}", daemon=True)
        self._reader.start()

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process number."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status, negative for a signal, None while it runs."""
        return self._process.poll()

    @property
    def last_line(self) -> str:
        """The last line it wrote, empty where it wrote none."""
        with self._news:
            return self.lines[-1] if self.lines else ""

    def await_line(self, read: Callable[[str], T | None], *, patience: float) -> T:
        """Wait for the first line of the output, from its beginning, of which ``read`` makes something.

        Returns:
            What it made.

        Raises:
            ProgramEnded: it ended first.
            ProgramSilent: nothing of the kind within ``patience`` seconds.
        """
        deadline = time.monotonic() + patience
        seen = 0
        while True:
            with self._news:
                while len(self.lines) == seen and not self._silent and (left := deadline - time.monotonic()) > 0:
                    self._news.wait(left)
                fresh, silent = self.lines[seen:], self._silent
            seen += len(fresh)
            for line in fresh:
                found = read(line)
                if found is not None:
                    return found
            if silent and not fresh:
                raise ProgramEnded(self.last_line or f"the {self.name} ended without a word")
            if time.monotonic() >= deadline:
                raise ProgramSilent(f"the {self.name} did not get there within {patience:.0f} s: {self.last_line}")

    def wait(self, patience: float) -> int | None:
        """Wait for the end. Returns the exit status, or None where it still runs after ``patience`` seconds."""
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            return None
        return self._over()

    def stop(self, number: signal.Signals = signal.SIGTERM, *, patience: float = STOP_SECONDS) -> int:
        """Send a signal and wait for the end; what is not over in time is killed. Returns the exit status."""
        if self._process.poll() is None:
            self._process.send_signal(number)
        status = self.wait(patience)
        if status is None:
            self._process.kill()
            self._process.wait()
            status = self._over()
        return status

    def _over(self) -> int:
        self._reader.join()
        if self._warden is not None:
            self._warden.release(self._process.pid)
            self._warden = None
        return self._process.returncode

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                with self._news:
                    self.lines.append(line.rstrip("\n"))
                    self._news.notify_all()
        with self._news:
            self._silent = True
            self._news.notify_all()
