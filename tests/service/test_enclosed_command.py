from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from pypptp.errors import NetworkError
from pypptp.net.enclosure import Enclosure
from pypptp.service import enclosed_command as module
from pypptp.service.enclosed_command import EnclosedCommand


class Anywhere:
    """In place of an enclosure: starts programs here."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.environment: Mapping[str, str] = {}

    def popen(self, arguments: Sequence[str], *, environment: Mapping[str, str], **_: Any) -> subprocess.Popen[bytes]:
        if self.error is not None:
            raise self.error
        self.environment = environment
        return subprocess.Popen(arguments, env=environment)


def command(text: str, place: Anywhere | None = None, **environment: str) -> EnclosedCommand:
    return EnclosedCommand(text, cast(Enclosure, place or Anywhere()), environment={"PATH": "/bin"} | environment)


@pytest.mark.parametrize(
    ("text", "status"),
    [("true", 0), ("sh -c 'exit 7'", 7), ("sh -c 'kill -TERM $$'", 128 + signal.SIGTERM), ("/no/such/program", 127)],
)
def test_status(text: str, status: int) -> None:
    async def act() -> None:
        running = command(text)
        running.start()
        running.start()
        await asyncio.wait_for(running.over.wait(), 10)
        assert running.status == status
        await running.end()

    asyncio.run(act())


def test_the_password_stays_here() -> None:
    async def act() -> None:
        place = Anywhere()
        running = command("true", place, PYPPTP_PASSWORD="secret", HOME="/root")
        running.start()
        await asyncio.wait_for(running.over.wait(), 10)
        assert place.environment == {"PATH": "/bin", "HOME": "/root"}

    asyncio.run(act())


def test_what_cannot_be_started() -> None:
    async def act() -> None:
        running = command("true", Anywhere(NetworkError("no mounts: run as root")))
        running.start()
        await asyncio.wait_for(running.over.wait(), 10)
        assert running.status == 126

    asyncio.run(act())


def test_one_that_does_not_go_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "END_SECONDS", 0.3)

    async def act() -> None:
        running = command("sh -c 'trap \"\" TERM; while :; do sleep 0.05; done'")
        running.start()
        await asyncio.sleep(0.2)
        await running.end()
        assert running.status == 128 + signal.SIGKILL
        await running.end()

    asyncio.run(act())


def test_one_that_never_began() -> None:
    async def act() -> None:
        running = command("true")
        await running.end()
        assert running.status is None

    asyncio.run(act())
