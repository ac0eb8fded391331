"""Starting and stopping the control connection, and its Echo messages (RFC 2637 sections 2.1 to 2.6, 3.1)."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address

from pypptp.control.messages import (
    EchoReply,
    EchoRequest,
    OutgoingCallReply,
    StartControlConnectionReply,
    StopControlConnectionReply,
    StopControlConnectionRequest,
    WanErrorNotify,
)
from pypptp.testing.dialogue.case import Case
from pypptp.testing.dialogue.control import Control, call_request, start_request
from pypptp.testing.dialogue.network import TargetSilent
from pypptp.testing.dialogue.verdicts import Failed, NotStrict, Skipped, require
from pypptp.testing.spec.registry import BOTH, check

VERSION = 0x0100
MANY_CONNECTIONS = 256
SHORT_ECHO = 10.0
"""Seconds of echo interval, as far as they are worth waiting for in a check that could do without."""


async def alive(control: Control, identifier: int = 0x600D) -> None:
    """Fail unless the connection answers an Echo-Request."""
    reply = await control.echo(identifier)
    require(reply is not None, "the connection does not answer an Echo-Request any more")


def look_at_start_reply(octets: bytes, reply: StartControlConnectionReply) -> str:
    """Fail unless a Start-Control-Connection-Reply is right in every octet."""
    require(len(octets) == reply.LENGTH, f"a reply of {len(octets)} octets")
    require(reply.protocol_version == VERSION, f"version 0x{reply.protocol_version:04x}")
    require((reply.result_code, reply.error_code) == (1, 0), f"result {reply.result_code} error {reply.error_code}")
    require(octets[10:12] == bytes(2), f"Reserved0 is {octets[10:12].hex()}")
    return f"Start-Control-Connection-Reply of {len(octets)} octets, version 1.0, result 1, error 0, reserved 0"


async def start_reply_octets(control: Control) -> tuple[bytes, StartControlConnectionReply]:
    """Return the target's Start-Control-Connection-Reply, octets and meaning."""
    octets = await control.messages.take(lambda message: message[8:10] == b"\0\x02", 2.0)
    require(octets is not None, "no Start-Control-Connection-Reply came")
    assert octets is not None
    control.messages.put(octets)
    return octets, await control.receive(StartControlConnectionReply)


@check("cc/2.1/1")
async def start(case: Case) -> str:
    """A request without any fault."""
    control = await case.control()
    await control.send(start_request())
    octets, reply = await start_reply_octets(control)
    return look_at_start_reply(octets, reply)


@check("cc/2.1/2")
async def other_version(case: Case) -> str:
    """A version of the protocol that does not exist yet."""
    control = await case.control()
    await control.send(start_request(protocol_version=0x0200))
    reply = await control.receive(StartControlConnectionReply)
    require(reply.protocol_version == VERSION, f"the reply says version 0x{reply.protocol_version:04x}")
    if reply.result_code == 1:
        await alive(control)
        return "established in version 1.0"
    require(reply.result_code == 5, f"result {reply.result_code}")
    require(await control.wait_closed(), "result 5, but the connection was not closed")
    return "result 5 with version 0x0100, then closed"


@check("cc/2.1/3")
async def reserved_fields(case: Case) -> str:
    """Reserved0 and Reserved1 are not zero."""
    control = await case.control()
    octets = bytearray(start_request().build())
    octets[10:12] = octets[14:16] = b"\xa1\x96"
    await control.send(bytes(octets))
    reply = await control.receive(StartControlConnectionReply)
    require(reply.result_code == 1, f"result {reply.result_code}")
    await alive(control)
    return "accepted"


@check("cc/2.1/4")
async def binary_names(case: Case) -> str:
    """Host and vendor name without NUL, full of binary."""
    rubbish = bytes(range(0x80, 0xBE)) + b"\r\n"
    control = await case.control()
    await control.send(start_request(host_name=rubbish, vendor_name=b"\x1b[2J" * 16))
    reply = await control.receive(StartControlConnectionReply)
    require(reply.result_code == 1, f"result {reply.result_code}")
    await alive(control)
    return "accepted; how the target's log shows them cannot be seen from here"


@check("cc/2.1/5")
async def second_start(case: Case) -> str:
    """A second request on a connection that is established and has a call."""
    call = await case.lcp_open()
    await call.control.send(start_request())
    reply = await call.control.try_receive(StartControlConnectionReply, case.quiet)
    if call.control.closed:
        raise NotStrict("the connection was closed, as the figure of 3.1.2 has it")
    require(reply is None or reply.result_code in (2, 3), f"result {reply.result_code if reply else ''}")
    require(await call.lcp_echo(), "the call was harmed")
    await alive(call.control)
    return f"{'ignored' if reply is None else f'result {reply.result_code}'}; the call goes on"


@check("cc/2.1/6")
async def call_before_start(case: Case) -> str:
    """An Outgoing-Call-Request before the Start-Control-Connection-Request."""
    control = await case.control()
    await control.send(call_request(case.new_call_id()))
    reply = await control.try_receive(OutgoingCallReply, case.quiet)
    if reply is not None:
        refused = reply.result_code != 1 and reply.call_id == 0
        require(refused, f"Outgoing-Call-Reply with result {reply.result_code}, call id {reply.call_id}")
    closed = await control.wait_closed(case.quiet)
    words = "no answer" if reply is None else f"refused with result {reply.result_code}, error {reply.error_code}"
    return f"{words}, {'closed' if closed else 'the connection stays'}"


@check("cc/2.3/1")
async def stop(case: Case) -> str:
    """The connection is stopped while it has a call."""
    call = await case.lcp_open()
    await call.control.send(StopControlConnectionRequest(reason=1))
    reply = await call.control.receive(StopControlConnectionReply)
    require(reply.result_code == 1, f"result {reply.result_code}")
    require(await call.control.wait_closed(), "the connection was not closed")
    require(not await call.lcp_echo(case.quiet), "the call lives on")
    return "Stop-Control-Connection-Reply with result 1, closed, the call is gone"


@check("cc/2.3/2")
async def stop_for_unknown_reason(case: Case) -> str:
    """The connection is stopped for a reason nobody knows."""
    control = await case.started()
    await control.send(StopControlConnectionRequest(reason=200))
    reply = await control.try_receive(StopControlConnectionReply)
    require(reply is not None, "no Stop-Control-Connection-Reply came")
    require(await control.wait_closed(), "the connection was not closed")
    return "Stop-Control-Connection-Reply, closed"


@check("cc/2.3/3", BOTH)
async def stop_reply_unasked(case: Case) -> str:
    """A Stop-Control-Connection-Reply nobody asked for."""
    control = await case.started()
    await control.send(StopControlConnectionReply())
    if await control.wait_closed(case.quiet):
        return "closed"
    await alive(control)
    return "ignored"


@check("cc/2.5/1", BOTH)
async def echo(case: Case) -> str:
    """An Echo-Request."""
    control = await case.started()
    reply = await control.echo(0xDEADBEEF)
    require(reply is not None, "no Echo-Reply came")
    assert reply is not None
    require(reply.identifier == 0xDEADBEEF, f"identifier 0x{reply.identifier:08x}")
    require(reply.result_code == 1, f"result {reply.result_code}")
    return "Echo-Reply with the identifier and result 1"


@check("cc/2.5/2", BOTH)
async def echo_reply_unasked(case: Case) -> str:
    """Echo-Replies nobody asked for."""
    control = await case.started()
    await control.send(EchoReply(identifier=0xBADC0DE), EchoReply(identifier=0))
    require(not await control.wait_closed(case.quiet), "the connection was closed")
    await alive(control)
    return "ignored; that none counts as a sign of life is cc/2.5/4's"


@check("cc/2.16/1", waits=True)
async def error_without_error(case: Case) -> str:
    """An error code where the result does not say error, in the answer to a real Echo-Request if one comes soon."""
    control = await case.started()
    interval = case.target.timers.echo
    if interval > SHORT_ECHO:
        await control.send(EchoReply(identifier=1, result_code=1, error_code=6), WanErrorNotify(peer_call_id=1))
        await alive(control)
        return "the error code of an Echo-Reply with result 1 was not read"
    control.answers_echoes = False
    for _ in range(2):
        request = await control.receive(EchoRequest, interval + case.timeout)
        await control.send(EchoReply(identifier=request.identifier, result_code=1, error_code=6))
    await alive(control)
    return "Echo-Replies with result 1 and error 6 were taken for good"


@check("cc/3.1/3", alone=True)
async def many_connections(case: Case) -> str:
    """Connections from one address until one is refused."""
    source = case.network.source()
    first = await case.lcp_open()
    for number in range(1, MANY_CONNECTIONS + 1):
        words = await _refused(case, source, number)
        if not words:
            continue
        require(await first.lcp_echo(), "an existing call was harmed")
        refused = f"connection {number} from one address was refused ({words}); a call that was there goes on"
        if not case.network.sources:
            return f"{refused}; there is no second address to see whether the limit is one address's or everybody's"
        other = await _refused(case, case.network.source(), 1)
        if other:
            raise NotStrict(f"{refused}, but so is the first connection from another address ({other})")
        return f"{refused}, and another address is let in"
    require(await first.lcp_echo(), "an existing call was harmed")
    raise Skipped(
        f"{MANY_CONNECTIONS} connections from one address were taken: the target sets no limit, or a higher one"
    )


async def _refused(case: Case, source: IPv4Address | None, number: int) -> str:
    """Connect once more; return how that was refused, nothing where it was not."""
    try:
        control = await case.control(source=source)
    except TargetSilent as error:
        return f"TCP: {error}"
    await control.send(start_request())
    reply = await control.try_receive(StartControlConnectionReply)
    if reply is not None and reply.result_code == 1:
        return ""
    words = "closed" if reply is None else f"result {reply.result_code}"
    # 4 is not-authorized; 2 with error 4 says what a server that has no room left would.
    fits = reply is None or reply.result_code == 4 or (reply.result_code, reply.error_code) == (2, 4)
    require(fits, f"connection {number} was refused with {words}")
    require(await control.wait_closed(), f"connection {number} got no success, but was not closed")
    return words


@check("cc/3.1/4")
async def collision(case: Case) -> str:
    """Two connections of one pair at the same moment: a server that calls nobody has no other collision."""
    source = case.network.source()
    controls = await asyncio.gather(*(case.control(source=source) for _ in range(2)))
    await asyncio.gather(*(control.send(start_request()) for control in controls))
    replies = [await control.try_receive(StartControlConnectionReply) for control in controls]
    good = [
        control
        for control, reply in zip(controls, replies, strict=True)
        if reply is not None and reply.result_code == 1
    ]
    require(good, "neither connection was established")
    for control in good:
        await alive(control)
    return "both independent" if len(good) == 2 else "one survives"


@check("cc/tcp/1")
async def broken_connection(case: Case) -> str:
    """RST, and then FIN, in the middle of a call."""
    for ending in ("RST", "FIN"):
        call = await case.lcp_open()
        if ending == "RST":
            call.control.abort()
        else:
            call.control.close()
        await asyncio.sleep(min(1.0, case.timeout))
        call.frames.clear()
        if await call.lcp_echo(case.quiet):
            raise Failed(f"a second after {ending} the call still answers")
    return "a second after RST, and after FIN, GRE for the call is dropped"
