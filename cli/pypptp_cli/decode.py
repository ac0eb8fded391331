"""``pypptp decode``: what a capture file holds of PPTP, decrypted where the password is known."""

from __future__ import annotations

import json
import os
from ipaddress import IPv4Address
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.table import Table

from pypptp.capture.credentials import Credentials
from pypptp.capture.decoding import TO_CLIENT, TO_SERVER, Decoded, MessageLine
from pypptp.capture.decoding import decode as decode_capture
from pypptp.capture.pcap_file import NANOSECONDS, CaptureError, PcapWriter, read_capture

PASSWORD_VARIABLE = "PYPPTP_PASSWORD"  # noqa: S105 - the variable's name


class WrongInputError(click.ClickException):
    """An option or a file that cannot be used, named in one sentence."""

    exit_code = 2


@click.command(short_help="List and decrypt the PPTP sessions of a capture file.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--user", metavar="NAME", help="Decrypt the sessions of this user; without it nothing but counting is done."
)
@click.option(
    "--password", metavar="TEXT", help=f"The user's password. {PASSWORD_VARIABLE} keeps it out of the process list."
)
@click.option(
    "--password-file", metavar="FILE", type=click.Path(path_type=Path), help="A file whose first line is the password."
)
@click.option("--json", "as_json", is_flag=True, help="Print the counts as one JSON object, and nothing else.")
@click.option(
    "-w",
    "--write",
    "inner",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the IP packets from inside the tunnel as a capture file.",
)
def decode(
    file: Path, user: str | None, password: str | None, password_file: Path | None, as_json: bool, inner: Path | None
) -> None:
    """Show what the capture FILE (pcap or pcapng) holds of PPTP.

    Control, LCP, CHAP, CCP and IPCP messages are listed in order. With a user and a password the keys are derived from
    the recorded MS-CHAP login and every MPPE frame is decrypted.
    """
    credentials = _credentials(user, password, password_file)
    try:
        capture = read_capture(file)
    except CaptureError as error:
        raise WrongInputError(f"{file}: {error}") from error
    decoded = decode_capture(capture, credentials)
    if inner is not None:
        _write_inner(decoded, inner, file)
    _remark(decoded, credentials)
    if as_json:
        click.echo(json.dumps(decoded.as_json()))
    else:
        _show(decoded)


def _credentials(user: str | None, password: str | None, password_file: Path | None) -> Credentials | None:
    if user is None:
        if password is not None or password_file is not None:
            click.echo("pypptp: a password without --user decrypts nothing", err=True)
        return None
    if password is not None and password_file is not None:
        raise WrongInputError("--password and --password-file exclude each other")
    if password_file is not None:
        try:
            with password_file.open(encoding="utf-8") as lines:
                password = lines.readline().rstrip("\r\n")
        except OSError as error:
            raise WrongInputError(f"--password-file {password_file}: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise WrongInputError(f"--password-file {password_file}: not UTF-8 text") from error
    if password is None:
        password = os.environ.get(PASSWORD_VARIABLE)
    if password is None:
        raise WrongInputError(f"--user needs --password, --password-file or {PASSWORD_VARIABLE}")
    return Credentials(user, password)


def _write_inner(decoded: Decoded, path: Path, capture: Path) -> None:
    try:
        # The capture itself is in memory by now; opened for writing, it would be gone from the disk.
        if path.exists() and path.samefile(capture):
            raise WrongInputError(f"-w {path}: is the capture itself")
        with PcapWriter(path) as writer:
            for inner in decoded.inner:
                writer.write(inner.time, inner.packet, len(inner.packet) + inner.missing)
    except (OSError, CaptureError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise WrongInputError(f"-w {path}: {reason}") from error


def _remark(decoded: Decoded, credentials: Credentials | None) -> None:
    if decoded.recording.damage:
        click.echo(f"pypptp: {decoded.recording.damage}; what comes before it was read", err=True)
    if credentials is None:
        return
    tried = [session for session in decoded.sessions if session.password_fits is not None]
    if not tried:
        click.echo("pypptp: no MS-CHAP login that was accepted, so there are no keys", err=True)
    for session in tried:
        if not session.password_fits:
            names = ", ".join(f'"{user}"' for user in session.users)
            click.echo(f"pypptp: user and password do not fit the login of {names}", err=True)


def _show(decoded: Decoded) -> None:
    first = decoded.recording.first_time
    for line in decoded.messages():
        seconds = (line.time - first) / NANOSECONDS
        click.echo(f"{line.number:>6} {seconds:>11.6f} {_arrow(line)} {line.layer:<6} {line.text}")
    gre = decoded.recording.gre
    if decoded.recording.control or gre.total:
        click.echo()
    click.echo(
        f"{decoded.recording.packets} packets: {len(decoded.recording.control)} control messages, {gre.total} GRE "
        f"({gre.ack_only} acknowledgements alone, {gre.seq_and_ack} with payload, {gre.seq_only} payload alone)"
    )
    for session in decoded.sessions:
        who = ", ".join(session.users) or "no MS-CHAP login"
        click.echo(f"session {session.client} > {session.server}: {who}; {session.mppe or 'no MPPE agreed on'}")
    if any(totals.frames for totals in decoded.mppe.values()):
        _show_mppe(decoded)


def _arrow(line: MessageLine) -> str:
    if line.from_client is None:
        return _ends(line.source, line.destination)
    return "client > server" if line.from_client else "server > client"


def _ends(source: IPv4Address | None, destination: IPv4Address | None) -> str:
    return f"{source} > {destination}" if source is not None else f"{'on the link':<15}"


def _show_mppe(decoded: Decoded) -> None:
    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("MPPE")
    for title in ("frames", "decrypted", "duplicates", "undecryptable"):
        table.add_column(title, justify="right")
    for key, title in ((TO_SERVER, "client > server"), (TO_CLIENT, "server > client")):
        totals = decoded.mppe[key]
        counts = (totals.frames, totals.decrypted, totals.duplicates, totals.undecryptable)
        table.add_row(title, *map(str, counts))
    Console(highlight=False).print(table)
