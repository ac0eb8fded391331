"""Control messages (RFC 2637 section 2), and a control connection with a script of segments."""

from __future__ import annotations

import random

from pypptp.control import CallIdAllocator, ControlConfig, ControlConnection, MalformedMessage, printable
from pypptp.control.events import CallRequested
from pypptp.control.messages import parse_message
from pypptp.roles import Role
from tests.fuzz.script import read_script

MOST_SENT = 64 * 1024
"""Octets a connection may want to send without the peer reading any."""
MOST_TIMERS = 1000
SILENCE = 600.0
"""Seconds after which a peer that says nothing more has to be gone."""


def messages(data: bytes) -> None:
    """What is read can be written, and is read the same again."""
    try:
        message = parse_message(data)
    except MalformedMessage:
        return
    written = message.build()
    assert parse_message(written) == message
    assert len(written) == type(message).LENGTH
    for field in type(message).STRING_LIMITS:
        shown = printable(getattr(message, field))
        assert shown.isprintable()
        assert len(shown) <= 64


def server(data: bytes) -> None:
    """A server's connection, fed by a client."""
    _run(Role.SERVER, data)


def client(data: bytes) -> None:
    """A client's connection, fed by a server."""
    _run(Role.CLIENT, data)


def _run(role: Role, data: bytes) -> None:
    now = 0.0
    seeded = random.Random(1).randbytes
    call_ids = CallIdAllocator(seeded)
    connection = ControlConnection(role, ControlConfig(), call_ids=call_ids, now=now)
    if role is Role.CLIENT:
        connection.start(now)
    for step in read_script(data):
        now = _advance(connection, now, now + step.delay)
        if connection.closed:
            break
        connection.receive_data(step.octets, now)
        _settle(connection, role, now)
        assert len(connection.calls) <= 65_535
        assert len(call_ids) == len(connection.calls)
    connection.receive_eof(now)
    _settle(connection, role, now)
    assert connection.closed
    assert len(call_ids) == 0, "a call id was kept"


def _settle(connection: ControlConnection, role: Role, now: float) -> None:
    while (event := connection.next_event()) is not None:
        if isinstance(event, CallRequested) and not connection.closed:
            connection.accept_call(event.peer_call_id, now)
    if role is Role.CLIENT and connection.established and not connection.calls:
        connection.place_call(now)
    assert len(connection.data_to_send()) <= MOST_SENT


def _advance(connection: ControlConnection, now: float, until: float) -> float:
    """Let time pass; timers end, and each ends later than the one before."""
    for _ in range(MOST_TIMERS):
        due = connection.get_timer()
        if due is None or due > until:
            return until
        now = max(now, due)
        connection.handle_timer(now)
        connection.data_to_send()
        while connection.next_event() is not None:
            pass
    raise AssertionError("the timers of the control connection do not come to rest")
