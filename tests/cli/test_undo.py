"""``pypptp undo``: what it says. What it does to a system is in tests/netns/test_undo.py."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pypptp.errors import NetworkError
from pypptp.net.edge import Recovery
from pypptp_cli import undo as module
from pypptp_cli.undo import undo

FOLDER = Path("/run/pypptp/journal")


def said(monkeypatch: pytest.MonkeyPatch, recovery: Recovery, *words: str) -> Result:
    def recover(*, folder: Path, dry_run: bool, keep_kill_switch: bool) -> Recovery:
        assert folder == FOLDER
        assert dry_run is ("--dry-run" in words)
        assert keep_kill_switch is ("--keep-kill-switch" in words)
        return recovery

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(module, "journal_folder", lambda: FOLDER)
    monkeypatch.setattr(module, "recover", recover)
    monkeypatch.setattr(module, "remove_all_dead", lambda: None)
    return CliRunner().invoke(undo, words)


def test_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    result = said(monkeypatch, Recovery())
    assert (result.exit_code, result.output) == (0, "nothing to take back\n")


def test_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    recovery = Recovery(["IPv4 forwarding on, of pid 7 (server)"], ["1 change of pid 8 (client), which is running"], 2)
    result = said(monkeypatch, recovery)
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "took back IPv4 forwarding on, of pid 7 (server)",
        "left alone: 1 change of pid 8 (client), which is running",
        "forgot 2 entries of a boot or a namespace that is over",
    ]


def test_a_dry_run(monkeypatch: pytest.MonkeyPatch) -> None:
    result = said(monkeypatch, Recovery(["a route"], [], 1), "--dry-run")
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "would take back a route",
        "would forget 1 entry of a boot or a namespace that is over",
    ]


def test_a_kill_switch_that_is_to_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    result = said(
        monkeypatch, Recovery(left=["kill switch (nftables table x), of pid 7 (client)"]), "--keep-kill-switch"
    )
    assert result.output.splitlines() == [
        "left alone: kill switch (nftables table x), of pid 7 (client)",
        "nothing to take back",
    ]


def test_what_went_wrong_is_the_exit_status(monkeypatch: pytest.MonkeyPatch) -> None:
    result = said(monkeypatch, Recovery(errors=["could not take back a route: not allowed to remove it"]))
    assert result.exit_code == 1
    assert result.stderr == "pypptp: could not take back a route: not allowed to remove it\n"
    assert result.stdout == ""


def test_a_user_without_a_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise NetworkError("XDG_RUNTIME_DIR is not set, and only root writes to /run")

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(module, "journal_folder", nowhere)
    result = CliRunner().invoke(undo)
    assert result.exit_code == 0
    assert result.stderr == "what was started as root is not looked at: run this as root for it\n"
    assert result.stdout.startswith("nothing to take back: this user has no journal (XDG_RUNTIME_DIR is not set")
