from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from pypptp.errors import NetworkError
from pypptp.service.control_socket import (
    BadRequest,
    ControlSocket,
    Instance,
    NotAllowed,
    NothingRuns,
    RequestRefused,
    Silent,
    ask,
    asking,
    control_folder,
    instances,
)
from pypptp.service.control_socket.place import Place


async def echo(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"arguments": dict(arguments)}


async def fail(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    raise NetworkError("the cable is out: put it in")


@contextmanager
def running(*names: str) -> Iterator[None]:
    """Control sockets in a loop of their own, as this thread waits for answers."""
    ready, loop = threading.Event(), asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve(left: tuple[str, ...]) -> None:
        if left:
            kind: Any = left[0].partition("-")[0]
            async with ControlSocket(left[0], kind, {"echo": echo, "fail": fail}):
                await serve(left[1:])
        else:
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve(names)))
    thread.start()
    assert ready.wait(5)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(5)
        loop.close()


@contextmanager
def saying(answer: bytes) -> Iterator[None]:
    """Somebody of the name "server" who gives this answer to the first request, then hangs up."""
    place = Place("server")
    place.socket.setblocking(True)

    def serve() -> None:
        connection, _ = place.socket.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        thread.join(5)
        place.leave()


def test_an_answer() -> None:
    with running("server"):
        answer = ask("server", "echo", target="Zoë")
    assert answer["arguments"] == {"target": "Zoë"}
    assert (answer["instance"], answer["pid"]) == ("server", os.getpid())


def test_a_refusal_in_the_instances_words() -> None:
    with running("server"), pytest.raises(RequestRefused, match=r"^the cable is out: put it in$"):
        ask("server", "fail")


def test_a_request_too_long_to_be_asked() -> None:
    with pytest.raises(BadRequest):
        ask("server", "echo", target="x" * 20_000)


@pytest.mark.parametrize("what", ["no folder", "no socket", "a dead socket", "no name"])
def test_nobody_is_there(what: str) -> None:
    if what in ("no socket", "a dead socket"):
        place = Place("server")
        place.leave()
    if what == "a dead socket":
        place = Place("server")
        place.socket.close()
    with pytest.raises(NothingRuns) as caught:
        ask("../server" if what == "no name" else "server", "status")
    assert f"(nothing answers in {control_folder()}" in str(caught.value)
    assert instances() == []


def test_how_to_have_a_server() -> None:
    assert asking.nothing_runs().startswith(f"no server is running here (nothing answers in {control_folder()}")
    assert "start one with 'pypptp server --local 192.168.0.1'" in asking.nothing_runs()


def test_on_a_client_nobody_is_sent_to_start_a_server() -> None:
    said = asking.nothing_runs(kind="server or client")
    assert said.startswith(f"no server or client is running here (nothing answers in {control_folder()}")
    assert "pypptp list" in said
    assert "start one" not in said


@pytest.mark.parametrize(
    "answer", [b"", b"\n", b"nonsense\n", b'{"schema": 2, "ok": true}\n', b'{"schema": 1, "ok": true}']
)
def test_an_answer_that_is_none(answer: bytes) -> None:
    with saying(answer), pytest.raises(Silent, match="'server' gave no answer that this version understands"):
        ask("server", "status")


def test_no_answer_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "LOOK_SECONDS", 0.1)
    place = Place("server")
    with pytest.raises(Silent, match=rf"'server' \(process {os.getpid()}\) does not answer"):
        ask("server", "status", patience=0.1)
    assert instances() == [Instance("server", "", os.getpid())]
    waiting = []
    for _ in range(100):
        try:
            waiting.append(asking._connected("server", 0.05))
        except Silent:
            break
    assert len(waiting) < 100
    for connection in waiting:
        connection.close()
    place.leave()


def test_who_runs() -> None:
    dead = Place("server-2")
    dead.socket.close()
    with running("server", "client", "client-7"):
        assert instances() == [
            Instance("client", "client", os.getpid()),
            Instance("client-7", "client", os.getpid()),
            Instance("server", "server", os.getpid()),
        ]


def test_a_folder_of_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    Place("server").leave()

    def refuse(folder: int, name: str, patience: float) -> socket.socket:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(asking, "connect", refuse)
    with pytest.raises(NotAllowed, match="run this as root, or as the user who started it"):
        ask("server", "status")
    control_folder().chmod(0o750)
    with pytest.raises(NotAllowed, match="is open to others"):
        ask("server", "status")
    with pytest.raises(NotAllowed, match="is open to others"):
        instances()
