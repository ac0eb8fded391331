"""What a demo found, as data and as a verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pypptp.aio.words import NetworkFacts
from pypptp.ppp.auth import AuthMethod
from pypptp.testing.scenario import GATEWAY_PUBLIC, Pings, Transfer

_METHOD = AuthMethod.MSCHAPV2
_STRENGTH = 128


@dataclass(slots=True)
class Report:
    """Filled step by step; what was not reached stays None.

    Attributes:
        network: what the client said about its tunnel.
        ping_before: echo requests from the private to the public host without a tunnel.
        ping_after: the same through it.
        transfer: what the public host received, and from whom.
        left_behind: what was there afterwards and not before, or the other way round, in words.
        trouble: why it went no further, in one sentence each.
    """

    network: NetworkFacts | None = None
    ping_before: Pings | None = None
    ping_after: Pings | None = None
    transfer: Transfer | None = None
    left_behind: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the object of ``--json``."""
        network, transfer = self.network, self.transfer
        return {
            "connected": network is not None,
            "auth": network.method if network else None,
            "mppe": encryption_word(network) if network else None,
            "client_ip": str(network.local) if network else None,
            "server_ip": str(network.peer) if network else None,
            "ping_before": _pings(self.ping_before),
            "ping_after": _pings(self.ping_after),
            "seen_source": str(transfer.source) if transfer else None,
            "mbit_per_s": round(transfer.mbit_per_s, 1) if transfer else None,
            "left_behind": self.left_behind,
        }

    def faults(self) -> list[str]:
        """Say in sentences what is not as it must be; empty where the demo succeeded."""
        found = list(self.trouble)
        if self.ping_before is not None and self.ping_before.received:
            found.append(f"the public host answered {self.ping_before.received} pings before there was a tunnel")
        if self.network is not None:
            if self.network.method != _METHOD:
                found.append(f"authenticated with {self.network.method or 'nothing'}, not with {_METHOD}")
            if self.network.strength != _STRENGTH:
                found.append(f"the tunnel has {encryption_word(self.network) or 'no encryption'}, not MPPE-{_STRENGTH}")
        if self.ping_after is not None and self.ping_after.received != self.ping_after.sent:
            found.append(f"{self.ping_after.received} of {self.ping_after.sent} pings were answered through the tunnel")
        if self.transfer is not None:
            if self.transfer.source != GATEWAY_PUBLIC:
                found.append(f"the public host saw {self.transfer.source}, not the gateway's {GATEWAY_PUBLIC}")
            if not self.transfer.octets:
                found.append("nothing arrived at the public host")
        steps = (self.ping_before, self.network, self.ping_after, self.transfer)
        if not self.trouble and None in steps:
            found.append("the demo did not get to its end")
        if self.left_behind:
            found.append(f"left behind: {'; '.join(self.left_behind)}")
        return found


def encryption_word(network: NetworkFacts) -> str:
    """Return for example ``MPPE-128 stateless``, or nothing where data pass in clear."""
    if network.strength is None:
        return ""
    return f"MPPE-{network.strength} {'stateless' if network.stateless else 'stateful'}"


def _pings(pings: Pings | None) -> dict[str, int]:
    return {"sent": pings.sent if pings else 0, "received": pings.received if pings else 0}
