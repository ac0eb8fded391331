"""Users are added, removed and listed, and what proves them is shown to nobody."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner, Result

from pypptp.auth.account import Account
from pypptp.auth.chap_secrets import read_chap_secrets
from pypptp.errors import ConfigurationError
from pypptp.ppp.auth.mschap import nt_password_hash
from pypptp_cli import user as module
from pypptp_cli.user import user


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "chap-secrets"
    path.write_text("# users\nroot pptpd 123456 *\n")
    path.chmod(0o600)
    return path


def run(path: Path, *words: str, said: str = "") -> Result:
    result = CliRunner().invoke(
        user, [*words, "--secrets", str(path)], input=said.encode(), standalone_mode=False, catch_exceptions=False
    )
    assert result.exception is None
    return result


def account(path: Path, name: str, server: str = "pptpd") -> Account | None:
    return read_chap_secrets(path).lookup(name, server)


def test_a_password_from_standard_input(path: Path) -> None:
    result = run(path, "add", "alice", said="wonder land\nignored\n")
    assert (result.stdout, result.stderr) == ("", f"user 'alice' added to {path}\n")
    found = account(path, "alice")
    assert found is not None
    assert found.password == "wonder land"
    assert path.read_text() == '# users\nroot pptpd 123456 *\nalice\t*\t"wonder land"\t*\n'


def test_a_password_that_is_made_up_is_shown_once(path: Path) -> None:
    result = run(path, "add", "alice", "--generate", "--address", "10.0.0.7", "--server-name", "gate")
    found = account(path, "alice", "gate")
    assert found is not None
    assert result.stdout == f"{found.password}\n"
    assert found.password is not None
    assert found.password not in result.stderr
    assert str(found.fixed_address) == "10.0.0.7"
    assert account(path, "alice", "pptpd") is None


def test_an_nt_hash_alone_is_kept(path: Path) -> None:
    run(path, "add", "alice", "--nt-hash", said="wonder land\n")
    found = account(path, "alice")
    assert found is not None
    assert (found.password, found.nt_hash) == (None, nt_password_hash("wonder land"))
    assert "wonder" not in path.read_text()


def test_a_password_is_changed(path: Path) -> None:
    result = run(path, "passwd", "root", said="1234567\n")
    assert path.read_text() == "# users\nroot pptpd 1234567 *\n"
    assert result.stderr == (
        f"pypptp: the password is a number, and soon found\npassword of user 'root' changed in {path}\n"
    )


def test_a_user_is_removed(path: Path) -> None:
    run(path, "remove", "root")
    assert path.read_text() == "# users\n"


def test_a_first_user_makes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "new"
    run(path, "add", "alice", said="wonder land\n")
    assert account(path, "alice") is not None
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_list_shows_no_secret(path: Path) -> None:
    path.write_text(f"root pptpd 123456 *\nbob * nt:{'7' * 32} 10.0.0.7 !10.1.0.0/16 *\ncarol * x\n")
    rows = [line.split() for line in run(path, "list").stdout.splitlines() if re.match(r" ?(root|bob|carol)", line)]
    assert rows == [
        ["root", "pptpd", "password", "*"],
        ["bob", "*", "NT", "hash", "10.0.0.7", "!10.1.0.0/16", "*"],
        ["carol", "*", "password", "none"],
    ]
    text = run(path, "list", "--json").stdout
    assert json.loads(text)["users"][1] == {
        "user": "bob",
        "server": "*",
        "secret": "NT hash",
        "addresses": "10.0.0.7 !10.1.0.0/16 *",
        "line": 2,
    }
    assert "123456" not in text
    assert "777" not in text


@pytest.mark.parametrize(
    ("words", "said", "complaint"),
    [
        (("add", "root", "--server-name", "pptpd"), "", "there is a line for this user and server already"),
        (("add", "*"), "", "would be everybody"),
        (("add", "bob", "--address", "home"), "", "not an IPv4 address"),
        (("add", "bob"), "", "the password is empty"),
        (("add", "bob", "--nt-hash"), "\n", "the password is empty"),
        (("passwd", "bob"), "", "there is no line for user 'bob'"),
        (("remove", "bob"), "", "there is no line for user 'bob'"),
        (("remove", "root", "--server-name", "gate"), "", "of server 'gate'"),
    ],
)
def test_what_is_refused_changes_nothing(path: Path, words: tuple[str, ...], said: str, complaint: str) -> None:
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match=re.escape(complaint)):
        run(path, *words, said=said)
    assert path.read_bytes() == before


def test_a_terminal_is_asked_twice(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, object]] = []

    def prompt(text: str, **how: object) -> str:
        asked.append((text, how))
        return "wonder land"

    monkeypatch.setattr(click, "prompt", prompt)
    monkeypatch.setattr(module, "sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
    run(path, "add", "alice")
    assert asked == [("Password for alice", {"hide_input": True, "confirmation_prompt": True, "err": True})]


@pytest.mark.parametrize(("stdin", "complaint"), [(None, "no standard input"), (b"\xff\n", "is not UTF-8")])
def test_input_that_is_none(path: Path, monkeypatch: pytest.MonkeyPatch, stdin: bytes | None, complaint: str) -> None:
    source = SimpleNamespace(isatty=lambda: False, buffer=SimpleNamespace(readline=lambda most: stdin))
    monkeypatch.setattr(module, "sys", SimpleNamespace(stdin=None if stdin is None else source))
    with pytest.raises(ConfigurationError, match=complaint):
        run(path, "add", "alice")
