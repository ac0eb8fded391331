"""The real server and the real client, in the lab's guest."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ..conftest import PROJECT, interpreter_folders
from ..lab.build import check_host, obtain
from ..lab.guest import Guest, GuestError
from ..lab.topology import SERVER_ADDRESS, Lan, Shape
from ..peers.pptp_linux import PptpLinux
from ..peers.pptpd import AUTH_OPTIONS, Pptpd
from ..peers.pypptp import COMMAND
from ..peers.settings import PASSWORD, USER, Settings, pppd_options
from .results import Record, read
from .run import repeat, run

RUN_LIMIT_SECONDS = 1500
"""A whole run; a single check has its own deadline."""
START_SECONDS, ECHO_SECONDS, LCP_SECONDS = 10, 5, 3
SERVER = Settings(echo=LCP_SECONDS, pool=120)
CLIENT = Settings(echo=LCP_SECONDS)
COMMON = ["--user", USER, "--json", "--timeout"]

CLEAN_CLIENT = """\
#!/bin/sh
# A call manager that hangs would be used by the next pptp, which then never connects.
for pid in $(ip netns pids {space}); do kill -9 "$pid"; done
{enter} sh -c 'rm -f /run/pptp/* /run/ppp*.pid /var/lock/LCK*'
exec {enter} {pppd}
"""
"""Starts the client after what was left of the one before has been ended."""


@contextmanager
def guest() -> Iterator[Guest]:
    """A guest of one's own."""
    check_host()
    running = Guest.boot(obtain(), [PROJECT, *interpreter_folders()])
    try:
        yield running
    finally:
        running.stop()


def run_pptpd(running: Guest, again: Sequence[str] = ()) -> Record:
    """Hold pptpd and pppd against the checks, on the server's own loopback: so checks have addresses of their own.

    With ids, only these, into the record there is.
    """
    words = [*COMMON, "3", "--dut-timers", f"start={START_SECONDS},lcp={LCP_SECONDS}x4"]
    options = [*pppd_options(SERVER), *AUTH_OPTIONS[SERVER.auth]]
    started = f"`stimeout {START_SECONDS}`, `connections {SERVER.pool}`; pppd: {listed(options)}"

    def invoke(further: Sequence[str]) -> dict[str, Any]:
        lan = Lan(running, Shape())
        try:
            server = Pptpd(lan.server, SERVER)
            server.start()
            argv = [COMMAND, "spec", "server", "127.0.0.1", *words, "--server-pid", str(server.daemon.pid), *further]
            result = lan.server.run(argv, limit=RUN_LIMIT_SECONDS, environment={"PYPPTP_PASSWORD": PASSWORD})
            return _object(result.out, result.err)
        finally:
            lan.close()

    if again:
        return replace(repeat(invoke, read("pptpd"), again), target=started)
    command = shlex.join(["pypptp", "spec", "server", "127.0.0.1", "--server-pid", "PID", *words])
    fresh = Record.fresh(program(running, "pptpd"), started, command)
    return run(invoke, fresh, lambda record: record.write("pptpd"))


def run_pptp_linux(running: Guest, again: Sequence[str] = ()) -> Record:
    """Hold pptp-linux and pppd against the checks: another machine on a wire, started once for each.

    With ids, only these, into the record there is.
    """
    words = [*COMMON, "2", "--dut-timers", f"echo={ECHO_SECONDS},echo-timeout={ECHO_SECONDS},lcp={LCP_SECONDS}x4"]
    started = (
        f"set up by pptpsetup; `--idle-wait {ECHO_SECONDS}`; pppd: {listed(pppd_options(CLIENT))}, MS-CHAPv2 alone"
    )

    def invoke(further: Sequence[str]) -> dict[str, Any]:
        lan = Lan(running, Shape())
        try:
            client = PptpLinux(lan.client, SERVER_ADDRESS, CLIENT)
            client.pptp_words = ("--idle-wait", str(ECHO_SECONDS))
            pppd = client.prepare()
            enter = ["nsenter", f"--net=/run/netns/{lan.client.space}", f"--mount=/run/mounts/{lan.client.name}", "--"]
            script = CLEAN_CLIENT.format(space=lan.client.space, enter=shlex.join(enter), pppd=shlex.join(pppd))
            starter = lan.client.write("client-under-test", script, 0o755)
            argv = ["nsenter", f"--net=/run/netns/{lan.server.space}", "--", COMMAND, "spec", "client"]
            argv += ["--listen", SERVER_ADDRESS, "--exec", starter, *words, *further]
            result = running.run(argv, limit=RUN_LIMIT_SECONDS, environment={"PYPPTP_PASSWORD": PASSWORD})
            return _object(result.out, result.err)
        finally:
            lan.close()

    if again:
        return replace(repeat(invoke, read("pptp-linux"), again), target=started)
    command = shlex.join(["pypptp", "spec", "client", "--listen", SERVER_ADDRESS, "--exec", "CMD", *words])
    fresh = Record.fresh(program(running, "pptp-linux"), started, command)
    return run(invoke, fresh, lambda record: record.write("pptp-linux"), side_by_side=False)


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
