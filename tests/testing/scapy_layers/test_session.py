from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw
from scapy.sendrecv import sniff
from scapy.utils import rdpcap

from pypptp.testing.scapy_layers import MPPE, PptpSession

GRE = 47
LAB = Path(__file__).resolve().parents[2] / "vectors" / "captures" / "lab"
INTEROP = LAB.parent / "interop"
EXPECTED: dict[str, Any] = json.loads((INTEROP / "expected.json").read_text())


def decrypted(packets: Iterable[Packet], layer: type[Packet] = IP) -> list[bytes]:
    return [packet[MPPE][layer].original for packet in packets if MPPE in packet and layer in packet[MPPE]]


@pytest.mark.parametrize(
    "name", ["mppe128-stateless", "mppe40-stateless", "mschapv1-mppe128", "keepalive", "dns-nak", "disc-server"]
)
def test_what_went_through_the_tunnel_comes_out(name: str) -> None:
    session = PptpSession({"root": "123456"})
    packets = sniff(offline=str(LAB / f"{name}.pcap"), session=session)
    assert session.undecrypted == 0
    # The recording of the inside began a little later than that of the outside.
    for layer in (IP, IPv6):
        inside = rdpcap(str(LAB / f"{name}.inner.pcap"))
        inner = Counter(packet[layer].original for packet in inside if layer in packet)
        assert inner <= Counter(decrypted(packets, layer))
    assert session.decrypted >= len(inside) > 0


@pytest.mark.parametrize("name", ["stateful-128", "stateful-40", "pypptp-client", "pypptp-server", "server-ends"])
def test_either_mode_and_both_roles_of_ours(name: str) -> None:
    expected = EXPECTED[name]
    session = PptpSession(expected["password"])
    packets = sniff(offline=str(INTEROP / f"{name}.pcap"), session=session)
    icmp = sorted(packet for packet in decrypted(packets) if ICMP in IP(packet))
    assert len(icmp) == expected["inner_icmp"]
    assert hashlib.sha256(b"".join(icmp)).hexdigest() == expected["inner_icmp_sha256"]


def test_two_sessions_side_by_side() -> None:
    session = PptpSession(EXPECTED["two-clients"]["password"])
    packets = sniff(offline=str(INTEROP / "two-clients.pcap"), session=session)
    assert session.undecrypted == 0
    assert len({packet[MPPE][IP].src for packet in packets if MPPE in packet}) >= 3


def test_without_the_control_connection() -> None:
    packets = [packet for packet in rdpcap(str(LAB / "mppe128-stateless.pcap")) if packet[IP].proto == GRE]
    session = PptpSession("123456")
    # The first of two fragments does not come out by itself.
    processed = [done for packet in packets if (done := session.process(packet)) is not None]
    assert (session.decrypted > 100, session.undecrypted) == (True, 0)
    assert len(decrypted(processed) + decrypted(processed, IPv6)) == session.decrypted


@pytest.mark.parametrize("passwords", ["wrong", {"somebody": "123456"}, {}])
def test_without_the_right_password_nothing_is_made_up(passwords: str | dict[str, str]) -> None:
    session = PptpSession(passwords)
    packets = sniff(offline=str(LAB / "mppe128-stateless.pcap"), session=session)
    assert decrypted(packets) == []
    assert session.decrypted == 0
    assert session.undecrypted > 100
    assert Raw in next(packet for packet in packets if MPPE in packet)[MPPE]


def test_other_packets_pass_as_they_are() -> None:
    session = PptpSession("x")
    packet = IP() / ICMP()
    assert session.process(packet) is packet
    assert session.process(Raw(b"?")) == Raw(b"?")
