"""What a server answers, and that docs/control.md says the same."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from pypptp.aio.figures import ServerFigures, SessionFigures
from pypptp.aio.register import SessionEntry
from pypptp.service.control_socket import NothingRuns, RequestRefused, ask
from pypptp.service.reload import Reloaded
from pypptp.service.serve import run_server
from pypptp.service.server_requests import ServerRequests
from tests.aio.entries import session_entry
from tests.service.running import Watched, await_log, meanwhile, server_settings
from tests.service.running import send as signal_ourselves

DOCUMENT = Path(__file__).parents[2] / "docs" / "control.md"


def documented(heading: str, after: str = "") -> set[str]:
    """The fields that the first table behind a heading, or behind words under it, names."""
    part = DOCUMENT.read_text().split(f"\n### {heading}\n", 1)[1].split("\n### ", 1)[0].split("\n## ", 1)[0]
    table = re.search(r"\| field \| \|\n\|---\|---\|\n((?:\|.*\n)+)", part.partition(after)[2] if after else part)
    assert table is not None
    return {name for row in table[1].splitlines() for name in re.findall(r"`(\w+)`", row.split(" | ")[0])}


class Fake:
    """A server with the sessions a test gives it."""

    def __init__(self, *entries: SessionEntry) -> None:
        self.entries = list(entries)
        self.disconnected: list[tuple[int, str]] = []
        self.drained = asyncio.Event()
        self.drains = 0

    @property
    def sessions(self) -> list[tuple[int, SessionEntry]]:
        return [(2, entry) for entry in self.entries]

    @property
    def processes(self) -> list[tuple[int, int]]:
        return [(100, 2), (101, 1)]

    async def figures(self) -> ServerFigures:
        figures = SessionFigures(
            call_id=1,
            counters=(("packets_in", 3), ("octets_in", 300), ("received", 9), ("given_up", 1), ("late", 2)),
            echo_round_trip=0.0123456789,
            ack_round_trip=None,
        )
        return ServerFigures((figures,), (("datagrams_in", 12),))

    async def drain(self) -> None:
        self.drains += 1
        await self.drained.wait()

    def disconnect(self, call_id: int, reason: str) -> bool:
        self.disconnected.append((call_id, reason))
        return True


class FakeReload:
    def __init__(self, reloaded: Reloaded) -> None:
        self.reloaded = reloaded

    async def now(self) -> Reloaded:
        return self.reloaded


class Served:
    """A server's requests on a socket, in a loop of their own, as this thread waits for answers."""

    def __init__(self, *entries: SessionEntry) -> None:
        self.loop = asyncio.new_event_loop()
        self.running = Fake(*entries)
        self.stopped = threading.Event()
        self.requests = ServerRequests(
            server_settings(), self.running, pools=lambda: [("", 12, 2), ("staff", 4, 0)], clock=lambda: 65.0
        )

    def ask(self, request: str, **arguments: Any) -> Mapping[str, Any]:
        return ask("server", request, patience=5, **arguments)


@contextmanager
def served(*entries: SessionEntry) -> Iterator[Served]:
    made = Served(*entries)
    ready, over = threading.Event(), asyncio.Event()

    async def run() -> None:
        async with made.requests.answering(made.stopped.set):
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: made.loop.run_until_complete(run()))
    thread.start()
    assert ready.wait(5)
    try:
        yield made
    finally:
        made.loop.call_soon_threadsafe(over.set)
        thread.join(5)
        made.loop.close()


ALICE, BOB = session_entry(1), session_entry(2, user="bob", interface="ppp1", address=IPv4Address("192.168.0.51"))
# A user who is called like the session of somebody else.
SEVEN = session_entry(7, user="2", interface="ppp2", address=IPv4Address("192.168.0.52"))
HEAD = documented("Every answer")


def test_status() -> None:
    with served(ALICE, BOB) as here:
        answer = here.ask("status")
        assert answer["state"] == "starting"
        here.requests.begin(FakeReload(Reloaded(True, ())), "eth0")  # type: ignore[arg-type]
        answer = here.ask("status")
    assert set(answer) == HEAD | documented("`status` of a server")
    assert (answer["state"], answer["nat"], answer["sessions"], answer["connections"]) == ("serving", "eth0", 2, 3)
    assert answer["pools"] == [{"name": "", "size": 12, "in_use": 2}, {"name": "staff", "size": 4, "in_use": 0}]
    assert answer["processes"] == [{"pid": 100, "connections": 2}, {"pid": 101, "connections": 1}]
    assert answer["counters"] == {"datagrams_in": 12}
    assert answer["requests"] == {"answered": 1, "refused": 0}
    assert abs(answer["since"] - time.time()) < 60


def test_sessions() -> None:
    with served(ALICE, BOB) as here:
        answer = here.ask("sessions")
    assert set(answer) == HEAD | documented("`sessions`")
    alice, bob = answer["sessions"]
    assert set(alice) == set(bob) == documented("`sessions`", after="Each session:")
    assert abs(alice.pop("since") - (time.time() - 60)) < 5
    assert alice == {
        "call_id": 1,
        "worker": 2,
        "user": "alice",
        "from": "10.0.0.9",
        "local": "192.168.0.1",
        "address": "192.168.0.50",
        "interface": "ppp0",
        "seconds": 60.0,
        "method": "MS-CHAPv2",
        "encryption": "MPPE 128-bit stateless",
        "mtu": 1400,
        "dns": [],
        "packets_in": 3,
        "octets_in": 300,
        "packets_out": 0,
        "octets_out": 0,
        "gre_received": 9,
        "gre_lost": 1,
        "echo_round_trip": 0.012346,
        "ack_round_trip": None,
        "refused": {"given_up": 1, "late": 2},
    }
    # Its worker was late with its figures.
    assert (bob["octets_in"], bob["echo_round_trip"], bob["refused"]) == (0, None, {})


@pytest.mark.parametrize(
    ("target", "ids"),
    [
        ("alice", [1]),
        ("2", [7]),
        ("7", [7]),
        ("ppp1", [2]),
        ("192.168.0.50", [1]),
        ("all", [1, 2, 7]),
    ],
)
def test_disconnect(target: str, ids: list[int], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with served(ALICE, BOB, SEVEN) as here:
        answer = here.ask("disconnect", target=target)
    assert [session["call_id"] for session in answer["disconnected"]] == ids
    assert here.running.disconnected == [(number, "disconnected by the administrator") for number in ids]
    assert set(answer) == HEAD | documented("`disconnect`")
    assert caplog.text.count("is disconnected by request") == len(ids)


@pytest.mark.parametrize("target", ["carol", "ALICE", "3", "", None, 7, ["alice"]])
def test_nobody_to_disconnect(target: object) -> None:
    with served(ALICE) as here:
        with pytest.raises(RequestRefused, match=r"no session has the user|whom\?"):
            here.ask("disconnect", target=target)
        assert here.running.disconnected == []


def test_all_of_nobody_is_no_error() -> None:
    with served() as here:
        assert here.ask("disconnect", target="all")["disconnected"] == []


def test_reload() -> None:
    with served() as here:
        with pytest.raises(RequestRefused, match="starting still"):
            here.ask("reload")
        reload = FakeReload(Reloaded(True, ("users now 2", "added: bob")))
        here.requests.begin(reload, None)  # type: ignore[arg-type]
        answer = here.ask("reload")
        assert answer["said"] == ["users now 2", "added: bob"]
        assert set(answer) == HEAD | documented("`reload`")
        reload.reloaded = Reloaded(False, ("the users stay as they were: line 3",))
        with pytest.raises(RequestRefused, match="the users stay as they were: line 3"):
            here.ask("reload")


def test_drain_until_the_last_session_ends(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with served(ALICE) as here:
        answer = here.ask("drain")
        assert (answer["sessions"], answer["timeout"]) == (1, None)
        assert set(answer) == HEAD | documented("`drain`")
        assert here.ask("status")["state"] == "draining"
        assert not here.stopped.is_set()
        here.loop.call_soon_threadsafe(here.running.drained.set)
        assert here.stopped.wait(5)
    assert caplog.messages[-1] == "drained"


def test_drain_with_an_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with served(ALICE) as here:
        here.ask("drain", timeout=3600)
        # The latest one counts.
        here.ask("drain", timeout=0.05)
        assert here.stopped.wait(5)
    assert caplog.messages[-1] == "not drained in time: 1 session is ended"


@pytest.mark.parametrize("timeout", [-1, "5", True, float("nan"), float("inf"), 1e9, [1]])
def test_no_time(timeout: object) -> None:
    with served(ALICE) as here:
        with pytest.raises(RequestRefused, match="timeout: a number of seconds"):
            here.ask("drain", timeout=timeout)
        assert here.ask("status")["state"] == "starting"


@pytest.mark.usefixtures("udp")
@pytest.mark.parametrize("end", ["drain", "signal"])
def test_a_running_server_answers_and_ends(secrets: Path, caplog: pytest.LogCaptureFixture, end: str) -> None:
    answers: list[Mapping[str, Any]] = []
    settings = server_settings(secrets=secrets, instance="office")

    def act() -> None:
        await_log(caplog, "listening on")
        answers.append(ask("office", "status"))
        answers.append(ask("office", "reload"))
        if end == "drain":
            answers.append(ask("office", "drain"))
        else:
            signal_ourselves(15)

    with meanwhile(act):
        run_server(settings, edge=Watched(), announce_account=lambda account: None)
    assert (answers[0]["state"], answers[0]["pid"], answers[0]["nat"]) == ("serving", os.getpid(), "eth0")
    assert answers[0]["pools"][0]["size"] == 12
    assert answers[1]["said"][-1] == "no user has changed"
    with pytest.raises(NothingRuns, match="no 'office' is running"):
        ask("office", "status")
