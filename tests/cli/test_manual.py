"""The manual pages are those of the commands as they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_pages_in_docs_are_current() -> None:
    check = [sys.executable, str(ROOT / "docs" / "render_man.py"), "--check"]
    result = subprocess.run(check, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
