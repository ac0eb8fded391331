# ruff: noqa: INP001 - a script beside its picture, no package
"""Draw docs/demo.svg: the terminal as ``pypptp demo`` leaves it, from a real run (as root).

.venv/bin/python docs/render_demo.py
"""

import io
import re
import sys
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console, RenderableType
from rich.terminal_theme import MONOKAI

from pypptp_cli.demonstration.interruption import Interruption
from pypptp_cli.demonstration.screen import Screen
from pypptp_cli.demonstration.steps import Demonstration

PICTURE = Path(__file__).with_name("demo.svg")
COLUMNS = 86


class StillScreen(Screen):
    """Leaves out what moves: a recording would keep each frame of it."""

    def _move(self, what: RenderableType) -> None:
        pass


def main() -> int:
    """Run the demo and draw it. Returns the exit status."""
    console = Console(
        record=True, width=COLUMNS, force_terminal=True, color_system="truecolor", file=io.StringIO(), _environ={}
    )
    screen = StillScreen(console)
    interruption = Interruption()
    with interruption.installed():
        demonstration = Demonstration(screen, interruption)
        screen.open()
        faults = demonstration.run().faults()
    screen.close(faults)
    if faults:
        sys.stderr.write("\n".join(faults) + "\n")
        return 1
    # No font from somebody else's server: the picture shows the reader's own.
    style = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    style = style.replace("Fira Code, monospace", "DejaVu Sans Mono, Menlo, Consolas, monospace")
    PICTURE.write_text(
        console.export_svg(title="make demo", theme=MONOKAI, code_format=style, unique_id="demo") + "\n",
        encoding="utf-8",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
