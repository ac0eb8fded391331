"""``pypptp list``: what was set up, and what of it is up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pypptp.service.control_socket import Instance, Silent
from pypptp.service.peers import NewConnection, Places, all_connections, create
from pypptp_cli import list as module

from .test_main import outcome

STATUS: dict[str, dict[str, Any]] = {
    "test": {"server": "10.100.100.1", "user": "root", "state": "connected", "interface": "ppp0", "local": "10.0.0.9"}
}


@pytest.fixture(autouse=True)
def _two_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("test", "office"):
        create(NewConnection(name=name, server="10.100.100.1", username="root"), "123456", tmp_path)
    (tmp_path / "peers/broken").write_text("pty 'pptp 10.0.0.1'\nmtu x\n")
    places = Places(
        peers=tmp_path / "peers", system_options=None, secrets=tmp_path / "chap-secrets", network_manager=()
    )

    def ask(instance: str, request: str) -> dict[str, Any]:
        assert request == "status"
        if instance not in STATUS:
            raise Silent("does not answer")
        return STATUS[instance]

    running = [Instance("test", "client", 7), Instance("client", "client", 8), Instance("server", "server", 9)]
    monkeypatch.setattr(module, "all_connections", lambda: all_connections(places))
    monkeypatch.setattr(module, "instances", lambda: running)
    monkeypatch.setattr(module, "ask", ask)


def test_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, out, said = outcome(monkeypatch, capsys, "list", "--json")
    found = json.loads(out)
    assert (status, found["schema"]) == (0, 1)
    assert [(row["name"], row["state"], row["source"], row["pid"]) for row in found["connections"]] == [
        ("office", "down", "pppd", None),
        ("test", "connected", "pppd", 7),
        ("client", "runs", None, 8),
    ]
    assert found["connections"][1] == {
        "name": "test",
        "server": "10.100.100.1",
        "user": "root",
        "source": "pppd",
        "file": f"{tmp_path}/peers/test",
        "state": "connected",
        "interface": "ppp0",
        "address": "10.0.0.9",
        "pid": 7,
    }
    assert found["unreadable"] == [f"{tmp_path}/peers/broken:2: mtu: 'x' is not a whole number"]
    assert said == f"pypptp: {found['unreadable'][0]}\n"


def test_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    status, out, _ = outcome(monkeypatch, capsys, "list")
    assert status == 0
    header, _, office, test, client = (line.split() for line in out.strip().splitlines())
    assert header == ["name", "server", "user", "file", "state", "interface", "address"]
    assert (office[0], office[-1]) == ("office", "down")
    assert (test[0], test[-3:]) == ("test", ["connected", "ppp0", "10.0.0.9"])
    assert client == ["client", "runs"]


def test_addresses_are_whole_in_80_columns(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = outcome(monkeypatch, capsys, "list")
    assert max(len(line.rstrip()) for line in out.splitlines()) <= 80
    assert [word for line in out.splitlines() for word in line.split() if word == "10.0.0.9"]
    assert "10.100.100.1" in out
    assert "file" not in out.split()
    assert "\N{HORIZONTAL ELLIPSIS}" not in out


def test_nothing_is_set_up(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(module, "all_connections", lambda: ([], []))
    monkeypatch.setattr(module, "instances", list)
    status, out, _ = outcome(monkeypatch, capsys, "list")
    assert (status, out) == (
        0, "no connection is set up, and no client runs; 'pypptp setup --create NAME' makes one\n"
    )  # fmt: skip
