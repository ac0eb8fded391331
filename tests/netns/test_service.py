"""Server and client as services: this test is systemd, with a notify socket, a watchdog and a listening socket.

private 10.100.100.2 ----- 10.100.100.1 gateway 203.0.113.1 ----- 203.0.113.2 public
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pypptp.aio.words import parse_network
from pypptp.testing.scenario import GATEWAY_PRIVATE, Program, ping

from .conftest import PATIENCE, PYPPTP, Lab

pytestmark = pytest.mark.netns

ACTIVATE = """
import os, socket, sys
address, *command = sys.argv[1:]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
listener = socket.create_server((address, 1723), family=family)
print("open", flush=True)
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="pypptp.socket")
os.execv(command[0], command)
"""
SERVER = ("server", "--local", "192.168.0.1", "--secrets", "chap-secrets")


class Systemd:
    """The socket in NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))

    def await_word(self, word: str) -> None:
        """Wait for the next message that says this."""
        self._socket.settimeout(PATIENCE)
        while True:
            lines = self._socket.recv(4096).decode().split("\n")
            self.heard += lines
            if word in lines:
                return

    def falls_silent(self) -> bool:
        """Take what is on its way, and say whether nothing follows for longer than the watchdog waits."""
        self._socket.settimeout(1.0)
        for _ in range(100):
            try:
                self._socket.recv(4096)
            except TimeoutError:
                return True
        return False

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    systemd = Systemd(tmp_path / "notify")
    yield systemd
    systemd.close()


def start_client(lab: Lab, systemd: Systemd, **variables: str) -> Program:
    arguments = ["client", "--server", str(GATEWAY_PRIVATE), "--user", "alice"]
    return lab.start(
        "client",
        lab.hosts.private,
        *arguments,
        NOTIFY_SOCKET=str(systemd.path),
        PYPPTP_PASSWORD="wonder land",
        **variables,
    )


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_from_its_start_to_its_end(lab: Lab, systemd: Systemd, workers: str) -> None:
    variables = {"NOTIFY_SOCKET": str(systemd.path), "WATCHDOG_USEC": "400000"}
    server = lab.start("server", lab.hosts.gateway, *SERVER, "--workers", workers, **variables)
    systemd.await_word("READY=1")
    assert "STATUS=port 1723: 0 sessions, at most 12" in systemd.heard
    # Whoever is told READY may connect.
    lab.connected()
    systemd.await_word("STATUS=port 1723: 1 session, at most 12")
    systemd.await_word("WATCHDOG=1")
    os.kill(server.pid, signal.SIGHUP)
    systemd.await_word("RELOADING=1")
    systemd.await_word("READY=1")
    server.await_line(lambda line: "chap-secrets read again" in line or None, patience=PATIENCE)
    os.kill(server.pid, signal.SIGTERM)
    systemd.await_word("STOPPING=1")
    assert server.wait(PATIENCE) == 0, server.lines
    assert lab.left_behind() == []


def test_a_server_that_hangs_gives_no_sign_of_life(lab: Lab, systemd: Systemd) -> None:
    variables = {"NOTIFY_SOCKET": str(systemd.path), "WATCHDOG_USEC": "400000"}
    server = lab.start("server", lab.hosts.gateway, *SERVER, **variables)
    systemd.await_word("WATCHDOG=1")
    os.kill(server.pid, signal.SIGSTOP)
    try:
        assert systemd.falls_silent()
    finally:
        os.kill(server.pid, signal.SIGCONT)
    systemd.await_word("WATCHDOG=1")
    assert server.stop() == 0


def test_a_client_is_ready_when_it_is_connected(lab: Lab, systemd: Systemd) -> None:
    refused = start_client(lab, systemd)
    assert refused.wait(PATIENCE) not in (0, None)
    lab.server()
    client = start_client(lab, systemd, WATCHDOG_USEC="400000")
    client.await_line(parse_network, patience=PATIENCE)
    systemd.await_word("READY=1")
    # The one that was refused had nothing to say.
    assert systemd.heard.count("READY=1") == 1
    assert f"STATUS=connected to {GATEWAY_PRIVATE}, ppp0 192.168.0.234" in systemd.heard
    systemd.await_word("WATCHDOG=1")
    os.kill(client.pid, signal.SIGTERM)
    systemd.await_word("STOPPING=1")
    assert client.wait(PATIENCE) == 0


def activated(address: str, *options: str) -> list[str]:
    return [sys.executable, "-c", ACTIVATE, address, *PYPPTP, *SERVER, *options]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_port_is_systemds(lab: Lab, workers: str) -> None:
    command = activated(str(GATEWAY_PRIVATE), "--port", "1799", "--workers", workers)
    server = lab.start_command("server", lab.hosts.gateway, command)
    server.await_line(lambda line: line == "open" or None, patience=PATIENCE)
    # The client connects while nobody serves yet: the socket keeps it.
    client = lab.client()
    server.await_line(lambda line: f"listening on {GATEWAY_PRIVATE} port 1723 as" in line or None, patience=PATIENCE)
    network = client.await_line(parse_network, patience=PATIENCE)
    assert network.strength == 128
    # The client is up first: only then has the server its own end to make.
    server.await_line(lambda line: "user 'alice' up: " in line or None, patience=PATIENCE)
    assert ping(lab.hosts.gateway, network.local, count=2).received == 2
    assert client.stop() == 0
    assert server.stop() == 0, server.lines
    assert lab.left_behind() == []


def test_a_socket_that_is_no_use(lab: Lab) -> None:
    server = lab.start_command("server", lab.hosts.gateway, activated("::"))
    assert server.wait(PATIENCE) == 2
    assert "write ListenStream=0.0.0.0:1723" in server.last_line
