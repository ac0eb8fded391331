"""The demo's steps: real programs on three hosts, and what is measured on the way."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final, Protocol

from pypptp.aio.words import NetworkFacts, parse_network
from pypptp.errors import PptpError
from pypptp.net.namespaces import Namespace
from pypptp.testing.scenario import (
    GATEWAY_PRIVATE,
    PUBLIC,
    Hosts,
    Pings,
    Program,
    Sink,
    Transfer,
    Warden,
    holders,
    marked_processes,
    ping,
    send,
)
from pypptp_cli.demonstration.interruption import Interruption
from pypptp_cli.demonstration.report import Report

INNER_SERVER: Final = IPv4Address("192.168.0.1")
USER: Final = "demo"
PINGS: Final = 4
TRANSFER_SECONDS: Final = 3.0
SECRETS_FILE: Final = "chap-secrets"

PYPPTP: Final = (sys.executable, "-P", "-m", "pypptp_cli")
"""The command as a real process of this very installation; -P keeps the working folder off its import path."""

SERVER: Final = ("server", "--local", str(INNER_SERVER), "--secrets", SECRETS_FILE)
CLIENT: Final = (
    *("client", "--server", str(GATEWAY_PRIVATE), "--user", USER),
    *("--default-route", "--bypass", "private"),
)
"""Routes as in the well-known cloud recipe: private networks stay on the old interface, all else goes through ppp0."""

_START_SECONDS = 15.0
_CONNECT_SECONDS = 30.0
_MARK = "PYPPTP_DEMO"


class Audience(Protocol):
    """Who watches the demo."""

    def begin(self, what: str) -> None:
        """Something that takes a moment begins."""

    def pinged_before(self, pings: Pings) -> None:
        """The public host was tried without a tunnel."""

    def connected(self, network: NetworkFacts, seconds: float) -> None:
        """The tunnel is up, so long after the client was started."""

    def pinged_after(self, pings: Pings) -> None:
        """The public host was tried through the tunnel."""

    def sending(self, seconds: float, octets: int) -> None:
        """The transfer has come so far."""

    def sent(self, transfer: Transfer) -> None:
        """The transfer is over."""

    def taken_back(self, left_behind: Sequence[str]) -> None:
        """Both programs have ended and the hosts are gone."""


class Demonstration:
    """One run, from nothing to nothing.

    Args:
        audience: who watches.
        interruption: where a signal may take effect is decided here.

    Attributes:
        report: what was found, up to date at any time.

    Raises:
        NetworkError: the system lets us make no hosts.
    """

    def __init__(self, audience: Audience, interruption: Interruption) -> None:
        self.report = Report()
        self._audience = audience
        self._interruption = interruption
        self._mark = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._password = secrets.token_urlsafe(12)
        self._folder = Path(tempfile.gettempdir(), f"pypptp-demo-{self._mark}")
        self._programs: list[Program] = []
        self._hosts = Hosts()
        self._inodes = self._hosts.inodes()
        self._before = self._hosts.snapshot()
        self._warden = Warden()

    def run(self) -> Report:
        """Go through all steps, take everything back whatever happens, and look whether that is so.

        What goes wrong on the way ends up in the report.

        Raises:
            Interrupted: a signal came; everything has been taken back.
        """
        try:
            self._make_folder()
            self._go()
        except (PptpError, OSError) as error:
            self.report.trouble += [str(error).removeprefix("pypptp: "), *self._last_words(str(error))]
        finally:
            # No signal takes effect here, each part is bounded in time, and a terminal that is gone does not matter.
            try:
                self._audience.begin("everything is taken back")
            finally:
                self._take_back()
        self._audience.taken_back(self.report.left_behind)
        return self.report

    def logs(self) -> dict[str, list[str]]:
        """Return what the server and the client wrote, as far as they were started."""
        return {program.name: list(program.lines) for program in self._programs}

    def _go(self) -> None:
        report, hosts, audience = self.report, self._hosts, self._audience
        with self._interruption.allowed():
            audience.begin(f"ping {PUBLIC}")
            report.ping_before = ping(hosts.private, PUBLIC, count=PINGS)
            audience.pinged_before(report.ping_before)
            audience.begin("the server starts")
        server = self._start("server", hosts.gateway, SERVER)
        with self._interruption.allowed():
            server.await_line(lambda line: "listening on " in line or None, patience=_START_SECONDS)
            audience.begin("the client connects")
        began = time.monotonic()
        client = self._start("client", hosts.private, CLIENT, PYPPTP_PASSWORD=self._password)
        with self._interruption.allowed():
            report.network = client.await_line(parse_network, patience=_CONNECT_SECONDS)
            audience.connected(report.network, time.monotonic() - began)
            audience.begin(f"ping {PUBLIC}")
            report.ping_after = ping(hosts.private, PUBLIC, count=PINGS)
            audience.pinged_after(report.ping_after)
            with Sink(hosts.public, PUBLIC) as sink:
                send(hosts.private, PUBLIC, sink.port, seconds=TRANSFER_SECONDS, progress=audience.sending)
                report.transfer = sink.take()
            if report.transfer is not None:
                audience.sent(report.transfer)

    def _make_folder(self) -> None:
        self._warden.keep(self._folder)
        self._folder.mkdir(mode=0o700)
        path = self._folder / SECRETS_FILE
        path.touch(mode=0o600)
        path.write_text(f'# client server secret addresses\n{USER} * "{self._password}" *\n', encoding="utf-8")

    def _start(self, name: str, host: Namespace, options: Sequence[str], **variables: str) -> Program:
        # What the caller's own PYPPTP_ variables say is meant for other commands than these.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYPPTP_")}
        # With it systemd's journal is meant, and log lines lose their time.
        environment.pop("JOURNAL_STREAM", None)
        environment |= {_MARK: self._mark, "TMPDIR": str(self._folder), **variables}
        program = Program(
            name, host, (*PYPPTP, *options), environment=environment, folder=self._folder, warden=self._warden
        )
        self._programs.append(program)
        return program

    def _take_back(self) -> None:
        report = self.report
        # The client before the server, as it was the other way round; each ended as by Ctrl-C on a quiet day.
        for program in reversed(self._programs):
            running = program.status is None
            status = program.stop()
            if running and status != 0:
                ended = "did not end in time" if status < 0 else f"ended with status {status}"
                report.trouble.append(f"the {program.name} {ended}: {program.last_line}")
        left = self._hosts.changes_since(self._before)
        if self._folder.is_dir():
            left += [f"file {name}" for name in os.listdir(self._folder) if name != SECRETS_FILE]  # noqa: PTH208
            shutil.rmtree(self._folder, ignore_errors=True)
        self._hosts.close()
        self._warden.close()
        left += holders(self._inodes)
        left += [f"process {process}" for process in marked_processes(_MARK, self._mark)]
        if self._folder.exists():
            left.append(f"folder {self._folder}")
        report.left_behind = left

    def _last_words(self, known: str) -> list[str]:
        """Tell what programs said that should run and do not: the reason is often theirs."""
        ended = [program for program in self._programs if program.status is not None and program.last_line != known]
        return [f"the {program.name} has ended: {program.last_line.removeprefix('pypptp: ')}" for program in ended]
