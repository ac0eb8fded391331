"""The commands that ask a running server: what they ask, and what they make of the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pypptp.errors import ConfigurationError, PptpError
from pypptp.service.control_socket import Instance, NothingRuns, RequestRefused, Silent
from pypptp_cli import asking, disconnect, drain, reload, sessions, status
from pypptp_cli.asking import columns, octets, shown, the_server

from . import answers

SERVER, CLIENT = Instance("server", "server", 12), Instance("office", "client", 13)
EVIL = "\x1b]0;owned\x07\nuser: root"


class Running:
    """Instances, their answers, and what they were asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.instances = [SERVER]
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.answers: dict[str, Any] = {}
        monkeypatch.setattr(asking, "instances", lambda: self.instances)
        monkeypatch.setattr(status, "instances", lambda: self.instances)
        for module in (status, sessions, disconnect, reload, drain):
            monkeypatch.setattr(module, "ask", self.ask)

    def ask(self, instance: str, request: str, *, patience: float = 30.0, **arguments: Any) -> Mapping[str, Any]:
        self.asked.append((instance, request, arguments))
        answer = self.answers.get(instance, self.answers.get(request))
        if isinstance(answer, PptpError):
            raise answer
        if isinstance(answer, list):
            return self.ask_next(answer)
        assert answer is not None
        found: Mapping[str, Any] = answer
        return found

    def ask_next(self, answers: list[Any]) -> Mapping[str, Any]:
        answer: Mapping[str, Any] | PptpError = answers.pop(0)
        if isinstance(answer, PptpError):
            raise answer
        return answer


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Running:
    return Running(monkeypatch)


def run(command: Any, *words: str) -> Result:
    return CliRunner().invoke(command, words)


# Which one.


def test_the_only_server_is_meant_whatever_it_is_called(running: Running) -> None:
    running.instances = [CLIENT, Instance("branch", "server", 14)]
    assert the_server(None) == "branch"
    assert the_server("other") == "other"


def test_of_several_the_one_of_the_default_name_is_meant_or_none(running: Running) -> None:
    running.instances = [Instance("branch", "server", 14), SERVER]
    assert the_server(None) == "server"
    running.instances = [Instance("branch", "server", 14), Instance("office", "server", 15)]
    with pytest.raises(ConfigurationError, match="name one with --instance: branch, office"):
        the_server(None)


def test_without_a_server_there_is_a_cure(running: Running) -> None:
    running.instances = [CLIENT]
    with pytest.raises(NothingRuns, match="start one with 'pypptp server --local 192"):
        the_server(None)


# status


def test_status_of_everything(running: Running) -> None:
    running.instances = [CLIENT, SERVER, Instance("stuck", "", 99)]
    running.answers = {"server": answers.STATUS, "office": answers.CLIENT, "stuck": Silent("it does not answer")}
    result = run(status.status)
    lines = result.output.splitlines()
    assert result.exit_code == 1
    assert lines[0].startswith("client 'office' (process 13): connected since 2023-11-1")
    assert lines[1:4] == [
        "    to vpn.example as 'alice'",
        "    ppp0, 192.168.0.234 to 192.168.0.1, MS-CHAPv2, MPPE 128-bit stateless, mtu 1400, dns 9.9.9.9",
        "    in 3 packets 3.0 kB, out 4 packets 400 B",
    ]
    assert lines[4].startswith("server 'server' (process 12): serving since 2023-11-1")
    assert lines[5:8] == [
        "    listens on 0.0.0.0 port 1723 as 'pptpd', 192.168.0.1 in the tunnels, "
        "clients appear behind the address of eth0",
        "    1 session on 2 connections",
        "    1 of 12 addresses in use",
    ]
    assert lines[8:] == ["process 'stuck' (process 99): it does not answer"]


def test_status_of_one(running: Running) -> None:
    running.answers = {
        "server": answers.STATUS
        | {
            "nat": None,
            "pools": [{"name": "staff", "size": 1, "in_use": 1}],
            "processes": [{"pid": 20, "connections": 1}, {"pid": 21, "connections": 0}],
        }
    }
    result = run(status.status, "--instance", "server")
    assert result.exit_code == 0
    assert result.output.splitlines()[1:] == [
        "    listens on 0.0.0.0 port 1723 as 'pptpd', 192.168.0.1 in the tunnels, no NAT",
        "    1 session on 2 connections",
        "    1 of 1 address of pool 'staff' in use",
        "    worker processes: 20 (1 connection), 21 (0 connections)",
    ]


def test_status_of_a_client_that_waits(running: Running) -> None:
    waiting = {"state": "waiting", "local": None, "failure": EVIL, "tries": 3, "next_try": 1_700_000_000.0}
    running.answers = {"office": answers.CLIENT | waiting}
    lines = run(status.status, "--instance", "office").output.splitlines()
    assert lines[2] == "    tries since it was last connected: 3"
    assert lines[3].startswith("    next try: 2023-11-1")
    assert lines[4:] == [r"    last failure: \x1b]0;owned\x07 user: root"]


def test_status_where_nothing_runs(running: Running) -> None:
    running.instances = []
    result = run(status.status)
    assert isinstance(result.exception, NothingRuns)
    result = run(status.status, "--json")
    assert (result.exit_code, json.loads(result.output)) == (1, {"schema": 1, "instances": []})


def test_status_in_json(running: Running) -> None:
    running.instances = [SERVER, Instance("stuck", "", 99)]
    running.answers = {"server": answers.STATUS, "stuck": Silent("it does not answer")}
    result = run(status.status, "--json")
    assert result.exit_code == 1
    assert json.loads(result.output) == {
        "schema": 1,
        "instances": [
            answers.STATUS,
            {"ok": False, "instance": "stuck", "kind": "", "pid": 99, "error": "it does not answer"},
        ],
    }


# sessions


def test_sessions(running: Running) -> None:
    evil = answers.session(2, user=EVIL + "x" * 50, encryption="not encrypted", octets_in=56_700_000)
    running.answers = {"sessions": answers.sessions(answers.session(), evil)}
    result = run(sessions.sessions)
    assert result.output.splitlines() == [
        "ID  USER                              FROM         ADDRESS        INTERFACE  ENCRYPTION              "
        "UP          IN       OUT",
        "1   alice                             203.0.113.9  192.168.0.234  ppp0       MPPE 128-bit stateless  "
        "1 min 15 s  1.0 kB   2.0 kB",
        r"2   \x1b]0;owned\x07 user: rootxx...  203.0.113.9  192.168.0.235  ppp1       not encrypted           "
        "1 min 15 s  56.7 MB  2.0 kB",
    ]
    assert running.asked == [("server", "sessions", {})]


def test_no_sessions(running: Running) -> None:
    running.answers = {"sessions": answers.sessions()}
    assert run(sessions.sessions).output == "nobody is connected\n"
    assert json.loads(run(sessions.sessions, "--json").output)["sessions"] == []


# disconnect


def test_disconnect(running: Running) -> None:
    gone = {"call_id": 1, "user": EVIL, "address": "192.168.0.234", "interface": "ppp0"}
    running.answers = {"disconnect": answers.HEAD | {"disconnected": [gone]}}
    result = run(disconnect.disconnect, "alice", "--instance", "branch")
    assert result.output == "disconnected \\x1b]0;owned\\x07 user: root, 192.168.0.234 on ppp0\n"
    assert running.asked == [("branch", "disconnect", {"target": "alice"})]
    assert json.loads(run(disconnect.disconnect, "alice", "--json").output)["disconnected"] == [gone]
    running.answers = {"disconnect": answers.HEAD | {"disconnected": []}}
    assert run(disconnect.disconnect, "all").output == "nobody is connected\n"


# reload


def test_reload(running: Running) -> None:
    running.answers = {"reload": answers.HEAD | {"said": ["users now 2", f"added: {EVIL}"]}}
    assert run(reload.reload).output == "users now 2\nadded: \\x1b]0;owned\\x07 user: root\n"
    assert json.loads(run(reload.reload, "--json").output)["said"][0] == "users now 2"
    running.answers = {"reload": RequestRefused("the users stay as they were: line 3")}
    result = run(reload.reload)
    assert isinstance(result.exception, RequestRefused)


# drain


@pytest.mark.parametrize(
    ("words", "left", "timeout", "said"),
    [
        ((), 2, None, "no new connections; the server ends with the last of 2 sessions\n"),
        (
            ("--timeout", "90"),
            1,
            90.0,
            "no new connections; the server ends with the last of 1 session, or after 90 s\n",
        ),
        (("--timeout", "0"), 0, 0.0, "no new connections and no session left: the server ends\n"),
    ],
)
def test_drain(running: Running, words: tuple[str, ...], left: int, timeout: float | None, said: str) -> None:
    running.answers = {"drain": answers.HEAD | {"sessions": left, "timeout": timeout}}
    assert run(drain.drain, *words).output == said
    assert running.asked == [("server", "drain", {"timeout": timeout})]


@pytest.mark.parametrize("last", [answers.HEAD | {"pid": 77}, NothingRuns("gone")])
def test_drain_and_wait_for_the_end(running: Running, last: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "LOOK_SECONDS", 0.0)
    running.answers = {
        "drain": answers.HEAD | {"sessions": 1, "timeout": None},
        "instance": [answers.HEAD, answers.HEAD, last],
    }
    assert run(drain.drain, "--wait").exit_code == 0
    assert [request for _, request, _ in running.asked] == ["drain", "instance", "instance", "instance"]


def test_drain_takes_no_nonsense(running: Running) -> None:
    assert run(drain.drain, "--timeout", "-1").exit_code == 2
    assert run(drain.drain, "--timeout", "soon").exit_code == 2
    assert running.asked == []


# How things are shown.


def test_columns_are_as_wide_as_what_is_in_them() -> None:
    assert columns(("A", "B"), [("1", "two"), ("three", "")]) == "A      B\n1      two\nthree"


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 B"), (999.6, "1.0 kB"), (999_960, "1.0 MB"), (5e15, "5000.0 TB"), (1e9, "1.0 GB")]
)
def test_amounts(count: float, words: str) -> None:
    assert octets(count) == words


def test_what_is_shown_is_one_line_without_commands_for_the_terminal() -> None:
    assert shown(EVIL).isprintable()
    assert shown("") == "-"
