"""Proxy ARP: answer for a client on the local network whose addresses the clients have, as pppd's ``proxyarp`` does.

Machines there ask by ARP who has the client's address and are told our own Ethernet address; what they send then goes
through the tunnel. The kernel answers only where it forwards.
"""

from __future__ import annotations

import errno
import socket
from ipaddress import IPv4Address, IPv4Network

from pypptp.errors import NetworkError
from pypptp.net.addresses import own_addresses
from pypptp.net.links import (
    IFF_BROADCAST,
    IFF_LOOPBACK,
    IFF_NOARP,
    IFF_POINTOPOINT,
    IFF_UP,
    interface_flags,
    interface_name,
)
from pypptp.net.netlink import NLM_F_CREATE, NLM_F_DUMP, NetlinkSocket, ndmsg, refused

RTM_NEWNEIGH = 28
RTM_DELNEIGH = 29
RTM_GETNEIGH = 30
NTF_PROXY = 0x08
NUD_PERMANENT = 0x80

_WANTED_FLAGS = IFF_UP | IFF_BROADCAST
_UNWANTED_FLAGS = IFF_LOOPBACK | IFF_POINTOPOINT | IFF_NOARP


def find_interface(netlink: NetlinkSocket, address: IPv4Address) -> int | None:
    """Find the interface on whose network an address is, as pppd finds it (``get_ether_addr`` in sys-linux.c).

    Of those that are up and speak ARP it is the one with the longest prefix.

    Returns:
        Its number, or None where there is none.
    """
    fitting = [
        (prefix, index)
        for index, own, prefix in own_addresses(netlink)
        if address in IPv4Network((own, prefix), strict=False)
    ]
    for _, index in sorted(fitting, key=lambda found: -found[0]):
        flags = interface_flags(netlink, index)
        if flags & _WANTED_FLAGS == _WANTED_FLAGS and not flags & _UNWANTED_FLAGS:
            return index
    return None


def published(netlink: NetlinkSocket, address: IPv4Address | None = None) -> list[tuple[IPv4Address, int]]:
    """List what this host answers for, whoever has told it to: addresses and numbers of interfaces.

    Args:
        netlink: the socket.
        address: look for this one alone, which costs less where there are many.
    """
    message = ndmsg()
    message["family"] = socket.AF_INET
    message["flags"] = NTF_PROXY
    octets = b"" if address is None else address.packed
    try:
        replies = netlink.request(message, RTM_GETNEIGH, NLM_F_DUMP, wanted=lambda body: octets in body)
    except OSError as error:
        raise refused("read the proxy ARP entries", error) from error
    found = [
        (IPv4Address(reply.get_attr("NDA_DST")), int(reply["ifindex"]))
        for reply in replies
        if reply["flags"] & NTF_PROXY and reply.get_attr("NDA_DST") is not None
    ]
    return [entry for entry in found if address is None or entry[0] == address]


def publish(netlink: NetlinkSocket, address: IPv4Address, index: int) -> None:
    """Answer for an address on an interface: ``ip neigh add proxy ADDRESS dev IFACE``."""
    try:
        netlink.request(_entry(address, index), RTM_NEWNEIGH, NLM_F_CREATE)
    except OSError as error:
        raise refused(f"answer ARP for {address} on interface number {index}", error) from error


def withdraw(netlink: NetlinkSocket, address: IPv4Address, index: int) -> None:
    """Answer for it no longer. An entry that is gone already, with its interface too, is no error."""
    try:
        interface_name(index)
    except NetworkError:
        return
    try:
        netlink.request(_entry(address, index), RTM_DELNEIGH)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENODEV):
            raise refused(f"stop answering ARP for {address}", error) from error


def _entry(address: IPv4Address, index: int) -> ndmsg:
    message = ndmsg()
    message["family"] = socket.AF_INET
    message["ifindex"] = index
    message["state"] = NUD_PERMANENT
    message["flags"] = NTF_PROXY
    message["attrs"] = [("NDA_DST", str(address))]
    return message
