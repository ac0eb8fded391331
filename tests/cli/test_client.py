"""``pypptp client`` as a user calls it, up to where the service takes over."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from pypptp.errors import NetworkError
from pypptp.net.linux import LinuxEdge
from pypptp.service.credentials import Credentials
from pypptp.service.settings import ClientSettings
from pypptp.service.warning import PASSWORD_IS_VISIBLE
from pypptp_cli import client as module

from .test_main import outcome
from .test_server import _logging_of_its_own  # noqa: F401 - a fixture for all tests here

Calls = list[tuple[ClientSettings, Credentials, dict[str, Any]]]
SERVER = ("client", "--server", "10.100.100.1")


class Terminal:
    def __init__(self, there: bool) -> None:
        self.there = there

    def isatty(self) -> bool:
        return self.there


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    made: Calls = []

    def run_client(settings: ClientSettings, credentials: Credentials, **given: Any) -> None:
        made.append((settings, credentials, given))

    monkeypatch.setattr(module, "run_client", run_client)
    monkeypatch.setattr(module, "require_system", lambda: None)
    monkeypatch.setattr(sys, "stdin", Terminal(False))
    monkeypatch.delenv("PYPPTP_PASSWORD", raising=False)
    return made


def test_user_and_environment_need_no_terminal(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYPPTP_PASSWORD", "wonder land")
    assert outcome(monkeypatch, capsys, *SERVER, "--user", "alice") == (0, "", "")
    ((settings, credentials, given),) = calls
    assert (settings.server, credentials.user, credentials.password) == ("10.100.100.1", "alice", "wonder land")
    assert credentials.warnings == ()
    assert isinstance(given["edge"], LinuxEdge)


def test_a_password_file(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "password"
    path.write_text("wonder land\n")
    path.chmod(0o600)
    assert outcome(monkeypatch, capsys, *SERVER, "--user", "alice", "--password-file", str(path))[0] == 0
    assert calls[0][1].password == "wonder land"


def test_a_password_for_all_to_see(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome(monkeypatch, capsys, *SERVER, "--user", "alice", "--password", "x")[0] == 0
    assert calls[0][1].warnings == (PASSWORD_IS_VISIBLE,)


@pytest.mark.parametrize("stdin", [Terminal(False), None])
@pytest.mark.parametrize(("words", "missing"), [((), "user"), (("--user", "alice"), "password")])
def test_nobody_to_ask(
    calls: Calls,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stdin: Terminal | None,
    words: tuple[str, ...],
    missing: str,
) -> None:
    monkeypatch.setattr(sys, "stdin", stdin)
    status, out, said = outcome(monkeypatch, capsys, *SERVER, *words)
    assert (status, out, said.count("\n")) == (2, "", 1)
    assert said.startswith(f"pypptp: {missing}: not given, and there is no terminal to ask at")
    assert calls == []


def test_a_terminal_is_asked(calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[tuple[str, bool]] = []

    def prompt(what: str, *, hide_input: bool, err: bool) -> str:
        assert err
        asked.append((what, hide_input))
        return "wonder land" if hide_input else "alice"

    monkeypatch.setattr(sys, "stdin", Terminal(True))
    monkeypatch.setattr(click, "prompt", prompt)
    assert outcome(monkeypatch, capsys, *SERVER) == (0, "", "")
    assert asked == [("User", False), ("Password for alice", True)]
    assert (calls[0][1].user, calls[0][1].password) == ("alice", "wonder land")


def test_nobody_is_asked_for_a_password_that_is_of_no_use(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise NetworkError("not allowed to open a raw GRE socket: run as root")

    def prompt(*_: Any, **__: Any) -> str:
        raise AssertionError("asked")

    monkeypatch.setattr(sys, "stdin", Terminal(True))
    monkeypatch.setattr(click, "prompt", prompt)
    monkeypatch.setattr(module, "require_system", refuse)
    status, _, said = outcome(monkeypatch, capsys, *SERVER)
    assert (status, said) == (1, "pypptp: not allowed to open a raw GRE socket: run as root\n")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("client",), "server"),
        (("client", "--server", "not a host"), "--server"),
        ((*SERVER, "--user", "a", "--password-file", "/nowhere"), "/nowhere"),
        ((*SERVER, "--route", "elsewhere"), "--route"),
        ((*SERVER, "--bypass", "10.0.0.1/8"), "--bypass"),
    ],
)
def test_what_is_wrong_is_one_line_and_2(
    calls: Calls,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    complaint: str,
) -> None:
    status, out, said = outcome(monkeypatch, capsys, *words)
    assert (status, out, said.count("\n")) == (2, "", 1)
    assert complaint in said
    assert calls == []


def test_standard_input_that_was_closed() -> None:
    command = [sys.executable, "-m", "pypptp_cli", *SERVER]
    done = subprocess.run(
        ["/bin/sh", "-c", '"$@" <&-', "sh", *command], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("pypptp: user: not given")
    assert done.stderr.count("\n") == 1
