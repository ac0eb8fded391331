"""``pypptp spec`` as a user meets it: its words, its exit status, and real peers in a namespace of their own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from pypptp.capture.pcap_file import read_capture
from pypptp.errors import ConfigurationError
from pypptp.net.namespaces import Namespace
from pypptp.testing.dialogue.case import Timers
from pypptp.testing.spec import CATALOGUE
from pypptp_cli.main import cli
from pypptp_cli.spec import _timers

PYPPTP = [sys.executable, "-P", "-m", "pypptp_cli"]
ACCOUNT = ["--user", "alice", "--password", "wonderland"]
PATIENCE = 20.0


def spec(*words: str) -> Result:
    return CliRunner().invoke(cli, ["spec", *words], standalone_mode=False)


@pytest.mark.parametrize(("kind", "least"), [("server", 144), ("client", 80)])
def test_list_needs_nothing(kind: str, least: int) -> None:
    result = spec(kind, "--list")
    ids = [line.split()[0] for line in result.output.splitlines()]
    assert len(ids) >= least
    assert set(ids) <= set(CATALOGUE)
    assert [line.split()[0] for line in spec(kind, "--list", "--only", "gre/4.3").output.splitlines()] == [
        f"gre/4.3/{number}" for number in range(1, 6)
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["server"], "HOST: not given"),
        (["server", "203.0.113.7", *ACCOUNT], "--i-own-this-target"),
        (["server", "127.0.0.1:x", *ACCOUNT], "'x' is no port"),
        (["server", "127.0.0.1"], "--user and --password"),
        (["server", "127.0.0.1", *ACCOUNT, "--only", "xyz"], "no check begins with xyz"),
        (["server", "127.0.0.1", *ACCOUNT, "--dut-timers", "echo"], "'echo' is not NAME=SECONDS"),
        (["server", "127.0.0.1", *ACCOUNT, "--dut-timers", "echo=2x3"], "'echo=2x3' is not NAME=SECONDS"),
        (["server", "127.0.0.1", *ACCOUNT, "--server-pid", "4194305"], "there is no process 4194305"),
        (["client"], "listen: not given"),
        (["client", "--listen", "127.0.0.1"], "exec: not given"),
    ],
)
def test_wrong_options(words: list[str], says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYPPTP_PASSWORD", raising=False)
    result = spec(*words)
    assert isinstance(result.exception, ConfigurationError)
    assert says in str(result.exception)


def test_expected_failures_must_exist(tmp_path: Path) -> None:
    known = tmp_path / "known"
    known.write_text("cc/9.9/9\n", encoding="utf-8")
    result = spec("server", "127.0.0.1", *ACCOUNT, "--expected-failures", str(known))
    assert "there is no check cc/9.9/9" in str(result.exception)


def test_timers() -> None:
    assert _timers("") == Timers()
    assert _timers("echo=2,lcp=2x3") == Timers(echo=2.0, lcp=2.0, lcp_failures=3)
    assert _timers("start=5, echo-timeout=10,restart=1.5") == Timers(start=5.0, echo_timeout=10.0, restart=1.5)


def test_nobody_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        result = spec("server", f"127.0.0.1:{port}", *ACCOUNT)
    assert result.return_value == 69
    assert f"the target does not answer: 127.0.0.1 port {port}" in result.output


def test_somebody_who_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        result = spec("server", f"127.0.0.1:{port}", *ACCOUNT, "--timeout", "0.1")
    assert result.return_value == 69
    assert "Start-Control-Connection-Reply did not come" in result.output


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    with Namespace("spec") as namespace:
        yield namespace


@pytest.fixture
def server(namespace: Namespace, tmp_path: Path) -> Iterator[subprocess.Popen[Any]]:
    secrets = tmp_path / "chap-secrets"
    secrets.write_text("alice * wonderland *\n", encoding="utf-8")
    secrets.chmod(0o600)
    words = ["server", "--local", "192.168.0.1", "--secrets", str(secrets), "--nat", "none"]
    with (tmp_path / "log").open("wb") as log:
        process = namespace.popen([*PYPPTP, *words], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + PATIENCE
        while b"listening" not in (tmp_path / "log").read_bytes() and time.monotonic() < deadline:
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE)


def run_in(namespace: Namespace, *words: str) -> subprocess.CompletedProcess[str]:
    process = namespace.popen(
        [*PYPPTP, "spec", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYPPTP_PASSWORD": "wonderland"},
    )
    output, remarks = process.communicate(timeout=55)
    return subprocess.CompletedProcess(words, process.returncode, output, remarks)


@pytest.mark.netns
def test_a_real_server(namespace: Namespace, server: subprocess.Popen[Any], tmp_path: Path) -> None:
    pcap, junit = tmp_path / "all.pcap", tmp_path / "all.xml"
    words = ["--only", "cc/2.", "--only", "gre/4.1", "--only", "mppe/8", "--only", "life/1"]
    files = ["--pcap", str(pcap), "--junit", str(junit), "--server-pid", str(server.pid)]
    timers = ["--dut-timers", "echo=1", "--timeout", "2"]
    known = tmp_path / "known"
    # The server's timers are not the ones said here: these cannot but fail.
    known.write_text("cc/2.5/3\ncc/2.5/4\ncc/2.16/1\n", encoding="utf-8")
    expected = ["--strict", "--expected-failures", str(known)]
    result = run_in(namespace, "server", "127.0.0.1", "--user", "alice", "--json", *words, *files, *timers, *expected)
    assert result.returncode == 0, result.stdout + result.stderr
    found = json.loads(result.stdout)
    verdicts = {one["id"]: one["verdict"] for one in found["results"]}
    assert verdicts["gre/4.1/7"] == verdicts["mppe/8/3"] == verdicts["life/1"] == "PASS"
    failed = {check_id for check_id, verdict in verdicts.items() if verdict == "FAIL"}
    assert failed == {"cc/2.5/3", "cc/2.5/4", "cc/2.16/1"}
    assert [one["verdict"] for one in found["sanity"]] == ["PASS", "PASS"]
    assert sum(1 for _ in read_capture(pcap)) > 1000
    assert ElementTree.fromstring(junit.read_bytes()).get("failures") == "0"
    assert server.wait(PATIENCE) == 0


@pytest.mark.netns
def test_a_failure_shows_the_exchange(namespace: Namespace, server: subprocess.Popen[Any]) -> None:
    words = ["--only", "cc/2.5/3", "--strict", "--dut-timers", "echo=0.2"]
    result = run_in(namespace, "server", "127.0.0.1", "--user", "alice", *words)
    assert result.returncode == 1
    assert "FAIL cc/2.5/3 (SHOULD, RFC 2637 3.1.4)" in result.stdout
    assert "-> control Start-Control-Connection-Request" in result.stdout
    assert "<- control Start-Control-Connection-Reply" in result.stdout


@pytest.mark.netns
@pytest.mark.parametrize("server", ["127.0.0.9", "{server}"])
def test_a_real_client(namespace: Namespace, server: str) -> None:
    command = f"{sys.executable} -P -m pypptp_cli client --server {server} --user alice"
    words = ["--only", "cc/2.8", "--only", "cc/2.13", "--only", "auth/msv2/7", "--only", "lcp/5.4/1"]
    account = ["--user", "alice", "--json"]
    result = run_in(namespace, "client", "--listen", "127.0.0.9", "--exec", command, *account, *words)
    assert result.returncode == 0, result.stdout + result.stderr
    verdicts = {one["id"]: one["verdict"] for one in json.loads(result.stdout)["results"]}
    assert set(verdicts.values()) == {"PASS"}
    assert set(verdicts) == {"cc/2.8/1", "cc/2.8/2", "cc/2.13/1", "auth/msv2/7", "lcp/5.4/1"}
