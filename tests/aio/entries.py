"""Sessions as a server tells of them, for those who keep lists."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address
from typing import Any

from pypptp.aio.register import SessionEnd, SessionEntry

_ALICE = SessionEntry(
    call_id=1,
    user="alice",
    peer=IPv4Address("10.0.0.9"),
    local=IPv4Address("192.168.0.1"),
    address=IPv4Address("192.168.0.50"),
    interface="ppp0",
    since=5.0,
    method="MS-CHAPv2",
    encryption="MPPE 128-bit stateless",
    mtu=1400,
    dns=(),
)


def session_entry(call_id: int = 1, **changes: Any) -> SessionEntry:
    """Alice's session, but for what is said to be different."""
    return dataclasses.replace(_ALICE, call_id=call_id, **changes)


def session_end(call_id: int = 1, reason: str = "the user asked for it") -> SessionEnd:
    """How it ended."""
    return SessionEnd(
        call_id=call_id, reason=reason, seconds=2.5, packets_in=3, octets_in=300, packets_out=4, octets_out=400
    )
