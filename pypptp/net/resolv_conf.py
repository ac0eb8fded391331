"""/etc/resolv.conf rewritten, and put back byte for byte: content or link target, mode, owner, times, attributes.

What was there lies in ``/var/lib/pypptp/resolv.conf``, where a boot does not lose it: the file that we changed is on a
disk, too, while the journal's folder is not. Beside it, each client that has servers of its own has a layer; the one
that came last is on top, and they may go in any order. A layer is its owner's as long as that holds the lock of its
file, as with :mod:`pypptp.net.journal`, so it does not matter in which network namespace or after how many boots
somebody looks: the file belongs to the mount namespace, and whoever finds a dead one's layer takes it away.

The file is replaced, not written to, so that nobody reads half of it, and one that is a link (to what resolved or
NetworkManager keep) gets its link back while its target was never touched. Where it is a mount point, as in a
container, it cannot be replaced and is written in place.

Whatever is found there that we did not write is somebody else's: it is left as it is, and said so.
"""

from __future__ import annotations

import base64
import errno
import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from pypptp.errors import NetworkError
from pypptp.net.edge import Recovery
from pypptp.net.journal_folder import alone_in, open_folder, try_lock
from pypptp.net.owner import Owner, this_owner
from pypptp.net.records import mapping, number, text

RESOLV_CONF = Path("/etc/resolv.conf")
STATE_FOLDER = Path("/var/lib/pypptp")

_NAME = "resolv.conf"
_ORIGINAL = ".original"
_LAYER = ".layer"
_UNFINISHED = ".new"
_KEPT = ("search ", "domain ", "options ", "sortlist ", "search\t", "domain\t", "options\t", "sortlist\t")
"""Lines of the old file that hold whichever server is asked."""
_LARGEST_OCTETS = 1 << 20
_PATIENCE_SECONDS = 5.0
_MOUNTS = Path("/proc/thread-self/mountinfo")


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it was found.

    Attributes:
        kind: ``file``, ``link`` or ``absent``.
        content: of the file, or the link's target.
        mode: permission bits.
        uid: owner.
        gid: group.
        times: of access and modification, in nanoseconds.
        attributes: extended attributes, an SELinux label for example.
    """

    kind: str
    content: bytes = b""
    mode: int = 0
    uid: int = 0
    gid: int = 0
    times: tuple[int, int] = field(default=(0, 0), compare=False)
    attributes: Mapping[str, bytes] = field(default_factory=dict, compare=False)


class Layer:
    """One client's name servers on top of the file, from :func:`push` to :func:`pop`."""

    def __init__(self, name: str, lock: int) -> None:
        self.name = name
        self._lock = lock

    def close(self) -> None:
        """Let go of the lock, as the end of the process would."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def push(interface: str, servers: Sequence[IPv4Address], *, instance: str) -> Layer:
    """Have programs ask ``servers``, until :func:`pop`.

    Args:
        interface: the tunnel's, for people who read the file.
        servers: in order of preference.
        instance: what this process is, for people.

    Raises:
        NetworkError: the system refuses; then nothing is changed.
    """
    try:
        with _Stack.locked(create=True) as stack:
            return stack.push(interface, servers, instance)
    except OSError as error:
        raise NetworkError(f"cannot change {RESOLV_CONF}: {error.strerror or error}") from error


def pop(layer: Layer) -> None:
    """Take a layer away, and bring back what is below.

    Raises:
        NetworkError: the system refuses, or the file is not what pypptp wrote: then it is left as it is.
    """
    try:
        with _Stack.locked(create=True) as stack:
            stack.pop(layer.name)
    except OSError as error:
        raise NetworkError(f"cannot restore {RESOLV_CONF}: {error.strerror or error}") from error
    finally:
        layer.close()


def recover(recovery: Recovery, *, dry_run: bool = False) -> None:
    """Take away the layers of the dead, and write into ``recovery`` what became of them. It never raises."""
    try:
        with _Stack.locked(create=False) as stack:
            stack.recover(recovery, dry_run=dry_run)
    except FileNotFoundError:
        return
    except NetworkError as error:
        recovery.errors.append(f"{RESOLV_CONF} is left alone: {error}")
    except OSError as error:
        recovery.errors.append(f"{RESOLV_CONF} is left alone: {error.strerror or error}")


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a layer's file says."""

    owner: Owner | None
    interface: str
    servers: tuple[IPv4Address, ...]

    def __str__(self) -> str:
        servers = ", ".join(map(str, self.servers)) or "none"
        whose = "somebody" if self.owner is None else f"pid {self.owner.pid} ({self.owner.instance})"
        return f"name servers {servers} for {self.interface} in {RESOLV_CONF}, of {whose}"


class _Stack:
    """The folder, while nobody else is in it."""

    def __init__(self, folder: int) -> None:
        self._folder = folder
        # In a mount namespace of its own the file may be another one, and the folder the same.
        self._in_place = _is_mount_point(RESOLV_CONF)
        found = RESOLV_CONF.stat() if self._in_place else None
        self._key = "etc" if found is None else f"mount-{found.st_dev}-{found.st_ino}"

    @classmethod
    @contextmanager
    def locked(cls, *, create: bool) -> Iterator[_Stack]:
        folder = open_folder(STATE_FOLDER / _NAME, create=create)
        try:
            with alone_in(folder, patience=_PATIENCE_SECONDS) as alone:
                if not alone:
                    raise NetworkError("another pypptp is at work on it: try again later")
                yield cls(folder)
        finally:
            os.close(folder)

    def push(self, interface: str, servers: Sequence[IPv4Address], instance: str) -> Layer:
        self._drop_dead()
        present, layers = read_state(RESOLV_CONF), self._layers()
        original = self._original()
        if original is None or not layers or not self._is_ours(present):
            original = present
        content = _content(original, interface, servers)
        # First what was there, then whose the change is, then the change: killed between two of them, either nothing
        # has changed or the next one knows what to put back.
        self._keep(original, content, present)
        number_of_last = max((int(name[len(self._key) + 1 :].partition("-")[0]) for name in layers), default=0)
        name = f"{self._key}-{number_of_last + 1:06d}-{os.getpid()}-{os.urandom(4).hex()}{_LAYER}"
        lock = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=self._folder)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write_whole(lock, _to_json(_owner_fields(instance) | {"interface": interface, "servers": servers}))
            self._write(content)
        except BaseException:
            os.unlink(name, dir_fd=self._folder)
            os.close(lock)
            if not layers:
                self._forget()
            raise
        return Layer(name, lock)

    def pop(self, name: str) -> None:
        # One that a visitor to the folder took for a dead one's is gone already.
        if name in self._layers():
            os.unlink(name, dir_fd=self._folder)
        self._settle()

    def recover(self, recovery: Recovery, *, dry_run: bool) -> None:
        for name, entry, alive in self._owners():
            if alive:
                recovery.left.append(f"{entry}, which is running")
                continue
            if not dry_run:
                os.unlink(name, dir_fd=self._folder)
            recovery.taken_back.append(str(entry))
        if not dry_run:
            try:
                self._settle()
            except NetworkError as error:
                recovery.errors.append(str(error))

    def _drop_dead(self) -> None:
        for name, _, alive in self._owners():
            if not alive:
                os.unlink(name, dir_fd=self._folder)
        try:
            self._settle()
        except NetworkError:
            pass  # somebody else's now, and so the original of what is to come

    def _settle(self) -> None:
        """Have the file say what the top layer does, or what was there before all of them."""
        original = self._original()
        layers = self._layers()
        if original is None:
            if not layers:
                self._forget()
            return
        present = read_state(RESOLV_CONF)
        if not self._is_ours(present):
            if not layers:
                self._forget()
            if present != original:
                raise NetworkError(f"{RESOLV_CONF} was changed by somebody else meanwhile, it is left as it is")
            return
        if layers:
            top = self._entry(layers[-1])
            content = _content(original, top.interface, top.servers)
            if content != present.content:
                self._keep(original, content, present)
                self._write(content)
            return
        self._restore(original)
        self._forget()

    def _is_ours(self, present: FileState) -> bool:
        return present.kind == "file" and _digest(present.content) in self._written()

    def _layers(self) -> list[str]:
        prefix = f"{self._key}-"
        names = os.listdir(self._folder)  # noqa: PTH208 - of a descriptor
        return sorted(name for name in names if name.startswith(prefix) and name.endswith(_LAYER))

    def _owners(self) -> list[tuple[str, _Entry, bool]]:
        found = []
        for name in self._layers():
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._folder)
            try:
                alive = not try_lock(file)
                found.append((name, self._entry(name), alive))
            finally:
                os.close(file)
        return found

    def _entry(self, name: str) -> _Entry:
        try:
            fields = mapping(json.loads(self._read(name)))
            namespace = fields["namespace"]
            owner = Owner(
                boot=text(fields["boot"]),
                namespace=type(this_owner("").namespace)(*map(number, namespace)),
                pid=number(fields["pid"]),
                start=text(fields["start"]),
                instance=text(fields["instance"]),
            )
            servers = tuple(IPv4Address(text(server)) for server in fields["servers"])
            return _Entry(owner, text(fields["interface"]), servers)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return _Entry(None, "a tunnel", ())

    def _original(self) -> FileState | None:
        try:
            return _from_fields(self._state()["file"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def _written(self) -> list[str]:
        try:
            return [text(digest) for digest in self._state()["written"]]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return []

    def _state(self) -> Mapping[str, Any]:
        return mapping(json.loads(self._read(self._key + _ORIGINAL)))

    def _keep(self, original: FileState, content: bytes, present: FileState) -> None:
        """Write down what was there, and how to tell what we write, and wrote, from what others do."""
        written = [_digest(content)]
        if self._is_ours(present):
            written.append(_digest(present.content))
        name = self._key + _ORIGINAL
        file = os.open(
            name + _UNFINISHED,
            os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC,
            0o600,
            dir_fd=self._folder,
        )
        try:
            _write_whole(file, _to_json({"file": _to_fields(original), "written": written}))
        finally:
            os.close(file)
        os.rename(name + _UNFINISHED, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        os.fsync(self._folder)

    def _forget(self) -> None:
        """Nothing of ours is left: neither what was there, nor what one that was killed had begun."""
        for name in (self._key + _ORIGINAL, self._key + _ORIGINAL + _UNFINISHED):
            try:
                os.unlink(name, dir_fd=self._folder)
            except FileNotFoundError:
                continue
        if not self._in_place:
            _beside().unlink(missing_ok=True)

    def _read(self, name: str) -> bytes:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._folder)
        try:
            return os.pread(file, _LARGEST_OCTETS, 0)
        finally:
            os.close(file)

    def _write(self, content: bytes) -> None:
        self._put(FileState("file", content, 0o644, os.geteuid(), os.getegid()))

    def _restore(self, original: FileState) -> None:
        if original.kind == "absent" and not self._in_place:
            RESOLV_CONF.unlink(missing_ok=True)
        else:
            self._put(original)

    def _put(self, state: FileState) -> None:
        if self._in_place:
            file = os.open(RESOLV_CONF, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
            try:
                _write_whole(file, state.content)
                _dress(file, state)
            finally:
                os.close(file)
            return
        new = _beside()
        new.unlink(missing_ok=True)
        try:
            if state.kind == "link":
                new.symlink_to(os.fsdecode(state.content))
                os.chown(new, state.uid, state.gid, follow_symlinks=False)
                os.utime(new, ns=state.times, follow_symlinks=False)
            else:
                file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                try:
                    _write_whole(file, state.content)
                    _dress(file, state)
                finally:
                    os.close(file)
            new.rename(RESOLV_CONF)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        parent = os.open(RESOLV_CONF.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)


def read_state(path: Path) -> FileState:
    """Read a file, or the link that is in its place, as it is. Raises OSError."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return FileState("absent")
    times = (found.st_atime_ns, found.st_mtime_ns)
    if stat.S_ISLNK(found.st_mode):
        return FileState("link", os.fsencode(path.readlink()), 0o777, found.st_uid, found.st_gid, times)
    if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST_OCTETS:
        raise OSError(errno.EINVAL, f"{path} is no ordinary file")
    attributes = {}
    try:
        for name in os.listxattr(path, follow_symlinks=False):
            attributes[name] = os.getxattr(path, name, follow_symlinks=False)
    except OSError:
        pass  # a file system without
    mode = stat.S_IMODE(found.st_mode)
    return FileState("file", path.read_bytes(), mode, found.st_uid, found.st_gid, times, attributes)


def _content(original: FileState, interface: str, servers: Sequence[IPv4Address]) -> bytes:
    lines = [
        f"# Written by pypptp for {interface}. What was here before comes back when the tunnel ends;",
        "# after a crash with 'pypptp undo'.",
    ]
    old = original.content if original.kind == "file" else b""
    if original.kind == "link":
        try:
            old = RESOLV_CONF.parent.joinpath(os.fsdecode(original.content)).read_bytes()[:_LARGEST_OCTETS]
        except OSError:
            old = b""
    lines += [line for line in old.decode("utf-8", "replace").splitlines() if line.startswith(_KEPT)]
    lines += [f"nameserver {server}" for server in servers]
    return "\n".join([*lines, ""]).encode()


def _dress(file: int, state: FileState) -> None:
    """Give a file its owner, mode, attributes and times; what the file system refuses of them it never had."""
    found = os.fstat(file)
    if (found.st_uid, found.st_gid) != (state.uid, state.gid):
        os.fchown(file, state.uid, state.gid)
    os.fchmod(file, state.mode)
    for name, value in state.attributes.items():
        try:
            os.setxattr(file, name, value)
        except OSError:
            pass
    if state.times != (0, 0):
        os.utime(file, ns=state.times)


def _is_mount_point(path: Path) -> bool:
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any(line.split(" ", 5)[4] == str(path) for line in lines if line.count(" ") > 5)


def _beside() -> Path:
    return RESOLV_CONF.with_name(f".{RESOLV_CONF.name}.pypptp")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _owner_fields(instance: str) -> dict[str, object]:
    owner = this_owner(instance)
    return {
        "boot": owner.boot,
        "namespace": [owner.namespace.device, owner.namespace.inode, owner.namespace.cookie],
        "pid": owner.pid,
        "start": owner.start,
        "instance": instance,
    }


def _to_fields(state: FileState) -> dict[str, object]:
    return {
        "kind": state.kind,
        "content": base64.b64encode(state.content).decode(),
        "mode": state.mode,
        "uid": state.uid,
        "gid": state.gid,
        "times": list(state.times),
        "attributes": {name: base64.b64encode(value).decode() for name, value in state.attributes.items()},
    }


def _from_fields(fields: object) -> FileState:
    found = mapping(fields)
    kind = text(found["kind"])
    if kind not in ("file", "link", "absent"):
        raise ValueError("no such kind of file")
    access, modification = found["times"]
    return FileState(
        kind,
        base64.b64decode(text(found["content"]), validate=True),
        number(found["mode"], most=0o7777),
        number(found["uid"], most=0xFFFF_FFFF),
        number(found["gid"], most=0xFFFF_FFFF),
        (number(access), number(modification)),
        {name: base64.b64decode(text(value), validate=True) for name, value in mapping(found["attributes"]).items()},
    )


def _to_json(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields, separators=(",", ":"), default=_as_text).encode() + b"\n"


def _as_text(value: object) -> str:
    return str(value)


def _write_whole(file: int, data: bytes) -> None:
    if os.write(file, data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(file)


__all__ = ["RESOLV_CONF", "STATE_FOLDER", "FileState", "Layer", "pop", "push", "read_state", "recover"]
