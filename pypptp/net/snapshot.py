"""The network settings of this thread's namespace as sorted lines of text.

Two of them compared show what a program left behind.
"""

from __future__ import annotations

import socket

from pypptp.net.forwarding import read_state
from pypptp.net.links import RTM_GETADDR, RTM_GETLINK
from pypptp.net.nat import NETLINK_NETFILTER, NFT_MSG_GETTABLE
from pypptp.net.netlink import NLM_F_DUMP, NetlinkSocket, ifaddrmsg, ifinfmsg, nft_table_msg, rtmsg
from pypptp.net.routes import RTM_GETROUTE

_RTM_F_CLONED = 0x200


def take_snapshot() -> list[str]:
    """List interfaces, IPv4 addresses, IPv4 routes of all tables, nftables tables and forwarding, one per line.

    Raises:
        OSError: netlink is not to be had.
        NetworkError: /proc is not there.
    """
    lines: set[str] = set()
    names: dict[int, str] = {}
    with NetlinkSocket(socket.NETLINK_ROUTE) as netlink:
        for link in netlink.request(ifinfmsg(), RTM_GETLINK, NLM_F_DUMP):
            names[link["index"]] = link.get_attr("IFLA_IFNAME")
            lines.add(f"interface {link.get_attr('IFLA_IFNAME')} mtu {link.get_attr('IFLA_MTU')}")
        address_request = ifaddrmsg()
        address_request["family"] = socket.AF_INET
        for address in netlink.request(address_request, RTM_GETADDR, NLM_F_DUMP):
            local = f"{address.get_attr('IFA_LOCAL')}/{address['prefixlen']}"
            lines.add(f"address {local} dev {names.get(address['index'], address['index'])}")
        route_request = rtmsg()
        route_request["family"] = socket.AF_INET
        for route in netlink.request(route_request, RTM_GETROUTE, NLM_F_DUMP):
            if not route["flags"] & _RTM_F_CLONED:
                lines.add(_route(route, names))
    try:
        with NetlinkSocket(NETLINK_NETFILTER) as netfilter:
            for table in netfilter.request(nft_table_msg(), NFT_MSG_GETTABLE, NLM_F_DUMP):
                lines.add(f"nftables table {table.get_attr('NFTA_TABLE_NAME')}")
    except OSError:
        lines.add("nftables not available")
    state = read_state()
    lines.add(f"ip_forward {state.forwarding}")
    lines.update(f"{name} {value}" for name, value in state.settings.items())
    return sorted(lines)


def left_behind(before: list[str], after: list[str]) -> list[str]:
    """List what is there now and was not ("+ ..."), and what was there and is not ("- ...")."""
    came = [f"+ {line}" for line in after if line not in before]
    went = [f"- {line}" for line in before if line not in after]
    return came + went


def _route(route: rtmsg, names: dict[int, str]) -> str:
    index = route.get_attr("RTA_OIF")
    gateway = route.get_attr("RTA_GATEWAY")
    metric = route.get_attr("RTA_PRIORITY")
    words = [f"route {route.get_attr('RTA_DST') or '0.0.0.0'}/{route['dst_len']}"]
    if gateway is not None:
        words.append(f"via {gateway}")
    if index is not None:
        words.append(f"dev {names.get(index, index)}")
    if metric is not None:
        words.append(f"metric {metric}")
    words.append(f"table {route.get_attr('RTA_TABLE')} proto {route['proto']} type {route['type']}")
    return " ".join(words)
