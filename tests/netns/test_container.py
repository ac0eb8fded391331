"""Server and client with what ``--device /dev/net/tun --cap-add NET_ADMIN,NET_RAW`` gives them, and nothing more.

private 10.100.100.2 ----- 10.100.100.1 gateway 203.0.113.1 ----- 203.0.113.2 public

Each runs as root with two capabilities, /proc/sys and /sys read-only, and a /run of its own.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pypptp.aio.words import parse_network
from pypptp.net.forwarding import IPV4
from pypptp.net.namespaces import Namespace
from pypptp.testing.scenario import GATEWAY_PRIVATE, PUBLIC, Program, ping

from .conftest import PATIENCE, PYPPTP, Lab

pytestmark = pytest.mark.netns

CONTAINER = """set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 none /run
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount -o remount,bind,ro /sys
exec setpriv --bounding-set=-all,+net_admin,+net_raw --inh-caps=-all --no-new-privs "$@"
"""
TWO_CAPABILITIES = f"{1 << 12 | 1 << 13:016x}"
SERVER = ("server", "--local", "192.168.0.1", "--secrets", "chap-secrets")
READ_ONLY = "cannot switch IPv4 forwarding on, /proc/sys is read-only: start the container with"


def run(lab: Lab, host: Namespace, *words: str, **variables: str) -> Program:
    command = ["unshare", "--mount", "sh", "-c", CONTAINER, "sh", *PYPPTP, *words]
    return lab.start_command(words[0], host, command, **variables)


def capabilities(program: Program) -> set[str]:
    status = Path(f"/proc/{program.pid}/status").read_text()
    wanted = ("CapPrm:", "CapEff:", "CapBnd:")
    return {line.split()[1] for line in status.splitlines() if line.startswith(wanted)}


def forward(lab: Lab) -> None:
    """What Docker has done before anything starts in the container."""
    lab.hosts.gateway.run(lambda: (IPV4 / "ip_forward").write_text("1"))
    lab.before = lab.hosts.snapshot()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_server_and_client_in_containers(lab: Lab, workers: str) -> None:
    forward(lab)
    server = run(lab, lab.hosts.gateway, *SERVER, "--workers", workers)
    server.await_line(lambda line: "listening on" in line or None, patience=PATIENCE)
    words = ("client", "--server", str(GATEWAY_PRIVATE), "--user", "alice", "--default-route", "--bypass", "private")
    client = run(lab, lab.hosts.private, *words, PYPPTP_PASSWORD="wonder land")
    network = client.await_line(parse_network, patience=PATIENCE)
    assert capabilities(server) == capabilities(client) == {TWO_CAPABILITIES}
    assert network.strength == 128
    assert ping(lab.hosts.private, PUBLIC).received == 4
    assert client.stop() == 0, client.lines
    assert server.stop() == 0, server.lines
    # The warnings are those of any server: nothing was missing.
    assert [line for line in server.lines + client.lines if "not allowed" in line or "journal" in line] == []
    assert lab.left_behind() == []


def test_forwarding_that_is_off_and_cannot_be_switched_on(lab: Lab) -> None:
    server = run(lab, lab.hosts.gateway, *SERVER)
    assert server.wait(PATIENCE) == 1
    assert READ_ONLY in server.last_line
    assert "'--sysctl net.ipv4.ip_forward=1'" in server.last_line
    assert lab.left_behind() == []
    # Without NAT there is nothing to switch on, and the clients reach the server itself.
    server = run(lab, lab.hosts.gateway, *SERVER, "--nat", "none")
    server.await_line(lambda line: "listening on" in line or None, patience=PATIENCE)
    _, network = lab.connected()
    assert ping(lab.hosts.private, network.peer, count=2).received == 2


def test_a_secret_that_was_mounted_for_everybody(lab: Lab, tmp_path: Path) -> None:
    forward(lab)
    (tmp_path / "chap-secrets").chmod(0o444)
    server = run(lab, lab.hosts.gateway, *SERVER)
    assert server.wait(PATIENCE) == 2
    assert server.last_line.endswith("chmod 600 chap-secrets, or use it as it is with --allow-readable-secrets")
    server = run(lab, lab.hosts.gateway, *SERVER, "--allow-readable-secrets")
    server.await_line(lambda line: "listening on" in line or None, patience=PATIENCE)
    assert any("others have access to it (mode 444)" in line for line in server.lines)
    lab.connected()


@pytest.mark.parametrize(
    ("missing", "words"),
    [("net_admin", "give the process CAP_NET_ADMIN"), ("net_raw", "give the process CAP_NET_RAW")],
)
def test_one_capability_is_not_enough(lab: Lab, missing: str, words: str) -> None:
    forward(lab)
    kept = CONTAINER.replace(f",+{missing}", "")
    assert kept != CONTAINER
    command = ["unshare", "--mount", "sh", "-c", kept, "sh", *PYPPTP, *SERVER]
    server = lab.start_command("server", lab.hosts.gateway, command)
    assert server.wait(PATIENCE) == 1
    assert words in server.last_line
