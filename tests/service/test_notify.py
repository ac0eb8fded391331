"""What systemd hears, on a real datagram socket."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pypptp.service import notify
from pypptp.service.notify import ServiceManager
from tests.service.running import PATIENCE


class Systemd:
    """The other end."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(PATIENCE)

    def hear(self) -> list[str]:
        return self._socket.recv(4096).decode().split("\n")

    def hears_nothing(self) -> bool:
        self._socket.setblocking(False)
        try:
            self._socket.recv(4096)
        except BlockingIOError:
            return True
        finally:
            self._socket.settimeout(PATIENCE)
        return False

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    listening = Systemd(str(tmp_path / "notify") if request.param == "path" else f"@pypptp-test-{os.getpid()}")
    yield listening
    listening.close()


def test_a_life(systemd: Systemd) -> None:
    manager = ServiceManager.take({"NOTIFY_SOCKET": systemd.address})
    manager.ready("port 1723:\n0 sessions")
    assert systemd.hear() == ["READY=1", "STATUS=port 1723: 0 sessions"]
    before = time.monotonic_ns() // 1000
    manager.reloading()
    word, since = systemd.hear()
    assert word == "RELOADING=1"
    name, _, value = since.partition("=")
    assert name == "MONOTONIC_USEC"
    assert before <= int(value) <= time.monotonic_ns() // 1000
    manager.ready()
    assert systemd.hear() == ["READY=1"]
    manager.stopping()
    assert systemd.hear() == ["STOPPING=1"]


def test_a_status_is_said_once(systemd: Systemd) -> None:
    manager = ServiceManager(systemd.address)
    for text in ("one session", "one session", "two sessions"):
        manager.status(text)
    assert [systemd.hear(), systemd.hear()] == [["STATUS=one session"], ["STATUS=two sessions"]]
    assert systemd.hears_nothing()


def test_the_environment_is_emptied() -> None:
    mine = {"NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid()), "HOME": "/"}
    manager = ServiceManager.take(mine)
    assert (manager.is_there, manager.watchdog) == (True, 2.0)
    assert mine == {"HOME": "/"}


@pytest.mark.parametrize(
    ("period", "pid", "seconds"),
    [("2000000", "", 2.0), ("2000000", "1", 0.0), ("-1", "", 0.0), ("soon", "", 0.0), ("", "", 0.0)],
)
def test_whose_watchdog_it_is(period: str, pid: str, seconds: float) -> None:
    manager = ServiceManager.take({"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": period, "WATCHDOG_PID": pid})
    assert manager.watchdog == seconds


@pytest.mark.parametrize("address", ["", "vsock:2:1", "notify"])
def test_nobody_to_tell(address: str) -> None:
    manager = ServiceManager.take({"NOTIFY_SOCKET": address})
    assert not manager.is_there
    manager.ready("ready")
    manager.stopping()


def test_a_socket_that_is_gone_is_one_warning(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    manager = ServiceManager(str(tmp_path / "gone"))
    manager.ready("ready")
    manager.stopping()
    assert [record.getMessage() for record in caplog.records] == [
        "cannot tell the service manager: No such file or directory"
    ]


def test_signs_of_life_come_from_the_loop(systemd: Systemd) -> None:
    manager = ServiceManager(systemd.address, watchdog=0.2)
    heard: list[list[str]] = []

    async def live() -> None:
        async with manager.watching(lambda: f"{len(heard)} heard"):
            while len(heard) < 4:
                heard.append(await asyncio.to_thread(systemd.hear))
            while not systemd.hears_nothing():
                pass
            # A loop that hangs gives none: longer than the watchdog waits.
            time.sleep(0.3)  # noqa: ASYNC251 - that is what hanging is
            assert systemd.hears_nothing()

    asyncio.run(live())
    assert heard[0] == ["WATCHDOG=1"]
    assert heard.count(["WATCHDOG=1"]) >= 2
    assert any(line[0].startswith("STATUS=") for line in heard)


def test_without_a_watchdog_only_the_status(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "STATUS_SECONDS", 0.01)

    async def live() -> None:
        async with ServiceManager(systemd.address).watching(lambda: "three sessions"):
            await asyncio.sleep(0.05)

    asyncio.run(live())
    assert systemd.hear() == ["STATUS=three sessions"]
    assert systemd.hears_nothing()


def test_a_program_started_later_does_not_know_the_socket() -> None:
    environment = {**os.environ, "NOTIFY_SOCKET": "/run/notify"}
    code = (
        "import os, subprocess, sys; from pypptp.service.notify import ServiceManager; ServiceManager.take(os.environ);"
        "sys.exit(subprocess.call([sys.executable, '-c', 'import os, sys; sys.exit(\"NOTIFY_SOCKET\" in os.environ)']))"
    )
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
