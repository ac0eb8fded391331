"""``pypptp demo``."""

from __future__ import annotations

import json
from typing import NoReturn

import click
from rich.console import Console

from pypptp.errors import NetworkError
from pypptp.net.probe import probe
from pypptp_cli.demonstration.interruption import Interrupted, Interruption
from pypptp_cli.demonstration.screen import Screen
from pypptp_cli.demonstration.steps import Demonstration

EXIT_MISSING = 77
"""What automake and others take for "skipped": this machine lacks something."""


@click.command(
    epilog="Exit status: 0 when all went as it should and nothing was left behind, 1 otherwise, "
    "77 when this machine lacks something that is needed."
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as one JSON object, all else on stderr.")
@click.pass_context
def demo(context: click.Context, as_json: bool) -> None:
    """Show a tunnel at work, with real programs, in network namespaces of its own.

    A private host without any way out reaches a public one through a gateway. Needs root and /dev/net/tun; nothing
    leaves the namespaces, and nothing is left behind.
    """
    interruption = Interruption()
    screen = Screen(Console(stderr=as_json))
    with interruption.installed():
        missing = probe(namespaces=True)
        if missing:
            _give_up("; ".join(missing))
        try:
            demonstration = Demonstration(screen, interruption)
        except NetworkError as error:
            _give_up(str(error))
        screen.open()
        try:
            report = demonstration.run()
        except Interrupted as signal:
            screen.interrupted(str(signal))
            raise click.exceptions.Exit(128 + signal.number) from None
    faults = report.faults()
    if faults:
        screen.show_logs(demonstration.logs())
    screen.close(faults)
    if as_json:
        click.echo(json.dumps(report.as_json()))
    context.exit(1 if faults else 0)


def _give_up(sentence: str) -> NoReturn:
    click.echo(f"pypptp demo: {sentence}", err=True)
    raise click.exceptions.Exit(EXIT_MISSING)
