"""An event loop whose rounds are short, however many connections have something to say.

asyncio serves all that is ready before it looks again. A hundred control connections that end at the same moment take
50 ms, and packets of all other sessions would wait as long.
"""

from __future__ import annotations

import asyncio
import selectors

EVENTS_PER_ROUND = 4
"""Connections served before timers and packets have their turn; the end of a session takes up to 0.5 ms."""


class FairSelector(selectors.DefaultSelector):
    """Hands out what is ready in small pieces, in turn; what is left out now is ready the next time.

    Attributes:
        always: descriptors that are handed out whenever they are ready: those that serve many and know their measure.
    """

    def __init__(self) -> None:
        super().__init__()
        self.always: set[int] = set()
        self._turn = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait as ever, and return a few of those that are ready."""
        ready = super().select(timeout)
        if len(ready) <= EVENTS_PER_ROUND:
            return ready
        first = [event for event in ready if event[0].fd in self.always]
        rest = [event for event in ready if event[0].fd not in self.always]
        if rest:
            start = self._turn % len(rest)
            self._turn += EVENTS_PER_ROUND
            first += (rest[start:] + rest[:start])[:EVENTS_PER_ROUND]
        return first


class FairLoop(asyncio.SelectorEventLoop):
    """asyncio's event loop with a FairSelector."""

    def __init__(self) -> None:
        self._fair_selector = FairSelector()
        super().__init__(self._fair_selector)

    def serve_always(self, fd: int) -> None:
        """Serve ``fd`` in every round in which it is ready; call it before ``add_reader``."""
        self._fair_selector.always.add(fd)

    def serve_in_turn(self, fd: int) -> None:
        """Take ``serve_always`` back. Twice is no error."""
        self._fair_selector.always.discard(fd)
