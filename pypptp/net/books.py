"""The books of changes made to the system: what was done, for which TUN, and how it is taken back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pypptp.errors import NetworkError
from pypptp.net.edge import Tun


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """One change.

    Attributes:
        text: in words, for people: "route 10.0.0.0/8 via 203.0.113.1 dev eth0".
        take_back: undoes it; must bear that the change is gone already, or was never made.
        session: the TUN it belongs to, or None.
        goes_with_tun: the kernel takes it back by itself when that TUN is closed.
    """

    text: str
    take_back: Callable[[], None]
    session: Tun | None = None
    goes_with_tun: bool = False


class Books:
    """An undo stack. Safe to use from several threads; the changes themselves are made outside its lock."""

    def __init__(self) -> None:
        self._changes: list[Change] = []
        self._lock = threading.Lock()

    @contextmanager
    def entry(self, change: Change) -> Iterator[None]:
        """Write ``change`` down, let the caller make it, and strike it out again if that fails.

        It is written first so that an interrupt between the two leaves an entry too many, never a change too many.
        """
        with self._lock:
            self._changes.append(change)
        try:
            yield
        except Exception:
            self.strike(change)
            raise

    def strike(self, change: Change) -> None:
        """Strike a change out without taking it back."""
        with self._lock:
            if change in self._changes:
                self._changes.remove(change)

    def texts(self) -> list[str]:
        """List the changes in words, oldest first."""
        with self._lock:
            return [change.text for change in self._changes]

    def sessions(self) -> list[Tun]:
        """List the TUNs that changes belong to, each once, oldest first."""
        with self._lock:
            return list(dict.fromkeys(change.session for change in self._changes if change.session is not None))

    def undo_for(self, session: Tun) -> list[str]:
        """Take back what belongs to ``session``, newest first."""
        with self._lock:
            taken = [change for change in self._changes if change.session is session]
            self._changes = [change for change in self._changes if change.session is not session]
        return _take_back(taken)

    def undo(self) -> list[str]:
        """Take back everything, newest first."""
        with self._lock:
            taken, self._changes = self._changes, []
        return _take_back(taken)


def _take_back(changes: list[Change]) -> list[str]:
    errors = []
    for change in reversed(changes):
        if change.goes_with_tun:
            continue
        try:
            change.take_back()
        except NetworkError as error:
            errors.append(f"could not take back {change.text}: {error}")
        except OSError as error:
            errors.append(f"could not take back {change.text}: {error.strerror or error}")
    return errors
