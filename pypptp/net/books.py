"""The books of changes made to the system: what was done, for which TUN, and how it is taken back.

What outlives the process goes into a ledger besides, so that another process can take it back after kill -9.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from pypptp.errors import NetworkError
from pypptp.net.edge import Hold, Tun
from pypptp.net.records import Record

Session: TypeAlias = Tun | Hold


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """One change.

    Attributes:
        text: in words, for people: "route 10.0.0.0/8 via 203.0.113.1 dev eth0".
        take_back: undoes it; must bear that the change is gone already, or was never made.
        session: the TUN or hold it belongs to, or None.
        goes_with_tun: the kernel takes it back by itself when that TUN is closed.
        record: the same for the ledger, or None where the kernel takes it back with the process.
    """

    text: str
    take_back: Callable[[], None]
    session: Session | None = None
    goes_with_tun: bool = False
    record: Record | None = None


class Ledger(Protocol):
    """Where records outlive the process: :class:`pypptp.net.journal.Journal`. No method raises."""

    def write(self, record: Record) -> int | None:
        """Write down a change that is about to be made; return the number to strike it out by."""

    def strike(self, entry_number: int) -> None:
        """Strike an entry out: its change is taken back, or was not made."""

    def exclusive(self) -> AbstractContextManager[None]:
        """Keep other processes from taking back, and from sharing, changes meanwhile."""


class Books:
    """An undo stack. Safe to use from several threads; the changes themselves are made outside its lock.

    Args:
        ledger: takes the records.
    """

    def __init__(self, ledger: Ledger | None = None) -> None:
        self._changes: list[Change] = []
        self._ledger = ledger
        self._numbers: dict[Change, int] = {}
        self._lock = threading.Lock()

    @contextmanager
    def entry(self, change: Change) -> Iterator[None]:
        """Write ``change`` down, let the caller make it, and strike it out again if that fails.

        It is written first so that an interrupt between the two leaves an entry too many, never a change too many.
        """
        number = None if self._ledger is None or change.record is None else self._ledger.write(change.record)
        with self._lock:
            self._changes.append(change)
            if number is not None:
                self._numbers[change] = number
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
        self._strike_number(change)

    def leave(self, change: Change) -> bool:
        """Forget a change that is to stay; the ledger keeps it for another process. False where it is not in here."""
        with self._lock:
            if change not in self._changes:
                return False
            self._changes.remove(change)
            self._numbers.pop(change, None)
            return True

    def holds(self, kind: type[Record]) -> bool:
        """Whether a change with such a record is in the books."""
        with self._lock:
            return any(isinstance(change.record, kind) for change in self._changes)

    def texts(self) -> list[str]:
        """List the changes in words, oldest first."""
        with self._lock:
            return [change.text for change in self._changes]

    def sessions(self) -> list[Tun]:
        """List the TUNs that changes belong to, each once, oldest first."""
        with self._lock:
            found = dict.fromkeys(change.session for change in self._changes)
            return [session for session in found if session is not None and not isinstance(session, Hold)]

    def undo_for(self, session: Session) -> list[str]:
        """Take back what belongs to ``session``, newest first."""
        with self._lock:
            taken = [change for change in self._changes if change.session is session]
            self._changes = [change for change in self._changes if change.session is not session]
        return self._take_back(taken)

    def undo(self) -> list[str]:
        """Take back everything, newest first."""
        with self._lock:
            taken, self._changes = self._changes, []
        return self._take_back(taken)

    def _take_back(self, changes: list[Change]) -> list[str]:
        errors = []
        for change in reversed(changes):
            if change.goes_with_tun:
                continue
            try:
                if self._ledger is None or change not in self._numbers:
                    change.take_back()
                else:
                    # In one go: of two that end at once and share a change, the second is to see that the first has
                    # struck it out.
                    with self._ledger.exclusive():
                        change.take_back()
                        self._strike_number(change)
            except NetworkError as error:
                errors.append(f"could not take back {change.text}: {error}")
            except OSError as error:
                errors.append(f"could not take back {change.text}: {error.strerror or error}")
        return errors

    def _strike_number(self, change: Change) -> None:
        with self._lock:
            number = self._numbers.pop(change, None)
        if self._ledger is not None and number is not None:
            self._ledger.strike(number)
