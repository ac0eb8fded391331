"""What idle sessions cost a server: processor time for echo requests, and memory.

    python -m bench.idle LOCAL REMOTE SECRETS ECHO_INTERVAL      (the server, started by ``measure``)

The server is the real one with real sockets, but its TUN devices are in memory: the kernel takes 20 ms to close one,
and thousands would make the benchmark wait for nothing else. Both ends probe each other within the measured time: LCP
echo both ways and the control connection's, each as often as LCP's is by default.
"""

from __future__ import annotations

import asyncio
import resource
import signal
import sys
from dataclasses import replace

from bench.setup_rate import WARM_UP, gather_crowd
from bench.site import INNER_SERVER, PATIENCE, Site, processor_seconds, resident_kib
from pypptp.net.memory import MemoryEdge
from pypptp.service.run import set_up_logging
from pypptp.service.serve import run_server
from pypptp.service.settings import ServerSettings, make_settings

DEFAULT_ECHO_INTERVAL = 30.0
NETWORK = "10.10.0.0/16"
DESCRIPTORS = 4
"""What the server holds open for each session: its connection, both ends of a TUN in memory, and one to spare."""


async def measure(site: Site, sessions: int, interval: float, at_once: int = 50) -> dict[str, float]:
    """Set sessions up, and look at the server for as long as one round of all echo requests takes."""
    _raise_limit(sessions)
    command = [sys.executable, "-P", "-m", "bench.idle", str(INNER_SERVER), NETWORK, "chap-secrets", str(interval)]
    with site.program("server", site.server, *command) as server:
        server.await_line(lambda line: "listening on " in line or None, patience=PATIENCE)
        crowd = gather_crowd(site.clients[0])
        link = replace(crowd.config.link, echo_interval=interval)
        crowd.config = replace(crowd.config, link=link, control=replace(crowd.config.control, echo_interval=interval))
        await crowd.join_many(WARM_UP, at_once)
        kib = resident_kib(server)
        await crowd.join_many(sessions - WARM_UP, at_once)
        kib = (resident_kib(server) - kib) / (sessions - WARM_UP)
        before = processor_seconds([server])
        await asyncio.sleep(interval)
        spent = processor_seconds([server]) - before
        # In good order their end would take longer than all the rest.
        server.stop(signal.SIGKILL)
        crowd.close()
    return {
        "idle sessions": sessions,
        "seconds between echo requests": interval,
        "percent of a core": spent / interval * 100,
        "resident KiB for each, TUN aside": kib,
    }


def _raise_limit(sessions: int) -> None:
    wanted = sessions * DESCRIPTORS + 256
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        highest = wanted if hard == resource.RLIM_INFINITY else max(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, highest))


def main(arguments: list[str]) -> int:
    local, remote, secrets, interval = arguments
    given = {
        "local": local,
        "remote": remote,
        "secrets": secrets,
        "nat": "none",
        "echo_interval": interval,
        "lcp_echo_interval": interval,
        # A crowd of clients is one process at one address.
        "max_per_address": "0",
    }
    set_up_logging("info")
    run_server(make_settings(ServerSettings, given), edge=MemoryEdge(), announce_account=lambda account: None)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
