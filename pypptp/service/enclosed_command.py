"""A command that runs as long as a tunnel, and a tunnel that runs as long as a command: ``client --exec``."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping
from typing import Final

from pypptp.errors import NetworkError
from pypptp.net.enclosure import Enclosure
from pypptp.service.credentials import PASSWORD_VARIABLE

log = logging.getLogger("pypptp.client")

END_SECONDS: Final = 5.0
"""What a command has to end after SIGTERM, before SIGKILL."""
NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126
_BY_SIGNAL: Final = 128


class EnclosedCommand:
    """The command.

    Args:
        command: the program and its arguments, quoted as for a shell.
        enclosure: where it runs.
        environment: its environment, but for the client's password.

    Attributes:
        over: set once it has ended, or could not be started.
        status: its exit status as a shell has it: 128 and more for a signal, 127 and 126 where it could not be
            started; None before.
    """

    def __init__(self, command: str, enclosure: Enclosure, *, environment: Mapping[str, str]) -> None:
        self.over = asyncio.Event()
        self.status: int | None = None
        self._words = shlex.split(command)
        self._name = "".join(character if character.isprintable() else "?" for character in self._words[0])
        self._enclosure = enclosure
        self._environment = {name: value for name, value in environment.items() if name != PASSWORD_VARIABLE}
        self._process: subprocess.Popen[bytes] | None = None
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start it, soon; a second call does nothing. What a terminal's Ctrl-C means is its affair from now on."""
        if self._watching is None:
            self._watching = asyncio.get_running_loop().create_task(self._run())

    async def end(self) -> None:
        """End it if it runs: SIGTERM, and SIGKILL where it does not go. Ending twice is no error."""
        if self._watching is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.over.is_set():
                break
            if self._process is not None:
                self._process.send_signal(number)
            try:
                await asyncio.wait_for(self.over.wait(), END_SECONDS)
            except TimeoutError:
                log.warning("'%s' does not end; killing it", self._name)
        await asyncio.gather(self._watching, return_exceptions=True)

    async def _run(self) -> None:
        try:
            self._process = process = await asyncio.to_thread(
                self._enclosure.popen, self._words, environment=self._environment
            )
        except (OSError, NetworkError) as error:
            missing = isinstance(error, FileNotFoundError)
            reason = error.strerror if isinstance(error, OSError) else str(error)
            log.error("cannot run '%s': %s", self._name, reason)
            self.status = NOT_FOUND if missing else NOT_EXECUTABLE
            self.over.set()
            return
        log.info("running '%s' (process %d)", self._name, process.pid)
        # The terminal sends it to the whole foreground, a shell in the tunnel too: it is not for us.
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, lambda: None)
        status = await _ended(process)
        self.status = _BY_SIGNAL - status if status < 0 else status
        log.info("'%s' has ended with status %d", self._name, self.status)
        self.over.set()


async def _ended(process: subprocess.Popen[bytes]) -> int:
    """Wait for a process without a thread that waits for it."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    descriptor = os.pidfd_open(process.pid)
    loop.add_reader(descriptor, lambda: None if ended.done() else ended.set_result(None))
    try:
        await ended
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    return process.wait()


__all__ = ["EnclosedCommand"]
