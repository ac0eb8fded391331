"""kill -9 at any point: ``pypptp undo``, or the next start, brings the old state back exactly.

The processes see a folder of the test's own as /run; see doomed.py for the points at which they die.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from pypptp.net.forwarding import IPV4
from pypptp.net.snapshot import left_behind, take_snapshot
from pypptp.testing.scenario import GATEWAY_PRIVATE, PUBLIC, Hosts, Program, Warden, ping

from .conftest import PATIENCE, Lab

pytestmark = pytest.mark.netns

DOOMED = [sys.executable, "-P", str(Path(__file__).with_name("doomed.py"))]
KILLED = -signal.SIGKILL
EVERYTHING = ("--default-route", "--bypass", "private")
CLIENT_POINTS = [
    *("write:1:before", "write:1:after", "write:4:before", "write:4:after", "write:7:after"),
    *("strike:1:before", "strike:1:after", "strike:4:before", "strike:7:before"),
]
SERVER_POINTS = [
    *("write:1:before", "write:1:after", "write:2:before", "write:2:after"),
    *("strike:1:before", "strike:2:before", "restore:1:middle"),
]


class DoomedLab(Lab):
    """A lab whose /run is a folder of its own."""

    def __init__(self, hosts: Hosts, folder: Path, warden: Warden) -> None:
        # A hardened gateway that forwards by one interface alone: more for "exactly" to hold.
        hosts.gateway.run(lambda: (IPV4 / "conf/all/accept_redirects").write_text("0"))
        hosts.gateway.run(lambda: (IPV4 / "conf/eth1/forwarding").write_text("1"))
        super().__init__(hosts, folder, warden)
        self.run = folder / "run"
        self.run.mkdir()
        self.warden = warden
        self.folder = folder
        self.journals = self.run / "pypptp" / "journal"

    def run_command(self, host: str, *options: str, point: str = "never", run: str | None = None) -> Program:
        where = {namespace.label: namespace for namespace in self.hosts.all}[host]
        program = Program(
            options[0],
            where,
            [*DOOMED, run or str(self.run), point, *options],
            environment={key: value for key, value in os.environ.items() if key != "JOURNAL_STREAM"}
            | {"PYPPTP_PASSWORD": "builder" if "bob" in options else "wonder land"},
            folder=self.folder,
            warden=self.warden,
        )
        self._programs.append(program)
        return program

    def serve(self, *options: str, local: str = "192.168.0.1", point: str = "never") -> Program:
        arguments = ("server", "--local", local, "--secrets", "chap-secrets", *options)
        server = self.run_command("gateway", *arguments, point=point)
        if point == "never" or not point.startswith("write"):
            server.await_line(lambda line: "listening on " in line or None, patience=PATIENCE)
        return server

    def dial(self, *options: str, point: str = "never", user: str = "alice") -> Program:
        arguments = ("client", "--server", str(GATEWAY_PRIVATE), "--user", user, *options)
        client = self.run_command("private", *arguments, point=point)
        if not point.startswith("write"):
            client.await_line(lambda line: "up: " in line or None, patience=PATIENCE)
        return client

    def undo(self, host: str, *options: str, point: str = "never") -> tuple[int | None, list[str]]:
        command = self.run_command(host, "undo", *options, point=point)
        return command.wait(PATIENCE), command.lines

    def left_on(self, host: str, patience: float = 5.0) -> list[str]:
        return [line for line in self.hosts.changes_since(self.before, patience) if line.startswith(f"{host}: ")]

    def files(self) -> list[str]:
        return sorted(path.name for path in self.journals.iterdir()) if self.journals.exists() else []


@pytest.fixture
def doomed(tmp_path: Path) -> Iterator[DoomedLab]:
    with Warden() as warden, Hosts() as hosts:
        lab = DoomedLab(hosts, tmp_path, warden)
        try:
            yield lab
        finally:
            lab.close()


def die(program: Program, point: str) -> None:
    """Wait for a program to die at its point, which is on its way out for some."""
    if point == "never":
        assert program.stop(signal.SIGKILL) == KILLED
    elif point.startswith("write"):
        assert program.wait(PATIENCE) == KILLED, program.lines
    else:
        assert program.stop(signal.SIGTERM, patience=PATIENCE) == KILLED, program.lines


@pytest.mark.parametrize("point", ["never", *CLIENT_POINTS])
def test_a_killed_client_and_undo(doomed: DoomedLab, point: str) -> None:
    doomed.serve("--nat", "none")
    die(doomed.dial(*EVERYTHING, point=point), point)
    status, lines = doomed.undo("private")
    assert status == 0, lines
    assert doomed.left_on("private") == []
    assert doomed.files() == []
    if point == "never":
        assert [line for line in lines if line.startswith("took back route ")] == lines
        assert len(lines) == 7
    elif point == "write:1:before":
        assert lines == ["nothing to take back"]


@pytest.mark.parametrize("point", ["never", *SERVER_POINTS])
def test_a_killed_server_and_undo(doomed: DoomedLab, point: str) -> None:
    die(doomed.serve(point=point), point)
    status, lines = doomed.undo("gateway")
    assert status == 0, lines
    assert doomed.left_behind() == []
    assert doomed.files() == []
    assert doomed.undo("gateway") == (0, ["nothing to take back"])


@pytest.mark.parametrize("point", ["never", "write:4:after", "strike:4:before"])
def test_a_killed_client_and_the_next_start(doomed: DoomedLab, point: str) -> None:
    doomed.serve("--nat", "none")
    die(doomed.dial(*EVERYTHING, point=point), point)
    client = doomed.dial(*EVERYTHING)
    assert any("took back what was left behind: route " in line for line in client.lines), client.lines
    assert client.stop() == 0
    assert doomed.left_on("private") == []
    assert doomed.files() == []


@pytest.mark.parametrize("point", ["never", "write:2:before", "restore:1:middle"])
def test_a_killed_server_and_the_next_start(doomed: DoomedLab, point: str) -> None:
    die(doomed.serve(point=point), point)
    server = doomed.serve()
    assert any("took back what was left behind: IPv4 forwarding on" in line for line in server.lines), server.lines
    assert server.stop() == 0
    assert doomed.left_behind() == []
    assert doomed.files() == []


def test_killed_twice_in_a_row(doomed: DoomedLab) -> None:
    """And the undo killed half way, too."""
    doomed.serve("--nat", "none")
    die(doomed.dial(*EVERYTHING), "never")
    die(doomed.dial(*EVERYTHING, point="write:5:after"), "write:5:after")
    status, _ = doomed.undo("private", point="strike:3:before")
    assert status == KILLED
    assert len(doomed.left_on("private", patience=0)) > 0
    assert doomed.undo("private")[0] == 0
    assert doomed.left_on("private") == []
    assert doomed.files() == []


def test_killed_ten_times_at_random(doomed: DoomedLab) -> None:
    """Each start takes back what the one before left, wherever that was; both ends die each time."""
    moments = random.Random(2637)
    for _ in range(10):
        server = doomed.run_command("gateway", "server", "--local", "192.168.0.1", "--secrets", "chap-secrets")
        client = doomed.run_command(
            "private", "client", "--server", str(GATEWAY_PRIVATE), "--user", "alice", *EVERYTHING
        )
        time.sleep(moments.uniform(0.2, 1.2))
        for program in (client, server):
            program.stop(signal.SIGKILL)
    server, client = doomed.serve(), doomed.dial(*EVERYTHING)
    assert client.stop() == 0
    assert server.stop() == 0
    assert doomed.left_behind() == []
    assert doomed.files() == []


@pytest.mark.parametrize("first_to_come", ["alice", "bob"])
def test_a_client_that_lives_keeps_its_routes(doomed: DoomedLab, first_to_come: str) -> None:
    doomed.serve("--nat", "none")
    clients = {first_to_come: doomed.dial(*EVERYTHING, user=first_to_come)}
    alone = doomed.hosts.private.run(take_snapshot)
    other = "bob" if first_to_come == "alice" else "alice"
    clients[other] = doomed.dial(*EVERYTHING, user=other)
    die(clients["alice"], "never")
    status, lines = doomed.undo("private")
    assert status == 0
    assert len([line for line in lines if line.startswith("took back route ")]) == 7, lines
    assert [line for line in lines if "left alone" in line and "which is running" in line]
    if first_to_come == "bob":
        assert left_behind(alone, doomed.hosts.private.run(take_snapshot)) == []
    assert ping(doomed.hosts.gateway, IPv4Address("192.168.0.240"), count=2).received == 2
    assert clients["bob"].stop() == 0
    assert doomed.left_on("private") == []
    assert doomed.files() == []


@pytest.mark.parametrize("killed", [0, 1])
@pytest.mark.parametrize("by_start", [True, False])
def test_a_server_that_lives_keeps_forwarding_and_the_last_one_switches_it_off(
    doomed: DoomedLab, killed: int, by_start: bool
) -> None:
    servers = [doomed.serve(), doomed.serve("--port", "1724", local="192.168.9.1")]
    die(servers[killed], "never")
    if by_start:
        servers.append(doomed.serve("--port", "1725", local="192.168.8.1"))
    else:
        status, lines = doomed.undo("gateway")
        assert status == 0
        assert [line for line in lines if line.startswith("left alone: IPv4 forwarding on, of pid ")], lines
    survivor = servers[1 - killed]
    assert "ip_forward 1" in doomed.hosts.gateway.run(take_snapshot)
    assert survivor.stop() == 0
    assert ("ip_forward 1" in doomed.hosts.gateway.run(take_snapshot)) is by_start
    if by_start:
        assert servers[2].stop() == 0
    assert not [line for server in servers for line in server.lines if "could not take back" in line]
    assert doomed.left_behind() == []
    assert doomed.files() == []


def test_two_servers_that_end_at_once_leave_nothing(doomed: DoomedLab) -> None:
    servers = [doomed.serve(), doomed.serve("--port", "1724", local="192.168.9.1")]
    for server in servers:
        os.kill(server.pid, signal.SIGTERM)
    assert [server.wait(PATIENCE) for server in servers] == [0, 0]
    assert doomed.left_behind() == []
    assert doomed.files() == []


def test_a_killed_server_with_workers(doomed: DoomedLab) -> None:
    """They have no descriptor of the journal, so it is not they who keep it alive."""
    server = doomed.serve("--workers", "2")
    doomed.dial(*EVERYTHING)
    die(server, "never")
    assert doomed.undo("gateway")[0] == 0
    assert doomed.left_on("gateway") == []
    assert doomed.files() == []


def test_forwarding_that_was_on_before_stays_on(doomed: DoomedLab) -> None:
    doomed.hosts.gateway.run(lambda: (IPV4 / "ip_forward").write_text("1"))
    before = doomed.hosts.snapshot()
    die(doomed.serve(), "never")
    assert doomed.undo("gateway")[0] == 0
    assert doomed.hosts.changes_since(before, patience=5.0) == []


def test_another_namespace_is_left_alone(doomed: DoomedLab) -> None:
    die(doomed.serve(), "never")
    with_forwarding = doomed.hosts.gateway.run(take_snapshot)
    status, lines = doomed.undo("private")
    assert status == 0
    assert lines[0].startswith("left alone: 2 changes of pid "), lines
    assert lines[0].endswith(" (server), in another network namespace")
    assert lines[1:] == ["nothing to take back"]
    assert doomed.hosts.gateway.run(take_snapshot) == with_forwarding
    assert doomed.undo("gateway")[0] == 0
    assert doomed.left_behind() == []


def test_a_dry_run_only_says_so(doomed: DoomedLab) -> None:
    die(doomed.serve(), "never")
    for _ in range(2):
        status, lines = doomed.undo("gateway", "--dry-run")
        assert status == 0
        assert [line.partition(", of pid ")[0] for line in lines] == [
            "would take back NAT of 192.168.0.234/31, 192.168.0.236/30, 192.168.0.240/30, 192.168.0.244/31 out of eth1",
            "would take back IPv4 forwarding on",
        ]
    assert "ip_forward 1" in doomed.hosts.gateway.run(take_snapshot)


def test_a_read_only_run_is_said_once_and_stops_nothing(doomed: DoomedLab) -> None:
    doomed.serve("--nat", "none")
    client = doomed.run_command(
        "private",
        *("client", "--server", str(GATEWAY_PRIVATE), "--user", "alice", *EVERYTHING),
        run=f"{doomed.run}:ro",
    )
    client.await_line(lambda line: "up: " in line or None, patience=PATIENCE)
    warnings = [line for line in client.lines if "no journal of changes" in line]
    assert len(warnings) == 1
    assert "Read-only file system" in warnings[0]
    assert client.stop() == 0
    assert doomed.left_on("private") == []


def test_the_public_host_is_reached_after_a_crash_and_a_second_start(doomed: DoomedLab) -> None:
    die(doomed.serve(), "never")
    doomed.serve()
    doomed.dial(*EVERYTHING)
    assert ping(doomed.hosts.private, PUBLIC, count=2).received == 2
