"""Which IPv4 addresses this machine has, on which interfaces."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from pypptp.errors import NetworkError
from pypptp.net.links import RTM_GETADDR, interface_name
from pypptp.net.netlink import NLM_F_DUMP, NetlinkSocket, ifaddrmsg, refused


@dataclass(frozen=True, slots=True)
class LocalAddress:
    """An address of this machine.

    Attributes:
        interface: the interface's name.
        address: the address.
        network: the network it is in; of a point-to-point interface the peer's address alone.
    """

    interface: str
    address: IPv4Address
    network: IPv4Network


def local_addresses() -> list[LocalAddress]:
    """List the addresses of every interface in this thread's namespace.

    Raises:
        NetworkError: the kernel refuses to tell.
    """
    message = ifaddrmsg()
    message["family"] = socket.AF_INET
    try:
        with NetlinkSocket(socket.NETLINK_ROUTE) as netlink:
            replies = netlink.request(message, RTM_GETADDR, NLM_F_DUMP)
    except OSError as error:
        raise refused("read the addresses", error) from error
    found = []
    for reply in replies:
        address = reply.get_attr("IFA_LOCAL") or reply.get_attr("IFA_ADDRESS")
        reached = reply.get_attr("IFA_ADDRESS") or address
        if address is None:
            continue
        try:
            name = interface_name(reply["index"])
        except NetworkError:
            continue  # it has gone meanwhile
        network = IPv4Interface(f"{reached}/{reply['prefixlen']}").network
        found.append(LocalAddress(name, IPv4Address(address), network))
    return found
