"""What is written down of a change so that another process can take it back.

Only changes that outlive their process are recorded. A TUN device, its addresses and every route by it go with its
descriptor, after kill -9 too, and so cost no write for each session.

From a file nothing is believed: each value is checked as it is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_address
from typing import Any, TypeAlias

from pypptp.net.edge import Route
from pypptp.net.forwarding import ForwardingState

_INTERFACE = re.compile(r"[^\s/]{1,15}")
_SETTING = re.compile(r"all/accept_redirects|([^\s/]{1,15})/forwarding")
_VALUE = re.compile(r"-?[0-9]{1,3}", re.ASCII)
_KEY = re.compile(r"(?!-)[^\s/]{1,15}\.pypptp")
_KILL_SWITCH = re.compile(r"pypptp-kill-switch-[0-9]{1,10}-[0-9a-f]{8}", re.ASCII)
_PURPOSE = re.compile(r"MSS clamp|isolation", re.ASCII)
_COMMENT = re.compile(r"[a-z]{1,16} [0-9]{1,10} [0-9]{1,20}", re.ASCII)


@dataclass(frozen=True, slots=True)
class RouteAdded:
    """A route.

    Attributes:
        route: as it was added, with the metric it got.
        index: number of its interface: a later one of the same name has another.
    """

    route: Route
    index: int

    def __str__(self) -> str:
        return str(self.route)


@dataclass(frozen=True, slots=True)
class ForwardingOn:
    """IPv4 forwarding, switched on by this process or needed by it besides the pypptp that did.

    Attributes:
        before: what it was before any pypptp touched it.
    """

    before: ForwardingState

    def __str__(self) -> str:
        return "IPv4 forwarding on"


@dataclass(frozen=True, slots=True)
class NatMade:
    """An nftables table; on Linux 5.12 and later the kernel removes it with the process.

    Attributes:
        interface: where packets leave.
        sources: whose packets.
        comment: what the table says of its owner.
    """

    interface: str
    sources: tuple[IPv4Network, ...]
    comment: str

    def __str__(self) -> str:
        return f"NAT of {', '.join(map(str, self.sources)) or 'nothing'} out of {self.interface}"


@dataclass(frozen=True, slots=True)
class FilterMade:
    """An nftables table that is not for NAT; it goes as that one does.

    Attributes:
        purpose: ``MSS clamp`` or ``isolation``.
        comment: what the table says of its owner.
    """

    purpose: str
    comment: str

    def __str__(self) -> str:
        return f"{self.purpose} of the tunnels"


@dataclass(frozen=True, slots=True)
class ProxyArpMade:
    """An address this host answers ARP for.

    Attributes:
        address: whose it is.
        interface: where it is asked for.
        index: number of that interface: a later one of the same name has another.
    """

    address: IPv4Address
    interface: str
    index: int

    def __str__(self) -> str:
        return f"proxy ARP for {self.address} on {self.interface}"


@dataclass(frozen=True, slots=True)
class KillSwitchOn:
    """A kill switch.

    Attributes:
        name: of its nftables table.
    """

    name: str

    def __str__(self) -> str:
        return f"kill switch (nftables table {self.name})"


@dataclass(frozen=True, slots=True)
class NameServersFiled:
    """Name servers filed with resolvconf.

    Attributes:
        key: under which.
    """

    key: str

    def __str__(self) -> str:
        return f"name servers filed with resolvconf as {self.key}"


Record: TypeAlias = RouteAdded | ForwardingOn | NatMade | FilterMade | ProxyArpMade | KillSwitchOn | NameServersFiled


def to_fields(record: Record) -> dict[str, object]:
    """Write a record as what JSON can hold."""
    match record:
        case RouteAdded(route, index):
            return {
                "kind": "route",
                "network": str(route.network),
                "interface": route.interface,
                "index": index,
                "gateway": None if route.gateway is None else str(route.gateway),
                "source": None if route.source is None else str(route.source),
                "metric": route.metric,
            }
        case ForwardingOn(before):
            return {"kind": "forwarding", "before": before.forwarding, "settings": dict(before.settings)}
        case NatMade(interface, sources, comment):
            return {"kind": "nat", "interface": interface, "sources": list(map(str, sources)), "comment": comment}

        case FilterMade(purpose, comment):
            return {"kind": "filter", "purpose": purpose, "comment": comment}
        case ProxyArpMade(address, interface, index):
            return {"kind": "proxy arp", "address": str(address), "interface": interface, "index": index}
        case KillSwitchOn(name):
            return {"kind": "kill switch", "name": name}
        case NameServersFiled(key):
            return {"kind": "resolvconf", "key": key}


def from_fields(fields: object) -> Record:
    """Read what :func:`to_fields` wrote. Raises ValueError for anything else."""
    found = mapping(fields)
    match found.get("kind"):
        case "route":
            gateway, source = found.get("gateway"), found.get("source")
            route = Route(
                IPv4Network(text(found.get("network"))),
                matching(_INTERFACE, found.get("interface")),
                None if gateway is None else ip_address(text(gateway)),
                None if source is None else IPv4Address(text(source)),
                number(found.get("metric"), most=0xFFFF_FFFF),
            )
            return RouteAdded(route, number(found.get("index"), least=1, most=0x7FFF_FFFF))
        case "forwarding":
            settings = {
                _setting(name): matching(_VALUE, value) for name, value in mapping(found.get("settings")).items()
            }
            return ForwardingOn(ForwardingState(matching(_VALUE, found.get("before")), settings))
        case "nat":
            sources = found.get("sources")
            if not isinstance(sources, list):
                raise ValueError("no list")
            return NatMade(
                matching(_INTERFACE, found.get("interface")),
                tuple(IPv4Network(text(source)) for source in sources),
                matching(_COMMENT, found.get("comment")),
            )
        case "filter":
            return FilterMade(matching(_PURPOSE, found.get("purpose")), matching(_COMMENT, found.get("comment")))
        case "proxy arp":
            return ProxyArpMade(
                IPv4Address(text(found.get("address"))),
                matching(_INTERFACE, found.get("interface")),
                number(found.get("index"), least=1, most=0x7FFF_FFFF),
            )
        case "kill switch":
            return KillSwitchOn(matching(_KILL_SWITCH, found.get("name")))
        case "resolvconf":
            return NameServersFiled(matching(_KEY, found.get("key")))
        case _:
            raise ValueError("no such kind of change")


def mapping(value: object) -> Mapping[str, Any]:
    """Return a JSON object as it is; raise ValueError for anything else."""
    if not isinstance(value, dict):
        raise ValueError("no object")
    return value


def text(value: object) -> str:
    """Return a JSON string as it is; raise ValueError for anything else, and for what cannot be shown."""
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError("no text")
    return value


def number(value: object, *, least: int = 0, most: int = (1 << 64) - 1) -> int:
    """Return a JSON number as it is; raise ValueError for anything else, true and 1.0 among it."""
    if type(value) is not int or not least <= value <= most:
        raise ValueError("no number in range")
    return value


def matching(pattern: re.Pattern[str], value: object) -> str:
    """Return a JSON string that matches ``pattern`` whole; raise ValueError for anything else."""
    found = text(value)
    if not pattern.fullmatch(found):
        raise ValueError("not as it should be")
    return found


def _setting(name: object) -> str:
    found = matching(_SETTING, name)
    if found.startswith(("./", "../")):
        raise ValueError("no interface")
    return found
