"""A network namespace whose only way out is a tunnel, and programs in it that notice nothing.

::

    the machine's namespace                          the enclosure
    TCP 1723 and GRE to the server  <-- process -->  ppp0, default route by it, lo

A TUN is made in the enclosure, and read and written by the process outside, whose own sockets go where they always
went. So the machine's routes and name servers stay as they are, and what a program in there sends goes through the
tunnel or nowhere. Nothing is left after kill -9: the TUN goes with its descriptor, the namespace with its last
process, the mounts with the same.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, TypeVar, cast

from pypptp.errors import NetworkError
from pypptp.net.edge import DEFAULT_MTU, Hold, NetworkEdge, RouteTaken, Tun
from pypptp.net.linux import LinuxEdge
from pypptp.net.namespaces import Namespace, mount, mount_own_sysfs, own_mounts, unmount

RESOLV_CONF = Path("/etc/resolv.conf")
NSSWITCH = Path("/etc/nsswitch.conf")
CACHES = (Path("/run/nscd"), Path("/var/run/nscd"))
"""Where a program would ask for names past the tunnel, over a Unix socket."""

T = TypeVar("T")


class Enclosure:
    """One such namespace.

    Raises:
        NetworkError: the kernel or the container does not let us make one.
    """

    def __init__(self) -> None:
        self._namespace = Namespace("of the tunnel")
        self._name_servers = outer_name_servers()
        self._files: list[int] = []

    def close(self) -> None:
        """Let go of it; it ends with the last process in it. Closing twice is no error."""
        self._namespace.close()
        for descriptor in self._files:
            os.close(descriptor)
        self._files.clear()

    def run(self, function: Callable[[], T], *, own_sysfs: bool = False) -> T:
        """Call ``function`` inside, in a thread, and return or raise what it does; sockets it opens stay inside."""
        return self._namespace.run(function, own_sysfs=own_sysfs)

    @property
    def name_servers(self) -> tuple[IPv4Address, ...]:
        """Whom programs inside ask for names."""
        return self._name_servers

    @name_servers.setter
    def name_servers(self, servers: Sequence[IPv4Address]) -> None:
        self._name_servers = tuple(servers)
        for descriptor in self._files:
            _write_over(descriptor, resolv_conf(self._name_servers))

    def popen(
        self, arguments: Sequence[str], *, environment: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[bytes]:
        """Start a program inside, with a resolv.conf of its own, which ``name_servers`` changes while it runs.

        Raises:
            NetworkError: it does not get its own files; OSError where there is no such program.
        """

        def start() -> subprocess.Popen[bytes]:
            if not own_mounts():
                raise NetworkError("cannot give a program mounts of its own: run as root, or with CAP_SYS_ADMIN")
            try:
                self._files.append(self._put_files())
            except OSError as error:
                raise NetworkError(f"cannot give a program its own {error.filename}: {error.strerror}") from error
            return subprocess.Popen(arguments, env=environment, **options)  # noqa: S603 - the caller's own

        return self._namespace.run(start)

    def _put_files(self) -> int:
        """Put files over those of the machine, in this thread's mounts. Returns the descriptor of resolv.conf.

        They lie in a tmpfs that is in no tree any more once they are bound: nothing to clean up.
        """
        # /sys is about to be replaced in any case, and exists everywhere.
        place = Path("/sys")
        mount("tmpfs", str(place))
        ours = place / "resolv.conf"
        descriptor = os.open(ours, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.fchmod(descriptor, 0o644)
            _write_over(descriptor, resolv_conf(self._name_servers))
            if RESOLV_CONF.exists():
                mount("none", str(RESOLV_CONF), source=str(ours))
            if NSSWITCH.exists():
                switch = place / "nsswitch.conf"
                switch.write_text(without_other_resolvers(NSSWITCH.read_text(errors="replace")))
                switch.chmod(0o644)
                mount("none", str(NSSWITCH), source=str(switch))
            for cache in CACHES:
                if cache.is_dir() and not cache.parent.is_symlink():
                    mount("tmpfs", str(cache))
            unmount(str(place))
        except BaseException:
            os.close(descriptor)
            raise
        mount_own_sysfs()
        return descriptor


class EnclosedEdge:
    """The system's network as a client sees it whose tunnel leads into an enclosure.

    What has to do with the TUN happens inside; the way to the server is looked up outside and left as it is, as no
    route inside can cover it. Everything else is the machine's edge.

    Args:
        outer: the machine's.
        enclosure: where the tunnel leads.
        inner: makes the TUN; called inside.
    """

    def __init__(self, outer: NetworkEdge, enclosure: Enclosure, *, inner: NetworkEdge | None = None) -> None:
        self._outer = outer
        self._enclosure = enclosure
        self._inner = LinuxEdge() if inner is None else inner
        self._routed: set[Tun] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._outer, name)

    def open_tun(self, name: str | None = None, *, mtu: int = DEFAULT_MTU) -> Tun:
        """Make a TUN inside."""
        return self._enclosure.run(lambda: self._inner.open_tun(name, mtu=mtu), own_sysfs=True)

    def configure(self, tun: Tun, **settings: Any) -> None:
        """Give it its addresses, and everything inside its way out by it."""

        def act() -> None:
            self._inner.configure(tun, **settings)
            if tun not in self._routed:
                self._inner.add_default_route(tun)
                self._routed.add(tun)

        self._enclosure.run(act)

    def route_to(self, address: IPv4Address, *, by: str | None = None, around: Tun | None = None) -> RouteTaken:
        """Ask which way packets to the server go; the TUN is not in the way."""
        return self._outer.route_to(address, by=by)

    def pin_route(
        self, address: IPv4Address, *, via: RouteTaken | None = None, session: Tun | Hold | None = None
    ) -> RouteTaken:
        """Look the way to the server up, and leave it as it is."""
        return self._outer.route_to(address) if via is None else via

    def add_route(
        self, network: IPv4Network, *, via: Tun | RouteTaken, metric: int = 0, session: Tun | Hold | None = None
    ) -> bool:
        """Route a network through the TUN, inside; nothing past it."""
        if isinstance(via, RouteTaken):
            return False
        return self._enclosure.run(lambda: self._inner.add_route(network, via=via, metric=metric))

    def add_default_route(self, tun: Tun, *, metric: int | None = None) -> None:
        """Do nothing: there is one, and no other."""

    def set_name_servers(self, tun: Tun, servers: Sequence[IPv4Address]) -> str:
        """Have programs inside ask these."""
        self._enclosure.name_servers = tuple(servers)
        return "the namespace's own resolv.conf"

    def changes(self) -> list[str]:
        """List what is changed, outside and inside."""
        return [*self._outer.changes(), *self._inner.changes()]

    def undo_for(self, tun: Tun) -> list[str]:
        """Close a TUN, and what hangs on it."""
        self._routed.discard(tun)
        return self._enclosure.run(lambda: self._inner.undo_for(tun))

    def undo(self) -> list[str]:
        """Take everything back."""
        return [*self._enclosure.run(self._inner.undo), *self._outer.undo()]


def enclose(outer: NetworkEdge, enclosure: Enclosure) -> NetworkEdge:
    """Return the machine's edge with the tunnel's end inside."""
    # What it does not have itself, it has from the machine's.
    return cast(NetworkEdge, EnclosedEdge(outer, enclosure))


def resolv_conf(servers: Sequence[IPv4Address]) -> bytes:
    """Write a resolv.conf (resolv.conf(5))."""
    lines = ["# of a pypptp client with --exec", *(f"nameserver {server}" for server in servers[:3])]
    return ("\n".join(lines) + "\n").encode()


def outer_name_servers() -> tuple[IPv4Address, ...]:
    """Read whom the machine's programs ask, but for those on its own loopback, who are not there inside."""
    try:
        text = RESOLV_CONF.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                address = IPv4Address(words[1])
            except ValueError:
                continue
            if not address.is_loopback:
                found.append(address)
    return tuple(found)


def without_other_resolvers(text: str) -> str:
    """Have host names looked up in /etc/hosts and by DNS alone (nsswitch.conf(5)).

    systemd-resolved, mDNS and the like are asked over sockets that lead out of the namespace.
    """
    return re.sub(r"^[ \t]*hosts:.*$", "hosts: files dns", text, flags=re.MULTILINE)


def _write_over(descriptor: int, content: bytes) -> None:
    # In place: it is bound, and another file of the same name would not be seen.
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, content, 0)
