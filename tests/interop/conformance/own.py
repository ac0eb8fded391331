"""pypptp's own server and client, in a network namespace of this machine."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pypptp import __version__
from pypptp.net.namespaces import Namespace

from ..lab.guest import GuestError
from ..peers.pypptp import COMMAND
from ..peers.settings import PASSWORD, USER
from .results import Record, read
from .run import repeat, run

RUN_LIMIT_SECONDS = 900
START_LIMIT_SECONDS = 30
ECHO_SECONDS, LCP_SECONDS = 2, 2
TIMERS = ["--echo-interval", str(ECHO_SECONDS), "--lcp-echo-interval", str(LCP_SECONDS), "--lcp-echo-failure", "3"]
SERVER = ["server", "--local", "192.168.88.1", "--remote", "192.168.88.100-219", "--nat", "none", *TIMERS]
CLIENT = ["client", "--server", "{server}", "--user", USER, *TIMERS]
COMMON = ["--timeout", "2", "--user", USER, "--json", "--dut-timers"]
CLIENTS_TO = "127.0.0.9"


def run_server(again: Sequence[str] = ()) -> Record:
    """Hold the server against the checks; with ids, only against these, into the record there is."""
    words = [*COMMON, f"start=5,echo={ECHO_SECONDS},lcp={LCP_SECONDS}x3"]

    def invoke(further: Sequence[str]) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder, Namespace("conformance") as namespace:
            secrets, log = Path(folder, "chap-secrets"), Path(folder, "log")
            secrets.write_text(f"{USER} * {PASSWORD} *\n")
            secrets.chmod(0o600)
            own = ["--secrets", str(secrets), "--instance", f"conformance-{os.getpid()}"]
            with log.open("wb") as output:
                server = namespace.popen([COMMAND, *SERVER, *own], stdout=output, stderr=output)
            try:
                deadline = time.monotonic() + START_LIMIT_SECONDS
                while b"listening" not in log.read_bytes():
                    if server.poll() is not None or time.monotonic() > deadline:
                        raise GuestError(f"pypptp server does not listen: {log.read_text()}")
                    time.sleep(0.05)
                argv = [COMMAND, "spec", "server", "127.0.0.1", *words, "--server-pid", str(server.pid), *further]
                return _object(namespace, argv)
            finally:
                server.terminate()
                try:
                    server.wait(START_LIMIT_SECONDS)
                except subprocess.TimeoutExpired:
                    server.kill()
                    server.wait()

    if again:
        return repeat(invoke, read("pypptp-server"), again)
    command = shlex.join(["pypptp", "spec", "server", "127.0.0.1", "--server-pid", "PID", *words])
    fresh = Record.fresh(f"pypptp {__version__}", f"`{shlex.join(['pypptp', *SERVER])}`", command)
    return run(invoke, fresh, lambda record: record.write("pypptp-server"))


def run_client(again: Sequence[str] = ()) -> Record:
    """Hold the client against the checks; with ids, only against these, into the record there is."""
    words = [*COMMON, f"echo={ECHO_SECONDS},lcp={LCP_SECONDS}x3"]
    client = shlex.join([COMMAND, *CLIENT])

    def invoke(further: Sequence[str]) -> dict[str, Any]:
        with Namespace("conformance") as namespace:
            return _object(
                namespace, [COMMAND, "spec", "client", "--listen", CLIENTS_TO, "--exec", client, *words, *further]
            )

    if again:
        return repeat(invoke, read("pypptp-client"), again)
    command = shlex.join(["pypptp", "spec", "client", "--listen", CLIENTS_TO, "--exec", "CMD", *words])
    fresh = Record.fresh(f"pypptp {__version__}", f"`{shlex.join(['pypptp', *CLIENT])}`", command)
    return run(invoke, fresh, lambda record: record.write("pypptp-client"))


def _object(namespace: Namespace, argv: Sequence[str]) -> dict[str, Any]:
    environment = os.environ | {"PYPPTP_PASSWORD": PASSWORD}
    program = namespace.popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        out, err = program.communicate(timeout=RUN_LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        program.kill()
        out, err = program.communicate()
        raise GuestError(f"pypptp spec did not end within {RUN_LIMIT_SECONDS} s: {err}") from None
    try:
        found: dict[str, Any] = json.loads(out)
    except ValueError:
        raise GuestError(f"pypptp spec gave no result: {err or out}") from None
    return found
