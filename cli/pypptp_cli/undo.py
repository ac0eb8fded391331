"""``pypptp undo``."""

from __future__ import annotations

import os

import click

from pypptp.errors import NetworkError
from pypptp.net.journal_folder import journal_folder
from pypptp.net.recovery import recover
from pypptp.service.control_socket import remove_all_dead
from pypptp_cli.main import EXIT_FAILURE


@click.command(epilog="What a running pypptp changed is left alone: stop it, and it takes its changes back itself.")
@click.option("--dry-run", is_flag=True, help="Only say what would be taken back")
@click.option("--keep-kill-switch", is_flag=True, help="Leave a client's kill switch in place")
@click.pass_context
def undo(ctx: click.Context, dry_run: bool, keep_kill_switch: bool) -> None:
    """Take back what a server or client that was killed left behind.

    Routes, firewall tables, IPv4 forwarding and proxy ARP of this network namespace, and the name servers, become what
    they were before. So does a kill switch: from then on packets may leave in clear again. A server or client does the
    same when it starts.
    """
    if os.geteuid() != 0:
        click.echo("what was started as root is not looked at: run this as root for it", err=True)
    try:
        folder = journal_folder()
    except NetworkError as error:
        click.echo(f"nothing to take back: this user has no journal ({error})")
        return
    if not dry_run:
        # A killed process's control socket: nobody misses it, and nobody is to wonder at it.
        remove_all_dead()
    recovery = recover(folder=folder, dry_run=dry_run, keep_kill_switch=keep_kill_switch)
    for change in recovery.taken_back:
        click.echo(f"{'would take back' if dry_run else 'took back'} {change}")
    for change in recovery.left:
        click.echo(f"left alone: {change}")
    if recovery.dropped:
        entries = "1 entry" if recovery.dropped == 1 else f"{recovery.dropped} entries"
        click.echo(f"{'would forget' if dry_run else 'forgot'} {entries} of a boot or a namespace that is over")
    for sentence in recovery.errors:
        click.echo(f"pypptp: {sentence}", err=True)
    if recovery.errors:
        ctx.exit(EXIT_FAILURE)
    if not recovery.taken_back:
        click.echo("nothing to take back")
