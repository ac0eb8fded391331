"""The table as it is drawn."""

from __future__ import annotations

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from pypptp_cli.asking import bits_per_second, duration, shown
from pypptp_cli.live.rows import ORDERS, Row, in_order

BAD_LOSS = 0.01
LEAST_LOSS = 0.001
_AROUND = 6
"""Lines that are no rows: two above, the table's head and its line, how many are left out, the keys."""

_COLUMNS = (
    ("user", "user", "left"),
    ("from", "from", "left"),
    ("address", "address", "left"),
    ("interface", "", "left"),
    ("encryption", "", "left"),
    ("in", "in", "right"),
    ("out", "out", "right"),
    ("loss", "loss", "right"),
    ("rtt", "rtt", "right"),
    ("since", "since", "right"),
)
"""Title, the order it is of, and the side its cells lean to."""
_MISSED_LEAST = ("encryption", "interface", "rtt", "from", "since", "loss")
"""Columns that a narrow terminal does without, the first to go first."""
_GAP = 3


def draw(head: str, rows: list[Row], *, order: str, room: int | None = None, keys: bool = False) -> RenderableType:
    """Draw the sessions of a server.

    Args:
        head: what stands above.
        rows: its sessions.
        order: what they are sorted by.
        room: lines there are; None for as many as it takes.
        keys: say which keys there are.
    """
    total_in = sum(row.rate_in or 0.0 for row in rows)
    total_out = sum(row.rate_out or 0.0 for row in rows)
    title = Text(head, style="bold", no_wrap=True, overflow="ellipsis")
    count = f"{len(rows)} session{'' if len(rows) == 1 else 's'}"
    totals = Text(f"{count}, in {bits_per_second(total_in)}, out {bits_per_second(total_out)}", no_wrap=True)
    seen = len(rows) if room is None else max(0, min(len(rows), room - _AROUND))
    table = _Sessions([_cells(row) for row in in_order(rows, order)[:seen]], order)
    parts: list[RenderableType] = [title, totals, table]
    if seen < len(rows):
        parts.append(Text(f"and {len(rows) - seen} more", style="dim"))
    if keys:
        parts.append(_keys())
    return Group(*parts)


class _Sessions:
    """The rows, in as many columns as the terminal is wide enough for."""

    def __init__(self, rows: list[tuple[Text, ...]], order: str) -> None:
        self._rows = rows
        self._titles = [
            f"{name} {'v' if ORDERS[by].falling else '^'}" if by == order else name for name, by, _ in _COLUMNS
        ]
        self._order = order

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown = self._columns_that_fit(options.max_width)
        table = Table(box=box.SIMPLE_HEAD, expand=True, show_edge=False, pad_edge=False)
        for number in shown:
            _, by, side = _COLUMNS[number]
            table.add_column(
                self._titles[number],
                justify="right" if side == "right" else "left",
                no_wrap=True,
                overflow="ellipsis",
                header_style="bold reverse" if by == self._order else "bold",
            )
        for cells in self._rows:
            table.add_row(*(cells[number] for number in shown))
        yield table

    def _columns_that_fit(self, width: int) -> list[int]:
        """Leave out what is missed least, until the rest fits whole; what is sorted by stays."""
        wide = [
            max(cell_len(title), *(cells[number].cell_len for cells in self._rows), 0)
            for number, title in enumerate(self._titles)
        ]
        shown = list(range(len(_COLUMNS)))
        for name in _MISSED_LEAST:
            if sum(wide[number] for number in shown) + _GAP * (len(shown) - 1) <= width:
                break
            if name != self._order:
                shown = [number for number in shown if _COLUMNS[number][0] != name]
        return shown


def _keys() -> Text:
    # Each key is a letter of the order's name, and stands out in it.
    line = Text("q quit   sort: ", style="dim", no_wrap=True, overflow="ellipsis")
    for name, order in ORDERS.items():
        before, _, after = name.partition(order.key)
        line.append(before).append(order.key, style="not dim bold underline").append(f"{after}  ")
    return line


def _cells(row: Row) -> tuple[Text, ...]:
    clear = row.encryption == "not encrypted"
    return (
        Text(shown(row.user), style="bold"),
        Text(shown(row.source)),
        Text(shown(row.address)),
        Text(shown(row.interface)),
        Text(shown(row.encryption.removeprefix("MPPE ")), style="red" if clear else ""),
        _rate(row.rate_in),
        _rate(row.rate_out),
        _loss(row.loss),
        _round_trip(row),
        Text(duration(row.seconds)),
    )


def _rate(rate: float | None) -> Text:
    if rate is None:
        return Text("-", style="dim")
    return Text(bits_per_second(rate), style="" if rate >= 1000 else "dim")


def _loss(loss: float | None) -> Text:
    if loss is None:
        return Text("-", style="dim")
    if 0 < loss < LEAST_LOSS:
        return Text(f"<{LEAST_LOSS:.1%}", style="yellow")
    return Text(f"{loss:.1%}", style="bold red" if loss >= BAD_LOSS else "yellow" if loss > 0 else "green")


def _round_trip(row: Row) -> Text:
    if row.round_trip is None:
        return Text("-", style="dim")
    milliseconds = row.round_trip * 1000
    number = f"{milliseconds:.1f} ms" if milliseconds < 100 else f"{milliseconds:.0f} ms"
    return Text(number) if row.exact else Text(f"<{number}", style="dim")
