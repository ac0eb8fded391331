"""A fuzzing campaign: one target after the other, and the totals of all campaigns so far.

    python -m tests.fuzz.campaign --seconds 900 gre ipcp

New tries that reach more of the code are in ``build/fuzz/corpus``; with ``--keep`` the smallest set of them that
reaches as much goes into the corpus, the figures into ``totals.json``. A crash is in ``build/fuzz/crashes``: give
it a name and move it to ``tests/fuzz/crashes/TARGET``, and it is a test.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.fuzz.targets import TARGETS

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "fuzz"
TOTALS = HERE / "totals.json"
LONGEST_INPUT = 8192
MEMORY_MIB = 2048
SLOWEST_SECONDS = 20
"""A try that takes longer is a finding: time is what a peer must not be able to take."""
SPARE = 120.0
MERGE_SECONDS = 900.0
_EXECUTIONS = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_COVERAGE = re.compile(r"\bcov: (\d+) ft: (\d+)")


@dataclass(slots=True)
class Total:
    """What the campaigns of one target come to.

    Attributes:
        seconds: of fuzzing, all campaigns together.
        longest: of the longest one, in one go.
        executions: tries.
        branches: of the code, reached in the last campaign.
        features: the same with how often, and with what was compared.
        corpus: tries that are kept.
        crashes: found in all campaigns.
    """

    seconds: float = 0.0
    longest: float = 0.0
    executions: int = 0
    branches: int = 0
    features: int = 0
    corpus: int = 0
    crashes: int = 0


def read_totals() -> dict[str, Total]:
    """Read the totals of all campaigns so far."""
    if not TOTALS.exists():
        return {}
    return {name: Total(**values) for name, values in json.loads(TOTALS.read_text()).items()}


def fuzz(name: str, seconds: int, *, keep: bool, totals: dict[str, Total]) -> bool:
    """Run one target; return whether it stood."""
    found, kept, crashes = BUILD / "corpus" / name, HERE / "corpus" / name, BUILD / "crashes" / name
    for folder in (found, crashes):
        folder.mkdir(parents=True, exist_ok=True)
    before = set(crashes.iterdir())
    command = [sys.executable, "-m", "tests.fuzz.engine", name]
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST_INPUT}",
        f"-rss_limit_mb={MEMORY_MIB}",
        f"-timeout={SLOWEST_SECONDS}",
        f"-artifact_prefix={crashes}/",
        "-print_final_stats=1",
        "-verbosity=1",
    ]
    began = time.monotonic()
    done = subprocess.run(
        [*command, *options, str(found), str(kept)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=seconds + SPARE,
    )
    took = time.monotonic() - began
    executions = _EXECUTIONS.search(done.stderr)
    coverage = _COVERAGE.findall(done.stderr)
    new = sorted(set(crashes.iterdir()) - before)
    total = totals.setdefault(name, Total())
    total.seconds = round(total.seconds + min(took, seconds), 1)
    total.longest = max(total.longest, round(min(took, seconds), 1))
    total.executions += int(executions[1]) if executions else 0
    if coverage:
        total.branches, total.features = map(int, coverage[-1])
    total.crashes += len(new)
    print(
        f"{name:<18} {took:6.0f} s {int(executions[1]) if executions else 0:>10} tries, "
        f"{total.branches} branches, {len(list(found.iterdir()))} new in the corpus, {len(new)} crashes",
        flush=True,
    )
    if done.returncode or new:
        print("\n".join(done.stderr.splitlines()[-30:]), flush=True)
        for crash in new:
            print(f"  {crash.relative_to(ROOT)}", flush=True)
    if keep:
        merge(name, kept, found)
        total.corpus = len(list(kept.iterdir()))
        TOTALS.write_text(json.dumps({key: asdict(totals[key]) for key in sorted(totals)}, indent=1) + "\n")
    return not (done.returncode or new)


def merge(name: str, kept: Path, found: Path) -> None:
    """Take into the corpus what reaches more than it does, and no more than that.

    Raises:
        RuntimeError: libFuzzer could not.
    """
    launcher = BUILD / f"launch-{name}"
    launcher.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m tests.fuzz.engine {name} "$@"\n')
    launcher.chmod(0o755)
    done = subprocess.run(
        [str(launcher), "-merge=1", f"-max_len={LONGEST_INPUT}", str(kept), str(found)],
        cwd=ROOT,
        env={**os.environ, "LAUNCHER": str(launcher)},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=MERGE_SECONDS,
    )
    if done.returncode or "new files with" not in done.stderr:
        raise RuntimeError("\n".join(done.stderr.splitlines()[-10:]))


def main() -> int:
    """Run the campaign; exit status 1 where a target fell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("--keep", action="store_true", help="keep what is new, and the figures")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)} (all)")
    arguments = parser.parse_args()
    unknown = set(arguments.targets) - set(TARGETS)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    totals = read_totals()
    stood = [fuzz(name, arguments.seconds, keep=arguments.keep, totals=totals) for name in arguments.targets or TARGETS]
    return 0 if all(stood) else 1


if __name__ == "__main__":
    sys.exit(main())
