"""``pypptp server``."""

from __future__ import annotations

from typing import Any

import click

from pypptp.auth.account import Account
from pypptp.net.journal import Journal
from pypptp.net.linux import LinuxEdge
from pypptp.service.findings import log_findings
from pypptp.service.run import require_system, set_up_logging
from pypptp.service.secrecy import guard_memory
from pypptp.service.serve import run_server
from pypptp.service.settings import ServerSettings
from pypptp_cli.settings_options import read_settings, settings_options


@click.command(epilog="The session ends with Ctrl-C or SIGTERM, and everything is as it was before.")
@settings_options(ServerSettings)
def server(**flags: Any) -> None:
    """Serve PPTP clients, in place of pptpd and pppd.

    With no --secrets a user is made up and shown once. With --config /etc/pptpd.conf the files of pptpd and pppd are
    read as they are, /etc/ppp/chap-secrets among them; SIGHUP reads the users again.

    MS-CHAPv2 can be cracked offline by anyone who hears a log-in, and MPPE has no integrity: use PPTP for networks you
    cannot change, for labs and for tests.
    """
    settings, findings = read_settings(ServerSettings, flags)
    set_up_logging(settings.log_level)
    guard_memory()
    log_findings(findings)
    require_system()
    run_server(settings, edge=LinuxEdge(Journal(settings.instance or "server")), announce_account=_announce)


def _announce(account: Account) -> None:
    """Show the user that was made up: on the terminal once, never in the log."""
    click.echo(
        f"\n    No --secrets given, so here is a user for this run:\n\n"
        f"        user:     {account.user}\n"
        f"        password: {account.password}\n\n"
        f"    On the other host:\n"
        f"        PYPPTP_PASSWORD={account.password} pypptp client --server HOST --user {account.user}\n",
        err=True,
    )
