from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from pypptp.errors import ConfigurationError
from pypptp.testing.ends import RunningClient, RunningServer
from pypptp_cli.proxy import proxy

PROXY = "127.63.0.2"


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(proxy, ["--listen", PROXY, "--target", "127.63.0.1", *words], standalone_mode=True)
    return result.exit_code, result.output if result.exception is None else f"{result.output}{result.exception}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--loss", "x"], "'x' is no percentage"),
        (["--loss", "101%"], "not between 0 and 100"),
        (["--latency", "5h"], "'5h' is no time"),
        (["--latency", "61s"], "no time up to 60 s"),
        ([], "nothing would happen to any packet"),
        (["--target", "192.0.2.1", "--loss", "1%"], "say --i-own-this-target"),
    ],
)
def test_what_cannot_be(words: list[str], message: str) -> None:
    status, said = run(*words)
    assert status != 0
    assert message in said


def test_a_configuration_error_is_one() -> None:
    result = CliRunner().invoke(proxy, ["--listen", PROXY, "--target", "127.63.0.1"])
    assert isinstance(result.exception, ConfigurationError)


@pytest.mark.netns  # for the raw sockets
def test_a_line_with_losses_that_is_unplugged() -> None:
    with RunningServer({"alice": "wonderland"}, address="127.63.0.1") as server:
        command = [sys.executable, "-P", "-m", "pypptp_cli", "proxy", "--listen", f"{PROXY}:17230"]
        command += ["--target", f"{server.address}:{server.port}"]
        with subprocess.Popen(
            [*command, "--duplicate", "20%", "--latency", "1ms", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as program:
            assert program.stderr is not None
            assert "leads to 127.63.0.1" in program.stderr.readline()
            with RunningClient(PROXY, 17230, user="alice", password="wonderland") as client:
                client.await_connected()
                assert all(client.ping() for _ in range(20))
                os.kill(program.pid, signal.SIGUSR1)
                assert "down" in program.stderr.readline()
                assert not client.ping(within=0.1)
                os.kill(program.pid, signal.SIGUSR1)
                assert "up again" in program.stderr.readline()
                assert client.ping()
            time.sleep(0.05)
            program.send_signal(signal.SIGTERM)
            said, _ = program.communicate(timeout=10)
            assert program.returncode == 0
    counters = json.loads(said)
    assert counters["connections"] == 1
    assert counters["to_server"]["duplicated"] > 0
    assert counters["to_server"]["lost"] >= 1


def test_what_it_did_in_words() -> None:
    from pypptp.testing.path import PathCounters
    from pypptp.testing.proxy import ProxyCounters
    from pypptp_cli.proxy import _show

    with CliRunner().isolation() as streams:
        _show(ProxyCounters(2, PathCounters(9, 1, 2, 3, 4), strangers=5, octets=700))
        said = streams[0].getvalue().decode()
    assert "2 control connections, 700 octets of TCP" in said
    assert "GRE to the server: 9 packets, 1 lost, 2 twice, 3 reordered, 4 spoiled" in said
    assert "GRE of strangers: 5" in said
