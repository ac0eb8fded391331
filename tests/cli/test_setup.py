"""``pypptp setup``: pptpsetup's words, and what is said."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from pypptp.service.peers import create, delete
from pypptp.service.warning import BROKEN_CRYPTOGRAPHY
from pypptp_cli import setup as module
from pypptp_cli.call import call
from tests.conftest import VECTORS

from .test_main import outcome

RECIPE = ("setup", "--create", "test", "--server", "10.100.100.1", "--username", "root")
NOW = "now: pypptp call test"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "create", lambda connection, password: create(connection, password, tmp_path))
    monkeypatch.setattr(module, "delete", lambda name: delete(name, tmp_path))
    return tmp_path


def say(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_the_line_of_the_recipe(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, said = outcome(monkeypatch, capsys, *RECIPE, "--password", "123456", "--encrypt")
    assert (status, out) == (0, "")
    assert said.splitlines() == [
        f"pypptp: {BROKEN_CRYPTOGRAPHY}",
        f"pypptp: {module.VISIBLE_HERE}",
        "pypptp: the password is a number, and soon found",
        f"{folder}/peers/test written",
        f"line for 'root' in {folder}/chap-secrets",
        NOW,
    ]
    assert (folder / "peers/test").read_bytes() == (VECTORS / "pptpsetup/recipe/test").read_bytes()


def test_short_options(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("setup", "-c", "work", "-s", "10.0.0.1", "-d", "EXAMPLE", "-u", "alice", "-p", "s3cret-s3cret", "-e")
    assert outcome(monkeypatch, capsys, *words)[0] == 0
    assert 'name "EXAMPLE\\\\alice"' in (folder / "peers/work").read_text()


def test_a_password_from_standard_input(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    say(monkeypatch, "hunter2 and more\n")
    status, out, said = outcome(monkeypatch, capsys, *RECIPE)
    assert (status, out) == (0, "")
    assert '"hunter2 and more" *' in (folder / "chap-secrets").read_text()
    assert "hunter2" not in said
    assert "without --encrypt data goes in clear" in said


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "give either --create NAME or --delete NAME"),
        (("--create", "test", "--delete", "test"), "give either --create NAME or --delete NAME"),
        (("--create", "test", "--username", "root"), "--server: not given, and --create needs it"),
        (("--create", "test", "--server", "h"), "--username: not given, and --create needs it"),
        (("--create", "a/b", "--server", "h", "--username", "x"), "'a/b' is no name for a connection"),
        (("--delete", "test"), "there is no connection 'test'"),
    ],
)
def test_what_is_wrong(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    complaint: str,
) -> None:
    status, out, said = outcome(monkeypatch, capsys, "setup", *words)
    assert (status, out) == (2, "")
    assert said.startswith(f"pypptp: {complaint}")


@pytest.mark.parametrize("given", ["", "\n"])
def test_an_empty_password(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: str
) -> None:
    say(monkeypatch, given)
    status, _, said = outcome(monkeypatch, capsys, *RECIPE, "--encrypt")
    assert (status, said.splitlines()[-1]) == (
        2,
        "pypptp: the password is empty; give it at the prompt or on standard input",
    )
    assert "characters" not in said
    assert not (folder / "peers/test").exists()


def test_delete(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    outcome(monkeypatch, capsys, *RECIPE, "--password", "correct-horse")
    assert outcome(monkeypatch, capsys, "setup", "--delete", "test")[0] == 0
    assert not list((folder / "peers").iterdir())
    assert "root" not in (folder / "chap-secrets").read_text()


def test_start_is_a_call_that_detaches(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made: list[dict[str, Any]] = []

    def callback(**given: Any) -> int:
        made.append(given)
        return 7

    monkeypatch.setattr(call, "callback", callback)
    status, _, said = outcome(monkeypatch, capsys, *RECIPE, "--password", "correct-horse", "--start")
    assert (status, NOW in said) == (7, False)
    ((given),) = made
    assert (given["name"], given["detach"], given["server"], given["route"]) == ("test", True, None, ())
