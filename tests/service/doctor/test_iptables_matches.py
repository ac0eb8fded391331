from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.net.firewall import HOOK_FORWARD, HOOK_INPUT, Expression
from pypptp.service.doctor.iptables_matches import judge_ip_part, judge_match
from pypptp.service.doctor.packet import GRE, STATE_ESTABLISHED, STATE_NEW, TCP, Packet

SYN_PACKET = Packet(hook=HOOK_INPUT, protocol=TCP, incoming="eth0", port=1723)
GRE_PACKET = Packet(hook=HOOK_INPUT, protocol=GRE, incoming="eth0")
FORWARDED = Packet(hook=HOOK_FORWARD, protocol=TCP, incoming="ppp0", outgoing="eth0")


def match(name: str, info: bytes, revision: int = 0) -> Expression:
    return Expression("match", {1: name.encode() + b"\0", 2: revision.to_bytes(4, "big"), 3: info})


def tcp(first: int, last: int, flags: bytes = bytes(4), *, sources: tuple[int, int] = (0, 0xFFFF)) -> Expression:
    return match("tcp", struct.pack("=4H", *sources, first, last) + flags)


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        (tcp(1723, 1723), True),
        (tcp(1724, 1800), False),
        (tcp(1723, 1723, bytes([0, 0, 0, 2])), False),  # ! --dport
        (tcp(0, 0xFFFF, bytes([0, 0x17, 0x02, 0])), True),  # --syn
        (tcp(0, 0xFFFF, bytes([0, 0x17, 0x02, 4])), False),  # ! --syn
        (tcp(0, 0xFFFF, bytes([0, 0x17, 0x12, 0])), False),
        (tcp(1723, 1723, sources=(1024, 0xFFFF)), None),
        (tcp(1723, 1723, bytes([5, 0, 0, 0])), None),  # --tcp-option
        (match("state", struct.pack("=I", STATE_NEW)), True),
        (match("state", struct.pack("=I", STATE_ESTABLISHED)), False),
        (match("comment", b"anything"), True),
        (match("recent", b""), None),
        (match("mark", bytes(12)), None),
        (match("tcp", b"short"), None),
    ],
)
def test_a_syn_to_1723(expression: Expression, holds: bool | None) -> None:
    assert judge_match(expression, SYN_PACKET) is holds


def test_other_protocols_are_not_tcp() -> None:
    assert judge_match(tcp(0, 0xFFFF), GRE_PACKET) is False
    assert judge_match(match("multiport", bytes(48), 1), GRE_PACKET) is False


@pytest.mark.parametrize(
    ("ports", "spans", "inverted", "holds"),
    [
        ([22, 1723], [0, 0], 0, True),
        ([22, 80], [0, 0], 0, False),
        ([22, 1700, 1800], [0, 1, 0], 0, True),  # 22,1700:1800
        ([22, 1724, 1800], [0, 1, 0], 0, False),
        ([22, 1723], [0, 0], 1, False),
    ],
)
def test_several_ports(ports: list[int], spans: list[int], inverted: int, holds: bool) -> None:
    info = struct.pack("=BB15H", 1, len(ports), *ports, *[0] * (15 - len(ports)))
    info += bytes(spans).ljust(15, b"\0") + bytes([inverted])
    assert judge_match(match("multiport", info, 1), SYN_PACKET) is holds


@pytest.mark.parametrize(
    ("source", "destination", "flags", "packet", "holds"),
    [
        (0, 1 << 2, 0, SYN_PACKET, True),  # --dst-type LOCAL
        (0, 1 << 2, 0, FORWARDED, False),
        (0, 1 << 2, 2, SYN_PACKET, False),
        (0, 1 << 3, 0, SYN_PACKET, False),  # BROADCAST
        (1 << 1, 0, 0, SYN_PACKET, True),  # --src-type UNICAST
        (1 << 2, 0, 0, SYN_PACKET, False),
        (0, 1 << 2, 4, SYN_PACKET, None),  # --limit-iface-in
    ],
)
def test_types_of_addresses(source: int, destination: int, flags: int, packet: Packet, holds: bool | None) -> None:
    assert judge_match(match("addrtype", struct.pack("=HHI", source, destination, flags), 1), packet) is holds


def ip_part(*, interface: bytes = b"", mask: bytes = b"", protocol: int = 0, inverted: int = 0) -> bytes:
    names = interface.ljust(16, b"\0") + bytes(16) + mask.ljust(16, b"\0") + bytes(16)
    return bytes(16) + names + struct.pack("=HBB", protocol, 0, inverted)


@pytest.mark.parametrize(
    ("data", "holds"),
    [
        (ip_part(), True),
        (ip_part(protocol=TCP), True),
        (ip_part(protocol=GRE), False),
        (ip_part(protocol=GRE, inverted=0x40), True),
        (ip_part(interface=b"ppp0", mask=b"\xff" * 5), True),
        (ip_part(interface=b"ppp1", mask=b"\xff" * 5), False),
        (ip_part(interface=b"ppp", mask=b"\xff" * 3), True),  # ppp+
        (ip_part(interface=b"eth0", mask=b"\xff" * 5, inverted=1), True),
    ],
)
def test_the_ip_part_of_a_legacy_rule(data: bytes, holds: bool) -> None:
    assert judge_ip_part(data, FORWARDED) is holds


@given(
    st.sampled_from(["tcp", "conntrack", "state", "addrtype", "multiport"]), st.integers(0, 4), st.binary(max_size=64)
)
def test_a_structure_of_another_length_raises_nothing(name: str, revision: int, info: bytes) -> None:
    judge_match(match(name, info, revision), SYN_PACKET)
