"""What each cell of the matrix came to: written by the tests, read by `tests.interop.matrix`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "build" / "interop"
"""Captures, logs, summaries and results; one folder per pair, in it one per row."""


@dataclass(frozen=True, slots=True)
class Result:
    """A cell: `verdict` is `passed`, `failed` or `n/a: REASON`."""

    pair: str
    row: str
    verdict: str
    seconds: float
    summary: str

    def write(self) -> None:
        """Keep it beside the cell's capture and logs."""
        folder = FOLDER / self.pair / self.row
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "result.json").write_text(json.dumps(asdict(self), indent=1) + "\n")


def read_all(folder: Path = FOLDER) -> dict[tuple[str, str], Result]:
    """All results so far, by pair and row."""
    found = (Result(**json.loads(path.read_text())) for path in sorted(folder.glob("*/*/result.json")))
    return {(result.pair, result.row): result for result in found}
