"""Bad networks: what a loss, a duplicate, a change of order or a flipped bit costs those who work through it.

    python -m tests.endurance.chaos [--seconds 10] [--json FILE]

The line is ``pypptp proxy``, which counts what it does. A ping that was lost and none of whose packets the line lost is
the tunnel's own loss, and that is what is judged.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.endurance.ground import PATIENCE, PORT, PYPPTP, SERVER, Ground, ground

PROXY = "127.0.0.9"
PROXY_PORT = 17_230
SESSIONS = 20
PINGS = 55.0
OWN_LOSS_ALLOWED = 0.001
THE_MIX = {"loss": 1.0, "duplicate": 1.0, "reorder": 1.0}
LINES: tuple[dict[str, float], ...] = (
    {"latency": 0.001},
    THE_MIX,
    {"loss": 2.0},
    {"loss": 5.0},
    {"loss": 10.0},
    {"duplicate": 5.0},
    {"duplicate": 10.0},
    {"reorder": 5.0},
    {"reorder": 10.0},
    {"corrupt": 1.0},
    {"corrupt": 5.0},
    {"loss": 10.0, "duplicate": 10.0, "reorder": 10.0},
)


@dataclass(frozen=True, slots=True)
class Passage:
    """What came of working through a bad line.

    Attributes:
        line: what it did, in percent.
        established: sessions of those wanted.
        setup_median: of their set-ups, in milliseconds.
        setup_maximum: the slowest.
        dropped: sessions that were lost.
        inner: packets sent through the tunnels: requests, and replies to those that arrived.
        lost: pings without a reply.
        lost_by_line: frames that the line lost while they were sent.
        spoiled: packets in which the line flipped a bit.
    """

    line: dict[str, float]
    established: int
    setup_median: float
    setup_maximum: float
    dropped: int
    inner: int
    lost: int
    lost_by_line: int
    spoiled: int

    @property
    def own_loss(self) -> float:
        """Share of the inner packets that were lost, and not by the line."""
        return max(self.lost - self.lost_by_line - self.spoiled, 0) / self.inner

    def as_json(self) -> dict[str, Any]:
        """Return it as one object."""
        return {name: getattr(self, name) for name in self.__slots__} | {"own_loss": round(self.own_loss, 6)}


def pass_through(site: Ground, line: dict[str, float], seconds: float, *, pings: float = PINGS) -> Passage:
    """Work through one line."""
    words = [f"--{name}={value:g}" for name, value in line.items()]
    command = [*PYPPTP, "proxy", "--listen", f"{PROXY}:{PROXY_PORT}", "--target", f"{SERVER}:{PORT}", "--json", *words]
    with site.program("proxy", *command) as proxy:
        proxy.await_line(lambda said: "leads to" in said or None, patience=PATIENCE)
        report = site.load(
            target=f"{PROXY}:{PROXY_PORT}",
            sessions=SESSIONS,
            rate=20.0,
            hold=seconds,
            pings=pings,
            timeout=30.0,
            patience=seconds + 90.0,
        )
        proxy.stop(signal.SIGTERM)
        counted = next(json.loads(said) for said in reversed(proxy.lines) if said.startswith("{"))
    setup = report["phases"].get("setup", {"median": 0.0, "max": 0.0})
    sent, received = report["pings"]["sent"], report["pings"]["received"]
    return Passage(
        line=line,
        established=report["established"],
        setup_median=setup["median"],
        setup_maximum=setup["max"],
        dropped=sum(report["dropped"].values()),
        inner=sent + received,
        lost=report["pings"]["lost"],
        lost_by_line=counted["frames_lost"],
        spoiled=counted["to_server"]["corrupted"] + counted["to_client"]["corrupted"],
    )


def main() -> int:
    """Work through all of them; exit status 1 where the tunnel lost packets by itself, or a session."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    passages = []
    with tempfile.TemporaryDirectory() as folder, ground(Path(folder)) as site:
        for line in LINES:
            passage = pass_through(site, line, arguments.seconds)
            passages.append(passage)
            print(json.dumps(passage.as_json()), flush=True)
    if arguments.json is not None:
        found = [passage.as_json() for passage in passages]
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="ascii")
    good = all(passage.own_loss <= OWN_LOSS_ALLOWED and not passage.dropped for passage in passages)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
