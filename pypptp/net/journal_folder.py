"""The folder of the journals: where it is, whom it may belong to, and one process at a time in it.

It is ``/run/pypptp/journal``, which ends with the boot as the changes do, or ``$XDG_RUNTIME_DIR/pypptp/journal`` of a
user who is not root. What is in it makes a privileged process change the system, so it is used only where nobody else
can write to it.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pypptp.errors import NetworkError

RUNTIME_FOLDER = Path("/run/pypptp")
SUFFIX = ".journal"
UNFINISHED = ".new"
"""A journal without its first entry; what a crash leaves of it means nothing."""

WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_POLL_SECONDS = 0.01


def runtime_folder() -> Path:
    """Return the folder for what lives as long as this boot, of this user. Raises NetworkError where it has none."""
    if os.geteuid() == 0:
        return RUNTIME_FOLDER
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if not runtime.startswith("/"):
        raise NetworkError("XDG_RUNTIME_DIR is not set, and only root writes to /run")
    return Path(runtime) / "pypptp"


def journal_folder() -> Path:
    """Return the folder for this user, which may not be there. Raises NetworkError where a user has none."""
    return runtime_folder() / "journal"


def open_folder(path: Path, *, create: bool) -> int:
    """Open the folder.

    Args:
        path: of the folder; its parent is looked at, too.
        create: make both where they are missing.

    Returns:
        A descriptor, for the caller to close.

    Raises:
        FileNotFoundError: it is not there, and not to be made.
        OSError: the system refuses.
        NetworkError: somebody else can write to it.
    """
    if create:
        _make(path.parent, 0o755, None)
    parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _check(parent, path.parent, WRITABLE_BY_OTHERS)
        if create:
            _make(Path(path.name), 0o700, parent)
        folder = os.open(path.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    finally:
        os.close(parent)
    try:
        # Whoever may read it could hold its lock.
        _check(folder, path, stat.S_IRWXG | stat.S_IRWXO)
    except BaseException:
        os.close(folder)
        raise
    return folder


@contextmanager
def alone_in(folder: int, *, patience: float) -> Iterator[bool]:
    """Hold the lock of an open folder: what several processes share is looked at and changed by one at a time.

    Args:
        folder: descriptor.
        patience: seconds to wait; the lock is held for milliseconds, by a stopped process for ever.

    Yields:
        Whether it was to be had.
    """
    deadline = time.monotonic() + patience
    while not (held := try_lock(folder)) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    try:
        yield held
    finally:
        if held:
            fcntl.flock(folder, fcntl.LOCK_UN)


def try_lock(descriptor: int) -> bool:
    """Take the lock of an open file, if nobody has it. The kernel lets go of it with the last descriptor."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _make(path: Path, mode: int, parent: int | None) -> None:
    try:
        os.mkdir(path, mode, dir_fd=parent)
    except FileExistsError:
        pass


def _check(descriptor: int, path: Path, forbidden: int) -> None:
    found = os.fstat(descriptor)
    if found.st_uid != os.geteuid():
        raise NetworkError(f"{path} belongs to user {found.st_uid}, not to user {os.geteuid()}")
    if found.st_mode & forbidden:
        raise NetworkError(f"{path} is open to others (mode {stat.S_IMODE(found.st_mode):04o})")
