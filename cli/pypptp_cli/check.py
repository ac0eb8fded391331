"""``pypptp check``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pypptp.errors import ConfigurationError, NetworkError
from pypptp.net.probe import probe
from pypptp.service.findings import Finding, Level
from pypptp.service.lint import Surroundings, lint_file, lint_system

if TYPE_CHECKING:
    from pypptp.net.addresses import LocalAddress

EXIT_ERRORS = 1
EXIT_UNREADABLE = 2


@click.command(
    short_help="Look through a server's or a client's files without starting it.",
    epilog="Exit status: 0 nothing wrong, warnings perhaps; 1 errors; 2 a file cannot be read.",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else.")
@click.option("--no-system", is_flag=True, help="Look at the files alone, not at this machine.")
@click.option("-q", "--quiet", is_flag=True, help="Leave out what has no effect and needs none.")
def check(files: tuple[Path, ...], as_json: bool, no_system: bool, quiet: bool) -> int:
    """Look through files without starting anything: pptpd.conf, pppd's options, chap-secrets, peers files, TOML.

    Each finding is one line, FILE:LINE: LEVEL: what is wrong and what to do. A pptpd.conf is looked through with the
    option files and the secrets that go with it; so is a peers file, and a connection of NetworkManager's.
    """
    found: list[Finding] = []
    unreadable: list[str] = []
    around = Surroundings(addresses=[] if no_system else _addresses())
    for path in files:
        try:
            found += lint_file(path, around)
        except ConfigurationError as error:
            unreadable.append(str(error))
    if not no_system:
        found += lint_system(probe())
    # One file may be named by several: each thing is said once.
    findings = [finding for finding in dict.fromkeys(found) if not (quiet and finding.level == Level.INFO)]
    if as_json:
        click.echo(json.dumps(_as_object(findings, unreadable)))
    else:
        for finding in findings:
            click.echo(str(finding))
    for sentence in unreadable:
        click.echo(f"pypptp: {sentence}", err=True)
    if unreadable:
        return EXIT_UNREADABLE
    return EXIT_ERRORS if any(finding.level == Level.ERROR for finding in findings) else 0


def _as_object(findings: list[Finding], unreadable: list[str]) -> dict[str, object]:
    """Put the findings in the shape of version 1: keys may come, but none goes or changes its meaning."""
    return {
        "version": 1,
        "findings": [
            {
                "file": finding.source or None,
                "line": finding.line or None,
                "level": finding.level.name.lower(),
                "message": finding.message,
            }
            for finding in findings
        ],
        "unreadable": unreadable,
    }


def _addresses() -> list[LocalAddress]:
    if not sys.platform.startswith("linux"):
        return []
    # Not before: pyroute2 is installed on Linux alone.
    from pypptp.net.addresses import local_addresses

    try:
        return local_addresses()
    except NetworkError:
        return []
