# ruff: noqa: INP001 - a script beside its pages, no package
"""Write docs/personas.md from the personas themselves.

.venv/bin/python docs/render_personas.py [--check]
"""

from __future__ import annotations

import sys
from pathlib import Path

from pypptp.testing.personas import PERSONAS, Persona

PAGE = Path(__file__).with_name("personas.md")
HEAD = """# The personas

Ready-made peers for tests (`pypptp.testing.personas`), with the option lists, orders and quirks of real ones. Each
quirk has its source: a capture and its packets, a file of the peer's own source and the function in it, a document, a
thread. What is not on record is the common default, and said to be. In the tests every persona connects with this
project's server or client under MPPE-128, and every quirk of this page is looked for on the wire.

Packets are counted as Wireshark does; of the longer captures after all but TCP port 1723 and GRE was left out.

Made by `docs/render_personas.py`; do not edit.
"""


def cell(text: str) -> str:
    """Return text that keeps to its column."""
    return text.replace("|", "\\|")


def section(persona: Persona) -> str:
    """Return what is known of one persona."""
    lines = [f"## {persona.name}, a {persona.role.value}", ""]
    if persona.note:
        lines += [persona.note, ""]
    lines += ["| it | source |", "|---|---|"]
    lines += [f"| {cell(quirk.text)} | {cell(quirk.source)} |" for quirk in persona.quirks]
    return "\n".join(lines) + "\n"


def page() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *(section(persona) for persona in PERSONAS)])


def main() -> int:
    """Write the page, or with --check say whether that on disk is current."""
    if "--check" in sys.argv[1:]:
        current = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page()
        if not current:
            sys.stderr.write("docs/personas.md is not current: run docs/render_personas.py\n")
        return 0 if current else 1
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
