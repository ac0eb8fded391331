"""``pypptp client``."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from pypptp.net.journal import Journal
from pypptp.net.linux import LinuxEdge
from pypptp.service.connect import run_client
from pypptp.service.credentials import find_credentials
from pypptp.service.findings import log_findings
from pypptp.service.run import require_system, set_up_logging
from pypptp.service.secrecy import guard_memory
from pypptp.service.settings import ClientSettings
from pypptp_cli.settings_options import read_settings, settings_options


@click.command(
    epilog="The session ends with Ctrl-C or SIGTERM, and everything is as it was before. With --kill-switch, a client "
    "that was killed or gave up leaves the way shut, until it is started again or 'pypptp undo' is run."
)
@settings_options(ClientSettings)
def client(**flags: Any) -> int:
    """Connect to a PPTP server, in place of pptp-linux and pppd.

    Without --default-route or --route only the server's own inner address is reached through the tunnel. MS-CHAPv2 can
    be cracked offline by anyone who hears the log-in, and MPPE has no integrity: use PPTP for networks you cannot
    change, for labs and for tests.
    """
    settings, findings = read_settings(ClientSettings, flags)
    set_up_logging(settings.log_level)
    guard_memory()
    log_findings(findings)
    # Standard input is None where it was closed.
    terminal = sys.stdin is not None and sys.stdin.isatty()
    if terminal:
        require_system()
    credentials = find_credentials(
        settings,
        environment=os.environ,
        prompt=ask_at_terminal if terminal else None,
        password_on_command_line=flags.get("password") is not None,
    )
    require_system()
    return run_client(settings, credentials, edge=LinuxEdge(Journal(settings.instance or "client")))


def ask_at_terminal(what: str, hidden: bool) -> str:
    """Ask for a name or, without an echo, a password."""
    answer: str = click.prompt(what, hide_input=hidden, err=True)
    return answer
