"""Take back what killed processes left behind, by their journals.

Of entries of this network namespace and this start of the machine, those whose owner is dead are taken back, the last
change first, whichever process made it. Those of a living owner and of other namespaces are left alone; those of
before the last boot, and of a namespace whose number the kernel has given to this one, are dropped: their changes are
gone.

What two need goes with the last. A dead owner's change that stands in a living one's journal too (IPv4 forwarding; a
route that was written down but not made, because the other had it) is left to that one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pypptp.errors import NetworkError
from pypptp.net import forwarding, kill_switch, name_servers, nat, proxy_arp, resolv_conf, routes
from pypptp.net.edge import Recovery
from pypptp.net.journal import Entry, JournalFile, is_here, journal_names, reason
from pypptp.net.journal_folder import UNFINISHED, alone_in, journal_folder, open_folder, try_lock
from pypptp.net.netlink import rtnetlink
from pypptp.net.owner import Owner, this_owner
from pypptp.net.records import (
    FilterMade,
    ForwardingOn,
    KillSwitchOn,
    NameServersFiled,
    NatMade,
    ProxyArpMade,
    Record,
    RouteAdded,
)

_PATIENCE_SECONDS = 10.0
_DYING_SECONDS = 5.0
"""Closing hundreds of TUNs takes the kernel seconds; a dead server's lock is gone before the last of them."""


def recover(*, folder: Path | None = None, dry_run: bool = False, keep_kill_switch: bool = False) -> Recovery:
    """Take back what is left behind in the calling thread's network namespace. It never raises.

    Args:
        folder: instead of this user's :func:`pypptp.net.journal_folder.journal_folder`.
        dry_run: only say what would be done.
        keep_kill_switch: leave a dead one's kill switch to a later call, when the caller's own is in its place.
    """
    recovery = Recovery()
    try:
        with _opened(folder) as descriptor:
            if descriptor is not None:
                with alone_in(descriptor, patience=_PATIENCE_SECONDS) as alone, ExitStack() as stack:
                    if alone:
                        kept = (KillSwitchOn,) if keep_kill_switch else ()
                        _Round(descriptor, recovery, stack, dry_run=dry_run, kept=kept).run()
                    else:
                        recovery.errors.append("another pypptp is at work on the journals: try again later")
    except (OSError, NetworkError) as error:
        recovery.errors.append(f"cannot look for what was left behind: {reason(error)}")
    if os.geteuid() == 0:
        resolv_conf.recover(recovery, dry_run=dry_run)
    return recovery


def take_back(record: Record, *, own_tables: Iterable[str] = ()) -> None:
    """Undo one recorded change. That it is gone already, or was never made, is no error.

    Args:
        record: the change.
        own_tables: names of the caller's own nftables tables.

    Raises:
        OSError: the system refuses.
        NetworkError: the system refuses, or another pypptp without a journal needs it still.
    """
    match record:
        case RouteAdded(route, index):
            with rtnetlink() as netlink:
                routes.remove(netlink, route, index)
        case ForwardingOn(before):
            others = nat.other_tables(own_tables)
            if others:
                raise NetworkError(f"another pypptp still needs it (nftables table {others[0]}), it is left on")
            forwarding.restore(before)
        case ProxyArpMade(address=address, index=index):
            with rtnetlink() as netlink:
                proxy_arp.withdraw(netlink, address, index)
        case NatMade(comment=comment) | FilterMade(comment=comment):
            nat.remove_tables(comment)
        case KillSwitchOn(name):
            kill_switch.remove(name)
        case NameServersFiled():
            name_servers.unfile(record)


def _is_shared_with(record: Record, entry: Entry) -> bool:
    """Whether somebody else's ``entry`` holds the same change as ``record``: then it is his to take back."""
    if isinstance(record, ForwardingOn):
        return isinstance(entry.record, ForwardingOn)
    return entry.record == record


class _Round:
    """One look through an open folder, while nobody else is in it."""

    def __init__(
        self, folder: int, recovery: Recovery, stack: ExitStack, *, dry_run: bool, kept: tuple[type[Record], ...]
    ) -> None:
        self._folder = folder
        self._recovery = recovery
        self._stack = stack
        self._dry_run = dry_run
        self._kept = kept
        self._here = this_owner("")
        self._living: list[Entry] = []
        self._dead: list[tuple[JournalFile, Entry]] = []
        self._deadline = time.monotonic() + _DYING_SECONDS

    def run(self) -> None:
        if not self._dry_run:
            for name in journal_names(self._folder, UNFINISHED):
                self._tidy(name)
        for name in journal_names(self._folder):
            try:
                self._read(name)
            except FileNotFoundError:
                continue
            except (OSError, NetworkError) as error:
                self._recovery.errors.append(f"journal {name} is left alone: {reason(error)}")
        for file, entry in sorted(self._dead, key=lambda found: found[1].at, reverse=True):
            try:
                self._take_back(file, entry)
            except NetworkError as error:
                self._recovery.errors.append(f"could not take back {entry.record}: {error}")
            except OSError as error:
                self._recovery.errors.append(f"could not take back {entry.record}: {reason(error)}")

    def _read(self, name: str) -> None:
        file = self._stack.enter_context(JournalFile(self._folder, name))
        if file.owner_lives:
            self._leave(file.entries)
            return
        # Without a readable entry there was no change: the first is written before the file has this name.
        if not file.entries and not self._dry_run:
            file.remove()
        elsewhere = []
        for entry in list(file.entries):
            if entry.owner.boot != self._here.boot or self._here.namespace.has_replaced(entry.owner.namespace):
                self._recovery.dropped += 1
                if not self._dry_run:
                    self._strike(file, entry)
            elif not is_here(entry, self._here):
                elsewhere.append(entry)
            elif isinstance(entry.record, self._kept):
                self._recovery.left.append(f"{entry.record}, of {entry.owner}")
            elif self._stays(entry.owner):
                self._leave([entry])
            else:
                self._dead.append((file, entry))
        self._leave(elsewhere)

    def _stays(self, owner: Owner) -> bool:
        """Whether an owner without its lock is still there after the time that dying takes."""
        while owner.is_running():
            if owner.pid == self._here.pid or time.monotonic() > self._deadline:
                return True
            time.sleep(0.02)
        return False

    def _leave(self, entries: list[Entry]) -> None:
        here = [entry for entry in entries if is_here(entry, self._here)]
        self._living += here
        for count, what in (
            (len(here), "which is running"),
            (len(entries) - len(here), "in another network namespace"),
        ):
            if count:
                changes = "1 change" if count == 1 else f"{count} changes"
                self._recovery.left.append(f"{changes} of {entries[0].owner}, {what}")

    def _take_back(self, file: JournalFile, entry: Entry) -> None:
        heir = next((living for living in self._living if _is_shared_with(entry.record, living)), None)
        if heir is not None:
            self._recovery.left.append(f"{entry.record}, of {entry.owner}, to {heir.owner}, which needs it too")
        else:
            if not self._dry_run:
                take_back(entry.record)
            self._recovery.taken_back.append(f"{entry.record}, of {entry.owner}")
        if not self._dry_run:
            self._strike(file, entry)

    def _strike(self, file: JournalFile, entry: Entry) -> None:
        try:
            file.strike(entry)
        except OSError as error:
            # Done it is, and will be done again next time: no harm in that.
            self._recovery.errors.append(f"cannot strike {entry.record} out in {file.name}: {reason(error)}")

    def _tidy(self, name: str) -> None:
        try:
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._folder)
            try:
                if try_lock(file):
                    os.unlink(name, dir_fd=self._folder)
            finally:
                os.close(file)
        except OSError:
            pass


@contextmanager
def _opened(path: Path | None) -> Iterator[int | None]:
    try:
        descriptor = open_folder(journal_folder() if path is None else path, create=False)
    except FileNotFoundError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)
