"""Servers that are wrong as processes: they leave something behind with each connection, or do not end as they should.

``python -m tests.testing.spec.mutations.processes FAULT FOLDER server ...`` is ``pypptp server ...`` with that fault,
and with FOLDER for what else would be in /run: some of them are killed.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pypptp.aio.driver import Driver
from pypptp.aio.server import Server
from pypptp.auth.address_pool import AddressPool
from pypptp.net import journal_folder
from pypptp.net.tun import LinuxTun
from pypptp_cli.main import main

TUNSETPERSIST = 0x400454CB
KEPT_OCTETS = 500_000

Fault = Callable[[], None]
FAULTS: dict[str, dict[str, Fault]] = {"life/1": {}, "life/2": {}}
"""By the check that has to notice, and by name."""


def fault(check_id: str) -> Callable[[Fault], Fault]:
    def register(function: Fault) -> Fault:
        FAULTS[check_id][function.__name__] = function
        return function

    return register


def with_each(owner: Any, leave: Callable[[Any], object]) -> None:
    """Do something whenever one more is made."""
    original = owner.__init__

    def made(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        leave(self)

    owner.__init__ = made


@fault("life/1")
def goes_without_a_word() -> None:
    async def stop(self: Server, *args: Any) -> None:
        os._exit(0)

    Server.stop = stop  # type: ignore[method-assign, assignment]


@fault("life/1")
def stays() -> None:
    original = Server.stop

    async def stop(self: Server, *args: Any) -> None:
        await original(self, *args)
        await asyncio.sleep(1000)

    Server.stop = stop  # type: ignore[method-assign, assignment]


@fault("life/1")
def leaves_its_interfaces() -> None:
    with_each(LinuxTun, lambda tun: fcntl.ioctl(tun.fd, TUNSETPERSIST, 1))


@fault("life/2")
def keeps_descriptors() -> None:
    with_each(Driver, lambda driver: os.dup(0))


@fault("life/2")
def keeps_processes() -> None:
    def leave(driver: Driver) -> None:
        # Nobody waits for it.
        if os.fork() == 0:
            os._exit(0)

    with_each(Driver, leave)


@fault("life/2")
def keeps_threads() -> None:
    with_each(Driver, lambda driver: threading.Thread(target=threading.Event().wait, daemon=True).start())


@fault("life/2")
def keeps_memory() -> None:
    kept: list[bytes] = []
    with_each(Driver, lambda driver: kept.append(b"\x01" * KEPT_OCTETS))


@fault("life/2")
def keeps_addresses() -> None:
    AddressPool.release = lambda self, address, user=None: None  # type: ignore[method-assign]


if __name__ == "__main__":
    name, journal_folder.RUNTIME_FOLDER = sys.argv.pop(1), Path(sys.argv.pop(1))
    if name:
        next(faults[name] for faults in FAULTS.values() if name in faults)()
    main()
