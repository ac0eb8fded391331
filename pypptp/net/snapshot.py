"""The network settings of this thread's namespace as sorted lines of text.

Two of them compared show what a program left behind.
"""

from __future__ import annotations

import hashlib
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from pypptp.net import proxy_arp, resolv_conf
from pypptp.net.forwarding import read_state
from pypptp.net.links import RTM_GETADDR, RTM_GETLINK
from pypptp.net.netlink import (
    NLM_F_DUMP,
    NetlinkSocket,
    fibmsg,
    ifaddrmsg,
    ifinfmsg,
    nft_rule_msg,
    rtmsg,
)
from pypptp.net.nftables import NETLINK_NETFILTER, NFT_MSG_GETRULE, list_tables
from pypptp.net.routes import RTM_GETROUTE

_RTM_F_CLONED = 0x200
_RTM_GETRULE = 34
_ATTRIBUTE = struct.Struct("=HH")
_RULE_TABLE, _RULE_CHAIN, _RULE_HANDLE = 1, 2, 3


def take_snapshot(resolv: Path | None = None) -> list[str]:
    """List what a tunnel may touch, one thing a line.

    Interfaces, IPv4 addresses, routes and policy rules, proxy ARP, nftables tables and rules, forwarding, resolv.conf.

    Args:
        resolv: instead of /etc/resolv.conf, where programs in another mount namespace see this file in its place.

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
        rule_request = fibmsg()
        rule_request["family"] = socket.AF_INET
        for rule in netlink.request(rule_request, _RTM_GETRULE, NLM_F_DUMP):
            lines.add(_policy(rule))
        for published, index in proxy_arp.published(netlink):
            lines.add(f"proxy ARP {published} dev {names.get(index, index)}")
    try:
        with NetlinkSocket(NETLINK_NETFILTER) as netfilter:
            for table in list_tables(netfilter, 0):
                lines.add(f"nftables table {table.get_attr('NFTA_TABLE_NAME')}")
            lines.update(_rules(netfilter))
    except OSError:
        lines.add("nftables not available")
    state = read_state()
    lines.add(f"ip_forward {state.forwarding}")
    lines.update(f"{name} {value}" for name, value in state.settings.items())
    lines.add(_file(resolv_conf.RESOLV_CONF if resolv is None else resolv))
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


def _policy(rule: fibmsg) -> str:
    words = [f"policy rule priority {rule.get_attr('FRA_PRIORITY') or 0}"]
    names = ("FRA_SRC", "FRA_DST", "FRA_IIFNAME", "FRA_OIFNAME", "FRA_FWMARK", "FRA_TABLE")
    found = ((name.removeprefix("FRA_").lower(), rule.get_attr(name)) for name in names)
    return " ".join([*words, *(f"{word} {value}" for word, value in found if value is not None)])


def _rules(netfilter: NetlinkSocket) -> list[str]:
    """Name each rule by its handle, which no later one gets: what is in it may be beyond pyroute2."""
    bodies: list[bytes] = []

    def keep(body: bytes) -> bool:
        bodies.append(body)
        return False

    netfilter.request(nft_rule_msg(), NFT_MSG_GETRULE, NLM_F_DUMP, wanted=keep)
    lines = []
    for body in bodies:
        found = dict(_attributes(body))
        words = [found[number].rstrip(b"\0").decode("utf-8", "replace") for number in (_RULE_TABLE, _RULE_CHAIN)]
        lines.append(f"nftables rule {' '.join(words)} handle {int.from_bytes(found[_RULE_HANDLE], 'big')}")
    return lines


def _attributes(body: bytes) -> Iterator[tuple[int, bytes]]:
    position = 4
    while position + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, position)
        if length < _ATTRIBUTE.size:
            return
        yield kind & 0x3FFF, body[position + _ATTRIBUTE.size : position + length]
        position += (length + 3) & ~3


def _file(path: Path) -> str:
    try:
        state = resolv_conf.read_state(path)
    except OSError as error:
        return f"resolv.conf cannot be read: {error.strerror}"
    whose = f"mode {state.mode:o} owner {state.uid}:{state.gid} changed {state.times[1]}"
    content = (
        state.content.decode(errors="replace") if state.kind == "link" else hashlib.sha256(state.content).hexdigest()
    )
    return "resolv.conf absent" if state.kind == "absent" else f"resolv.conf {state.kind} {content} {whose}"
