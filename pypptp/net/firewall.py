"""The packet filters of this thread's namespace as nftables has them, read and not touched.

Chains, rules and sets come as the kernel has them; what they mean for a packet is worked out elsewhere, and the older
iptables tables are put into the same shape by :mod:`pypptp.net.legacy_tables`. Attributes are taken apart here and not
by pyroute2, which knows fewer expressions than the kernel and stops at one it does not know.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pypptp.net.netlink import NLM_F_DUMP, NetlinkSocket, nfgen_msg, refused
from pypptp.net.nftables import NETLINK_NETFILTER

NFPROTO_INET: Final = 1
NFPROTO_IPV4: Final = 2
NFPROTO_NETDEV: Final = 5

HOOK_INPUT: Final = 1
HOOK_FORWARD: Final = 2
HOOK_OUTPUT: Final = 3
HOOK_POSTROUTING: Final = 4

DROP: Final = 0
ACCEPT: Final = 1

OBJECT_CT_HELPER: Final = 3

_NFTABLES: Final = 10 << 8
_GETCHAIN, _GETRULE, _GETSET, _GETSETELEM, _GETOBJ = (_NFTABLES | number for number in (4, 7, 10, 13, 19))
_GENERIC_HEADER: Final = 4
_NESTED: Final = 0xC000


@dataclass(frozen=True, slots=True)
class Expression:
    """One step of a rule.

    Attributes:
        name: the kernel's name, ``cmp``, ``payload``, ``match``; ``ipt`` for the IP part of a legacy rule.
        attributes: its attributes by number (``linux/netfilter/nf_tables.h``), numbers in network order.
    """

    name: str
    attributes: Mapping[int, bytes]

    def number(self, attribute: int, default: int = 0) -> int:
        """Return an attribute of four octets as a number."""
        return int.from_bytes(self.attributes[attribute], "big") if attribute in self.attributes else default

    def text(self, attribute: int) -> str:
        """Return an attribute as text, empty where it is not there."""
        return self.attributes.get(attribute, b"").split(b"\0")[0].decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain.

    Attributes:
        family: NFPROTO_INET, NFPROTO_IPV4 or another.
        table: its table's name; ``legacy:filter`` for one of iptables-legacy.
        name: its own.
        rules: the expressions of each rule, in order.
        hook: where the kernel calls it, None for one that others jump to.
        priority: the order among those of a hook.
        kind: ``filter``, ``nat`` or ``route``; empty without a hook.
        policy: DROP or ACCEPT for what no rule decided.
    """

    family: int
    table: str
    name: str
    rules: tuple[tuple[Expression, ...], ...] = ()
    hook: int | None = None
    priority: int = 0
    kind: str = ""
    policy: int = ACCEPT

    @property
    def title(self) -> str:
        """For people: ``chain FORWARD of table ip filter``."""
        if self.table.startswith(LEGACY):
            return f"chain {self.name} of the iptables-legacy table {self.table.removeprefix(LEGACY)}"
        family = {NFPROTO_INET: "inet", NFPROTO_IPV4: "ip", NFPROTO_NETDEV: "netdev"}.get(self.family, str(self.family))
        return f"chain {self.name} of table {family} {self.table}"


LEGACY: Final = "legacy:"


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a set or map.

    Attributes:
        key: the key, or where an interval begins or (``end``) ends.
        end: this ends an interval; the key itself is outside.
        catchall: whatever is not in the set otherwise.
        key_end: the last key of a range in a concatenation, empty otherwise.
        data: in a map, the attributes of what it leads to.
    """

    key: bytes
    end: bool = False
    catchall: bool = False
    key_end: bytes = b""
    data: Mapping[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Set:
    """A set or map.

    Attributes:
        interval: its elements are intervals.
        elements: what is in it.
    """

    interval: bool
    elements: tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class Ruleset:
    """All packet filters of a namespace.

    Attributes:
        chains: those of every table.
        sets: by family, table and name.
        helpers: by family, table and name, the connection tracking helper an object stands for.
        unread: what there is besides and could not be read, in words.
    """

    chains: tuple[Chain, ...] = ()
    sets: Mapping[tuple[int, str, str], Set] = field(default_factory=dict)
    helpers: Mapping[tuple[int, str, str], str] = field(default_factory=dict)
    unread: tuple[str, ...] = ()


def read_nftables() -> Ruleset:
    """Read the nftables of this namespace; a kernel without any has none.

    Raises:
        NetworkError: not allowed to.
    """
    try:
        with NetlinkSocket(NETLINK_NETFILTER) as netlink:
            chains = _dump(netlink, _GETCHAIN)
            rules = _dump(netlink, _GETRULE)
            sets = _dump(netlink, _GETSET)
            elements = [
                body
                for named in sets
                for body in _dump(
                    netlink, _GETSETELEM, named[0], [(1, _attribute(named, 1)), (2, _attribute(named, 2))]
                )
            ]
            objects = _dump(netlink, _GETOBJ)
    except OSError as error:
        if error.errno in (errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.EINVAL, errno.EOPNOTSUPP):
            return Ruleset()
        raise refused("read the packet filter", error) from error
    return parse_nftables(chains, rules, sets, elements, objects)


def parse_nftables(
    chains: list[bytes], rules: list[bytes], sets: list[bytes], elements: list[bytes], objects: list[bytes]
) -> Ruleset:
    """Put together what the kernel answered; each is a message from behind its netlink header."""
    of_chain: dict[tuple[int, str, str], list[tuple[Expression, ...]]] = {}
    for body in rules:
        attributes = _attributes(body[_GENERIC_HEADER:])
        of_chain.setdefault((body[0], _text(attributes, 1), _text(attributes, 2)), []).append(
            tuple(_expressions(attributes.get(4, b"")))
        )
    made = []
    for body in chains:
        attributes = _attributes(body[_GENERIC_HEADER:])
        key = body[0], _text(attributes, 1), _text(attributes, 3)
        hook = _attributes(attributes[4]) if 4 in attributes else {}
        made.append(
            Chain(
                *key,
                rules=tuple(of_chain.get(key, ())),
                hook=int.from_bytes(hook[1], "big") if 1 in hook else None,
                priority=int.from_bytes(hook.get(2, b""), "big", signed=True),
                kind=_text(attributes, 7),
                policy=int.from_bytes(attributes.get(5, b"\x01"), "big"),
            )
        )
    of_set: dict[tuple[int, str, str], list[Element]] = {}
    for body in elements:
        attributes = _attributes(body[_GENERIC_HEADER:])
        found = of_set.setdefault((body[0], _text(attributes, 1), _text(attributes, 2)), [])
        found += [_element(_attributes(value)) for _, value in _pairs(attributes.get(3, b""))]
    named = {}
    for body in sets:
        attributes = _attributes(body[_GENERIC_HEADER:])
        key = body[0], _text(attributes, 1), _text(attributes, 2)
        flags = int.from_bytes(attributes.get(3, b""), "big")
        named[key] = Set(bool(flags & 4), tuple(of_set.get(key, ())))
    helpers = {}
    for body in objects:
        attributes = _attributes(body[_GENERIC_HEADER:])
        if int.from_bytes(attributes.get(3, b""), "big") == OBJECT_CT_HELPER:
            helpers[body[0], _text(attributes, 1), _text(attributes, 2)] = _text(_attributes(attributes.get(4, b"")), 1)
    return Ruleset(tuple(made), named, helpers)


class _Query(nfgen_msg):  # type: ignore[misc]
    """A request whose attributes are octets."""

    nla_map = tuple((f"NFTA_{number}", "none" if number == 0 else "hex") for number in range(3))


def _dump(
    netlink: NetlinkSocket, kind: int, family: int = 0, attributes: list[tuple[int, bytes]] | None = None
) -> list[bytes]:
    bodies: list[bytes] = []

    def take(body: bytes) -> bool:
        bodies.append(body)
        return False  # pyroute2 need not look at it

    message: Any = _Query()
    message["nfgen_family"] = family
    message["attrs"] = [(f"NFTA_{number}", value) for number, value in attributes or ()]
    try:
        netlink.request(message, kind, NLM_F_DUMP, wanted=take)
    except OSError as error:
        if error.errno != errno.ENOENT:  # a set that went away meanwhile
            raise
    return bodies


def _pairs(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, position)
        if length < 4:
            return
        yield kind & ~_NESTED, data[position + 4 : position + length]
        position += (length + 3) & ~3


def _attributes(data: bytes) -> dict[int, bytes]:
    return dict(_pairs(data))


def _attribute(body: bytes, number: int) -> bytes:
    return _attributes(body[_GENERIC_HEADER:]).get(number, b"")


def _text(attributes: Mapping[int, bytes], number: int) -> str:
    return attributes.get(number, b"").split(b"\0")[0].decode("utf-8", "replace")


def _expressions(data: bytes) -> Iterator[Expression]:
    for _, value in _pairs(data):
        attributes = _attributes(value)
        yield Expression(_text(attributes, 1), _attributes(attributes.get(2, b"")))


def _element(attributes: Mapping[int, bytes]) -> Element:
    flags = int.from_bytes(attributes.get(3, b""), "big")
    key = _attributes(attributes.get(1, b"")).get(1, b"")
    key_end = _attributes(attributes.get(10, b"")).get(1, b"")
    return Element(key, bool(flags & 1), bool(flags & 2), key_end, _attributes(attributes.get(2, b"")))


def nested(data: bytes) -> dict[int, bytes]:
    """Take apart an attribute that holds attributes, the verdict of an ``immediate`` for example."""
    return _attributes(data)
