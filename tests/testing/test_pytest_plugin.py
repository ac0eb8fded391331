"""The fixtures as another project uses them: found by themselves, in a run of pytest of their own."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pypptp.testing.pytest_plugin import MakeLine, StartClient

FIVE_LINES = """
def test_my_peer(pptp_server, pptp_client):
    user, password = pptp_server.user, pptp_server.password
    client = pptp_client(pptp_server.address, pptp_server.port, user=user, password=password)
    client.await_connected()
    assert client.ping()
"""


def run_pytest(folder: Path, text: str, *prefix: str) -> str:
    (folder / "test_mine.py").write_text(text)
    command = [*prefix, sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "test_mine.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout


@pytest.mark.netns  # for the raw sockets
def test_five_lines_of_another_project(tmp_path: Path) -> None:
    assert "1 passed" in run_pytest(tmp_path, FIVE_LINES)


@pytest.mark.netns
def test_a_server_that_is_there_already(tmp_path: Path) -> None:
    with socket.create_server(("0.0.0.0", 1723)):
        assert "1 passed" in run_pytest(tmp_path, FIVE_LINES)


@pytest.mark.netns
def test_without_the_right_to_raw_sockets_it_is_skipped(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    without = ("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw")
    said = run_pytest(tmp_path, FIVE_LINES, *without)
    assert "1 skipped" in said
    assert "CAP_NET_RAW" in said


@pytest.mark.netns
def test_a_bad_line(pptp_client: StartClient, lossy_link: MakeLine, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue("pptp_server")
    line = lossy_link(server.address, duplication=0.2, reordering=0.2, seed=3)
    client = pptp_client(line.address, user=server.user, password=server.password)
    client.await_connected()
    assert all(client.ping() for _ in range(20))
    assert line.counters.to_server.duplicated > 0
    assert server.await_session(server.user).user == server.user
