"""The demo as a person sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from pypptp.aio.words import NetworkFacts
from pypptp.service.warning import BROKEN_CRYPTOGRAPHY
from pypptp.testing.scenario import GATEWAY_PUBLIC, PUBLIC, Pings, Transfer
from pypptp_cli.demonstration.report import encryption_word
from pypptp_cli.demonstration.steps import CLIENT, SERVER, TRANSFER_SECONDS

# The addresses are those of pypptp.testing.scenario.hosts; a test holds them together.
_DRAWING = """\
  ╭─ private ────╮          ╭─ gateway ────╮          ╭─ public ─────╮
  │ 10.100.100.2 ├──────────┤ 10.100.100.1 │          │              │
  │              │          │ 203.0.113.1  ├──────────┤ 203.0.113.2  │
  │ ppp0         ╞═ tunnel ═╡ ppp0         │          │              │
  ╰──────────────╯          ╰──────────────╯          ╰──────────────╯"""
_ASCII = str.maketrans("╭╮╰╯─│├┤╞╡═", "++++-|||||=")
_COMMANDS = {
    "gateway": [f"pypptp {' '.join(SERVER)}"],
    "private": [
        f"PYPPTP_PASSWORD=... pypptp {' '.join(CLIENT[:5])} \\",
        f"    {' '.join(CLIENT[5:])}",
    ],
}
_BAR_WIDTH = 28
_LOG_LINES = 8
_TITLE_WIDTH = 16


class Screen:
    """Shows the hosts, then a line for each step as it is done; works in a pipe, without colours and in ASCII.

    Args:
        console: where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._plain = console.options.ascii_only
        self._good, self._bad = ("ok", "NO") if self._plain else ("✓", "✗")

    def open(self) -> None:
        """Say what this is, and draw the hosts."""
        self._print(Text("Three hosts in network namespaces of their own; nothing leaves them.", "bold"))
        self._print()
        drawing = Text(_DRAWING.translate(_ASCII) if self._plain else _DRAWING)
        drawing.highlight_words(["private", "gateway", "public"], "bold cyan")
        drawing.highlight_regex(r"ppp0|.[=═] tunnel [=═].", "green")
        self._print(drawing)
        self._print()
        for host, lines in _COMMANDS.items():
            for number, line in enumerate(lines):
                prompt = (f"  {host} $ ", "cyan") if number == 0 else " " * (len(host) + 5)
                self._print(Text.assemble(prompt, line))
        self._print()

    def begin(self, what: str) -> None:
        """Show that something goes on."""
        # In a pipe or a dumb terminal nothing moves; the finished lines tell it all.
        self._move(Spinner("line" if self._plain else "dots", Text(f" {what}", "dim")))

    def pinged_before(self, pings: Pings) -> None:
        """Show a ping that must have failed."""
        self._step("without tunnel", pings.received == 0, _pings(pings))

    def connected(self, network: NetworkFacts, seconds: float) -> None:
        """Show who is connected, how."""
        arrow = "->" if self._plain else "→"
        text = f"{network.interface}, {network.local} {arrow} {network.peer}, after {seconds:.1f} s"
        self._step("connected", ok=True, text=text)
        encryption = encryption_word(network) or "no encryption"
        self._step("protected by", ok=True, text=f"{network.method or 'no log-in'}, {encryption}")

    def pinged_after(self, pings: Pings) -> None:
        """Show a ping that must have succeeded."""
        self._step("through tunnel", pings.received == pings.sent, _pings(pings))

    def sending(self, seconds: float, octets: int) -> None:
        """Move the progress bar."""
        row = Table.grid(padding=(0, 1))
        row.add_row(
            Text(f"    {'transfer':<{_TITLE_WIDTH}}"),
            ProgressBar(TRANSFER_SECONDS, min(seconds, TRANSFER_SECONDS), width=_BAR_WIDTH, complete_style="green"),
            Text(_rate(octets, seconds), "dim"),
        )
        self._move(row)

    def sent(self, transfer: Transfer) -> None:
        """Show what came of the transfer, and whom the public host saw."""
        size = f"{transfer.octets / 1e6:.0f} MB in {transfer.seconds:.1f} s"
        self._step("transfer", transfer.octets > 0, f"{_rate(transfer.octets, transfer.seconds)}, {size}")
        theirs = transfer.source == GATEWAY_PUBLIC
        whose = "the gateway's address: NAT works" if theirs else f"not the gateway's address {GATEWAY_PUBLIC}"
        self._step("public host saw", theirs, f"{transfer.source}, {whose}")

    def taken_back(self, left_behind: Sequence[str]) -> None:
        """Show what is left of it all."""
        if left_behind:
            for line in left_behind:
                self._step("left behind", ok=False, text=line)
        else:
            self._step("afterwards", ok=True, text="no interface, route, nftables table, process or file left")

    def close(self, faults: Sequence[str]) -> None:
        """Say what is wrong, and what PPTP is worth."""
        self._still()
        for fault in faults:
            self._print(Text(f"\n{fault}", "bold red"))
        self._print()
        self._print(Text(BROKEN_CRYPTOGRAPHY, "yellow"))

    def show_logs(self, logs: Mapping[str, Sequence[str]]) -> None:
        """Show the ends of the programs' logs, where the reason for a failure is found."""
        for name, lines in logs.items():
            self._print(Text(f"\nthe {name}'s last lines:", "bold"))
            for line in lines[-_LOG_LINES:]:
                self._print(Text(f"  {line}", "dim"))

    def interrupted(self, why: str) -> None:
        """Say that it ended early, and that this is no reason to worry."""
        self._still()
        self._print(Text(f"\n{why}; everything has been taken back", "bold red"))

    def _step(self, title: str, ok: bool, text: str) -> None:
        self._still()
        mark = (self._good, "bold green") if ok else (self._bad, "bold red")
        self._print(Text.assemble("  ", mark, f" {title:<{_TITLE_WIDTH}} ", (text, "" if ok else "red")))

    def _move(self, what: RenderableType) -> None:
        if not self._console.is_terminal or self._console.is_dumb_terminal:
            return
        if self._live is None:
            self._live = Live(console=self._console, transient=True, refresh_per_second=10)
            self._live.start()
        self._live.update(what, refresh=True)

    def _still(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _print(self, what: RenderableType = "") -> None:
        # In a pipe lines are not broken: who reads it there breaks them himself, or searches in them.
        self._console.print(what, highlight=False, soft_wrap=not self._console.is_terminal)


def _pings(pings: Pings) -> str:
    text = f"ping {PUBLIC}: {pings.received} of {pings.sent} answered"
    if pings.round_trips:
        return f"{text}, {sum(pings.round_trips) / len(pings.round_trips) * 1000:.1f} ms"
    return f"{text} ({pings.refusal})" if pings.refusal else text


def _rate(octets: int, seconds: float) -> str:
    return f"{octets * 8 / seconds / 1e6:.0f} Mbit/s" if seconds > 0 else ""
