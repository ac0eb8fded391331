from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from collections.abc import Mapping
from typing import Any

import pytest

from pypptp import __version__
from pypptp.errors import ConfigurationError, NetworkError
from pypptp.service.control_socket import ControlSocket, listener
from pypptp.service.control_socket.listener import MOST_ASKERS
from pypptp.service.control_socket.place import connect, control_folder, opened_folder
from tests.aio.dialling import until

HEAD = {"schema": 1, "instance": "server", "kind": "server", "pid": os.getpid(), "version": __version__}


async def echo(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"arguments": dict(arguments)}


async def fail(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    raise NetworkError("the cable is out: put it in")


async def crash(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    raise KeyError("a bug")


async def long(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"sessions": ["x" * 1000] * 5000}


def served(instance: str | None = None) -> ControlSocket:
    return ControlSocket(instance, "server", {"echo": echo, "fail": fail, "crash": crash, "long": long})


def plug(name: str = "server") -> socket.socket:
    with opened_folder(create=False) as folder:
        connection = connect(folder, name, 5.0)
    connection.setblocking(False)
    return connection


async def receive(connection: socket.socket) -> dict[str, Any] | None:
    """One answer, None where there is none any more."""
    loop = asyncio.get_running_loop()
    data = b""
    async with asyncio.timeout(10):
        while not data.endswith(b"\n"):
            piece = await loop.sock_recv(connection, 65_536)
            if not piece:
                assert data == b""
                return None
            data += piece
    found: dict[str, Any] = json.loads(data)
    return found


async def asked(connection: socket.socket, request: bytes) -> dict[str, Any] | None:
    await asyncio.get_running_loop().sock_sendall(connection, request)
    return await receive(connection)


def test_answers_one_after_the_other() -> None:
    async def scenario() -> None:
        async with served() as here:
            with plug() as connection:
                first = await asked(connection, b'{"request": "echo", "x": 1}\n')
                assert first == HEAD | {"ok": True, "arguments": {"x": 1}}
                # In pieces, and glued to the next.
                await asyncio.get_running_loop().sock_sendall(connection, b'{"request": ')
                await asyncio.sleep(0.02)
                second = await asked(connection, b'"echo"}\n{"request": "instance"}\n')
                assert second == HEAD | {"ok": True, "arguments": {}}
                assert await receive(connection) == HEAD | {"ok": True}
            assert (here.answered, here.refused) == (3, 0)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("request_line", "words"),
    [
        (b"GET / HTTP/1.0\r\n", "a request is one line of JSON"),
        (b"\n", "a request is one line of JSON"),
        (b"[]\n", "a request is a JSON object"),
        (b"{}\n", 'a field "request"'),
        (b'{"request": "\\u001b[2J"}\n', "knows no request '\\x1b[2J', only echo, fail, crash, long, instance"),
        (b'{"request": "fail"}\n', "the cable is out: put it in"),
        (b'{"request": "crash"}\n', "internal error; the log has more"),
    ],
)
def test_what_cannot_be_answered_is_said_and_counted(
    request_line: bytes, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with served() as here:
            with plug() as connection:
                answer = await asked(connection, request_line)
                assert answer is not None
                assert answer["ok"] is False
                assert words in answer["error"]
                # It goes on.
                assert await asked(connection, b'{"request": "echo"}\n') is not None
            assert (here.answered, here.refused) == (1, 1)

    asyncio.run(scenario())
    assert ("internal error" in caplog.text) == (b"crash" in request_line)


def test_a_request_without_end_is_cut_off() -> None:
    async def scenario() -> None:
        async with served() as here:
            with plug() as connection:
                answer = await asked(connection, b"x" * 20_000)
                assert answer is not None
                assert "16384 octets at most" in answer["error"]
            await until(lambda: not here._conversations)

    asyncio.run(scenario())


def test_who_says_nothing_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "REQUEST_SECONDS", 0.05)

    async def scenario() -> None:
        async with served():
            with plug() as connection:
                assert await receive(connection) is None

    asyncio.run(scenario())


def test_who_does_not_read_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "ANSWER_SECONDS", 0.3)

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with served() as here:
            with plug() as slow, plug() as other:
                await loop.sock_sendall(slow, b'{"request": "long"}\n')
                await until(lambda: here._answering)
                assert await asked(other, b'{"request": "echo"}\n') is not None
                assert len(here._conversations) == 2
                await until(lambda: len(here._conversations) == 1)

    asyncio.run(scenario())


def test_a_long_answer_leaves_the_loop_its_turns() -> None:
    async def scenario() -> None:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        async with served():
            with plug() as connection:
                answer = await asked(connection, b'{"request": "long"}\n')
                assert answer is not None
                assert len(answer["sessions"]) == 5000
        counting.cancel()
        assert turns > 150

    asyncio.run(scenario())


def test_so_many_at_once_and_no_more() -> None:
    async def scenario() -> None:
        async with served() as here:
            early = [plug() for _ in range(MOST_ASKERS)]
            await until(lambda: len(here._conversations) == MOST_ASKERS)
            with plug() as late:
                answer = await receive(late)
                assert answer is not None
                assert answer["error"] == listener.BUSY
            assert here.refused == 1
            for connection in early:
                connection.close()
            await until(lambda: not here._conversations)
            with plug() as again:
                assert await asked(again, b'{"request": "echo"}\n') is not None

    asyncio.run(scenario())


def test_only_root_and_the_same_user_may_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with served():
            monkeypatch.setattr(listener, "process_behind", lambda connection: (1, 4711))
            with plug() as connection:
                answer = await receive(connection)
                assert answer is not None
                assert answer["error"] == "only root and the user it runs as may ask it"

    asyncio.run(scenario())


def test_the_end_waits_for_an_answer_that_is_being_given() -> None:
    async def scenario() -> None:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def end(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
            begun.set()
            await go_on.wait()
            return {"bye": True}

        running = ControlSocket(None, "server", {"end": end})
        async with running:
            connection, idle = plug(), plug()
            await asyncio.get_running_loop().sock_sendall(connection, b'{"request": "end"}\n')
            await begun.wait()
            asyncio.get_running_loop().call_later(0.05, go_on.set)
        assert await receive(connection) == HEAD | {"ok": True, "bye": True}
        assert await receive(connection) is None
        assert await receive(idle) is None
        connection.close()
        idle.close()
        assert list(control_folder().iterdir()) == []

    asyncio.run(scenario())


def test_a_second_of_the_default_name_has_its_number_in_it() -> None:
    async def scenario() -> None:
        async with served(), served() as second:
            assert second.name == f"server-{os.getpid()}"
            with plug(second.name) as connection:
                answer = await asked(connection, b'{"request": "instance"}\n')
                assert answer is not None
                assert answer["instance"] == second.name

    asyncio.run(scenario())


def test_a_name_that_was_asked_for_and_is_taken() -> None:
    async def scenario() -> None:
        async with served("office"):
            with pytest.raises(ConfigurationError, match=rf"instance: 'office' runs already \(process {os.getpid()}\)"):
                await served("office").__aenter__()

    asyncio.run(scenario())


def test_without_a_place_for_it_everything_else_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    control_folder().parent.mkdir(mode=0o755)
    control_folder().mkdir(mode=0o777)
    control_folder().chmod(0o777)

    async def scenario() -> None:
        async with served() as here:
            assert here.name == "server"

    asyncio.run(scenario())
    (line,) = caplog.messages
    assert line.startswith("no control socket, so 'pypptp status' will not find this server: ")
    assert line.endswith("is open to others (mode 0777)")


def test_no_descriptor_left_is_no_end(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(listener, "ACCEPT_PAUSE", 0.05)

    class Exhausted:
        """A listening socket that has one bad moment."""

        def __init__(self, real: socket.socket) -> None:
            self._real = real
            self.refusals = 1

        def accept(self) -> tuple[socket.socket, Any]:
            if self.refusals:
                self.refusals -= 1
                raise OSError(24, "Too many open files")
            return self._real.accept()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

    async def scenario() -> None:
        async with served() as here:
            assert here._place is not None
            here._place.socket = Exhausted(here._place.socket)  # type: ignore[assignment]
            with plug() as connection:
                assert await asked(connection, b'{"request": "echo"}\n') is not None

    asyncio.run(scenario())
    assert caplog.messages == ["cannot accept a connection on the control socket: Too many open files"]
