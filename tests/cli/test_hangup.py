"""``pypptp hangup`` waits until the connection's process is gone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from pypptp.service.control_socket import Instance
from pypptp_cli import hangup as module

from .test_main import outcome

STAYS = "import sys; sys.stdin.readline()"


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", STAYS], stdin=subprocess.PIPE) as running:
        yield running
        running.kill()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, process: subprocess.Popen[bytes]) -> list[tuple[str, str]]:
    made: list[tuple[str, str]] = []

    def ask(instance: str, request: str, **arguments: Any) -> dict[str, Any]:
        made.append((instance, request))
        assert process.stdin is not None
        if instance != "stubborn":
            process.stdin.close()
        return {}

    found = [Instance(name, "client", process.pid) for name in ("test", "Head_office", "stubborn")]
    monkeypatch.setattr(module, "instances", lambda: [*found, Instance("server", "server", 1)])
    monkeypatch.setattr(module, "ask", ask)
    return made


@pytest.mark.parametrize(("name", "instance"), [("test", "test"), ("Head office", "Head_office")])
def test_it_is_gone_afterwards(
    asked: list[tuple[str, str]],
    process: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    instance: str,
) -> None:
    assert outcome(monkeypatch, capsys, "hangup", name) == (0, "", f"'{name}' hung up\n")
    assert asked == [(instance, "stop")]
    assert process.poll() == 0


def test_one_that_does_not_end(
    asked: list[tuple[str, str]],
    process: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    status, _, said = outcome(monkeypatch, capsys, "hangup", "stubborn")
    assert (status, f"kill -9 {process.pid}, then pypptp undo" in said) == (1, True)


@pytest.mark.parametrize(("name", "complaint"), [("nobody", "'nobody' is not connected"), ("server", "is a server")])
def test_nothing_to_end(
    asked: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    complaint: str,
) -> None:
    status, _, said = outcome(monkeypatch, capsys, "hangup", name)
    assert (status, complaint in said, asked) == (1, True, [])
