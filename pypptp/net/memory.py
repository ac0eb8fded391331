"""MemoryEdge: the same books without an operating system, for tests of what stands on the edge."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from pypptp.errors import LocalProtocolError, NetworkError
from pypptp.net.books import Books, Change, Ledger
from pypptp.net.edge import DEFAULT_MTU, HALVES, Recovery, Route, RouteTaken, Tun, tun_pattern
from pypptp.net.forwarding import ForwardingState
from pypptp.net.records import ForwardingOn, NatMade, RouteAdded

ADDRESS = IPv4Address("203.0.113.2")
"""This machine's own, on eth0, where a test names no other."""
_INDEX = 2


class MemoryTun:
    """A TUN of which a test holds the other end.

    Attributes:
        fd: the tunnel's end, as of a real TUN: one packet per read and write, non-blocking.
        kernel: the other end, a non-blocking datagram socket: what is sent to it the tunnel reads.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._socket, self.kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self.kernel.setblocking(False)
        self.fd = self._socket.fileno()
        self.mtu = DEFAULT_MTU
        self.local: IPv4Address | None = None
        self.peer: IPv4Address | None = None
        self.peer_route: Route | None = None
        self.change: Change | None = None

    def close(self) -> None:
        """Close both ends."""
        self.fd = -1
        self._socket.close()
        self.kernel.close()

    def __repr__(self) -> str:
        return f"<MemoryTun {self.name} {'closed' if self.fd < 0 else f'fd {self.fd}'}>"


@dataclass(frozen=True, slots=True)
class MemoryNat:
    """What :meth:`MemoryEdge.add_nat` was told."""

    interface: str
    sources: tuple[IPv4Network, ...]
    tunnels: str


class MemoryEdge:
    """A :class:`pypptp.net.edge.NetworkEdge` that keeps everything in lists a test can look at.

    Attributes:
        tuns: the open TUNs.
        routes: the routing table, newest first; by default one on the link and a default route, both out of ``eth0``.
        forwarding: whether IPv4 forwarding is on.
        nat: the NAT in force.
        refusals: a method's name and the sentence with which it is to fail.
        recovery: what :meth:`recover` is to find.

    Args:
        ledger: takes the records of what would outlive the process.
    """

    def __init__(
        self,
        *,
        address: IPv4Address = ADDRESS,
        routes: Iterable[Route] | None = None,
        forwarding: bool = False,
        refusals: dict[str, str] | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        self.address = address
        self.routes = (
            [
                Route(IPv4Network(f"{address}/24", strict=False), "eth0", source=address),
                Route(IPv4Network("0.0.0.0/0"), "eth0", IPv4Network(f"{address}/24", strict=False)[1], address),
            ]
            if routes is None
            else list(routes)
        )
        self.tuns: list[MemoryTun] = []
        self.forwarding = forwarding
        self.nat: list[MemoryNat] = []
        self.refusals = refusals or {}
        self.recovery = Recovery()
        self._books = Books(ledger)

    def open_tun(self, name: str | None = None, *, mtu: int = DEFAULT_MTU) -> Tun:
        """Make a MemoryTun; the number for a pattern is the lowest that is free."""
        self._may("open_tun")
        pattern = tun_pattern(name)
        taken = {tun.name for tun in self.tuns}
        if "%d" in pattern:
            chosen = next(
                candidate
                for candidate in (pattern.replace("%d", str(unit), 1) for unit in range(len(taken) + 1))
                if candidate not in taken
            )
        elif pattern in taken:
            raise NetworkError(f"there is an interface {pattern} already: choose another name with --ifname")
        else:
            chosen = pattern
        tun = MemoryTun(chosen)
        tun.mtu = mtu
        with self._books.entry(Change(f"interface {tun.name}", lambda: self._close(tun), session=tun)):
            self.tuns.append(tun)
        return tun

    def configure(self, tun: Tun, *, local: IPv4Address, peer: IPv4Address, mtu: int | None = None) -> None:
        """Note the addresses, and the host route to the peer."""
        self._may("configure")
        known = self._known(tun)
        if known.change is not None:
            self._books.strike(known.change)
            self.routes = [route for route in self.routes if route != known.peer_route]
        known.change = Change(f"address {local} peer {peer} dev {tun.name}", _nothing, session=tun, goes_with_tun=True)
        with self._books.entry(known.change):
            known.local, known.peer, known.mtu = local, peer, known.mtu if mtu is None else mtu
            known.peer_route = Route(IPv4Network(peer), known.name)
            self.routes.append(known.peer_route)

    def route_to(self, address: IPv4Address) -> RouteTaken:
        """Find the longest prefix, then the lowest metric, then the newest."""
        self._may("route_to")
        if address == self.address or address.is_loopback or any(tun.local == address for tun in self.tuns):
            return RouteTaken("lo", source=address, local=True)
        fitting = [route for route in self.routes if address in route.network]
        if not fitting:
            raise NetworkError(f"there is no route to {address}: check the address and the default route")
        best = min(fitting, key=lambda route: (-route.network.prefixlen, route.metric))
        source = best.source
        for tun in self.tuns:
            if tun.name == best.interface:
                source = tun.local
        return RouteTaken(best.interface, best.gateway, source)

    def default_route(self) -> RouteTaken | None:
        """Return the default route with the lowest metric, or None."""
        self._may("default_route")
        found = [route for route in self.routes if route.network.prefixlen == 0]
        if not found:
            return None
        best = min(found, key=lambda route: route.metric)
        return RouteTaken(best.interface, best.gateway, best.source)

    def pin_route(self, address: IPv4Address, *, session: Tun | None = None) -> RouteTaken:
        """Hold ``address`` on the way it is reached now."""
        self._may("pin_route")
        taken = self.route_to(address)
        if not taken.local:
            self.add_route(IPv4Network(address), via=taken, session=session)
        return taken

    def add_route(
        self, network: IPv4Network, *, via: Tun | RouteTaken, metric: int = 0, session: Tun | None = None
    ) -> bool:
        """Add a route before equal ones; False where the same one is there."""
        self._may("add_route")
        if isinstance(via, RouteTaken):
            route = Route(network, via.interface, via.gateway, via.source, metric)
        else:
            route = Route(network, self._known(via).name, metric=metric)
            session = via if session is None else session
        same = (route.network, route.interface, route.gateway, route.metric)
        if any((r.network, r.interface, r.gateway, r.metric) == same for r in self.routes):
            return False
        change = Change(
            str(route),
            lambda: self._forget(route),
            session=session,
            goes_with_tun=session is via,
            record=RouteAdded(route, _INDEX) if isinstance(via, RouteTaken) else None,
        )
        with self._books.entry(change):
            self.routes.insert(0, route)
        return True

    def add_default_route(self, tun: Tun) -> None:
        """Two halves, as the real one."""
        for half in HALVES:
            self.add_route(half, via=tun)

    def enable_forwarding(self) -> bool:
        """Note that forwarding is on; False where it was."""
        self._may("enable_forwarding")
        if self.forwarding:
            return False

        def take_back() -> None:
            self.forwarding = False

        record = ForwardingOn(ForwardingState("0", {}))
        with self._books.entry(Change(str(record), take_back, record=record)):
            self.forwarding = True
        return True

    def add_nat(self, interface: str | None, sources: Iterable[IPv4Network], *, tunnels: str = "ppp%d") -> str:
        """Note the NAT."""
        self._may("add_nat")
        if interface is None:
            default = self.default_route()
            if default is None:
                raise NetworkError(
                    "there is no default route to take the NAT interface from: name one with --nat, or use --nat none"
                )
            interface = default.interface
        made = MemoryNat(interface, tuple(sources), tunnels)
        record = NatMade(interface, made.sources, "pypptp 1 1")
        with self._books.entry(Change(str(record), lambda: self.nat.remove(made), record=record)):
            self.nat.append(made)
        return interface

    def recover(self) -> Recovery:
        """Return :attr:`recovery`."""
        return self.recovery

    def changes(self) -> list[str]:
        """List what is changed at present, oldest first, in words."""
        return self._books.texts()

    def undo_for(self, tun: Tun) -> list[str]:
        """Take back what belongs to one TUN and close it."""
        return self._books.undo_for(tun)

    def undo(self) -> list[str]:
        """Take back everything, newest first."""
        return self._books.undo()

    def _may(self, method: str) -> None:
        if method in self.refusals:
            raise NetworkError(self.refusals[method])

    def _known(self, tun: Tun) -> MemoryTun:
        for known in self.tuns:
            if known is tun:
                return known
        raise LocalProtocolError(f"the TUN device {tun.name} is closed")

    def _close(self, tun: MemoryTun) -> None:
        self.tuns.remove(tun)
        self.routes = [route for route in self.routes if route.interface != tun.name]
        tun.close()

    def _forget(self, route: Route) -> None:
        if route in self.routes:
            self.routes.remove(route)


def _nothing() -> None:
    """Nothing to do: it goes with the TUN."""
