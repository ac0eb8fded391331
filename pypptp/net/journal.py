"""The journal: this process's changes on disk before they are made, so that another can take them back.

One file for each process, ``PID-RANDOM.journal``, from its first change to the moment nothing of it is left. Each line
is a JSON object: an entry (a change, and whose it is), or the striking out of one. Lines are appended whole and
flushed; the file appears under its name with the first entry in it.

The owner holds a flock(2) on its file as long as it lives, and that is the proof that it does: the kernel lets go of
it however the process ends, no number is given out again, and it holds where the reader is in another PID namespace.
PID and start time stand in each entry as well; an owner without its lock who is still there by these is on its way
out, its descriptors half closed.

A journal that cannot be written stops nothing: one warning, and on without.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pypptp.errors import NetworkError
from pypptp.net.journal_folder import (
    SUFFIX,
    UNFINISHED,
    WRITABLE_BY_OTHERS,
    alone_in,
    journal_folder,
    open_folder,
    try_lock,
)
from pypptp.net.owner import NamespaceId, Owner, this_owner
from pypptp.net.records import Record, from_fields, mapping, number, text, to_fields

log = logging.getLogger("pypptp.journal")

_LARGEST_OCTETS = 4 << 20
"""Of a file that is read at all."""
_REWRITE_OCTETS = 64 << 10
"""Where a file is begun anew without what is struck out."""
_PATIENCE_SECONDS = 5.0
_NAMES_TRIED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One change in a journal.

    Attributes:
        number: by which it is struck out, unique in its file.
        at: when, in nanoseconds of the monotonic clock, which all processes share.
        owner: whose it is.
        record: the change.
    """

    number: int
    at: int
    owner: Owner
    record: Record


def entry_line(entry: Entry) -> bytes:
    """Write an entry as a line."""
    owner = entry.owner
    fields = {
        "entry": entry.number,
        "at": entry.at,
        "boot": owner.boot,
        "namespace": [owner.namespace.device, owner.namespace.inode, owner.namespace.cookie],
        "pid": owner.pid,
        "start": owner.start,
        "instance": owner.instance,
        "change": to_fields(entry.record),
    }
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def strike_line(entry_number: int) -> bytes:
    """Write that an entry is struck out as a line."""
    return b'{"struck":%d}\n' % entry_number


def parse(data: bytes) -> list[Entry]:
    """Read the entries that are not struck out, oldest first. Any octets will do: lines that make no sense are skipped.

    >>> parse(b'{"entry":1,"at"')
    []
    """
    entries: dict[int, Entry] = {}
    for line in data.split(b"\n"):
        try:
            fields = mapping(json.loads(line))
            if "struck" in fields:
                entries.pop(number(fields["struck"]), None)
                continue
            entry = _entry(fields)
        except (ValueError, RecursionError):
            continue
        entries[entry.number] = entry
    return sorted(entries.values(), key=lambda entry: entry.number)


def _entry(fields: object) -> Entry:
    found = mapping(fields)
    namespace = found.get("namespace")
    if not isinstance(namespace, list) or len(namespace) != 3:
        raise ValueError("no namespace")
    start = text(found.get("start"))
    if not start.isascii() or not start.isdigit():
        raise ValueError("no start time")
    return Entry(
        number=number(found.get("entry")),
        at=number(found.get("at")),
        owner=Owner(
            boot=text(found.get("boot")),
            namespace=NamespaceId(*map(number, namespace)),
            pid=number(found.get("pid"), least=1, most=0x7FFF_FFFF),
            start=start,
            instance=text(found.get("instance")),
        ),
        record=from_fields(found.get("change")),
    )


class Journal:
    """The journal of this process's changes. It never raises; it may be used from several threads.

    Args:
        instance: what the process is, for people: ``client``.
        folder: instead of this user's :func:`pypptp.net.journal_folder.journal_folder`.
    """

    def __init__(self, instance: str, *, folder: Path | None = None) -> None:
        self.instance = instance
        self._given_folder = folder
        self._lock = threading.RLock()
        self._alone = threading.RLock()
        self._depth = 0
        self._owner: Owner | None = None
        self._live: dict[int, Entry] = {}
        self._next = 1
        self._folder = -1
        self._file = -1
        self._name = ""
        self._size = 0
        self._rewrite_at = _REWRITE_OCTETS
        self._patience = _PATIENCE_SECONDS
        self._warned = False

    @property
    def folder(self) -> Path:
        """Where journals are. Raises NetworkError where this user has no place for them."""
        return journal_folder() if self._given_folder is None else self._given_folder

    def write(self, record: Record) -> int | None:
        """Write down a change that is about to be made.

        Returns:
            The number to strike it out by, or None where it could not be written.
        """
        with self._lock:
            try:
                if self._owner is None:
                    self._owner = this_owner(self.instance)
                entry = Entry(number=self._next, at=time.monotonic_ns(), owner=self._owner, record=record)
                line = entry_line(entry)
                if self._file < 0 or self._size + len(line) > self._rewrite_at:
                    self._begin(b"".join(map(entry_line, self._live.values())) + line)
                else:
                    self._append(line)
            except (OSError, NetworkError) as error:
                self._warn(error)
                return None
            self._next += 1
            self._live[entry.number] = entry
            return entry.number

    def strike(self, entry_number: int) -> None:
        """Strike an entry out: its change is taken back, or was not made. With the last one the file goes."""
        with self._lock:
            if self._live.pop(entry_number, None) is None:
                return
            try:
                if self._live:
                    self._append(strike_line(entry_number))
                else:
                    self._end()
            except OSError as error:
                # Taking a change back twice does no harm.
                self._warn(error)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep other processes from looking at, making and taking back shared changes meanwhile. It may be nested.

        Where the lock is not to be had within seconds, or there is no journal, it goes on without.
        """
        with self._alone:
            self._depth += 1
            try:
                if self._depth > 1 or not self._has_folder(create=False):
                    yield
                else:
                    with alone_in(self._folder, patience=self._patience) as alone:
                        # Somebody holds it for good, stopped in a debugger perhaps: wait once, not for every change.
                        self._patience = _PATIENCE_SECONDS if alone else 0.0
                        yield
            finally:
                self._depth -= 1

    def prepare(self) -> None:
        """Make the folder, so that :meth:`exclusive` has something to lock."""
        with self._lock:
            self._has_folder(create=True)

    def others(self) -> list[Entry]:
        """List the changes of other running processes in this namespace, inside :meth:`exclusive`."""
        found: list[Entry] = []
        with self._lock:
            if not self._has_folder(create=False):
                return found
            try:
                here = this_owner(self.instance)
                names = journal_names(self._folder)
            except OSError:
                return found
            for name in names:
                if name == self._name:
                    continue
                try:
                    file = JournalFile(self._folder, name)
                except (OSError, NetworkError):
                    continue
                with file:
                    if file.owner_lives:
                        found += [entry for entry in file.entries if is_here(entry, here)]
        return found

    def close(self) -> None:
        """Let go of the file, with what is in it, as the end of the process would."""
        with self._lock:
            for descriptor in (self._file, self._folder):
                if descriptor >= 0:
                    os.close(descriptor)
            self._file = self._folder = -1

    def _has_folder(self, *, create: bool) -> bool:
        with self._lock:
            if self._folder < 0:
                try:
                    self._folder = open_folder(self.folder, create=create)
                except FileNotFoundError:
                    return False
                except (OSError, NetworkError) as error:
                    self._warn(error)
                    return False
            return True

    def _begin(self, content: bytes) -> None:
        """Start a file with ``content``; it takes the place of the one there is."""
        if self._folder < 0:
            self._folder = open_folder(self.folder, create=True)
        for _ in range(_NAMES_TRIED):
            name = f"{os.getpid()}-{os.urandom(4).hex()}{SUFFIX}"
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            file = os.open(name + UNFINISHED, flags, 0o600, dir_fd=self._folder)
            try:
                if not try_lock(file):
                    raise BlockingIOError(errno.EAGAIN, "the new journal is locked")
                _write_whole(file, content)
                os.rename(name + UNFINISHED, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            except BaseException as error:
                os.close(file)
                self._remove(name + UNFINISHED)
                if isinstance(error, (BlockingIOError, FileNotFoundError)):
                    continue  # somebody who tidied up took it for a dead one's
                raise
            old, old_name = self._file, self._name
            self._file, self._name, self._size = file, name, len(content)
            self._rewrite_at = max(_REWRITE_OCTETS, 2 * self._size)
            os.fsync(self._folder)
            if old >= 0:
                self._remove(old_name)
                os.close(old)
            return
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    def _append(self, line: bytes) -> None:
        try:
            _write_whole(self._file, line)
        except OSError:
            try:
                os.ftruncate(self._file, self._size)
            except OSError:
                pass
            raise
        self._size += len(line)

    def _end(self) -> None:
        file, name = self._file, self._name
        self._file, self._name = -1, ""
        try:
            os.unlink(name, dir_fd=self._folder)
        finally:
            os.close(file)

    def _remove(self, name: str) -> None:
        try:
            os.unlink(name, dir_fd=self._folder)
        except OSError:
            pass

    def _warn(self, error: OSError | NetworkError) -> None:
        if not self._warned:
            self._warned = True
            log.warning(
                "no journal of changes to the system (%s): if this process is killed, 'pypptp undo' cannot help",
                reason(error),
            )


class JournalFile:
    """A journal as another process finds it.

    Args:
        folder: descriptor of the folder.
        name: the file's name in it.

    Attributes:
        name: the same.
        owner_lives: the owner holds its lock; otherwise this object does, until it is closed.
        entries: those not struck out, oldest first.

    Raises:
        FileNotFoundError: it has gone meanwhile.
        OSError: the system refuses.
        NetworkError: the file is not such as this user would have made.
    """

    def __init__(self, folder: int, name: str) -> None:
        self.name = name
        self._folder = folder
        # Not blocking: nobody could have made a FIFO here, but it would hang us for good.
        flags = os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            self._file = os.open(name, os.O_RDWR | flags, dir_fd=folder)
        except OSError as error:
            if error.errno != errno.EROFS:
                raise
            self._file = os.open(name, os.O_RDONLY | flags, dir_fd=folder)
        try:
            found = os.fstat(self._file)
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & WRITABLE_BY_OTHERS:
                raise NetworkError(f"{name} is no journal of user {os.geteuid()}'s own")
            if found.st_size > _LARGEST_OCTETS:
                raise NetworkError(f"{name} is too large for a journal")
            self.owner_lives = not try_lock(self._file)
            # Between our opening and locking it the owner may have ended in order, or begun a new file.
            if os.stat(name, dir_fd=folder, follow_symlinks=False).st_ino != found.st_ino:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
            data = os.pread(self._file, _LARGEST_OCTETS, 0)
        except BaseException:
            os.close(self._file)
            raise
        self.entries = parse(data)
        self._whole = not data or data.endswith(b"\n")

    def __enter__(self) -> JournalFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def strike(self, entry: Entry) -> None:
        """Strike out an entry of a dead owner; with the last one the file goes. Raises OSError."""
        self.entries.remove(entry)
        if not self.entries:
            self.remove()
            return
        _write_whole(self._file, (b"" if self._whole else b"\n") + strike_line(entry.number))
        self._whole = True

    def remove(self) -> None:
        """Remove the file. Raises OSError."""
        os.unlink(self.name, dir_fd=self._folder)

    def close(self) -> None:
        """Let go of the file and its lock."""
        os.close(self._file)


def journal_names(folder: int, suffix: str = SUFFIX) -> list[str]:
    """List the journals in an open folder by name."""
    return sorted(name for name in os.listdir(folder) if name.endswith(suffix))


def is_here(entry: Entry, here: Owner) -> bool:
    """Whether an entry's change was made in ``here``'s namespace, since this start of the machine."""
    return entry.owner.boot == here.boot and entry.owner.namespace == here.namespace


def reason(error: OSError | NetworkError) -> str:
    """Say in words what the system did not like."""
    if isinstance(error, NetworkError):
        return str(error)
    words = error.strerror or str(error)
    return f"{error.filename}: {words}" if error.filename else words


def _write_whole(file: int, data: bytes) -> None:
    written = os.write(file, data)
    if written != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(file)


__all__ = [
    "Entry",
    "Journal",
    "JournalFile",
    "entry_line",
    "is_here",
    "journal_names",
    "parse",
    "reason",
    "strike_line",
]
