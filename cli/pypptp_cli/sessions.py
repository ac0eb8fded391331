"""``pypptp sessions``."""

from __future__ import annotations

import click

from pypptp.service.control_socket import ask
from pypptp_cli.asking import columns, duration, instance_option, json_option, octets, print_json, shown, the_server

HEAD = ("ID", "USER", "FROM", "ADDRESS", "INTERFACE", "ENCRYPTION", "UP", "IN", "OUT")


@click.command()
@instance_option
@json_option
def sessions(instance: str | None, as_json: bool) -> None:
    """List who is connected to a running server, the longest connected first.

    IN is what came from the client, OUT what went to it. 'pypptp disconnect' takes what stands under ID, USER, ADDRESS
    or INTERFACE.
    """
    answer = ask(the_server(instance), "sessions")
    if as_json:
        print_json(answer)
        return
    rows = [
        (
            shown(session["call_id"]),
            shown(session["user"]),
            shown(session["from"]),
            shown(session["address"]),
            shown(session["interface"]),
            shown(session["encryption"]),
            duration(session["seconds"]),
            octets(session["octets_in"]),
            octets(session["octets_out"]),
        )
        for session in answer["sessions"]
    ]
    click.echo(columns(HEAD, rows) if rows else "nobody is connected")
