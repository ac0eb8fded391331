"""Real programs on the three hosts of pypptp.testing.scenario."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pypptp.aio.words import NetworkFacts, parse_network
from pypptp.net.namespaces import Namespace
from pypptp.testing.scenario import GATEWAY_PRIVATE, Hosts, Program, Warden

PYPPTP = [sys.executable, "-P", "-m", "pypptp_cli"]
PATIENCE = 20.0
"""Seconds; a busy machine with two cores takes its time to start Python."""


class Lab:
    """Starts servers and clients, and ends those a test has not."""

    def __init__(self, hosts: Hosts, folder: Path, warden: Warden) -> None:
        self.hosts = hosts
        self.before = hosts.snapshot()
        self._folder = folder
        self._warden = warden
        self._programs: list[Program] = []
        (folder / "chap-secrets").write_text('alice * "wonder land" *\nbob * builder 192.168.0.240\n')
        (folder / "chap-secrets").chmod(0o600)

    def start(self, name: str, host: Namespace, *options: str, **variables: str) -> Program:
        return self.start_command(name, host, [*PYPPTP, *options], **variables)

    def start_command(self, name: str, host: Namespace, command: list[str], **variables: str) -> Program:
        environment = {key: value for key, value in os.environ.items() if key != "JOURNAL_STREAM"}
        program = Program(
            name,
            host,
            command,
            environment=environment | variables,
            folder=self._folder,
            warden=self._warden,
        )
        self._programs.append(program)
        return program

    def server(self, *options: str) -> Program:
        server = self.start(
            "server", self.hosts.gateway, "server", "--local", "192.168.0.1", "--secrets", "chap-secrets", *options
        )
        server.await_line(lambda line: "listening on " in line or None, patience=PATIENCE)
        return server

    def client(self, *options: str, user: str = "alice", password: str = "wonder land") -> Program:
        arguments = ["client", "--server", str(GATEWAY_PRIVATE), "--user", user, *options]
        return self.start("client", self.hosts.private, *arguments, PYPPTP_PASSWORD=password)

    def connected(
        self, *options: str, user: str = "alice", password: str = "wonder land"
    ) -> tuple[Program, NetworkFacts]:
        client = self.client(*options, user=user, password=password)
        return client, client.await_line(parse_network, patience=PATIENCE)

    def left_behind(self) -> list[str]:
        return self.hosts.changes_since(self.before, patience=5.0)

    def close(self) -> None:
        for program in reversed(self._programs):
            program.stop()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Warden() as warden, Hosts() as hosts:
        lab = Lab(hosts, tmp_path, warden)
        try:
            yield lab
        finally:
            lab.close()


@pytest.fixture
def doomed(tmp_path: Path) -> Iterator["DoomedLab"]:
    with Warden() as warden, Hosts() as hosts:
        lab = DoomedLab(hosts, tmp_path, warden)
        try:
            yield lab
        finally:
            lab.close()


from .doomed_lab import DoomedLab  # noqa: E402 - it stands on the lab above
