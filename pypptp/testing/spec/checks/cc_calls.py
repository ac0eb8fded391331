"""Calls: placing, clearing, and what else is said about them (RFC 2637 sections 2.7 to 2.15, 3.2)."""

from __future__ import annotations

import asyncio
import statistics
from itertools import pairwise

from pypptp.control.messages import (
    CallClearRequest,
    CallDisconnectNotify,
    IncomingCallReply,
    IncomingCallRequest,
    OutgoingCallReply,
    SetLinkInfo,
    WanErrorNotify,
)
from pypptp.testing.dialogue.call import Call
from pypptp.testing.dialogue.case import Case
from pypptp.testing.dialogue.control import call_request
from pypptp.testing.dialogue.verdicts import Failed, NotStrict, Unreached, require
from pypptp.testing.spec.checks.cc_connection import alive
from pypptp.testing.spec.registry import BOTH, check

CHURN = 1000
ENOUGH_CALLS = 100
"""To see how ids follow each other."""
TIME_UP = 40.0
"""Seconds after which a server that is slow has shown enough."""
CALLS_A_CONNECTION = 64
"""Some servers read only so fast from one connection."""
CHECKED_SPACE = 0x10000


@check("cc/2.7/1")
async def place(case: Case) -> str:
    """A request without any fault."""
    control = await case.started()
    call_id = case.new_call_id()
    await control.send(call_request(call_id))
    reply = await control.receive(OutgoingCallReply)
    require(reply.peer_call_id == call_id, f"peer call id {reply.peer_call_id} instead of {call_id}")
    require((reply.result_code, reply.error_code) == (1, 0), f"result {reply.result_code} error {reply.error_code}")
    require(reply.packet_receive_window_size >= 1, "a window of 0")
    return f"result 1, error 0, own call id {reply.call_id}, window {reply.packet_receive_window_size}"


@check("cc/2.7/2")
async def odd_windows(case: Case) -> str:
    """Windows of 0 and 65535 packets."""
    for window in (0, 65535):
        call = await case.lcp_open(packet_receive_window_size=window)
        for _ in range(5):
            require(await call.lcp_echo(), f"with a window of {window} the call stalls")
    return "accepted, and frames flow"


@check("cc/2.7/3")
async def minimum_above_maximum(case: Case) -> str:
    """A minimum speed above the maximum."""
    control = await case.started()
    await control.send(call_request(case.new_call_id(), minimum_bps=100_000_000, maximum_bps=300))
    reply = await control.receive(OutgoingCallReply)
    refused = (reply.result_code, reply.error_code) == (2, 3)
    require(refused or reply.result_code == 1, f"result {reply.result_code} error {reply.error_code}")
    await alive(control)
    return "refused as a bad value" if refused else "accepted"


@check("cc/2.7/4")
async def long_phone_number(case: Case) -> str:
    """A phone number said to be longer than its field."""
    control = await case.started()
    request = call_request(case.new_call_id(), phone_number=b"5" * 64, phone_number_length=200, subaddress=b"x" * 64)
    await control.send(request)
    reply = await control.receive(OutgoingCallReply)
    refused = (reply.result_code, reply.error_code) == (2, 3)
    require(refused or reply.result_code == 1, f"result {reply.result_code} error {reply.error_code}")
    await alive(control)
    return "refused as a bad value" if refused else "accepted"


@check("cc/2.7/5")
async def second_call(case: Case) -> str:
    """A second call on the same connection."""
    first = await case.lcp_open()
    second_id = case.new_call_id()
    await first.control.send(call_request(second_id))
    reply = await first.control.receive(OutgoingCallReply)
    require(reply.peer_call_id == second_id, f"the answer is about call {reply.peer_call_id}")
    answer = (reply.result_code, reply.error_code)
    require(reply.result_code in (1, 4, 7) or answer == (2, 4), f"result {answer[0]} error {answer[1]}")
    require(reply.result_code != 1 or reply.call_id != first.peer_call_id, "both calls have one call id")
    require(await first.lcp_echo(), "the first call was harmed")
    return "accepted beside the first" if answer[0] == 1 else f"refused with result {answer[0]} error {answer[1]}"


@check("cc/2.7/6")
async def same_call_id(case: Case) -> str:
    """A second call under the id of the first."""
    first = await case.lcp_open()
    await first.control.send(call_request(first.call_id))
    reply = await first.control.receive(OutgoingCallReply)
    require(reply.result_code != 1, "accepted")
    require(await first.lcp_echo(), "the first call was harmed")
    return f"refused with result {reply.result_code} error {reply.error_code}; the first call goes on"


@check("cc/2.7/7", alone=True, order=1)
async def call_ids(case: Case) -> str:
    """1,000 calls, placed and cleared one after the other."""
    control = await case.started()
    ids: list[int] = []
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(CHURN):
        if len(ids) >= ENOUGH_CALLS and loop.time() - began > TIME_UP:
            break
        if number % CALLS_A_CONNECTION == CALLS_A_CONNECTION - 1:
            await control.stop()
            control = await case.started()
        call_id = case.new_call_id()
        try:
            reply = await control.place_call(call_id)
            ids.append(reply.call_id)
            await control.send(CallClearRequest(call_id=call_id))
            if await control.try_receive(CallDisconnectNotify) is None and control.closed:
                control = await case.started()
        except Unreached:
            # Some take long to be ready for another call, and refuse it until then.
            if len(ids) < ENOUGH_CALLS:
                raise
            break
    steps = [(second - first) % CHECKED_SPACE for first, second in pairwise(ids)]
    commonest = statistics.mode(steps)
    share = steps.count(commonest) / len(steps)
    require(share < 0.1, f"{share:.0%} of the ids follow the one before by {commonest}: {ids[:5]}...")
    spread = statistics.pstdev(ids)
    require(spread > CHECKED_SPACE / 8, f"the ids lie close together: {min(ids)} to {max(ids)}")
    again = len(ids) - len(set(ids))
    if len(ids) == CHURN:
        require(await control.echo(1) is not None, "the connection does not answer any more")
    return f"{len(set(ids))} different ids among {len(ids)}, {again} used again, between {min(ids)} and {max(ids)}"


@check("cc/2.9/1", BOTH)
async def incoming_call(case: Case) -> str:
    """An Incoming-Call-Request to an end without telephone lines."""
    control = await case.started()
    await control.send(IncomingCallRequest(call_id=4711, call_serial_number=1, call_bearer_type=3))
    reply = await control.receive(IncomingCallReply)
    require(reply.peer_call_id == 4711, f"peer call id {reply.peer_call_id}")
    require(reply.result_code in (2, 3), f"result {reply.result_code}")
    if reply.result_code == 2:
        raise NotStrict(f"result 2 error {reply.error_code}, where 3 says do-not-accept")
    await alive(control)
    return "Incoming-Call-Reply with result 3"


@check("cc/2.12/1")
async def clear(case: Case) -> str:
    """The caller clears its call."""
    call = await case.lcp_open()
    await call.control.send(CallClearRequest(call_id=call.call_id))
    notify = await call.control.try_receive(CallDisconnectNotify)
    if notify is None and call.control.closed:
        raise NotStrict("no Call-Disconnect-Notify, the connection was closed instead")
    if notify is None:
        raise Failed("no Call-Disconnect-Notify came")
    swapped = int.from_bytes(call.peer_call_id.to_bytes(2, "big"), "little")
    order = " (its octets swapped)" if notify.call_id == swapped else ""
    require(notify.call_id == call.peer_call_id, f"call id {notify.call_id}{order} instead of {call.peer_call_id}")
    require(not await call.lcp_echo(case.quiet), "PPP goes on")
    if notify.result_code != 4:
        raise NotStrict(f"result {notify.result_code}, as RRAS sends 0, where 4 says request")
    return "Call-Disconnect-Notify with the server's own call id and result 4; PPP is gone"


@check("cc/2.12/2")
async def clear_unknown(case: Case) -> str:
    """A call that does not exist is cleared."""
    call = await case.lcp_open()
    for wrong in {call.call_id ^ 1, call.peer_call_id, 0} - {call.call_id}:
        await call.control.send(CallClearRequest(call_id=wrong))
    await alive(call.control)
    notify = await call.control.try_receive(CallDisconnectNotify, 0.0)
    require(notify is None or notify.call_id != call.peer_call_id, "another call was disconnected")
    require(await call.lcp_echo(), "the call that was there is gone")
    return "ignored"


@check("cc/2.12/3")
async def clear_too_early(case: Case) -> str:
    """A call is cleared before its request was answered, and then once more."""
    control = await case.started()
    call_id = case.new_call_id()
    clear_request = CallClearRequest(call_id=call_id)
    await control.send(call_request(call_id), clear_request, clear_request)
    await alive(control)
    count = 0
    while await control.try_receive(CallDisconnectNotify, 0.0) is not None:
        count += 1
    require(count <= 1, f"{count} Call-Disconnect-Notify messages for one call")
    await control.place_call(call_id)
    return f"{count} Call-Disconnect-Notify; the id can be used again"


async def _unmoved(call: Call, what: str) -> None:
    await alive(call.control)
    others = [message for message in call.control.messages.clear() if message[9] not in (5, 6)]
    require(not others, f"{what} was answered with a message of type {others[0][9] if others else 0}")
    require(await call.lcp_echo(), f"{what} harmed the call")


@check("cc/2.14/1", BOTH)
async def wan_error(case: Case) -> str:
    """Line errors are told of a call that lives, and of one nobody knows."""
    call = await case.lcp_open()
    call.control.messages.clear()
    for call_id in (call.peer_call_id, call.peer_call_id ^ 0x5555):
        await call.control.send(WanErrorNotify(peer_call_id=call_id, crc_errors=0xFFFFFFFF, buffer_overruns=3))
    await _unmoved(call, "WAN-Error-Notify")
    return "taken silently"


@check("cc/2.15/1", BOTH)
async def link_info(case: Case) -> str:
    """ACCMs for a call that lives."""
    call = await case.lcp_open()
    call.control.messages.clear()
    for accm in (0xFFFFFFFF, 0):
        await call.control.send(SetLinkInfo(peer_call_id=call.peer_call_id, send_accm=accm, receive_accm=accm))
    await _unmoved(call, "Set-Link-Info")
    return "taken silently"


@check("cc/2.15/2", BOTH)
async def link_info_unknown(case: Case) -> str:
    """ACCMs for a call nobody knows, and reserved fields that are not zero."""
    call = await case.lcp_open()
    call.control.messages.clear()
    octets = bytearray(SetLinkInfo(peer_call_id=call.peer_call_id).build())
    octets[10:12] = octets[14:16] = b"\xa1\x96"
    await call.control.send(bytes(octets), SetLinkInfo(peer_call_id=call.peer_call_id ^ 0x5555))
    await _unmoved(call, "Set-Link-Info")
    return "taken silently"
