"""What a running server and a running client have in common: log, event loop, signals, and the way back."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from pypptp.aio.fair_loop import FairLoop
from pypptp.errors import NetworkError
from pypptp.net.edge import NetworkEdge
from pypptp.net.probe import probe
from pypptp.service.journald import formatter

log = logging.getLogger("pypptp")

REPEAT_INTERVAL = 10.0
"""Seconds in which the same complaint of the event loop is not said again: without descriptors there are hundreds."""


def set_up_logging(level: str) -> None:
    """Send log lines to stderr: one line for each event, in the form its reader takes, see docs/control.md."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)


def require_system() -> None:
    """See that this machine and this user can have tunnels at all, before anything else is begun.

    Raises:
        NetworkError: no; the sentence says what is missing and what to do.
    """
    missing = probe()
    if missing:
        raise NetworkError("; ".join(missing))


@asynccontextmanager
async def stop_signals() -> AsyncIterator[asyncio.Event]:
    """Give an event that SIGINT and SIGTERM set; a second signal is taken by Python as ever, for the impatient."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def stop() -> None:
        stopped.set()
        loop.remove_signal_handler(signal.SIGINT)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        yield stopped
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


@asynccontextmanager
async def undone(edge: NetworkEdge, *, keep_kill_switch: bool = False) -> AsyncIterator[None]:
    """Take back what a killed predecessor left behind before, and all of our own changes after.

    Args:
        edge: the system's network.
        keep_kill_switch: leave the predecessor's kill switch to whoever is about to make one, so that there is no gap.
    """
    recovery = await asyncio.to_thread(lambda: edge.recover(keep_kill_switch=keep_kill_switch))
    for change in recovery.taken_back:
        log.info("took back what was left behind: %s", change)
    for error in recovery.errors:
        log.warning("%s", error)
    try:
        yield
    finally:
        for error in await asyncio.to_thread(edge.undo):
            log.warning("%s", error)


def run_loop(work: Coroutine[Any, Any, None]) -> None:
    """Run until it is done, in an event loop whose complaints are lines in the log."""

    async def supervised() -> None:
        asyncio.get_running_loop().set_exception_handler(_Troubles())
        # What was imported stays; a look at it for every full collection would hold up the packets for 20 ms.
        gc.collect()
        gc.freeze()
        await work

    with asyncio.Runner(loop_factory=FairLoop) as runner:
        runner.run(supervised())


class _Troubles:
    """What asyncio has to complain of, "too many open files" on accept for example: one line, and not without end."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        what = f": {str(error) or type(error).__name__}" if error is not None else ""
        line = f"{context['message']}{what}"
        now = loop.time()
        if now - self._said.get(line, -REPEAT_INTERVAL) < REPEAT_INTERVAL:
            return
        self._said = {known: when for known, when in self._said.items() if now - when < REPEAT_INTERVAL}
        self._said[line] = now
        log.error("%s", line, exc_info=error if log.isEnabledFor(logging.DEBUG) else None)


__all__ = ["require_system", "run_loop", "set_up_logging", "stop_signals", "undone"]
