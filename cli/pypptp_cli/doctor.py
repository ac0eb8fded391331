"""``pypptp doctor``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from pypptp.errors import ConfigurationError
from pypptp.service.credentials import find_credentials
from pypptp.service.doctor.finding import Finding, Mark
from pypptp.service.settings import ClientSettings, make_settings
from pypptp_cli.main import one_line

SCHEMA = 1
EXIT_WRONG = 1

_SIGNS = {Mark.GOOD: ("✓", "green"), Mark.NOTE: ("!", "yellow"), Mark.WRONG: ("✗", "bold red")}


@click.command(
    short_help="Say what keeps a tunnel from working, and the cure.",
    epilog="Exit status: 0 nothing wrong, notes perhaps; 1 something is wrong; 2 a wrong option.",
)
@click.argument("host", required=False)
@click.option("--port", type=click.IntRange(1, 65_535), default=1723, show_default=True, help="TCP port.")
@click.option("--user", metavar="NAME", help="Log in under this name too, and send packets; asks for the password.")
@click.option(
    "--password-file", metavar="FILE", type=click.Path(path_type=Path), help="Its first line is the password."
)
@click.option("--no-trial", is_flag=True, help="Do not send a packet through a TUN made for it; go by the rules alone.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else.")
def doctor(
    host: str | None, port: int, user: str | None, password_file: Path | None, no_trial: bool, as_json: bool
) -> int:
    """Say what keeps a tunnel from working, and the cure.

    Without HOST this machine is examined, as a server and as a client. With HOST the way to that server is too:
    name, route, TCP, the control connection, GRE, PPP and the largest packet that passes; with --user the log-in,
    encryption, addresses, packets and name servers as well; a server that allows a user one session may end the one
    that is up. Without --user nothing is sent that a server would write down as a failed log-in.

    To see whether packets are forwarded, one is sent through a TUN that is there for a moment, with forwarding for
    that TUN alone, and ends at the next router.

    The password is that of --password-file, or of PYPPTP_PASSWORD, or asked for.
    """
    if host is None and (user is not None or password_file is not None):
        raise ConfigurationError("user: to log in somewhere, name the server: pypptp doctor HOST --user NAME")
    if user is None and password_file is not None:
        raise ConfigurationError("password-file: give --user NAME with it")
    password = ""
    if host is not None:
        flags = {"server": host, "port": str(port), "user": user, "password_file": _text(password_file)}
        settings = make_settings(ClientSettings, flags)
        if user is not None:
            # Standard input is None where it was closed.
            prompt = _ask if sys.stdin is not None and sys.stdin.isatty() else None
            password = find_credentials(settings, environment=os.environ, prompt=prompt).password
    if not sys.platform.startswith("linux"):
        raise ConfigurationError("doctor: this is not Linux: the server and the client run there only")
    # Not before: pyroute2 is installed on Linux alone.
    from pypptp.service.doctor import Question, examine

    found: list[Finding] = []
    console = Console(highlight=False, soft_wrap=True)

    def say(finding: Finding) -> None:
        found.append(finding)
        if not as_json:
            console.print(_lines(finding))

    examine(Question(host=host, port=port, user=user, password=password, trial=not no_trial), say)
    if as_json:
        click.echo(json.dumps(_as_object(host, found)))
    else:
        console.print(_summary(found))
    return EXIT_WRONG if any(finding.mark is Mark.WRONG for finding in found) else 0


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _ask(what: str, hidden: bool) -> str:
    answer: str = click.prompt(what, hide_input=hidden, err=True)
    return answer


def _lines(finding: Finding) -> Text:
    sign, style = _SIGNS[finding.mark]
    # A server's own words may be in a sentence.
    text = Text.assemble((sign, style), " ", one_line(finding.sentence))
    if finding.cure and finding.mark is not Mark.GOOD:
        text.append(f"\n    → {one_line(finding.cure)}", style="cyan")
    return text


def _summary(found: list[Finding]) -> Text:
    wrong = sum(finding.mark is Mark.WRONG for finding in found)
    notes = sum(finding.mark is Mark.NOTE for finding in found)
    if wrong:
        return Text(f"{wrong} of {len(found)} checks found something wrong", style="bold red")
    return Text(f"nothing wrong in {len(found)} checks" + (f", {notes} to note" if notes else ""), style="bold green")


def _as_object(host: str | None, found: list[Finding]) -> dict[str, object]:
    """Put the findings in the shape of schema 1: keys may come, but none goes or changes its meaning."""
    return {
        "schema": SCHEMA,
        "host": host,
        "findings": [
            {
                "check": finding.check,
                "mark": finding.mark.value,
                "sentence": finding.sentence,
                "cure": finding.cure or None,
            }
            for finding in found
        ],
        "wrong": sum(finding.mark is Mark.WRONG for finding in found),
    }
