"""A command in a namespace of its own whose only way out is the tunnel: ``pypptp client --exec``.

private 10.100.100.2 ----- 10.100.100.1 gateway 203.0.113.1 ----- 203.0.113.2 public
  enclosure ppp0 192.168.0.234 ======= 192.168.0.1 ppp0
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pypptp.testing.scenario import GATEWAY_PUBLIC, PUBLIC, Program

from .conftest import PATIENCE, Lab

pytestmark = pytest.mark.netns

LOOK = """
import json, os, socket, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from pypptp.net.snapshot import take_snapshot
with socket.create_connection(({public!r}, 7), 5) as connection:
    seen_as = connection.recv(64).decode()
print("LOOKED " + json.dumps(dict(
    seen_as=seen_as,
    network=take_snapshot(),
    interfaces=sorted(os.listdir("/sys/class/net")),
    resolv=Path("/etc/resolv.conf").read_text(),
    hosts=[line for line in Path("/etc/nsswitch.conf").read_text().splitlines() if line.startswith("hosts:")],
    password="PYPPTP_PASSWORD" in os.environ,
)), flush=True)
"""


def python(code: str) -> str:
    return shlex.join([sys.executable, "-c", code])


@contextmanager
def telling_who_calls(lab: Lab) -> Iterator[None]:
    """On the public host: tell each caller by which address it is seen."""
    listening = lab.hosts.public.run(lambda: socket.create_server((str(PUBLIC), 7)))

    def serve() -> None:
        while True:
            try:
                guest, address = listening.accept()
            except OSError:
                return
            with guest:
                guest.sendall(address[0].encode())

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
        listening.close()


def answer(client: Program) -> dict[str, object]:
    line = client.await_line(lambda line: line if line.startswith("LOOKED ") else None, patience=PATIENCE)
    found: dict[str, object] = json.loads(line.removeprefix("LOOKED "))
    return found


def test_a_command_sees_the_tunnel_and_nothing_else(lab: Lab) -> None:
    server = lab.server("--dns", "203.0.113.2")
    before = lab.hosts.snapshot()["private"]
    resolv = Path("/etc/resolv.conf").read_text()
    root = str(Path(__file__).resolve().parents[2])
    with telling_who_calls(lab):
        code = LOOK.format(root=root, public=str(PUBLIC)) + "import time; time.sleep(0.3); sys.exit(7)"
        client = lab.client("--exec", python(code))
        found = answer(client)
        # While it runs the machine itself has no TUN, and its routes are what they were.
        assert lab.hosts.snapshot()["private"] == before
        assert client.wait(PATIENCE) == 7, client.lines
    assert found["seen_as"] == str(GATEWAY_PUBLIC)
    assert found["interfaces"] == ["lo", "ppp0"]
    network = [line for line in found["network"] if "dev ppp0" in line]  # type: ignore[attr-defined]
    assert any(line.startswith("route 0.0.0.0/1 dev ppp0") for line in network), network
    assert not [line for line in found["network"] if "eth0" in line]  # type: ignore[attr-defined]
    assert found["resolv"] == "# of a pypptp client with --exec\nnameserver 203.0.113.2\n"
    assert found["hosts"] == ["hosts: files dns"]
    assert found["password"] is False
    assert Path("/etc/resolv.conf").read_text() == resolv
    assert server.stop() == 0
    assert lab.left_behind() == []


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("true", 0, "'true' has ended with status 0"),
        ("sh -c 'kill -9 $$'", 128 + 9, "'sh' has ended with status 137"),
        ("/no/such/program", 127, "cannot run '/no/such/program': No such file or directory"),
        ("/etc", 126, "cannot run '/etc': Permission denied"),
    ],
)
def test_its_exit_status_is_the_clients(lab: Lab, command: str, status: int, said: str) -> None:
    lab.server()
    client = lab.client("--exec", command)
    assert client.wait(PATIENCE) == status, client.lines
    assert any(said in line for line in client.lines), client.lines


def sleeper(lab: Lab) -> tuple[Program, int]:
    code = "import os, time; print('SLEEPS', os.getpid(), flush=True); time.sleep(60)"
    client = lab.client("--exec", python(code))
    read = lambda line: int(line.split()[1]) if line.startswith("SLEEPS ") else None  # noqa: E731
    return client, client.await_line(read, patience=PATIENCE)


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_client_that_is_told_to_stop_takes_its_command_along(lab: Lab) -> None:
    lab.server("--nat", "none")
    client, pid = sleeper(lab)
    os.kill(client.pid, signal.SIGTERM)
    assert client.wait(PATIENCE) == 128 + signal.SIGTERM, client.lines
    assert gone(pid)


def test_the_commands_ctrl_c_is_its_own(lab: Lab) -> None:
    lab.server("--nat", "none")
    client, pid = sleeper(lab)
    os.kill(client.pid, signal.SIGINT)
    time.sleep(0.2)
    assert client.status is None
    os.kill(pid, signal.SIGINT)
    assert client.wait(PATIENCE) == 128 + signal.SIGINT, client.lines


def test_a_lost_tunnel_ends_the_command(lab: Lab) -> None:
    server = lab.server("--nat", "none")
    client, pid = sleeper(lab)
    server.stop()
    assert client.wait(PATIENCE) not in (None, 0), client.lines
    assert client.last_line.startswith("pypptp: ")
    assert gone(pid)


def test_after_kill_9_the_command_has_no_way_out_and_the_machine_is_as_it_was(lab: Lab) -> None:
    server = lab.server("--nat", "none")
    before = lab.hosts.snapshot()["private"]
    client, pid = sleeper(lab)
    os.kill(client.pid, signal.SIGKILL)  # not by "stop", which reads what the command may still write
    try:
        while (status := client.status) is None:
            time.sleep(0.01)
        assert status == -signal.SIGKILL
        wait_until(lambda: "ppp0" not in Path(f"/proc/{pid}/net/dev").read_text())
        routes = Path(f"/proc/{pid}/net/route").read_text().splitlines()[1:]
        assert routes == []
        assert lab.hosts.snapshot()["private"] == before
    finally:
        os.kill(pid, signal.SIGKILL)
    assert gone(pid)
    server.stop()


def test_it_has_no_place_beside_routes_of_the_machine(lab: Lab) -> None:
    client = lab.client("--exec", "true", "--default-route")
    assert client.wait(PATIENCE) == 2
    assert "default-route: has no place beside exec" in client.last_line
