"""A whole server's end: a script of TCP segments, GRE packets and time, from somebody without a password."""

from __future__ import annotations

import random

from pypptp.endpoint import Endpoint, EndpointConfig, SessionEnded, SessionEvent, SessionStarted
from pypptp.ppp.auth import Secret
from pypptp.ppp.config import LinkConfig
from pypptp.ppp.events import AddressWanted, NetworkUp, SecretWanted
from pypptp.roles import Role
from tests.fuzz.script import read_script

MOST_TIMERS = 2000
MOST_OUT = 256
"""Datagrams in answer to one step."""
TCP = 0
"""The first octet of a step with this remainder of two is TCP's."""


def endpoint(data: bytes) -> None:
    """No packet, no address and no network comes of it, sessions end as often as they begin, and it comes to rest."""
    now = 0.0
    server = Endpoint(
        Role.SERVER, EndpointConfig(link=LinkConfig(name="pptpd")), random=random.Random(5).randbytes, now=now
    )
    open_sessions: set[int] = set()
    for step in read_script(data):
        now = _advance(server, now, now + step.delay, open_sessions)
        if step.octets[:1] and step.octets[0] % 2 == TCP:
            server.receive_data(step.octets[1:], now)
        elif step.octets:
            datagram = bytearray(step.octets[1:])
            if len(datagram) >= 8 and server.sessions:
                # A fuzzer that had to guess call ids would find nothing.
                datagram[6:8] = next(iter(server.sessions)).to_bytes(2, "big")
            server.receive_datagram(bytes(datagram), now)
        _settle(server, now, open_sessions)
    server.receive_eof(now)
    _settle(server, now, open_sessions)
    assert not open_sessions, "a session was begun and never ended"
    assert not server.sessions


def _settle(server: Endpoint, now: float, open_sessions: set[int]) -> None:
    server.settle(now)
    while (event := server.next_event()) is not None:
        match event:
            case SessionStarted(call_id=call_id):
                assert call_id not in open_sessions
                open_sessions.add(call_id)
            case SessionEnded(call_id=call_id):
                open_sessions.remove(call_id)
            case SessionEvent(call_id, SecretWanted()):
                server.provide_secret(call_id, Secret(password="not the fuzzer's"), now)
            case SessionEvent(event=AddressWanted() | NetworkUp()):
                raise AssertionError("somebody without a password came through")
    assert server.packets_received() == []
    assert len(server.datagrams_to_send(now)) <= MOST_OUT
    server.data_to_send()


def _advance(server: Endpoint, now: float, until: float, open_sessions: set[int]) -> float:
    for _ in range(MOST_TIMERS):
        due = server.get_timer()
        if due is None or due > until:
            return until
        now = max(now, due)
        server.handle_timer(now)
        _settle(server, now, open_sessions)
    raise AssertionError("the timers of the endpoint do not come to rest")
