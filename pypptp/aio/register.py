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
        address: the inner address it was given.
        interface: name of its TUN.
        since: when it was connected, by CLOCK_MONOTONIC, which all processes of a machine share.
    """

    call_id: int
    user: str
    peer: IPv4Address
    address: IPv4Address
    interface: str
    since: float


class Watcher(Protocol):
    """Who wants to know what becomes of a server's connections and sessions."""

    def session_up(self, entry: SessionEntry) -> None:
        """A session's network is up; said again where something of it has changed."""
        ...

    def session_down(self, call_id: int) -> None:
        """A session that was up has ended."""
        ...

    def connection_closed(self) -> None:
        """A control connection has ended."""
        ...
