"""The doctor's reading of a packet filter held against the kernel that runs it.

sender 10.77.0.1 ----- 10.77.0.2 receiver, whose input chain is made up by chance
"""

from __future__ import annotations

import random
import select
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest

from pypptp.net.firewall import HOOK_INPUT, read_nftables
from pypptp.net.namespaces import Namespace, connect
from pypptp.service.doctor.packet_filter import GRE, TCP, Packet, judge

from .packet_filters import ACCEPT, DROP, INPUT, chain, comes_by, established, protocol, source, tcp_to

pytestmark = pytest.mark.netns

SENDER, RECEIVER = "10.77.0.1", "10.77.0.2"
PORTS = (22, 1723)
RULESETS = 40
SECONDS = 0.03
"""What a packet may take from one namespace into the next."""


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Namespace, Namespace]]:
    with Namespace("sender") as sender, Namespace("receiver") as receiver:
        connect(sender, "eth0", receiver, "eth0")
        sender.add_address("eth0", f"{SENDER}/24")
        receiver.add_address("eth0", f"{RECEIVER}/24")
        yield sender, receiver


def test_the_kernel_agrees(pair: tuple[Namespace, Namespace]) -> None:
    sender, receiver = pair
    chance = random.Random(1723)
    matches = [
        protocol(GRE),
        protocol(TCP),
        tcp_to(22),
        tcp_to(1723),
        comes_by("eth0"),
        comes_by("ppp%d"),
        source(SENDER),
        source("10.77.0.9"),
        [],
    ]
    seen = set()
    for _ in range(RULESETS):
        rules = [[*chance.choice(matches), *chance.choice(matches), *chance.choice((ACCEPT, DROP))] for _ in range(3)]
        if chance.random() < 0.3:
            rules.insert(0, established())
        with chain(receiver, INPUT, *rules, policy=chance.randint(0, 1)):
            found = receiver.run(read_nftables)
            kinds = [(TCP, port) for port in PORTS] + [(GRE, None)]
            number, port = chance.choice(kinds)
            packet = Packet(hook=HOOK_INPUT, protocol=number, incoming="eth0", source=IPv4Address(SENDER), port=port)
            judged = judge(found, packet).passes
            arrived = receiver.run(lambda n=number, p=port: arrives(sender, n, p, chance.randint(1024, 65_535)))  # type: ignore[misc]
            assert judged is arrived, (rules, packet)
            seen.add(arrived)
    assert seen == {True, False}


def arrives(sender: Namespace, number: int, port: int | None, source_port: int) -> bool:
    """Send one packet; a raw socket is offered what the input chain has let in."""
    if port is None:
        content = struct.pack("!HHHHI", 0x3001, 0x880B, 0, source_port, 0)
    else:
        content = struct.pack("!HHIIBBHHH", source_port, port, 1, 0, 0x50, 0x02, 1024, 0, 0)
        content = content[:16] + checksum(content).to_bytes(2, "big") + content[18:]

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, number) as sending:
            sending.sendto(content, (RECEIVER, 0))

    with socket.socket(socket.AF_INET, socket.SOCK_RAW, number) as receiving:
        sender.run(send)
        while select.select([receiving], [], [], SECONDS)[0]:
            if receiving.recv(256)[20:].startswith(content[:8]):
                return True
    return False


def checksum(segment: bytes) -> int:
    pseudo = socket.inet_aton(SENDER) + socket.inet_aton(RECEIVER) + struct.pack("!HH", TCP, len(segment)) + segment
    total: int = sum(struct.unpack(f"!{len(pseudo) // 2}H", pseudo))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
