"""Traffic through tunnels: iperf3's where that program is there, our own sender's otherwise; and what it cost."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from bench.site import PATIENCE, Carriers, Site, Tunnel, processor_seconds, processor_times
from pypptp.net.namespaces import Namespace
from pypptp.testing.scenario import Program

PORT = 5301
UDP_AND_IP_HEADERS = 28
FULL_PACKET = 1400


@dataclass(frozen=True)
class Arrived:
    """What a receiver and its sender say of one transfer.

    Attributes:
        octets: of payload that arrived.
        seconds: from the first to the last of them.
        packets: datagrams that arrived, None for TCP.
        sent: datagrams that went, None for TCP.
    """

    octets: int
    seconds: float
    packets: int | None = None
    sent: int | None = None


class Tool(Protocol):
    """A program that makes traffic. ``rate`` is in packets a second, None for as fast as can be."""

    name: str

    def receive(self, kind: str, address: str, port: int) -> list[str]: ...

    def send(
        self, kind: str, address: str, port: int, seconds: float, octets: int, rate: float | None
    ) -> list[str]: ...

    def is_ready(self, line: str) -> bool: ...

    def read(self, receiver: list[str], sender: list[str]) -> Arrived: ...


class OwnSender:
    """``bench/traffic.py``."""

    name = "own sender"

    def __init__(self) -> None:
        script = str(Path(__file__).with_name("traffic.py"))
        self._command = [sys.executable, "-I", "-S", script]

    def receive(self, kind: str, address: str, port: int) -> list[str]:
        return [*self._command, "receive", kind, address, str(port)]

    def send(self, kind: str, address: str, port: int, seconds: float, octets: int, rate: float | None) -> list[str]:
        size = [str(octets), str(rate or 0)] if kind == "udp" else []
        return [*self._command, "send", kind, address, str(port), str(seconds), *size]

    def is_ready(self, line: str) -> bool:
        return line == "listening"

    def read(self, receiver: list[str], sender: list[str]) -> Arrived:
        said: dict[str, Any] = json.loads(receiver[-1])
        sent = json.loads(sender[-1])["packets"] if "packets" in said else None
        return Arrived(said["octets"], said["seconds"], said.get("packets"), sent)


class Iperf3:
    """iperf3 3.7 or newer: its report names the receiver's figures apart."""

    name = "iperf3"

    def __init__(self, program: str) -> None:
        self._program = program

    def receive(self, kind: str, address: str, port: int) -> list[str]:
        return [self._program, "-s", "-1", "-B", address, "-p", str(port), "--forceflush"]

    def send(self, kind: str, address: str, port: int, seconds: float, octets: int, rate: float | None) -> list[str]:
        command = [self._program, "-c", address, "-p", str(port), "-t", str(max(1, int(seconds))), "-J"]
        if kind == "udp":
            payload = octets - UDP_AND_IP_HEADERS
            command += ["-u", "-l", str(payload), "-b", str(round((rate or 0) * payload * 8))]
        return command

    def is_ready(self, line: str) -> bool:
        return line.startswith("Server listening")

    def read(self, receiver: list[str], sender: list[str]) -> Arrived:
        report = json.loads("\n".join(sender))
        if "error" in report:
            raise RuntimeError(f"iperf3: {report['error']}")
        came = report["end"]["sum_received"]
        if "packets" not in came:
            return Arrived(came["bytes"], came["seconds"])
        return Arrived(came["bytes"], came["seconds"], came["packets"] - came["lost_packets"], came["packets"])


def find_tool() -> Tool:
    """Return iperf3 where it is installed, else our own sender."""
    program = shutil.which("iperf3")
    return OwnSender() if program is None else Iperf3(program)


@dataclass(frozen=True)
class Run:
    """One transfer, of all sessions together.

    Attributes:
        carrier: what carried it.
        sessions: how many at a time.
        traffic: what was carried.
        octets: of payload that arrived.
        seconds: the longest any session took.
        packets: through the tunnels, both ways together.
        near_seconds: processor time of the clients' side.
        far_seconds: and of the server's, for each of its processes.
        loss: part of the packets sent that did not arrive; None for TCP.
    """

    carrier: str
    sessions: int
    traffic: str
    octets: int
    seconds: float
    packets: int
    near_seconds: float
    far_seconds: tuple[float, ...]
    loss: float | None = None

    @property
    def mbit_per_s(self) -> float:
        return self.octets * 8e-6 / self.seconds

    @property
    def kpps(self) -> float:
        return self.packets / self.seconds / 1e3

    @property
    def near_us(self) -> float:
        """Processor microseconds per packet on the clients' side."""
        return self.near_seconds * 1e6 / max(1, self.packets)

    @property
    def far_us(self) -> float:
        """And on the server's."""
        return sum(self.far_seconds) * 1e6 / max(1, self.packets)

    def as_json(self) -> dict[str, Any]:
        """All fields, and what follows from them."""
        figures = {name: round(getattr(self, name), 3) for name in ("mbit_per_s", "kpps", "near_us", "far_us")}
        return asdict(self) | figures


def transfer(
    site: Site,
    tool: Tool,
    carriers: Carriers,
    kind: str,
    *,
    up: bool,
    seconds: float,
    octets: int = 0,
    rate: float | None = None,
    note: str = "",
) -> Run:
    """Have every session carry the same traffic at the same time.

    Args:
        site: where.
        tool: with what.
        carriers: through what.
        kind: "tcp" or "udp".
        up: from the clients to the server, or the other way.
        seconds: how long.
        octets: of a UDP packet, headers included.
        rate: UDP packets a second of one session, None for as fast as can be.
        note: what to add to the name of this traffic.

    Raises:
        RuntimeError: a program failed, with its last words.
    """
    with ExitStack() as stack:
        receivers, ways = [], []
        for number, tunnel in enumerate(carriers.tunnels):
            source, target = (tunnel.client, site.server) if up else (site.server, tunnel.client)
            address, port = str(tunnel.far if up else tunnel.near), PORT + number
            receivers.append(stack.enter_context(_receiver(site, tool, target, kind, address, port)))
            ways.append((source, address, port))
        packets = sum(tunnel.packets() for tunnel in carriers.tunnels)
        near, far = processor_seconds(carriers.near), processor_times(carriers.far)
        senders = [
            stack.enter_context(site.program("sender", source, *tool.send(kind, address, port, seconds, octets, rate)))
            for source, address, port in ways
        ]
        for program in (*senders, *receivers):
            if program.wait(seconds + PATIENCE) != 0:
                raise RuntimeError(f"{carriers.name}, {kind}: {program.name}: {program.last_line}")
        near = processor_seconds(carriers.near) - near
        spent = [after - before for after, before in zip(processor_times(carriers.far), far, strict=True)]
        packets = sum(tunnel.packets() for tunnel in carriers.tunnels) - packets
        arrived = [tool.read(receiver.lines, sender.lines) for receiver, sender in zip(receivers, senders, strict=True)]
    sent = sum(one.sent or 0 for one in arrived)
    return Run(
        carrier=carriers.name,
        sessions=len(carriers.tunnels),
        traffic=f"{kind.upper()} {octets or ''}".strip() + (" up" if up else " down") + note,
        octets=sum(one.octets for one in arrived),
        # Where nothing arrived, it did so all the time.
        seconds=max(one.seconds for one in arrived) or seconds,
        packets=packets,
        near_seconds=near,
        far_seconds=tuple(spent),
        loss=1 - sum(one.packets or 0 for one in arrived) / sent if sent else None,
    )


@contextmanager
def busy(site: Site, tool: Tool, tunnel: Tunnel, seconds: float) -> Iterator[None]:
    """Send TCP up through a tunnel meanwhile, ``seconds`` at most."""
    address = str(tunnel.far)
    with _receiver(site, tool, site.server, "tcp", address, PORT) as receiver:
        with site.program("sender", tunnel.client, *tool.send("tcp", address, PORT, seconds, 0, None)) as sender:
            yield
            sender.wait(seconds + PATIENCE)
        receiver.wait(PATIENCE)


@contextmanager
def flood(site: Site, tunnel: Tunnel) -> Iterator[None]:
    """Send full UDP packets up through a tunnel meanwhile, as many as can be; nobody has to receive them."""
    command = OwnSender().send("udp", str(tunnel.far), PORT, PATIENCE, FULL_PACKET, None)
    with site.program("flood", tunnel.client, *command):
        time.sleep(0.5)
        yield


@contextmanager
def _receiver(site: Site, tool: Tool, host: Namespace, kind: str, address: str, port: int) -> Iterator[Program]:
    with site.program("receiver", host, *tool.receive(kind, address, port)) as receiver:
        receiver.await_line(lambda line: tool.is_ready(line) or None, patience=PATIENCE)
        yield receiver
