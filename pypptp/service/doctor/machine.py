"""What this machine looks like to a tunnel: ways out, filters of the kernel, who listens."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, Final

from pypptp.errors import NetworkError
from pypptp.net import routes
from pypptp.net.edge import RouteTaken
from pypptp.net.links import RTM_GETLINK
from pypptp.net.netlink import NLM_F_DUMP, NetlinkSocket, ifinfmsg, refused, rtmsg, rtnetlink

_IFF_POINTOPOINT: Final = 0x10
_LISTENING: Final = "0A"
_MOST_PROCESSES: Final = 32_768
SOMEWHERE: Final = (IPv4Address("192.0.2.1"), IPv4Address("198.51.100.1"), IPv4Address("203.0.113.1"))
"""Addresses that are no machine's (RFC 5737): the way to them is the way to everywhere. Some hosts refuse one."""


@dataclass(frozen=True, slots=True)
class WideRoute:
    """A default route, or one half of one.

    Attributes:
        network: 0.0.0.0/0, 0.0.0.0/1 or 128.0.0.0/1.
        interface: where it leads.
        metric: the lower wins.
        tunnel: the interface is a tunnel: point to point.
    """

    network: IPv4Network
    interface: str
    metric: int
    tunnel: bool


@dataclass(frozen=True, slots=True)
class Listener:
    """Who has a TCP port.

    Attributes:
        pid: the process, 0 where it cannot be told.
        program: its name, ``?`` where it cannot be told.
        ours: it is a pypptp.
    """

    pid: int
    program: str
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is.

    Attributes:
        wide_routes: default routes and halves of the main table.
        way_out: how packets to nowhere in particular really go, None where they do not.
        forwarding: IPv4 forwarding is on.
        forwarding_settable: a server could switch it on.
        reverse_path: the filter in force for each interface: 0 off, 1 strict, 2 loose.
        listeners: who listens on the port.
    """

    wide_routes: tuple[WideRoute, ...] = ()
    way_out: RouteTaken | None = None
    forwarding: bool = False
    forwarding_settable: bool = True
    reverse_path: Mapping[str, int] = field(default_factory=dict)
    listeners: tuple[Listener, ...] = ()


def look_at_machine(port: int = 1723) -> Machine:
    """Read it all, and change nothing.

    Raises:
        NetworkError: netlink or /proc is not to be had.
    """
    settings = Path("/proc/sys/net/ipv4")
    switch = settings / "ip_forward"
    try:
        forwarding = switch.read_text(encoding="ascii").strip() != "0"
    except OSError as error:
        raise NetworkError(f"cannot read {switch}: is /proc mounted?") from error
    with rtnetlink() as netlink:
        wide = _read_wide_routes(netlink)
        way_out = _way_to(netlink, SOMEWHERE)
    return Machine(
        wide_routes=wide,
        way_out=way_out,
        forwarding=forwarding,
        forwarding_settable=_writable(switch),
        reverse_path=dict(_read_reverse_path(settings / "conf")),
        listeners=tuple(find_listeners(port)),
    )


def _way_to(netlink: NetlinkSocket, addresses: Sequence[IPv4Address]) -> RouteTaken | None:
    """Return the way to the first of these that there is one to."""
    for address in addresses:
        try:
            return routes.look_up(netlink, address)
        except NetworkError:
            continue
    return None


def _writable(path: Path) -> bool:
    # The mode says yes to root even where the file system says no.
    try:
        # And that we may not write ourselves is said with the rights; a server is started with them.
        allowed = os.geteuid() != 0 or os.access(path, os.W_OK)
        return allowed and not os.statvfs(path).f_flag & os.ST_RDONLY
    except OSError:
        return False


def _read_wide_routes(netlink: NetlinkSocket) -> tuple[WideRoute, ...]:
    message = rtmsg()
    message["family"] = socket.AF_INET
    message["table"] = routes.RT_TABLE_MAIN
    try:
        links = {link["index"]: link for link in netlink.request(ifinfmsg(), RTM_GETLINK, NLM_F_DUMP)}
        replies = netlink.request(message, routes.RTM_GETROUTE, NLM_F_DUMP, wanted=lambda body: body[1] <= 1)
    except OSError as error:
        raise refused("read the routes", error) from error
    found = []
    for reply in replies:
        if reply["type"] != routes.RTN_UNICAST or reply.get_attr("RTA_TABLE") not in (None, routes.RT_TABLE_MAIN):
            continue
        network = IPv4Network(f"{reply.get_attr('RTA_DST') or '0.0.0.0'}/{reply['dst_len']}")
        for index in _interfaces(reply):
            link = links.get(index)
            if link is not None:
                tunnel = bool(link["flags"] & _IFF_POINTOPOINT)
                metric = reply.get_attr("RTA_PRIORITY") or 0
                found.append(WideRoute(network, link.get_attr("IFLA_IFNAME"), metric, tunnel))
    return tuple(found)


def _interfaces(reply: Any) -> list[int]:
    """Return the interface of a route; of one with several next hops, which the kernel balances, the first."""
    index = reply.get_attr("RTA_OIF")
    return [index] if index is not None else [hop["oif"] for hop in reply.get_attr("RTA_MULTIPATH") or ()][:1]


def _read_reverse_path(folder: Path) -> Iterator[tuple[str, int]]:
    def read(name: str) -> int:
        return int((folder / name / "rp_filter").read_text(encoding="ascii"))

    try:
        for each in sorted(folder.iterdir()):
            if each.name not in ("all", "default", "lo"):
                try:
                    yield each.name, max(read("all"), read(each.name))
                except (OSError, ValueError):
                    continue  # it went away meanwhile
    except OSError:
        return


def find_listeners(port: int) -> list[Listener]:
    """Find out who listens on a TCP port in this namespace, by /proc."""
    inodes = set()
    try:
        lines = Path("/proc/thread-self/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return []
    for line in lines:
        fields = line.split()
        if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
            inodes.add(f"socket:[{fields[9]}]")
    if not inodes:
        return []
    found = []
    for count, process in enumerate(Path("/proc").glob("[0-9]*")):
        if count > _MOST_PROCESSES:
            break
        if _holds(process, inodes):
            found.append(_describe(process))
    return found or [Listener(0, "?")]


def _holds(process: Path, inodes: set[str]) -> bool:
    try:
        return any(str(descriptor.readlink()) in inodes for descriptor in (process / "fd").iterdir())
    except OSError:
        return False


def _describe(process: Path) -> Listener:
    try:
        program = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
        words = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return Listener(int(process.name), "?")
    ours = any(b"pypptp" in word.rpartition(b"/")[2] for word in words[:6])
    return Listener(int(process.name), "pypptp" if ours else program, ours)
