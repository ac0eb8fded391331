"""The soak: thousands of sessions come and go, hundreds are held under traffic, and everything is given back.

python -m tests.endurance.soak [--cycles 10000] [--held 200] [--minutes 30] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.endurance.ground import Footprint, Ground, ground

BATCH = 250
"""Sessions of one load: as many come at once."""
RATE = 100.0
GROWTH = 0.05
"""Share by which memory may grow."""
PINGS = 5.0
SETTLING = 5.0


@dataclass(slots=True)
class Soak:
    """What a soak measured.

    Attributes:
        cycles: sessions that came, logged in, sent a ping, and went.
        cycle_seconds: how long all of them took.
        failed: sessions that did not, by reason.
        held: sessions held under traffic.
        held_seconds: for how long.
        pings: sent through them, and lost.
        footprints: of the server: warmed up, after the cycles, while sessions are held, and after all.
    """

    cycles: int = 0
    cycle_seconds: float = 0.0
    failed: dict[str, int] = field(default_factory=dict)
    held: int = 0
    held_seconds: float = 0.0
    pings: dict[str, int] = field(default_factory=dict)
    footprints: dict[str, Footprint] = field(default_factory=dict)

    def complaints(self) -> list[str]:
        """Say what was not given back, and who was failed."""
        found = [f"{count} sessions failed: {reason}" for reason, count in self.failed.items()]
        before = self.footprints["warmed up"]
        for when in ("after the cycles", "after all"):
            after = self.footprints.get(when)
            if after is None:
                continue
            found += [
                f"{when}: {name} {getattr(before, name)} -> {getattr(after, name)}"
                for name in ("descriptors", "threads", "children", "tuns", "routes")
                if getattr(after, name) > getattr(before, name)
            ]
            if after.resident_kib > before.resident_kib * (1 + GROWTH):
                found.append(f"{when}: memory {before.resident_kib} -> {after.resident_kib} KiB")
        if self.pings and self.pings["lost"] > self.pings["sent"] / 1000:
            found.append(f"{self.pings['lost']} of {self.pings['sent']} pings lost")
        return found

    def as_json(self) -> dict[str, Any]:
        """Return it as one object."""
        return {
            "cycles": self.cycles,
            "cycle_seconds": round(self.cycle_seconds, 1),
            "failed": self.failed,
            "held": self.held,
            "held_seconds": round(self.held_seconds, 1),
            "pings": self.pings,
            "footprints": {when: footprint.as_json() for when, footprint in self.footprints.items()},
        }


def soak(site: Ground, *, cycles: int, held: int, seconds: float, batch: int = BATCH) -> Soak:
    """Do it, and measure."""
    done = Soak()
    # The first sessions make the server as large as it gets: caches, threads, buffers.
    _cycle(site, done, min(batch, cycles))
    _settle(site)
    done.footprints["warmed up"] = site.footprint()
    began = time.monotonic()
    while done.cycles < cycles:
        _cycle(site, done, min(batch, cycles - done.cycles))
    done.cycle_seconds = time.monotonic() - began
    _settle(site)
    done.footprints["after the cycles"] = site.footprint()
    if held:
        load = site.start_load(sessions=held, rate=50.0, hold=seconds, pings=PINGS, timeout=30.0)
        time.sleep(held / 50.0 + seconds / 2)
        done.footprints["while sessions are held"] = site.footprint()
        said, complaints = load.communicate(timeout=seconds + 120.0)
        assert load.returncode in (0, 3), complaints
        report = json.loads(said)
        done.held, done.held_seconds, done.pings = report["released"], seconds, report["pings"]
        _note(done, report)
        _settle(site)
        done.footprints["after all"] = site.footprint()
    return done


def _cycle(site: Ground, done: Soak, sessions: int) -> None:
    report = site.load(sessions=sessions, rate=RATE, hold=0.05, pings=20.0, timeout=20.0, patience=120.0)
    done.cycles += report["requested"]
    _note(done, report)


def _note(done: Soak, report: dict[str, Any]) -> None:
    for kind in ("failed", "dropped"):
        for reason, count in report[kind].items():
            done.failed[reason] = done.failed.get(reason, 0) + count


def _settle(site: Ground) -> None:
    """Wait until the last TUN is gone: the kernel takes its time, and nothing says when."""
    deadline = time.monotonic() + SETTLING
    while site.footprint().tuns and time.monotonic() < deadline:
        time.sleep(0.1)


def main() -> int:
    """Run the long form; exit status 1 where something was not given back."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=10_000)
    parser.add_argument("--held", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ground(Path(folder)) as site:
        done = soak(site, cycles=arguments.cycles, held=arguments.held, seconds=arguments.minutes * 60)
    text = json.dumps(done.as_json(), indent=1)
    print(text)
    if arguments.json is not None:
        arguments.json.write_text(text + "\n", encoding="ascii")
    complaints = done.complaints()
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
