"""What a session is, in the words of a log line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from pypptp.ppp.events import Encryption, NetworkUp
from pypptp.session import SessionCounters

_NO_METHOD = "no authentication"


def describe_encryption(encryption: Encryption | None) -> str:
    """Return for example ``MPPE 128-bit stateless``."""
    if encryption is None:
        return "not encrypted"
    return f"MPPE {encryption.strength:d}-bit {'stateless' if encryption.stateless else 'stateful'}"


def describe_network(network: NetworkUp, interface: str) -> str:
    """Return who is at either end, through what, and how it is protected."""
    method = network.method.value if network.method else _NO_METHOD
    return (
        f"{interface}, local {network.local}, remote {network.peer}, {method}, "
        f"{describe_encryption(network.encryption)}, mtu {network.mtu}"
        f"{''.join(f', dns {server}' for server in network.dns)}"
    )


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """What ``describe_network`` said, read back.

    Attributes:
        interface: name of the TUN.
        local: its own inner address.
        peer: the other end's.
        method: how it was logged in, empty where no proof was asked for.
        strength: MPPE key length in bits, None in clear.
        stateless: whether the MPPE key changes with every packet.
        mtu: octets of the largest inner packet.
    """

    interface: str
    local: IPv4Address
    peer: IPv4Address
    method: str
    strength: int | None
    stateless: bool
    mtu: int


_NETWORK = re.compile(
    r"\bup: (?P<interface>\S+), local (?P<local>[\d.]+), remote (?P<peer>[\d.]+), (?P<method>[\w -]+), "
    r"(?:not encrypted|MPPE (?P<strength>\d+)-bit (?P<state>stateless|stateful)), mtu (?P<mtu>\d+)(?:, dns [\d.]+)*$"
)


def parse_network(line: str) -> NetworkFacts | None:
    """Read the line of a client's or a server's log that says that a tunnel is up; None for any other line."""
    match = _NETWORK.search(line)
    if match is None:
        return None
    try:
        local, peer = IPv4Address(match["local"]), IPv4Address(match["peer"])
    except ValueError:
        return None
    return NetworkFacts(
        interface=match["interface"],
        local=local,
        peer=peer,
        method="" if match["method"] == _NO_METHOD else match["method"],
        strength=int(match["strength"]) if match["strength"] else None,
        stateless=match["state"] == "stateless",
        mtu=int(match["mtu"]),
    )


_PASSED = frozenset(
    {
        *("packets_in", "octets_in", "packets_out", "octets_out"),
        *("sent", "received", "acks_sent", "acks_piggybacked", "acks_received", "ack_timeouts", "queued", "empty"),
        *("wake_ups", "batches_in", "datagrams_in", "batches_out", "datagrams_out"),
    }
)
"""Counters of what went well, or costs nobody anything: acknowledgements are late as a rule. The others count what was
refused, lost or given up."""


def refusals(book: Mapping[str, int]) -> dict[str, int]:
    """Return what of a book counts what did not pass, and is not zero."""
    return {name: count for name, count in book.items() if count and name not in _PASSED}


def describe_refusals(book: Mapping[str, int]) -> str:
    """Return what a book counts that did not pass, ``late 3, tun full 1``, or the empty string where all did."""
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in refusals(book).items())


def describe_traffic(counters: SessionCounters, seconds: float) -> str:
    """Return how long a session lasted and what passed."""
    return (
        f"{seconds:.0f} s, in {counters.packets_in} packets {counters.octets_in} octets, "
        f"out {counters.packets_out} packets {counters.octets_out} octets"
    )
