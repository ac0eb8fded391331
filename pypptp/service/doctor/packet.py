"""A packet that is not sent: what a packet filter is asked about."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

TCP: Final = 6
GRE: Final = 47

STATE_ESTABLISHED: Final = 2
STATE_RELATED: Final = 4
STATE_NEW: Final = 8

SYN: Final = 0x02
"""The flag of a connection's first segment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """A packet that is not sent.

    Attributes:
        hook: where it passes: HOOK_INPUT, HOOK_FORWARD or HOOK_OUTPUT.
        protocol: TCP, GRE or another.
        incoming: name of the interface it comes by, empty for one made here.
        outgoing: name of the interface it leaves by, empty for one to this machine.
        source: its source address, None for whoever.
        destination: its destination address, None for wherever.
        port: TCP or UDP port it goes to, None for any.
        state: what connection tracking thinks of it, STATE_NEW or STATE_ESTABLISHED.
    """

    hook: int
    protocol: int
    incoming: str = ""
    outgoing: str = ""
    source: IPv4Address | None = None
    destination: IPv4Address | None = None
    port: int | None = None
    state: int = STATE_NEW
