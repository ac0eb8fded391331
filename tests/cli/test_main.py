"""How an error reaches a person: one line on stderr, and the exit status."""

from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest

from pypptp import __version__
from pypptp.aio.client import SessionLost
from pypptp.causes import Cause
from pypptp.errors import ConfigurationError, NetworkError, RemoteProtocolError
from pypptp_cli import main as module
from pypptp_cli.main import SUBCOMMANDS, Commands, cli, main, one_line


def outcome(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[object, str, str]:
    """Run the command line in this process: exit status, stdout, stderr."""
    monkeypatch.setattr(sys, "argv", ["pypptp", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    captured = capsys.readouterr()
    return caught.value.code, captured.out, captured.err


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Make ``pypptp server`` fail with this."""

    @click.command()
    def server() -> None:
        raise error

    monkeypatch.setattr(Commands, "get_command", lambda self, ctx, name: server)


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (ConfigurationError("listen: that is\nno address"), 2, "pypptp: listen: that is no address\n"),
        (click.UsageError("No such option '--locl'."), 2, "pypptp: No such option '--locl'.\n"),
        (NetworkError("no /dev/net/tun: modprobe tun"), 1, "pypptp: no /dev/net/tun: modprobe tun\n"),
        (
            SessionLost("wrong password (E=691)", Cause.AUTHENTICATION),
            19,
            "pypptp: wrong password (E=691); check the user name and the password\n",
        ),
        (NetworkError("nobody there", cause=Cause.REFUSED), 8, "pypptp: nobody there\n"),
        (RemoteProtocolError("the peer sent rubbish"), 1, "pypptp: the peer sent rubbish\n"),
        (OSError(24, "Too many open files"), 1, "pypptp: [Errno 24] Too many open files\n"),
        (KeyboardInterrupt(), 130, "pypptp: interrupted\n"),
        (click.Abort(), 130, "pypptp: interrupted\n"),
    ],
)
def test_every_failure_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    said: str,
) -> None:
    failing(monkeypatch, error)
    found, out, line = outcome(monkeypatch, capsys, "server")
    # Behind the terminal's own ^C click begins a new line.
    assert (found, out, line.removeprefix("\n")) == (status, "", said)


def test_success_and_a_status_of_its_own(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for value, status in ((None, 0), (77, 77)):
        command = click.Command("server", callback=lambda value=value: value)
        monkeypatch.setattr(Commands, "get_command", lambda self, ctx, name, command=command: command)
        assert outcome(monkeypatch, capsys, "server") == (status, "", "")


def test_a_control_character_in_a_peers_words_does_not_reach_the_terminal() -> None:
    assert one_line("bad \x1b[2J\nwords \ud800 \N{SNOWMAN}") == "bad \\x1b[2J words \\ud800 \N{SNOWMAN}"


@pytest.mark.parametrize(
    "words", [("srver",), ("--nonsense",), ("server", "--locl", "192.168.0.1"), ("client", "extra")]
)
def test_what_nobody_knows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    status, out, said = outcome(monkeypatch, capsys, *words)
    assert (status, out) == (2, "")
    assert said.startswith("pypptp: ")
    assert said.count("\n") == 1
    assert words[-1].partition("=")[0] in said or words[1] in said


def test_version_and_help(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(monkeypatch, capsys, "--version") == (0, f"pypptp {__version__}\n", "")
    status, out, _ = outcome(monkeypatch, capsys, "-h")
    assert status == 0
    for name in SUBCOMMANDS:
        assert name in out
    assert "MS-CHAPv2 can be cracked" in out


def test_every_subcommand_is_there() -> None:
    context = click.Context(cli)
    for name in SUBCOMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        assert command.name == name
    assert cli.get_command(context, "os") is None


def test_a_subcommand_pays_for_its_own_imports_alone() -> None:
    program = (
        "import sys, pypptp_cli.main; "
        "print([name for name in ('pyroute2', 'pytun', 'rich', 'asyncio') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_reader_who_went_away() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "pypptp_cli", "--help"],
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "")


def test_fail_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        module.fail("a\n  b\tc", 3)
    assert caught.value.code == 3
    assert capsys.readouterr().err == "pypptp: a b c\n"
