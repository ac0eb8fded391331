"""How long packets and handshakes wait: round trips through a tunnel, and replies on the control connection."""

from __future__ import annotations

import socket
import statistics
import time
from dataclasses import dataclass

from bench.loads import Tool, busy
from bench.site import Carriers, Site, Tunnel
from pypptp.control.messages import StartControlConnectionRequest
from pypptp.net.namespaces import Namespace
from pypptp.testing.scenario import ping

CONTROL_PORT = 1723
SETTLE_SECONDS = 0.3
"""Until a load has filled the queues it meets."""


@dataclass(frozen=True)
class Delay:
    """Of many tries: the median and the 99th percentile, in milliseconds."""

    what: str
    median_ms: float
    p99_ms: float
    tries: int


def delay(what: str, seconds: list[float]) -> Delay:
    """Sum up; the times in seconds.

    Raises:
        RuntimeError: nothing ever came back.
    """
    if not seconds:
        raise RuntimeError(f"{what}: no answer")
    ordered = sorted(seconds)
    late = ordered[int(len(ordered) * 0.99)]
    return Delay(what, statistics.median(ordered) * 1e3, late * 1e3, len(ordered))


def named(what: str, seconds: list[float]) -> dict[str, float]:
    """The same as named figures."""
    summed = delay(what, seconds)
    return {f"{what}, median, ms": summed.median_ms, f"{what}, p99, ms": summed.p99_ms}


def round_trips(tunnel: Tunnel, count: int, interval: float) -> list[float]:
    """Seconds there and back."""
    return list(ping(tunnel.client, tunnel.far, count=count, interval=interval).round_trips)


def idle_and_busy(site: Site, tool: Tool, carriers: Carriers, count: int) -> list[Delay]:
    """Round trips with nothing else on the way, and beside a TCP stream that takes all it can get."""
    tunnel = carriers.tunnels[0]
    idle = round_trips(tunnel, count, 0.005)
    with busy(site, tool, tunnel, 2 * SETTLE_SECONDS + count * 0.01):
        time.sleep(SETTLE_SECONDS)
        loaded = round_trips(tunnel, count, 0.01)
    return [delay(f"{carriers.name}, idle", idle), delay(f"{carriers.name}, under load", loaded)]


def control_replies(client: Namespace, site: Site, count: int) -> list[float]:
    """Seconds from connecting to the Start-Control-Connection-Reply: how long the server's loop lets others wait."""
    request = StartControlConnectionRequest(framing_capabilities=3, bearer_capabilities=3).build()
    server = f"10.9.{site.clients.index(client)}.1"

    def ask() -> float:
        begun = time.perf_counter()
        with socket.create_connection((server, CONTROL_PORT), timeout=10) as connection:
            connection.sendall(request)
            connection.recv(4096)
            return time.perf_counter() - begun

    return [client.run(ask) for _ in range(count)]
