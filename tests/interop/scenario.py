"""One test's run in the lab: the programs it starts, the traffic it sends, the traces it leaves for the reader."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from .cases import Case
from .lab import recording
from .lab.guest import Guest, GuestError
from .lab.recording import Recording
from .lab.topology import Lan, Machine, Tunnel
from .pairs import Pair
from .peers.roles import Client, Server
from .peers.settings import INNER_SERVER, PASSWORD, USER, Settings


class Scenario:
    """Programs of one pair on one wire, which is recorded from the start unless `record` says no."""

    def __init__(self, lan: Lan, pair: Pair, folder: Path, *, record: bool = True) -> None:
        self.lan = lan
        self.guest: Guest = lan.guest
        self.pair = pair
        self.folder = folder
        self.server: Server | None = None
        self.clients: list[Client] = []
        self.notes: list[str] = []
        self._recording: Recording | None = None
        self.capture = b""
        if record:
            lan.capture()

    def start_server(self, settings: Settings, users: Mapping[str, str] | None = None) -> Server:
        """Start the pair's server."""
        self.server = self.pair.make_server(self.lan.server, settings, users)
        self.server.start()
        return self.server

    def start_client(
        self, settings: Settings, machine: Machine | None = None, user: str = USER, password: str = PASSWORD
    ) -> Client:
        """Start the pair's client; it connects by itself."""
        client = self.pair.make_client(machine or self.lan.client, settings, user, password)
        self.clients.append(client)
        client.start()
        return client

    def connect(self, settings: Settings, machine: Machine | None = None, limit: float = 20.0) -> tuple[Client, Tunnel]:
        """Start the pair's client and wait until the tunnel is up on both machines."""
        began = time.monotonic()
        client = self.start_client(settings, machine)
        tunnel = client.await_up(limit)
        assert tunnel is not None, f"{client.name} did not connect: {tail(client.logs())}"
        self.await_server_tunnel(tunnel.local, limit)
        self.notes.append(f"connected in {time.monotonic() - began:.1f} s")
        return client, tunnel

    def await_server_tunnel(self, inner: str, limit: float = 10.0) -> Tunnel:
        """The server's interface towards the client with the inner address `inner`."""
        deadline = time.monotonic() + limit
        while True:
            for tunnel in self.lan.server.tunnels():
                if tunnel.peer == inner:
                    return tunnel
            assert time.monotonic() < deadline, f"the server has no interface for {inner}"
            time.sleep(0.05)

    def check_traffic(self, tunnel: Tunnel, case: Case | None = None, machine: Machine | None = None) -> None:
        """Ping both ways, and send octets by TCP there and back, compared by hash."""
        settled = case or Case("plain", "plain")
        client = machine or self.lan.client
        lossy = any(word in ("loss", "reorder") for word in settled.netem)
        self.ping(client, INNER_SERVER, tolerant=lossy)
        self.ping(self.lan.server, tunnel.local, tolerant=lossy)
        moved = self.guest.transfer(client.space, self.lan.server.space, INNER_SERVER, settled.octets, settled.limit)
        self.notes.append(str(moved))
        assert moved.same, str(moved)

    def ping(self, machine: Machine, address: str, *, tolerant: bool = False, source: str | None = None) -> None:
        """Ping `address`: every answer must come back, or one of ten on an impaired wire."""
        argv = ["ping", "-q", "-n", "-i", "0.1", "-c", "10" if tolerant else "3", "-W", "2", address]
        argv += [] if source is None else ["-I", source]
        result = machine.run(argv)
        received = re.search(r"(\d+) packets transmitted, (\d+) received", result.out)
        assert received is not None, result.err
        sent, answered = int(received[1]), int(received[2])
        assert answered == sent or (tolerant and answered > 0), f"{machine.name} to {address}: {result.out}"

    def await_tunnels(self, machine: Machine, count: int, limit: float = 10.0) -> None:
        """Wait until a machine has `count` tunnel interfaces."""
        deadline = time.monotonic() + limit
        while len(found := machine.tunnels()) != count:
            assert time.monotonic() < deadline, f"{machine.name} has {found} after {limit:.0f} s, not {count} tunnels"
            time.sleep(0.1)

    def await_hung_up(self, limit: float = 10.0) -> None:
        """Wait until no client program runs, no tunnel is up on the server, and no control connection is open."""
        names = sorted({client.machine.space for client in self.clients})
        deadline = time.monotonic() + limit
        while any(self.guest.processes(names).values()) or self.lan.server.control_connections():
            assert time.monotonic() < deadline, f"still up after {limit:.0f} s: {self.guest.processes(names)}"
            time.sleep(0.05)
        self.await_tunnels(self.lan.server, 0, limit)

    def record(self) -> Recording:
        """End the recording (the first time) and give it as read."""
        if self._recording is None:
            self.capture = self.lan.recording()
            self._recording = recording.read(self.capture)
        return self._recording

    def assert_nothing_left(self) -> None:
        """End the server; then neither process, link, address, route, rule nor file of it or of the clients may be
        left.
        """
        if self.server is not None:
            self.server.stop()
        self._await_processes_gone()
        for program in (self.server, *self.clients):
            if program is not None:
                program.tidy()
        left = self.lan.await_nothing_left(5)
        assert left == []

    def _await_processes_gone(self, limit: float = 10.0) -> None:
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline and any(self.guest.processes(self.lan.spaces).values()):
            time.sleep(0.05)

    def finish(self, verdict: str) -> str:
        """Write capture, logs and a one-line summary into the scenario's folder; the summary."""
        try:
            summary = self.record().summary()
        except (GuestError, OSError, ValueError) as error:
            summary = f"no recording: {error}"
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "wire.pcap").write_bytes(self.capture)
        for program in (self.server, *self.clients):
            if program is not None:
                for name, text in program.logs().items():
                    (self.folder / name.replace("/", "-")).write_text(text)
        line = "; ".join([verdict, *self.notes, summary])
        (self.folder / "summary.txt").write_text(line + "\n")
        return line

    def clean_up(self) -> None:
        """End what still runs; heal the wire."""
        if not self.lan.clean:
            self.lan.kill_processes()
        self.lan.netem()
        for machine in self.lan.machines:
            self.lan.link(machine, up=True)


def other(settings: Settings, **changes: object) -> Settings:
    """The other end's settings where they differ."""
    return replace(settings, **changes)  # type: ignore[arg-type]


def tail(logs: Mapping[str, str], lines: int = 12) -> str:
    """The last lines of each log."""
    return "\n".join(f"[{name}]\n" + "\n".join(text.splitlines()[-lines:]) for name, text in logs.items())
