"""``pypptp drain``."""

from __future__ import annotations

import time

import click

from pypptp.service.control_socket import NothingRuns, ask
from pypptp_cli.asking import instance_option, json_option, print_json, the_server

LOOK_SECONDS = 0.5


@click.command()
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    help="End the sessions that are left after this time; without it there is no end to the wait",
)
@click.option("--wait", is_flag=True, help="Return when the server has ended, not at once")
@instance_option
@json_option
def drain(timeout: float | None, wait: bool, instance: str | None, as_json: bool) -> None:
    """Have a running server take no new connections, and end when its last session has ended.

    Asked again with another --timeout, that one counts from then on. It cannot be taken back.
    """
    name = the_server(instance)
    answer = ask(name, "drain", timeout=timeout)
    left = answer["sessions"]
    if as_json:
        print_json(answer)
    elif left:
        until = "" if timeout is None else f", or after {timeout:g} s"
        click.echo(f"no new connections; the server ends with the last of {left} session{'s' * (left != 1)}{until}")
    else:
        click.echo("no new connections and no session left: the server ends")
    if wait:
        _await_end(name, answer["pid"])


def _await_end(name: str, pid: object) -> None:
    """Wait until this process, and not one that was started in its place, answers no more."""
    while True:
        try:
            if ask(name, "instance")["pid"] != pid:
                return
        except NothingRuns:
            return
        time.sleep(LOOK_SECONDS)
