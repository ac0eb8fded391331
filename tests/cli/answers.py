"""Answers of a server and a client, as docs/control.md describes them."""

from __future__ import annotations

from typing import Any

HEAD = {"schema": 1, "ok": True, "instance": "server", "kind": "server", "pid": 12, "version": "0.1"}

STATUS: dict[str, Any] = HEAD | {
    "state": "serving",
    "since": 1_700_000_000.0,
    "listen": "0.0.0.0",
    "port": 1723,
    "name": "pptpd",
    "local": "192.168.0.1",
    "nat": "eth0",
    "sessions": 1,
    "connections": 2,
    "processes": [{"pid": 12, "connections": 2}],
    "pools": [{"name": "", "size": 12, "in_use": 1}],
    "counters": {},
    "requests": {"answered": 1, "refused": 0},
}

CLIENT: dict[str, Any] = HEAD | {
    "instance": "office",
    "kind": "client",
    "pid": 13,
    "server": "vpn.example",
    "user": "alice",
    "state": "connected",
    "since": 1_700_000_000.0,
    "interface": "ppp0",
    "local": "192.168.0.234",
    "peer": "192.168.0.1",
    "mtu": 1400,
    "dns": ["9.9.9.9"],
    "method": "MS-CHAPv2",
    "encryption": "MPPE 128-bit stateless",
    "counters": {"packets_in": 3, "octets_in": 3000, "packets_out": 4, "octets_out": 400},
    "tries": 0,
    "sessions": 1,
    "failure": "",
    "cause": None,
    "next_try": None,
}


def session(call_id: int = 1, **changes: Any) -> dict[str, Any]:
    """A session of a server."""
    made = {
        "call_id": call_id,
        "worker": 0,
        "user": "alice",
        "from": "203.0.113.9",
        "local": "192.168.0.1",
        "address": f"192.168.0.{233 + call_id}",
        "interface": f"ppp{call_id - 1}",
        "since": 1_700_000_000.0,
        "seconds": 75.5,
        "method": "MS-CHAPv2",
        "encryption": "MPPE 128-bit stateless",
        "mtu": 1400,
        "dns": [],
        "packets_in": 10,
        "octets_in": 1000,
        "packets_out": 20,
        "octets_out": 2000,
        "gre_received": 100,
        "gre_lost": 0,
        "echo_round_trip": 0.0123,
        "ack_round_trip": 0.1,
        "refused": {},
    }
    assert not changes.keys() - made.keys()
    return made | changes


def sessions(*listed: dict[str, Any], at: float = 100.0) -> dict[str, Any]:
    """The answer to "sessions"."""
    return HEAD | {"at": at, "sessions": list(listed)}
