"""What a client is doing, for those who ask: ``pypptp status``, the service manager, hooks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pypptp.aio.words import describe_encryption
from pypptp.causes import Cause
from pypptp.ppp.events import NetworkUp


class Doing(StrEnum):
    """What a client is doing."""

    DIALLING = "dialling"
    CONNECTED = "connected"
    WAITING = "waiting"
    """For the next try, see ``next_try``."""
    LISTENING = "listening"
    """For a packet to dial for."""
    STOPPING = "stopping"


@dataclass(slots=True)
class ClientState:
    """The state of one client. Times are seconds since 1970.

    Attributes:
        server: as it was named.
        user: who logs in.
        doing: what it is doing.
        since: since when.
        tries: connections begun since packets could last pass, the present one included.
        sessions: how often packets could pass.
        failure: why the last connection failed or ended, as a sentence; empty where none did.
        cause: the same for programs.
        next_try: when it dials again, None where it does not wait for that.
        interface: name of the TUN, empty while there is none.
        network: what was agreed, None while packets cannot pass.
        clock: the time.
        counters: reads the session's counters, by name.
    """

    server: str
    user: str
    doing: Doing = Doing.DIALLING
    since: float = 0.0
    tries: int = 0
    sessions: int = 0
    failure: str = ""
    cause: Cause | None = None
    next_try: float | None = None
    interface: str = ""
    network: NetworkUp | None = None
    clock: Callable[[], float] = time.time
    counters: Callable[[], Mapping[str, int]] = field(default=dict)

    def __post_init__(self) -> None:
        self.since = self.clock()

    def dialling(self) -> None:
        """A connection is begun."""
        self.tries += 1
        self._now(Doing.DIALLING)

    def connected(self, network: NetworkUp, interface: str) -> None:
        """Packets can pass."""
        self.tries = 0
        self.network, self.interface = network, interface
        # Unless the link was only negotiated anew.
        if self.doing is not Doing.CONNECTED:
            self.sessions += 1
            self._now(Doing.CONNECTED)

    def failed(self, sentence: str, cause: Cause) -> None:
        """The connection failed, or ended."""
        self.failure, self.cause = sentence, cause
        self.network = None

    def waiting(self, delay: float) -> None:
        """The next connection is begun after so many seconds, or before."""
        self._now(Doing.WAITING)
        self.next_try = self.since + delay

    def listening(self, interface: str) -> None:
        """The next packet begins a connection."""
        self.interface = interface
        self._now(Doing.LISTENING)

    def stopping(self) -> None:
        """It was told to stop."""
        self._now(Doing.STOPPING)

    def describe(self) -> str:
        """Return one line for people."""
        if self.doing is Doing.CONNECTED and self.network is not None:
            return f"connected to {self.server}, {self.interface} {self.network.local}"
        match self.doing:
            case Doing.DIALLING:
                line = f"connecting to {self.server}"
            case Doing.WAITING:
                left = max(0.0, (self.next_try or self.since) - self.clock())
                line = f"dialling {self.server} again in {left:.0f} s"
            case Doing.LISTENING:
                line = f"{self.interface} waits for a packet to {self.server}"
            case _:
                line = f"disconnecting from {self.server}"
        return f"{line}; last failure: {self.failure}" if self.failure else line

    def report(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        network = self.network
        return {
            "server": self.server,
            "user": self.user,
            "state": self.doing.value,
            "since": round(self.since, 3),
            "interface": self.interface,
            "local": str(network.local) if network else None,
            "peer": str(network.peer) if network else None,
            "mtu": network.mtu if network else None,
            "dns": [str(server) for server in network.dns] if network else [],
            "method": network.method.value if network and network.method else "",
            "encryption": describe_encryption(network.encryption) if network else None,
            "counters": dict(self.counters()),
            "tries": self.tries,
            "sessions": self.sessions,
            "failure": self.failure,
            "cause": self.cause.value if self.cause else None,
            "next_try": None if self.next_try is None else round(self.next_try, 3),
        }

    def _now(self, doing: Doing) -> None:
        self.doing = doing
        self.since = self.clock()
        self.next_try = None


__all__ = ["ClientState", "Doing"]
