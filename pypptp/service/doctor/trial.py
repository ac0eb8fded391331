"""Sending a packet through this machine instead of guessing what its rules would do.

A TUN of the kind a server makes appears for a moment, one UDP packet is put into it as if a client had sent it, and
the uplink is listened to. The packet goes to an address set aside for documentation (192.0.2.1, RFC 5737) with a time
to live that ends at the next router. Forwarding is switched on for this TUN alone, and goes with it.
"""

from __future__ import annotations

import os
import select
import socket
import time
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from pypptp.errors import NetworkError
from pypptp.net.edge import Tun
from pypptp.net.linux import LinuxEdge
from pypptp.service.doctor.inner_packets import udp_packet

SOURCE: Final = IPv4Address("198.18.0.2")
"""Of a network set aside for tests (RFC 2544): what the client would have."""
OWN: Final = IPv4Address("198.18.0.1")
DESTINATION: Final = IPv4Address("192.0.2.1")
_PORT: Final = 33_434  # traceroute's
PATIENCE = 0.5
"""Seconds to wait for each packet."""
_TRIES: Final = 3
_ALL_PROTOCOLS: Final = 0x0003
_IPV4: Final = 0x0800
_PACKET_OUTGOING: Final = 4


@dataclass(frozen=True, slots=True)
class Trial:
    """How it went.

    Attributes:
        passed: whether the packet came out; None where it could not be tried.
        why: why it could not.
    """

    passed: bool | None
    why: str = ""


def try_forwarding(uplink: str) -> Trial:
    """Send a packet from a TUN to ``uplink`` and see whether it comes out."""
    edge = LinuxEdge()
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ALL_PROTOCOLS)) as listening:
            listening.bind((uplink, _ALL_PROTOCOLS))
            tun = edge.open_tun()
            edge.configure(tun, local=OWN, peer=SOURCE)
            _forward_from(tun.name)
            return Trial(_send_and_see(tun, listening))
    except (OSError, NetworkError) as error:
        return Trial(None, str(error))
    finally:
        edge.undo()


def _forward_from(interface: str) -> None:
    settings = Path("/proc/sys/net/ipv4/conf") / interface
    (settings / "forwarding").write_text("1", encoding="ascii")


def _send_and_see(tun: Tun, listening: socket.socket) -> bool:
    token = b"pypptp doctor " + os.urandom(8).hex().encode()
    packet = udp_packet(SOURCE, DESTINATION, _PORT, _PORT, token, time_to_live=2)
    for _ in range(_TRIES):
        os.write(tun.fd, packet)
        deadline = time.monotonic() + PATIENCE
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([listening], [], [], left)[0]:
                break
            data, sender = listening.recvfrom(65_535)
            if sender[2] == _PACKET_OUTGOING and sender[1] == _IPV4 and token in data:
                return True
    return False


__all__ = ["Trial", "try_forwarding"]
