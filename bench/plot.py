"""The plot of a run: what a session carries, and what a packet costs, beside their limits."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

from bench.loads import Run
from bench.report import Results, grouped
from bench.tunnel import CLEAR, PACED

WIDTH, HEIGHT, DOTS_PER_INCH = 10.0, 6.4, 110
ENCRYPTED_COLOUR, CLEAR_COLOUR, LIMIT_COLOUR, SERVER_COLOUR = "#1f5f8b", "#8fb8d0", "#c0504d", "#e0a030"


def draw(results: Results, target: Path) -> str:
    """Write the plot. Returns one line about it, also where it could not be drawn."""
    try:
        import matplotlib as mpl
    except ImportError:
        return "No plot was drawn: matplotlib is not installed (it comes with 'make .venv')."
    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(WIDTH, HEIGHT), layout="constrained")
    groups = grouped(results.tunnels.runs)
    _speeds(axes[0][0], groups)
    _costs(axes[0][1], groups, results.limits.get("cipher alone, us a packet"))
    _sizes(axes[1][0], groups)
    _delays(axes[1][1], results)
    figure.suptitle(f"{results.machine}; {results.date}; medians; traffic by {results.tool}", fontsize=10)
    figure.savefig(target, dpi=DOTS_PER_INCH)
    pyplot.close(figure)
    return f"The plot is in {target}."


Groups = dict[tuple[str, int, str], list[Run]]


def _middle(groups: Groups, carrier: str, sessions: int, traffic: str, figure: str) -> float:
    found = [float(getattr(run, figure)) for run in groups.get((carrier, sessions, traffic), [])]
    return median(found or [0.0])


def _many(groups: Groups) -> int:
    return max((sessions for _, sessions, _ in groups), default=1)


def _bars(
    axis: Any,
    names: list[str],
    heights: list[list[float]],
    labels: list[str],
    colours: list[str],
    number: str = "%.0f",
) -> None:
    width = 0.8 / len(heights)
    for index, (values, label, colour) in enumerate(zip(heights, labels, colours, strict=True)):
        places = [place + (index - (len(heights) - 1) / 2) * width for place in range(len(names))]
        bars = axis.bar(places, values, width, label=label, color=colour)
        axis.bar_label(bars, fmt=number, fontsize=8, padding=1)
    axis.set_xticks(range(len(names)), names, fontsize=9)
    axis.margins(y=0.18)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _speeds(axis: Any, groups: Groups) -> None:
    many = _many(groups)
    shown = [("pypptp", 1, "MPPE-128"), (CLEAR, 1, "in clear")]
    if many > 1:
        shown.insert(1, ("pypptp", many, f"MPPE-128,\n{many} sessions"))
    if any(carrier == "beside" for carrier, _, _ in groups):
        shown.append(("beside", 1, "bare endpoints,\nfixed keys"))
    heights = [
        [_middle(groups, carrier, sessions, traffic, "mbit_per_s") for carrier, sessions, _ in shown]
        for traffic in ("TCP up", "TCP down")
    ]
    _bars(axis, [label for _, _, label in shown], heights, ["to the server", "to the client"], _TWO)
    axis.set_title("TCP through a tunnel, Mbit/s", fontsize=10)
    axis.legend(fontsize=8, frameon=False)


_TWO = [ENCRYPTED_COLOUR, CLEAR_COLOUR]


def _costs(axis: Any, groups: Groups, cipher: float | None) -> None:
    shown = [("pypptp", "MPPE-128"), (CLEAR, "in clear"), ("beside", "bare endpoints")]
    shown = [(carrier, label) for carrier, label in shown if (carrier, 1, "TCP up") in groups]
    heights = [
        [_middle(groups, carrier, 1, "TCP up", figure) for carrier, _ in shown] for figure in ("near_us", "far_us")
    ]
    _bars(axis, [label for _, label in shown], heights, ["client, sending", "server, receiving"], _SIDES, "%.1f")
    if cipher:
        axis.axhline(cipher, color=LIMIT_COLOUR, linewidth=1.2, label=f"the cipher alone, {cipher:.1f}")
    axis.set_title("processor microseconds per packet, TCP up", fontsize=10)
    axis.legend(fontsize=8, frameon=False)


_SIDES = [ENCRYPTED_COLOUR, SERVER_COLOUR]


def _sizes(axis: Any, groups: Groups) -> None:
    traffics = [
        traffic
        for carrier, sessions, traffic in groups
        if (carrier, sessions) == ("pypptp", 1) and traffic.startswith("UDP") and not traffic.endswith(PACED)
    ]
    heights = [[_arrived_kpps(groups, carrier, traffic) for traffic in traffics] for carrier in ("pypptp", CLEAR)]
    names = [f"{traffic.split()[1]} octets" for traffic in traffics]
    _bars(axis, names, heights, ["MPPE-128", "in clear"], _TWO)
    axis.set_title("UDP flood through a tunnel, thousand packets a second", fontsize=10)
    axis.legend(fontsize=8, frameon=False)


def _arrived_kpps(groups: Groups, carrier: str, traffic: str) -> float:
    payload = int(traffic.split()[1]) - 28
    return (
        _middle(groups, carrier, 1, traffic, "octets") / payload / _middle(groups, carrier, 1, traffic, "seconds") / 1e3
    )


def _delays(axis: Any, results: Results) -> None:
    delays = results.tunnels.round_trips
    if not delays:
        axis.set_axis_off()
        return
    names = [one.what.replace("pypptp, clear", "clear").replace(", ", ",\n") for one in delays]
    heights = [[one.median_ms for one in delays], [one.p99_ms for one in delays]]
    _bars(axis, names, heights, ["median", "99th percentile"], _SIDES, "%.2g")
    axis.set_yscale("log")
    axis.tick_params(axis="x", labelsize=7)
    axis.set_title("round trip of a ping, ms", fontsize=10)
    axis.legend(fontsize=8, frameon=False)
