"""``pypptp hangup``."""

from __future__ import annotations

import os
import select

import click
from click.shell_completion import CompletionItem

from pypptp.errors import PptpError
from pypptp.service.control_socket import NothingRuns, RequestRefused, ask, instances, name_from

PATIENCE = 20.0
"""Seconds until a connection is gone; what it does to the system is taken back before."""


def complete_clients(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Complete the name of a client that runs."""
    try:
        names = [found.name for found in instances() if found.kind == "client"]
    except PptpError:
        return []
    return [CompletionItem(name) for name in names if name.startswith(typed)]


@click.command(short_help="End a connection that 'pypptp call' made.")
@click.argument("name", shell_complete=complete_clients)
def hangup(name: str) -> None:
    """End the connection NAME, and wait until it is gone.

    Any client can be named: that of 'pypptp client' has the name of its --instance, which is "client" where none was
    given.
    """
    instance = name_from(name)
    running = next((found for found in instances() if found.name == instance), None)
    if running is None:
        raise NothingRuns(f"'{name}' is not connected; 'pypptp list' shows what is")
    if running.kind == "server":
        raise RequestRefused(f"'{name}' is a server; 'pypptp disconnect' ends its sessions, SIGTERM the server")
    try:
        process = os.pidfd_open(running.pid)
    except ProcessLookupError:
        process = None
    ask(instance, "stop")
    if process is not None and not _await_end(process):
        raise RequestRefused(f"'{name}' (process {running.pid}) does not end; kill -9 {running.pid}, then pypptp undo")
    click.echo(f"'{name}' hung up", err=True)


def _await_end(process: int) -> bool:
    """Wait for the end of a process, of which this is a descriptor; say whether it came."""
    try:
        poll = select.poll()
        poll.register(process, select.POLLIN)
        return bool(poll.poll(PATIENCE * 1000))
    finally:
        os.close(process)
