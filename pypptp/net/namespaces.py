"""Network namespaces of our own, for the demo and the tests: no ``ip`` program, nothing left behind after kill -9.

A namespace here has no name in /run/netns and no mount: it lives as long as its descriptor, or a process in it, does.
Threads carry namespaces in Linux, so everything that happens in one is done by a thread that enters it and ends:
the rest of the process stays where it was, and a program started by that thread is born inside, without a
``preexec_fn``.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from ipaddress import IPv4Interface
from types import TracebackType
from typing import Any, Final, Generic, TypeVar

from pypptp.errors import NetworkError
from pypptp.net import links
from pypptp.net.netlink import NLM_F_CREATE, NLM_F_EXCL, NetlinkSocket, ifinfmsg, refused

T = TypeVar("T")

CLONE_NEWNS: Final = 0x00020000
CLONE_NEWNET: Final = 0x40000000
_MS_BIND: Final = 0x1000
_MS_REC: Final = 0x4000
_MS_SLAVE: Final = 0x80000
_MNT_DETACH: Final = 2


class Namespace:
    """One network namespace, with the loopback interface up.

    Args:
        label: a word for messages, for example ``"gateway"``.

    Raises:
        NetworkError: the kernel or the container does not let us make one.
    """

    def __init__(self, label: str) -> None:
        self.label = label
        self._fd = _in_thread(_make)

    def __enter__(self) -> Namespace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Namespace {self.label}>"

    def fileno(self) -> int:
        """Return the descriptor that holds the namespace."""
        return self._fd

    def close(self) -> None:
        """Let go of the namespace; it ends with the last process in it. Closing twice is no error."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def run(self, function: Callable[[], T], *, own_sysfs: bool = False) -> T:
        """Call ``function`` in a thread inside the namespace and return, or raise, what it does.

        Args:
            function: sockets it opens stay in the namespace and may be used from anywhere afterwards.
            own_sysfs: give the thread a /sys that shows the namespace's interfaces (in a mount namespace of its own,
            which
                what it starts inherits); goes without where that is refused.
        """

        def inside() -> T:
            self._enter(own_sysfs=own_sysfs)
            return function()

        return _in_thread(inside)

    def popen(self, arguments: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a program inside the namespace, with a /sys to match; the options are those of ``subprocess.Popen``."""
        return self.run(lambda: subprocess.Popen(arguments, **options), own_sysfs=True)  # noqa: S603 - the caller's own

    def add_address(self, interface: str, address: str) -> None:
        """Give an interface an address such as ``203.0.113.1/24`` and set it up."""

        def act() -> None:
            given = IPv4Interface(address)
            with NetlinkSocket() as netlink:
                links.add_address(netlink, interface, given.ip, prefix=given.network.prefixlen)
                links.set_up(netlink, interface)

        self.run(act)

    def _enter(self, *, own_sysfs: bool) -> None:
        if _libc().setns(self._fd, CLONE_NEWNET) != 0:
            raise NetworkError(f"cannot enter the namespace {self.label}: {os.strerror(ctypes.get_errno())}")
        if own_sysfs and own_mounts():
            mount_own_sysfs()


def own_mounts() -> bool:
    """Give this thread mounts of its own, which the rest of the process does not see; False where that is refused."""
    # Slave: otherwise what is mounted here would show in the namespace we came from.
    libc = _libc()
    return bool(libc.unshare(CLONE_NEWNS) == 0 and libc.mount(b"", b"/", None, _MS_REC | _MS_SLAVE, None) == 0)


def mount_own_sysfs() -> None:
    """Put a /sys of the thread's network namespace over the one that is there, as ``ip netns exec`` does."""
    _libc().umount2(b"/sys", _MNT_DETACH)
    _libc().mount(b"sysfs", b"/sys", b"sysfs", 0, None)


def mount(kind: str, where: str, *, source: str | None = None) -> None:
    """Mount a file system of some kind, or with ``source`` bind that file or folder. Raises OSError."""
    flags = 0 if source is None else _MS_BIND
    if _libc().mount((source or kind).encode(), where.encode(), kind.encode(), flags, None) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), where)


def unmount(where: str) -> None:
    """Take a mount out of the tree; what is bound elsewhere, or open, lives on. Raises OSError."""
    if _libc().umount2(where.encode(), _MNT_DETACH) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), where)


def connect(first: Namespace, first_name: str, second: Namespace, second_name: str) -> None:
    """Join two namespaces by a pair of virtual Ethernet interfaces, one in each, both up and without addresses."""

    def act() -> None:
        other = ifinfmsg()
        other["attrs"] = [("IFLA_IFNAME", second_name), ("IFLA_NET_NS_FD", second.fileno())]
        message = ifinfmsg()
        message["attrs"] = [
            ("IFLA_IFNAME", first_name),
            (
                "IFLA_LINKINFO",
                {"attrs": [("IFLA_INFO_KIND", "veth"), ("IFLA_INFO_DATA", {"attrs": [("VETH_INFO_PEER", other)]})]},
            ),
        ]
        with NetlinkSocket() as netlink:
            try:
                netlink.request(message, links.RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL)
            except OSError as error:
                raise refused("make a veth pair (modprobe veth)", error) from error
            links.set_up(netlink, first_name)

    def act_there() -> None:
        with NetlinkSocket() as netlink:
            links.set_up(netlink, second_name)

    first.run(act)
    second.run(act_there)


def why_no_namespaces() -> str | None:
    """Try to make a namespace. Return one sentence about what is in the way, or None."""
    try:
        Namespace("trial").close()
    except NetworkError as error:
        return str(error)
    return None


def _make() -> int:
    if _libc().unshare(CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise NetworkError(
            f"cannot make a network namespace ({os.strerror(code)}): run as root, in a container with '--privileged'"
        )
    fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        with NetlinkSocket() as netlink:
            links.set_up(netlink, "lo")
    except BaseException:
        os.close(fd)
        raise
    return fd


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


class _Outcome(Generic[T]):
    value: T
    error: BaseException | None = None


def _in_thread(function: Callable[[], T]) -> T:
    outcome: _Outcome[T] = _Outcome()

    def act() -> None:
        try:
            outcome.value = function()
        except BaseException as error:
            outcome.error = error

    thread = threading.Thread(target=act, name="pypptp-namespace")
    thread.start()
    thread.join()
    if outcome.error is not None:
        raise outcome.error
    return outcome.value
