from __future__ import annotations

import io
import time
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console
from rich.live import Live

from pypptp.errors import ConfigurationError
from pypptp.service.control_socket import NothingRuns
from pypptp_cli import top as module
from pypptp_cli.top import top, watch

from .answers import session, sessions


class Clock:
    """The time, and a keyboard that uses it up."""

    def __init__(self, *keys: str | None) -> None:
        self.now = 0.0
        self.keys: Iterator[str | None] = iter(keys)
        self.looks: list[float] = []

    def look(self) -> Any:
        self.looks.append(self.now)
        number = len(self.looks)
        return sessions(
            session(1, user="alice", octets_in=1000 * number),
            session(2, user="zoe", octets_in=9000 * number, seconds=999),
            at=self.now,
        )

    def key(self, seconds: float) -> str | None:
        pressed = next(self.keys)
        if pressed is None:
            self.now += seconds
        else:
            self.now += 0.1
        return pressed


def watched(*keys: str | None) -> tuple[Clock, str]:
    clock = Clock(*keys)
    console = Console(width=140, height=30, file=io.StringIO(), force_terminal=True)
    with Live(console=console, auto_refresh=False) as live:
        watch(clock.look, live, clock, console, order="since", interval=2.0, clock=lambda: clock.now)
        frame = Console(width=140, file=io.StringIO())
        frame.print(live.renderable)
    assert isinstance(frame.file, io.StringIO)
    return clock, frame.file.getvalue()


def test_it_looks_again_with_each_interval_until_q() -> None:
    clock, frame = watched(None, None, "q")
    assert clock.looks == [0.0, 2.0, 4.0]
    assert "36.0 kbit/s" in frame
    assert frame.index("zoe") < frame.index("alice")


def test_a_key_sorts_at_once_and_does_not_ask_again() -> None:
    clock, frame = watched(None, "u", "x", "q")
    assert clock.looks == [0.0, 2.0]
    assert frame.index("alice") < frame.index("zoe")
    assert "user ^" in frame


def test_a_keyboard_that_is_gone_ends_it() -> None:
    assert watched("")[0].looks == [0.0]


def test_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.now += seconds

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(module, "the_server", lambda name: name or "server")
    monkeypatch.setattr(module, "sample", lambda name: clock.look())
    result = CliRunner().invoke(top, ["--once", "--interval", "5", "--sort", "user"])
    assert result.exit_code == 0
    assert slept == [5.0]
    lines = result.output.splitlines()
    assert lines[0].startswith("pypptp server 'server' (process 12)  ")
    assert lines[1] == "2 sessions, in 16.0 kbit/s, out 0 bit/s"
    assert [line.split()[0] for line in lines[4:6]] == ["alice", "zoe"]


def test_no_terminal_and_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str | None) -> str:
        raise NothingRuns("no server is running here")

    monkeypatch.setattr(module, "the_server", lambda name: "server")
    result = CliRunner().invoke(top)
    assert isinstance(result.exception, ConfigurationError)
    assert "'pypptp top --once'" in str(result.exception)
    monkeypatch.setattr(module, "the_server", nothing)
    assert isinstance(CliRunner().invoke(top).exception, NothingRuns)
