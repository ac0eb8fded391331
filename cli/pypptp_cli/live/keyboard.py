"""Single keys from the terminal, without Enter and without an echo."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Keyboard(Protocol):
    """Where keys come from."""

    def key(self, seconds: float) -> str | None:
        """Wait for a key. None where there was none in time; the empty string where none can come any more."""


class TerminalKeyboard:
    """The keys of the terminal that standard input is."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def key(self, seconds: float) -> str | None:
        """Wait for a key; what an arrow sends counts as one that means nothing."""
        ready, _, _ = select.select([self._descriptor], [], [], max(0.0, seconds))
        if not ready:
            return None
        pressed = os.read(self._descriptor, 32).decode("ascii", "replace")
        return pressed if len(pressed) <= 1 else "\x1b" if pressed[0] == "\x1b" else pressed[0]


@contextmanager
def terminal_keyboard() -> Iterator[TerminalKeyboard | None]:
    """Give the keyboard, and the terminal back as it was; None where standard input is no terminal."""
    # Standard input is None where it was closed.
    if sys.stdin is None or not sys.stdin.isatty():
        yield None
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield TerminalKeyboard(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
