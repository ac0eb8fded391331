"""A server's namespace and the clients' around it, with tunnels between them.

    client 0   eth0 10.9.0.2 ----- 10.9.0.1  c0 |
    client 1   eth0 10.9.1.2 ----- 10.9.1.1  c1 | server
    ...                                         |

Each client has a namespace of its own: the server's inner address is the same for all.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from pypptp.aio.words import parse_network
from pypptp.net.namespaces import Namespace, connect
from pypptp.testing.scenario import Program, Warden, ping

PATIENCE = 30.0
INNER_SERVER = IPv4Address("192.168.77.1")
USER, PASSWORD = "bench", "a word for benchmarks"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Tunnel:
    """One way from a client to the server: through a tunnel, or past all tunnels.

    Attributes:
        client: the client's namespace.
        near: the client's address on this way.
        far: the server's.
        interface: what the client's packets go through.
    """

    client: Namespace
    near: IPv4Address
    far: IPv4Address
    interface: str

    def await_answer(self) -> None:
        """Wait until the far end answers a ping.

        Raises:
            RuntimeError: it never does.
        """
        deadline = time.monotonic() + PATIENCE
        while not ping(self.client, self.far, count=1, patience=0.2).received:
            if time.monotonic() > deadline:
                raise RuntimeError(f"no answer from {self.far} through {self.interface}")
            time.sleep(0.05)

    def packets(self) -> int:
        """Packets that have passed so far, both ways."""
        lines = self.client.run(lambda: Path("/proc/thread-self/net/dev").read_text(encoding="ascii")).splitlines()
        for line in lines:
            name, _, numbers = line.partition(":")
            if name.strip() == self.interface:
                fields = numbers.split()
                return int(fields[1]) + int(fields[9])
        return 0


class Site:
    """The namespaces, and whatever carries packets between them at the moment."""

    def __init__(self, stack: ExitStack, warden: Warden, folder: Path, clients: int) -> None:
        self._warden = warden
        self._folder = folder
        self.server = stack.enter_context(Namespace("server"))
        self.clients = [stack.enter_context(Namespace(f"client {number}")) for number in range(clients)]
        for number, client in enumerate(self.clients):
            connect(client, "eth0", self.server, f"c{number}")
            client.add_address("eth0", f"10.9.{number}.2/24")
            self.server.add_address(f"c{number}", f"10.9.{number}.1/24")
        secrets = folder / "chap-secrets"
        secrets.write_text(f'{USER} * "{PASSWORD}" *\n', encoding="ascii")
        secrets.chmod(0o600)

    def program(self, name: str, host: Namespace, *arguments: str) -> Program:
        environment = {key: value for key, value in os.environ.items() if key != "JOURNAL_STREAM"}
        environment |= {"PYPPTP_PASSWORD": PASSWORD, "PYTHONPATH": str(Path(__file__).parent.parent)}
        return Program(name, host, arguments, environment=environment, folder=self._folder, warden=self._warden)

    @contextmanager
    def links(self, count: int = 1) -> Iterator[Carriers]:
        """The bare links."""
        tunnels = [
            Tunnel(client, IPv4Address(f"10.9.{number}.2"), IPv4Address(f"10.9.{number}.1"), "eth0")
            for number, client in enumerate(self.clients[:count])
        ]
        yield Carriers("link", tunnels, [], [])

    @contextmanager
    def pypptp(
        self, sessions: int, *options: str, server_options: tuple[str, ...] = (), name: str = "pypptp"
    ) -> Iterator[Carriers]:
        """A real server and clients; ``options`` go to all of them."""
        command = [sys.executable, "-P", "-m", "pypptp_cli"]
        options = ("--mtu", "1400", *options)
        with ExitStack() as stack:
            own = ["--local", str(INNER_SERVER), "--nat", "none", "--secrets", "chap-secrets"]
            # A crowd of clients is one process at one address.
            own += ["--max-per-address", "0"]
            server = stack.enter_context(
                self.program("server", self.server, *command, "server", *own, *server_options, *options)
            )
            server.await_line(lambda line: "listening on " in line or None, patience=PATIENCE)
            programs = []
            for number, host in enumerate(self.clients[:sessions]):
                own = ["--server", f"10.9.{number}.1", "--user", USER]
                programs.append(stack.enter_context(self.program("client", host, *command, "client", *own, *options)))
            tunnels = []
            for host, client in zip(self.clients, programs, strict=False):
                facts = client.await_line(parse_network, patience=PATIENCE)
                tunnels.append(Tunnel(host, facts.local, facts.peer, facts.interface))
            for tunnel in tunnels:
                tunnel.await_answer()
            yield Carriers(name, tunnels, programs, [server])

    @contextmanager
    def bare_pair(self, script: Path) -> Iterator[Carriers]:
        """A pair of bare endpoints without a protocol, to compare with: ``script a|b LOCAL REMOTE ADDRESS PEER``."""
        near, far = IPv4Address("192.168.78.2"), IPv4Address("192.168.78.1")
        with ExitStack() as stack:
            programs = []
            for side, host, own, other, inner, peer in (
                ("a", self.clients[0], "10.9.0.2", "10.9.0.1", near, far),
                ("b", self.server, "10.9.0.1", "10.9.0.2", far, near),
            ):
                command = [sys.executable, str(script), side, own, other, str(inner), str(peer)]
                programs.append(stack.enter_context(self.program(f"side {side}", host, *command)))
            tunnel = Tunnel(self.clients[0], near, far, "ppp0")
            tunnel.await_answer()
            yield Carriers("beside", [tunnel], programs[:1], programs[1:])


@dataclass(frozen=True)
class Carriers:
    """The processes that carry packets.

    Attributes:
        name: what they are called in the results.
        tunnels: the ways there are.
        near: processes on the clients' side.
        far: processes on the server's side.
    """

    name: str
    tunnels: list[Tunnel]
    near: list[Program]
    far: list[Program]


def family(pid: int) -> list[int]:
    """The process and those it has started, the oldest first."""
    members = [pid]
    for folder in Path(f"/proc/{pid}/task").iterdir():
        for child in (folder / "children").read_text(encoding="ascii").split():
            members += family(int(child))
    return sorted(members)


def processor_times(programs: list[Program]) -> list[float]:
    """Seconds of user and system time so far, of each process: the programs, and those they have started."""
    return [_ticks(pid) / TICKS for program in programs for pid in family(program.pid)]


def processor_seconds(programs: list[Program]) -> float:
    """The same of all of them together."""
    return sum(processor_times(programs))


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def resident_kib(program: Program) -> float:
    """Memory a program and those it has started have resident."""
    pages = [Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1] for pid in family(program.pid)]
    return sum(map(int, pages)) * os.sysconf("SC_PAGE_SIZE") / 1024
