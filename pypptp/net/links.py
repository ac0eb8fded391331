"""Interfaces and their addresses, by rtnetlink."""

from __future__ import annotations

import errno
import socket
from ipaddress import IPv4Address
from pathlib import Path

from pypptp.errors import NetworkError
from pypptp.net.netlink import NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NetlinkSocket, ifaddrmsg, ifinfmsg, refused

RTM_NEWLINK = 16
RTM_GETLINK = 18
RTM_NEWADDR = 20
RTM_DELADDR = 21
RTM_GETADDR = 22
IFF_UP = 0x1
IFF_BROADCAST = 0x2
IFF_LOOPBACK = 0x8
IFF_POINTOPOINT = 0x10
IFF_NOARP = 0x80
ADDR_GEN_MODE_NONE = 1
TRANSMIT_QUEUE_PACKETS = 1000
ISOLATED_GROUP = 1723
"""Interface group of the TUNs whose clients are kept apart (``ip link show group 1723``)."""


def interface_index(name: str) -> int:
    """Return an interface's number in this thread's namespace; NetworkError names the interface that is not there."""
    try:
        return socket.if_nametoindex(name)
    except OSError as error:
        raise NetworkError(f"there is no interface {name} here") from error


def interface_name(index: int) -> str:
    """Return an interface's name in this thread's namespace."""
    try:
        return socket.if_indextoname(index)
    except OSError as error:
        raise NetworkError(f"there is no interface number {index} here") from error


def prepare_tun(netlink: NetlinkSocket, name: str, *, mtu: int, alias: str, group: int = 0) -> None:
    """Set MTU, queue length, alias and group of a new TUN, and keep IPv6 off it.

    With IPv6 on it the kernel would send router solicitations and MLD reports into a tunnel that carries IPv4 alone.
    """
    index = interface_index(name)
    message = _link(index)
    message["attrs"] = [("IFLA_MTU", mtu), ("IFLA_TXQLEN", TRANSMIT_QUEUE_PACKETS), ("IFLA_IFALIAS", alias)]
    if group:
        message["attrs"].append(("IFLA_GROUP", group))
    try:
        netlink.request(message, RTM_NEWLINK)
    except OSError as error:
        raise refused(f"set the MTU of {name} to {mtu}", error) from error
    # By netlink too, as /proc/sys is read-only in a container. Either is refused where the kernel has no IPv6: all
    # the better.
    message = _link(index)
    mode = {"attrs": [("IFLA_INET6_ADDR_GEN_MODE", ADDR_GEN_MODE_NONE)]}
    message["attrs"] = [("IFLA_AF_SPEC", {"attrs": [("AF_INET6", mode)]})]
    try:
        netlink.request(message, RTM_NEWLINK)
    except OSError:
        pass
    try:
        (Path("/proc/sys/net/ipv6/conf") / name / "disable_ipv6").write_text("1", encoding="ascii")
    except OSError:
        pass


def interface_flags(netlink: NetlinkSocket, index: int) -> int:
    """Return an interface's IFF flags; 0 of one that is gone."""
    try:
        replies = netlink.request(_link(index), RTM_GETLINK)
    except OSError as error:
        if error.errno == errno.ENODEV:
            return 0
        raise refused(f"read the state of interface number {index}", error) from error
    return int(replies[0]["flags"]) if replies else 0


def set_up(
    netlink: NetlinkSocket, name: str, *, mtu: int | None = None, group: int | None = None, queue: int | None = None
) -> None:
    """Set an interface up, and its MTU, group and queue length in packets where they are given."""
    message = _link(interface_index(name))
    message["flags"] = IFF_UP
    message["change"] = IFF_UP
    wanted = (("IFLA_MTU", mtu), ("IFLA_GROUP", group), ("IFLA_TXQLEN", queue))
    message["attrs"] = [(attribute, value) for attribute, value in wanted if value is not None]
    try:
        netlink.request(message, RTM_NEWLINK)
    except OSError as error:
        raise refused(f"set interface {name} up", error) from error


def add_address(
    netlink: NetlinkSocket, name: str, local: IPv4Address, *, prefix: int = 32, peer: IPv4Address | None = None
) -> None:
    """Give an interface an address; with ``peer`` a point-to-point one, whose host route the kernel makes by itself."""
    message = _address(name, local, prefix, peer)
    try:
        netlink.request(message, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL)
    except OSError as error:
        if error.errno == errno.EEXIST:
            return
        raise refused(f"give interface {name} the address {local}", error) from error


def remove_address(
    netlink: NetlinkSocket, name: str, local: IPv4Address, *, prefix: int = 32, peer: IPv4Address | None = None
) -> None:
    """Take an address off an interface, and the host route with it. One that is not there is no error."""
    message = _address(name, local, prefix, peer)
    try:
        netlink.request(message, RTM_DELADDR)
    except OSError as error:
        if error.errno not in (errno.EADDRNOTAVAIL, errno.ENODEV):
            raise refused(f"take the address {local} off interface {name}", error) from error


def change_address(
    netlink: NetlinkSocket, name: str, before: tuple[IPv4Address, IPv4Address], after: tuple[IPv4Address, IPv4Address]
) -> None:
    """Give an interface another point-to-point address, (own, peer's), without ever leaving it without one.

    With an interface's last address the kernel takes its routes away. A second address with the same peer would be a
    secondary one, and go with the first: the new one stands there without a peer meanwhile.
    """
    (old, old_peer), (new, new_peer) = before, after
    bridged = old_peer == new_peer
    add_address(netlink, name, new, peer=None if bridged else new_peer)
    remove_address(netlink, name, old, peer=old_peer)
    if bridged:
        add_address(netlink, name, new, peer=new_peer)
        remove_address(netlink, name, new)


def holds_address(netlink: NetlinkSocket, address: IPv4Address) -> bool:
    """Return whether any interface has this address, be it up or down."""
    message = ifaddrmsg()
    message["family"] = socket.AF_INET
    try:
        replies = netlink.request(message, RTM_GETADDR, NLM_F_DUMP)
    except OSError as error:
        raise refused("read the addresses", error) from error
    return any(IPv4Address(reply.get_attr("IFA_LOCAL") or 0) == address for reply in replies)


def _address(name: str, local: IPv4Address, prefix: int, peer: IPv4Address | None) -> ifaddrmsg:
    message = ifaddrmsg()
    message["family"] = socket.AF_INET
    message["prefixlen"] = prefix
    message["index"] = interface_index(name)
    message["attrs"] = [("IFA_LOCAL", str(local)), ("IFA_ADDRESS", str(local if peer is None else peer))]
    return message


def _link(index: int) -> ifinfmsg:
    message = ifinfmsg()
    message["family"] = socket.AF_UNSPEC
    message["index"] = index
    return message
