"""MemoryEdge: the same books without an operating system, for tests of what stands on the edge."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from pypptp.causes import Cause
from pypptp.errors import LocalProtocolError, NetworkError
from pypptp.net.books import Books, Change, Ledger
from pypptp.net.edge import DEFAULT_MTU, EVERYTHING, HALVES, Hold, Recovery, Route, RouteTaken, Tun, Watch, tun_pattern
from pypptp.net.forwarding import ForwardingState
from pypptp.net.records import FilterMade, ForwardingOn, KillSwitchOn, NatMade, ProxyArpMade, RouteAdded

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
        self.isolated = False
        self.queue: int | None = None
        self.peer_route: Route | None = None
        self.change: Change | None = None

    def close(self) -> None:
        """Close both ends."""
        self.fd = -1
        self._socket.close()
        self.kernel.close()

    def __repr__(self) -> str:
        return f"<MemoryTun {self.name} {'closed' if self.fd < 0 else f'fd {self.fd}'}>"


class MemoryWatch:
    """News that a test makes with :meth:`MemoryEdge.tell`."""

    def __init__(self) -> None:
        self._socket, self.teller = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self.teller.setblocking(False)
        self.fd = self._socket.fileno()

    def drain(self) -> bool:
        """Forget the news."""
        news = False
        while True:
            try:
                self._socket.recv(1)
            except OSError:
                return news
            news = True

    def close(self) -> None:
        """Close both ends."""
        self.fd = -1
        self._socket.close()
        self.teller.close()


@dataclass(frozen=True, slots=True)
class MemoryNat:
    """What :meth:`MemoryEdge.add_nat` was told."""

    interface: str
    sources: tuple[IPv4Network, ...]
    tunnels: str


@dataclass(frozen=True, slots=True)
class MemoryKillSwitch:
    """What :meth:`MemoryEdge.add_kill_switch` was told."""

    server: IPv4Address
    port: int
    bypass: tuple[IPv4Network, ...]


class MemoryEdge:
    """A :class:`pypptp.net.edge.NetworkEdge` that keeps everything in lists a test can look at.

    Attributes:
        tuns: the open TUNs.
        routes: the routing table, newest first; by default one on the link and a default route, both out of ``eth0``.
        forwarding: whether IPv4 forwarding is on.
        nat: the NAT in force.
        clamped: the names of tunnels whose MSS is clamped without NAT.
        isolation: whether clients are kept apart.
        proxy_arp: the addresses answered for; every one in the network of :attr:`address` can be.
        kill_switch: the kill switch, if there is one.
        name_servers: those that programs ask, by TUN, the latest last.
        bound: the interface of each socket that :meth:`bind_socket` was given.
        refusals: a method's name and the sentence with which it is to fail.
        recovery: what :meth:`recover` is to find.
        watches: those that :meth:`watch` gave out.

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
        self.clamped: list[str] = []
        self.isolation = False
        self.proxy_arp: list[IPv4Address] = []
        self.kill_switch: MemoryKillSwitch | None = None
        self._kill_switch_change: Change | None = None
        self.name_servers: dict[Tun, tuple[IPv4Address, ...]] = {}
        self.bound: list[str | None] = []
        self.refusals = refusals or {}
        self.recovery = Recovery()
        self.watches: list[MemoryWatch] = []
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

    def configure(
        self,
        tun: Tun,
        *,
        local: IPv4Address,
        peer: IPv4Address,
        mtu: int | None = None,
        isolated: bool = False,
        queue: int | None = None,
    ) -> None:
        """Note the addresses, and the host route to the peer."""
        self._may("configure")
        known = self._known(tun)
        if known.change is not None:
            self._books.strike(known.change)
            self.routes = [route for route in self.routes if route != known.peer_route]
        known.change = Change(f"address {local} peer {peer} dev {tun.name}", _nothing, session=tun, goes_with_tun=True)
        with self._books.entry(known.change):
            known.local, known.peer, known.mtu = local, peer, known.mtu if mtu is None else mtu
            known.isolated, known.queue = isolated, queue
            known.peer_route = Route(IPv4Network(peer), known.name)
            self.routes.append(known.peer_route)

    def route_to(self, address: IPv4Address, *, by: str | None = None, around: Tun | None = None) -> RouteTaken:
        """Find the longest prefix, then the lowest metric, then the newest."""
        self._may("route_to")
        if address == self.address or address.is_loopback or any(tun.local == address for tun in self.tuns):
            return RouteTaken("lo", source=address, local=True)
        fitting = [
            route
            for route in self.routes
            if address in route.network
            and by in (None, route.interface)
            and (around is None or around.name != route.interface)
        ]
        if not fitting:
            raise NetworkError(
                f"there is no route to {address}: check the address and the default route", cause=Cause.UNREACHABLE
            )
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

    def holds_address(self, address: IPv4Address) -> bool:
        """Return whether it is this machine's own."""
        return address == self.address or any(tun.local == address for tun in self.tuns)

    def watch(self) -> Watch:
        """Give out a watch for :meth:`tell`."""
        made = MemoryWatch()
        self.watches.append(made)
        return made

    def tell(self) -> None:
        """Say to all who watch that something has changed."""
        for watch in self.watches:
            if watch.fd >= 0:
                watch.teller.send(b"!")

    def pin_route(
        self, address: IPv4Address, *, via: RouteTaken | None = None, session: Tun | Hold | None = None
    ) -> RouteTaken:
        """Hold ``address`` on the way it is reached now."""
        self._may("pin_route")
        taken = self.route_to(address) if via is None else via
        if not taken.local:
            self.add_route(IPv4Network(address), via=taken, session=session)
        return taken

    def add_route(
        self, network: IPv4Network, *, via: Tun | RouteTaken, metric: int = 0, session: Tun | Hold | None = None
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

    def add_default_route(self, tun: Tun, *, metric: int | None = None) -> None:
        """Two halves, or one whole with a metric, as the real one."""
        for network in HALVES if metric is None else (EVERYTHING,):
            self.add_route(network, via=tun, metric=metric or 0)

    def bind_socket(self, sock: socket.socket, interface: str | None) -> None:
        """Note the interface."""
        self._may("bind_socket")
        self.bound.append(interface)

    def add_kill_switch(
        self, server: IPv4Address, port: int, *, bypass: Iterable[IPv4Network] = (), session: Hold | None = None
    ) -> None:
        """Note the kill switch."""
        self._may("add_kill_switch")
        made = MemoryKillSwitch(server, port, tuple(bypass))
        if self.kill_switch is None:
            record = KillSwitchOn("pypptp-kill-switch-1-00000001")
            change = Change(str(record), self._open_kill_switch, session=session, record=record)
            with self._books.entry(change):
                self.kill_switch, self._kill_switch_change = made, change
        self.kill_switch = made

    def leave_kill_switch(self) -> bool:
        """Forget the kill switch where it is."""
        return self._kill_switch_change is not None and self._books.leave(self._kill_switch_change)

    def set_name_servers(self, tun: Tun, servers: Sequence[IPv4Address]) -> str:
        """Note the name servers."""
        self._may("set_name_servers")
        known = self._known(tun)
        if known not in self.name_servers:
            text = f"name servers {', '.join(map(str, servers))} for {tun.name}"
            with self._books.entry(Change(text, lambda: self._forget_name_servers(tun), session=tun)):
                self.name_servers[tun] = tuple(servers)
        self.name_servers[tun] = tuple(servers)
        return "memory"

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

    def clamp_mss(self, *, tunnels: str = "ppp%d") -> None:
        """Note the clamping."""
        self._may("clamp_mss")
        record = FilterMade("MSS clamp", "pypptp 1 1")
        with self._books.entry(Change(str(record), lambda: self.clamped.remove(tunnels), record=record)):
            self.clamped.append(tunnels)

    def isolate(self) -> None:
        """Note the isolation."""
        self._may("isolate")

        def take_back() -> None:
            self.isolation = False

        record = FilterMade("isolation", "pypptp 1 1")
        with self._books.entry(Change(str(record), take_back, record=record)):
            self.isolation = True

    def add_proxy_arp(self, tun: Tun, address: IPv4Address) -> str | None:
        """Note the address, where it is in the network of this machine's own."""
        self._may("add_proxy_arp")
        self._known(tun)
        if address not in IPv4Network(f"{self.address}/24", strict=False):
            return None
        if address not in self.proxy_arp:
            record = ProxyArpMade(address, "eth0", _INDEX)
            change = Change(str(record), lambda: self.proxy_arp.remove(address), session=tun, record=record)
            with self._books.entry(change):
                self.proxy_arp.append(address)
        return "eth0"

    def own_addresses(self) -> set[IPv4Address]:
        """Return this machine's address and the local ones of the TUNs."""
        self._may("own_addresses")
        return {self.address} | {tun.local for tun in self.tuns if tun.local is not None}

    def recover(self, *, keep_kill_switch: bool = False) -> Recovery:
        """Return :attr:`recovery`."""
        return self.recovery

    def changes(self) -> list[str]:
        """List what is changed at present, oldest first, in words."""
        return self._books.texts()

    def release(self, hold: Hold) -> list[str]:
        """Take back what belongs to ``hold``."""
        return self._books.undo_for(hold)

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

    def _open_kill_switch(self) -> None:
        self.kill_switch = self._kill_switch_change = None

    def _forget_name_servers(self, tun: Tun) -> None:
        self.name_servers.pop(tun, None)

    def _forget(self, route: Route) -> None:
        if route in self.routes:
            self.routes.remove(route)


def _nothing() -> None:
    """Nothing to do: it goes with the TUN."""
