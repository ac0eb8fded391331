"""What may pass between a server's clients and the networks behind it: the part that is done for each session."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from typing import Protocol, TypeVar

from pypptp.aio.dataplane import Flow
from pypptp.aio.rates import Buckets, RateKeeper, Rates
from pypptp.endpoint import EndpointConfig
from pypptp.errors import NetworkError
from pypptp.net.edge import NetworkEdge, Tun
from pypptp.ppp.events import NetworkUp

log = logging.getLogger("pypptp.server")

LOOK_AGAIN = 60.0
"""Seconds for which this machine's addresses, once read, are taken for what they were."""

T = TypeVar("T")


class OnEdge(Protocol):
    """Does something to the system, in the thread for that."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """Return what ``work`` returns."""


@dataclass(frozen=True, slots=True)
class PassageConfig:
    """What may pass.

    Attributes:
        nested: clients may reach this server's own control port, and GRE, through their tunnel.
        isolated: clients are kept from each other; the edge's ``isolate`` is the caller's.
        proxy_arp: answer ARP for clients whose addresses are of a local network.
        rates: how fast whose packets may pass.
    """

    nested: bool = False
    isolated: bool = False
    proxy_arp: bool = False
    rates: Rates = field(default_factory=Rates)


class Passage:
    """Puts a server's rules in force for its sessions.

    Args:
        config: the rules.
        edge: the system's network.
        on_edge: how to call it.
        local: the server's inner address.
    """

    def __init__(self, config: PassageConfig, *, edge: NetworkEdge, on_edge: OnEdge, local: IPv4Address) -> None:
        self._config = config
        self._edge = edge
        self._on_edge = on_edge
        self._rates = RateKeeper(config.rates)
        self._own = {int(local)}
        self._reached_at = {int(local)}
        self._look_at = 0.0

    def guard(self, endpoint: EndpointConfig, port: int) -> EndpointConfig:
        """Return the settings of connections with this machine's addresses guarded, those learnt later too."""
        if self._config.nested:
            return endpoint
        return replace(endpoint, policy=replace(endpoint.policy, guarded=self._own, port=port))

    def reached_at(self, address: IPv4Address, now: float) -> bool:
        """A client has reached this machine at one of its addresses. Returns whether it is time for ``learn``."""
        self._reached_at.add(int(address))
        self._own.add(int(address))
        if self._config.nested or now < self._look_at:
            return False
        self._look_at = now + LOOK_AGAIN
        return True

    async def learn(self) -> None:
        """Read this machine's addresses."""
        try:
            found = await self._on_edge(self._edge.own_addresses)
        except NetworkError as error:
            log.warning("cannot tell this machine's own addresses: %s", error)
            return
        own = self._reached_at.union(map(int, found))
        # The set itself is what the sessions look at.
        self._own &= own
        self._own |= own

    async def configure(self, tun: Tun, network: NetworkUp, user: str) -> None:
        """Set up a session's TUN. Raises NetworkError."""
        queue = self._rates.rate(user).queue(network.mtu)
        isolated, edge = self._config.isolated, self._edge
        await self._on_edge(
            lambda: edge.configure(
                tun, local=network.local, peer=network.peer, mtu=network.mtu, isolated=isolated, queue=queue
            )
        )
        if self._config.proxy_arp:
            await self._answer_arp(tun, network.peer)

    def limit(self, flow: Flow, user: str, now: float) -> Buckets | None:
        """Hold a session to its user's rate. Returns what is to be kept as long as it lives."""
        buckets = self._rates.buckets(user, now)
        if buckets is not None:
            flow.limit(down=buckets.down, up=buckets.up)
        return buckets

    async def _answer_arp(self, tun: Tun, address: IPv4Address) -> None:
        # As with pppd: the client is served in any case.
        try:
            interface = await self._on_edge(lambda: self._edge.add_proxy_arp(tun, address))
        except NetworkError as error:
            log.warning("no proxy ARP for %s: %s", address, error)
            return
        if interface is None:
            log.warning("no proxy ARP for %s: no local network holds this address", address)
        else:
            log.info("proxy ARP for %s on %s", address, interface)


__all__ = ["Passage", "PassageConfig"]
