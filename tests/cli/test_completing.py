from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from pypptp.service import control_socket
from pypptp.service.control_socket import Instance
from pypptp_cli import completing
from pypptp_cli.main import cli

ROOT = Path(__file__).parents[2]


def complete(*words: str) -> list[str]:
    *typed, last = words
    return [item.value for item in ShellComplete(cli, {}, "pypptp", "_PYPPTP_COMPLETE").get_completions(typed, last)]


def test_commands_and_options() -> None:
    assert {"server", "client", "undo"} <= set(complete(""))
    assert complete("server", "--mppe-st") == ["--mppe-strength", "--mppe-stateful"]


def test_words_of_an_option() -> None:
    assert complete("client", "--mppe", "p") == ["prefer"]
    assert complete("server", "--auth", "mschap-v2,ms") == ["mschap-v2,mschap"]
    assert complete("server", "--name", "") == []


def test_interfaces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("eth0", "lo"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(completing, "INTERFACES", tmp_path)
    assert complete("server", "--nat", "") == ["auto", "none", "eth0", "lo"]
    assert complete("server", "--nat", "e") == ["eth0"]


def test_files_are_left_to_the_shell() -> None:
    for option in ("--config", "--secrets"):
        items = ShellComplete(cli, {}, "pypptp", "_PYPPTP_COMPLETE").get_completions(["server", option], "/etc/pp")
        assert [(item.type, item.value) for item in items] == [("file", "/etc/pp")]


def test_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "chap-secrets"
    path.write_text("bob * x *\nalice * y *\n* * z *\nbob pptpd w *\n")
    path.chmod(0o600)
    assert complete("user", "remove", "--secrets", str(path), "") == ["alice", "bob"]
    context, parameter = click.Context(cli), click.Argument(["name"])
    monkeypatch.setattr(completing, "SECRETS", path)
    assert [item.value for item in completing.complete_users(context, parameter, "b")] == ["bob"]
    monkeypatch.setattr(completing, "SECRETS", tmp_path / "none")
    assert completing.complete_users(context, parameter, "b") == []


def test_who_is_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    running = [Instance("server", "server", 7), Instance("office", "client", 8)]
    asked: list[tuple[str, str]] = []

    def ask(name: str, request: str, *, patience: float) -> dict[str, list[dict[str, str]]]:
        asked.append((name, request))
        return {"sessions": [{"user": "bob"}, {"user": "alice"}, {"user": "bob"}]}

    monkeypatch.setattr(control_socket, "instances", lambda: running)
    monkeypatch.setattr(control_socket, "ask", ask)
    assert complete("disconnect", "") == ["alice", "all", "bob"]
    assert complete("disconnect", "b") == ["bob"]
    assert set(asked) == {("server", "sessions")}

    def refuse(name: str, request: str, *, patience: float) -> None:
        raise control_socket.NothingRuns("nobody")

    monkeypatch.setattr(control_socket, "ask", refuse)
    assert complete("disconnect", "") == ["all"]


def test_tunnels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("office", "home", ".hidden"):
        (tmp_path / name).touch()
    monkeypatch.setattr(completing, "PEERS", tmp_path)
    context, parameter = click.Context(cli), click.Argument(["name"])
    assert [item.value for item in completing.complete_peers(context, parameter, "")] == ["home", "office"]
    monkeypatch.setattr(completing, "PEERS", tmp_path / "none")
    assert completing.complete_peers(context, parameter, "") == []


def test_the_files_are_current() -> None:
    check = [sys.executable, str(ROOT / "docs" / "render_completion.py"), "--check"]
    result = subprocess.run(check, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(("shell", "name"), [("bash", "pypptp"), ("zsh", "_pypptp"), ("fish", "pypptp.fish")])
def test_the_shell_can_read_its_file(shell: str, name: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell} here")
    script = ROOT / "packaging" / "completion" / name
    assert subprocess.run([program, "-n", str(script)], check=False).returncode == 0
