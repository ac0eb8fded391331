"""Packet filters for the tests' namespaces, by netlink: no ``nft`` program is needed."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pypptp.net.namespaces import Namespace
from pypptp.net.netlink import NetlinkSocket, genex
from pypptp.net.nftables import (
    META_IIFNAME,
    META_L4PROTO,
    META_OIFNAME,
    NETLINK_NETFILTER,
    NETWORK_HEADER,
    NF_ACCEPT,
    NF_DROP,
    NFPROTO_IPV4,
    TRANSPORT_HEADER,
    compare,
    delete_table,
    interface_octets,
    load_meta,
    load_octets,
    mask,
    new_chain,
    new_rule,
    new_table,
    transact,
    verdict,
)

INPUT, FORWARD, OUTPUT, POSTROUTING = 1, 2, 3, 4
GRE = 47
TABLE = "filter"

Rule = Sequence[Any]


def protocol(number: int) -> list[Any]:
    return [load_meta(META_L4PROTO), compare(bytes([number]))]


def tcp_to(port: int) -> list[Any]:
    return [*protocol(socket.IPPROTO_TCP), load_octets(TRANSPORT_HEADER, 2, 2), compare(port.to_bytes(2, "big"))]


def source(address: str) -> list[Any]:
    return [load_octets(NETWORK_HEADER, 12, 4), compare(socket.inet_aton(address))]


def comes_by(interface: str) -> list[Any]:
    return [load_meta(META_IIFNAME), compare(interface_octets(interface))]


def leaves_by(interface: str) -> list[Any]:
    return [load_meta(META_OIFNAME), compare(interface_octets(interface))]


def established() -> list[Any]:
    state = genex("ct", {"dreg": 1, "key": 0})
    differs = genex("cmp", {"sreg": 1, "op": 1, "data": {"attrs": [("NFTA_DATA_VALUE", bytes(4))]}})
    return [state, mask((2 | 4).to_bytes(4, "little")), differs, verdict(NF_ACCEPT)]


def reject(code: int) -> Any:
    return genex("reject", {"type": 0, "icmp_code": code})


def limited() -> Any:
    """A match whose answer nobody knows beforehand."""
    return genex("limit", {"rate": 10, "unit": 1, "burst": 5, "type": 0, "flags": 0})


def masquerade() -> Any:
    return genex("masq", {})


@contextmanager
def chain(
    host: Namespace, hook: int, *rules: Rule, policy: int = NF_ACCEPT, name: str = "", kind: str = "filter"
) -> Iterator[None]:
    """A table with one chain in it, for as long as the context lasts."""
    title = name or {INPUT: "input", FORWARD: "forward", OUTPUT: "output", POSTROUTING: "postrouting"}[hook]

    def make() -> None:
        with NetlinkSocket(NETLINK_NETFILTER) as netlink:
            messages = [
                new_table(NFPROTO_IPV4, TABLE, comment="test"),
                new_chain(NFPROTO_IPV4, TABLE, title, kind, hook, 0, policy),
            ]
            messages += [new_rule(NFPROTO_IPV4, TABLE, title, list(rule)) for rule in rules]
            transact(netlink, messages)

    def remove() -> None:
        with NetlinkSocket(NETLINK_NETFILTER) as netlink:
            transact(netlink, [delete_table(NFPROTO_IPV4, TABLE)])

    host.run(make)
    try:
        yield
    finally:
        host.run(remove)


DROP = [verdict(NF_DROP)]
ACCEPT = [verdict(NF_ACCEPT)]
__all__ = [
    "ACCEPT",
    "DROP",
    "FORWARD",
    "GRE",
    "INPUT",
    "NF_ACCEPT",
    "NF_DROP",
    "OUTPUT",
    "POSTROUTING",
    "chain",
    "comes_by",
    "established",
    "leaves_by",
    "limited",
    "masquerade",
    "protocol",
    "reject",
    "source",
    "tcp_to",
]
