"""A data plane on sockets anybody may open: UDP on loopback for raw GRE, a pair of local sockets for a TUN.

    client session (in memory) -- far socket 127.0.0.1:p ~~~ 127.0.0.2:p -- DataPlane -- pair of sockets for a TUN
                                                                            server session

The plane sends to the port its own socket has, as it does with a raw one, so both ends have the same. What comes to the
plane has an IP header in front, as on a raw socket; what goes has none.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address
from typing import Any

from pypptp.aio.batch_io import MmsgIo, SocketIo
from pypptp.aio.dataplane import DataPlane, Flow
from pypptp.mppe.rc4 import bind
from pypptp.session import Session
from tests.peers import CLIENT_ADDRESS, SERVER_ADDRESS, connected, ip_packet

OURS = IPv4Address("127.0.0.2")
FAR = IPv4Address("127.0.0.1")
MODEST_BUFFER = 4 << 20


def outer_header(source: IPv4Address = FAR, *, protocol: int = 47, options: bytes = b"") -> bytes:
    """An IPv4 header; length and checksum are the kernel's affair and nobody looks at them here."""
    version = 0x40 | 5 + len(options) // 4
    return struct.pack("!BBHHHBBH", version, 0, 0, 0, 0, 64, protocol, 0) + source.packed + OURS.packed + options


def encapsulated(session: Session, packet: bytes, now: float) -> bytes:
    """What a session makes of an IP packet: the GRE packet."""
    buffer = bytearray(Session.HEADROOM) + packet
    start = session.encapsulate(bind(buffer), buffer, Session.HEADROOM, len(buffer), now)
    assert start, session.counters
    return bytes(buffer[start:])


def decapsulated(session: Session, datagram: bytes, now: float) -> bytes | None:
    """The IP packet a session finds in a GRE packet."""
    buffer = bytearray(datagram)
    start = session.receive(bind(buffer), buffer, 0, len(buffer), now)
    return bytes(buffer[start : session.packet_end]) if start else None


class Tun:
    """A TUN of two local sockets: ``fd`` for the plane; ``put`` and ``take`` are the host's side."""

    def __init__(self) -> None:
        ours, self.host = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.host.setblocking(False)
        self.fd = ours.detach()

    def put(self, packet: bytes) -> None:
        self.host.send(packet)

    def take(self) -> list[bytes]:
        packets = []
        with suppress(BlockingIOError):
            while True:
                packets.append(self.host.recv(65_536))
        return packets

    def close(self) -> None:
        self.host.close()
        os.close(self.fd)


class Call:
    """One call: both its sessions are up; the server's is in the plane, with a TUN."""

    def __init__(self, bench: Bench, *, tun_open: bool = True, **settings: Any) -> None:
        network = connected(**settings)
        self.bench = bench
        self.client = next(iter(network.client.sessions.values()))
        self.server = next(iter(network.server.sessions.values()))
        self.settled: list[float] = []
        self.on_settle: Callable[[], None] = lambda: None
        bench.now = max(bench.now, network.now)
        self.tun = Tun()
        self.flow = bench.plane.attach(self.server, local=None, peer=FAR, settle=self._settle)
        if tun_open:
            self.flow.open_tun(self.tun.fd)

    def _settle(self, now: float) -> None:
        self.settled.append(now)
        self.on_settle()

    def to_plane(self, number: int = 0, payload: bytes = b"x" * 60) -> bytes:
        """The GRE packet of the client's next packet."""
        return encapsulated(self.client, ip_packet(payload, number=number), self.bench.now)

    def from_plane(self) -> list[bytes | None]:
        """What the client makes of everything the plane sent."""
        return [decapsulated(self.client, datagram, self.bench.now) for datagram in self.bench.sent()]


class Bench:
    """The plane, its loop and the far end."""

    def __init__(self, kind: type[MmsgIo] | type[SocketIo], **settings: Any) -> None:
        self.now = 0.0
        self.loop = asyncio.new_event_loop()
        self.trouble: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.trouble.append(context))
        self.gre = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.gre.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MODEST_BUFFER)
        self.gre.bind((str(OURS), 0))
        self.far.bind((str(FAR), self.gre.getsockname()[1]))
        self.gre.setblocking(False)
        self.far.setblocking(False)
        self.calls: list[Call] = []
        self.plane = DataPlane(self.loop, self.gre, clock=lambda: self.now, batch_io=kind, **settings)

    def call(self, **settings: Any) -> Call:
        # Each pair has numbers of its own: the plane finds calls by them.
        call = Call(self, seed=len(self.calls) + 1, **settings)
        self.calls.append(call)
        return call

    def receive(self, *datagrams: bytes, header: bytes | None = None) -> None:
        """Have the plane's socket receive GRE packets, and the loop run until they are dealt with."""
        for datagram in datagrams:
            self.far.sendto((outer_header() if header is None else header) + datagram, self.gre.getsockname())
        self.turn()

    def turn(self, times: int = 3) -> None:
        """Let the loop look at its descriptors."""
        for _ in range(times):
            self.loop.run_until_complete(asyncio.sleep(0))

    def sent(self) -> list[bytes]:
        """The GRE packets that have arrived at the far end."""
        datagrams = []
        with suppress(BlockingIOError):
            while True:
                datagrams.append(self.far.recv(65_536))
        return datagrams

    def close(self) -> None:
        self.plane.close()
        for call in self.calls:
            call.tun.close()
        self.gre.close()
        self.far.close()
        self.loop.close()


@contextmanager
def bench(kind: type[MmsgIo] | type[SocketIo], **settings: Any) -> Iterator[Bench]:
    """A Bench for one test; whatever the loop had to complain of fails it."""
    made = Bench(kind, **settings)
    try:
        yield made
        assert made.trouble == []
    finally:
        made.close()


def to_client(number: int = 0, payload: bytes = b"y" * 60) -> bytes:
    """An IP packet for the client, as the host behind the plane writes it to the TUN."""
    return ip_packet(payload, source=SERVER_ADDRESS, destination=CLIENT_ADDRESS, number=number)


def numbers(packets: list[bytes] | list[bytes | None]) -> list[int]:
    """The identifications of IP packets, -1 where there is none."""
    return [-1 if packet is None else int.from_bytes(packet[4:6], "big") for packet in packets]


__all__ = ["FAR", "OURS", "Bench", "Call", "Flow", "Tun", "bench", "ip_packet", "numbers", "outer_header", "to_client"]
