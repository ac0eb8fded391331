"""``pypptp top``."""

from __future__ import annotations

import time
from collections.abc import Callable

import click
from rich.console import Console
from rich.live import Live

from pypptp.errors import ConfigurationError
from pypptp.service.control_socket import ask
from pypptp_cli.asking import instance_option, shown, the_server
from pypptp_cli.live.keyboard import Keyboard, terminal_keyboard
from pypptp_cli.live.rows import ORDERS, Sample, rows_of
from pypptp_cli.live.table import draw

PATIENCE = 10.0
WIDE = 160
"""Columns where the output is no terminal: nothing is cut for want of room."""

_BY_KEY = {order.key: name for name, order in ORDERS.items()}


@click.command()
@instance_option
@click.option(
    "--sort", "order", type=click.Choice(list(ORDERS)), default="since", show_default=True, help="Sort by this"
)
@click.option(
    "--interval",
    metavar="SECONDS",
    type=click.FloatRange(0.2, 3600),
    default=2.0,
    show_default=True,
    help="Time between two looks, and what rates and loss are measured over",
)
@click.option("--once", is_flag=True, help="Show the table once, after one interval, and end")
def top(instance: str | None, order: str, interval: float, once: bool) -> None:
    """Watch the sessions of a running server: who, from where, how fast, how well.

    In is from the client. Loss is the share of the client's GRE packets that never came. The round trip is that of the
    last LCP echo; before the first, "<" stands before the time of a GRE acknowledgement, which a client may put off.
    The key q ends it, others sort. The server keeps nothing for it: rates are worked out here, from two looks.
    """
    name = the_server(instance)
    console = Console()
    if once:
        if not console.is_terminal:
            console = Console(width=WIDE)
        first = sample(name)
        time.sleep(interval)
        last = sample(name)
        console.print(draw(head(last), rows_of(last, first), order=order))
        return
    if not console.is_terminal:
        raise ConfigurationError("standard output is no terminal; 'pypptp top --once' shows the table once")
    with terminal_keyboard() as keyboard, Live(console=console, screen=True, auto_refresh=False) as live:
        watch(lambda: sample(name), live, keyboard, console, order=order, interval=interval)


def sample(name: str) -> Sample:
    """Look at the sessions now."""
    return ask(name, "sessions", patience=PATIENCE)


def head(looked: Sample) -> str:
    """Return the first line: whom we look at, and when."""
    return f"pypptp server '{shown(looked['instance'])}' (process {shown(looked['pid'])})  {time.strftime('%H:%M:%S')}"


def watch(
    look: Callable[[], Sample],
    live: Live,
    keyboard: Keyboard | None,
    console: Console,
    *,
    order: str,
    interval: float,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Look and draw until the key q.

    Args:
        look: asks the server.
        live: draws.
        keyboard: where keys come from; without one, only a signal ends it.
        console: how much room there is.
        order: what to sort by at first.
        interval: seconds between two looks.
        clock: the time.
    """
    before, now = None, look()
    due = clock() + interval
    while True:
        drawn = draw(head(now), rows_of(now, before), order=order, room=console.size.height, keys=keyboard is not None)
        live.update(drawn, refresh=True)
        while (left := due - clock()) > 0:
            if keyboard is None:
                time.sleep(left)
                continue
            key = keyboard.key(left)
            if key in ("q", "Q", ""):
                return
            if key in _BY_KEY:
                order = _BY_KEY[key]
                break
        else:
            before, now = now, look()
            due = max(due + interval, clock())
