"""Speed side by side: `python -m tests.interop.speed [FILE]` runs iperf3 through every pair in one guest.

Both ends, the wire between them and iperf3 share the guest's one CPU, so the figures compare programs and say nothing
about any other machine. The table goes into docs/performance.md, between its two marks; elsewhere with FILE.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .conftest import PROJECT, interpreter_folders
from .lab.build import LabUnavailableError, check_host, obtain
from .lab.guest import Guest, GuestError
from .lab.topology import SERVER_ADDRESS, Lan, Shape
from .pairs import CONTROL, PAIRS, Pair
from .peers.pptp_linux import PptpLinux
from .peers.settings import INNER_SERVER, Settings
from .scenario import Scenario

TARGET = PROJECT / "docs" / "performance.md"
MARKS = ("<!-- interop-bench: begin -->", "<!-- interop-bench: end -->")
SECONDS, REPEATS = 5, 3
BUFFER_SETTINGS = ("rmem_default", "rmem_max", "wmem_default", "wmem_max")
FOUR_MEBIBYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table; no pair means no tunnel."""

    title: str
    pair: Pair | None
    tuned: bool = False


ROWS = (
    Row("no tunnel", None),
    Row("pptpd and pptp-linux as Debian ships them", CONTROL),
    Row("the same, 4 MiB socket buffers, `--loglevel 0`", CONTROL, tuned=True),
    Row("pypptp client, pptpd", PAIRS[0]),
    Row("pptp-linux, pypptp server", PAIRS[1]),
    Row("pypptp client, pypptp server", PAIRS[2]),
)


def measure(guest: Guest, row: Row) -> tuple[float, float]:
    """Megabits a second up (client to server) and down: the median of `REPEATS` runs each."""
    lan = Lan(guest, Shape())
    with tempfile.TemporaryDirectory() as folder, tuned(guest, row.tuned):
        try:
            if row.pair is None:
                return rates(lan, SERVER_ADDRESS)
            run = Scenario(lan, row.pair, Path(folder), record=False)
            run.start_server(Settings())
            client = run.pair.make_client(lan.client, Settings())
            if row.tuned and isinstance(client, PptpLinux):
                client.log_level = 0
            client.start()
            if client.await_up() is None:
                raise GuestError(f"{row.title}: no connection")
            return rates(lan, INNER_SERVER)
        finally:
            lan.close()


def rates(lan: Lan, address: str) -> tuple[float, float]:
    """The medians of both directions."""
    up, down = ([iperf(lan, address, back) for _ in range(REPEATS)] for back in ((), ("-R",)))
    return statistics.median(up), statistics.median(down)


def iperf(lan: Lan, address: str, back: tuple[str, ...]) -> float:
    """One run, in megabits a second as the receiver counts them."""
    log = lan.server.path("iperf.log")
    server = lan.server.start(["iperf3", "-s", "-1", "--forceflush", "-B", address, "--logfile", log], "iperf.out")
    deadline = time.monotonic() + 10
    while "listening" not in lan.guest.run(["cat", log]).out:
        if time.monotonic() > deadline or server.wait(0.1) is not None:
            raise GuestError(f"iperf3 does not listen: {server.output()}")
    argv = ["iperf3", "-c", address, "-t", str(SECONDS), "-J", *back]
    result = lan.client.run(argv, limit=SECONDS + 30).check()
    server.wait(5)
    lan.guest.run(["rm", "-f", log])
    return float(json.loads(result.out)["end"]["sum_received"]["bits_per_second"]) / 1e6


@contextmanager
def tuned(guest: Guest, wanted: bool) -> Iterator[None]:
    """Socket buffers of 4 MiB for as long as it lasts."""
    names = [f"net.core.{name}" for name in BUFFER_SETTINGS]
    before = guest.run(["sysctl", "-n", *names]).check().out.split()
    if wanted:
        guest.run(["sysctl", "-q", "-w", *(f"{name}={FOUR_MEBIBYTES}" for name in names)]).check()
    try:
        yield
    finally:
        restored = [f"{name}={value}" for name, value in zip(names, before, strict=True)]
        guest.run(["sysctl", "-q", "-w", *restored]).check()


def table(figures: dict[str, tuple[float, float]]) -> str:
    """The figures as Markdown, with ratios to the tuned real pair."""
    base_up, base_down = figures[ROWS[2].title]
    lines = [
        f"Mbit/s by iperf3 (TCP, {SECONDS} s, median of {REPEATS}), both ends in one guest on one CPU, MPPE 128",
        "stateless. The ratio is to the tuned real pair.",
        "",
        "| | up | down | ratio up | ratio down |",
        "|---|---:|---:|---:|---:|",
    ]
    for title, (up, down) in figures.items():
        lines.append(f"| {title} | {up:.0f} | {down:.0f} | {up / base_up:.2f} | {down / base_down:.2f} |")
    return "\n".join(lines) + "\n"


def insert(page: str, text: str) -> str:
    """The page with `text` between the marks, which are put at its end where it has none."""
    begin, end = MARKS
    if begin not in page or end not in page:
        return f"{page.rstrip()}\n\n## Beside the real ones\n\n{begin}\n{text}{end}\n".lstrip()
    head, _, rest = page.partition(begin)
    tail = rest.partition(end)[2]
    return f"{head}{begin}\n{text}{end}{tail}"


def main() -> None:
    """Measure all rows and write the table."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    try:
        check_host()
        guest = Guest.boot(obtain(), [PROJECT, *interpreter_folders()])
    except LabUnavailableError as reason:
        sys.exit(str(reason))
    try:
        text = table({row.title: measure(guest, row) for row in ROWS})
    finally:
        guest.stop()
    sys.stdout.write(text)
    target.write_text(insert(target.read_text() if target.exists() else "", text))


if __name__ == "__main__":
    main()
