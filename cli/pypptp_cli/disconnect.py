"""``pypptp disconnect``."""

from __future__ import annotations

import click

from pypptp.service.control_socket import ask
from pypptp_cli.asking import instance_option, json_option, print_json, shown, the_server
from pypptp_cli.completing import complete_connected


@click.command()
@click.argument("target", metavar="USER|SESSION|all", shell_complete=complete_connected)
@instance_option
@json_option
def disconnect(target: str, instance: str | None, as_json: bool) -> None:
    """End sessions of a running server, in order: all of a user, one, or all.

    A session is named by its ID, its address or its interface, as 'pypptp sessions' shows them. A client that is set to
    come back comes back; 'pypptp user remove' and 'pypptp reload' keep it out.
    """
    answer = ask(the_server(instance), "disconnect", target=target)
    if as_json:
        print_json(answer)
        return
    for session in answer["disconnected"]:
        click.echo(
            f"disconnected {shown(session['user'])}, {shown(session['address'])} on {shown(session['interface'])}"
        )
    if not answer["disconnected"]:
        click.echo("nobody is connected")
