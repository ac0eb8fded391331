"""What the installed ``pypptp`` runs first: Ctrl-C must be quiet while the rest of the program is being imported."""

from __future__ import annotations

import signal


def main() -> None:
    """Load the command line and run it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from pypptp_cli.main import main as run

    signal.signal(signal.SIGINT, signal.default_int_handler)
    run()
