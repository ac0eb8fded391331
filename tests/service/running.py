"""A server and a client run as the commands run them, with a network edge that is kept in memory."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from pypptp.auth.account import Account
from pypptp.control import StartControlConnectionRequest
from pypptp.net.memory import MemoryEdge
from pypptp.service.serve import run_server
from pypptp.service.settings import ServerSettings
from tests.aio.dialling import SERVER

LOCAL = IPv4Address("192.168.0.1")
SECRETS = "alice * wonderland *\nbob pptpd builder 172.16.5.5\n"
PATIENCE = 10.0
START = StartControlConnectionRequest(
    framing_capabilities=3, bearer_capabilities=3, maximum_channels=0, firmware_revision=1
).build()


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind((SERVER, 0))
        port: int = trial.getsockname()[1]
    return port


def server_settings(**settings: Any) -> ServerSettings:
    given = {"local": LOCAL, "listen": IPv4Address(SERVER), "port": free_port(), **settings}
    return ServerSettings(**given)


class Watched(MemoryEdge):
    """Notes what was changed, also when it is taken back by the time somebody looks."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.nats: list[tuple[str | None, list[IPv4Network], str]] = []
        self.forwarded = False

    def enable_forwarding(self) -> bool:
        self.forwarded = True
        return super().enable_forwarding()

    def add_nat(self, interface: str | None, sources: Iterable[IPv4Network], *, tunnels: str = "ppp%d") -> str:
        networks = list(sources)
        self.nats.append((interface, networks, tunnels))
        return super().add_nat(interface, networks, tunnels=tunnels)


@contextmanager
def meanwhile(act: Callable[[], object]) -> Iterator[None]:
    """Do something in a thread while the main one, which gets the signals, is busy."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:
            failed.append(error)
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join(PATIENCE)
    assert failed == []


def await_log(caplog: pytest.LogCaptureFixture, words: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while words not in caplog.text:
        assert time.monotonic() < deadline, f"never said: {words}"
        time.sleep(0.01)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def serve(
    caplog: pytest.LogCaptureFixture, settings: ServerSettings, edge: MemoryEdge, number: int = signal.SIGTERM
) -> list[Account]:
    """Run a server until it listens, and end it with a signal; returns the accounts it announced."""
    announced: list[Account] = []

    def act() -> None:
        await_log(caplog, "listening on")
        send(number)

    handlers = [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)]
    with meanwhile(act):
        run_server(settings, edge=edge, announce_account=announced.append)
    assert [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)] == handlers
    assert edge.changes() == []
    assert not edge.forwarding
    assert edge.nat == []
    return announced


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Everything above information but the one about PPTP itself."""
    found = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert sum(line.startswith("PPTP does not keep secrets") for line in found) == 1
    return [line for line in found if not line.startswith("PPTP does not keep secrets")]


# The server.
