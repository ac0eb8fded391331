"""``pypptp list``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from pypptp.errors import PptpError
from pypptp.service.control_socket import Instance, ask, instances, name_from
from pypptp.service.peers import Connection, all_connections

SCHEMA = 1
"""Of ``--json``: keys may come, but none goes or changes its meaning."""

COLUMNS = ("name", "server", "user", "file", "state", "interface", "address")
WIDEST = 10_000
WHOLE = ("server", "state", "interface", "address")


@click.command("list", short_help="List the connections that were set up, and which are up.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else.")
def list_(as_json: bool) -> None:
    """List the connections that 'pypptp call' knows, and the clients that run.

    They are pppd's in /etc/ppp/peers, as far as they are for PPTP, and NetworkManager's of that kind.
    """
    connections, troubles = all_connections()
    running = {found.name: found for found in instances() if found.kind != "server"}
    rows = [_row(connection, running.pop(name_from(connection.name), None)) for connection in connections]
    rows += [_row(None, found) for found in running.values()]
    if as_json:
        click.echo(json.dumps({"schema": SCHEMA, "connections": rows, "unreadable": troubles}))
    elif not rows:
        click.echo("no connection is set up, and no client runs; 'pypptp setup --create NAME' makes one")
    else:
        console = Console(highlight=False, markup=False)
        table = _table(rows, COLUMNS)
        if console.measure(table, options=console.options.update(width=WIDEST)).maximum > console.width:
            # The name says nearly as much as the file; half an address would be another one.
            table = _table(rows, tuple(column for column in COLUMNS if column != "file"))
        console.print(table)
    for sentence in troubles:
        click.echo(f"pypptp: {sentence}", err=True)


list = list_  # the name the commands are found by


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column in WHOLE, overflow="fold")
    for row in rows:
        table.add_row(*(_printable(str(row[column] or "")) for column in columns))
    return table


def _row(connection: Connection | None, running: Instance | None) -> dict[str, Any]:
    status = _status_of(running)
    return {
        "name": connection.name if connection is not None else running.name if running is not None else None,
        "server": status.get("server") or (connection.server if connection is not None else None),
        "user": status.get("user") or (connection.user if connection is not None else None) or None,
        "source": connection.source if connection is not None else None,
        "file": str(connection.path) if connection is not None else None,
        "state": str(status.get("state") or "runs") if running is not None else "down",
        "interface": status.get("interface") or None,
        "address": status.get("address") or status.get("local") or None,
        "pid": running.pid if running is not None else None,
    }


def _status_of(running: Instance | None) -> Mapping[str, Any]:
    if running is None:
        return {}
    try:
        return ask(running.name, "status")
    except PptpError:
        return {}


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)[1:-1]
