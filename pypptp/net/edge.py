"""What a tunnel needs of the operating system, as one interface.

The shell knows :class:`NetworkEdge` alone. :class:`pypptp.net.linux.LinuxEdge` is the real one,
:class:`pypptp.net.memory.MemoryEdge` keeps the same books without root. Every call blocks (a TUN takes 20 ms to
close), so an event loop calls them from an executor thread; any thread will do, and the network namespace is that of
the calling thread.

Each change is written into the edge's books before it is made. :meth:`NetworkEdge.undo_for` takes back those of one
TUN, :meth:`NetworkEdge.undo` all of them, newest first. After kill -9 the next :meth:`NetworkEdge.recover`, in whatever
process, does it.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Protocol

DEFAULT_MTU = 1400
"""Octets. 1500 less IP (20), GRE (16), PPP (4) and MPPE (4) is 1456; 1400 is what real PPTP peers offer."""

EVERYTHING = IPv4Network("0.0.0.0/0")
HALVES = (IPv4Network("0.0.0.0/1"), IPv4Network("128.0.0.0/1"))
"""What the default route through a tunnel is made of; :mod:`pypptp.net.routes` says why."""


class Tun(Protocol):
    """One TUN device: each ``os.read(fd)`` and ``os.write(fd)`` is one IP packet without any header before it."""

    @property
    def fd(self) -> int:
        """File descriptor, non-blocking and close-on-exec; -1 once closed."""

    @property
    def name(self) -> str:
        """The interface's name, for example ``ppp0``."""

    def close(self) -> None:
        """Close the descriptor; the interface, its addresses and routes go with it. Closing twice is no error."""


class Watch(Protocol):
    """News of links, addresses and routes: that something changed, not what."""

    @property
    def fd(self) -> int:
        """File descriptor that is readable when there is news; -1 once closed."""

    def drain(self) -> bool:
        """Forget the news. Returns whether there was any."""

    def close(self) -> None:
        """Listen no more. Twice is no error."""


class Hold:
    """Whose changes they are, where they are no TUN's: what a client needs on the way to its server, for example."""


@dataclass(frozen=True, slots=True)
class RouteTaken:
    """The way packets take to an address.

    Attributes:
        interface: name of the interface they leave by.
        gateway: the next router, or None where the destination is on the link. An IPv6 one is RFC 5549's.
        source: the source address the kernel prefers, or None where the route names none.
        local: the address is this machine's own.
    """

    interface: str
    gateway: IPv4Address | IPv6Address | None = None
    source: IPv4Address | None = None
    local: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """One route of the main table.

    Attributes:
        network: destination.
        interface: name of the interface.
        gateway: next router, or None.
        source: preferred source address, or None.
        metric: priority; the lower wins among equal networks.
    """

    network: IPv4Network
    interface: str
    gateway: IPv4Address | IPv6Address | None = None
    source: IPv4Address | None = None
    metric: int = 0

    def __str__(self) -> str:
        via = f" via {self.gateway}" if self.gateway is not None else ""
        metric = f" metric {self.metric}" if self.metric else ""
        return f"route {self.network}{via} dev {self.interface}{metric}"


@dataclass(slots=True)
class Recovery:
    """What became of the changes that killed processes left behind, in words for people.

    Attributes:
        taken_back: each change that was undone, and whose it was.
        left: what is none of ours to undo, and why.
        dropped: number of entries whose changes had gone by themselves, with the machine's last boot for example.
        errors: what went wrong.
    """

    taken_back: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    dropped: int = 0
    errors: list[str] = field(default_factory=list)


class NetworkEdge(Protocol):
    """TUN devices, routes, forwarding and NAT.

    Every method but the undoing ones raises NetworkError when the system refuses, and LocalProtocolError where the TUN
    is closed.
    """

    def open_tun(self, name: str | None = None, *, mtu: int = DEFAULT_MTU) -> Tun:
        """Make a TUN device, still down and without an address.

        Args:
            name: an exact name, or a pattern with one ``%d`` where the next free number goes; None or ``"ppp"`` for
                ``ppp%d``.
            mtu: octets of the largest IP packet.
        """

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
        """Give the TUN its point-to-point addresses and set it up; the host route to ``peer`` comes with them.

        Args:
            tun: the TUN.
            local: this end's inner address.
            peer: the other end's.
            mtu: octets of the largest packet, as it was where left out.
            isolated: it is one of those that :meth:`isolate` keeps apart.
            queue: packets that wait in the TUN at most, as many as it was where left out.
        """

    def route_to(self, address: IPv4Address, *, by: str | None = None, around: Tun | None = None) -> RouteTaken:
        """Ask the kernel which way packets to ``address`` go now.

        Args:
            address: the destination.
            by: of the routes by this interface alone.
            around: as if there were no routes by this TUN.
        """

    def default_route(self) -> RouteTaken | None:
        """Return the default route with the lowest metric, or None."""

    def holds_address(self, address: IPv4Address) -> bool:
        """Return whether an interface of this machine has ``address``, be it up or down."""

    def watch(self) -> Watch:
        """Be told of changes to links, addresses and routes, whoever makes them."""

    def pin_route(
        self, address: IPv4Address, *, via: RouteTaken | None = None, session: Tun | Hold | None = None
    ) -> RouteTaken:
        """Hold ``address`` (the server's) on the way it is reached now, or on ``via``, whatever other routes come.

        With ``session`` the route goes with :meth:`undo_for` or :meth:`release`, so that a client which connects again
        finds the way anew, by another uplink perhaps. Pin before :meth:`configure`: some servers' inner address is
        their outer one.

        Returns:
            That way. An address of this machine itself needs no route and gets none (``local``).
        """

    def add_route(
        self, network: IPv4Network, *, via: Tun | RouteTaken, metric: int = 0, session: Tun | Hold | None = None
    ) -> bool:
        """Route ``network`` through a TUN, or the way another address is reached.

        Args:
            network: destination, any prefix length.
            via: the TUN, or what :meth:`route_to` or :meth:`pin_route` returned.
            metric: the kernel's route priority; lower wins.
            session: with whose undoing the route goes; by default ``via`` where that is a TUN, else nobody's.

        Returns:
            False where the same route was there already: it is neither added nor taken away later.
        """

    def add_default_route(self, tun: Tun, *, metric: int | None = None) -> None:
        """Send everything that has no route of its own through ``tun``, and leave the old default route where it is.

        With a metric it is one among others: a default route whose metric is lower wins. Without, it beats them all.
        """

    def bind_socket(self, sock: socket.socket, interface: str | None) -> None:
        """Prepare a socket that leads to the server: hold it on an interface, and let it through the kill switch."""

    def add_kill_switch(
        self, server: IPv4Address, port: int, *, bypass: Iterable[IPv4Network] = (), session: Hold | None = None
    ) -> None:
        """Let nothing leave but through TUNs opened after this, to ``server``, and to the networks in ``bypass``.

        It outlives this process if that is killed, and goes with ``session``, or all the rest. Called again, for
        another server, it changes without a gap.
        """

    def leave_kill_switch(self) -> bool:
        """Have :meth:`undo` leave the kill switch in place, for the next start or ``pypptp undo`` to take back.

        Returns:
            False where there is none.
        """

    def set_name_servers(self, tun: Tun, servers: Sequence[IPv4Address]) -> str:
        """Have this machine's programs ask ``servers``; called again for the TUN, it changes them.

        Returns:
            By what means, in words.
        """

    def enable_forwarding(self) -> bool:
        """Switch IPv4 forwarding on.

        Returns:
            False where it was on already, and not by another pypptp: then it stays on for good. Of several that need it
            the last one switches it off.
        """

    def add_nat(self, interface: str | None, sources: Iterable[IPv4Network], *, tunnels: str = "ppp%d") -> str:
        """Masquerade ``sources`` out of an interface and clamp the TCP MSS of what passes the tunnels.

        Args:
            interface: where packets leave; None for the default route's.
            sources: the clients' networks, each prefix length from 0 to 32.
            tunnels: the TUN's name or pattern as given to :meth:`open_tun`.

        Returns:
            The interface's name.
        """

    def clamp_mss(self, *, tunnels: str = "ppp%d") -> None:
        """Clamp the TCP MSS of what passes the tunnels, as :meth:`add_nat` does, without NAT."""

    def isolate(self) -> None:
        """Let nothing pass from one TUN to another, of those that are configured so."""

    def add_proxy_arp(self, tun: Tun, address: IPv4Address) -> str | None:
        """Answer for ``address`` on the network it is in; it goes with :meth:`undo_for`. The kernel must forward.

        Returns:
            The interface where; None where no network of this machine's holds the address.
        """

    def own_addresses(self) -> set[IPv4Address]:
        """Return every address of this machine."""

    def recover(self, *, keep_kill_switch: bool = False) -> Recovery:
        """Take back what processes that were killed left behind in this network namespace. It never raises.

        To be called before the first change. What living ones did is left alone.

        Args:
            keep_kill_switch: leave a kill switch in place, as the caller is about to make its own: call again then.
        """

    def changes(self) -> list[str]:
        """List what is changed at present, oldest first, in words."""

    def release(self, hold: Hold) -> list[str]:
        """Take back what belongs to ``hold``. Returns what went wrong, in words; never raises."""

    def undo_for(self, tun: Tun) -> list[str]:
        """Take back what belongs to one TUN and close it. Returns what went wrong, in words; never raises."""

    def undo(self) -> list[str]:
        """Take back everything: the sessions, then the rest, newest first. Undoing twice is no error.

        Returns:
            What went wrong, in words. It never raises.
        """


def tun_pattern(name: str | None) -> str:
    """Return the kernel's name pattern for the ``name`` given to :meth:`NetworkEdge.open_tun`.

    >>> tun_pattern(None), tun_pattern("ppp"), tun_pattern("vpn7"), tun_pattern("vpn%d")
    ('ppp%d', 'ppp%d', 'vpn7', 'vpn%d')
    """
    return "ppp%d" if name is None or name == "ppp" else name
