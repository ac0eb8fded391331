"""``pypptp convert``."""

from __future__ import annotations

from pathlib import Path

import click

from pypptp.service.findings import Level
from pypptp.service.legacy import SYSTEM_OPTIONS, SYSTEM_SECRETS, read_pptpd_conf
from pypptp.service.settings import ServerSettings, make_settings
from pypptp.service.toml_writer import write_toml


@click.command(
    short_help="Write pptpd's files as a settings file of pypptp's.",
    epilog="For example: pypptp convert /etc/pptpd.conf > pypptp.toml",
)
@click.argument("file", default="/etc/pptpd.conf", type=click.Path(path_type=Path))
@click.option(
    "--options",
    metavar="FILE",
    default=str(SYSTEM_OPTIONS),
    show_default=True,
    help="What pppd reads before the file that FILE names; 'none' for nothing.",
)
@click.option(
    "--secrets",
    metavar="FILE",
    default=str(SYSTEM_SECRETS),
    show_default=True,
    help="The users, if this file is there; 'none' to leave them out.",
)
def convert(file: Path, options: str, secrets: str) -> None:
    """Write pptpd's FILE, and the option files of pppd that go with it, as a settings file on standard output.

    Each key says where it comes from; 'pypptp server --config' makes the same settings of both. What could not be taken
    over is told on standard error, and at the end of the file.
    """
    read = read_pptpd_conf(
        file,
        system_options=None if options == "none" else Path(options),
        secrets=None if secrets == "none" else Path(secrets),
    )
    # What no server would start with is said now.
    make_settings(ServerSettings, {}, read.values)
    for finding in read.findings:
        if finding.level > Level.INFO:
            click.echo(f"pypptp: {finding}", err=True)
    head = f"Settings of 'pypptp server', written by 'pypptp convert' from {', '.join(read.files)}."
    text = write_toml(ServerSettings, read.values, origins=read.origins, findings=read.findings, head=head)
    click.echo(text, nl=False)
