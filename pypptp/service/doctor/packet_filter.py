"""What a packet filter does to a packet, worked out from its rules without sending one.

Every step has three answers: yes, no, and "cannot tell" for a match this does not know, an address that is not known,
a rate limit. What cannot be told goes both ways, and only where all ways end alike is there a verdict.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from pypptp.net.firewall import (
    ACCEPT,
    DROP,
    HOOK_INPUT,
    NFPROTO_INET,
    NFPROTO_IPV4,
    NFPROTO_NETDEV,
    Chain,
    Expression,
    Ruleset,
    Set,
    nested,
)
from pypptp.service.doctor.iptables_matches import judge_ip_part, judge_match
from pypptp.service.doctor.packet import GRE, STATE_ESTABLISHED, STATE_NEW, STATE_RELATED, SYN, TCP, Packet

_MOST_STEPS: Final = 200_000
"""Rules looked at for one packet, jumps followed: the kernel forbids loops, but a tree of jumps can be large."""
_DEEPEST: Final = 16
_GOTO: Final = -4


@dataclass(frozen=True, slots=True)
class Judgement:
    """What becomes of a packet.

    Attributes:
        passes: True or False; None where it cannot be told.
        chain: the chain that stops it, or may.
        how: ``drops`` or ``rejects``, empty where nothing stops it.
        by_policy: it is stopped because no rule lets it through.
        why: what keeps the verdict from being certain, in words.
    """

    passes: bool | None
    chain: Chain | None = None
    how: str = ""
    by_policy: bool = False
    why: str = ""


def judge(ruleset: Ruleset, packet: Packet) -> Judgement:
    """Send a packet through all chains of its hook, in the order the kernel has them."""
    maybe: Judgement | None = None
    for chain in base_chains(ruleset, packet.hook):
        walk = _Walk(ruleset, packet)
        ends = walk.through(chain)
        stops = [end for end in ends if not end.accepted]
        if not stops:
            continue
        first = stops[0]
        if all(not end.accepted for end in ends):
            return Judgement(False, chain, first.how, by_policy=first.by_policy)
        maybe = maybe or Judgement(None, chain, first.how, by_policy=first.by_policy, why=walk.unclear)
    if maybe is not None:
        return maybe
    if ruleset.unread:
        return Judgement(None, why=ruleset.unread[0])
    return Judgement(True)


def base_chains(ruleset: Ruleset, hook: int) -> list[Chain]:
    """List the filtering chains that IPv4 packets pass at a hook, in their order."""
    found = [
        chain
        for chain in ruleset.chains
        if chain.hook == hook and chain.family in (NFPROTO_INET, NFPROTO_IPV4) and chain.kind != "nat"
    ]
    return sorted(found, key=lambda chain: chain.priority)


def ingress_chains(ruleset: Ruleset) -> list[Chain]:
    """List the chains that packets pass right behind the network card; they are not judged."""
    return [chain for chain in ruleset.chains if chain.family == NFPROTO_NETDEV and chain.hook is not None]


@dataclass(frozen=True, slots=True)
class _End:
    accepted: bool
    how: str = ""
    by_policy: bool = False


class _Verdict(Enum):
    """What a rule does that is no jump."""

    ACCEPT = "accepts"
    DROP = "drops"
    REJECT = "rejects"
    RETURN = "returns"
    UNKNOWN = "is unknown"


Outcome = _Verdict | tuple[int, str] | None


class _Walk:
    """One packet's way through one base chain."""

    def __init__(self, ruleset: Ruleset, packet: Packet) -> None:
        self._ruleset = ruleset
        self._packet = packet
        self._steps = 0
        self._mark: bytes | None = bytes(4)
        self.unclear = ""

    def through(self, chain: Chain) -> list[_End]:
        found = self._walk(chain, 0)
        ends = []
        if _Verdict.DROP in found:
            ends.append(_End(accepted=False, how="drops"))
        if _Verdict.REJECT in found:
            ends.append(_End(accepted=False, how="rejects"))
        if _Verdict.ACCEPT in found:
            ends.append(_End(accepted=True))
        if _Verdict.UNKNOWN in found:
            ends += [_End(accepted=True), _End(accepted=False, how="may stop")]
        if _Verdict.RETURN in found:
            ends.append(
                _End(accepted=True) if chain.policy == ACCEPT else _End(accepted=False, how="drops", by_policy=True)
            )
        return ends

    def _walk(self, chain: Chain, depth: int) -> set[_Verdict]:
        """Return all verdicts that are possible; RETURN where the end of the chain may be reached."""
        found: set[_Verdict] = set()
        if depth > _DEEPEST:
            self._note("the rules jump too deep")
            return {_Verdict.UNKNOWN}
        for rule in chain.rules:
            self._steps += 1
            if self._steps > _MOST_STEPS:
                self._note("there are too many rules")
                return found | {_Verdict.UNKNOWN}
            matched, outcome = self._rule(chain, rule)
            if matched is False or outcome is None:
                continue
            results = self._follow(chain, outcome, depth)
            goes_on = _Verdict.RETURN in results
            if isinstance(outcome, tuple) and outcome[0] == _GOTO:
                goes_on = False
            elif isinstance(outcome, tuple):
                results = results - {_Verdict.RETURN}
            else:
                goes_on = False
            if matched is None:
                # A rule that may or may not hold changes nothing where the chain goes on alike.
                if not results:
                    continue
                goes_on = True
            found |= results
            if not goes_on:
                return found
        return found | {_Verdict.RETURN}

    def _follow(self, chain: Chain, outcome: _Verdict | tuple[int, str], depth: int) -> set[_Verdict]:
        if isinstance(outcome, _Verdict):
            return {outcome}
        target = next(
            (
                other
                for other in self._ruleset.chains
                if other.name == outcome[1] and other.table == chain.table and other.family == chain.family
            ),
            None,
        )
        if target is None:
            self._note(f"there is no chain {outcome[1]}")
            return {_Verdict.UNKNOWN}
        return self._walk(target, depth + 1)

    def _note(self, why: str) -> None:
        self.unclear = self.unclear or why

    def _rule(self, chain: Chain, rule: Iterable[Expression]) -> tuple[bool | None, Outcome]:
        """Return whether the rule holds, and what it does then."""
        registers = _Registers()
        matched: bool | None = True
        unclear = ""
        for expression in rule:
            if expression.name in _TERMINAL:
                return self._told(matched, unclear, chain), _TERMINAL[expression.name]
            if expression.name == "immediate" and expression.number(1) == 0:
                return self._told(matched, unclear, chain), _verdict_of(nested(expression.attributes.get(2, b"")))
            if expression.name == "target":
                outcome = _TARGETS.get(expression.text(1), _Verdict.UNKNOWN)
                if expression.text(1) in ("MARK", "CONNMARK"):
                    self._mark = None
                if outcome is _Verdict.UNKNOWN:
                    unclear = unclear or f"the target {expression.text(1)}"
                    self._told(None, unclear, chain)
                return self._told(matched, unclear, chain) if outcome else matched, outcome
            if expression.name == "lookup" and 3 in expression.attributes and expression.number(3) == 0:
                holds, verdict = self._verdict_map(chain, expression, registers)
                if holds is None:
                    self._told(None, "a map of verdicts", chain)
                    return matched, _Verdict.UNKNOWN
                return (self._told(matched, unclear, chain) if holds else False), verdict
            holds = self._holds(chain, expression, registers)
            if holds is False:
                return False, None
            if holds is None:
                matched = None
                unclear = unclear or _words(expression)
        return matched, None

    def _told(self, matched: bool | None, unclear: str, chain: Chain) -> bool | None:
        if matched is None:
            self._note(f"{chain.title} has a rule with {unclear}, which is not worked out here")
        return matched

    def _holds(self, chain: Chain, expression: Expression, registers: _Registers) -> bool | None:
        match expression.name:
            case "ipt":
                return judge_ip_part(expression.attributes[0], self._packet)
            case "match":
                return judge_match(expression, self._packet)
            case "meta":
                if 3 in expression.attributes:
                    if expression.number(2) == 3:
                        self._mark = None
                else:
                    registers.store(expression.number(1), self._meta(expression.number(2)))
            case "payload":
                if 1 in expression.attributes:
                    value = _payload(expression, self._packet)
                    registers.store(expression.number(1), value, length=expression.number(4))
            case "ct":
                if 1 in expression.attributes:
                    registers.store(expression.number(1), self._ct(expression.number(2)), length=16)
            case "fib":
                registers.store(expression.number(1), _fib(expression, self._packet), length=16)
            case "immediate":
                data = nested(expression.attributes.get(2, b"")).get(1, b"")
                registers.store(expression.number(1), data)
            case "bitwise":
                return _bitwise(expression, registers)
            case "byteorder":
                _byteorder(expression, registers)
            case "cmp":
                return _compare(expression, registers)
            case "range":
                return _range(expression, registers)
            case "lookup":
                return self._lookup(chain, expression, registers)
            case name if name in _WITHOUT_EFFECT:
                return True
            case _:
                registers.forget()
                return None
        return True

    def _meta(self, key: int) -> bytes | None:
        packet = self._packet
        match key:
            case 1:
                return b"\x08\x00"
            case 3:
                return self._mark
            case 4 | 5:
                name = packet.incoming if key == 4 else packet.outgoing
                return _index(name)
            case 6 | 7:
                return (packet.incoming if key == 6 else packet.outgoing).encode().ljust(16, b"\0")
            case 15:
                return bytes([NFPROTO_IPV4])
            case 16:
                return bytes([packet.protocol])
            case 19:
                return bytes(1)  # PACKET_HOST
            case _:
                return None

    def _ct(self, key: int) -> bytes | None:
        match key:
            case 0:
                return _host(self._packet.state)
            case 2 if self._packet.state == STATE_NEW:
                return bytes(4)  # nobody has put another address into it
            case _:
                return None

    def _lookup(self, chain: Chain, expression: Expression, registers: _Registers) -> bool | None:
        found = self._set(chain, expression)
        if 3 in expression.attributes:
            registers.store(expression.number(3), None, length=16)
        inverted = bool(expression.number(5) & 1)
        if found is None:
            return None
        element = _find(found, registers, expression.number(2))
        return None if element is None else (element is not False) is not inverted

    def _verdict_map(self, chain: Chain, expression: Expression, registers: _Registers) -> tuple[bool | None, Outcome]:
        found = self._set(chain, expression)
        element = None if found is None else _find(found, registers, expression.number(2))
        if element is None:
            return None, None
        if element is False:
            return False, None
        return True, _verdict_of({} if element is True else element)

    def _set(self, chain: Chain, expression: Expression) -> Set | None:
        return self._ruleset.sets.get((chain.family, chain.table, expression.text(1)))


@dataclass(slots=True)
class _Registers:
    """The kernel's 16 registers of four octets; register 1 to 4 of the old count are four of them each."""

    words: dict[int, bytes | None] = field(default_factory=dict)

    def store(self, register: int, value: bytes | None, *, length: int = 0) -> None:
        count = -(-max(length, len(value or b"")) // 4) or 1
        for number in range(count):
            piece = None if value is None else value[4 * number : 4 * number + 4].ljust(4, b"\0")
            self.words[_slot(register) + number] = piece

    def load(self, register: int, length: int) -> bytes | None:
        pieces = [self.words.get(_slot(register) + number) for number in range(-(-length // 4) or 1)]
        known = [piece for piece in pieces if piece is not None]
        return b"".join(known)[:length] if len(known) == len(pieces) else None

    def forget(self) -> None:
        self.words.clear()


def _slot(register: int) -> int:
    return register * 4 if register < 8 else register - 4


def _host(number: int) -> bytes:
    return number.to_bytes(4, sys.byteorder)


def _index(name: str) -> bytes | None:
    try:
        return _host(socket.if_nametoindex(name)) if name else bytes(4)
    except OSError:
        return None


def _payload(expression: Expression, packet: Packet) -> bytes | None:
    base, offset, length = expression.number(2), expression.number(3), expression.number(4)
    if base == 1:
        if (offset, length) == (9, 1):
            return bytes([packet.protocol])
        source, destination = packet.source, packet.destination
        for address, place in ((source, 12), (destination, 16)):
            if offset >= place and offset + length <= place + 4 and address is not None:
                return address.packed[offset - place : offset - place + length]
        if (offset, length) == (12, 8) and source is not None and destination is not None:
            return source.packed + destination.packed
        return None
    if base == 2 and packet.protocol == TCP:
        if (offset, length) == (2, 2) and packet.port is not None:
            return packet.port.to_bytes(2, "big")
        if (offset, length) == (13, 1) and packet.state == STATE_NEW:
            return bytes([SYN])
    return None


def _fib(expression: Expression, packet: Packet) -> bytes | None:
    if expression.number(2) != 3:  # the type of an address
        return None
    if expression.number(3) & 2:
        return _host(2 if packet.hook == HOOK_INPUT else 1)  # RTN_LOCAL, RTN_UNICAST
    return _host(1) if packet.incoming else None


def _data(expression: Expression, attribute: int) -> bytes:
    return nested(expression.attributes.get(attribute, b"")).get(1, b"")


def _bitwise(expression: Expression, registers: _Registers) -> bool | None:
    length = expression.number(3)
    value = registers.load(expression.number(1), length)
    if expression.number(6):  # a shift, or two registers
        registers.store(expression.number(2), None, length=length)
        return True
    mask, flip = _data(expression, 4), _data(expression, 5)
    if value is not None:
        value = bytes(octet & kept ^ changed for octet, kept, changed in zip(value, mask, flip, strict=False))
    registers.store(expression.number(2), value, length=length)
    return True


def _byteorder(expression: Expression, registers: _Registers) -> None:
    length, size = expression.number(4), expression.number(5) or 1
    value = registers.load(expression.number(1), length)
    if value is not None and sys.byteorder == "little":
        value = b"".join(value[start : start + size][::-1] for start in range(0, length, size))
    registers.store(expression.number(2), value, length=length)


def _compare(expression: Expression, registers: _Registers) -> bool | None:
    data = _data(expression, 3)
    value = registers.load(expression.number(1), len(data))
    if value is None:
        return None
    comparisons: tuple[Callable[[bytes, bytes], bool], ...] = (
        lambda a, b: a == b,
        lambda a, b: a != b,
        lambda a, b: a < b,
        lambda a, b: a <= b,
        lambda a, b: a > b,
        lambda a, b: a >= b,
    )
    operation = expression.number(2)
    return comparisons[operation](value, data) if operation < len(comparisons) else None


def _range(expression: Expression, registers: _Registers) -> bool | None:
    first, last = _data(expression, 3), _data(expression, 4)
    value = registers.load(expression.number(1), len(first))
    return None if value is None else (first <= value <= last) is not bool(expression.number(2))


def _find(found: Set, registers: _Registers, register: int) -> Mapping[int, bytes] | bool | None:
    """Look a register up: the element's data (True where it is no map), False where there is none."""
    if not found.elements:
        return False
    value = registers.load(register, max(len(element.key) for element in found.elements))
    if value is None:
        return None
    caught: Mapping[int, bytes] | bool = False
    edges = []
    for element in found.elements:
        if element.catchall:
            caught = element.data or True
        elif element.key_end:
            if element.key <= value <= element.key_end:
                return None  # a range of several fields at once: octets in order do not tell
        elif found.interval:
            edges.append((element.key, not element.end, element.data))
        elif element.key == value:
            return element.data or True
    below = [edge for edge in edges if edge[0] <= value]
    if below:
        _, begins, data = max(below, key=lambda edge: edge[:2])
        if begins:
            return data or True
    return caught


def _verdict_of(data: Mapping[int, bytes]) -> Outcome:
    verdict = nested(data.get(2, b""))
    code = int.from_bytes(verdict.get(1, b""), "big", signed=True)
    match code:
        case 0:
            return _Verdict.DROP
        case 1:
            return _Verdict.ACCEPT
        case -1 | -2:
            return None
        case -5:
            return _Verdict.RETURN
        case -3 | -4:
            return code, verdict.get(2, b"").split(b"\0")[0].decode("utf-8", "replace")
        case _:
            return _Verdict.UNKNOWN


_TERMINAL: Final[Mapping[str, _Verdict]] = {
    "reject": _Verdict.REJECT,
    "queue": _Verdict.UNKNOWN,
    "synproxy": _Verdict.UNKNOWN,
    "tproxy": _Verdict.UNKNOWN,
    "fwd": _Verdict.UNKNOWN,
}

_WITHOUT_EFFECT: Final = frozenset({"counter", "log", "last", "notrack", "dup", "objref", "comment"})

_TARGETS: Final[Mapping[str, _Verdict | None]] = {
    "REJECT": _Verdict.REJECT,
    "DROP": _Verdict.DROP,
    "ACCEPT": _Verdict.ACCEPT,
    **dict.fromkeys(("LOG", "NFLOG", "ULOG", "CT", "NOTRACK", "TCPMSS", "CLASSIFY", "TRACE", "AUDIT", "TTL", "SET")),
    **dict.fromkeys(("MARK", "CONNMARK", "CONNSECMARK", "SECMARK", "DSCP", "TOS", "CHECKSUM", "LED", "RATEEST")),
}
"""None: the packet goes on. Any other name is unknown."""


def _words(expression: Expression) -> str:
    if expression.name == "match":
        return f"the match '{expression.text(1)}'"
    return (
        "an address or a property the packet may have or not"
        if expression.name in _COMPARISONS
        else (f"'{expression.name}'")
    )


_COMPARISONS: Final = frozenset({"cmp", "range", "lookup", "ipt"})


__all__ = [
    "ACCEPT",
    "DROP",
    "GRE",
    "STATE_ESTABLISHED",
    "STATE_NEW",
    "STATE_RELATED",
    "TCP",
    "Judgement",
    "Packet",
    "base_chains",
    "ingress_chains",
    "judge",
]
