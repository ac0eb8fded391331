"""Who may have how many sessions, from which pool, and what is run when: real servers, clients and scripts.

private 10.100.100.2 ----- 10.100.100.1 gateway: the server, and its ip-up and ip-down
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import PATIENCE, Lab

pytestmark = pytest.mark.netns


def await_lines(path: Path, count: int) -> list[str]:
    deadline = time.monotonic() + PATIENCE
    while not path.exists() or len(path.read_text().splitlines()) < count:
        assert time.monotonic() < deadline, f"{path.name} has too few lines"
        time.sleep(0.02)
    return path.read_text().splitlines()


def says(words: str) -> Callable[[str], str | None]:
    return lambda line: line if words in line else None


@pytest.fixture
def scripts(tmp_path: Path) -> list[str]:
    """Options for two scripts that write down what they are told."""
    for name in ("ip-up", "ip-down"):
        script = tmp_path / name
        script.write_text(
            f'#!/bin/sh\necho "{name} $1 $4 $5 $6 $PEERNAME $DNS1 ${{CONNECT_TIME:+timed}} ${{BYTES_RCVD:+counted}} '
            f'$PYPPTP_REASON" >>{tmp_path}/run\nip -o addr show dev $1 >/dev/null && echo "{name} sees $1"\n'
        )
        script.chmod(0o755)
    return ["--ip-up", str(tmp_path / "ip-up"), "--ip-down", str(tmp_path / "ip-down"), "--dns", "9.9.9.9"]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_scripts_run_as_sessions_come_and_go(lab: Lab, tmp_path: Path, scripts: list[str], workers: str) -> None:
    server = lab.server("--workers", workers, *scripts)
    client, network = lab.connected()
    (up,) = await_lines(tmp_path / "run", 1)
    told = f"ppp0 192.168.0.1 {network.local} 10.100.100.2 alice 9.9.9.9"
    assert up.split(" ", 1) == ["ip-up", f"{told}   "]
    server.await_line(says("ip-up for ppp0: ip-up sees ppp0"), patience=PATIENCE)
    assert client.stop() == 0
    _, down = await_lines(tmp_path / "run", 2)
    assert down.startswith(f"ip-down {told} timed ")
    assert "the peer terminated the link" in down
    # What is up when the server stops goes down before the server is gone.
    other, _ = lab.connected(user="bob", password="builder")
    await_lines(tmp_path / "run", 3)
    assert server.stop() == 0, server.lines
    assert len(await_lines(tmp_path / "run", 4)) == 4
    assert other.wait(PATIENCE) == 1 or not other.lines[-1].endswith("up")
    assert lab.left_behind() == []


def test_a_script_that_hangs_holds_nobody_up(lab: Lab, tmp_path: Path) -> None:
    script = tmp_path / "ip-up"
    script.write_text(f"#!/bin/sh\nsleep 600 & echo $! $$ >{tmp_path}/run\nsleep 600\n")
    script.chmod(0o755)
    server = lab.server("--ip-up", str(script), "--hook-timeout", "2")
    lab.connected()
    _, network = lab.connected(user="bob", password="builder")
    assert str(network.local) == "192.168.0.240"
    server.await_line(says("ip-up for ppp0 has not ended within 2 s and is killed"), patience=PATIENCE)
    assert server.stop() == 0, server.lines
    for process in await_lines(tmp_path / "run", 1)[0].split():
        assert not Path(f"/proc/{process}/cmdline").exists() or not Path(f"/proc/{process}/cmdline").read_bytes()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_single_session(lab: Lab, workers: str) -> None:
    server = lab.server("--workers", workers, "--single-session", "deny")
    first, _ = lab.connected()
    server.await_line(says("user 'alice' up"), patience=PATIENCE)
    second = lab.client()
    assert second.wait(PATIENCE) != 0
    assert "already connected: one session at a time" in second.last_line
    assert server.stop() == 0, server.lines
    first.wait(PATIENCE)

    server = lab.server("--workers", workers, "--single-session", "replace")
    older, before = lab.connected()
    server.await_line(says("user 'alice' up"), patience=PATIENCE)
    _, after = lab.connected()
    assert after.local == before.local
    assert older.wait(PATIENCE) != 0
    assert any("the same user has connected anew" in line for line in older.lines), older.lines
    assert server.stop() == 0, server.lines
    assert lab.left_behind() == []


def test_pools_and_what_is_wrong_with_them(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "chap-secrets").write_text('alice * "wonder land" * -- pool staff\nbob * builder * -- pool stuff\n')
    server = lab.server("--pool", "staff=10.9.0.7")
    assert any("there is no pool 'stuff', so 'bob' gets no address" in line for line in server.lines), server.lines
    _, network = lab.connected()
    assert str(network.local) == "10.9.0.7"
    second = lab.client()
    assert second.wait(PATIENCE) != 0
    assert any("no address left in the pool 'staff'" in line for line in second.lines), second.lines
    assert server.stop() == 0, server.lines
    assert lab.left_behind() == []
