"""The sockets' files: where they are, who may use them, and whether anybody is behind one.

The folder is opened once and everything in it reached through its descriptor: what was looked at is what is used, and a
path may be longer than the 108 octets of a Unix socket's address.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pypptp.errors import NetworkError
from pypptp.net.journal_folder import alone_in, open_folder, runtime_folder

SUFFIX: Final = ".sock"
BACKLOG: Final = 16
LOCK_SECONDS: Final = 2.0
LONGEST_NAME: Final = 64
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}", re.ASCII)


def control_folder() -> Path:
    """Return the folder for this user, which may not be there. Raises NetworkError where a user has none."""
    return runtime_folder() / "control"


def is_name(text: str) -> bool:
    """Say whether an instance can be called so."""
    return _NAME.fullmatch(text) is not None


def name_from(text: str) -> str:
    """Make an instance's name of any text, a connection's or a file's.

    >>> name_from("office"), name_from("Zürich, 2nd floor"), name_from("../.x")
    ('office', 'Z_rich__2nd_floor', '_.._.x')
    """
    name = re.sub(r"[^A-Za-z0-9_.@-]", "_", text) or "_"
    return (name if is_name(name[:1]) else f"_{name}")[:LONGEST_NAME]


@contextmanager
def opened_folder(*, create: bool) -> Iterator[int]:
    """Give a descriptor of the folder.

    Raises:
        FileNotFoundError: it is not there, and not to be made.
        OSError: the system refuses.
        NetworkError: somebody else can write to it, or this user has no place for it.
    """
    folder = open_folder(control_folder(), create=create)
    try:
        yield folder
    finally:
        os.close(folder)


def names_in(folder: int) -> list[str]:
    """List the instances that have a socket in the folder, dead ones too."""
    names = (name.removesuffix(SUFFIX) for name in os.listdir(folder) if name.endswith(SUFFIX))
    return sorted(name for name in names if is_name(name))


def connect(folder: int, name: str, patience: float) -> socket.socket:
    """Connect to an instance.

    Raises:
        FileNotFoundError: it has no socket.
        ConnectionRefusedError: nobody is behind it any more.
        TimeoutError: more ask it than it can listen to.
        OSError: the system refuses.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.settimeout(patience)
        made.connect(_address(folder, name))
    except BaseException:
        made.close()
        raise
    return made


def process_behind(connection: socket.socket) -> tuple[int, int]:
    """Return number and user of the process at the other end; a listener's are those of whoever called listen."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int.from_bytes(credentials[:4], "little"), int.from_bytes(credentials[4:8], "little")


class Taken(Exception):
    """Somebody who lives has the name. ``process`` is its number."""

    def __init__(self, process: int) -> None:
        super().__init__(process)
        self.process = process


class Place:
    """A name taken, and the socket that listens under it.

    Attributes:
        name: the instance's name.
        socket: listens, does not block.
    """

    def __init__(self, name: str, *, spare: str = "") -> None:
        """Take a name. A socket that a killed process left is replaced.

        Args:
            name: of the instance.
            spare: the name to take where somebody has that one; empty for none.

        Raises:
            Taken: somebody has it.
            OSError: the system refuses.
            NetworkError: the folder is no safe place, or there is none.
        """
        with opened_folder(create=True) as folder, alone_in(folder, patience=LOCK_SECONDS):
            try:
                _see_that_it_is_free(folder, name)
            except Taken:
                if not spare:
                    raise
                name = spare
                _see_that_it_is_free(folder, name)
            self.name = name
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            try:
                # Nobody else gets into the folder, so the moment before the mode is set is nobody's chance.
                self.socket.bind(_address(folder, name))
                os.chmod(name + SUFFIX, 0o600, dir_fd=folder)
                self.socket.listen(BACKLOG)
                self._inode = os.stat(name + SUFFIX, dir_fd=folder).st_ino
            except BaseException:
                self.socket.close()
                raise

    def leave(self) -> None:
        """Give the name back. Twice is no error; what somebody else has put there meanwhile stays."""
        if self.socket.fileno() < 0:
            return
        try:
            with opened_folder(create=False) as folder, alone_in(folder, patience=LOCK_SECONDS):
                if os.stat(self.name + SUFFIX, dir_fd=folder).st_ino == self._inode:
                    os.unlink(self.name + SUFFIX, dir_fd=folder)
        except (OSError, NetworkError):
            pass  # it is gone already, or the next of this name replaces it
        self.socket.close()


def remove_dead(name: str) -> None:
    """Remove the socket of an instance behind which there is nobody any more; it never raises."""
    try:
        with opened_folder(create=False) as folder, alone_in(folder, patience=LOCK_SECONDS):
            if is_name(name):
                _see_that_it_is_free(folder, name)
    except (OSError, NetworkError, Taken):
        pass  # it is gone already, or somebody has taken the name since


def remove_all_dead() -> None:
    """Remove every socket behind which there is nobody any more; it never raises."""
    try:
        with opened_folder(create=False) as folder:
            names = names_in(folder)
    except (OSError, NetworkError):
        return  # there is no folder, or none that is ours to look into
    for name in names:
        remove_dead(name)


def _see_that_it_is_free(folder: int, name: str) -> None:
    try:
        # A listener whose backlog is full says EAGAIN to those who do not wait: it lives.
        with connect(folder, name, 0.0) as connection:
            raise Taken(process_behind(connection)[0])
    except BlockingIOError:
        raise Taken(0) from None
    except (FileNotFoundError, ConnectionRefusedError):
        pass
    except OSError as error:
        if error.errno != errno.EPROTOTYPE:
            raise
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name + SUFFIX, dir_fd=folder)


def _address(folder: int, name: str) -> str:
    return f"/proc/self/fd/{folder}/{name}{SUFFIX}"
