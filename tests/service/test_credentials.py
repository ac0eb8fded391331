from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from pypptp.errors import ConfigurationError
from pypptp.service.credentials import Credentials, find_credentials
from pypptp.service.settings import ClientSettings
from pypptp.service.warning import PASSWORD_IS_VISIBLE

ENVIRONMENT = {"PYPPTP_PASSWORD": "from environment"}


class Terminal:
    """Answers questions and remembers them."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, bool]] = []

    def __call__(self, question: str, hidden: bool) -> str:
        self.asked.append((question, hidden))
        return self.answers.pop(0)


def client(
    user: str | None = "root", *, password: str | None = None, password_file: Path | None = None
) -> ClientSettings:
    return ClientSettings(server="a", user=user, password=password, password_file=password_file)


def find(
    settings: ClientSettings,
    environment: Mapping[str, str] | None = None,
    prompt: Terminal | None = None,
    *,
    flag: bool = False,
) -> Credentials:
    return find_credentials(settings, environment=environment or {}, prompt=prompt, password_on_command_line=flag)


def test_user_and_environment_need_no_terminal() -> None:
    assert find(client(), ENVIRONMENT) == Credentials("root", "from environment")


def test_the_terminal_is_asked_for_what_is_missing() -> None:
    terminal = Terminal(" root ", " secret ")
    assert find(client(None), prompt=terminal) == Credentials("root", " secret ")
    assert terminal.asked == [("User", False), ("Password for root", True)]
    terminal = Terminal("root")
    assert find(client(None), ENVIRONMENT, terminal) == Credentials("root", "from environment")


def test_a_password_on_the_command_line_wins_and_is_warned_of() -> None:
    found = find(client(password="flag"), ENVIRONMENT, flag=True)
    assert found == Credentials("root", "flag", (PASSWORD_IS_VISIBLE,))
    assert find(client(password="toml"), ENVIRONMENT).warnings == ()


def test_password_file(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_bytes(b" pass word#1 \r\nsecond line\n")
    path.chmod(0o600)
    assert find(client(password_file=path), ENVIRONMENT) == Credentials("root", " pass word#1 ")
    path.chmod(0o644)
    assert len(find(client(password_file=path)).warnings) == 1


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"", "is empty"), (b"\nx", "is empty"), (b"\xe4", "not UTF-8"), (b"a\0b", "control"), (b"a" * 257, "longer")],
)
def test_bad_password_files_are_named(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "password"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"^password-file {path}: .*{complaint}"):
        find(client(password_file=path))


def test_without_a_terminal_the_cure_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"^user: .*use --user NAME"):
        find(client(None), ENVIRONMENT)
    with pytest.raises(ConfigurationError, match=r"^password: .*--password-file FILE or PYPPTP_PASSWORD"):
        find(client())


def test_empty_answers_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^user: is empty"):
        find(client(None), prompt=Terminal("  "))
    with pytest.raises(ConfigurationError, match=r"^password: is empty"):
        find(client(), prompt=Terminal(""))
    with pytest.raises(ConfigurationError, match=r"^PYPPTP_PASSWORD: is empty"):
        find(client(), {"PYPPTP_PASSWORD": ""})


def test_a_hash_goes_before_the_password() -> None:
    assert Credentials("root", "x").secret.password == "x"
    known = Credentials("root", "", nt_hash=b"\x01" * 16)
    assert (known.secret.password, known.secret.nt_hash) == (None, b"\x01" * 16)
    assert "\\x01" not in repr(known)


def test_repr_hides_the_password() -> None:
    assert "environment" not in repr(find(client(), ENVIRONMENT))
