"""A client through as many sessions as it takes: dial, stay, and decide what follows when it is over.

    [demand: wait for a packet] -> dial -> connected -> over -> decide -> wait -> dial ...

What the machine's network has of it stays between two sessions: programs that talk through the tunnel notice a pause,
and nothing they send leaves another way meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, Final, TypeAlias, TypeVar

from pypptp.aio.client import Client, ClientConfig, SessionLost, resolve
from pypptp.aio.client_network import ClientNetwork
from pypptp.aio.figures import counters_of
from pypptp.aio.waiting_packets import WaitingPackets
from pypptp.causes import Cause
from pypptp.errors import NetworkError
from pypptp.net.edge import NetworkEdge, RouteTaken, Watch
from pypptp.ppp.auth import Secret
from pypptp.service.client_state import ClientState
from pypptp.service.hooks import Hooks, TunnelEnd, TunnelFacts
from pypptp.service.redial import Redial, RedialPolicy, Stop, Wait

log = logging.getLogger("pypptp.client")

SETTLE_SECONDS: Final = 0.3
"""After news of the network, until it is looked at: an address comes before its routes, and one may follow another."""

T = TypeVar("T")
_Way: TypeAlias = tuple[RouteTaken | None, RouteTaken | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Dial when a packet comes.

    Attributes:
        local: address of the TUN before the first session.
        peer: address of the other end before it.
    """

    local: IPv4Address
    peer: IPv4Address


class LastingClient:
    """A PPTP client that dials again, as far as its policy goes.

    Args:
        config: the settings of each session.
        secret: the user's own.
        edge: the system's network.
        policy: whether and when to dial again.
        state: kept current.
        chance: gives random numbers from 0 to 1.
        demand: dial only when a packet comes.
        on_ready: called each time that packets can pass, or that the first can come.
        hooks: runs programs when packets can pass, and when that is over; the caller's to close.
    """

    def __init__(
        self,
        config: ClientConfig,
        *,
        secret: Secret,
        edge: NetworkEdge,
        policy: RedialPolicy,
        state: ClientState,
        chance: Callable[[], float],
        demand: Demand | None = None,
        on_ready: Callable[[], None] | None = None,
        hooks: Hooks | None = None,
    ) -> None:
        self.state = state
        self.system = ClientNetwork(config.network, edge)
        self._config = config
        self._secret = secret
        self._edge = edge
        self._redial = Redial(policy)
        self._chance = chance
        self._demand = demand
        self._on_ready = on_ready
        self._hooks = hooks
        self._facts: TunnelFacts | None = None
        self._client: Client | None = None
        self._server: IPv4Address | None = None
        self._waiting = WaitingPackets()
        self._stopped = asyncio.Event()
        self._news = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._way: _Way | None = None
        self._tun_gone = False
        state.counters = self._counters

    async def run(self) -> None:
        """Stay connected until ``stop`` is called, or there is no sense in another try.

        Raises:
            NetworkError: the system refuses something, or the server cannot be reached.
            SessionLost: the session did not come up, or was lost.
        """
        loop = asyncio.get_running_loop()
        watch: Watch | None = None
        try:
            watch = await asyncio.to_thread(self._edge.watch)
            loop.add_reader(watch.fd, self._take_news, watch)
            while not self._stopped.is_set():
                await self._once()
        finally:
            if self._looking is not None:
                self._looking.cancel()
                await asyncio.gather(self._looking, return_exceptions=True)
            if watch is not None:
                loop.remove_reader(watch.fd)
                watch.close()
            self._waiting.stop()
            await self.system.close(told=self._stopped.is_set())

    def stop(self) -> None:
        """End the session in order and dial no more; ``run`` returns once it is gone."""
        self._stopped.set()
        self.state.stopping()
        if self._client is not None:
            self._client.stop()

    # One round.

    async def _once(self) -> None:
        """Dial, stay, and wait as long as is decided; raises what ended it where no other round follows."""
        client: Client | None = None
        try:
            if self._demand is not None and not await self._called(self._demand):
                return
            client = self._client = Client(
                self._config,
                secret=self._secret,
                edge=self._edge,
                system=self.system,
                waiting=self._waiting,
                known=self._server,
                on_up=lambda: None if client is None else self._up(client),
            )
            await self._session(client)
        except (SessionLost, NetworkError) as error:
            await self._go_on(error, client)
        except OSError as error:
            # What no layer below could give a better sentence: no descriptors left, for example.
            await self._go_on(NetworkError(error.strerror or str(error)), client)
        finally:
            self._client = None

    async def _called(self, demand: Demand) -> bool:
        """Wait for a packet to dial for; False where none came: it was told to stop, or the TUN is gone."""
        tun = await self.system.tun()
        if tun is None:
            self._server = await self._unless_stopped(resolve(self._config.server))
            if self._server is None:
                return False
            mtu = self._config.endpoint.link.mtu
            await self.system.open(self._server, self._config.port)
            tun = await self.system.prepare(self._server, local=demand.local, peer=demand.peer, mtu=mtu)
        self._waiting.start(tun.fd)
        if not self._waiting.called.is_set():
            self.state.listening(tun.name)
            if self.state.cause is not Cause.IDLE:
                log.info("%s waits for a packet to dial %s", tun.name, self._config.server)
            self._ready()
            await self._unless_stopped(self._waiting.called.wait())
        if self._waiting.lost:
            log.warning("the interface %s was taken away", tun.name)
            await self._drop_tun()
            return False
        return not self._stopped.is_set()

    def _ready(self) -> None:
        if self._on_ready is not None:
            self._on_ready()

    def _up(self, client: Client) -> None:
        network, server = client.network, client.server
        assert network is not None
        assert server is not None
        facts = TunnelFacts(
            interface=client.interface,
            local=network.local,
            remote=network.peer,
            peer=server,
            dns=network.dns,
            uses_dns=self._config.network.peer_dns,
        )
        if facts != self._facts:
            self._down(client, "the link was negotiated anew")
            self._facts = facts
            if self._hooks is not None:
                self._hooks.up(facts)
        self.state.connected(network, client.interface)
        self._ready()

    def _down(self, client: Client, reason: str) -> None:
        facts, self._facts = self._facts, None
        if facts is None or self._hooks is None:
            return
        end = TunnelEnd(
            reason=reason,
            seconds=client.lasted or 0.0,
            octets_sent=client.figures.get("octets_out", 0),
            octets_received=client.figures.get("octets_in", 0),
        )
        self._hooks.down(facts, end)

    async def _session(self, client: Client) -> None:
        self.state.dialling()
        # With the server's address not yet known there is nothing to compare with later.
        self._way = None if self._server is None else await asyncio.to_thread(self._look)
        reason = "the user asked for it"
        try:
            if self._stopped.is_set():
                client.stop()
            await client.run()
        except SessionLost as error:
            reason = error.reason
            raise
        finally:
            self._server = client.server or self._server
            self._down(client, reason)

    async def _go_on(self, error: SessionLost | NetworkError, client: Client | None) -> None:
        self._client = None
        self.state.failed(str(error), error.cause)
        what = self._redial.after(error.cause, None if client is None else client.lasted, self._chance())
        if isinstance(what, Stop):
            if what.why:
                log.warning("not dialling again: %s", what.why)
            raise error
        if self._stopped.is_set():
            return
        await self._hold(client)
        idle = self._demand is not None and error.cause is Cause.IDLE
        log.log(
            logging.INFO if idle else logging.WARNING,
            "%s; %s",
            error,
            "waiting for the next packet" if idle else f"dialling again in {what.delay:.1f} s",
        )
        if what.delay:
            self.state.waiting(what.delay)
            await self._wait(what)

    async def _hold(self, client: Client | None) -> None:
        """Keep what the machine's network has of the tunnel, and the latest packets sent to it."""
        tun = await self.system.tun()
        if tun is None:
            return
        failed = client is None or client.lasted is None
        if failed:
            # What has waited for a session that did not come up calls for no other.
            self._waiting.forget()
        # The server may have got another address, and the name servers be behind the tunnel.
        misled = failed and client is not None and client.fell_back and self._demand is None
        if misled or self._tun_gone:
            await self._drop_tun()
        else:
            self._waiting.start(tun.fd)

    async def _drop_tun(self) -> None:
        self._waiting.stop()
        self._waiting.forget()
        await self.system.session_over()
        self.state.interface = ""
        self._tun_gone = False

    # Waiting.

    async def _wait(self, what: Wait) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + what.delay
        if self._way is None:
            self._way = await asyncio.to_thread(self._look)
        while (left := deadline - loop.time()) > 0 and not self._stopped.is_set():
            self._news.clear()
            if what.until_news and await self._has_a_new_way():
                log.info("the way to %s has changed", self._config.server)
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._unless_stopped(self._news.wait())
                    await self._unless_stopped(asyncio.sleep(SETTLE_SECONDS))

    async def _has_a_new_way(self) -> bool:
        way = await asyncio.to_thread(self._look)
        return way != self._way and way != (None, None)

    def _look(self) -> _Way:
        """Return the way to the server and the default route, as far as there are any beside our own."""
        server = self._server
        to_server = None if server is None else self._way_by(lambda: self._edge.route_to(server))
        return to_server, self._way_by(self._edge.default_route)

    def _way_by(self, look: Callable[[], RouteTaken | None]) -> RouteTaken | None:
        try:
            found = look()
        except NetworkError:
            return None
        return None if found is None or found.interface == self.system.interface else found

    async def _unless_stopped(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Wait for something, or to be told to stop; None in that case."""
        task, stopped = asyncio.create_task(work), asyncio.create_task(self._stopped.wait())
        try:
            await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            task.cancel()
            stopped.cancel()
            await asyncio.gather(task, stopped, return_exceptions=True)

    # News of the network.

    def _take_news(self, watch: Watch) -> None:
        if watch.drain():
            self._news.set()
            if self._looking is None or self._looking.done():
                self._looking = asyncio.get_running_loop().create_task(self._look_at_client())

    async def _look_at_client(self) -> None:
        """End a session whose own address is gone: TCP would try for a quarter of an hour to send from it.

        Or whose TUN somebody has deleted.
        """
        await asyncio.sleep(SETTLE_SECONDS)
        client = self._client
        local = None if client is None else client.local
        if client is None or local is None:
            return
        if client.flow is not None and client.flow.tun_error is not None:
            self._tun_gone = True
            client.give_up(f"the interface {client.interface} was taken away", Cause.SYSTEM)
            return
        try:
            held = await asyncio.to_thread(self._edge.holds_address, local)
        except NetworkError as error:
            log.warning("%s", error)
            return
        if not held and client is self._client:
            client.give_up(f"the address {local} is no longer this machine's", Cause.ADDRESS_CHANGED)

    def _counters(self) -> dict[str, int]:
        session = None if self._client is None else self._client.session
        return {} if self._client is None or session is None else counters_of(session, self._client.flow)


__all__ = ["Demand", "LastingClient"]
