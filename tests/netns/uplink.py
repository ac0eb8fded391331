"""What leaves a host by an interface, as the wire sees it."""

import socket
import struct
import threading
import time
from ipaddress import IPv4Address
from types import TracebackType

from pypptp.net.namespaces import Namespace

ETH_P_ALL, ETH_P_ARP, ETH_P_IP = 3, 0x0806, 0x0800
PACKET_OUTGOING = 4
TCP, UDP, GRE = 6, 17, 47


class Leaks:
    """Listens on an interface and keeps the outgoing packets that are neither ARP nor PPTP to one of the servers.

    Attributes:
        packets: what left in clear, in words.
        tunnelled: number of GRE packets to the servers.
    """

    def __init__(self, host: Namespace, interface: str, *servers: IPv4Address, port: int = 1723) -> None:
        self.packets: list[str] = []
        self.tunnelled = 0
        self._servers = {server.packed for server in servers}
        self._port = port

        def listen() -> socket.socket:
            made = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
            made.bind((interface, ETH_P_ALL))
            return made

        self._socket = host.run(listen)
        self._socket.settimeout(0.1)
        self._over = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __enter__(self) -> "Leaks":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        self._thread.join()
        self._socket.close()

    def take(self) -> list[str]:
        """Return what left in clear since the last call."""
        time.sleep(0.1)  # for what the kernel has queued
        taken, self.packets = self.packets, []
        return taken

    def _read(self) -> None:
        while not self._over:
            try:
                packet, (_, kind, direction, *_) = self._socket.recvfrom(2048)
            except TimeoutError:
                continue
            if direction == PACKET_OUTGOING and kind != ETH_P_ARP:
                self._judge(packet, kind)

    def _judge(self, packet: bytes, kind: int) -> None:
        if kind != ETH_P_IP:
            self.packets.append(f"type {kind:#06x}")
            return
        protocol, destination = packet[9], packet[16:20]
        header = (packet[0] & 15) * 4
        if destination in self._servers and protocol == GRE:
            self.tunnelled += 1
        elif (
            destination not in self._servers
            or protocol != TCP
            or struct.unpack_from("!H", packet, header + 2) != (self._port,)
        ):
            self.packets.append(f"protocol {protocol} to {IPv4Address(destination)}")


class Chatter:
    """A host that keeps talking to the world: UDP, a name server, TCP, ping's protocol, and IPv6.

    Attributes:
        sent: number of tries.
    """

    def __init__(self, host: Namespace, *destinations: str) -> None:
        self.sent = 0
        self._host = host
        self._destinations = destinations
        self._over = False
        self._thread = threading.Thread(target=lambda: host.run(self._talk), daemon=True)
        self._thread.start()

    def __enter__(self) -> "Chatter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        self._thread.join()

    def talk(self, times: int = 4) -> None:
        """Wait until it has tried everything some times."""
        wanted = self.sent + times
        while self.sent < wanted:
            time.sleep(0.01)

    def _talk(self) -> None:
        while not self._over:
            for destination in self._destinations:
                family = socket.AF_INET6 if ":" in destination else socket.AF_INET
                for kind, protocol, port in (
                    (socket.SOCK_DGRAM, 0, 9),
                    (socket.SOCK_DGRAM, 0, 53),
                    (socket.SOCK_STREAM, 0, 80),
                    (socket.SOCK_RAW, socket.IPPROTO_ICMP if family == socket.AF_INET else socket.IPPROTO_ICMPV6, 0),
                ):
                    with socket.socket(family, kind, protocol) as sock:
                        sock.setblocking(False)
                        try:
                            sock.connect((destination, port))
                            sock.send(b"\x08\0\xf7\xff\0\0\0\0")
                        except OSError:
                            pass  # refused by the kill switch, or on its way
            self.sent += 1
            time.sleep(0.02)
