"""What a running client does to the system, and what the signals do to it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from pypptp.aio.client import SessionLost
from pypptp.aio.client_network import ClientNetworkConfig
from pypptp.aio.server import Server, ServerConfig
from pypptp.auth.leases import PoolLeases
from pypptp.errors import NetworkError
from pypptp.net.edge import Tun
from pypptp.net.memory import MemoryEdge
from pypptp.service.connect import client_network, is_address, run_client
from pypptp.service.core_config import server_endpoint
from pypptp.service.credentials import Credentials
from pypptp.service.serve import _authority
from pypptp.service.settings import ClientSettings, make_settings
from pypptp.service.settings.client import PRIVATE_NETWORKS
from tests.aio.dialling import SERVER
from tests.service.running import LOCAL, PATIENCE, await_log, free_port, meanwhile, send, server_settings, warnings

pytestmark = pytest.mark.usefixtures("udp")


def run_client_of(settings: ClientSettings, edge: MemoryEdge, password: str = "wonderland") -> None:
    run_client(settings, Credentials("alice", password, ("a warning of its own",)), edge=edge)


class Served:
    """A server in a thread and a loop of its own, as the main thread has the signals."""

    def __init__(self, secrets: Path) -> None:
        self.port = free_port()
        self.edge = MemoryEdge()
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._secrets = secrets
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()))

    async def _serve(self) -> None:
        settings = server_settings(secrets=self._secrets, port=self.port, nat="none")
        authority, _ = _authority(settings)
        config = ServerConfig(
            endpoint=server_endpoint(settings), local=LOCAL, listen=settings.listen, port=settings.port
        )
        self.server = server = Server(
            config, authority=authority, leases=PoolLeases(settings.address_pool()), edge=self.edge
        )
        await server.start()
        self._ready.set()
        await self._stop.wait()
        await server.stop("closing time")

    def __enter__(self) -> Served:
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        return self

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)

    def cut(self) -> None:
        """End the sessions without a word."""

        def act() -> None:
            for driver in list(self.server._drivers):
                assert driver._transport is not None
                driver._transport.abort()

        self._loop.call_soon_threadsafe(act)

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._thread.join(PATIENCE)
        self._loop.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_client_until_a_signal(caplog: pytest.LogCaptureFixture, secrets: Path, number: int) -> None:
    edge = MemoryEdge()
    with Served(secrets) as served:

        def act() -> None:
            await_log(caplog, "up: ppp0, local 192.168.0.234")
            send(number)

        with meanwhile(act):
            run_client_of(ClientSettings(server=SERVER, port=served.port), edge)
    assert edge.changes() == []
    assert edge.tuns == []
    assert "a warning of its own" in warnings(caplog)


def test_a_lost_session(caplog: pytest.LogCaptureFixture, secrets: Path) -> None:
    edge = MemoryEdge()
    with Served(secrets) as served:

        def act() -> None:
            await_log(caplog, "up: ppp0, local 192.168.0.234")
            served.stop()

        with meanwhile(act), pytest.raises(SessionLost, match="closing time"):
            run_client_of(ClientSettings(server=SERVER, port=served.port), edge)
    assert edge.changes() == []


def test_a_wrong_password(secrets: Path) -> None:
    with Served(secrets) as served, pytest.raises(SessionLost, match="E=691"):
        run_client_of(ClientSettings(server=SERVER, port=served.port), MemoryEdge(), "looking-glass")


def await_second_session(caplog: pytest.LogCaptureFixture) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        ups = [
            record for record in caplog.records if record.name == "pypptp.client" and "up: ppp0" in record.getMessage()
        ]
        if len(ups) == 2:
            return
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_client_that_persists_says_once_that_it_is_connected(
    caplog: pytest.LogCaptureFixture, secrets: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    connected: list[bool] = []
    edge = MemoryEdge()
    with manager, Served(secrets) as served:

        def act() -> None:
            await_log(caplog, "up: ppp0, local 192.168.0.234")
            served.cut()
            await_log(caplog, "the peer closed the connection; dialling again in")
            await_second_session(caplog)
            send(signal.SIGTERM)

        settings = ClientSettings(server=SERVER, port=served.port, persist=True, holdoff=0.1)
        with meanwhile(act):
            credentials = Credentials("alice", "wonderland")
            run_client(settings, credentials, edge=edge, on_connected=lambda: connected.append(True))
        manager.setblocking(False)
        said = []
        with contextlib.suppress(BlockingIOError):
            while True:
                said.append(manager.recv(1000).decode())
    assert connected == [True]
    assert sum(line.startswith("READY=1") for line in said) == 1
    assert any(line == f"READY=1\nSTATUS=connected to {SERVER}, ppp0 192.168.0.234" for line in said), said
    assert edge.changes() == []


def test_programs_are_run_when_the_client_is_up_and_when_it_is_down(
    caplog: pytest.LogCaptureFixture, secrets: Path, tmp_path: Path
) -> None:
    hook = tmp_path / "hook"
    hook.write_text(f'#!/bin/sh\necho "$@ $PYPPTP_REASON" >>{tmp_path}/said\n')
    hook.chmod(0o755)
    with Served(secrets) as served:

        def act() -> None:
            await_log(caplog, "up: ppp0, local 192.168.0.234")
            send(signal.SIGTERM)

        with meanwhile(act):
            run_client_of(ClientSettings(server=SERVER, port=served.port, ip_up=hook, ip_down=hook), MemoryEdge())
    up, down = (tmp_path / "said").read_text().splitlines()
    assert up.split()[0] == "ppp0"
    assert up.split()[3:5] == ["192.168.0.234", "192.168.0.1"]
    assert down.endswith("the user asked for it")


def test_no_server() -> None:
    with pytest.raises(NetworkError, match="refuses connections"):
        run_client_of(ClientSettings(server=SERVER, port=free_port()), MemoryEdge())


def test_a_signal_while_connecting() -> None:
    def stop() -> None:
        time.sleep(0.5)
        send(signal.SIGTERM)

    with socket.create_server((SERVER, 0), backlog=0) as full:
        early = [socket.socket() for _ in range(3)]
        try:
            for connection in early:
                connection.setblocking(False)
                connection.connect_ex(full.getsockname())
            began = time.monotonic()
            with meanwhile(stop):
                run_client_of(ClientSettings(server=SERVER, port=full.getsockname()[1]), MemoryEdge())
            assert time.monotonic() - began < 5
        finally:
            for connection in early:
                connection.close()


def test_an_impatient_client_user_gets_everything_taken_back_as_well(
    caplog: pytest.LogCaptureFixture, secrets: Path
) -> None:
    class SlowEdge(MemoryEdge):
        def undo_for(self, tun: Tun) -> list[str]:
            time.sleep(0.5)
            return super().undo_for(tun)

    edge = SlowEdge()
    with Served(secrets) as served:

        def act() -> None:
            await_log(caplog, "up: ppp0, local 192.168.0.234")
            send(signal.SIGINT)
            await_log(caplog, "stopping")
            time.sleep(0.2)
            send(signal.SIGINT)
            time.sleep(0.5)

        with meanwhile(act), pytest.raises(KeyboardInterrupt):
            run_client_of(ClientSettings(server=SERVER, port=served.port), edge)
    assert edge.changes() == []


# Around them.


@pytest.mark.parametrize(("server", "expected"), [("192.0.2.1", True), ("vpn.example", False), ("192.0.2.256", False)])
def test_only_an_address_is_found_behind_a_kill_switch(server: str, expected: bool) -> None:
    assert is_address(server) is expected


def test_what_a_client_may_do_to_the_network() -> None:
    flags: dict[str, Any] = {
        "server": "vpn.example",
        "bypass": ("private",),
        "uplink": ("eth1", "wlan0"),
        "metric": "7",
    }
    switches = dict.fromkeys(("default_route", "kill_switch", "use_peer_dns"), "true")
    config = client_network(make_settings(ClientSettings, flags | switches))
    assert (config.uplinks, config.metric, config.bypass) == (("eth1", "wlan0"), 7, PRIVATE_NETWORKS)
    assert (config.default_route, config.kill_switch, config.peer_dns) == (True, True, True)
    assert client_network(ClientSettings(server="vpn.example")) == ClientNetworkConfig()
