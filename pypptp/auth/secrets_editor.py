r"""Editing a chap-secrets file: one user's lines change, every other octet stays.

The new content is read back before it takes the old one's place: if anybody's line but the user's would mean
something else, nothing is written. The file is locked meanwhile (``flock``; pppd only reads it) and replaced in one
step, with its mode, owner and extended attributes, so that a reader sees the old file or the new one, and never half.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pypptp.auth.account import AddressRule
from pypptp.auth.chap_secrets import Entry, parse_chap_secrets
from pypptp.auth.secret_file import MAXIMUM_SIZE, read_secret_file
from pypptp.auth.words import Word, quote_word, split_words
from pypptp.errors import ConfigurationError

LOCK_SECONDS = 5.0
"""How long to wait for somebody else who edits the file."""

NEW_FILE = b"# Secrets for authentication using CHAP\n# client\tserver\tsecret\t\t\tIP addresses\n"
"""How a file begins that is made for the first user: as pppd's own does."""

NEW_MODE = 0o600

Edit = Callable[[bytes], bytes]
"""From the file's content to the new one. Raises ConfigurationError where the change is not possible."""


@dataclass(frozen=True, slots=True)
class _Line:
    """An entry and where its words are."""

    entry: Entry
    words: tuple[Word, ...]


def add_user(
    client: str, secret: str, *, server: str = "*", addresses: Sequence[str] = ("*",), source: str = "chap-secrets"
) -> Edit:
    """Make the edit that adds a line at the end.

    Args:
        client: the user's name.
        secret: the password, or ``nt:`` and 32 hex digits.
        server: the server's name it is for, ``*`` for any.
        addresses: the fourth and later columns.
        source: the file's name, for errors.

    Raises:
        ConfigurationError: a name or secret no line can hold; the edit, where that user is there already.
    """
    _check_name(client)
    _check_secret(secret)
    AddressRule.from_words(list(addresses))
    line = "\t".join([quote_word(client), quote_word(server), quote_word(secret), *addresses]).encode() + b"\n"

    def edit(data: bytes) -> bytes:
        for known in _lines(data, source):
            if (known.entry.client, known.entry.server) == (client, server):
                raise ConfigurationError(
                    f"{source}:{known.entry.line}: there is a line for this user and server already; change its "
                    "secret with 'pypptp user passwd'"
                )
        changed = data + (b"" if not data or data.endswith(b"\n") else b"\n") + line
        before, after = _entries(data, source), _entries(changed, source)
        if after[:-1] != before or (after[-1].client, after[-1].server) != (client, server):
            raise ConfigurationError(f"{source}: its last line goes on in the next one, so none can be added behind it")
        return changed

    return edit


def add_tunnel(
    tunnel: str, client: str, secret: str, *, former: str | None = None, source: str = "chap-secrets"
) -> Edit:
    """Make the edit that adds the line of a client's connection at the end, written as pptpsetup does.

    A line that the connection had before goes: of two for the same client and server only the first would count.

    Args:
        tunnel: the connection's name; it stands for the server.
        client: who logs in.
        secret: the password, or ``nt:`` and 32 hex digits.
        former: who logged in by that connection before, where that is known.
        source: the file's name, for errors.

    Raises:
        ConfigurationError: a name or secret no line can hold.
    """
    _check_name(client)
    _check_secret(secret)
    quoted = quote_word(secret)
    quoted = quoted if quoted.startswith('"') else f'"{quoted}"'
    added = f"\n{_mark(tunnel)}\n{quote_word(client)} {quote_word(tunnel)} {quoted} *\n".encode()

    def edit(data: bytes) -> bytes:
        kept = data
        for known in dict.fromkeys((former, client)):
            kept = remove_tunnel(tunnel, known, source=source)(kept)
        changed = kept + (b"" if not kept or kept.endswith(b"\n") else b"\n") + added
        before, after = _entries(kept, source), _entries(changed, source)
        if after[:-1] != before or (after[-1].client, after[-1].server) != (client, tunnel):
            raise ConfigurationError(f"{source}: its last line goes on in the next one, so none can be added behind it")
        return changed

    return edit


def remove_tunnel(tunnel: str, client: str | None, *, source: str = "chap-secrets") -> Edit:
    """Make the edit that removes the line of a client's connection, and what pptpsetup writes above it.

    It is the line whose server is the connection's name and whose client is ``client``, or that has pptpsetup's comment
    above it; others for that server stay, since a server here may have the same name.

    Args:
        tunnel: the connection's name.
        client: who logs in, where that is known.
        source: the file's name, for errors.
    """
    mark = _mark(tunnel).encode()

    def edit(data: bytes) -> bytes:
        changed, gone = data, set()
        for line in reversed(_lines(data, source)):
            start = data.rfind(b"\n", 0, line.words[0].start) + 1
            above = data.rfind(b"\n", 0, max(start - 1, 0)) + 1
            marked = start > 0 and data[above : start - 1].strip() == mark
            if line.entry.server != tunnel or not (marked or line.entry.client == client):
                continue
            if marked:
                blank = data[:above] == b"\n" or data[:above].endswith(b"\n\n")
                start = above - 1 if blank else above
            end = data.find(b"\n", line.words[-1].end) + 1 or len(data)
            changed = changed[:start] + changed[end:]
            gone.add(line.entry.line)
        _compare([entry for entry in _entries(data, source) if entry.line not in gone], changed, source)
        return changed

    return edit


def _mark(tunnel: str) -> str:
    return f"# added by pptpsetup for {tunnel}"


def remove_user(client: str, *, server: str | None = None, source: str = "chap-secrets") -> Edit:
    """Make the edit that removes a user's lines, or those for one server.

    Raises:
        ConfigurationError: the edit, where there is no such user.
    """

    def edit(data: bytes) -> bytes:
        changed = data
        found = _lines_of(data, client, server, source)
        for line in reversed(found):
            start = data.rfind(b"\n", 0, line.words[0].start) + 1
            end = data.find(b"\n", line.words[-1].end) + 1 or len(data)
            # What stands before the line on the same physical line can only be a byte order mark.
            start = max(start, 3 if data.startswith(b"\xef\xbb\xbf") else 0)
            changed = changed[:start] + changed[end:]
        gone = {line.entry.line for line in found}
        _compare([entry for entry in _entries(data, source) if entry.line not in gone], changed, source)
        return changed

    return edit


def change_secret(client: str, secret: str, *, server: str | None = None, source: str = "chap-secrets") -> Edit:
    """Make the edit that puts another secret into a user's lines, or those for one server.

    Raises:
        ConfigurationError: a secret no line can hold; the edit, where there is no such user.
    """
    _check_secret(secret)

    def edit(data: bytes) -> bytes:
        changed = data
        found = _lines_of(data, client, server, source)
        for line in reversed(found):
            word = line.words[2]
            changed = changed[: word.start] + quote_word(secret).encode() + changed[word.end :]
        touched = {line.entry.line for line in found}
        _compare(
            [replace(e, password=None, nt_hash=None) if e.line in touched else e for e in _entries(data, source)],
            changed,
            source,
            blind=touched,
        )
        return changed

    return edit


def edit_file(path: Path, edit: Edit, *, create: bool = False) -> None:
    """Change a secrets file.

    Args:
        path: the file; where it is a symbolic link, what it leads to.
        edit: the change.
        create: make it where there is none, readable for its owner alone.

    Raises:
        ConfigurationError: it cannot be read or written, somebody else is editing it, or the edit is not possible;
            then it is as it was.
    """
    real = Path(os.path.realpath(path))
    try:
        if create and not real.exists():
            descriptor = os.open(real, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, NEW_MODE)
            with os.fdopen(descriptor, "wb") as file:
                file.write(NEW_FILE)
        with _locked(real):
            data, _ = read_secret_file(real)
            changed = edit(data)
            if len(changed) > MAXIMUM_SIZE:
                raise ConfigurationError(f"{path} would be larger than {MAXIMUM_SIZE // 1024 // 1024} MiB")
            if changed != data:
                _replace(real, changed)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be changed: {error.strerror}") from None


def _check_name(client: str) -> None:
    if not client or not client.isprintable():
        raise ConfigurationError("a user's name has one character at least, and none that cannot be printed")
    if client == "*":
        raise ConfigurationError("a user named * would be everybody; write such a line by hand if it is meant")


def _check_secret(secret: str) -> None:
    if not secret:
        raise ConfigurationError("the password is empty")
    if any(ord(character) < 32 or ord(character) == 127 for character in secret):
        raise ConfigurationError("the password holds a control character")
    if secret.startswith("@/"):
        raise ConfigurationError("a secret that begins with @/ stands for a file; choose another password")
    entry = parse_chap_secrets(f"x * {quote_word(secret)} *\n".encode()).entries[0]
    if secret.startswith("nt:") and entry.nt_hash is None:
        raise ConfigurationError("a secret that begins with nt: stands for a hash; choose another password")


def _no_file(path: Path) -> tuple[bytes, list[str]]:
    """Stand in for the file of an ``@/path`` secret: what is in it does not matter to whoever edits this one."""
    return b"x", []


def _entries(data: bytes, source: str) -> list[Entry]:
    return list(parse_chap_secrets(data, source, read_file=_no_file).entries)


def _lines(data: bytes, source: str) -> list[_Line]:
    rows: list[list[Word]] = []
    for word in split_words(data, source):
        if word.starts_line or not rows:
            rows.append([])
        rows[-1].append(word)
    return [_Line(entry, tuple(row)) for entry, row in zip(_entries(data, source), rows, strict=True)]


def _lines_of(data: bytes, client: str, server: str | None, source: str) -> list[_Line]:
    found = [
        line
        for line in _lines(data, source)
        if line.entry.client == client and (server is None or line.entry.server == server)
    ]
    if not found:
        whose = f"user '{client}'" + (f" of server '{server}'" if server is not None else "")
        raise ConfigurationError(f"{source}: there is no line for {whose}")
    return found


def _compare(
    expected: list[Entry], changed: bytes, source: str, blind: frozenset[int] | set[int] = frozenset()
) -> None:
    """See that the entries are those, wherever their lines are by now."""
    found = _entries(changed, source)
    if len(found) == len(expected):
        found = [
            replace(entry, password=None, nt_hash=None) if wanted.line in blind else entry
            for entry, wanted in zip(found, expected, strict=True)
        ]
    if [replace(entry, line=0) for entry in found] != [replace(entry, line=0) for entry in expected]:
        raise ConfigurationError(f"{source}: other lines hang together with this one; edit the file by hand")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of the file that has this name; who waited for it may find another one there by then."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if _try_lock(descriptor) and os.path.samestat(os.fstat(descriptor), path.stat()):
                yield
                return
        finally:
            os.close(descriptor)
        if time.monotonic() > deadline:
            raise ConfigurationError(f"{path} is being edited by another process")
        time.sleep(0.02)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _replace(path: Path, data: bytes) -> None:
    before = path.stat()
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            now = os.fstat(descriptor)
            if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
                os.fchown(descriptor, before.st_uid, before.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
            _copy_attributes(path, descriptor)
            os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _copy_attributes(path: Path, descriptor: int) -> None:
    """Copy what SELinux and access lists keep beside the mode; where the file system has none, there is nothing to."""
    try:
        for name in os.listxattr(path):
            os.setxattr(descriptor, name, os.getxattr(path, name))
    except OSError:
        pass
