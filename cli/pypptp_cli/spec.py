"""``pypptp spec``: a conformance suite for PPTP servers and clients."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from time import time_ns
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pypptp.capture.pcap_file import NANOSECONDS, CaptureError, PcapWriter
from pypptp.errors import ConfigurationError
from pypptp.roles import Role
from pypptp.testing.dialogue.annotation import annotate
from pypptp.testing.dialogue.network import Network
from pypptp.testing.dialogue.sockets import Addresses, ClientNetwork, ServerNetwork, listen
from pypptp.testing.spec import CATALOGUE, Outcome, Result, Run, Target, TargetSilent, Timers, Verdict, select
from pypptp.testing.spec.reports import as_json, as_junit, read_expected, unexpected
from pypptp.testing.spec.runner import SIDE_BY_SIDE
from pypptp_cli.targets import require_own, resolve

EXIT_FAILED = 1
EXIT_UNAVAILABLE = 69
PASSWORD_VARIABLE = "PYPPTP_PASSWORD"  # noqa: S105 - the variable's name
PLACE = "{server}"
CLIENT_PATIENCE = 20.0
"""Seconds until a client that was started has to be connected."""
COLOURS = {
    Verdict.PASS: "green",
    Verdict.NONSTRICT: "yellow",
    Verdict.FAIL: "bold red",
    Verdict.SKIP: "cyan",
    Verdict.INFO: "blue",
}

Function = TypeVar("Function", bound=Callable[..., Any])


@click.group()
def spec() -> None:
    """Hold a PPTP server or client against 144 checks of the RFCs and of good sense.

    Some checks are hostile: floods, forged packets, malformed messages. Hold them only against what is yours.

    Exit status: 0 nothing failed, 1 something did, 2 a wrong option, 69 the target does not answer at all.
    """


def common_options(function: Function) -> Function:
    """Add the options both kinds of target have."""
    for option in reversed(
        (
            click.option("--only", metavar="ID", multiple=True, help="Only checks whose ids begin so; repeatable."),
            click.option("--list", "as_list", is_flag=True, help="List the checks, an id first on each line, and end."),
            click.option("--user", metavar="NAME", help="An account of the target."),
            click.option(
                "--password",
                metavar="TEXT",
                help=f"Its password. {PASSWORD_VARIABLE} keeps it out of the process list.",
            ),
            click.option("--strict", is_flag=True, help="What is only a SHOULD fails, too."),
            click.option(
                "--timeout",
                metavar="SECONDS",
                type=click.FloatRange(0.05, 60.0),
                default=2.0,
                show_default=True,
                help="How long to wait for what should come at once.",
            ),
            click.option("--json", "json_output", is_flag=True, help="Print one JSON object, and nothing else."),
            click.option(
                "--junit", metavar="FILE", type=click.Path(path_type=Path), help="Write the results as JUnit XML."
            ),
            click.option(
                "--pcap", metavar="FILE", type=click.Path(path_type=Path), help="Write what passed as a capture file."
            ),
            click.option(
                "--expected-failures",
                metavar="FILE",
                type=click.Path(path_type=Path),
                help="Ids whose failure is known, one on each line; 'cc/' stands for all that begin so.",
            ),
            click.option(
                "--dut-timers",
                metavar="NAME=SECONDS,...",
                help="The target's timers, where they are not the standards': echo=2,echo-timeout=60,start=5,"
                "lcp=2x3 (seconds times failures),restart=3.",
            ),
        )
    ):
        function = option(function)
    return function


@spec.command()
@click.argument("target", metavar="HOST[:PORT]", required=False)
@common_options
@click.option("--server-pid", metavar="PID", type=click.IntRange(2), help="The server's process, for life/*.")
@click.option(
    "--i-own-this-target", is_flag=True, help="Do it although HOST is neither loopback nor a private address."
)
def server(target: str | None, server_pid: int | None, i_own_this_target: bool, **flags: Any) -> int:
    """Check a server: play its client."""
    if flags["as_list"]:
        return _list(Role.SERVER, flags["only"])
    if target is None:
        raise ConfigurationError("HOST: not given; name the server to check")
    address, port = resolve(target)
    require_own(address, i_own_this_target, "some checks are hostile")
    config = _target(Role.SERVER, flags, server_pid)
    addresses = Addresses(address)
    return _check(config, lambda: ServerNetwork(address, port, addresses, config.timeout), flags)


@spec.command()
@click.option("--listen", "listen_on", metavar="ADDRESS[:PORT]", help="Where to be the server.")
@click.option("--exec", "command", metavar="CMD", help="Starts the client; once for each check.")
@common_options
def client(listen_on: str | None, command: str | None, **flags: Any) -> int:
    """Check a client: play its server. CMD connects to ADDRESS as the user and with the password given here.

    Where CMD says {server} instead, and ADDRESS is on loopback, each check listens on a loopback address of its own,
    and checks run side by side.
    """
    if flags["as_list"]:
        return _list(Role.CLIENT, flags["only"])
    if listen_on is None:
        raise ConfigurationError("listen: not given; name an address of this machine with --listen")
    if command is None:
        raise ConfigurationError("exec: not given; say with --exec how the client is started")
    address, port = resolve(listen_on)
    config = _target(Role.CLIENT, flags, None)
    if PLACE in command:
        addresses = Addresses(address)
        if not addresses.many:
            raise ConfigurationError(f"exec: {PLACE} is for a loopback address in --listen; name the address itself")

        def make_network() -> Network:
            own = addresses.next()
            assert own is not None, "there are many"
            return ClientNetwork(
                _listen(own, port), command.replace(PLACE, str(own)), CLIENT_PATIENCE, own_listener=True
            )

        return _check(config, make_network, flags, side_by_side=SIDE_BY_SIDE)
    with _listen(address, port) as listener:
        return _check(config, lambda: ClientNetwork(listener, command, CLIENT_PATIENCE), flags, side_by_side=1)


def _listen(address: IPv4Address, port: int) -> socket.socket:
    try:
        return listen(address, port)
    except OSError as error:
        raise ConfigurationError(f"listen: {address} port {port}: {os.strerror(error.errno or 0)}") from error


def _list(role: Role, prefixes: Sequence[str]) -> int:
    for check_id in select(role, prefixes):
        entry = CATALOGUE[check_id]
        click.echo(f"{check_id:<14} {entry.level:<6} {entry.reference}: {entry.stimulus}")
    return 0


def _target(role: Role, flags: dict[str, Any], pid: int | None) -> Target:
    chosen = select(role, flags["only"])
    if not chosen:
        raise ConfigurationError(f"only: no check begins with {' or '.join(flags['only'])}; see --list")
    password = flags["password"] if flags["password"] is not None else os.environ.get(PASSWORD_VARIABLE)
    if flags["user"] is None or password is None:
        raise ConfigurationError(f"user: --user and --password (or {PASSWORD_VARIABLE}) name an account of the target")
    if pid is not None and not Path(f"/proc/{pid}").exists():
        raise ConfigurationError(f"server-pid: there is no process {pid}")
    timers = _timers(flags["dut_timers"] or "")
    return Target(role=role, user=flags["user"], password=password, timeout=flags["timeout"], timers=timers, pid=pid)


def _timers(text: str) -> Timers:
    given: dict[str, Any] = {}
    for word in filter(None, text.split(",")):
        key, _, value = word.strip().partition("=")
        seconds, _, failures = value.partition("x")
        field = key.replace("-", "_")
        try:
            if field not in ("start", "echo", "echo_timeout", "lcp", "restart") or (failures and field != "lcp"):
                raise ValueError
            given[field] = float(seconds)
            if failures:
                given["lcp_failures"] = int(failures)
        except ValueError:
            raise ConfigurationError(f"dut-timers: '{word}' is not NAME=SECONDS, as in echo=2,lcp=2x3") from None
    return Timers(**given)


def _check(
    target: Target, make_network: Callable[[], Network], flags: dict[str, Any], *, side_by_side: int = SIDE_BY_SIDE
) -> int:
    expected = _expected(flags["expected_failures"])
    ids = select(target.role, flags["only"])
    began = time_ns()
    console = Console(stderr=True, highlight=False)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    ) as progress:
        task = progress.add_task(f"{len(ids)} checks", total=len(ids) + 2)

        def report(result: Result) -> None:
            progress.update(task, advance=1, description=f"{result.id:<14}")

        run = Run(
            target,
            make_network,
            strict=flags["strict"],
            report=report,
            side_by_side=side_by_side,
        )
        try:
            outcome = asyncio.run(run.run(ids))
        except TargetSilent as error:
            click.echo(f"pypptp: the target does not answer: {error}", err=True)
            return EXIT_UNAVAILABLE
    if flags["pcap"] is not None:
        _write_pcap(outcome, flags["pcap"], began)
    failed, mended = unexpected(outcome, expected)
    if flags["junit"] is not None:
        texts = {result.id: "\n".join(annotate(result.transcript)) for result in failed if result.transcript}
        _write(flags["junit"], "junit", as_junit(outcome, texts, expected))
    if flags["json_output"]:
        click.echo(json.dumps(as_json(outcome, expected)))
    else:
        _show(outcome, failed)
    for result in mended:
        click.echo(f"pypptp: {result.id} is among the expected failures and did not fail", err=True)
    return EXIT_FAILED if failed or mended else 0


def _expected(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        found = read_expected(path.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"expected-failures: {path}: {error}") from error
    for check_id in found:
        if not any(check_id == known or (check_id[-1] == "/" and known.startswith(check_id)) for known in CATALOGUE):
            raise ConfigurationError(f"expected-failures: there is no check {check_id}")
    return found


def _write(path: Path, option: str, octets: bytes) -> None:
    try:
        path.write_bytes(octets)
    except OSError as error:
        raise ConfigurationError(f"{option}: {path}: {error.strerror}") from error


def _write_pcap(outcome: Outcome, path: Path, began: int) -> None:
    captured: list[tuple[float, bytes]] = []
    transcripts = [result.transcript for result in (*outcome.sanity, *outcome.results) if result.transcript]
    if not transcripts:
        return
    first = min(transcript.began for transcript in transcripts)
    for transcript in transcripts:
        offset = transcript.began - first
        captured += [(time + offset, packet) for time, packet in transcript.captured()]
    try:
        with PcapWriter(path) as writer:
            for time, packet in sorted(captured, key=lambda one: one[0]):
                writer.write(began + int(time * NANOSECONDS), packet)
    except CaptureError as error:
        raise ConfigurationError(f"pcap: {path}: {error}") from error


def _show(outcome: Outcome, failed: list[Result]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for result in (*outcome.sanity, *outcome.results):
        console.print(f"[{COLOURS[result.verdict]}]{result.verdict:<9}[/] {result.id:<14} ", end="")
        console.print(result.actual, markup=False)
    for result in failed:
        console.print(f"\n[bold red]FAIL[/] {result.id} ({result.level}, {result.reference})")
        console.print(f"  expected: {result.expected}\n  actual:   {result.actual}", markup=False)
        if result.transcript is not None:
            for line in annotate(result.transcript):
                console.print(f"    {line}", markup=False)
    counts = {verdict: sum(result.verdict is verdict for result in outcome.results) for verdict in Verdict}
    console.print("\n" + ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count))
