"""``pypptp decode``: what a capture file holds of PPTP, decrypted where the password is known."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pypptp.capture.credentials import Credentials
from pypptp.capture.decoding import TO_CLIENT, TO_SERVER, Decoded, InnerPacket, MessageLine
from pypptp.capture.decoding import decode as decode_capture
from pypptp.capture.export import hashcat_lines, john_lines
from pypptp.capture.ladder import html_ladder, text_ladder
from pypptp.capture.live import LiveDecoder, sniff
from pypptp.capture.pcap_file import LINKTYPE_RAW, NANOSECONDS, Capture, CaptureError, PcapWriter, read_capture
from pypptp.capture.pcapng_writer import PcapngWriter

PASSWORD_VARIABLE = "PYPPTP_PASSWORD"  # noqa: S105 - the variable's name


class WrongInputError(click.ClickException):
    """An option or a file that cannot be used, named in one sentence."""

    exit_code = 2


LAYER_STYLES = {
    "PPTP": "blue",
    "LCP": "green",
    "CHAP": "yellow",
    "PAP": "red",
    "CCP": "magenta",
    "IPCP": "cyan",
}
ORIGINAL, DECRYPTED = "captured", "decrypted"


@click.command(short_help="List and decrypt the PPTP sessions of a capture file.")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--interface", metavar="NAME", help="Follow a live interface instead, until Ctrl-C (root).")
@click.option(
    "--user", metavar="NAME", help="Decrypt the sessions of this user; without it nothing but counting is done."
)
@click.option(
    "--password", metavar="TEXT", help=f"The user's password. {PASSWORD_VARIABLE} keeps it out of the process list."
)
@click.option(
    "--password-file", metavar="FILE", type=click.Path(path_type=Path), help="A file whose first line is the password."
)
@click.option(
    "--layer", "layers", metavar="NAME", multiple=True, help="Show only pptp, lcp, chap, ccp, ...; may be repeated."
)
@click.option("--session", metavar="N", type=click.IntRange(1), help="Show only one session, counted from 1.")
@click.option("--ladder", type=click.Choice(["text", "html"]), help="Show the exchange as a ladder.")
@click.option(
    "--export",
    type=click.Choice(["hashcat", "john"]),
    help="Print the MS-CHAP log-ins for an audit of your own users' passwords, and nothing else.",
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
@click.option(
    "--write-both",
    "both",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write a pcapng with every packet and, behind it, what was decrypted of it.",
)
def decode(
    file: Path | None,
    interface: str | None,
    user: str | None,
    password: str | None,
    password_file: Path | None,
    **wanted: Any,
) -> None:
    """Show what the capture FILE (pcap or pcapng) holds of PPTP.

    Control, LCP, CHAP, CCP and IPCP messages are listed in order. With a user and a password the keys are derived from
    the recorded MS-CHAP login and every MPPE frame is decrypted.
    """
    if (file is None) == (interface is None):
        raise WrongInputError("give either a capture FILE or --interface")
    credentials = _credentials(user, password, password_file)
    if interface is not None:
        _follow(interface, credentials, wanted)
        return
    assert file is not None
    try:
        capture = read_capture(file)
    except CaptureError as error:
        raise WrongInputError(f"{file}: {error}") from error
    decoded = decode_capture(capture, credentials)
    session = wanted["session"]
    if session is not None and session > len(decoded.sessions):
        raise WrongInputError(f"--session {session}: {file} has {len(decoded.sessions)}")
    if wanted["inner"] is not None:
        _write_inner(decoded, wanted["inner"], file)
    if wanted["both"] is not None:
        _write_both(capture, decoded, wanted["both"], file)
    _remark(decoded, credentials)
    if wanted["as_json"]:
        click.echo(json.dumps(decoded.as_json()))
    elif wanted["export"] is not None:
        _export(decoded, wanted["export"], session)
    elif wanted["ladder"] is not None:
        _ladder(decoded, _chosen(decoded, wanted["layers"], session), wanted["ladder"], file)
    else:
        _show(decoded, _chosen(decoded, wanted["layers"], session))


def _chosen(decoded: Decoded, layers: Sequence[str], session: int | None) -> list[MessageLine]:
    """Return the lines that are wanted. A layer that is neither known nor in the capture is a mistake in typing."""
    lines = decoded.messages()
    there = dict.fromkeys([*LAYER_STYLES, *(line.layer for line in lines)])
    for layer in layers:
        if layer.upper() not in there:
            raise WrongInputError(f"--layer {layer}: give one of {', '.join(there).lower()}; several by repeating it")
    return decoded.choose(lines, layers, session)


def _follow(interface: str, credentials: Credentials | None, wanted: dict[str, Any]) -> None:
    """Show what passes an interface until the user has enough."""
    refused = ("session", "ladder", "export", "as_json", "both")
    for option in refused:
        if wanted[option]:
            name = {"as_json": "json", "both": "write-both"}.get(option, option)
            raise WrongInputError(f"--interface shows lines as they come: --{name} needs a file")
    layers = {layer.upper() for layer in wanted["layers"]}
    console = Console(highlight=False, soft_wrap=True)
    decoder = LiveDecoder(credentials)
    began: int | None = None
    try:
        with ExitStack() as files:
            writer = None
            if wanted["inner"] is not None:
                writer = files.enter_context(PcapWriter(wanted["inner"]))
            for packet, now in sniff(interface):
                began = now if began is None else began
                for found in decoder.feed(packet, now):
                    if isinstance(found, InnerPacket):
                        if writer is not None:
                            writer.write(found.time, found.packet, len(found.packet) + found.missing)
                    elif not layers or found.layer in layers:
                        _print_line(console, found, (found.time - began) / NANOSECONDS)
    except CaptureError as error:
        raise WrongInputError(f"-w {wanted['inner']}: {error}") from error
    except KeyboardInterrupt:
        pass
    follower = decoder.follower
    click.echo(
        f"{decoder.packets} packets; {follower.decrypted} frames decrypted, {follower.undecrypted} not", err=True
    )


def _export(decoded: Decoded, kind: str, session: int | None) -> None:
    chosen = decoded.sessions if session is None else [decoded.sessions[session - 1]]
    handshakes = [handshake for summary in chosen for handshake in summary.handshakes]
    lines = hashcat_lines(handshakes) if kind == "hashcat" else john_lines(handshakes)
    for line in lines:
        click.echo(line)
    missing = len(handshakes) - len(lines)
    if missing:
        click.echo(f"pypptp: {missing} log-ins without the challenge, which was not captured", err=True)
    if not handshakes:
        click.echo("pypptp: no MS-CHAP login that was accepted", err=True)


def _ladder(decoded: Decoded, lines: list[MessageLine], kind: str, file: Path) -> None:
    began = decoded.recording.first_time
    if kind == "html":
        click.echo(html_ladder(lines, began, f"PPTP in {file.name}"), nl=False)
    else:
        for line in text_ladder(lines, began):
            click.echo(line)


def _write_both(capture: Capture, decoded: Decoded, path: Path, file: Path) -> None:
    inner: dict[int, list[InnerPacket]] = {}
    for packet in decoded.inner:
        inner.setdefault(packet.number, []).append(packet)
    try:
        if path.exists() and path.samefile(file):
            raise WrongInputError(f"--write-both {path}: is the capture itself")
        with PcapngWriter(path) as writer:
            for original in capture:
                writer.write(
                    original.time,
                    original.data,
                    link_type=original.link_type,
                    interface=ORIGINAL,
                    original_length=original.original_length,
                )
                for packet in inner.get(original.number, ()):
                    writer.write(
                        packet.time,
                        packet.packet,
                        link_type=LINKTYPE_RAW,
                        interface=DECRYPTED,
                        original_length=len(packet.packet) + packet.missing,
                        comment=f"from inside packet {packet.number}, session {packet.session}",
                    )
    except (OSError, CaptureError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise WrongInputError(f"--write-both {path}: {reason}") from error


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
    misfits = Counter(", ".join(f'"{user}"' for user in each.users) for each in tried if not each.password_fits)
    for names, count in misfits.items():
        times = f", in {count} sessions" if count > 1 else ""
        click.echo(f"pypptp: user and password do not fit the login of {names}{times}", err=True)


def _show(decoded: Decoded, lines: list[MessageLine]) -> None:
    first = decoded.recording.first_time
    console = Console(highlight=False, soft_wrap=True)
    for line in lines:
        _print_line(console, line, (line.time - first) / NANOSECONDS, several=len(decoded.sessions) > 1)
    gre = decoded.recording.gre
    if decoded.recording.control or gre.total:
        click.echo()
    click.echo(
        f"{decoded.recording.packets} packets: {len(decoded.recording.control)} control messages, {gre.total} GRE "
        f"({gre.ack_only} acknowledgements alone, {gre.seq_and_ack} with payload, {gre.seq_only} payload alone)"
    )
    for number, session in enumerate(decoded.sessions, 1):
        who = ", ".join(session.users) or "no MS-CHAP login"
        which = f"session {number}" if len(decoded.sessions) > 1 else "session"
        click.echo(f"{which} {session.client} > {session.server}: {who}; {session.mppe or 'no MPPE agreed on'}")
    if any(totals.frames for totals in decoded.mppe.values()):
        _show_mppe(decoded)


def _print_line(console: Console, line: MessageLine, seconds: float, *, several: bool = False) -> None:
    """Print a message; colours only where they are seen, and a session's number where there are several."""
    which = f"{line.session or '':>3} " if several else ""
    words = Text(f"{line.number:>6} {seconds:>11.6f} {which}{_arrow(line)} ")
    words.append(f"{line.layer:<6} ", style=LAYER_STYLES.get(line.layer, "bold"))
    words.append(line.text)
    console.print(words)


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
