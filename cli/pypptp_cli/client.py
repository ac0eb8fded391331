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
from pypptp.service.settings import ClientSettings
from pypptp_cli.settings_options import read_settings, settings_options


@click.command(epilog="The session ends with Ctrl-C or SIGTERM, and everything is as it was before.")
@settings_options(ClientSettings)
def client(**flags: Any) -> None:
    """Connect to a PPTP server, in place of pptp-linux and pppd.

    Without --default-route or --route only the server's own inner address is reached through the tunnel. MS-CHAPv2 can
    be cracked offline by anyone who hears the log-in, and MPPE has no integrity: use PPTP for networks you cannot
    change, for labs and for tests.
    """
    settings, findings = read_settings(ClientSettings, flags)
    set_up_logging(settings.log_level)
    log_findings(findings)
    # Standard input is None where it was closed.
    terminal = sys.stdin is not None and sys.stdin.isatty()
    if terminal:
        require_system()
    credentials = find_credentials(
        settings,
        environment=os.environ,
        prompt=_ask if terminal else None,
        password_on_command_line=flags.get("password") is not None,
    )
    require_system()
    run_client(settings, credentials, edge=LinuxEdge(Journal("client")))


def _ask(what: str, hidden: bool) -> str:
    answer: str = click.prompt(what, hide_input=hidden, err=True)
    return answer
