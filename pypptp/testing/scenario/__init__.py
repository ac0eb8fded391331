"""Three hosts in one machine, programs in them, and what passes between: for the demo, the tests and the benchmarks.

    private                 gateway                          public
    eth0 10.100.100.2 ----- eth0 10.100.100.1
                            eth1 203.0.113.1 -------- eth0 203.0.113.2

Nothing here knows a pypptp command: which programs run is the caller's business. Everything works without the
programs ``ip``, ``ping`` and ``iperf3``, and is gone after a kill -9, too (see :mod:`pypptp.testing.scenario.warden`).
"""

from pypptp.testing.scenario.holders import holders, marked_processes
from pypptp.testing.scenario.hosts import (
    GATEWAY_PRIVATE,
    GATEWAY_PUBLIC,
    PRIVATE,
    PUBLIC,
    Hosts,
    set_default_route,
)
from pypptp.testing.scenario.ping import Pings, ping
from pypptp.testing.scenario.program import Program, ProgramEnded, ProgramSilent
from pypptp.testing.scenario.transfer import Sink, Transfer, send
from pypptp.testing.scenario.warden import Warden

__all__ = [
    "GATEWAY_PRIVATE",
    "GATEWAY_PUBLIC",
    "PRIVATE",
    "PUBLIC",
    "Hosts",
    "Pings",
    "Program",
    "ProgramEnded",
    "ProgramSilent",
    "Sink",
    "Transfer",
    "Warden",
    "holders",
    "marked_processes",
    "ping",
    "send",
    "set_default_route",
]
