"""What a running server can be asked, and told to do."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

from pypptp.aio.figures import ServerFigures, SessionFigures
from pypptp.aio.register import SessionEntry
from pypptp.aio.words import refusals
from pypptp.service.control_socket import BadRequest, ControlSocket, Handler
from pypptp.service.control_socket.place import Place
from pypptp.service.reload import Reload
from pypptp.service.settings import ServerSettings

log = logging.getLogger("pypptp")

DISCONNECTED: Final = "disconnected by the administrator"
DRAINED: Final = "the server is shutting down"
EVERYBODY: Final = "all"
LONGEST_DRAIN: Final = 31 * 86_400.0
SESSIONS_PER_TURN: Final = 32

_FIGURES = ("packets_in", "octets_in", "packets_out", "octets_out")


class Running(Protocol):
    """A server in one process or several: ``Server`` and ``Parent`` are two."""

    @property
    def sessions(self) -> list[tuple[int, SessionEntry]]:
        """Who is connected, and in which worker."""

    @property
    def processes(self) -> list[tuple[int, int]]:
        """Number and connections of each process that serves."""

    async def figures(self) -> ServerFigures:
        """What is counted now."""

    async def drain(self) -> None:
        """Take nobody new; return when the last session has ended."""

    def disconnect(self, call_id: int, reason: str) -> bool:
        """End one session."""


class ServerRequests:
    """The answers of one server.

    Args:
        settings: the server's.
        running: the server.
        pools: size and addresses in use of each pool, by name.
        clock: the time that sessions count in.
    """

    def __init__(
        self,
        settings: ServerSettings,
        running: Running,
        *,
        pools: Callable[[], Iterable[tuple[str, int, int]]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._control: ControlSocket | None = None
        self._settings = settings
        self._running = running
        self._pools = pools
        self._stop: Callable[[], object] = _nothing
        self._clock = clock
        self._began = clock()
        self._reload: Reload | None = None
        self._nat: str | None = None
        self._draining: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def answering(self, stop: Callable[[], object], *, place: Place | None = None) -> AsyncIterator[None]:
        """Answer on the control socket.

        Args:
            stop: ends the server, once it is drained.
            place: the socket, where it is made already.

        Raises:
            ConfigurationError: another process has the name of this instance.
        """
        self._stop = stop
        self._control = ControlSocket(self._settings.instance, "server", self._handlers(), place=place)
        try:
            async with self._control:
                yield
        finally:
            await self._forget_drain()

    def begin(self, reload: Reload, nat: str | None) -> None:
        """The server serves: it can be told to reload, and its NAT is known."""
        self._reload = reload
        self._nat = nat

    async def _forget_drain(self) -> None:
        if self._draining is not None:
            self._draining.cancel()
            await asyncio.gather(self._draining, return_exceptions=True)

    def _handlers(self) -> dict[str, Handler]:
        return {
            "status": self._status,
            "sessions": self._sessions,
            "disconnect": self._disconnect,
            "reload": self._reload_now,
            "drain": self._drain,
        }

    @property
    def _state(self) -> str:
        if self._draining is not None:
            return "draining"
        return "starting" if self._reload is None else "serving"

    async def _status(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        figures = await self._running.figures()
        settings, control = self._settings, self._control
        return {
            "state": self._state,
            "since": self._wall(self._began),
            "listen": str(settings.listen),
            "port": settings.port,
            "name": settings.name,
            "local": str(settings.local),
            "nat": self._nat,
            "sessions": len(self._running.sessions),
            "connections": sum(connections for _, connections in self._running.processes),
            "processes": [{"pid": pid, "connections": connections} for pid, connections in self._running.processes],
            "pools": [{"name": name, "size": size, "in_use": in_use} for name, size, in_use in self._pools()],
            "counters": dict(figures.planes),
            "requests": {"answered": control.answered, "refused": control.refused} if control is not None else {},
        }

    async def _sessions(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        figures = {figures.call_id: figures for figures in (await self._running.figures()).sessions}
        described = []
        for number, (worker, entry) in enumerate(self._running.sessions):
            described.append(self._describe(worker, entry, figures.get(entry.call_id)))
            if number % SESSIONS_PER_TURN == SESSIONS_PER_TURN - 1:
                await asyncio.sleep(0)
        return {"at": self._clock(), "sessions": described}

    def _describe(self, worker: int, entry: SessionEntry, figures: SessionFigures | None) -> dict[str, Any]:
        counters = {} if figures is None else dict(figures.counters)
        return {
            "call_id": entry.call_id,
            "worker": worker,
            "user": entry.user,
            "from": str(entry.peer),
            "local": str(entry.local),
            "address": str(entry.address),
            "interface": entry.interface,
            "since": self._wall(entry.since),
            "seconds": round(self._clock() - entry.since, 3),
            "method": entry.method,
            "encryption": entry.encryption,
            "mtu": entry.mtu,
            "dns": [str(server) for server in entry.dns],
            **{name: counters.get(name, 0) for name in _FIGURES},
            "gre_received": counters.get("received", 0),
            "gre_lost": counters.get("given_up", 0),
            "echo_round_trip": None if figures is None else _seconds(figures.echo_round_trip),
            "ack_round_trip": None if figures is None else _seconds(figures.ack_round_trip),
            "refused": refusals(counters),
        }

    async def _disconnect(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        target = arguments.get("target")
        if not isinstance(target, str) or not target:
            raise BadRequest("whom? Name a user, a session (its call id, interface or address), or all")
        chosen = _chosen([entry for _, entry in self._running.sessions], target)
        if not chosen and target != EVERYBODY:
            raise BadRequest(
                f"no session has the user, call id, interface or address {target[:64]!a}; 'pypptp sessions' lists them"
            )
        for entry in chosen:
            log.info("%s: user '%s' is disconnected by request", entry.peer, entry.user)
            self._running.disconnect(entry.call_id, DISCONNECTED)
        return {
            "disconnected": [
                {
                    "call_id": entry.call_id,
                    "user": entry.user,
                    "address": str(entry.address),
                    "interface": entry.interface,
                }
                for entry in chosen
            ]
        }

    async def _reload_now(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._reload is None:
            raise BadRequest("the server is starting still; try again in a moment")
        reloaded = await self._reload.now()
        if not reloaded.done:
            raise BadRequest("; ".join(reloaded.said))
        return {"said": list(reloaded.said)}

    async def _drain(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        timeout = arguments.get("timeout")
        if timeout is not None and (
            isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 <= timeout <= LONGEST_DRAIN
        ):
            raise BadRequest(f"timeout: a number of seconds from 0 to {LONGEST_DRAIN:.0f}")
        await self._forget_drain()
        left = len(self._running.sessions)
        until = "its last session ends" if timeout is None else f"its last session ends, or {timeout:g} s are over"
        log.info("draining: no new connections, %d sessions; the server ends when %s", left, until)
        self._draining = asyncio.get_running_loop().create_task(self._drain_until(timeout))
        return {"sessions": left, "timeout": timeout}

    async def _drain_until(self, timeout: float | None) -> None:
        try:
            async with asyncio.timeout(timeout):
                await self._running.drain()
            log.info("drained")
        except TimeoutError:
            left = len(self._running.sessions)
            log.info("not drained in time: %s", "1 session is ended" if left == 1 else f"{left} sessions are ended")
        self._stop()

    def _wall(self, moment: float) -> float:
        """Return a moment of the sessions' clock as seconds since 1970."""
        return round(time.time() - (self._clock() - moment), 3)


def _chosen(entries: list[SessionEntry], target: str) -> list[SessionEntry]:
    """Return whom a word means. A user comes first: a session can always be named another way."""
    if target == EVERYBODY:
        return entries
    users = [entry for entry in entries if entry.user == target]
    return users or [entry for entry in entries if target in (str(entry.call_id), entry.interface, str(entry.address))]


def _nothing() -> None:
    pass


def _seconds(duration: float | None) -> float | None:
    return None if duration is None else round(duration, 6)
