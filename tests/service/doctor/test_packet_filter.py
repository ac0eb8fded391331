from __future__ import annotations

import struct
from ipaddress import IPv4Address
from typing import Any

import pytest

from pypptp.net.firewall import DROP, HOOK_FORWARD, HOOK_INPUT, NFPROTO_IPV4, Chain, Expression, Ruleset
from pypptp.service.doctor.packet_filter import (
    GRE,
    STATE_ESTABLISHED,
    STATE_RELATED,
    TCP,
    Packet,
    judge,
)

from .recorded import ruleset

SSH = Packet(hook=HOOK_INPUT, protocol=TCP, incoming="eth0", port=22)


def tcp(port: int, **changes: object) -> Packet:
    return Packet(**{"hook": HOOK_INPUT, "protocol": TCP, "incoming": "eth0", "port": port} | changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["ufw", "ufw-legacy"])
@pytest.mark.parametrize(
    ("packet", "passes"),
    [
        (tcp(22), True),
        (tcp(443), True),  # multiport
        (tcp(1723), False),
        (tcp(1723, state=STATE_ESTABLISHED), True),
        (tcp(1723, incoming="lo"), True),
        (Packet(hook=HOOK_INPUT, protocol=GRE, incoming="eth0"), False),
        (Packet(hook=HOOK_INPUT, protocol=GRE, incoming="eth0", state=STATE_RELATED), True),
        (Packet(hook=HOOK_FORWARD, protocol=TCP, incoming="ppp0", outgoing="eth0"), False),
    ],
)
def test_ufw(name: str, packet: Packet, passes: bool) -> None:
    assert judge(ruleset(name), packet).passes is passes


@pytest.mark.parametrize("name", ["docker", "docker-legacy"])
@pytest.mark.parametrize(
    ("incoming", "outgoing", "state", "passes"),
    [
        ("ppp0", "eth0", 8, False),
        ("docker0", "eth0", 8, True),
        ("eth0", "docker0", 8, False),
        ("eth0", "docker0", STATE_ESTABLISHED, True),
        ("docker0", "docker0", 8, True),
    ],
)
def test_docker(name: str, incoming: str, outgoing: str, state: int, passes: bool) -> None:
    packet = Packet(hook=HOOK_FORWARD, protocol=TCP, incoming=incoming, outgoing=outgoing, state=state)
    judged = judge(ruleset(name), packet)
    assert judged.passes is passes
    if not passes:
        assert judged.chain is not None
        assert (judged.chain.name, judged.how, judged.by_policy) == ("FORWARD", "drops", True)


@pytest.mark.parametrize(
    ("packet", "passes"),
    [
        (tcp(22), True),
        (tcp(1723), True),  # in an interval
        (tcp(2001), False),
        (tcp(999), False),
        (tcp(3000), True),
        (tcp(80, incoming="lo"), True),
        (tcp(80, incoming="docker0"), False),  # by a map of verdicts
        (tcp(80, state=STATE_ESTABLISHED), True),
        (Packet(hook=HOOK_INPUT, protocol=GRE, incoming="eth0"), False),
        (Packet(hook=HOOK_FORWARD, protocol=TCP, incoming="eth0", outgoing="eth0"), True),
        (Packet(hook=HOOK_FORWARD, protocol=TCP, incoming="ppp0", outgoing="eth0"), False),
    ],
)
def test_firewalld(packet: Packet, passes: bool) -> None:
    judged = judge(ruleset("firewalld"), packet)
    assert judged.passes is passes
    assert judged.how == ("" if passes else "rejects")


def test_nothing_there_lets_all_through() -> None:
    assert judge(Ruleset(), SSH).passes is True


def test_what_is_not_read_makes_it_uncertain() -> None:
    judged = judge(Ruleset(unread=("there is an ingress chain",)), SSH)
    assert (judged.passes, judged.why) == (None, "there is an ingress chain")


def verdict(code: int, target: str = "") -> Expression:
    parts = struct.pack("=HH4s", 8, 1, code.to_bytes(4, "big", signed=True))
    if target:
        name = target.encode() + b"\0"
        parts += struct.pack("=HH", 4 + len(name), 2) + name + bytes(-len(name) % 4)
    return Expression("immediate", {1: bytes(4), 2: struct.pack("=HH", 4 + len(parts), 2) + parts})


UNKNOWN = Expression("match", {1: b"recent\0", 2: bytes(4), 3: b""})
ACCEPT_IT, DROP_IT, RETURN_IT = verdict(1), verdict(0), verdict(-5)


def chains(*rules: tuple[Expression, ...], policy: int = 1, **others: tuple[tuple[Expression, ...], ...]) -> Ruleset:
    made = [Chain(NFPROTO_IPV4, "t", "base", rules, HOOK_INPUT, 0, "filter", policy)]
    made += [Chain(NFPROTO_IPV4, "t", name, body) for name, body in others.items()]
    return Ruleset(tuple(made))


def test_an_unknown_match_goes_both_ways() -> None:
    judged = judge(chains((UNKNOWN, DROP_IT)), SSH)
    assert judged.passes is None
    assert judged.why == "chain base of table ip t has a rule with the match 'recent', which is not worked out here"


def test_an_unknown_match_does_not_matter_where_all_ways_end_alike() -> None:
    assert judge(chains((UNKNOWN, DROP_IT), policy=DROP), SSH).passes is False
    assert judge(chains((UNKNOWN, ACCEPT_IT)), SSH).passes is True
    assert judge(chains((UNKNOWN, verdict(-3, "user")), user=((RETURN_IT,),)), SSH).passes is True


def test_jump_returns_and_goto_does_not() -> None:
    jump = chains((verdict(-3, "user"),), (DROP_IT,), user=())
    goto = chains((verdict(-4, "user"),), (DROP_IT,), user=())
    assert judge(jump, SSH).passes is False
    assert judge(goto, SSH).passes is True


def test_a_loop_of_jumps_ends() -> None:
    assert judge(chains((verdict(-3, "user"),), user=((verdict(-3, "user"),),)), SSH).passes is None


def test_a_tree_of_jumps_ends() -> None:
    leaves: dict[str, Any] = {"c12": ((UNKNOWN,),)}
    leaves |= {f"c{number}": ((verdict(-3, f"c{number + 1}"),),) * 20 for number in range(12)}
    assert judge(chains((verdict(-3, "c0"),), **leaves), SSH).passes is None


def test_every_chain_of_the_hook_has_its_say() -> None:
    first = chains((ACCEPT_IT,)).chains
    second = Chain(NFPROTO_IPV4, "u", "late", ((DROP_IT,),), HOOK_INPUT, 10, "filter")
    judged = judge(Ruleset((*first, second)), SSH)
    assert (judged.passes, judged.chain) == (False, second)


def test_userspace_decides() -> None:
    assert judge(chains((Expression("queue", {}),)), SSH).passes is None


def test_an_address_that_is_not_known() -> None:
    load = Expression("payload", {n: v.to_bytes(4, "big") for n, v in {1: 1, 2: 1, 3: 12, 4: 4}.items()})
    data = struct.pack("=HH4s", 8, 1, IPv4Address("10.0.0.1").packed)
    compare = Expression("cmp", {1: (1).to_bytes(4, "big"), 2: bytes(4), 3: data})
    rules = chains((load, compare, DROP_IT))
    assert judge(rules, SSH).passes is None
    assert judge(rules, tcp(22, source=IPv4Address("10.0.0.1"))).passes is False
    assert judge(rules, tcp(22, source=IPv4Address("10.0.0.2"))).passes is True
