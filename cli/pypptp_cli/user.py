"""``pypptp user``: add, remove, list, passwd."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.table import Table

from pypptp.auth.account import new_account
from pypptp.auth.chap_secrets import Entry, parse_chap_secrets
from pypptp.auth.secret_file import read_secret_file
from pypptp.auth.secrets_editor import add_user, change_secret, edit_file, remove_user
from pypptp.errors import ConfigurationError
from pypptp.ppp.auth.mschap import nt_password_hash
from pypptp.service.lint import weakness_of
from pypptp_cli.completing import complete_users

SECRETS = "/etc/ppp/chap-secrets"

_file = click.option(
    "--secrets", "path", metavar="FILE", default=SECRETS, show_default=True, type=click.Path(path_type=Path),
    help="The file.",
)  # fmt: skip
_server = click.option(
    "--server-name", "server", metavar="NAME", help="Only the line for the server of this name; * is any server's."
)
_generate = click.option("--generate", is_flag=True, help="Make a password up and show it, once.")
_nt_hash = click.option(
    "--nt-hash", is_flag=True, help="Keep the password's NT hash alone. It is enough to log in with MS-CHAP, no other."
)


@click.group(short_help="Add, remove and list users, and change their passwords.")
def user() -> None:
    """Edit the users of a chap-secrets file.

    The file is locked and replaced in one step; comments, order and everybody else's lines stay as they are. A running
    server reads it again on SIGHUP. A password comes from the prompt, from standard input where that is no terminal,
    or is made up.
    """


@user.command()
@click.argument("name")
@_file
@click.option(
    "--server-name", "server", metavar="NAME", default="*", show_default=True, help="The server this user is for."
)
@click.option(
    "--address", "addresses", metavar="ADDRESS", multiple=True,
    help="An address of the user's own, a network, !address, or - for none; may be repeated. [default: any]",
)  # fmt: skip
@_generate
@_nt_hash
def add(name: str, path: Path, server: str, addresses: tuple[str, ...], generate: bool, nt_hash: bool) -> None:
    """Add the user NAME."""
    source = str(path)
    # Before anybody types a password for nothing.
    trial = add_user(name, "not it yet", server=server, addresses=addresses or ("*",), source=source)
    trial(read_secret_file(path)[0] if path.exists() else b"")
    password = _password(name, generate)
    secret = _secret(password, nt_hash)
    edit_file(path, add_user(name, secret, server=server, addresses=addresses or ("*",), source=source), create=True)
    click.echo(f"user '{name}' added to {path}", err=True)
    _show(password, generate)


@user.command()
@click.argument("name", shell_complete=complete_users)
@_file
@_server
def remove(name: str, path: Path, server: str | None) -> None:
    """Remove the user NAME. A session that is up stays up."""
    edit_file(path, remove_user(name, server=server, source=str(path)))
    click.echo(f"user '{name}' removed from {path}", err=True)


@user.command()
@click.argument("name", shell_complete=complete_users)
@_file
@_server
@_generate
@_nt_hash
def passwd(name: str, path: Path, server: str | None, generate: bool, nt_hash: bool) -> None:
    """Change the password of the user NAME."""
    source = str(path)
    change_secret(name, "not it yet", server=server, source=source)(read_secret_file(path)[0])
    password = _password(name, generate)
    edit_file(path, change_secret(name, _secret(password, nt_hash), server=server, source=source))
    click.echo(f"password of user '{name}' changed in {path}", err=True)
    _show(password, generate)


@user.command("list")
@_file
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else.")
def list_(path: Path, as_json: bool) -> None:
    """List the users, without their secrets."""
    data, warnings = read_secret_file(path)
    secrets = parse_chap_secrets(data, str(path))
    for warning in warnings:
        click.echo(f"pypptp: {warning}", err=True)
    rows = [(entry.client, entry.server, _kind(entry), _addresses(entry), entry.line) for entry in secrets.entries]
    if as_json:
        names = ("user", "server", "secret", "addresses", "line")
        click.echo(json.dumps({"version": 1, "users": [dict(zip(names, row, strict=True)) for row in rows]}))
        return
    table = Table("user", "server", "secret", "addresses", box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*(_printable(cell) for cell in row[:4]))
    Console(highlight=False, markup=False).print(table)


def _kind(entry: Entry) -> str:
    return "NT hash" if entry.password is None else "password"


def _addresses(entry: Entry) -> str:
    terms = []
    for permitted, network in entry.addresses.terms:
        text = "*" if network.prefixlen == 0 else str(network).removesuffix("/32")
        terms.append(text if permitted else f"!{text}")
    return " ".join(terms) or "none"


def _printable(text: str | int) -> str:
    return str(text) if str(text).isprintable() else ascii(text)[1:-1]


def _password(name: str, generate: bool) -> str:
    if generate:
        password = new_account(os.urandom, name).password
        assert password is not None
        return password
    if sys.stdin is None or not sys.stdin.isatty():
        password = _first_line()
    else:
        password = click.prompt(f"Password for {name}", hide_input=True, confirmation_prompt=True, err=True)
    weakness = weakness_of(password, name)
    if weakness:
        click.echo(f"pypptp: the password {weakness}", err=True)
    return password


def _first_line() -> str:
    if sys.stdin is None:
        raise ConfigurationError("password: there is no terminal and no standard input to read it from; use --generate")
    octets = sys.stdin.buffer.readline(4096).removesuffix(b"\n").removesuffix(b"\r")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError("password: standard input is not UTF-8") from None


def _secret(password: str, nt_hash: bool) -> str:
    return f"nt:{nt_password_hash(password).hex()}" if nt_hash and password else password


def _show(password: str, generated: bool) -> None:
    if generated:
        click.echo(password)
