"""How fast a server's process sets sessions up over sockets with real TUN devices, what each takes, and their end.

The clients are ends without a TUN in this one process, so that what is measured is the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.delays import CONTROL_PORT, control_replies, named
from bench.loads import flood
from bench.site import PASSWORD, USER, Site, processor_seconds, resident_kib
from pypptp.aio.dataplane import DataPlane
from pypptp.aio.driver import Driver
from pypptp.control import CallIdAllocator
from pypptp.endpoint import Endpoint, EndpointConfig, EndpointEvent, SessionEvent
from pypptp.net.namespaces import Namespace
from pypptp.net.raw_gre import open_gre_socket
from pypptp.ppp.auth import Secret
from pypptp.ppp.config import LinkConfig
from pypptp.ppp.events import NetworkUp
from pypptp.roles import Role

PATIENCE = 60.0
ENDED = 100
"""Sessions that are ended at once."""
END_SECONDS = 0.02
"""What the kernel takes to close a TUN, about."""
WARM_UP = 20
"""Sessions set up before the clock and the scales are read: what only the first need is not theirs."""


@dataclass
class Crowd:
    """Many clients in one process; the owner of their drivers."""

    namespace: Namespace
    gre: socket.socket
    plane: DataPlane
    server: str = "10.9.0.1"
    config: EndpointConfig = field(default_factory=lambda: EndpointConfig(link=LinkConfig(name=USER)))
    up: dict[Driver, asyncio.Event] = field(default_factory=dict)
    call_ids: CallIdAllocator = field(default_factory=lambda: CallIdAllocator(os.urandom))

    async def join(self) -> Driver:
        """Set one session up."""
        loop = asyncio.get_running_loop()
        sock = self.namespace.run(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        sock.setblocking(False)
        await loop.sock_connect(sock, (self.server, CONTROL_PORT))
        _, driver = await loop.create_connection(lambda: Driver(self.plane, self, self._make_endpoint), sock=sock)
        self.up[driver] = up = asyncio.Event()
        driver.connect()
        async with asyncio.timeout(PATIENCE):
            await up.wait()
        return driver

    async def join_many(self, sessions: int, at_once: int) -> list[Driver]:
        """Set sessions up, so many at a time."""
        turn = asyncio.Semaphore(at_once)

        async def one() -> Driver:
            async with turn:
                return await self.join()

        return await asyncio.gather(*(one() for _ in range(sessions)))

    def close(self) -> None:
        """Carry nothing more; the connections stay open."""
        self.plane.close()
        self.gre.close()

    def _make_endpoint(self, now: float) -> Endpoint:
        secret = Secret(PASSWORD)
        return Endpoint(Role.CLIENT, self.config, random=os.urandom, call_ids=self.call_ids, now=now, secret=secret)

    def connection_made(self, driver: Driver) -> None:
        """Nothing to do."""

    def handle_event(self, driver: Driver, event: EndpointEvent) -> None:
        """Note when a network is up."""
        if isinstance(event, SessionEvent) and isinstance(event.event, NetworkUp):
            self.up[driver].set()

    def connection_closed(self, driver: Driver) -> None:
        """Nothing to do."""


def gather_crowd(namespace: Namespace) -> Crowd:
    """Open what a crowd needs; from within a running loop."""
    gre = namespace.run(open_gre_socket)
    return Crowd(namespace, gre, DataPlane(asyncio.get_running_loop(), gre))


async def measure(site: Site, sessions: int, at_once: int) -> dict[str, float]:
    """Set sessions up, then end them all at once while somebody else asks the server for a word."""
    with site.pypptp(0, server_options=("--remote", "10.10.0.0/16")) as carriers:
        server = carriers.far[0]
        crowd = gather_crowd(site.clients[0])
        drivers = await crowd.join_many(WARM_UP, at_once)
        before, kib, begun = processor_seconds([server]), resident_kib(server), time.monotonic()
        drivers += await crowd.join_many(sessions, at_once)
        took = time.monotonic() - begun
        spent = processor_seconds([server]) - before
        results = {
            "sessions a second, with sockets and TUNs": sessions / took,
            "server's processor milliseconds for each": spent * 1e3 / sessions,
            "server's resident KiB for each": (resident_kib(server) - kib) / sessions,
        }
        replies: list[float] = []
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                replies.extend(control_replies(site.clients[1], site, 1))

        asking = asyncio.get_running_loop().run_in_executor(None, ask)
        await asyncio.sleep(0.5)
        results |= named("control reply before sessions end", list(replies))
        replies.clear()
        for driver in drivers[:ENDED]:
            driver.close("the benchmark is over")
        await asyncio.sleep(ENDED * END_SECONDS)
        stop.set()
        await asking
        results |= named(f"control reply while {ENDED} sessions end", list(replies))
        crowd.close()
    return results


async def beside_a_flood(site: Site, count: int, seconds: float) -> dict[str, float]:
    """Set sessions up one after the other, idle and while another is flooded; so many seconds each way at most."""
    with site.pypptp(1, server_options=("--remote", "10.10.0.0/16")) as carriers:
        crowd = gather_crowd(site.clients[1])
        crowd.server = "10.9.1.1"
        results = named("session set up, idle", await _join_times(crowd, count, seconds))
        with flood(site, carriers.tunnels[0]):
            before = _dropped(site.server)
            times = await _join_times(crowd, count, seconds)
            dropped = _dropped(site.server) - before
        results |= named(f"session set up, another one flooded, of {len(times)}", times)
        results["datagrams the server's GRE socket had no room for meanwhile"] = dropped
        crowd.close()
    return results


async def _join_times(crowd: Crowd, count: int, seconds: float) -> list[float]:
    """Seconds each took; those that were not up in time count as if they then had been."""
    times: list[float] = []
    while len(times) < count and sum(times) < seconds:
        begun = time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await crowd.join()
        times.append(time.monotonic() - begun)
    return times


def _dropped(namespace: Namespace) -> int:
    lines = namespace.run(lambda: Path("/proc/thread-self/net/raw").read_text(encoding="ascii")).splitlines()
    return sum(int(line.split()[-1]) for line in lines[1:])
