"""Outages: the server dies, the link goes down, the address changes, a machine sleeps; when do packets pass again?

    python -m tests.endurance.outages [--seconds 60] [--json FILE] [OUTAGE ...]

Real programs in network namespaces, a client with nothing but ``--persist``, and a ping every fifth of a second to an
address that is reached through the tunnel alone.

private 10.100.100.2 ----- 10.100.100.1 gateway
ppp0 192.168.0.234 ======= 192.168.0.1 ppp0
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from pypptp.net import links
from pypptp.net.netlink import NetlinkSocket
from pypptp.testing.scenario import PRIVATE, Hosts, Program, Warden, ping
from tests.netns.conftest import PATIENCE, Lab

INNER = IPv4Address("192.168.0.1")
RESTART_SECONDS = 2.0
PROBE_SECONDS = 0.2
LONGEST = 90.0


@dataclass(frozen=True, slots=True)
class Outage:
    """What came of one.

    Attributes:
        outage: its name.
        lasted: seconds it was made to last.
        flowing_after: seconds from its end until a packet had passed and was answered.
        sessions: sessions the client has had in all; 1 where it went on with the one it had.
        said: what the client said meanwhile.
    """

    outage: str
    lasted: float
    flowing_after: float
    sessions: int
    said: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as one object."""
        return {name: getattr(self, name) for name in self.__slots__} | {"said": list(self.said)}


def flows(lab: Lab) -> bool:
    """Return whether a packet passes now."""
    return ping(lab.hosts.private, INNER, count=1, patience=PROBE_SECONDS).received == 1


def await_flow(lab: Lab, limit: float = LONGEST) -> None:
    """Wait until one does."""
    deadline = time.monotonic() + limit
    while not flows(lab):
        assert time.monotonic() < deadline, "no packet passes any more"


def inside(lab: Lab, act: Callable[[NetlinkSocket], None]) -> None:
    """Change something of the client's network."""

    def run() -> None:
        with NetlinkSocket() as netlink:
            act(netlink)

    lab.hosts.private.run(run)


def set_link(lab: Lab, flags: int) -> None:
    """Take the client's link up or down."""

    def act(netlink: NetlinkSocket) -> None:
        message = links._link(socket.if_nametoindex("eth0"))
        message["flags"], message["change"] = flags, links.IFF_UP
        netlink.request(message, links.RTM_NEWLINK)

    inside(lab, act)


def server_killed(lab: Lab, server: Program, client: Program, seconds: float) -> float:
    """SIGKILL, and another one a little later; it is over when that one listens."""
    assert server.stop(signal.SIGKILL) == -signal.SIGKILL
    time.sleep(RESTART_SECONDS)
    lab.server("--nat", "none")
    return RESTART_SECONDS


def server_ended(lab: Lab, server: Program, client: Program, seconds: float) -> float:
    """SIGTERM, and another one a little later."""
    assert server.stop() == 0
    time.sleep(RESTART_SECONDS)
    lab.server("--nat", "none")
    return RESTART_SECONDS


def link_down(lab: Lab, server: Program, client: Program, seconds: float) -> float:
    """The client's cable is pulled and put back."""
    set_link(lab, 0)
    time.sleep(seconds)
    set_link(lab, links.IFF_UP)
    return seconds


def roaming(lab: Lab, server: Program, client: Program, seconds: float) -> float:
    """The client has another address from one moment to the next."""

    def act(netlink: NetlinkSocket) -> None:
        links.remove_address(netlink, "eth0", PRIVATE, prefix=24)
        links.add_address(netlink, "eth0", PRIVATE + 7, prefix=24)

    inside(lab, act)
    return 0.0


def client_asleep(lab: Lab, server: Program, client: Program, seconds: float) -> float:
    """The client's process stands still, and its clock jumps when it goes on."""
    os.kill(client.pid, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(client.pid, signal.SIGCONT)
    return seconds


def server_asleep(lab: Lab, server: Program, client: Program, seconds: float) -> float:
    """The same at the other end."""
    os.kill(server.pid, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(server.pid, signal.SIGCONT)
    return seconds


Act = Callable[[Lab, Program, Program, float], float]
OUTAGES: dict[str, Act] = {
    "server killed and restarted": server_killed,
    "server ended and restarted": server_ended,
    "link down": link_down,
    "roaming to another address": roaming,
    "client asleep, its clock jumps": client_asleep,
    "server asleep, its clock jumps": server_asleep,
}


def endure(name: str, folder: Path, seconds: float) -> Outage:
    """Make one outage, on hosts of its own, and wait until packets pass again."""
    folder.mkdir()
    with Warden() as warden, Hosts() as hosts:
        lab = Lab(hosts, folder, warden)
        try:
            server = lab.server("--nat", "none")
            client = lab.client("--persist")
            client.await_line(lambda line: " up: " in line or None, patience=PATIENCE)
            await_flow(lab)
            before = len(client.lines)
            lasted = OUTAGES[name](lab, server, client, seconds)
            over = time.monotonic()
            await_flow(lab)
            flowing_after = time.monotonic() - over
            lines = list(client.lines)
        finally:
            lab.close()
    ups = sum(" up: " in line for line in lines)
    # Without the time of day and the level.
    meanwhile = tuple(line.split(None, 2)[-1] for line in lines[before:])
    return Outage(name, lasted, round(flowing_after, 2), ups, meanwhile)


def main() -> int:
    """Endure them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long a link is down and a machine asleep (60)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("outages", nargs="*", metavar="OUTAGE", help="some of them (all)")
    arguments = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for number, name in enumerate(arguments.outages or OUTAGES):
            outage = endure(name, Path(folder) / str(number), arguments.seconds)
            found.append(outage.as_json())
            print(json.dumps(outage.as_json(), indent=1), flush=True)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
