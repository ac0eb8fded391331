"""What a running server or client does to the system, and what the signals do to it."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest

from pypptp.aio.client import SessionLost
from pypptp.aio.server import Server, ServerConfig
from pypptp.auth.account import Account
from pypptp.auth.leases import PoolLeases
from pypptp.control import StartControlConnectionRequest
from pypptp.errors import ConfigurationError, NetworkError
from pypptp.net.edge import Tun
from pypptp.net.memory import MemoryEdge
from pypptp.service import run as module
from pypptp.service.core_config import server_endpoint
from pypptp.service.credentials import Credentials
from pypptp.service.run import require_system, run_client, run_server, set_up_logging
from pypptp.service.settings import ClientSettings, ServerSettings
from tests.aio.dialling import SERVER, udp_for_gre

LOCAL = IPv4Address("192.168.0.1")
SECRETS = "alice * wonderland *\nbob pptpd builder 172.16.5.5\n"
PATIENCE = 10.0
START = StartControlConnectionRequest(
    framing_capabilities=3, bearer_capabilities=3, maximum_channels=0, firmware_revision=1
).build()


@pytest.fixture(autouse=True)
def _udp(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    udp_for_gre(monkeypatch)
    caplog.set_level(logging.INFO)


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    path = tmp_path / "chap-secrets"
    path.write_text(SECRETS)
    path.chmod(0o600)
    return path


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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_until_a_signal(caplog: pytest.LogCaptureFixture, secrets: Path, number: int) -> None:
    edge = Watched()
    assert serve(caplog, server_settings(secrets=secrets), edge, number) == []
    assert edge.forwarded
    ((interface, networks, tunnels),) = edge.nats
    assert (interface, tunnels) == (None, "ppp%d")
    covered = {address for network in networks for address in network}
    # The pool, and the address that is bob's alone and outside it.
    pool = {IPv4Address(f"192.168.0.{host}") for host in range(234, 246)}
    assert covered == pool | {IPv4Address("172.16.5.5")}
    assert warnings(caplog) == []


def test_a_user_is_made_up_and_shown_once_and_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    (account,) = serve(caplog, server_settings(), Watched())
    assert account.user
    assert account.password is not None
    assert len(account.password) >= 12
    assert account.password not in caplog.text
    assert account.password not in repr(account)


def test_a_file_without_users_is_warned_of(caplog: pytest.LogCaptureFixture, secrets: Path) -> None:
    secrets.write_text("# nobody\n")
    serve(caplog, server_settings(secrets=secrets), Watched())
    (line,) = warnings(caplog)
    assert line.startswith(f"{secrets} names no user, so nobody can log in")


def test_nat_none_touches_nothing(caplog: pytest.LogCaptureFixture, secrets: Path) -> None:
    edge = Watched()
    serve(caplog, server_settings(secrets=secrets, nat="none"), edge)
    assert (edge.forwarded, edge.nats) == (False, [])
    assert warnings(caplog) == []


def test_nat_without_a_default_route_warns_and_goes_on(caplog: pytest.LogCaptureFixture, secrets: Path) -> None:
    edge = Watched(routes=[])
    serve(caplog, server_settings(secrets=secrets), edge)
    assert (edge.forwarded, edge.nats) == (False, [])
    (line,) = warnings(caplog)
    assert "no default route, so no NAT" in line
    assert "--nat" in line


def test_nat_behind_an_interface_by_name(caplog: pytest.LogCaptureFixture, secrets: Path) -> None:
    edge = Watched(routes=[])
    serve(caplog, server_settings(secrets=secrets, nat="lo", ifname="vpn%d"), edge)
    assert [(interface, tunnels) for interface, _, tunnels in edge.nats] == [("lo", "vpn%d")]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"nat": "nosuchif"}, "nat: there is no interface nosuchif here"),
        ({"listen": IPv4Address("192.0.2.77")}, "listen: 192.0.2.77 is not an address of this machine"),
        ({"secrets": Path("/nowhere/chap-secrets")}, "/nowhere/chap-secrets"),
    ],
)
def test_what_is_wrong_is_said_before_anything_begins(
    settings: dict[str, Any], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    announced: list[Account] = []
    with pytest.raises(ConfigurationError) as caught:
        run_server(server_settings(**settings), edge=Watched(), announce_account=announced.append)
    assert words in str(caught.value)
    assert announced == []
    assert caplog.text == ""


def test_an_edge_that_refuses_half_way_leaves_nothing(caplog: pytest.LogCaptureFixture, secrets: Path) -> None:
    edge = Watched(refusals={"add_nat": "the kernel has no nftables: load nf_tables"})
    settings = server_settings(secrets=secrets)
    with pytest.raises(NetworkError, match="load nf_tables"):
        run_server(settings, edge=edge, announce_account=lambda account: None)
    assert edge.forwarded
    assert not edge.forwarding
    assert edge.changes() == []
    # And the port is free again.
    socket.create_server((SERVER, settings.port)).close()


def test_a_second_server_on_the_same_port(caplog: pytest.LogCaptureFixture, secrets: Path) -> None:
    settings = server_settings(secrets=secrets)
    with socket.create_server((SERVER, settings.port)), pytest.raises(NetworkError, match="is in use: stop the other"):
        run_server(settings, edge=Watched(), announce_account=lambda account: None)


@pytest.mark.parametrize("busy_with", ["a client that does not answer", "the edge"])
def test_the_impatient_get_everything_taken_back_as_well(
    caplog: pytest.LogCaptureFixture, secrets: Path, busy_with: str
) -> None:
    class SlowEdge(Watched):
        def undo(self) -> list[str]:
            time.sleep(0.5)
            return super().undo()

    edge = SlowEdge() if busy_with == "the edge" else Watched()
    settings = server_settings(secrets=secrets)

    def act() -> None:
        await_log(caplog, "listening on")
        with socket.create_connection((SERVER, settings.port)) as connection:
            if busy_with != "the edge":
                connection.sendall(START)
                connection.recv(1000)
            send(signal.SIGINT)
            await_log(caplog, "stopping")
            time.sleep(0.2)
            send(signal.SIGINT)
            time.sleep(0.5)

    with meanwhile(act), pytest.raises(KeyboardInterrupt):
        run_server(settings, edge=edge, announce_account=lambda account: None)
    assert edge.changes() == []
    assert edge.nat == []
    socket.create_server((SERVER, settings.port)).close()


# The client.


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
        authority, _ = module._authority(settings)
        config = ServerConfig(
            endpoint=server_endpoint(settings), local=LOCAL, listen=settings.listen, port=settings.port
        )
        server = Server(config, authority=authority, leases=PoolLeases(settings.pool()), edge=self.edge)
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


def test_what_asyncio_complains_of_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    async def complain() -> None:
        context = {"message": "socket.accept() out of system resource", "exception": OSError(24, "Too many open files")}
        for _ in range(200):
            asyncio.get_running_loop().call_exception_handler(context)

    module.run_loop(complain())
    (record,) = caplog.records
    assert record.getMessage() == "socket.accept() out of system resource: [Errno 24] Too many open files"
    assert record.exc_info is None


def test_a_machine_that_cannot_have_tunnels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "probe", lambda: ["no /dev/net/tun: modprobe tun", "no root: use sudo"])
    with pytest.raises(NetworkError, match="no /dev/net/tun: modprobe tun; no root: use sudo"):
        require_system()
    monkeypatch.setattr(module, "probe", list)
    require_system()


@pytest.mark.parametrize(
    ("journal", "expected"), [(None, r"\d\d:\d\d:\d\d WARNING attention\n"), ("8:1", "attention\n")]
)
def test_log_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], journal: str | None, expected: str
) -> None:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    if journal is None:
        monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    else:
        monkeypatch.setenv("JOURNAL_STREAM", journal)
    # force=True closes what was there, and pytest's own is to live.
    for handler in handlers:
        root.removeHandler(handler)
    try:
        set_up_logging("warning")
        module.log.warning("attention")
        module.log.info("unimportant")
    finally:
        for handler in list(root.handlers):
            root.removeHandler(handler)
        for handler in handlers:
            root.addHandler(handler)
        root.setLevel(level)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(expected, captured.err)
