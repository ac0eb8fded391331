"""Ctrl-C and SIGTERM while there is something to take back."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asks us to end. Not an Exception, as KeyboardInterrupt is none.

    Attributes:
        number: the signal.
    """

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(f"interrupted by {number.name}")
        self.number = number


class Interruption:
    """Lets a signal take effect in chosen places only, as an :class:`Interrupted`.

    Starting a program and taking things back must not be torn in half, and a ``finally`` can be, just before its first
    line. So a signal is only noted, but raised at once where somebody waits and has said so.
    """

    def __init__(self) -> None:
        self._pending: signal.Signals | None = None
        self._allowed = False

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Handle signals within; put the old handlers back afterwards. In the main thread only."""
        before = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Raise Interrupted within, at once for a signal that came before."""
        self._allowed = True
        try:
            self.check()
            yield
        finally:
            self._allowed = False

    def check(self) -> None:
        """Raise Interrupted if a signal came."""
        if self._pending is not None:
            raise Interrupted(self._pending)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._pending = self._pending or signal.Signals(number)
        if self._allowed:
            self._allowed = False
            self.check()
