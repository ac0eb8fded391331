"""``pypptp reload``."""

from __future__ import annotations

import click

from pypptp.service.control_socket import ask
from pypptp_cli.asking import instance_option, json_option, print_json, shown, the_server


@click.command()
@instance_option
@json_option
def reload(instance: str | None, as_json: bool) -> None:
    """Have a running server read its users again, as SIGHUP does, and say what changed.

    Nobody is disconnected. Where the file is no good, the users stay as they were, what is wrong is said, and the exit
    status is 1.
    """
    answer = ask(the_server(instance), "reload")
    if as_json:
        print_json(answer)
        return
    for sentence in answer["said"]:
        click.echo(shown(sentence, 2000))
