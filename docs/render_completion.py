# ruff: noqa: INP001 - a script, no package
"""Write the shell completion in packaging/completion, as click makes it for the commands.

.venv/bin/python docs/render_completion.py [--check]
"""

from __future__ import annotations

import sys
from pathlib import Path

from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from pypptp_cli.main import cli

FOLDER = Path(__file__).resolve().parent.parent / "packaging" / "completion"
SHELLS: dict[str, type[ShellComplete]] = {"pypptp": BashComplete, "_pypptp": ZshComplete, "pypptp.fish": FishComplete}
"""By file name: each shell has its own, by which it finds the completion of a command."""


def scripts() -> dict[str, str]:
    """Return each file's text; the words themselves come from the command whenever they are wanted."""
    found = {}
    for name, kind in SHELLS.items():
        shell = kind(cli, {}, "pypptp", "_PYPPTP_COMPLETE")
        # Not .source(): click's for bash looks for a bash on the machine that renders.
        text = shell.source_template % shell.source_vars()
        found[name] = "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n"
    return found


def main() -> int:
    """Write the files, or with --check say whether those on disk are current."""
    current = scripts()
    if "--check" in sys.argv[1:]:
        on_disk = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
        stale = sorted(name for name in current.keys() | on_disk.keys() if current.get(name) != on_disk.get(name))
        if stale:
            sys.stderr.write(
                f"packaging/completion is not current ({', '.join(stale)}): run docs/render_completion.py\n"
            )
        return 1 if stale else 0
    FOLDER.mkdir(exist_ok=True)
    for name, text in current.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
