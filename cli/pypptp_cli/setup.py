"""``pypptp setup``."""

from __future__ import annotations

import sys
from typing import Any

import click

from pypptp.errors import ConfigurationError
from pypptp.service.lint import weakness_of
from pypptp.service.peers import NewConnection, create, delete
from pypptp.service.warning import BROKEN_CRYPTOGRAPHY
from pypptp_cli.call import call
from pypptp_cli.completing import complete_peers

MAY_BE_CLEAR = (
    "without --encrypt data goes in clear if the server does not encrypt; with it such a server is not connected to"
)
VISIBLE_HERE = (
    "the password given with --password can be read by every user of this machine (ps); leave it out to be asked, or "
    "give it on standard input"
)


@click.command(
    short_help="Set a connection up, or delete it, in place of pptpsetup.",
    epilog="For example: pypptp setup --create test --server 10.100.100.1 --username root --encrypt; pypptp call test",
)
@click.option("-c", "--create", "created", metavar="NAME", help="Set up a connection of this name.")
@click.option(
    "--delete", "deleted", metavar="NAME", shell_complete=complete_peers, help="Delete the connection of this name."
)
@click.option("-s", "--server", metavar="HOST", help="Server to connect to: its name or IPv4 address.")
@click.option("-d", "--domain", metavar="DOMAIN", default="", help="Domain that stands before the user's name.")
@click.option("-u", "--username", metavar="NAME", help="Name to log in with.")
@click.option(
    "-p", "--password", metavar="PASSWORD",
    help="Password, visible to every user of this machine while the command runs; without it the prompt asks, or the "
    "first line of standard input is taken.",
)  # fmt: skip
@click.option("-e", "--encrypt", is_flag=True, help="Require MPPE with keys of 128 bits.")
@click.option("--start", is_flag=True, help="Connect at once, as 'pypptp call NAME --detach' does.")
@click.pass_context
def setup(
    context: click.Context,
    created: str | None,
    deleted: str | None,
    server: str | None,
    domain: str,
    username: str | None,
    password: str | None,
    encrypt: bool,
    start: bool,
) -> Any:
    """Set a connection up, or delete it, in place of pptpsetup and with its words.

    It writes /etc/ppp/peers/NAME and a line of /etc/ppp/chap-secrets as pptpsetup does, so that 'pypptp call NAME',
    pppd and pptpsetup itself go by them. What was set up under that name before is replaced.
    """
    if (created is None) == (deleted is None):
        raise ConfigurationError("give either --create NAME or --delete NAME")
    if deleted is not None:
        _say(delete(deleted))
        return None
    assert created is not None
    for option, value in (("--server", server), ("--username", username)):
        if not value:
            raise ConfigurationError(f"{option}: not given, and --create needs it")
    connection = NewConnection(name=created, server=str(server), username=str(username), domain=domain, encrypt=encrypt)
    click.echo(f"pypptp: {BROKEN_CRYPTOGRAPHY}", err=True)
    if password is None:
        password = _asked_for(connection.client)
    else:
        click.echo(f"pypptp: {VISIBLE_HERE}", err=True)
    if not password:
        raise ConfigurationError("the password is empty; give it at the prompt or on standard input")
    weakness = weakness_of(password, str(username))
    if weakness:
        click.echo(f"pypptp: the password {weakness}", err=True)
    if not encrypt:
        click.echo(f"pypptp: {MAY_BE_CLEAR}", err=True)
    _say(create(connection, password))
    if not start:
        click.echo(f"now: pypptp call {created}", err=True)
        return None
    return context.invoke(call, name=created, detach=True)


def _say(sentences: list[str]) -> None:
    for sentence in sentences:
        click.echo(sentence, err=True)


def _asked_for(client: str) -> str:
    """Ask at the terminal, or take the first line of standard input, as pptpsetup does."""
    if sys.stdin is None:
        raise ConfigurationError("password: there is no terminal and no standard input to read it from")
    if sys.stdin.isatty():
        answer: str = click.prompt(f"Password for {client}", hide_input=True, err=True)
        return answer
    try:
        line = sys.stdin.buffer.readline(4096).decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError("password: standard input is not UTF-8") from None
    return line.removesuffix("\n").removesuffix("\r")
