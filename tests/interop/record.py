"""Records the chosen set anew: `python -m tests.interop.record` writes tests/vectors/captures/interop.

Each recording is a small session in the lab. Its expected values do not come from pypptp: frames are counted by the
lab's own reader, and what must come out of the tunnel is what tcpdump saw on the client's own tunnel interface.
"""

from __future__ import annotations

import hashlib
import json
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .conftest import PROJECT, interpreter_folders
from .lab.build import LabUnavailableError, check_host, obtain
from .lab.guest import Guest, GuestError
from .lab.recording import COMPRESSED, PROTOCOL_NAMES, Recording, packets
from .lab.topology import Lan, Machine, Shape, Tunnel
from .pairs import CONTROL, PAIRS, Pair
from .peers.settings import INNER_SERVER, PASSWORD, USER, Settings
from .scenario import Scenario

TARGET = PROJECT / "tests" / "vectors" / "captures" / "interop"
INNER_FILE = "inner.pcap"


@dataclass(frozen=True, slots=True)
class Chosen:
    """One recording: who, how, what the wire does once the tunnel is up, and the pings sent from the client."""

    name: str
    about: str
    pair: Pair = CONTROL
    settings: Settings = field(default_factory=Settings)
    netem: tuple[str, ...] = ()
    pings: int = 5
    octets: int = 56
    clients: int = 1
    server_ends: bool = False


STATEFUL = Settings(stateful=True)
CHOSEN = (
    Chosen("stateful-128", "MPPE 128, stateful, past the first change of key", settings=STATEFUL, pings=300),
    Chosen("stateful-40", "MPPE 40, stateful", settings=Settings(mppe="40", stateful=True)),
    Chosen(
        "stateful-loss",
        "stateful, 10 % of the frames lost: CCP Reset-Requests",
        settings=STATEFUL,
        netem=("loss", "10%"),
        pings=60,
    ),
    Chosen("reorder", "5 ms, 40 % reordered", netem=("delay", "5ms", "reorder", "40%"), pings=60),
    Chosen("fragments", "MTU 1496: outer IP fragments", settings=Settings(mtu=1496), octets=1460),
    Chosen("server-ends", "SIGTERM to pptpctrl: Call-Disconnect-Notify and Stop-Control-Connection", server_ends=True),
    Chosen("two-clients", "two clients at one address", clients=2),
    Chosen("pypptp-client", "pypptp's client, pptpd", PAIRS[0]),
    Chosen("pypptp-server", "pptp-linux, pypptp's server", PAIRS[1]),
)


def make(guest: Guest, chosen: Chosen) -> tuple[bytes, dict[str, Any]]:
    """Run one session; the capture and what a right reading of it yields."""
    lan = Lan(guest, Shape(chosen.clients, one_address=chosen.clients > 1))
    try:
        with tempfile.TemporaryDirectory() as folder:
            run = Scenario(lan, chosen.pair, Path(folder))
            inner = session(run, chosen)
            recording = run.record()
            return run.capture, expected(chosen, recording, inner)
    finally:
        lan.close()


def session(run: Scenario, chosen: Chosen) -> list[bytes]:
    """Connect, ping, hang up; the IP packets seen on the clients' tunnel interfaces."""
    server = run.start_server(chosen.settings)
    seen: list[bytes] = []
    known: set[str] = set()
    clients = []
    for machine in run.lan.clients:
        clients.append(run.start_client(chosen.settings, machine))
        tunnel = new_tunnel(machine, known)
        run.await_server_tunnel(tunnel.local)
        known.add(tunnel.name)
        seen += watched_pings(run, machine, tunnel, chosen)
    run.lan.netem()
    if chosen.server_ends:
        server.end_call()
    else:
        for client in clients:
            client.disconnect()
    run.await_hung_up(20)
    return seen


def new_tunnel(machine: Machine, known: set[str], limit: float = 30.0) -> Tunnel:
    """The tunnel interface that is not among `known`, once it is up."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        for tunnel in machine.tunnels():
            if tunnel.name not in known:
                return tunnel
        time.sleep(0.05)
    raise TimeoutError(f"{machine.name} has no new tunnel after {limit:.0f} s")


def watched_pings(run: Scenario, machine: Machine, tunnel: Tunnel, chosen: Chosen) -> list[bytes]:
    """Ping from the client with tcpdump on its tunnel interface; the IP packets it saw."""
    file = machine.path(INNER_FILE)
    dump = ["tcpdump", "-i", tunnel.name, "-U", "--immediate-mode", "-s", "0", "-n", "-Z", "root", "-w", file, "icmp"]
    watcher = machine.start(dump, "inner.log")
    deadline = time.monotonic() + 10
    while "listening on" not in watcher.output():
        if time.monotonic() > deadline:
            raise GuestError(f"tcpdump did not start: {watcher.output()}")
        time.sleep(0.03)
    if chosen.netem:
        run.lan.netem(*chosen.netem)
    interval = "0.02" if chosen.pings > 10 else "0.1"
    ping = ["ping", "-q", "-n", "-i", interval, "-c", str(chosen.pings), "-s", str(chosen.octets), "-I", tunnel.name]
    machine.run([*ping, "-W", "1", INNER_SERVER], limit=60)
    time.sleep(0.2)
    watcher.end(signal.SIGINT)
    # pppd's links are cooked by tcpdump (16 octets of pseudo-header), TUN devices are raw IP.
    capture = run.guest.get(file)
    head = 16 if int.from_bytes(capture[20:24], "little") == LINKTYPE_LINUX_SLL else 0
    return [packet[head:] for _, packet in packets(capture)]


LINKTYPE_LINUX_SLL = 113


def expected(chosen: Chosen, recording: Recording, inner: list[bytes]) -> dict[str, Any]:
    """The entry of expected.json."""
    protocols = Counter(PROTOCOL_NAMES.get(frame.protocol, f"{frame.protocol:#06x}") for frame in recording.frames)
    return {
        "about": chosen.about,
        "client": chosen.pair.client,
        "server": chosen.pair.server,
        "user": USER,
        "password": PASSWORD,
        "control": [message.name for message in recording.control],
        "acknowledgements_alone": recording.acknowledgements,
        "frames": dict(sorted(protocols.items())),
        "mppe_to_server": len(recording.of(COMPRESSED, to_server=True)),
        "mppe_to_client": len(recording.of(COMPRESSED, to_server=False)),
        "lossy": "loss" in chosen.netem,
        "inner_icmp": len(inner),
        "inner_icmp_sha256": hashlib.sha256(b"".join(sorted(inner))).hexdigest(),
    }


def main() -> None:
    """Record all, or those named on the command line."""
    try:
        check_host()
        guest = Guest.boot(obtain(), [PROJECT, *interpreter_folders()])
    except LabUnavailableError as reason:
        sys.exit(str(reason))
    TARGET.mkdir(parents=True, exist_ok=True)
    table = TARGET / "expected.json"
    entries: dict[str, Any] = json.loads(table.read_text()) if table.exists() else {}
    try:
        for chosen in CHOSEN:
            if len(sys.argv) > 1 and chosen.name not in sys.argv[1:]:
                continue
            capture, entries[chosen.name] = make(guest, chosen)
            (TARGET / f"{chosen.name}.pcap").write_bytes(capture)
    finally:
        guest.stop()
    table.write_text(json.dumps(dict(sorted(entries.items())), indent=1) + "\n")


if __name__ == "__main__":
    main()
