"""life/1 and life/2 prove themselves on real servers: ours passes, and each that is broken as a process fails."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from pypptp.net.namespaces import Namespace
from pypptp.roles import Role
from pypptp.testing.dialogue.case import Target
from pypptp.testing.dialogue.sockets import Addresses, ServerNetwork
from pypptp.testing.spec import Result, Run, Verdict
from pypptp.testing.spec.checks import life

from .mutations.processes import FAULTS

PROJECT = Path(__file__).parents[3]
LOOPBACK, PORT = IPv4Address("127.0.0.1"), 1723
PATIENCE = 20.0

pytestmark = pytest.mark.netns


@contextmanager
def server(folder: Path, fault: str) -> Iterator[tuple[Namespace, int]]:
    """Run a server with a fault, or without, in a namespace of its own: the namespace and the process number."""
    secrets, log = folder / "chap-secrets", folder / "log"
    secrets.write_text("alice * wonderland *\n", encoding="utf-8")
    secrets.chmod(0o600)
    words = [sys.executable, "-m", "tests.testing.spec.mutations.processes", fault, str(folder), "server"]
    words += ["--local", "192.168.0.1", "--secrets", str(secrets), "--nat", "none"]
    with Namespace("life") as namespace, log.open("wb") as output:
        process = namespace.popen(words, cwd=PROJECT, stdout=output, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + PATIENCE
            while b"listening" not in log.read_bytes():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            yield namespace, process.pid
        finally:
            # One of them does not go when it is asked to.
            process.kill()
            process.wait(PATIENCE)


def check(check_id: str, namespace: Namespace, pid: int) -> Result:
    target = Target(role=Role.SERVER, user="alice", password="wonderland", pid=pid)
    addresses = Addresses(LOOPBACK)
    run = Run(target, lambda: ServerNetwork(LOOPBACK, PORT, addresses, target.timeout))
    return namespace.run(lambda: asyncio.run(run.run([check_id], sanity=False))).results[0]


@pytest.fixture(autouse=True)
def fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole numbers take a minute each; what a connection leaves behind shows after a few dozen."""
    monkeypatch.setattr(life, "SESSIONS", 2)
    monkeypatch.setattr(life, "WARM_UP", 20)
    monkeypatch.setattr(life, "CYCLES", 60)
    monkeypatch.setattr(life, "STOP_SECONDS", 4.0)


@pytest.mark.parametrize("check_id", FAULTS)
def test_ours(check_id: str, tmp_path: Path) -> None:
    with server(tmp_path, "") as (namespace, pid):
        result = check(check_id, namespace, pid)
    assert result.verdict is Verdict.PASS, result.actual


@pytest.mark.parametrize(("check_id", "fault"), [(check_id, name) for check_id, one in FAULTS.items() for name in one])
def test_broken(check_id: str, fault: str, tmp_path: Path) -> None:
    with server(tmp_path, fault) as (namespace, pid):
        result = check(check_id, namespace, pid)
    assert result.verdict is Verdict.FAIL, f"{result.verdict}: {result.actual}"
    assert not result.actual.startswith("did not come that far"), result.actual
