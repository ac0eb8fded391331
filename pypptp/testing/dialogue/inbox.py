"""What has come and nobody has looked at yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Inbox(Generic[T]):
    """Things received, in order, to be taken out of it by kind.

    Attributes:
        closed: nothing more will come.
    """

    def __init__(self) -> None:
        self.closed = False
        self._items: list[T] = []
        self._news = asyncio.Event()

    def put(self, item: T) -> None:
        """Add something at the end."""
        self._items.append(item)
        self._news.set()

    def close(self) -> None:
        """Wake up those who wait in vain."""
        self.closed = True
        self._news.set()

    def clear(self) -> list[T]:
        """Forget everything that has come; returns it."""
        items, self._items = self._items, []
        return items

    def take_now(self, wanted: Callable[[T], bool]) -> T | None:
        """Take the first that is wanted out, or None."""
        for position, item in enumerate(self._items):
            if wanted(item):
                del self._items[position]
                return item
        return None

    async def take(self, wanted: Callable[[T], bool], within: float) -> T | None:
        """Take the first that is wanted out, waiting for it; None if it does not come in ``within`` seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        while True:
            item = self.take_now(wanted)
            left = deadline - loop.time()
            if item is not None or self.closed or left <= 0:
                return item
            self._news.clear()
            try:
                async with asyncio.timeout(left):
                    await self._news.wait()
            except TimeoutError:
                pass
