"""What the commands that ask a running server or client have in common: which one, and how answers are shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

import click

from pypptp.errors import ConfigurationError
from pypptp.service.control_socket import SCHEMA, NothingRuns, instances
from pypptp.service.control_socket.asking import nothing_runs
from pypptp_cli.main import one_line

WIDEST: Final = 32
"""Characters of a name in a table; the JSON has all of it."""

Function = TypeVar("Function", bound=Callable[..., Any])

instance_option = click.option("--instance", metavar="NAME", help="Which one, where several run; see pypptp status")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, described in docs/control.md")


def the_server(name: str | None) -> str:
    """Return the instance to ask: the one named, else the only server, else the one with the default name.

    Raises:
        NothingRuns: no server runs.
        ConfigurationError: several do, and none was named.
    """
    if name is not None:
        return name
    running = [instance.name for instance in instances() if instance.kind != "client"]
    if not running:
        raise NothingRuns(nothing_runs())
    if len(running) == 1:
        return running[0]
    if "server" in running:
        return "server"
    raise ConfigurationError(f"instance: several servers run here, name one with --instance: {', '.join(running)}")


def print_json(found: Mapping[str, Any]) -> None:
    """Print one object, with the schema's version."""
    click.echo(json.dumps({"schema": SCHEMA, **found}, indent=2))


def shown(value: object, widest: int = WIDEST) -> str:
    """Return what came from elsewhere on one line, escaped and cut.

    >>> shown("alice"), shown("a" * 40, 10), shown(None)
    ('alice', 'aaaaaaa...', '-')
    """
    text = "-" if value is None or value == "" else one_line(str(value))
    return text if len(text) <= widest else f"{text[: widest - 3]}..."


def duration(seconds: float) -> str:
    """Return a time span in two units at most.

    >>> duration(5.4), duration(75), duration(3 * 3600), duration(100_000)
    ('5 s', '1 min 15 s', '3 h 0 min', '1 d 3 h')
    """
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def octets(count: float) -> str:
    """Return an amount of data.

    >>> octets(999), octets(1_234), octets(56_700_000)
    ('999 B', '1.2 kB', '56.7 MB')
    """
    return _scaled(count, "B")


def bits_per_second(rate: float) -> str:
    """Return a rate.

    >>> bits_per_second(0), bits_per_second(1_234_000)
    ('0 bit/s', '1.2 Mbit/s')
    """
    return _scaled(rate, "bit/s")


def _scaled(value: float, unit: str) -> str:
    # What would be rounded up to 1000.0 belongs to the next one.
    for prefix in ("", "k", "M", "G"):
        if value < (999.5 if not prefix else 999.95):
            return f"{value:.0f} {unit}" if not prefix else f"{value:.1f} {prefix}{unit}"
        value /= 1000
    return f"{value:.1f} T{unit}"


def moment(since_1970: float) -> str:
    """Return a moment in local time."""
    return datetime.fromtimestamp(since_1970).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return lines with columns as wide as they need to be: nothing is cut where a program reads it."""
    table = [head, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table
    )
