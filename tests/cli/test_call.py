"""``pypptp call`` as a user calls it, up to where the service takes over."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pypptp.net.linux import LinuxEdge
from pypptp.service.control_socket import Instance
from pypptp.service.credentials import Credentials
from pypptp.service.peers import NewConnection, Places, create, find_connection
from pypptp.service.settings import PRIVATE_NETWORKS, ClientSettings
from pypptp_cli import call as module

from .test_client import Terminal
from .test_main import outcome
from .test_server import _logging_of_its_own  # noqa: F401 - a fixture for all tests here

Calls = list[tuple[ClientSettings, Credentials, dict[str, Any]]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Calls:
    made: Calls = []
    create(NewConnection(name="test", server="10.100.100.1", username="root", encrypt=True), "123456", tmp_path)
    places = Places(
        peers=tmp_path / "peers", system_options=None, secrets=tmp_path / "chap-secrets", network_manager=()
    )

    def run_client(settings: ClientSettings, credentials: Credentials, **given: Any) -> None:
        made.append((settings, credentials, given))

    monkeypatch.setattr(module, "find_connection", lambda name: find_connection(name, places))
    monkeypatch.setattr(module, "run_client", run_client)
    monkeypatch.setattr(module, "require_system", lambda: None)
    monkeypatch.setattr(module, "guard_memory", lambda: None)
    monkeypatch.setattr(module, "instances", lambda: [Instance("server", "server", 1)])
    monkeypatch.setattr(sys, "stdin", Terminal(False))
    monkeypatch.delenv("PYPPTP_PASSWORD", raising=False)
    return made


def test_what_setup_wrote(calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, said = outcome(monkeypatch, capsys, "call", "test")
    assert (status, out) == (0, "")
    ((settings, credentials, given),) = calls
    assert (settings.server, settings.instance, settings.mppe) == ("10.100.100.1", "test", "require")
    assert (credentials.user, credentials.password, credentials.warnings) == ("root", "123456", ())
    assert isinstance(given["edge"], LinuxEdge)
    assert given["on_connected"] is None
    assert "peers/test:3: 'lock' has no effect, which does not matter" in said
    assert "123456" not in said


def test_flags_win(calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--server", "10.0.0.9", "--default-route", "--bypass", "private", "--mtu", "1300", "--instance", "two")
    assert outcome(monkeypatch, capsys, "call", "test", *words)[0] == 0
    settings = calls[0][0]
    assert (settings.server, settings.default_route, settings.mtu) == ("10.0.0.9", True, 1300)
    assert (settings.bypass, settings.instance, settings.mppe_strength) == (PRIVATE_NETWORKS, "two", (128,))


def test_a_password_file_wins(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("another\n")
    (tmp_path / "password").chmod(0o600)
    assert outcome(monkeypatch, capsys, "call", "test", "--password-file", str(tmp_path / "password"))[0] == 0
    assert calls[0][1].password == "another"


def test_another_user_has_another_line(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with (tmp_path / "chap-secrets").open("a") as file:
        file.write("bob test builder *\n")
    assert outcome(monkeypatch, capsys, "call", "test", "--user", "bob")[0] == 0
    assert (calls[0][1].user, calls[0][1].password) == ("bob", "builder")


def test_without_a_line_it_is_asked_for_or_said(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, said = outcome(monkeypatch, capsys, "call", "test", "--user", "carol")
    assert (status, calls) == (2, [])
    assert "password: not given, and there is no terminal to ask at" in said
    monkeypatch.setattr(sys, "stdin", Terminal(True))
    monkeypatch.setattr(module, "ask_at_terminal", lambda what, hidden: f"{what} {hidden}")
    status, _, said = outcome(monkeypatch, capsys, "call", "test", "--user", "carol")
    assert (status, calls[0][1].password) == (0, "Password for carol True")
    # Said before the question, so that it is known why there is one.
    assert "there is no line for 'carol' and 'test'" in said


def test_one_of_a_name(calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(module, "instances", lambda: [Instance("test", "client", 4711)])
    status, _, said = outcome(monkeypatch, capsys, "call", "test")
    assert (status, calls) == (2, [])
    assert said.startswith("pypptp: 'test' is connected or connecting already (process 4711); 'pypptp hangup test'")
    assert outcome(monkeypatch, capsys, "call", "test", "--instance", "test2")[0] == 0


def test_no_such_connection(calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, said = outcome(monkeypatch, capsys, "call", "tset")
    assert (status, calls) == (2, [])
    assert "there is no connection 'tset'" in said
    assert "did you mean test?" in said


def test_detach(calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def run_in_background(name: str, work: Callable[[Callable[[], None]], None]) -> int:
        assert name == "test"
        work(lambda: None)
        return 19

    monkeypatch.setattr(module, "run_in_background", run_in_background)
    assert outcome(monkeypatch, capsys, "call", "test", "--detach")[0] == 19
    assert calls[0][2]["on_connected"] is not None


def test_help_asks_for_no_server(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = outcome(monkeypatch, capsys, "call", "--help")
    assert "(default the file's)" in out
    assert "required" not in out
    assert "--config" not in out
