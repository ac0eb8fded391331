"""Who made a change: which process, since when, in which network namespace, since which start of the machine."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# Of the thread, not of the process: an edge may work in a namespace that one thread has entered.
_NAMESPACE = Path("/proc/thread-self/ns/net")
_SO_NETNS_COOKIE = 71
_ENDED = ("Z", "X")


@dataclass(frozen=True, slots=True)
class NamespaceId:
    """A network namespace.

    Attributes:
        device: of the file in /proc.
        inode: its number. The kernel gives it to a new namespace as soon as the old one is gone.
        cookie: never given twice (SO_NETNS_COOKIE, Linux 5.14); 0 where the kernel has none.
    """

    device: int
    inode: int
    cookie: int

    def has_replaced(self, other: NamespaceId) -> bool:
        """Whether ``other`` is gone for certain, since this one has its number now."""
        return (self.device, self.inode) == (other.device, other.inode) and self != other


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A process that changed the system.

    Attributes:
        boot: the kernel's boot id; another one after each start of the machine.
        namespace: where the changes were made.
        pid: number of the process.
        start: when it started, in clock ticks after boot: pid and start together are never given twice.
        instance: what it is, for people: ``client``.
    """

    boot: str
    namespace: NamespaceId
    pid: int
    start: str
    instance: str

    def __str__(self) -> str:
        return f"pid {self.pid} ({self.instance})"

    def is_running(self) -> bool:
        """Whether that process, and not a later one of its number, is there; a zombie is not."""
        return process_start(self.pid) == self.start


def this_owner(instance: str) -> Owner:
    """Return what describes this process, in the namespace of the calling thread. Raises OSError without /proc."""
    pid = os.getpid()
    start = process_start(pid)
    if start is None:
        raise FileNotFoundError(2, "No such file or directory", f"/proc/{pid}/stat")
    boot = _BOOT_ID.read_text(encoding="ascii").strip()
    return Owner(boot=boot, namespace=this_namespace(), pid=pid, start=start, instance=instance)


def this_namespace() -> NamespaceId:
    """Return the network namespace of the calling thread. Raises OSError without /proc."""
    found = _NAMESPACE.stat()
    cookie = b""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as any_socket:
            cookie = any_socket.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8)
    except OSError:
        pass  # before Linux 5.14
    return NamespaceId(found.st_dev, found.st_ino, int.from_bytes(cookie, "little"))


def process_start(pid: int) -> str | None:
    """Return when a process started, in clock ticks after boot (``/proc/PID/stat``, field 22).

    None where there is no such process, or only the entry that its parent has not collected yet.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in _ENDED else fields[19]
