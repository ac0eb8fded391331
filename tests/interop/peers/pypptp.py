"""pypptp itself, run as a user runs it: its commands, from the virtual environment that runs the tests."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from ..lab.guest import GuestError, Program
from ..lab.topology import Machine, Tunnel
from .settings import INNER_SERVER, NAME_SERVERS, PASSWORD, POOL_FIRST, USER, Settings, pool_last

COMMAND = str(Path(sys.prefix) / "bin" / "pypptp")
START_LIMIT_SECONDS = 60
"""In an emulated guest Python takes up to 20 s to import it all."""

AUTH_NAMES = {"mschapv2": "mschap-v2", "mschap": "mschap", "chap": "chap", "pap": "pap"}


def common_options(settings: Settings) -> list[str]:
    """The options that both of pypptp's commands share."""
    options = ["--log-level", "debug", "--auth", AUTH_NAMES[settings.auth]]
    options += ["--mppe", "deny"] if settings.mppe is None else ["--mppe", "require", "--mppe-strength", settings.mppe]
    if settings.mtu is not None:
        # pppd's word for the size of a PPP information field, of which MPPE takes four; pypptp's is the size
        # of an IP packet.
        overhead = 0 if settings.mppe is None else 4
        options += ["--mtu", str(settings.mtu - overhead), "--mru", str(settings.mtu)]
    if settings.stateful:
        options += ["--mppe-stateful"]
    if not settings.field_compression:
        options += ["--no-pcomp", "--no-accomp"]
    if settings.echo is not None:
        options += ["--lcp-echo-interval", str(settings.echo)]
    return options


class PypptpServer:
    """`pypptp server` on a machine."""

    name = "pypptp server"

    def __init__(self, machine: Machine, settings: Settings, users: Mapping[str, str] | None = None) -> None:
        self.machine = machine
        self.settings = settings
        self.users = dict(users or {USER: PASSWORD})
        self._program: Program | None = None
        self._killed = False

    def start(self) -> None:
        """Start it, wait until it listens."""
        secrets = "".join(f'"{user}" * "{password}" *\n' for user, password in self.users.items())
        secrets_file = self.machine.write("pypptp-secrets", secrets, 0o600)
        last = pool_last(self.settings.pool).rpartition(".")[2]
        remote = POOL_FIRST if self.settings.pool == 1 else f"{POOL_FIRST}-{last}"
        argv = [
            COMMAND,
            "server",
            "--local",
            INNER_SERVER,
            "--remote",
            remote,
            "--secrets",
            secrets_file,
            "--nat",
            "none",
        ]
        argv += common_options(self.settings)
        if self.settings.dns:
            for address in NAME_SERVERS:
                argv += ["--dns", address]
        self._program = self.machine.start(argv, "pypptp-server.log")
        self._await_listening()

    def _await_listening(self) -> None:
        deadline = time.monotonic() + START_LIMIT_SECONDS
        while not self.machine.listens():
            if time.monotonic() > deadline or self.program.wait(0.05) is not None:
                raise GuestError(f"pypptp server did not listen: {self.program.output()}")

    @property
    def program(self) -> Program:
        """The running command."""
        if self._program is None:
            raise GuestError("pypptp server was not started")
        return self._program

    def end_call(self) -> None:
        """End every call: pypptp's way is to end the server."""
        self.program.end()

    def kill_call(self) -> None:
        """pypptp has no second program for the link: the server dies."""
        self.kill()

    def kill(self) -> None:
        """SIGKILL."""
        self._killed = True
        self.program.end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL where that is not heeded in 10 s."""
        if self._program is not None and self.program.wait(0.01) is None:
            code = self.program.end()
            if code != 0:
                raise GuestError(f"pypptp server ended with {code} on SIGTERM")

    def tidy(self) -> None:
        """Do what is to be done after SIGKILL: for its control socket, as nothing else may be left."""
        if self._killed:
            self.machine.run([COMMAND, "undo"])

    def logs(self) -> dict[str, str]:
        """Name and text of its log."""
        return self.machine.texts(("pypptp-server.log",))


class PypptpClient:
    """`pypptp client` on a machine."""

    name = "pypptp client"

    def __init__(
        self, machine: Machine, server: str, settings: Settings, user: str = USER, password: str = PASSWORD
    ) -> None:
        self.machine = machine
        self.server = server
        self.settings = settings
        self.user = user
        self.password = password
        self._program: Program | None = None
        self._killed = False

    @property
    def program(self) -> Program:
        """The running command."""
        if self._program is None:
            raise GuestError("pypptp client was not started")
        return self._program

    def start(self) -> None:
        """Start to connect."""
        argv = [
            COMMAND,
            "client",
            "--server",
            self.server,
            "--user",
            self.user,
            *common_options(self.settings),
        ]
        self._program = self.machine.start(argv, "pypptp-client.log", {"PYPPTP_PASSWORD": self.password})

    def await_up(self, limit: float = 20.0) -> Tunnel | None:
        """The tunnel once it has addresses; None when the program ended or `limit` seconds went by."""
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            tunnels = self.machine.tunnels()
            if tunnels:
                return tunnels[0]
            if self.program.wait(0.05) is not None:
                return None
        return None

    def await_end(self, limit: float) -> int | None:
        """The exit code once the program has ended by itself, None after `limit` seconds."""
        return self.program.wait(limit)

    def disconnect(self) -> int | None:
        """SIGTERM; the exit code, which must be 0."""
        return self.program.end()

    def kill_link(self) -> None:
        """pypptp has no second program for the link: the client dies."""
        self.kill()

    def kill(self) -> None:
        """SIGKILL."""
        self._killed = True
        self.program.end(signal.SIGKILL)

    def tidy(self) -> None:
        """Do what is to be done after SIGKILL: for its control socket, as nothing else may be left."""
        if self._killed:
            self.machine.run([COMMAND, "undo"])

    def name_servers(self) -> list[str] | None:
        """pypptp asks for name servers and leaves the machine's own alone."""
        return None

    def logs(self) -> dict[str, str]:
        """Name and text of its log."""
        return self.machine.texts(("pypptp-client.log",))
