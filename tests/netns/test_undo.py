"""kill -9 at any point: ``pypptp undo``, or the next start, brings the old state back exactly.

The processes see a folder of the test's own as /run; see doomed.py for the points at which they die.
"""

import os
import random
import signal
import time
from ipaddress import IPv4Address

import pytest

from pypptp.net.forwarding import IPV4
from pypptp.net.snapshot import left_behind, take_snapshot
from pypptp.testing.scenario import GATEWAY_PRIVATE, PUBLIC, ping

from .conftest import PATIENCE
from .doomed_lab import KILLED, DoomedLab, die

pytestmark = pytest.mark.netns

EVERYTHING = ("--default-route", "--bypass", "private")
ALL_IT_CAN = (*EVERYTHING, "--kill-switch", "--use-peer-dns", "--route", "198.18.0.0/15")
ALL_A_SERVER_CAN = ("--proxy-arp", "--remote", "203.0.113.64-203.0.113.71", "--dns", "192.168.0.1")
SERVER = ("server", "--local", "192.168.0.1", "--secrets", "chap-secrets")
CLIENT = ("client", "--server", str(GATEWAY_PRIVATE), "--user", "alice")
EVERY_KIND = (
    "private: + route 0.0.0.0/1 ",
    "private: + route 198.18.0.0/15 ",
    "private: + route 172.16.0.0/12 dev eth0 ",
    f"private: + route {GATEWAY_PRIVATE}/32 ",
    "private: + nftables table pypptp-kill-switch-",
    "private: + resolv.conf file",
    "gateway: + proxy ARP 203.0.113.64 ",
    "gateway: + nftables table pypptp",
    "gateway: + ip_forward 1",
)
"""That the last comparison is of something."""
CLIENT_POINTS = [
    *("write:1:before", "write:1:after", "write:4:before", "write:4:after", "write:7:after"),
    *("strike:1:before", "strike:1:after", "strike:4:before", "strike:7:before"),
]
SWITCH_AND_NAME_SERVERS = [
    *("write:1:before", "write:1:after", "write:2:before"),
    *("keep:1:before", "keep:1:after", "put:1:before", "put:1:after", "put:2:before", "put:2:after"),
]
SERVER_POINTS = [
    *("write:1:before", "write:1:after", "write:2:before", "write:2:after"),
    *("strike:1:before", "strike:2:before", "restore:1:middle"),
]


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


@pytest.mark.parametrize("point", ["never", *SWITCH_AND_NAME_SERVERS])
def test_a_killed_client_with_kill_switch_and_name_servers_and_undo(doomed: DoomedLab, point: str) -> None:
    doomed.serve("--nat", "none", "--dns", "192.168.0.1")
    die(doomed.dial(*ALL_IT_CAN, point=point), point)
    status, lines = doomed.undo("private")
    assert status == 0, lines
    assert doomed.left_on("private") == []
    assert doomed.files() == []
    if point == "never":
        taken_back = [line.removeprefix("took back ").partition(" ")[0] for line in lines]
        assert taken_back == [*["route"] * 7, "kill", "name"], lines


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
        server = doomed.run_command("gateway", *SERVER, *ALL_A_SERVER_CAN)
        client = doomed.run_command("private", *CLIENT, *ALL_IT_CAN)
        time.sleep(moments.uniform(0.2, 2.2))
        for program in (client, server):
            program.stop(signal.SIGKILL)
    server, client = doomed.serve(*ALL_A_SERVER_CAN), doomed.dial(*ALL_IT_CAN)
    there = [line for line in doomed.hosts.changes_since(doomed.before, patience=0) if line.startswith(EVERY_KIND)]
    assert {next(kind for kind in EVERY_KIND if line.startswith(kind)) for line in there} == set(EVERY_KIND)
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
    status, lines = doomed.undo("private", elsewhere=True)
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
