"""Servers and clients that are asked, as processes: every command against a real one, with and without workers.

private 10.100.100.2 ----- 10.100.100.1 gateway 203.0.113.1 ----- 203.0.113.2 public
ppp0 192.168.0.234 ======= 192.168.0.1 ppp0

Each run has names of its own for its instances: the sockets are those of the machine.
"""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from pypptp.service.control_socket import instances
from pypptp.testing.scenario import PUBLIC, Program, Sink, ping, send

from .conftest import PATIENCE, PYPPTP, Lab

pytestmark = pytest.mark.netns

DOCUMENT = Path(__file__).parents[2] / "docs" / "control.md"
NAME = f"test-{os.getpid()}"
CLIENT = f"{NAME}-client"


def pypptp(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PYPPTP, *words], capture_output=True, text=True, timeout=PATIENCE, check=False)


def said(*words: str) -> str:
    done = pypptp(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def told(*words: str) -> Any:
    return json.loads(said(*words, "--json"))


def await_up(server: Program, count: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while sum(" up: ppp" in line for line in list(server.lines)) < count:
        assert time.monotonic() < deadline, server.lines
        time.sleep(0.02)


def log_lines() -> list[re.Pattern[str]]:
    """What docs/control.md says of the lines of a log, as patterns."""
    rows = re.findall(r"^\| `([^`]+)` \|", DOCUMENT.read_text().split("\n## The log\n")[1], re.MULTILINE)
    assert len(rows) > 12
    words = {
        "N": r"\d+",
        "ADDRESS": r"[\d.]+",
        "INTERFACE": r"ppp\d+",
        "METHOD": "MS-CHAPv2",
        "ENCRYPTION": r"MPPE 128-bit stateless",
    }
    free = {"NAME": ".+", "VENDOR": ".*", "USER": ".*", "REASON": ".+"}
    found = []
    for row in rows:
        pattern = re.escape(row).replace("\\ ", " ")
        for word, expression in (words | free).items():
            pattern = re.sub(rf"\b{word}\b", expression.replace("\\", r"\\"), pattern)
        found.append(re.compile(pattern))
    return found


@pytest.mark.parametrize("workers", ["1", "2"])
def test_every_command(lab: Lab, workers: str) -> None:
    server = lab.server("--instance", NAME, "--workers", workers, "--lcp-echo-interval", "1")
    client, network = lab.connected("--instance", CLIENT, "--default-route", "--bypass", "private")
    other, _ = lab.connected("--instance", f"{CLIENT}-2", user="bob", password="builder")
    await_up(server, 2)

    # Who runs.
    listed = {running.name: running.kind for running in instances() if running.name.startswith(NAME)}
    assert listed == {NAME: "server", CLIENT: "client", f"{CLIENT}-2": "client"}
    (status,) = told("status", "--instance", NAME)["instances"]
    assert (status["state"], status["nat"], status["sessions"], status["pid"]) == ("serving", "eth1", 2, server.pid)
    assert len(status["processes"]) == int(workers)
    assert sum(process["connections"] for process in status["processes"]) == status["connections"] == 2
    (asked,) = told("status", "--instance", CLIENT)["instances"]
    assert (asked["state"], asked["user"], asked["interface"]) == ("connected", "alice", "ppp0")
    assert f"ppp0, {network.local} to 192.168.0.1, MS-CHAPv2" in said("status", "--instance", CLIENT)
    everything = pypptp("status").stdout
    assert all(f"'{name}'" in everything for name in listed)

    # Who is connected, and what passes.
    with Sink(lab.hosts.public, PUBLIC) as sink:
        send(lab.hosts.private, PUBLIC, sink.port, seconds=0.5)
        transfer = sink.take()
    assert transfer is not None
    assert transfer.octets > 0
    time.sleep(1.2)
    sessions = told("sessions", "--instance", NAME)["sessions"]
    assert [(session["user"], session["address"]) for session in sessions] == [
        ("alice", "192.168.0.234"),
        ("bob", "192.168.0.240"),
    ]
    assert sessions[0]["octets_in"] >= transfer.octets
    assert sessions[1]["octets_in"] < 10_000
    assert sessions[0]["gre_received"] > 10
    assert all(0 < session["echo_round_trip"] < 1 for session in sessions)
    assert {session["worker"] for session in sessions} == ({0} if workers == "1" else {1, 2})
    table = said("sessions", "--instance", NAME).splitlines()
    assert [line.split()[1] for line in table] == ["USER", "alice", "bob"]

    # Rates, while something passes.
    with Sink(lab.hosts.public, PUBLIC) as sink:
        top = subprocess.Popen(
            [*PYPPTP, "top", "--instance", NAME, "--once", "--interval", "1", "--sort", "in"],
            stdout=subprocess.PIPE,
            text=True,
        )
        send(lab.hosts.private, PUBLIC, sink.port, seconds=2.5)
        sink.take()
        frame, _ = top.communicate(timeout=PATIENCE)
    first = frame.splitlines()[4]
    assert first.startswith("alice")
    assert "Mbit/s" in first
    assert "%" in first

    # The users, read again.
    secrets = lab._folder / "chap-secrets"
    before = secrets.read_text()
    secrets.write_text(before + "carol * secret *\n")
    assert "added: carol" in said("reload", "--instance", NAME)
    secrets.write_text(before + "carol * 'secret\n")
    bad = pypptp("reload", "--instance", NAME)
    assert bad.returncode == 1
    assert "the users stay as they were" in bad.stderr

    # One goes, another stays; then all are gone, and so is the server.
    nobody = pypptp("disconnect", "dave", "--instance", NAME)
    assert (nobody.returncode, nobody.stderr.count("no session has the user")) == (1, 1)
    assert "disconnected bob, 192.168.0.240 on ppp" in said("disconnect", "bob", "--instance", NAME)
    assert other.wait(PATIENCE) == 16
    assert "disconnected by the administrator" in other.last_line
    assert ping(lab.hosts.private, PUBLIC, count=2).received == 2
    assert "with the last of 1 session" in said("drain", "--instance", NAME)
    assert told("status", "--instance", NAME)["instances"][0]["state"] == "draining"
    refused = lab.client(user="bob", password="builder")
    assert refused.wait(PATIENCE) != 0
    assert ping(lab.hosts.private, PUBLIC, count=2).received == 2
    assert pypptp("hangup", CLIENT).returncode == 0
    assert client.wait(PATIENCE) == 0
    assert server.wait(PATIENCE) == 0, server.lines
    gone = pypptp("status", "--instance", NAME)
    assert (gone.returncode, gone.stderr.count("is running here")) == (1, 1)
    assert lab.left_behind() == []

    # Every line of the log's life events is one that is documented, and each was said.
    patterns = log_lines()
    lines = [line.split(" ", 1)[1].split(maxsplit=1)[1] for line in server.lines if " INFO " in line]
    events = [line for line in lines if re.match(r"[\d.]+: |listening|drain|stopping", line)]
    assert len(events) >= 12
    for line in events:
        assert any(pattern.match(line) for pattern in patterns), line


def test_a_killed_servers_socket_is_replaced_and_drain_has_an_end(lab: Lab) -> None:
    server = lab.server("--instance", NAME)
    os.kill(server.pid, signal.SIGKILL)
    assert server.wait(PATIENCE) == -signal.SIGKILL
    assert Path(f"/run/pypptp/control/{NAME}.sock").exists()
    gone = pypptp("status", "--instance", NAME)
    assert gone.returncode == 1
    again = lab.server("--instance", NAME)
    client, _ = lab.connected("--instance", CLIENT)
    second = lab.start("server", lab.hosts.gateway, "server", "--local", "192.168.1.1", "--instance", NAME)
    assert second.wait(PATIENCE) == 2
    assert f"instance: '{NAME}' runs already (process {again.pid})" in second.last_line
    began = time.monotonic()
    assert pypptp("drain", "--instance", NAME, "--timeout", "0.5", "--wait").returncode == 0
    assert time.monotonic() - began < 10
    assert again.wait(PATIENCE) == 0
    assert client.wait(PATIENCE) == 16
    assert not Path(f"/run/pypptp/control/{NAME}.sock").exists()
    assert lab.left_behind() == []


def test_top_on_a_terminal(lab: Lab) -> None:
    lab.server("--instance", NAME)
    lab.connected("--instance", CLIENT)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 140, 0, 0))
    top = subprocess.Popen(
        [*PYPPTP, "top", "--instance", NAME, "--interval", "0.3"],
        stdin=theirs,
        stdout=theirs,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(theirs)
    screen = b""
    deadline = time.monotonic() + PATIENCE
    try:
        while screen.count(b"alice") < 3:
            assert time.monotonic() < deadline, screen
            screen += os.read(ours, 65_536)
        os.write(ours, b"u")
        while "user ^" not in re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", screen.decode("utf-8", "replace")):
            assert time.monotonic() < deadline, screen
            screen += os.read(ours, 65_536)
        os.write(ours, b"q")
        assert top.wait(PATIENCE) == 0
    finally:
        top.kill()
        top.wait()
        os.close(ours)
