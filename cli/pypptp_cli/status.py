"""``pypptp status``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from pypptp.errors import PptpError
from pypptp.service.control_socket import NothingRuns, ask, instances
from pypptp.service.control_socket.asking import nothing_runs
from pypptp_cli.asking import instance_option, json_option, moment, octets, print_json, shown
from pypptp_cli.main import EXIT_FAILURE

PATIENCE = 5.0
"""Seconds for each instance; one of several that hangs must not hide the others."""


@click.command()
@instance_option
@json_option
@click.pass_context
def status(ctx: click.Context, instance: str | None, as_json: bool) -> None:
    """Show which servers and clients run here, and how they are.

    Without --instance all of them are shown. A server or client is asked over its socket in /run/pypptp/control, by
    root or by the user who started it. The exit status is 1 where nothing runs or something does not answer.
    """
    if instance is not None:
        found = [ask(instance, "status", patience=PATIENCE)]
    else:
        found = [_ask(running.name, running.kind, running.pid) for running in instances()]
    if as_json:
        print_json({"instances": found})
    elif not found:
        raise NothingRuns(nothing_runs(kind="server or client"))
    else:
        click.echo("\n".join(line for answer in found for line in describe(answer)))
    if not found or not all(answer["ok"] for answer in found):
        ctx.exit(EXIT_FAILURE)


def _ask(name: str, kind: str, pid: int) -> Mapping[str, Any]:
    try:
        return ask(name, "status", patience=PATIENCE)
    except PptpError as error:
        return {"ok": False, "instance": name, "kind": kind, "pid": pid, "error": str(error)}


def describe(answer: Mapping[str, Any]) -> Iterator[str]:
    """Describe one instance in lines."""
    head = f"{shown(answer['kind'] or 'process')} '{shown(answer['instance'])}' (process {shown(answer['pid'])})"
    if not answer["ok"]:
        yield f"{head}: {shown(answer['error'], 200)}"
    elif answer["kind"] == "server":
        yield f"{head}: {shown(answer['state'])} since {moment(answer['since'])}"
        yield from _server(answer)
    else:
        yield f"{head}: {shown(answer['state'])} since {moment(answer['since'])}"
        yield from _client(answer)


def _server(answer: Mapping[str, Any]) -> Iterator[str]:
    nat = f", clients appear behind the address of {shown(answer['nat'])}" if answer["nat"] else ", no NAT"
    yield (
        f"    listens on {shown(answer['listen'])} port {shown(answer['port'])} as '{shown(answer['name'])}', "
        f"{shown(answer['local'])} in the tunnels{nat}"
    )
    yield f"    {_count(answer['sessions'], 'session')} on {_count(answer['connections'], 'connection')}"
    for pool in answer["pools"]:
        name = f" of pool '{shown(pool['name'])}'" if pool["name"] else ""
        yield f"    {shown(pool['in_use'])} of {_count(pool['size'], 'address', 'addresses')}{name} in use"
    if len(answer["processes"]) > 1:
        each = (
            f"{shown(process['pid'])} ({_count(process['connections'], 'connection')})"
            for process in answer["processes"]
        )
        yield f"    worker processes: {', '.join(each)}"


def _client(answer: Mapping[str, Any]) -> Iterator[str]:
    yield f"    to {shown(answer['server'], 64)} as '{shown(answer['user'])}'"
    if answer["local"] is not None:
        dns = "".join(f", dns {shown(server)}" for server in answer["dns"])
        yield (
            f"    {shown(answer['interface'])}, {shown(answer['local'])} to {shown(answer['peer'])}, "
            f"{shown(answer['method'] or 'no authentication')}, {shown(answer['encryption'])}, "
            f"mtu {shown(answer['mtu'])}{dns}"
        )
        counters = answer["counters"]
        yield (
            f"    in {counters.get('packets_in', 0)} packets {octets(counters.get('octets_in', 0))}, "
            f"out {counters.get('packets_out', 0)} packets {octets(counters.get('octets_out', 0))}"
        )
    if answer["tries"]:
        yield f"    tries since it was last connected: {shown(answer['tries'])}"
    if answer["next_try"] is not None:
        yield f"    next try: {moment(answer['next_try'])}"
    if answer["failure"]:
        yield f"    last failure: {shown(answer['failure'], 200)}"


def _count(number: Any, one: str, many: str = "") -> str:
    """Return for example ``1 session``, ``2 sessions``."""
    return f"{shown(number)} {one if number == 1 else many or one + 's'}"
