"""LinuxEdge: the operating system's side of a tunnel on Linux, in this process."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from pypptp.errors import LocalProtocolError, NetworkError
from pypptp.net import forwarding, links, nat, routes
from pypptp.net.books import Books, Change
from pypptp.net.edge import DEFAULT_MTU, HALVES, Route, RouteTaken, Tun
from pypptp.net.netlink import NetlinkSocket
from pypptp.net.tun import LinuxTun, tune_napi

_CLOSING_THREADS = 16


@dataclass(slots=True)
class _Configured:
    local: IPv4Address
    peer: IPv4Address
    change: Change


class LinuxEdge:
    """The real :class:`pypptp.net.edge.NetworkEdge`: python-pytun, rtnetlink and nftables.

    It holds no netlink socket between calls but that of its NAT table, so it may be called from any thread, one after
    the other or at once, whether an event loop runs there or not. All threads must be in the network namespace the
    edge works for.
    """

    def __init__(self) -> None:
        self._books = Books()
        self._configured: dict[Tun, _Configured] = {}
        self._tables: list[str] = []
        self._lasting: dict[Route, Route] = {}

    def open_tun(self, name: str | None = None, *, mtu: int = DEFAULT_MTU) -> Tun:
        """Make a TUN device; see :meth:`NetworkEdge.open_tun`."""
        tun = LinuxTun(name)
        alias = f"pypptp {os.getpid()} {os.urandom(4).hex()}"
        change = Change(f"interface {tun.name}", tun.close, session=tun)
        try:
            with self._books.entry(change), _rtnetlink() as netlink:
                links.prepare_tun(netlink, tun.name, mtu=mtu, alias=alias)
                tune_napi(tun.name, alias)
        except BaseException:
            self._books.strike(change)
            tun.close()
            raise
        return tun

    def configure(self, tun: Tun, *, local: IPv4Address, peer: IPv4Address, mtu: int | None = None) -> None:
        """Give the TUN its addresses and set it up; called again, it changes them."""
        _check_open(tun)
        with _rtnetlink() as netlink:
            before = self._configured.get(tun)
            if before is not None and (before.local, before.peer) != (local, peer):
                links.remove_address(netlink, tun.name, before.local, peer=before.peer)
                self._books.strike(before.change)
                del self._configured[tun]
                before = None
            if before is None:
                text = f"address {local} peer {peer} dev {tun.name}"
                change = Change(text, _nothing, session=tun, goes_with_tun=True)
                with self._books.entry(change):
                    links.add_address(netlink, tun.name, local, peer=peer)
                self._configured[tun] = _Configured(local, peer, change)
            links.set_up(netlink, tun.name, mtu=mtu)

    def route_to(self, address: IPv4Address) -> RouteTaken:
        """Ask the kernel which way packets to ``address`` go now."""
        with _rtnetlink() as netlink:
            return routes.look_up(netlink, address)

    def default_route(self) -> RouteTaken | None:
        """Return the default route with the lowest metric, or None."""
        with _rtnetlink() as netlink:
            return routes.find_default(netlink)

    def pin_route(self, address: IPv4Address, *, session: Tun | None = None) -> RouteTaken:
        """Hold ``address`` on the way it is reached now; see :meth:`NetworkEdge.pin_route`.

        An address of this machine itself is not pinned: the kernel's local table comes before every route.
        """
        taken = self.route_to(address)
        if not taken.local:
            self.add_route(IPv4Network(address), via=taken, session=session)
        return taken

    def add_route(
        self, network: IPv4Network, *, via: Tun | RouteTaken, metric: int = 0, session: Tun | None = None
    ) -> bool:
        """Add a route; see :meth:`NetworkEdge.add_route`."""
        if isinstance(via, RouteTaken):
            route = Route(network, via.interface, via.gateway, via.source, metric)
        else:
            _check_open(via)
            route = Route(network, via.name, metric=metric)
            session = via if session is None else session
        return self._add_route(route, session, goes_with_tun=session is via)

    def add_default_route(self, tun: Tun) -> None:
        """Send everything else through ``tun``: two half routes, see :mod:`pypptp.net.routes`."""
        for half in HALVES:
            self.add_route(half, via=tun)

    def enable_forwarding(self) -> bool:
        """Switch IPv4 forwarding on; see :meth:`NetworkEdge.enable_forwarding`."""
        state = forwarding.read_state()
        if state.forwarding != "0":
            return False

        def take_back() -> None:
            others = nat.other_tables(self._tables)
            if others:
                raise NetworkError(f"another pypptp still needs it (nftables table {others[0]}), it is left on")
            forwarding.restore(state)

        with self._books.entry(Change("IPv4 forwarding on", take_back)):
            forwarding.enable()
        return True

    def add_nat(self, interface: str | None, sources: Iterable[IPv4Network], *, tunnels: str = "ppp%d") -> str:
        """Masquerade and clamp; see :meth:`NetworkEdge.add_nat`. Each call makes a table of its own."""
        if interface is None:
            default = self.default_route()
            if default is None:
                raise NetworkError(
                    "there is no default route to take the NAT interface from: name one with --nat, or use --nat none"
                )
            interface = default.interface
        else:
            links.interface_index(interface)
        networks = list(sources)
        made: list[nat.NatTable] = []

        def take_back() -> None:
            for table in made:
                if table.name in self._tables:
                    self._tables.remove(table.name)
                table.remove()

        text = f"NAT of {', '.join(map(str, networks)) or 'nothing'} out of {interface}"
        with self._books.entry(Change(text, take_back)):
            table = nat.NatTable(interface, networks, tunnels=tunnels)
            made.append(table)
            self._tables.append(table.name)
        return interface

    def changes(self) -> list[str]:
        """List what is changed at present, oldest first, in words."""
        return self._books.texts()

    def undo_for(self, tun: Tun) -> list[str]:
        """Take back what belongs to one TUN and close it. Returns what went wrong, in words."""
        self._configured.pop(tun, None)
        errors = self._books.undo_for(tun)
        tun.close()
        return errors

    def undo(self) -> list[str]:
        """Take back everything. Returns what went wrong, in words.

        The sessions' changes go first and side by side: the kernel takes 20 ms for each TUN, and a server with hundreds
        is to be gone within seconds (100 took 1.8 s one by one, 0.3 s with 16 threads).
        """
        tuns = self._books.sessions()
        try:
            with ThreadPoolExecutor(_CLOSING_THREADS) as executor:
                results = list(executor.map(self.undo_for, reversed(tuns)))
        except RuntimeError:  # no new threads while the interpreter ends
            results = [self.undo_for(tun) for tun in reversed(tuns)]
        return [error for errors in results for error in errors] + self._books.undo()

    def _add_route(self, route: Route, session: Tun | None, *, goes_with_tun: bool) -> bool:
        # A client that connects again asks for the same route again. It may be gone meanwhile: a link that went down
        # takes its routes along.
        if session is None and route in self._lasting:
            with _rtnetlink() as netlink:
                return routes.restore(netlink, self._lasting[route])
        added: list[Route] = []

        def take_back() -> None:
            self._lasting.pop(route, None)
            with _rtnetlink() as netlink:
                for known in added:
                    routes.remove(netlink, known)

        change = Change(str(route), take_back, session=session, goes_with_tun=goes_with_tun)
        with self._books.entry(change), _rtnetlink() as netlink:
            result = routes.add(netlink, route)
            if result is not None:
                added.append(result)
        if result is None:
            self._books.strike(change)
            return False
        if session is None:
            self._lasting[route] = result
        return True


@contextmanager
def _rtnetlink() -> Iterator[NetlinkSocket]:
    try:
        netlink = NetlinkSocket(socket.NETLINK_ROUTE)
    except OSError as error:
        raise NetworkError(f"cannot open a netlink socket: {error.strerror or error}") from error
    with netlink:
        yield netlink


def _check_open(tun: Tun) -> None:
    if tun.fd < 0:
        raise LocalProtocolError(f"the TUN device {tun.name} is closed")


def _nothing() -> None:
    """Nothing to do: the kernel does it."""
