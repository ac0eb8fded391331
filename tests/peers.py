"""Two endpoints with everybody's settings, for the tests that join them."""

from __future__ import annotations

import struct
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

from pypptp.endpoint import Endpoint, EndpointConfig
from pypptp.inner_traffic import InnerPolicy
from pypptp.ppp.auth import Secret
from pypptp.ppp.config import LinkConfig
from pypptp.roles import Role
from pypptp.testing import SimulatedNetwork, seeded

USER = "alice"
PASSWORD = "wonderland"
CLIENT_ADDRESS = "192.168.0.234"
SERVER_ADDRESS = "192.168.0.1"


def make_network(
    *,
    client: dict[str, Any] | None = None,
    server: dict[str, Any] | None = None,
    password: str = PASSWORD,
    user: str = USER,
    seed: int = 1,
    check_source: bool = True,
    policy: InnerPolicy | None = None,
    **network: Any,
) -> SimulatedNetwork:
    """Join a client and a server; ``client`` and ``server`` are settings of their LinkConfig."""
    both = EndpointConfig(link=LinkConfig(name=user), check_source=check_source, policy=policy or InnerPolicy())
    client_end = Endpoint(
        Role.CLIENT,
        replace(both, link=LinkConfig(**{"name": user, **(client or {})})),
        random=seeded(seed),
        now=0.0,
        secret=Secret(password=password),
    )
    server_end = Endpoint(
        Role.SERVER,
        replace(both, link=LinkConfig(**{"name": "pptpd", **(server or {})})),
        random=seeded(seed + 1000),
        now=0.0,
    )
    network.setdefault("users", {USER: PASSWORD})
    return SimulatedNetwork(client_end, server_end, seed=seed, **network)


def connected(**settings: Any) -> SimulatedNetwork:
    """Join two ends and let them come up."""
    network = make_network(**settings)
    network.client.connect(network.now)
    assert network.run_until(lambda: network.network_up, 60), network.events
    return network


def ip_packet(
    payload: bytes = b"",
    *,
    source: str = CLIENT_ADDRESS,
    destination: str = SERVER_ADDRESS,
    number: int = 0,
    protocol: int = 17,
    fragment: int = 0,
) -> bytes:
    """Return an IPv4 packet with a right header; the number is its identification and makes it one of many."""
    length = 20 + len(payload)
    fields = (
        0x45,
        0,
        length,
        number & 0xFFFF,
        fragment,
        64,
        protocol,
        0,
        IPv4Address(source).packed,
        IPv4Address(destination).packed,
    )
    header = bytearray(struct.pack("!BBHHHBBH4s4s", *fields))
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    header[10:12] = (~total & 0xFFFF).to_bytes(2, "big")
    return bytes(header) + payload
