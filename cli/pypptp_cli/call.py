"""``pypptp call``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import click

from pypptp.errors import ConfigurationError
from pypptp.net.journal import Journal
from pypptp.net.linux import LinuxEdge
from pypptp.service.background import run_in_background
from pypptp.service.connect import run_client
from pypptp.service.control_socket import instances, name_from
from pypptp.service.credentials import Credentials, find_credentials
from pypptp.service.findings import log_findings
from pypptp.service.peers import Connection, find_connection
from pypptp.service.run import require_system, set_up_logging
from pypptp.service.secrecy import guard_memory
from pypptp.service.settings import ClientSettings, make_settings
from pypptp_cli.client import ask_at_terminal
from pypptp_cli.completing import complete_peers
from pypptp_cli.settings_options import settings_options


@click.command(
    short_help="Connect by a name that was set up, in place of pppd call.",
    epilog="Exit status: as that of 'pypptp client'.",
)
@click.argument("name", shell_complete=complete_peers)
@click.option(
    "--detach", is_flag=True, help="Go to the background once connected; the exit status says whether it came so far."
)
@settings_options(ClientSettings, preset="the file")
def call(name: str, detach: bool, **flags: Any) -> int:
    """Connect as /etc/ppp/peers/NAME says, or the connection of NetworkManager's that has that name.

    A peers file is read as 'pypptp setup', pptpsetup or somebody wrote it for pppd, with /etc/ppp/options before it and
    /etc/ppp/chap-secrets for the password. What is not supported is told, once for each word. Options given here win
    over the file. Without --detach it stays in the foreground; 'pypptp hangup NAME' ends it in either case.
    """
    connection = find_connection(name)
    settings = make_settings(ClientSettings, flags, {"instance": name_from(name)} | connection.read.values)
    set_up_logging(settings.log_level)
    guard_memory()
    _see_that_it_is_free(settings.instance)
    credentials = _credentials(connection, settings, flags)
    log_findings(connection.findings)
    require_system()

    def connect(connected: Callable[[], None] | None = None) -> int:
        edge = LinuxEdge(Journal(str(settings.instance)))
        return run_client(settings, credentials, edge=edge, on_connected=connected)

    if detach:
        return run_in_background(str(settings.instance), connect)
    return connect()


def _see_that_it_is_free(instance: str | None) -> None:
    """Say at once what the control socket would say, before somebody is asked for a password."""
    for running in instances():
        if running.name == instance:
            raise ConfigurationError(
                f"'{instance}' is connected or connecting already (process {running.pid}); "
                f"'pypptp hangup {instance}' ends that, and --instance gives this one another name"
            )


def _credentials(connection: Connection, settings: ClientSettings, flags: dict[str, Any]) -> Credentials:
    """Find what proves the user: a flag's, the file's, then what is asked for."""
    terminal = sys.stdin is not None and sys.stdin.isatty()
    if settings.user is not None and settings.password is None and settings.password_file is None:
        known = connection.credentials(settings.user)
        if known is not None:
            return known
    if terminal:
        log_findings(connection.findings)
        connection.findings.clear()
        require_system()
    return find_credentials(
        settings,
        environment=os.environ,
        prompt=ask_at_terminal if terminal else None,
        password_on_command_line=flags.get("password") is not None,
    )
