"""A server in several processes, as real ones.

private 10.100.100.2 ----- 10.100.100.1 gateway: the parent, worker 1 with ppp0, worker 2 with ppp1
"""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from pypptp.testing.scenario import PUBLIC, Program, ping

from .conftest import PATIENCE, Lab

pytestmark = pytest.mark.netns

_WORKER = re.compile(r"worker (\d+) is process (\d+)$")


def processes(server: Program) -> list[int]:
    """The process numbers of the workers, as the log tells them; the later ones for those that were started again."""
    found = {int(match[1]): int(match[2]) for line in list(server.lines) if (match := _WORKER.search(line))}
    return [found[number] for number in sorted(found)]


def started(lab: Lab, *options: str, workers: str = "2") -> Program:
    server = lab.server("--workers", workers, *options)
    assert len(processes(server)) == 2, server.lines
    return server


def await_up(server: Program, count: int) -> None:
    """Wait for the server's side of so many sessions: a client is up a moment before the server's TUN is."""
    deadline = time.monotonic() + PATIENCE
    while sum(" up: ppp" in line for line in list(server.lines)) < count:
        assert time.monotonic() < deadline, server.lines
        time.sleep(0.02)


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False


def await_end(process: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while alive(process):
        assert time.monotonic() < deadline, f"process {process} goes on"
        time.sleep(0.02)


def interfaces(process: int) -> int:
    """How many TUN devices a process holds."""
    return sum(str(link.readlink()) == "/dev/net/tun" for link in Path(f"/proc/{process}/fd").iterdir())


def test_sessions_are_spread_and_share_the_pool(lab: Lab) -> None:
    server = started(lab)
    clients, networks = zip(*(lab.connected("--route", f"203.0.{113 + n}.0/24") for n in range(2)), strict=True)
    await_up(server, 2)
    assert [str(network.local) for network in networks] == ["192.168.0.234", "192.168.0.235"]
    assert [interfaces(process) for process in processes(server)] == [1, 1]
    assert [name for line in server.lines for name in re.findall(r"up: (ppp\d+),", line)] == ["ppp0", "ppp1"]
    # By the first session to the public host, and by both TUNs of the gateway.
    assert ping(lab.hosts.private, PUBLIC, count=2).received == 2
    assert ping(lab.hosts.gateway, networks[0].local, count=2).received == 2
    assert clients[0].stop() == 0
    server.await_line(lambda line: "ended" in line or None, patience=PATIENCE)
    assert ping(lab.hosts.gateway, networks[1].local, count=2).received == 2
    begun = time.monotonic()
    assert server.stop() == 0, server.lines
    assert time.monotonic() - begun < 5
    assert clients[1].wait(PATIENCE) == 16
    assert lab.left_behind() == []


def test_a_terminals_interrupt_goes_to_all_processes_and_ends_them_once(lab: Lab) -> None:
    server = started(lab)
    client, _ = lab.connected()
    os.killpg(server.pid, signal.SIGINT)
    assert server.wait(5.0) == 0, server.lines
    assert client.wait(PATIENCE) == 16
    assert sum(line.endswith("stopping") for line in server.lines) == 1
    assert not any("Traceback" in line or "ERROR" in line for line in server.lines), server.lines
    assert lab.left_behind() == []


def test_a_worker_that_is_killed(lab: Lab) -> None:
    server = started(lab, "--remote", "192.168.0.50-51")
    first, lost = lab.connected()
    _, kept = lab.connected()
    await_up(server, 2)
    victim, other = processes(server)
    os.kill(victim, signal.SIGKILL)
    assert first.wait(PATIENCE) == 16
    server.await_line(lambda line: "worker 1 was killed by SIGKILL" in line or None, patience=PATIENCE)
    server.await_line(
        lambda line: "user 'alice' ended: the worker process has ended" in line or None, patience=PATIENCE
    )
    # The rest goes on meanwhile, and the only free address of the pool is the one that came back.
    assert ping(lab.hosts.gateway, kept.local, count=2).received == 2
    _, again = lab.connected()
    assert again.local == lost.local
    deadline = time.monotonic() + PATIENCE
    while processes(server)[0] == victim:
        assert time.monotonic() < deadline, server.lines
        time.sleep(0.05)
    assert processes(server)[1] == other
    assert server.stop() == 0, server.lines
    assert lab.left_behind() == []


def test_a_worker_that_was_started_again_serves(lab: Lab) -> None:
    server = started(lab)
    for victim in processes(server):
        os.kill(victim, signal.SIGKILL)
    # Nobody is there to serve it: the connection waits until somebody is.
    _, network = lab.connected()
    await_up(server, 1)
    assert ping(lab.hosts.gateway, network.local, count=2).received == 2
    assert server.stop() == 0, server.lines
    assert lab.left_behind() == []


def test_a_parent_that_is_killed_takes_its_workers_along(lab: Lab) -> None:
    server = started(lab, "--nat", "none")
    client, _ = lab.connected()
    workers = processes(server)
    os.kill(server.pid, signal.SIGKILL)
    for worker in workers:
        await_end(worker)
    assert server.wait(PATIENCE) == -signal.SIGKILL
    # They end in order: the client is told.
    assert client.wait(PATIENCE) == 16
    assert "the server's main process has ended" in client.last_line
    assert lab.left_behind() == []


def test_one_pool_for_all_workers(lab: Lab) -> None:
    server = started(lab, "--remote", "192.168.0.50-51")
    first, _ = lab.connected()
    lab.connected()
    third = lab.client()
    assert third.wait(PATIENCE) == 8
    server.await_line(lambda line: "no address left" in line or None, patience=PATIENCE)
    assert first.stop() == 0
    server.await_line(lambda line: "alice' ended: " in line or None, patience=PATIENCE)
    # Its address comes back when its TUN is gone, which takes the kernel a moment.
    time.sleep(0.5)
    _, network = lab.connected()
    assert str(network.local) == "192.168.0.50"


def test_a_wrong_password_and_a_fixed_address(lab: Lab) -> None:
    started(lab)
    refused = lab.client(password="wrong")
    assert refused.wait(PATIENCE) == 19
    assert "E=691" in refused.last_line, refused.lines
    _, network = lab.connected(user="bob", password="builder")
    assert str(network.local) == "192.168.0.240"


def test_workers_hold_only_what_is_theirs(lab: Lab) -> None:
    server = started(lab)
    lab.connected()
    await_up(server, 1)
    listening = lab.hosts.gateway.run(lambda: Path("/proc/thread-self/net/tcp").read_text())
    raw = lab.hosts.gateway.run(lambda: Path("/proc/thread-self/net/raw").read_text())
    inodes = {line.split()[9] for line in raw.splitlines()[1:]}
    listeners = {line.split()[9] for line in listening.splitlines()[1:] if line.split()[3] == "0A"}
    assert len(inodes) == 2, raw
    assert len(listeners) == 1, listening
    for process, connections in zip(processes(server), (1, 0), strict=True):
        held = [str(link.readlink()) for link in Path(f"/proc/{process}/fd").iterdir()]
        sockets = {name.removeprefix("socket:[").removesuffix("]") for name in held if name.startswith("socket:")}
        assert len(sockets & inodes) == 1
        assert not sockets & listeners
        # The GRE socket, the channel, asyncio's own pair, and the connections.
        assert len(sockets) == 4 + connections, held


def test_two_workers_do_not_read_each_others_packets(lab: Lab) -> None:
    server = started(lab)
    _, network = lab.connected()
    await_up(server, 1)
    assert ping(lab.hosts.gateway, network.local, count=4).received == 4
    idle = processes(server)[1]
    before = Path(f"/proc/{idle}/status").read_text()
    assert ping(lab.hosts.gateway, network.local, count=8, interval=0.02).received == 8
    after = Path(f"/proc/{idle}/status").read_text()

    def switches(status: str) -> int:
        return sum(int(line.split()[1]) for line in status.splitlines() if "ctxt_switches" in line)

    # It slept: a packet that reached its socket would have woken it up.
    assert switches(after) - switches(before) <= 2


def test_auto_is_a_worker_for_each_core(lab: Lab) -> None:
    cores = len(os.sched_getaffinity(0))
    if cores == 1:
        pytest.skip("this machine has one core")
    server = lab.server("--workers", "auto")
    assert len(processes(server)) == min(cores, 32)


def test_the_port_is_taken(lab: Lab) -> None:
    lab.server()
    second = lab.start(
        "server", lab.hosts.gateway, "server", "--local", "192.168.1.1", "--workers", "2", "--secrets", "chap-secrets"
    )
    assert second.wait(PATIENCE) == 1
    assert "port 1723 on 0.0.0.0 is in use" in second.last_line


def test_a_worker_that_hangs_does_not_hold_up_the_end(lab: Lab) -> None:
    server = started(lab)
    client, _ = lab.connected()
    os.kill(processes(server)[0], signal.SIGSTOP)
    assert server.stop(patience=10.0) == 0, server.lines
    assert any("did not end in time" in line for line in server.lines), server.lines
    assert client.wait(PATIENCE) == 16
    assert lab.left_behind() == []
