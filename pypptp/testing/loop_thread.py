"""An event loop in a thread of its own, for tests that are written without either."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from pypptp.errors import PptpError

T = TypeVar("T")

PATIENCE = 10.0
"""Seconds in which what is awaited has to happen."""
_LOOK = 0.01


class EndFailed(PptpError):
    """An end did not come up, or did not do in time what was awaited; the text says what."""


class LoopThread:
    """The thread, and waiting for things in it. Its subclasses are ``with`` blocks."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def _begin(self) -> None:
        self._thread.start()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(4 * PATIENCE)

    def _await(self, condition: Callable[[], T | None], what: str, within: float) -> T:
        """Wait until something is there, in the loop.

        Raises:
            EndFailed: it is not in time; ``what`` says so.
        """

        async def wait() -> T:
            deadline = self._loop.time() + within
            while True:
                found = condition()
                if found:
                    return found
                if self._loop.time() >= deadline:
                    raise EndFailed(f"{what} within {within:g} s")
                await asyncio.sleep(_LOOK)

        return self._do(wait())
