"""``pypptp proxy``."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from typing import Any

import click

from pypptp.errors import ConfigurationError
from pypptp.testing.path import Impairment, PathCounters
from pypptp.testing.proxy import Proxy, ProxyCounters
from pypptp_cli.targets import require_own, resolve

_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>ms|s|)")
_MOST_SECONDS = 60.0


class Percentage(click.ParamType[float]):
    """A share, with or without its sign: 1 % is ``1%`` or ``1``."""

    name = "percent"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the probability."""
        if isinstance(value, float):
            return value
        try:
            share = float(value.removesuffix("%"))
        except ValueError:
            self.fail(f"{value!r} is no percentage, as 1% or 0.5", param, ctx)
        if not 0 <= share <= 100:
            self.fail(f"{value} is not between 0 and 100 %", param, ctx)
        return share / 100


class Duration(click.ParamType[float]):
    """A time: ``20ms``, ``1.5s``, or seconds without a unit."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds."""
        if isinstance(value, float):
            return value
        match = _DURATION.fullmatch(value)
        seconds = 0.0 if match is None else float(match["number"]) / (1000 if match["unit"] == "ms" else 1)
        if match is None or seconds > _MOST_SECONDS:
            self.fail(f"{value!r} is no time up to {_MOST_SECONDS:.0f} s, as 20ms or 1.5s", param, ctx)
        return seconds


@click.command(
    epilog="SIGINT or SIGTERM ends it and shows what the line did; SIGUSR1 unplugs the line, and plugs it in again."
)
@click.option(
    "--listen",
    "listen_on",
    metavar="ADDRESS[:PORT]",
    required=True,
    help="Where clients connect, an address of its own.",
)
@click.option("--target", metavar="HOST[:PORT]", required=True, help="The server.")
@click.option("--loss", metavar="PERCENT", type=Percentage(), default=0.0, help="GRE packets that are lost.")
@click.option("--duplicate", metavar="PERCENT", type=Percentage(), default=0.0, help="GRE packets that come twice.")
@click.option("--reorder", metavar="PERCENT", type=Percentage(), default=0.0, help="GRE packets that are held back.")
@click.option("--corrupt", metavar="PERCENT", type=Percentage(), default=0.0, help="GRE packets with one bit flipped.")
@click.option("--latency", metavar="TIME", type=Duration(), default=0.0, help="One way, of TCP as well.")
@click.option("--jitter", metavar="TIME", type=Duration(), default=0.0, help="By how much a GRE packet may be later.")
@click.option(
    "--hold", metavar="TIME", type=Duration(), default=0.005, help="How long a reordered packet waits (default 5ms)."
)
@click.option(
    "--direction",
    type=click.Choice(["both", "to-server", "to-client"]),
    default="both",
    help="Whose packets suffer (default both).",
)
@click.option("--seed", type=click.IntRange(0), default=0, help="Another seed, other packets.")
@click.option("--json", "json_output", is_flag=True, help="Show what the line did as one object.")
@click.option(
    "--i-own-this-target", is_flag=True, help="Do it although HOST is neither loopback nor a private address."
)
def proxy(listen_on: str, target: str, json_output: bool, i_own_this_target: bool, **flags: Any) -> None:
    """Be a bad line between a client and a server of one's own.

    The client connects to ADDRESS instead of HOST. Control messages and GRE are handed on unchanged, but what the
    options say is lost, repeated, reordered, spoiled or late. It needs a raw socket, and so root or CAP_NET_RAW.
    """
    listen_address, listen_port = resolve(listen_on)
    server, server_port = resolve(target)
    require_own(server, i_own_this_target, "a bad line spoils packets")
    bad, good = _impairments(flags)
    direction = flags["direction"]
    line = Proxy(
        listen_address,
        server,
        port=listen_port,
        server_port=server_port,
        to_server=good if direction == "to-client" else bad,
        to_client=good if direction == "to-server" else bad,
        seed=flags["seed"],
    )
    asyncio.run(_run(line, f"{listen_address} port {listen_port}", f"{server} port {server_port}"))
    if json_output:
        click.echo(json.dumps(line.counters.as_json()))
    else:
        _show(line.counters)


def _impairments(flags: dict[str, Any]) -> tuple[Impairment, Impairment]:
    """Return the bad line, and one that is as late and as long but harms nothing."""
    shares = {name: flags[name] for name in ("loss", "duplicate", "reorder", "corrupt")}
    if sum(shares.values()) == 0 and not flags["latency"] and not flags["jitter"]:
        raise ConfigurationError("loss: nothing would happen to any packet; give --loss, --latency or the like")
    good = Impairment(latency=flags["latency"])
    bad = Impairment(
        latency=flags["latency"],
        jitter=flags["jitter"],
        loss=shares["loss"],
        duplication=shares["duplicate"],
        reordering=shares["reorder"],
        holding=flags["hold"],
        corruption=shares["corrupt"],
    )
    return bad, good


async def _run(line: Proxy, here: str, there: str) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    unplugged = False

    def toggle() -> None:
        nonlocal unplugged
        unplugged = not unplugged
        (line.down if unplugged else line.up)()
        click.echo("the line is down" if unplugged else "the line is up again", err=True)

    loop.add_signal_handler(signal.SIGUSR1, toggle)
    async with line:
        click.echo(f"{here} leads to {there}", err=True)
        await stopped.wait()


def _show(counters: ProxyCounters) -> None:
    click.echo(f"{counters.connections} control connections, {counters.octets} octets of TCP")
    for words, path in (("to the server", counters.to_server), ("to clients", counters.to_client)):
        click.echo(f"GRE {words}: {_words(path)}")
    if counters.strangers:
        click.echo(f"GRE of strangers: {counters.strangers}")


def _words(path: PathCounters) -> str:
    return (
        f"{path.sent} packets, {path.lost} lost, {path.duplicated} twice, {path.reordered} reordered, "
        f"{path.corrupted} spoiled"
    )
