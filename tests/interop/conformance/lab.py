"""The real server and the real client, in the lab's guest."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..conftest import PROJECT, interpreter_folders
from ..lab.build import check_host, obtain
from ..lab.guest import Guest, GuestError
from ..lab.topology import SERVER_ADDRESS, Lan, Shape
from ..peers.pptp_linux import PptpLinux
from ..peers.pptpd import Pptpd
from ..peers.pypptp import COMMAND
from ..peers.settings import PASSWORD, USER, Settings
from .results import Record
from .run import run

RUN_LIMIT_SECONDS = 1500
"""A whole run; a single check has its own deadline."""
START_SECONDS, ECHO_SECONDS, LCP_SECONDS = 10, 5, 3
SERVER = Settings(echo=LCP_SECONDS, pool=120)
CLIENT = Settings(echo=LCP_SECONDS)
COMMON = ["--timeout", "4", "--user", USER, "--json"]


@contextmanager
def guest() -> Iterator[Guest]:
    """A guest of one's own."""
    check_host()
    running = Guest.boot(obtain(), [PROJECT, *interpreter_folders()])
    try:
        yield running
    finally:
        running.stop()


def run_pptpd(running: Guest) -> Record:
    """Hold pptpd and pppd against the checks, on the server's own loopback: so checks have addresses of their own."""
    words = [*COMMON, "--dut-timers", f"start={START_SECONDS},lcp={LCP_SECONDS}x4"]
    options = ""

    def invoke(further: Sequence[str]) -> dict[str, Any]:
        nonlocal options
        lan = Lan(running, Shape())
        try:
            server = Pptpd(lan.server, SERVER)
            server.start()
            options = server.logs()["server-pptpd-options"]
            argv = [COMMAND, "spec", "server", "127.0.0.1", *words, "--server-pid", str(server.daemon.pid), *further]
            result = lan.server.run(argv, limit=RUN_LIMIT_SECONDS, environment={"PYPPTP_PASSWORD": PASSWORD})
            return _object(result.out, result.err)
        finally:
            lan.close()

    command = shlex.join(["pypptp", "spec", "server", "127.0.0.1", "--server-pid", "PID", *words])
    kept = run(invoke, program(running, "pptpd"), "", command)
    started = f"`stimeout {START_SECONDS}`, `connections {SERVER.pool}`; pppd: {listed(options.splitlines())}"
    return Record(kept.program, started, kept.command, kept.date, kept.seconds, kept.sanity, kept.results)


def run_pptp_linux(running: Guest) -> Record:
    """Hold pptp-linux and pppd against the checks: another machine on a wire, started once for each."""
    words = [*COMMON, "--dut-timers", f"echo={ECHO_SECONDS},echo-timeout={ECHO_SECONDS},lcp={LCP_SECONDS}x4"]
    pppd: list[str] = []

    def invoke(further: Sequence[str]) -> dict[str, Any]:
        lan = Lan(running, Shape())
        try:
            client = PptpLinux(lan.client, SERVER_ADDRESS, CLIENT)
            client.pptp_words = ("--idle-wait", str(ECHO_SECONDS), "--max-echo-wait", str(ECHO_SECONDS))
            pppd[:] = client.prepare()
            enter = ["nsenter", f"--net=/run/netns/{lan.client.space}", f"--mount=/run/mounts/{lan.client.name}", "--"]
            argv = ["nsenter", f"--net=/run/netns/{lan.server.space}", "--", COMMAND, "spec", "client"]
            argv += ["--listen", SERVER_ADDRESS, "--exec", shlex.join([*enter, *pppd]), *words, *further]
            result = running.run(argv, limit=RUN_LIMIT_SECONDS, environment={"PYPPTP_PASSWORD": PASSWORD})
            return _object(result.out, result.err)
        finally:
            lan.close()

    command = shlex.join(["pypptp", "spec", "client", "--listen", SERVER_ADDRESS, "--exec", "CMD", *words])
    kept = run(invoke, program(running, "pptp-linux"), "", command)
    plain = [word for word in pppd if not word.startswith("/tmp")]
    started = f"files by pptpsetup, started as `{shlex.join(plain)}`"
    return Record(kept.program, started, kept.command, kept.date, kept.seconds, kept.sanity, kept.results)


def program(running: Guest, package: str) -> str:
    """The package's version, and pppd's, as Debian names them."""
    versions = running.run(["dpkg-query", "-W", "-f", "${Package} ${Version}, ", package, "ppp"]).check().out
    return versions.rstrip(", ")


def listed(options: Sequence[str]) -> str:
    """pppd's options, without those that are about its log."""
    return ", ".join(f"`{option}`" for option in options if option not in ("debug", "dump") and "log" not in option)


def _object(out: str, err: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(out)
    except ValueError:
        raise GuestError(f"pypptp spec gave no result: {err or out}") from None
    return found
