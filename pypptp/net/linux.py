"""LinuxEdge: the operating system's side of a tunnel on Linux, in this process."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from pypptp.errors import LocalProtocolError, NetworkError
from pypptp.net import addresses, forwarding, kill_switch, links, nat, proxy_arp, routes
from pypptp.net.books import Books, Change
from pypptp.net.edge import DEFAULT_MTU, EVERYTHING, HALVES, Hold, Recovery, Route, RouteTaken, Tun, Watch
from pypptp.net.journal import Journal
from pypptp.net.name_servers import Means, means_for
from pypptp.net.netlink import rtnetlink
from pypptp.net.records import FilterMade, ForwardingOn, KillSwitchOn, NatMade, ProxyArpMade, RouteAdded
from pypptp.net.recovery import recover, take_back
from pypptp.net.tun import LinuxTun, tune_napi
from pypptp.net.watch import LinuxWatch

log = logging.getLogger("pypptp.net")

_CLOSING_THREADS = 16


@dataclass(slots=True)
class _Configured:
    local: IPv4Address
    peer: IPv4Address
    change: Change


@dataclass(frozen=True, slots=True)
class _Lasting:
    """A route that no session takes along."""

    record: RouteAdded
    change: Change


class LinuxEdge:
    """The real :class:`pypptp.net.edge.NetworkEdge`: python-pytun, rtnetlink and nftables.

    It holds no netlink socket between calls but that of its NAT table, so it may be called from any thread, one after
    the other or at once, whether an event loop runs there or not. All threads must be in the network namespace the
    edge works for.

    Args:
        journal: takes what would outlive a kill -9. Without one nothing is written, nor taken back after it.
    """

    def __init__(self, journal: Journal | None = None) -> None:
        self._journal = journal
        self._books = Books(journal)
        self._configured: dict[Tun, _Configured] = {}
        self._tables: list[str] = []
        self._lasting: dict[Route, _Lasting] = {}
        self._kill_switch: tuple[kill_switch.KillSwitch, Change] | None = None
        self._name_servers: dict[Tun, Means] = {}

    def open_tun(self, name: str | None = None, *, mtu: int = DEFAULT_MTU) -> Tun:
        """Make a TUN device; see :meth:`NetworkEdge.open_tun`."""
        tun = LinuxTun(name)
        alias = f"pypptp {os.getpid()} {os.urandom(4).hex()}"
        change = Change(f"interface {tun.name}", tun.close, session=tun)
        try:
            with self._books.entry(change), rtnetlink() as netlink:
                group = kill_switch.MARK if self._kill_switch is not None else 0
                links.prepare_tun(netlink, tun.name, mtu=mtu, alias=alias, group=group)
                tune_napi(tun.name, alias)
        except BaseException:
            self._books.strike(change)
            tun.close()
            raise
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
        """Give the TUN its addresses and set it up; called again, it changes them."""
        _check_open(tun)
        with rtnetlink() as netlink:
            before = self._configured.get(tun)
            if before is None or (before.local, before.peer) != (local, peer):
                text = f"address {local} peer {peer} dev {tun.name}"
                change = Change(text, _nothing, session=tun, goes_with_tun=True)
                with self._books.entry(change):
                    if before is None:
                        links.add_address(netlink, tun.name, local, peer=peer)
                    else:
                        links.change_address(netlink, tun.name, (before.local, before.peer), (local, peer))
                        self._books.strike(before.change)
                self._configured[tun] = _Configured(local, peer, change)
            group = links.ISOLATED_GROUP if isolated else None
            links.set_up(netlink, tun.name, mtu=mtu, group=group, queue=queue)

    def route_to(self, address: IPv4Address, *, by: str | None = None, around: Tun | None = None) -> RouteTaken:
        """Ask the kernel which way packets to ``address`` go now; see :meth:`NetworkEdge.route_to`."""
        with rtnetlink() as netlink:
            if around is not None and around.fd >= 0:
                return routes.look_up_around(netlink, address, around.name)
            return routes.look_up(netlink, address, by=by)

    def default_route(self) -> RouteTaken | None:
        """Return the default route with the lowest metric, or None."""
        with rtnetlink() as netlink:
            return routes.find_default(netlink)

    def holds_address(self, address: IPv4Address) -> bool:
        """Return whether an interface has ``address``; see :meth:`NetworkEdge.holds_address`."""
        with rtnetlink() as netlink:
            return links.holds_address(netlink, address)

    def watch(self) -> Watch:
        """Be told of changes; see :meth:`NetworkEdge.watch`."""
        return LinuxWatch()

    def pin_route(
        self, address: IPv4Address, *, via: RouteTaken | None = None, session: Tun | Hold | None = None
    ) -> RouteTaken:
        """Hold ``address`` on the way it is reached now; see :meth:`NetworkEdge.pin_route`.

        An address of this machine itself is not pinned: the kernel's local table comes before every route.
        """
        taken = self.route_to(address) if via is None else via
        if not taken.local:
            self.add_route(IPv4Network(address), via=taken, session=session)
        return taken

    def add_route(
        self, network: IPv4Network, *, via: Tun | RouteTaken, metric: int = 0, session: Tun | Hold | None = None
    ) -> bool:
        """Add a route; see :meth:`NetworkEdge.add_route`."""
        by_tun = not isinstance(via, RouteTaken)
        if isinstance(via, RouteTaken):
            route = Route(network, via.interface, via.gateway, via.source, metric)
        else:
            _check_open(via)
            route = Route(network, via.name, metric=metric)
            session = via if session is None else session
        return self._add_route(route, session, by_tun=by_tun, goes_with_tun=session is via)

    def add_default_route(self, tun: Tun, *, metric: int | None = None) -> None:
        """Send everything else through ``tun``; :mod:`pypptp.net.routes` says how."""
        for network in HALVES if metric is None else (EVERYTHING,):
            self.add_route(network, via=tun, metric=metric or 0)

    def bind_socket(self, sock: socket.socket, interface: str | None) -> None:
        """Hold a socket on an interface, and let it through the kill switch; see :meth:`NetworkEdge.bind_socket`."""
        try:
            if interface is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
            if self._kill_switch is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, kill_switch.MARK)
        except OSError as error:
            where = "mark a socket" if interface is None else f"bind a socket to the interface {interface}"
            raise NetworkError(f"cannot {where}: {error.strerror}") from error

    def add_kill_switch(
        self, server: IPv4Address, port: int, *, bypass: Iterable[IPv4Network] = (), session: Hold | None = None
    ) -> None:
        """Let nothing leave but through tunnels and to the server; see :meth:`NetworkEdge.add_kill_switch`."""
        if self._kill_switch is not None:
            self._kill_switch[0].close_around(server, port)
            return
        made = kill_switch.KillSwitch(kill_switch.new_name(), bypass=bypass)

        def remove() -> None:
            self._kill_switch = None
            made.remove()

        record = KillSwitchOn(made.name)
        change = Change(str(record), remove, session=session, record=record)
        with self._books.entry(change):
            made.close_around(server, port)
        self._kill_switch = made, change

    def leave_kill_switch(self) -> bool:
        """Leave the kill switch to the next start; see :meth:`NetworkEdge.leave_kill_switch`."""
        if self._kill_switch is None or not self._books.leave(self._kill_switch[1]):
            return False
        self._kill_switch[0].leave()
        self._kill_switch = None
        return True

    def set_name_servers(self, tun: Tun, servers: Sequence[IPv4Address]) -> str:
        """Have programs ask these name servers; see :meth:`NetworkEdge.set_name_servers`."""
        _check_open(tun)
        means = self._name_servers.get(tun)
        if means is not None:
            means.set(servers)
            return means.words
        instance = "pypptp" if self._journal is None else self._journal.instance
        *before, last = means_for(tun.name, instance=instance)
        for means in before:
            try:
                return self._ask_by(means, tun, servers)
            except NetworkError as error:
                log.info("name servers: %s; another way is tried", error)
        return self._ask_by(last, tun, servers)

    def _ask_by(self, means: Means, tun: Tun, servers: Sequence[IPv4Address]) -> str:
        def take_back() -> None:
            self._name_servers.pop(tun, None)
            means.take_back()

        text = f"name servers {', '.join(map(str, servers))} for {tun.name}"
        with self._books.entry(Change(text, take_back, session=tun, record=means.record)):
            means.set(servers)
        self._name_servers[tun] = means
        return means.words

    def enable_forwarding(self) -> bool:
        """Switch IPv4 forwarding on; see :meth:`NetworkEdge.enable_forwarding`.

        Where another pypptp with a journal did so, this one's takes over what was before: whoever ends last puts it
        back.
        """
        if self._journal is not None:
            self._journal.prepare()
        with self._exclusive():
            before = forwarding.read_state()
            is_on = before.forwarding != "0"
            if is_on:
                shared = None if self._books.holds(ForwardingOn) else self._forwarding_of_others()
                if shared is None:
                    return False
                before = shared.before
            record = ForwardingOn(before)
            with self._books.entry(Change(str(record), lambda: self._forwarding_off(record), record=record)):
                if not is_on:
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
        networks, used = tuple(sources), interface
        record = NatMade(interface, networks, nat.own_comment())
        self._make_table(record, lambda: nat.NatTable(used, networks, tunnels=tunnels))
        return interface

    def clamp_mss(self, *, tunnels: str = "ppp%d") -> None:
        """Clamp without NAT; see :meth:`NetworkEdge.clamp_mss`."""
        self._make_table(FilterMade("MSS clamp", nat.own_comment()), lambda: nat.ClampTable(tunnels))

    def isolate(self) -> None:
        """Keep the clients apart; see :meth:`NetworkEdge.isolate`."""
        self._make_table(FilterMade("isolation", nat.own_comment()), nat.IsolationTable)

    def add_proxy_arp(self, tun: Tun, address: IPv4Address) -> str | None:
        """Answer ARP for a client; see :meth:`NetworkEdge.add_proxy_arp`.

        What somebody else has set up for the address stays when the session ends.
        """
        _check_open(tun)
        with rtnetlink() as netlink:
            index = proxy_arp.find_interface(netlink, address)
            if index is None:
                return None
            name = links.interface_name(index)
            if (address, index) not in proxy_arp.published(netlink, address):
                record = ProxyArpMade(address, name, index)
                change = Change(str(record), lambda: take_back(record), session=tun, record=record)
                with self._books.entry(change):
                    proxy_arp.publish(netlink, address, index)
            return name

    def own_addresses(self) -> set[IPv4Address]:
        """Return every address of this machine."""
        with rtnetlink() as netlink:
            return {address for _, address, _ in addresses.own_addresses(netlink)}

    def recover(self, *, keep_kill_switch: bool = False) -> Recovery:
        """Take back what processes that were killed left behind; see :meth:`NetworkEdge.recover`."""
        if self._journal is None:
            return Recovery()
        try:
            folder = self._journal.folder
        except NetworkError:
            return Recovery()  # the first change will say so, if there ever is one
        return recover(folder=folder, keep_kill_switch=keep_kill_switch)

    def changes(self) -> list[str]:
        """List what is changed at present, oldest first, in words."""
        return self._books.texts()

    def release(self, hold: Hold) -> list[str]:
        """Take back what belongs to ``hold``. Returns what went wrong, in words."""
        return self._books.undo_for(hold)

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

    def _add_route(self, route: Route, session: Tun | Hold | None, *, by_tun: bool, goes_with_tun: bool) -> bool:
        index = links.interface_index(route.interface)
        with rtnetlink() as netlink:
            # A client that connects again asks for the same route again. It may be gone meanwhile: a link that went
            # down takes its routes along. One that was taken out and put in again is another interface.
            lasting = self._lasting.get(route) if session is None else None
            if lasting is not None and lasting.record.index == index:
                return routes.add_exactly(netlink, lasting.record.route)
            if lasting is not None:
                self._books.strike(lasting.change)
            for candidate in routes.candidates(netlink, route):
                record = RouteAdded(candidate, index)
                change = self._route_change(route, record, session, by_tun=by_tun, goes_with_tun=goes_with_tun)
                with self._books.entry(change):
                    added = routes.add_exactly(netlink, candidate)
                if added:
                    if session is None:
                        self._lasting[route] = _Lasting(record, change)
                    return True
                self._books.strike(change)
        return False

    def _route_change(
        self, wanted: Route, record: RouteAdded, session: Tun | Hold | None, *, by_tun: bool, goes_with_tun: bool
    ) -> Change:
        def remove() -> None:
            self._lasting.pop(wanted, None)
            take_back(record)

        return Change(
            str(record), remove, session=session, goes_with_tun=goes_with_tun, record=None if by_tun else record
        )

    def _make_table(self, record: NatMade | FilterMade, make: Callable[[], nat.OwnTable]) -> None:
        made: list[nat.OwnTable] = []

        def remove() -> None:
            for table in made:
                if table.name in self._tables:
                    self._tables.remove(table.name)
                table.remove()

        with self._books.entry(Change(str(record), remove, record=record)):
            table = make()
            made.append(table)
            self._tables.append(table.name)

    def _forwarding_off(self, record: ForwardingOn) -> None:
        if self._forwarding_of_others() is None:
            take_back(record, own_tables=self._tables)

    def _forwarding_of_others(self) -> ForwardingOn | None:
        """Find another running pypptp that needs forwarding: it switches it off, or hands it on, in our place."""
        for entry in [] if self._journal is None else self._journal.others():
            if isinstance(entry.record, ForwardingOn):
                return entry.record
        return None

    def _exclusive(self) -> AbstractContextManager[None]:
        return nullcontext() if self._journal is None else self._journal.exclusive()


def _check_open(tun: Tun) -> None:
    if tun.fd < 0:
        raise LocalProtocolError(f"the TUN device {tun.name} is closed")


def _nothing() -> None:
    """Nothing to do: the kernel does it."""
