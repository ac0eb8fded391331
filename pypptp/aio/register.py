"""Who is connected: what a server tells of its sessions to whoever keeps the list."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEntry:
    """One session whose network is up.

    Attributes:
        call_id: our call id, unique in all processes of a server.
        user: the name it logged in with, escaped; empty where no proof was asked for.
        peer: the outer address it comes from.
        local: the server's end of the tunnel, an inner address.
        address: the inner address it was given.
        interface: name of its TUN.
        since: when it was connected, by CLOCK_MONOTONIC, which all processes of a machine share.
        method: how it was logged in, in the words of the log; empty where no proof was asked for.
        encryption: how its packets are protected, in the words of the log.
        mtu: octets of the largest packet to it.
        dns: name servers it was told of.
    """

    call_id: int
    user: str
    peer: IPv4Address
    local: IPv4Address
    address: IPv4Address
    interface: str
    since: float
    method: str
    encryption: str
    mtu: int
    dns: tuple[IPv4Address, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnd:
    """How a session that was up has ended. Packets are seen from the server: in is from the client.

    Attributes:
        call_id: our call id.
        reason: why, in words for a person.
        seconds: how long it was connected.
        packets_in: packets from the client that were handed on.
        octets_in: their octets, without any header of the tunnel.
        packets_out: packets sent to the client.
        octets_out: their octets.
    """

    call_id: int
    reason: str
    seconds: float
    packets_in: int = 0
    octets_in: int = 0
    packets_out: int = 0
    octets_out: int = 0


class Watcher(Protocol):
    """Who wants to know what becomes of a server's connections and sessions."""

    def session_up(self, entry: SessionEntry) -> None:
        """A session's network is up; said again where something of it has changed."""
        ...

    def session_down(self, end: SessionEnd) -> None:
        """A session that was up has ended. Of one whose worker was killed nobody knows what had passed: zeros."""
        ...

    def connection_closed(self) -> None:
        """A control connection has ended."""
        ...
