"""What the service manager is told: ready, reloading, stopping, alive (sd_notify(3), without libsystemd).

systemd gives a service of ``Type=notify`` the name of a datagram socket in ``NOTIFY_SOCKET``; where there is none, all
of this does nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager

log = logging.getLogger("pypptp")

STATUS_SECONDS = 5.0
"""Between two looks at what ``systemctl status`` is to show."""


class ServiceManager:
    """The service manager's socket.

    Args:
        address: of its socket, as in ``NOTIFY_SOCKET``: a path, or ``@`` and an abstract name. Empty for nobody.
        watchdog: seconds without a sign of life after which it kills us; 0 where it does not watch.
    """

    def __init__(self, address: str = "", *, watchdog: float = 0.0) -> None:
        self.watchdog = watchdog
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._status = ""
        self._failed = False

    @classmethod
    def take(cls, environment: MutableMapping[str, str]) -> ServiceManager:
        """Take it out of the environment, so that no program started later speaks in our name."""
        address = environment.pop("NOTIFY_SOCKET", "")
        period, pid = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
        watched = period.isascii() and period.isdigit() and pid in ("", str(os.getpid()))
        return cls(address if address.startswith(("/", "@")) else "", watchdog=int(period) / 1e6 if watched else 0.0)

    @property
    def is_there(self) -> bool:
        """Whether anybody listens."""
        return self._address != ""

    def ready(self, status: str | None = None) -> None:
        """It has begun, or has read its files again. For a client: it is connected."""
        self._send("READY=1" if status is None else f"READY=1\n{self._new_status(status)}")

    def reloading(self) -> None:
        """It is reading its files again; ``ready`` follows, whatever comes of it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """It is about to end."""
        self._send("STOPPING=1")

    def status(self, status: str) -> None:
        """Say in one line what it is doing, for ``systemctl status``; what was said before is not said again."""
        if status != self._status:
            self._send(self._new_status(status))

    @asynccontextmanager
    async def watching(self, describe: Callable[[], str]) -> AsyncIterator[None]:
        """Give signs of life from the event loop, so that one that hangs is noticed, and keep the status current.

        Args:
            describe: makes the status.
        """
        if not self.is_there:
            yield
            return
        beating = asyncio.create_task(self._beat(describe))
        try:
            yield
        finally:
            beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beating

    async def _beat(self, describe: Callable[[], str]) -> None:
        # Half the time, as sd_watchdog_enabled(3) has it.
        pause = min(STATUS_SECONDS, self.watchdog / 2) if self.watchdog else STATUS_SECONDS
        while True:
            if self.watchdog:
                self._send("WATCHDOG=1")
            await asyncio.sleep(pause)
            self.status(describe())

    def _new_status(self, status: str) -> str:
        self._status = status
        return "STATUS=" + " ".join(status.split())

    def _send(self, message: str) -> None:
        if not self.is_there:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                # A service manager that does not read must not stop the packets.
                sender.setblocking(False)
                sender.sendto(message.encode("utf-8", "replace"), self._address)
        except OSError as error:
            if not self._failed:
                log.warning("cannot tell the service manager: %s", error.strerror or error)
            self._failed = True


__all__ = ["STATUS_SECONDS", "ServiceManager"]
