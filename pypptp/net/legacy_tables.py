"""The tables of iptables-legacy in this thread's namespace, in the shape of :mod:`pypptp.net.firewall`.

The kernel hands a table out as one block of entries that jump to each other by offset (``linux/netfilter_ipv4/
ip_tables.h``). To ask for a table makes the kernel register it, so only those are asked for that are there already.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pypptp.errors import NetworkError
from pypptp.net.firewall import ACCEPT, DROP, LEGACY, NFPROTO_IPV4, Chain, Expression, nested

NAMES: Final = Path("/proc/thread-self/net/ip_tables_names")
PRIORITIES: Final = {"raw": -300, "mangle": -150, "nat": 100, "filter": 0, "security": 50}
_GET_INFO: Final = 64
_GET_ENTRIES: Final = 65
_INFO: Final = struct.Struct("=32sI5I5III")
_ENTRIES_HEADER: Final = 40
_IP_PART: Final = 84
_ENTRY_LENGTH: Final = 112
_EXTENSION: Final = struct.Struct("=H29sB")
_EXTENSION_LENGTH: Final = 32
_HOOK_NAMES: Final = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")

IMMEDIATE: Final = "immediate"
_JUMP, _RETURN = -3, -5


@dataclass(frozen=True, slots=True)
class TableInfo:
    """What IPT_SO_GET_INFO says of a table.

    Attributes:
        name: the table's.
        hooks: offset of the first entry of each built-in chain, by hook number.
        size: octets of all entries.
    """

    name: str
    hooks: dict[int, int]
    size: int


def read_legacy_tables() -> list[Chain]:
    """Read every table that is there; none where the kernel has no such thing.

    Raises:
        NetworkError: not allowed to.
    """
    try:
        names = NAMES.read_text(encoding="ascii", errors="replace").split()
    except OSError:
        return []
    chains: list[Chain] = []
    try:
        for name in names:
            with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as asking:
                info = parse_info(_get(asking, _GET_INFO, name.encode().ljust(_INFO.size, b"\0")))
                request = struct.pack("=32sI", name.encode(), info.size).ljust(_ENTRIES_HEADER + info.size, b"\0")
                chains += parse_entries(info, _get(asking, _GET_ENTRIES, request)[_ENTRIES_HEADER:])
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EACCES):
            raise NetworkError("not allowed to read the iptables-legacy tables: run as root") from error
        raise NetworkError(f"cannot read the iptables-legacy tables: {error.strerror}") from error
    return chains


def parse_info(answer: bytes) -> TableInfo:
    """Read a ``struct ipt_getinfo``."""
    name, valid, *numbers = _INFO.unpack_from(answer)
    hooks = {hook: numbers[hook] for hook in range(5) if valid >> hook & 1}
    return TableInfo(name.split(b"\0")[0].decode("ascii", "replace"), hooks, numbers[11])


def parse_entries(info: TableInfo, data: bytes) -> list[Chain]:
    """Cut a table's entries into chains.

    A chain of a user begins behind an ERROR entry with its name; each chain ends with an unconditional entry, which in
    a built-in one is its policy.
    """
    heads = {offset: _HOOK_NAMES[hook] for hook, offset in info.hooks.items()}
    rules: dict[int, list[tuple[Expression, ...]]] = {}
    jumps: dict[int, str] = {}
    current = -1
    for offset, expressions in _entries(data):
        named = expressions[-1].text(1) if expressions and expressions[-1].name == "ERROR" else None
        if named is not None:
            current = offset + int.from_bytes(expressions[-1].attributes[2], "big")
            jumps[current] = named
            continue
        if offset in heads:
            current = offset
        rules.setdefault(current, []).append(expressions)
    names = jumps | heads
    hook_of = {offset: hook for hook, offset in info.hooks.items()}
    table = f"{LEGACY}{info.name}"
    found = []
    for offset, name in names.items():
        if offset not in rules:
            continue  # the entry that ends the table
        body = [_named(rule, names) for rule in rules.get(offset, [])]
        if offset not in hook_of:
            found.append(Chain(NFPROTO_IPV4, table, name, tuple(body)))
            continue
        policy = ACCEPT
        if body:
            policy = DROP if _verdict(body.pop()[-1]) == DROP else ACCEPT
        kind = "nat" if info.name == "nat" else "filter"
        hook = hook_of[offset]
        found.append(Chain(NFPROTO_IPV4, table, name, tuple(body), hook, PRIORITIES.get(info.name, 0), kind, policy))
    return found


def _entries(data: bytes) -> list[tuple[int, tuple[Expression, ...]]]:
    found = []
    offset = 0
    while offset + _ENTRY_LENGTH <= len(data):
        _, target, following = struct.unpack_from("=IHH", data, offset + _IP_PART)
        if following < _ENTRY_LENGTH or offset + following > len(data) or not _ENTRY_LENGTH <= target < following:
            break
        expressions = [Expression("ipt", {0: data[offset : offset + _IP_PART]})]
        position = offset + _ENTRY_LENGTH
        while position < offset + target:
            size, name, revision = _EXTENSION.unpack_from(data, position)
            if size < _EXTENSION_LENGTH:
                break
            expressions.append(
                _extension("match", name, revision, data[position + _EXTENSION_LENGTH : position + size])
            )
            position += size
        start = offset + target
        _, name, revision = _EXTENSION.unpack_from(data, start)
        info = data[start + _EXTENSION_LENGTH : offset + following]
        word = name.split(b"\0")[0]
        goes_there = bool(data[offset + 82] & 0x02)  # IPT_F_GOTO
        if word == b"ERROR":
            length = following.to_bytes(4, "big")
            expressions.append(Expression("ERROR", {1: info[:30], 2: length}))
        elif not word:
            expressions.append(_standard(int.from_bytes(info[:4], sys.byteorder, signed=True), goes_there=goes_there))
        else:
            expressions.append(_extension("target", name, revision, info))
        found.append((offset, tuple(expressions)))
        offset += following
    return found


def _extension(kind: str, name: bytes, revision: int, info: bytes) -> Expression:
    return Expression(kind, {1: name, 2: revision.to_bytes(4, "big"), 3: info})


def _standard(verdict: int, *, goes_there: bool) -> Expression:
    """Make of a standard target's number the ``immediate`` nftables would have; a jump keeps its offset for now."""
    if verdict >= 0:
        code = _JUMP - 1 if goes_there else _JUMP
        return _immediate(code, verdict.to_bytes(4, "big"))
    return _immediate(_RETURN if verdict == _RETURN else -verdict - 1)


def _immediate(code: int, chain: bytes = b"") -> Expression:
    attributes = [(1, code.to_bytes(4, "big", signed=True))] + ([(2, chain)] if chain else [])
    verdict = b"".join(
        struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4) for kind, value in attributes
    )
    return Expression(IMMEDIATE, {1: bytes(4), 2: struct.pack("=HH", 4 + len(verdict), 2) + verdict})


def _named(rule: tuple[Expression, ...], names: dict[int, str]) -> tuple[Expression, ...]:
    """Put a chain's name where a jump has its offset."""
    last = rule[-1]
    if last.name != IMMEDIATE:
        return rule
    verdict = nested(nested(last.attributes[2])[2])
    if 2 not in verdict:
        return rule
    name = names.get(int.from_bytes(verdict[2], "big"), "")
    code = int.from_bytes(verdict[1], "big", signed=True)
    return (*rule[:-1], _immediate(code, name.encode() + b"\0"))


def _verdict(expression: Expression) -> int | None:
    if expression.name != IMMEDIATE:
        return None
    return int.from_bytes(nested(nested(expression.attributes[2])[2])[1], "big", signed=True)


def _get(asking: socket.socket, option: int, request: bytes) -> bytes:
    """Call getsockopt with an argument, which Python's own cannot."""
    buffer = ctypes.create_string_buffer(request, len(request))
    length = ctypes.c_uint32(len(request))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.getsockopt(asking.fileno(), socket.IPPROTO_IP, option, buffer, ctypes.byref(length)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return buffer.raw[: length.value]
