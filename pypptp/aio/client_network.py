"""What a client does to the machine's network, in steps that need not end together.

::

    open        the kill switch, before the first connection
    ways        by which uplinks the server is to be tried
    hold        the way to the server by one of them, before its sockets are bound to it
    prepare     demand dial alone: TUN and routes before there is a session
    configure   a session is up: TUN, addresses, routes, name servers
    session_over  all that goes, the kill switch stays
    close       everything

A client that connects again calls ``ways``, ``hold`` and ``configure`` again, with ``session_over`` between them or
not: without it the TUN and the routes through it stay, and programs do not notice.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import TypeVar

from pypptp.causes import Cause
from pypptp.errors import NetworkError, PptpError
from pypptp.net.edge import Hold, NetworkEdge, RouteTaken, Tun, Watch
from pypptp.ppp.events import NetworkUp

log = logging.getLogger("pypptp.client")

NEWS_PAUSE = 1.0
"""Seconds that news of the network are gathered before somebody looks: a link that comes up makes a dozen of them."""
_EXAMPLES = tuple(
    tuple(IPv4Address(address) for address in addresses)
    for addresses in (
        ("1.1.1.1", "44.0.0.1", "93.184.216.34", "126.255.0.1"),
        ("192.0.2.1", "198.51.100.1", "203.0.113.1", "223.255.0.1"),
    )
)
"""Addresses in either half of the address space that a machine has no route of their own to, all of them at once."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientNetworkConfig:
    """What of the machine's network a client may change, and how.

    Attributes:
        ifname: name or pattern of the TUN device, None for the next free ppp.
        default_route: send everything through the tunnel.
        metric: priority of the routes through the tunnel; None for 0, and for a default route that wins over others.
        routes: networks to reach through the tunnel.
        bypass: networks that go the way the server itself is reached.
        uplinks: interfaces by which to reach the server, in order of preference; none for the way the kernel takes.
        kill_switch: let nothing leave in clear while there is no tunnel.
        peer_dns: ask the name servers that the peer gives.
    """

    ifname: str | None = None
    default_route: bool = False
    metric: int | None = None
    routes: tuple[IPv4Network, ...] = ()
    bypass: tuple[IPv4Network, ...] = ()
    uplinks: tuple[str, ...] = ()
    kill_switch: bool = False
    peer_dns: bool = False


class ClientNetwork:
    """The network of one client, through any number of sessions.

    Its methods run one after the other in a thread of their own, in the order they are called: the edge's calls block.
    One that is cancelled still runs to its end, and ``close`` behind it.

    Args:
        config: the settings.
        edge: the system's network.

    Attributes:
        interface: name of the TUN, empty while there is none.
    """

    def __init__(self, config: ClientNetworkConfig, edge: NetworkEdge) -> None:
        self.config = config
        self.interface = ""
        self._edge = edge
        self._thread = ThreadPoolExecutor(1, "network-edge")
        self._tun: Tun | None = None
        self._kill_switch: Hold | None = None
        self._around: tuple[IPv4Address, int] | None = None
        self._hold: Hold | None = None
        self._held: tuple[IPv4Address, str | None, bool] | None = None
        self._asked: tuple[IPv4Address, ...] = ()
        self._failed: set[str] = set()
        self._watch: Watch | None = None
        self._looking: asyncio.TimerHandle | None = None
        self._look: asyncio.Task[None] | None = None
        self._winner: RouteTaken | None = None

    async def open(self, server: IPv4Address, port: int) -> None:
        """Do what has to be done before the first connection to ``server``; called again for another server.

        Raises:
            NetworkError: the system refuses.
        """
        if self.config.kill_switch:
            await self._run(lambda: self._close_around(server, port))

    async def ways(self, server: IPv4Address) -> list[str | None]:
        """Return the uplinks to try, the best first; None stands for the way the kernel takes.

        Raises:
            NetworkError: none of those in the settings leads to the server.
        """
        if not self.config.uplinks:
            return [None]
        found = await self._run(lambda: self._leading_to(server))
        return [*sorted(found, key=self._failed.__contains__)]

    def failed(self, uplink: str | None) -> None:
        """Try an uplink last in the future, until a session has come up by it."""
        if uplink is not None:
            self._failed.add(uplink)

    async def hold(self, server: IPv4Address, uplink: str | None) -> None:
        """Hold the way to the server while it is being connected to: by an uplink, or around a TUN that stayed.

        Raises:
            NetworkError: there is none, or the system refuses.
        """
        if uplink is not None or self._tun is not None:
            await self._run(lambda: self._hold_way(server, uplink, anew=True))

    def bind(self, sock: socket.socket, uplink: str | None) -> None:
        """Hold a socket towards the server on one of the uplinks, before it is connected.

        Raises:
            NetworkError: the system refuses.
        """
        self._edge.bind_socket(sock, uplink)

    async def prepare(self, server: IPv4Address, *, local: IPv4Address, peer: IPv4Address, mtu: int) -> Tun:
        """Make the TUN and its routes with stand-in addresses, so that a first packet can call for the session.

        Raises:
            NetworkError: the system refuses.
        """
        return await self._run(lambda: self._make(server, local, peer, mtu, None))

    async def configure(self, server: IPv4Address, network: NetworkUp, *, uplink: str | None = None) -> Tun:
        """Make what a session needs, or change what an earlier one left to what this one needs.

        Args:
            server: the address TCP is connected to.
            network: what was agreed.
            uplink: the one of ``ways`` that is in use.

        Raises:
            NetworkError: the system refuses.
        """
        tun = await self._run(lambda: self._make(server, network.local, network.peer, network.mtu, uplink))
        if self.config.peer_dns:
            await self._run(lambda: self._ask(tun, server, network.dns))
        if uplink is not None:
            self._failed.discard(uplink)
        if self.config.default_route:
            await self._see_who_wins()
            self._listen()
        return tun

    async def tun(self) -> Tun | None:
        """Return the TUN there is, once all that was begun is done."""
        return await self._run(lambda: self._tun)

    async def session_over(self) -> None:
        """Take back all but the kill switch."""
        self._stop_listening()
        await self._run(self._take_back)

    async def close(self, *, told: bool = True) -> None:
        """Take back everything. It is the last call.

        Args:
            told: the client was told to stop. One that gives up by itself leaves the kill switch in place.
        """
        self._stop_listening()
        await self._run(lambda: self._close(told=told))
        self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # In the edge's thread.

    def _close_around(self, server: IPv4Address, port: int) -> None:
        if self._around == (server, port):
            return
        hold = self._kill_switch or Hold()
        self._edge.add_kill_switch(server, port, bypass=self.config.bypass, session=hold)
        if self._kill_switch is None:
            log.info("kill switch on: nothing leaves in clear until this client is told to stop")
            # One that a killed predecessor left was in force so far, and is no longer needed.
            recovery = self._edge.recover()
            for change in recovery.taken_back:
                log.info("took back what was left behind: %s", change)
            for error in recovery.errors:
                log.warning("%s", error)
        self._kill_switch, self._around = hold, (server, port)

    def _leading_to(self, server: IPv4Address) -> list[str]:
        found = []
        for uplink in self.config.uplinks:
            try:
                self._edge.route_to(server, by=uplink)
            except NetworkError as error:
                log.info("uplink %s: %s", uplink, error)
            else:
                found.append(uplink)
        if not found:
            uplinks = ", ".join(self.config.uplinks)
            raise NetworkError(f"no uplink of {uplinks} leads to {server} now", cause=Cause.UNREACHABLE)
        return found

    def _hold_way(
        self, server: IPv4Address, uplink: str | None, *, peer: IPv4Address | None = None, anew: bool = False
    ) -> None:
        """Pin the server's host route, and what goes past the tunnel, before any route that could cover them."""
        config, edge = self.config, self._edge
        # Some servers use their public address as the inner one, too. The host route that comes with the TUN would then
        # lead the tunnel into itself; the kernel puts it behind one that is there before. By an uplink, a strict
        # rp_filter would drop what comes back where the kernel prefers another way.
        covered = (
            config.default_route
            or uplink is not None
            or server == peer
            or any(server in route for route in config.routes)
        )
        wanted = (server, uplink, covered)
        if not anew and self._held == wanted:
            return
        self._let_go()
        if not covered and not config.bypass:
            return
        way = edge.route_to(server, by=uplink) if uplink is not None else edge.route_to(server, around=self._tun)
        self._hold = hold = Hold()
        if covered:
            edge.pin_route(server, via=way, session=hold)
        for bypassed in config.bypass:
            edge.add_route(bypassed, via=way, session=hold)
        self._held = wanted

    def _let_go(self) -> None:
        if self._hold is not None:
            for error in self._edge.release(self._hold):
                log.warning("%s", error)
            self._hold = self._held = None

    def _make(self, server: IPv4Address, local: IPv4Address, peer: IPv4Address, mtu: int, uplink: str | None) -> Tun:
        """The TUN first, then routes, the server's own before any that could cover it."""
        edge, config = self._edge, self.config
        if self._tun is not None:
            self._hold_way(server, uplink, peer=peer)
            edge.configure(self._tun, local=local, peer=peer, mtu=mtu)
            return self._tun
        self._tun = tun = edge.open_tun(config.ifname, mtu=mtu)
        self.interface = tun.name
        try:
            self._hold_way(server, uplink, peer=peer)
            edge.configure(tun, local=local, peer=peer, mtu=mtu)
            for route in config.routes:
                edge.add_route(route, via=tun, metric=config.metric or 0)
            if config.default_route:
                edge.add_default_route(tun, metric=config.metric)
        except BaseException:
            # Half of it would pass for the whole when the next session comes.
            self._take_back()
            raise
        return tun

    def _ask(self, tun: Tun, server: IPv4Address, name_servers: tuple[IPv4Address, ...]) -> None:
        """Have programs ask the peer's name servers. A tunnel without them is better than none."""
        if not name_servers:
            log.warning("the server gave no name servers: those that were asked before are asked on")
            return
        if name_servers != self._asked:
            try:
                means = self._edge.set_name_servers(tun, name_servers)
            except PptpError as error:
                log.warning("the name servers stay as they were: %s", error)
                return
            self._asked = name_servers
            log.info("name servers: %s, by %s", ", ".join(map(str, name_servers)), means)
        for name_server in name_servers:
            self._route_inside(tun, server, name_server)

    def _route_inside(self, tun: Tun, server: IPv4Address, name_server: IPv4Address) -> None:
        """What is asked of the peer's name servers is no business of others, who may not even reach them."""
        if name_server == server:
            return  # its host route is what the tunnel itself stands on
        try:
            way = self._edge.route_to(name_server)
            if way.local or way.interface == tun.name:
                return
        except NetworkError:
            pass  # nowhere so far
        self._edge.add_route(IPv4Network(name_server), via=tun)

    def _take_back(self) -> None:
        if self._tun is not None:
            for error in self._edge.undo_for(self._tun):
                log.warning("%s", error)
            self._tun, self.interface = None, ""
            self._asked = ()
        self._let_go()

    def _close(self, *, told: bool) -> None:
        self._take_back()
        if self._kill_switch is None:
            return
        if not told and self._edge.leave_kill_switch():
            log.warning("the kill switch stays on: nothing leaves in clear until the next start, or 'pypptp undo'")
            return
        for error in self._edge.release(self._kill_switch):
            log.warning("%s", error)

    def _who_wins(self) -> RouteTaken | None:
        """Return the way past the tunnel that half of the address space takes, or None."""
        if self._tun is None:
            return None
        for addresses in _EXAMPLES:
            ways = []
            for address in addresses:
                if not any(address in bypassed for bypassed in self.config.bypass):
                    try:
                        ways.append(self._edge.route_to(address))
                    except NetworkError:
                        continue
            if ways and all(way.interface != self.interface for way in ways):
                return ways[0]
        return None

    # In the event loop.

    async def _see_who_wins(self) -> None:
        winner = await self._run(self._who_wins)
        if winner is not None and winner != self._winner:
            via = f" via {winner.gateway}" if winner.gateway is not None else ""
            log.warning(
                "another default route wins, by %s%s: packets go past the tunnel; compare 'ip route', and see --metric",
                winner.interface,
                via,
            )
        elif winner is None and self._winner is not None:
            log.info("the default route through the tunnel wins again")
        self._winner = winner

    def _listen(self) -> None:
        if self._watch is None:
            try:
                self._watch = self._edge.watch()
            except NetworkError as error:
                log.info("a default route that wins later will go unnoticed: %s", error)
                return
            asyncio.get_running_loop().add_reader(self._watch.fd, self._hear)

    def _hear(self) -> None:
        if self._watch is not None and self._watch.drain() and self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(NEWS_PAUSE, self._look_again)

    def _look_again(self) -> None:
        self._looking = None
        if self._look is None or self._look.done():
            self._look = asyncio.get_running_loop().create_task(self._see_who_wins())

    def _stop_listening(self) -> None:
        if self._watch is not None:
            asyncio.get_running_loop().remove_reader(self._watch.fd)
            self._watch.close()
            self._watch = None
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        if self._look is not None:
            self._look.cancel()
            self._look = None
        self._winner = None


__all__ = ["ClientNetwork", "ClientNetworkConfig"]
