"""``pypptp load``."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from pypptp.errors import ConfigurationError
from pypptp.ppp.config import MppePolicy
from pypptp.testing.load import Load, LoadPlan, Report, Spread
from pypptp_cli.targets import require_own, resolve

EXIT_SOME_FAILED = 3
PASSWORD_VARIABLE = "PYPPTP_PASSWORD"  # noqa: S105 - the variable's name
_MILLISECONDS = 1000.0
_LOOK = 0.1


@click.command(epilog="Exit status: 0 all good, 1 an error, 2 a wrong option, 3 some sessions or pings failed.")
@click.argument("target", metavar="HOST[:PORT]")
@click.option("--sessions", type=click.IntRange(1), default=10, show_default=True, help="How many.")
@click.option(
    "--rate", type=click.FloatRange(0), default=10.0, show_default=True, help="Begun per second; 0 is all at once."
)
@click.option("--hold", type=click.FloatRange(0), default=1.0, show_default=True, help="Seconds each is held.")
@click.option("--user", metavar="NAME", required=True, help="Whom to log in as; {n} in it is the session's number.")
@click.option("--password", metavar="PASSWORD", help=f"The password of them all (default {PASSWORD_VARIABLE}).")
@click.option(
    "--pings", type=click.FloatRange(0, 1000), default=0.0, help="ICMP Echos per second through each (default none)."
)
@click.option("--size", type=click.IntRange(0, 1372), default=56, show_default=True, help="Octets of data in each.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=10.0,
    show_default=True,
    help="Seconds a session may take to be established, and to end.",
)
@click.option(
    "--mppe",
    type=click.Choice([policy.value for policy in MppePolicy]),
    default=MppePolicy.REQUIRE.value,
    show_default=True,
    help="What to do about encryption.",
)
@click.option("--json", "json_output", is_flag=True, help="Show the report as one object.")
@click.option(
    "--i-own-this-target", is_flag=True, help="Do it although HOST is neither loopback nor a private address."
)
def load(target: str, json_output: bool, i_own_this_target: bool, password: str | None, **flags: Any) -> int:
    """Open many sessions with a server of one's own, hold them, and say how it bore them.

    Each has a control connection of its own, and on loopback an address of its own. No TUN is made and no route; it
    needs a raw socket, and so root or CAP_NET_RAW.
    """
    address, port = resolve(target)
    require_own(address, i_own_this_target, "a load may be more than it bears")
    password = os.environ.get(PASSWORD_VARIABLE) if password is None else password
    if password is None:
        raise ConfigurationError(f"password: not given; use --password or {PASSWORD_VARIABLE}")
    plan = LoadPlan(
        server=address,
        port=port,
        password=password,
        mppe=MppePolicy(flags.pop("mppe")),
        **flags,
    )
    report = asyncio.run(_run(Load(plan), shown=not json_output))
    if json_output:
        click.echo(json.dumps(report.as_json()))
    else:
        _show(report, Console(highlight=False, soft_wrap=True))
    return 0 if report.good else EXIT_SOME_FAILED


async def _run(load: Load, *, shown: bool) -> Report:
    """Run it, with a bar on stderr where that is a terminal."""
    report = load.report
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not shown,
    ) as progress:
        task = progress.add_task("established", total=report.requested)

        async def watch() -> None:
            while True:
                failed = sum(report.failed.values())
                progress.update(task, completed=report.established, description=f"established ({failed} failed)")
                await asyncio.sleep(_LOOK)

        watching = asyncio.create_task(watch())
        try:
            return await load.run()
        finally:
            watching.cancel()


def _show(report: Report, console: Console) -> None:
    console.print(
        f"{report.requested} requested, {report.started} started, {report.established} established "
        f"({report.rate:.1f} per second), {sum(report.failed.values())} failed, "
        f"{sum(report.dropped.values())} dropped, {report.released} released; {report.seconds:.1f} s"
    )
    for words, reasons in (("failed", report.failed), ("dropped", report.dropped)):
        for reason, count in reasons.most_common():
            console.print(f"  {words} {count}: {reason}", markup=False)
    if report.pings:
        lost = report.pings - report.pongs
        console.print(f"pings: {report.pings} sent, {report.pongs} answered, {lost} lost ({lost / report.pings:.2%})")
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("ms")
    for name in ("count", "min", "median", "p95", "p99", "max", "mean", "sd"):
        table.add_column(name, justify="right")
    for phase, times in report.times.items():
        spread = Spread.of(times)
        if spread is not None:
            values = (spread.minimum, spread.median, spread.p95, spread.p99, spread.maximum, spread.mean)
            shown = [f"{value * _MILLISECONDS:.1f}" for value in (*values, spread.deviation)]
            table.add_row(phase.value, str(spread.count), *shown)
    if table.row_count:
        console.print(table)
