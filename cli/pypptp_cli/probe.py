"""``pypptp probe``."""

from __future__ import annotations

import asyncio
import json
import os

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pypptp.errors import ConfigurationError
from pypptp.roles import Role
from pypptp.testing.dialogue.case import Target
from pypptp.testing.dialogue.network import TargetSilent
from pypptp.testing.dialogue.sockets import Addresses, ServerNetwork
from pypptp.testing.probe import Findings
from pypptp.testing.probe import probe as ask
from pypptp_cli.targets import resolve

EXIT_UNAVAILABLE = 69
PASSWORD_VARIABLE = "PYPPTP_PASSWORD"  # noqa: S105 - the variable's name


@click.command(epilog="Exit status: 0 it answered, 1 an error, 2 a wrong option, 69 nobody answers.")
@click.argument("target", metavar="HOST[:PORT]")
@click.option("--user", metavar="NAME", help="Log in as, to see MPPE and addresses as well.")
@click.option("--password", metavar="PASSWORD", help=f"The user's (default {PASSWORD_VARIABLE}).")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=4.0,
    show_default=True,
    help="Seconds the server has for each answer.",
)
@click.option("--json", "json_output", is_flag=True, help="Show everything as one object.")
def probe(target: str, user: str | None, password: str | None, timeout: float, json_output: bool) -> int:
    """Ask a server what it is and what it would agree to.

    Without a password it says what it calls itself, how it answers calls, and which ways of logging in it would come to
    ask for. With one also which kinds of MPPE it takes, and which addresses it gives. About ten connections are made,
    and ended in order; nothing hostile is sent. It needs a raw socket, and so root or CAP_NET_RAW.
    """
    address, port = resolve(target)
    password = os.environ.get(PASSWORD_VARIABLE) if password is None else password
    if user is not None and password is None:
        raise ConfigurationError(f"password: not given for {user}; use --password or {PASSWORD_VARIABLE}")
    console = Console(highlight=False, soft_wrap=True)
    asked = Target(role=Role.SERVER, user=user or "probe", password=password or "", timeout=timeout)
    addresses = Addresses(address)
    with Console(stderr=True).status("asking") as status:
        work = ask(
            asked,
            lambda: ServerNetwork(address, port, addresses, timeout),
            address,
            port,
            with_password=user is not None,
            report=lambda what: status.update(f"asking: {escape(what)}"),
        )
        try:
            findings = asyncio.run(work)
        except TargetSilent as error:
            click.echo(f"pypptp: nobody answers: {error}", err=True)
            return EXIT_UNAVAILABLE
    if json_output:
        click.echo(json.dumps(findings.as_json()))
    else:
        _show(findings, console)
    return 0


def _show(findings: Findings, console: Console) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for title, words in _rows(findings):
        table.add_row(title, escape(words))
    console.print(f"{findings.server} port {findings.port}")
    console.print(table)
    for quirk in findings.quirks:
        console.print(f"[yellow]![/] {escape(quirk)}")
    for remark in findings.remarks:
        console.print(f"[cyan]?[/] {escape(remark)}")


def _rows(findings: Findings) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    control, call, link = findings.control, findings.call, findings.link
    if control is not None:
        rows += [
            ("host name", control.host_name or "none"),
            ("vendor", f"{control.vendor_name or 'none'}, firmware {control.firmware_revision}"),
            ("start", f"{control.result}, version 0x{control.version:04x}, {control.seconds * 1000:.1f} ms"),
            (
                "capabilities",
                f"framing {control.framing}, bearer {control.bearer}, {control.maximum_channels} channels at most",
            ),
        ]
        rows += [("looks like", ", ".join(control.looks_like))] if control.looks_like else []
    if call is not None:
        rows.append(("call", f"{call.result}, {call.connect_speed} bit/s, window {call.window}"))
        rows.append(("call ids", ", ".join(map(str, call.call_ids)) or "none"))
    if link is not None:
        rows.append(("LCP", ", ".join(link.options) or "nothing asked for"))
        if link.identification:
            rows.append(("says", ", ".join(link.identification)))
        rows.append(("asks for", link.authentication or "no proof"))
        if link.agrees_to:
            rows.append(("agrees to", ", ".join(link.agrees_to)))
        rows += [(f"not {name}", words) for name, words in link.refuses.items()]
    if findings.encryption is not None:
        rows.append(("CCP", ", ".join(findings.encryption.asks_for) or "nothing asked for"))
        rows += [(f"MPPE {name}", words) for name, words in findings.encryption.answers.items()]
    network = findings.network
    if network is not None:
        rows.append(("addresses", f"{network.address} from {network.gateway}"))
        rows += [(title, ", ".join(found)) for title, found in (("dns", network.dns), ("wins", network.wins)) if found]
    return rows
