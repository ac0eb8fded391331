"""Cutting TCP's stream into messages, and messages nobody should send (RFC 2637 section 1.4)."""

from __future__ import annotations

import asyncio
import struct

from pypptp.control.messages import (
    EchoReply,
    EchoRequest,
    OutgoingCallReply,
    StartControlConnectionReply,
)
from pypptp.roles import Role
from pypptp.testing.dialogue.case import Case
from pypptp.testing.dialogue.control import Control, call_request, start_request
from pypptp.testing.dialogue.verdicts import require
from pypptp.testing.spec.checks.cc_connection import alive, look_at_start_reply, start_reply_octets
from pypptp.testing.spec.registry import BOTH, check

COOKIE = 0x1A2B3C4D
FLOOD = 10_000
BIG_FLOOD = 100_000
SECONDS_TO_CLOSE = 1.0


def header(length: int, kind: int, *, message_type: int = 1, cookie: int = COOKIE) -> bytes:
    """Return the header of a control message, right or wrong."""
    return struct.pack(">HHIHH", length, message_type, cookie, kind, 0)


def answered(control: Control) -> bool:
    """Whether anything was received and not taken."""
    return control.messages.take_now(lambda message: True) is not None


@check("cc/1.4/1")
async def wrong_cookie_first(case: Case) -> str:
    """The first message has another cookie."""
    control = await case.control()
    octets = bytearray(start_request().build())
    octets[4:8] = b"\xde\xad\xbe\xef"
    await control.send(bytes(octets))
    require(await control.wait_closed(), "the connection was not closed")
    require(not answered(control), "it was answered first")
    return "closed without an answer"


@check("cc/1.4/2", BOTH)
async def wrong_cookie_later(case: Case) -> str:
    """A message with another cookie once there is a call."""
    call = await case.lcp_open()
    octets = bytearray(EchoRequest(identifier=1).build())
    octets[4:8] = b"\xde\xad\xbe\xef"
    await call.control.send(bytes(octets))
    require(await call.control.wait_closed(), "the connection was not closed")
    require(not await call.lcp_echo(case.quiet), "the call lives on")
    return "closed; GRE for its call is dropped"


@check("cc/1.4/3")
async def length_below_header(case: Case) -> str:
    """Length fields a message cannot have."""
    for length in (0, 1, 11):
        control = await case.control()
        await control.send(header(length, 1) + bytes(144))
        require(await control.wait_closed(SECONDS_TO_CLOSE), f"not closed within a second of length {length}")
    return "closed within a second of length 0, 1 and 11"


@check("cc/1.4/4", waits=True, deadline=90.0)
async def announced_and_silent(case: Case) -> str:
    """65,535 octets are announced, and none follow."""
    control = await case.control()
    await control.send(header(65535, 1))
    patience = case.target.timers.start + case.timeout
    require(await control.wait_closed(patience), f"not closed within {patience:g} s")
    return "closed; how much was buffered cannot be seen from here, and there was nothing to buffer"


@check("cc/1.4/5")
async def shorter_than_its_type(case: Case) -> str:
    """Messages that end before their last field."""
    seen = []
    for started, octets in (
        (False, header(12, 1)),
        (False, start_request().build()[:100].replace(b"\0\x9c", b"\0\x64", 1)),
        (True, header(16, 7) + b"\x12\x34\0\0"),
        (True, header(12, 7)),
        (True, header(12, 12)),
        (True, header(14, 15) + b"\x12\x34"),
        (True, header(12, 5)),
    ):
        control = await (case.started() if started else case.control())
        await control.send(octets)
        closed = await control.wait_closed(case.quiet)
        start = None if started else await control.try_receive(StartControlConnectionReply, 0.0)
        call = await control.try_receive(OutgoingCallReply, 0.0)
        reply = start or call
        require(reply is None or reply.result_code != 1, f"{len(octets)} octets of type {octets[9]} were accepted")
        require(closed or reply is not None or started, f"{len(octets)} octets of type {octets[9]}: nothing happened")
        if not closed:
            await alive(control)
        seen.append("closed" if closed else "refused")
    control = await case.started()
    await alive(control)
    return f"{', '.join(seen)}; the target goes on"


@check("cc/1.4/6")
async def longer_than_its_type(case: Case) -> str:
    """Messages with octets behind their last field, and one more message at once."""
    seen = set()
    for extra in (4, 64):
        control = await case.control()
        octets = start_request().build()
        padded = (len(octets) + extra).to_bytes(2, "big") + octets[2:] + b"\xee" * extra
        await control.send(padded, EchoRequest(identifier=extra))
        if await control.wait_closed(case.quiet):
            seen.add("closed")
            continue
        await control.receive(StartControlConnectionReply)
        reply = await control.receive(EchoReply)
        require(reply.identifier == extra, "the message behind it was not read in step")
        seen.add("ignored, and what followed was read in step")
    return ", ".join(sorted(seen))


@check("cc/1.4/7", BOTH)
async def management_message(case: Case) -> str:
    """PPTP message types 2 (management) and 0."""
    seen = []
    for message_type in (2, 0):
        control = await case.started()
        octets = bytearray(EchoRequest(identifier=0x7777).build())
        octets[2:4] = message_type.to_bytes(2, "big")
        await control.send(bytes(octets))
        closed = await control.wait_closed(case.quiet)
        echoed = await control.try_receive(EchoReply, 0.0)
        require(echoed is None, f"a message of type {message_type} was taken for a control message")
        if not closed:
            await alive(control)
        seen.append("closed" if closed else "ignored")
        if case.target.role is Role.CLIENT:
            break
    return f"type 2: {seen[0]}" + (f"; type 0: {seen[1]}" if len(seen) > 1 else "")


@check("cc/1.4/8", BOTH)
async def unknown_type(case: Case) -> str:
    """A control message of type 99."""
    control = await case.started()
    await control.send(header(20, 99) + bytes(8))
    require(not await control.wait_closed(case.quiet), "the connection was closed")
    await alive(control)
    return "ignored"


@check("cc/1.4/9")
async def octet_by_octet(case: Case) -> str:
    """One octet in each segment."""
    control = await case.control()
    for octet in start_request().build():
        await control.send(bytes((octet,)))
        await asyncio.sleep(0.001)
    octets, reply = await start_reply_octets(control)
    return look_at_start_reply(octets, reply)


@check("cc/1.4/10")
async def glued_together(case: Case) -> str:
    """Three messages in one segment."""
    control = await case.control()
    call_id = case.new_call_id()
    await control.send(start_request(), call_request(call_id), EchoRequest(identifier=0x31337))
    kinds: list[int] = []
    for _ in range(3):
        octets = await control.messages.take(lambda message: True, case.timeout)
        require(octets is not None, f"{len(kinds)} answers instead of three")
        assert octets is not None
        kinds.append(octets[9])
    require(kinds == [2, 8, 6], f"answers of types {kinds}")
    return "three answers in order"


@check("cc/1.4/11", waits=True, deadline=90.0)
async def reader_that_does_not_read(case: Case) -> str:
    """10,000 Echo-Requests from a client that reads nothing until it has sent them all."""
    control = await case.control(reading=False)
    await control.send(start_request())
    request = b"".join(EchoRequest(identifier=number).build() for number in range(100))
    blocked = False
    for _ in range(FLOOD // 100):
        try:
            async with asyncio.timeout(case.timeout):
                await control.send(request)
        except TimeoutError:
            # The target does not read on while its answers are not read: that bounds its memory too.
            blocked = True
            break
    control.read()
    await control.receive(StartControlConnectionReply, 5.0)
    count = 0
    while await control.try_receive(EchoReply, case.quiet) is not None:
        count += 1
    require(not control.out_of_step, f"the answers are out of step: {control.out_of_step}")
    if control.closed:
        return f"{count} whole answers, then closed"
    if not blocked:
        await alive(control)
    return f"{count} whole answers of {FLOOD} requests{', which were not all read' if blocked else ''}; in step"


@check("cc/2.5/5", alone=True)
async def echo_flood(case: Case) -> str:
    """100,000 Echo-Requests, then RST, beside a session."""
    witness = await case.lcp_open()
    control = await case.started()
    requests = b"".join(EchoRequest(identifier=number).build() for number in range(1000))
    for _ in range(BIG_FLOOD // 1000):
        await control.channel.send(requests)
        control.messages.clear()
    control.abort()
    require(await witness.lcp_echo(10.0), "another session does not answer any more")
    fresh = await case.started()
    await alive(fresh)
    return "another session goes on, and new ones are taken"
