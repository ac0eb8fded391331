"""What the process that talks to peers may have done to the system: what its settings need, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Final

from pypptp.errors import PptpError
from pypptp.net.edge import RouteTaken, tun_pattern

SMALLEST_MTU: Final = 68
LARGEST_MTU: Final = 65_535
MOST_TUNS: Final = 65_535
"""As many as there are call ids."""


class NotAllowed(PptpError):
    """A request goes beyond what the settings need."""


@dataclass(slots=True, kw_only=True)
class Allowed:
    """The limits, worked out from the settings by the process that keeps its rights.

    Attributes:
        tunnels: the name or pattern of the TUN devices, as in :meth:`pypptp.net.edge.NetworkEdge.open_tun`.
        local: this end's inner address.
        listen: the address raw GRE sockets may be bound to, None for any.
        peers: the inner addresses clients may have: pools, and those of the secrets file.
        nat: an interface's name, ``auto`` for the default route's, ``none``.
        isolate: clients may be kept apart.
        proxy_arp: their addresses may be answered for.
        serves_all: other than TUNs, it may change what all of them share; a worker's channel may not.
    """

    tunnels: str
    local: IPv4Address
    listen: IPv4Address | None = None
    peers: set[IPv4Address] = field(default_factory=set)
    nat: str = "none"
    isolate: bool = False
    proxy_arp: bool = False
    serves_all: bool = True

    def check(self, method: str, arguments: Mapping[str, Any], default_route: Callable[[], RouteTaken | None]) -> None:
        """Judge a request.

        Args:
            method: of :class:`pypptp.net.edge.NetworkEdge`.
            arguments: as they will be given to it, typed.
            default_route: the edge's own.

        Raises:
            NotAllowed: it is not to be done.
        """
        rule = _RULES.get(method)
        if rule is None or (method in _SHARED and not self.serves_all):
            raise NotAllowed(f"{method} is not for a server's process to ask for")
        rule(self, arguments, default_route)

    def _peers(self, addresses: Iterable[IPv4Address | IPv4Network]) -> None:
        for address in addresses:
            network = IPv4Network(address)
            # The number first: looking at each address of 0.0.0.0/0 would take for ever.
            if network.num_addresses > len(self.peers) or any(single not in self.peers for single in network):
                raise NotAllowed(f"{address} is not for clients")

    def _open_tun(self, given: Mapping[str, Any], _: Callable[[], RouteTaken | None]) -> None:
        _same(tun_pattern(given["name"]), tun_pattern(self.tunnels), "name of a TUN")
        _mtu(given["mtu"])

    def _configure(self, given: Mapping[str, Any], _: Callable[[], RouteTaken | None]) -> None:
        _same(given["local"], self.local, "inner address of this end")
        self._peers([given["peer"]])
        if given["mtu"] is not None:
            _mtu(given["mtu"])
        if not self.isolate and given.get("isolated"):
            raise NotAllowed("isolate is off")
        queue = given.get("queue")
        if queue is not None and not 1 <= queue <= 100_000:
            raise NotAllowed(f"{queue} is no length of a queue")

    def _forward(self, given: Mapping[str, Any], _: Callable[[], RouteTaken | None]) -> None:
        if self.nat == "none" and not self.proxy_arp:
            raise NotAllowed("there is neither NAT nor proxy ARP to forward for")

    def _add_nat(self, given: Mapping[str, Any], default_route: Callable[[], RouteTaken | None]) -> None:
        if self.nat == "none":
            raise NotAllowed("nat is none")
        if self.nat != "auto":
            _same(given["interface"], self.nat, "interface for NAT")
        elif given["interface"] is not None:
            way = default_route()
            _same(given["interface"], None if way is None else way.interface, "interface for NAT")
        self._peers(given["sources"])
        self._tunnels(given, default_route)

    def _tunnels(self, given: Mapping[str, Any], _: Callable[[], RouteTaken | None]) -> None:
        _same(tun_pattern(given["tunnels"]), tun_pattern(self.tunnels), "name of a TUN")

    def _isolate(self, given: Mapping[str, Any], _: Callable[[], RouteTaken | None]) -> None:
        _same(True, self.isolate, "setting of isolate")

    def _proxy_arp(self, given: Mapping[str, Any], _: Callable[[], RouteTaken | None]) -> None:
        _same(True, self.proxy_arp, "setting of proxyarp")
        self._peers([given["address"]])

    def _recover(self, given: Mapping[str, Any], _: Callable[[], RouteTaken | None]) -> None:
        _same(given.get("keep_kill_switch", False), False, "client's request")

    def _anything(self, given: Mapping[str, Any], _: Callable[[], RouteTaken | None]) -> None:
        """What changes nothing, or takes back what this very process asked for."""


_RULES: Final[Mapping[str, Callable[[Allowed, Mapping[str, Any], Callable[[], RouteTaken | None]], None]]] = {
    "open_tun": Allowed._open_tun,
    "configure": Allowed._configure,
    "route_to": Allowed._anything,
    "default_route": Allowed._anything,
    "holds_address": Allowed._anything,
    "own_addresses": Allowed._anything,
    "enable_forwarding": Allowed._forward,
    "add_nat": Allowed._add_nat,
    "clamp_mss": Allowed._tunnels,
    "isolate": Allowed._isolate,
    "add_proxy_arp": Allowed._proxy_arp,
    "recover": Allowed._recover,
    "changes": Allowed._anything,
    "undo_for": Allowed._anything,
    "undo": Allowed._anything,
}
"""A method that is not here is refused: those of a client."""

_SHARED = frozenset({"enable_forwarding", "add_nat", "clamp_mss", "isolate", "recover"})


def rules() -> frozenset[str]:
    """Return the methods that may be asked for at all."""
    return frozenset(_RULES)


def _same(given: object, wanted: object, what: str) -> None:
    if given != wanted:
        raise NotAllowed(f"{given} is not the {what}: that is {wanted}")


def _mtu(given: int) -> None:
    if not SMALLEST_MTU <= given <= LARGEST_MTU:
        raise NotAllowed(f"{given} is no MTU")
