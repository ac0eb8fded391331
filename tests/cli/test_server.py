"""``pypptp server`` as a user calls it, up to where the service takes over."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from typing import Any

import pytest

from pypptp.auth.account import Account
from pypptp.errors import NetworkError
from pypptp.net.linux import LinuxEdge
from pypptp.service.findings import Finding, Level
from pypptp.service.settings import ServerSettings
from pypptp_cli import server as module

from .test_main import outcome

LOCAL = ("server", "--local", "192.168.0.1")


@pytest.fixture(autouse=True)
def _logging_of_its_own() -> Iterator[None]:
    """``set_up_logging`` takes the root logger over; pytest gets it back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    for handler in handlers:
        root.removeHandler(handler)
    yield
    for handler in list(root.handlers):
        root.removeHandler(handler)
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)


Calls = list[tuple[ServerSettings, dict[str, Any]]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Stand in for the service; what it was called with."""
    made: Calls = []

    def run_server(settings: ServerSettings, **given: Any) -> None:
        made.append((settings, given))

    monkeypatch.setattr(module, "run_server", run_server)
    monkeypatch.setattr(module, "require_system", lambda: None)
    return made


def test_the_line_of_the_readme(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome(monkeypatch, capsys, *LOCAL) == (0, "", "")
    ((settings, given),) = calls
    assert (str(settings.local), settings.nat, settings.secrets) == ("192.168.0.1", "auto", None)
    assert isinstance(given["edge"], LinuxEdge)


def test_the_account_is_shown_on_stderr(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome(monkeypatch, capsys, *LOCAL)
    announce: Callable[[Account], None] = calls[0][1]["announce_account"]
    announce(Account("pypptp", "wjxr-482b"))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert re.search(r"user: +pypptp\n", shown.err)
    assert re.search(r"password: +wjxr-482b\n", shown.err)
    # The line to paste on the other host.
    assert "PYPPTP_PASSWORD=wjxr-482b pypptp client --server HOST --user pypptp\n" in shown.err


def test_a_machine_without_tunnels_fails_before_an_account_is_shown(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise NetworkError("there is no /dev/net/tun: modprobe tun")

    monkeypatch.setattr(module, "require_system", refuse)
    assert outcome(monkeypatch, capsys, *LOCAL) == (1, "", "pypptp: there is no /dev/net/tun: modprobe tun\n")
    assert calls == []


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("server",), "local"),
        (("server", "--local", "300.1.1.1"), "--local"),
        ((*LOCAL, "--dns", "9.9.9.9", "--dns", "8.8.8.8", "--dns", "1.1.1.1"), "--dns"),
        ((*LOCAL, "--config", "/nowhere.toml"), "/nowhere.toml"),
        ((*LOCAL, "--local"), "--local"),
        ((*LOCAL, "surplus"), "surplus"),
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


def test_a_files_warnings_are_logged(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finding = Finding("", 0, Level.WARNING, "mind the gap")
    monkeypatch.setattr(
        module, "read_settings", lambda kind, flags: (kind(local=IPv4Address("192.168.0.1")), (finding,))
    )
    status, _, said = outcome(monkeypatch, capsys, *LOCAL)
    assert status == 0
    assert re.search(r"WARNING mind the gap\n", said) or said == "mind the gap\n"
