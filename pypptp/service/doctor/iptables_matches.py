"""The matches iptables has in modules of their own, as nftables (``match``) and iptables-legacy carry them.

Structures are those of linux/netfilter/xt_*.h, numbers in the machine's order.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Mapping

from pypptp.net.firewall import HOOK_INPUT, Expression
from pypptp.service.doctor.packet import STATE_NEW, SYN, TCP, Packet


def judge_match(expression: Expression, packet: Packet) -> bool | None:
    """Say whether a match of iptables holds; None for one that is not known, or not to be told."""
    judges: Mapping[str, Callable[[bytes, int, Packet], bool | None]] = {
        "tcp": _tcp_match,
        "udp": _tcp_match,
        "conntrack": _conntrack_match,
        "state": _state_match,
        "addrtype": _address_type_match,
        "multiport": _multiport_match,
        "mark": lambda info, revision, packet: None,
        "comment": lambda info, revision, packet: True,
    }
    decide = judges.get(expression.text(1))
    try:
        return None if decide is None else decide(expression.attributes.get(3, b""), expression.number(2), packet)
    except (struct.error, IndexError):
        return None


def _tcp_match(info: bytes, revision: int, packet: Packet) -> bool | None:
    if packet.protocol != TCP:
        return False
    source_first, source_last, first, last = struct.unpack_from("=4H", info)
    option, mask, wanted, inverted = struct.unpack_from("=4B", info, 8)
    if (source_first, source_last) != (0, 0xFFFF) or option or (mask and packet.state != STATE_NEW):
        return None
    if mask and (SYN & mask == wanted) is bool(inverted & 4):
        return False
    if packet.port is None:
        return True if (first, last) == (0, 0xFFFF) else None
    return (first <= packet.port <= last) is not bool(inverted & 2)


def _state_match(info: bytes, revision: int, packet: Packet) -> bool | None:
    return bool(struct.unpack_from("=I", info)[0] & packet.state)


def _conntrack_match(info: bytes, revision: int, packet: Packet) -> bool | None:
    if revision == 0:
        return None
    flags, inverted = struct.unpack_from("=HH", info, 146)
    states = struct.unpack_from("=H", info, 150)[0] if revision >= 2 else info[150]
    if flags != 1:
        return None
    return bool(states & packet.state) is not bool(inverted & 1)


def _address_type_match(info: bytes, revision: int, packet: Packet) -> bool | None:
    source, destination = struct.unpack_from("=HH", info)
    flags = struct.unpack_from("=I", info, 4)[0]
    if revision == 0:
        flip_source, flip_destination = bool(flags), bool(struct.unpack_from("=I", info, 8)[0])
    else:
        flip_source, flip_destination = bool(flags & 1), bool(flags & 2)
        if flags & ~3:
            return None
    own = 1 << (2 if packet.hook == HOOK_INPUT else 1)
    if destination and bool(destination & own) is flip_destination:
        return False
    return not (source and bool(source & 1 << 1) is flip_source)


def _multiport_match(info: bytes, revision: int, packet: Packet) -> bool | None:
    if packet.protocol != TCP:
        return False
    flags, count = info[0], info[1]
    if flags != 1 or packet.port is None or revision != 1:
        return None
    ports = struct.unpack_from("=15H", info, 2)
    spans = info[32:47]
    inside = False
    number = 0
    while number < min(count, 15):
        last = ports[number + 1] if spans[number] and number < 14 else ports[number]
        inside = inside or ports[number] <= packet.port <= last
        number += 2 if spans[number] else 1
    return inside is not bool(info[47])


def judge_ip_part(data: bytes, packet: Packet) -> bool | None:
    """Judge the ``struct ipt_ip`` that every legacy rule begins with."""
    inverted = data[83]
    answers: list[bool | None] = []
    for place, address, flag in ((0, packet.source, 0x08), (4, packet.destination, 0x10)):
        wanted = int.from_bytes(data[place : place + 4], "big")
        mask = int.from_bytes(data[place + 8 : place + 12], "big")
        if mask:
            answers.append(None if address is None else (int(address) & mask == wanted) is not bool(inverted & flag))
    for place, name, flag in ((16, packet.incoming, 0x01), (32, packet.outgoing, 0x02)):
        wanted_name, mask_name = data[place : place + 16], data[place + 32 : place + 48]
        if any(mask_name):
            padded = name.encode().ljust(16, b"\0")
            same = all((a ^ b) & c == 0 for a, b, c in zip(padded, wanted_name, mask_name, strict=True))
            answers.append(same is not bool(inverted & flag))
    protocol = int.from_bytes(data[80:82], sys.byteorder)
    if protocol:
        answers.append((protocol == packet.protocol) is not bool(inverted & 0x40))
    if data[82] & 1:  # only later fragments
        return False
    if False in answers:
        return False
    return None if None in answers else True
