"""Enhanced GRE: headers, order, acknowledgements (RFC 2637 section 4).

What the target makes of a packet is told by LCP Echo: whether a request that was inside comes back as a reply.
"""

from __future__ import annotations

import asyncio
import struct
from itertools import pairwise
from typing import Any, Final

from pypptp.control.messages import CallClearRequest, CallDisconnectNotify
from pypptp.gre import build_header
from pypptp.ppp.packet import Code, ControlPacket
from pypptp.ppp.protocols import ADDRESS_CONTROL, Protocol
from pypptp.roles import Role
from pypptp.testing.dialogue.call import Call
from pypptp.testing.dialogue.case import Case
from pypptp.testing.dialogue.verdicts import Failed, NotStrict, Skipped, Unreached, require
from pypptp.testing.spec.registry import BOTH, check

LCP_FIELD: Final = ADDRESS_CONTROL + Protocol.LCP.to_bytes(2, "big")
HALF_SECOND: Final = 0.5
ONE_SECOND: Final = 1.0
CALL_IDS: Final = 0x10000
PACE: Final = 512


def echo_frame(call: Call, identifier: int, data: bytes = b"") -> bytes:
    """Return a PPP frame with an LCP Echo-Request."""
    return LCP_FIELD + call.lcp_echo_request(identifier, data).build()


async def echoed(call: Call, identifier: int, within: float) -> bool:
    """Whether the Echo-Reply of this identifier comes."""
    return await call.try_expect(Protocol.LCP, Code.ECHO_REPLY, within, identifier=identifier) is not None


async def settled(case: Case) -> Call:
    """Return a call whose LCP is open and, on a server, silent: its Challenge is left unanswered."""
    call = await case.lcp_open()
    if case.target.role is Role.CLIENT:
        await case.stages.log_in(call)
    await call.lcp_echo()
    return call


@check("gre/4.1/1", BOTH)
async def header(case: Case) -> str:
    """Every octet of the headers the target sends."""
    call = await case.network_up()
    for _ in range(5):
        call.send(Protocol.LCP, call.lcp_echo_request(call.next_identifier()))
        call.send_ip(call.echo_packet(call.next_ping()))
    await asyncio.sleep(case.quiet)
    frames = call.frames.clear()
    require(len(frames) >= 10, f"{len(frames)} frames came, where at least ten were due")
    for frame in frames:
        first, protocol_type, length, key = struct.unpack_from(">HHHH", frame.raw)
        require(first & 0xEF7F == 0x2001, f"flags and version 0x{first:04x}")
        require(protocol_type == 0x880B, f"protocol type 0x{protocol_type:04x}")
        require(key == call.call_id, f"call id {key}")
        present = len(frame.raw) - frame.header.header_length
        require(length == present, f"payload length {length}, {present} octets present")
    return f"{len(frames)} frames: C=0 R=0 K=1 s=0 Recur=0 Flags=0 Ver=1, type 0x880B, our call id, exact length"


@check("gre/4.1/2", BOTH)
async def numbering(case: Case) -> str:
    """The numbers of the target's frames from the first on."""
    call = await settled(case)
    for _ in range(5):
        await call.lcp_echo()
    numbers = [header.sequence for header in call.headers if header.sequence is not None]
    steps = {second - first for first, second in pairwise(numbers)}
    require(steps == {1}, f"the numbers are {numbers}")
    bare = [header for header in call.headers if header.payload_length == 0]
    require(all(header.sequence is None for header in bare), "an acknowledgement without payload has a number")
    require(numbers[0] in (0, 1), f"the first frame has number {numbers[0]}")
    if numbers[0] == 1:
        raise NotStrict("the first frame has number 1, as pptp-linux and pptp.ko do")
    return f"0 to {numbers[-1]} without a gap; {len(bare)} bare acknowledgements without a number"


@check("gre/4.1/3", BOTH)
async def not_enhanced(case: Case) -> str:
    """Headers that are no enhanced GRE."""
    call = await settled(case)
    for what, flags, protocol_type in (
        ("version 0", 0x3000, 0x880B),
        ("protocol 0x0800", 0x3001, 0x0800),
        ("K=0", 0x1001, 0x880B),
        ("C=1", 0xB001, 0x880B),
        ("R=1", 0x7001, 0x880B),
    ):
        identifier = call.next_identifier()
        frame = echo_frame(call, identifier)
        fixed = struct.pack(">HHHHI", flags, protocol_type, len(frame), call.peer_call_id, call.sequence)
        call.send_datagram(fixed + frame)
        require(await call.lcp_echo(), f"after {what} the call does not answer any more")
        require(not await echoed(call, identifier, 0.0), f"{what} was accepted")
    return "all five dropped"


@check("gre/4.1/4", BOTH)
async def truncated(case: Case) -> str:
    """Headers cut off after 0 to 15 octets."""
    call = await settled(case)
    whole = build_header(8, call.peer_call_id, call.sequence, 0)
    for length in range(16):
        call.send_datagram(whole[:length])
    call.send_datagram(build_header(8, call.peer_call_id, None, None))
    require(await call.lcp_echo(), "the call does not answer any more")
    return "all dropped, the call goes on"


@check("gre/4.1/5", BOTH)
async def wrong_length(case: Case) -> str:
    """Payload lengths beyond the packet, and short of it."""
    call = await settled(case)
    identifier = call.next_identifier()
    frame = echo_frame(call, identifier)
    call.send_datagram(build_header(len(frame) + 1, call.peer_call_id, call.sequence) + frame)
    require(await call.lcp_echo(), "after a length beyond the packet the call does not answer any more")
    require(not await echoed(call, identifier, 0.0), "a payload length beyond the packet was accepted")
    identifier = call.next_identifier()
    frame = echo_frame(call, identifier)
    call.send_datagram(build_header(len(frame), call.peer_call_id, call.sequence) + frame + b"\xaa" * 24)
    call.sequence += 1
    reply = await call.expect(Protocol.LCP, Code.ECHO_REPLY, identifier=identifier, what="a reply to a padded packet")
    require(len(reply.data) == 4, f"the reply has {len(reply.data)} octets: padding was taken for payload")
    return "the first dropped; of the second only the declared length used"


@check("gre/4.1/6", BOTH)
async def no_payload(case: Case) -> str:
    """A number without payload; an acknowledgement alone."""
    call = await settled(case)
    call.send_datagram(build_header(0, call.peer_call_id, call.sequence))
    call.sequence += 1
    call.acknowledge(call.highest or 0)
    require(await call.lcp_echo(), "the call does not answer any more")
    packets = [frame.packet for frame in call.frames.clear() if frame.protocol == Protocol.LCP]
    # Its own Echo-Requests come when they are due.
    answers = [packet for packet in packets if packet is None or packet.code != Code.ECHO_REQUEST]
    require(not answers, "it was answered")
    return "taken as empty; the call goes on"


@check("gre/4.1/7")
async def foreign_address(case: Case) -> str:
    """A packet for the call from another address."""
    call = await settled(case)
    foreign = case.foreign_gre(call)
    identifier = call.next_identifier()
    frame = echo_frame(call, identifier)
    foreign.send(build_header(len(frame), call.peer_call_id, call.sequence) + frame)
    require(await call.lcp_echo(), "the call does not answer any more")
    require(not await echoed(call, identifier, case.quiet), "accepted: whoever guesses a call id can inject packets")
    return "dropped"


@check("gre/4.1/8", alone=True)
async def all_call_ids(case: Case) -> str:
    """Every call id from a foreign address."""
    call = await settled(case)
    foreign = case.foreign_gre(call)
    identifier = 200
    frame = echo_frame(call, identifier)
    for call_id in range(CALL_IDS):
        foreign.send(build_header(len(frame), call_id, call.sequence) + frame)
        if call_id % PACE == PACE - 1:
            require(await call.lives(), f"after {call_id + 1} packets the call does not answer any more")
    require(not await echoed(call, identifier, case.quiet), "one was accepted")
    return f"{CALL_IDS} packets, none accepted; the call answered all the while"


@check("gre/4.1/9", BOTH)
async def after_the_end(case: Case) -> str:
    """Frames for a call that was disconnected."""
    call = await settled(case)
    if case.target.role is Role.SERVER:
        await call.control.send(CallClearRequest(call_id=call.call_id))
    else:
        await call.control.send(CallDisconnectNotify(call_id=call.call_id, result_code=4))
    await call.ended()
    call.frames.clear()
    require(not await call.lcp_echo(case.quiet), "the call still answers")
    return "dropped"


@check("gre/4.3/1", BOTH)
async def out_of_order(case: Case) -> str:
    """Numbers 0, 2, 1, 3 from where the call stands."""
    call = await settled(case)
    base = call.sequence
    order = [0, 2, 1, 3]
    identifiers = [100 + number for number in range(4)]
    for number in order:
        call.send_frame(echo_frame(call, identifiers[number]), sequence=base + number)
    call.sequence = base + 4
    seen = []
    while (reply := await call.try_expect(Protocol.LCP, Code.ECHO_REPLY, case.quiet)) is not None:
        seen.append(reply.identifier - 100)
    require(seen == sorted(seen), f"PPP saw them in the order {seen}")
    require(set(seen) >= {0, 2, 3}, f"PPP saw only {seen}")
    return "reordered: 0, 1, 2, 3" if seen == [0, 1, 2, 3] else "0, 2, 3; the late one dropped"


@check("gre/4.3/2", BOTH)
async def duplicate(case: Case) -> str:
    """The same frame twice, in clear and, where the target comes that far, encrypted."""
    call = await case.network_up()
    identifier = call.next_identifier()
    sequence = call.send_frame(echo_frame(call, identifier))
    call.send_frame(echo_frame(call, identifier), sequence=sequence)
    require(await echoed(call, identifier, case.timeout), "the first copy was not answered")
    require(not await echoed(call, identifier, case.quiet), "the second copy was answered, too")
    number = call.next_ping()
    frame = call.encrypt(call.echo_packet(number))
    sequence = call.send_frame(frame)
    call.send_frame(frame, sequence=sequence)
    require(await call.pong(number) is not None, "the first of two equal encrypted frames was lost")
    require(await call.ping() is not None, "after a duplicate nothing can be decrypted any more")
    require(await call.pong(number, 0.0) is None, "the second copy of an encrypted frame was delivered")
    return "the second copy dropped, MPPE goes on"


@check("gre/4.3/3", BOTH)
async def gap(case: Case) -> str:
    """A number that never comes."""
    call = await settled(case)
    call.sequence += 1
    loop = asyncio.get_running_loop()
    began = loop.time()
    require(await call.lcp_echo(ONE_SECOND), "delivery does not resume within a second")
    return f"delivery resumes after {1000 * (loop.time() - began):.0f} ms"


@check("gre/4.3/4", BOTH)
async def far_ahead(case: Case) -> str:
    """One frame far ahead, then the normal ones."""
    call = await settled(case)
    call.send_frame(echo_frame(call, 201), sequence=call.sequence + (1 << 20))
    for attempt in range(20):
        if await call.lcp_echo(case.quiet):
            return f"normal frames flow again, from the {attempt + 1}. on"
    raise Failed("20 normal frames after it were dropped: one packet wedges the session")


@check("gre/4.3/5", BOTH)
async def wrap_around(case: Case) -> str:
    """Numbers over the end of 32 bits; the call begins just before it."""
    call = await case.call()
    call.sequence = 0xFFFFFFFE
    try:
        async with asyncio.timeout(5 * case.timeout):
            await case.stages.open_lcp(call)
    except (Unreached, TimeoutError):
        raise Skipped(
            "it takes no call that begins at number 0xfffffffe, nor need it, and from 0 the end is 2^32 frames away"
        ) from None
    for _ in range(4):
        require(await call.lcp_echo(), f"nothing is answered from number 0x{call.sequence - 1 & 0xFFFFFFFF:08x} on")
    require(call.sequence < 100, "did not come over the end")
    return f"all delivered, from 0xfffffffe to {call.sequence - 1}"


@check("gre/4.2/1", BOTH)
async def closed_window(case: Case) -> str:
    """A window of one packet, and nothing is ever acknowledged."""
    window: dict[str, Any] = {"packet_receive_window_size": 1} if case.target.role is Role.SERVER else {}
    call = await case.call(**window)
    call.acknowledging = False
    await case.stages.open_lcp(call)
    for count in range(8):
        require(await call.lcp_echo(max(case.timeout, 5.0)), f"after {count} frames without acknowledgement it is mute")
    numbers = [header.sequence for header in call.headers if header.sequence is not None]
    require(len(numbers) == len(set(numbers)), f"a payload was sent twice under one number: {numbers}")
    return f"{len(numbers)} frames came without a single acknowledgement, none twice"


@check("gre/4.2/2", BOTH)
async def acknowledges(case: Case) -> str:
    """Twenty frames that have no answer."""
    call = await settled(case)
    loop = asyncio.get_running_loop()
    for _ in range(20):
        discard = ControlPacket(Code.DISCARD_REQUEST, call.next_identifier(), call.magic.to_bytes(4, "big"))
        last = call.send(Protocol.LCP, discard)
    began = loop.time()
    while call.acknowledged != last and loop.time() - began < max(2.0, case.timeout):
        require(call.acknowledged is None or call.acknowledged <= last, f"{call.acknowledged} was never sent")
        await asyncio.sleep(0.01)
    took = loop.time() - began
    require(call.acknowledged == last, f"number {last} was never acknowledged, {call.acknowledged} was")
    if took > HALF_SECOND:
        raise NotStrict(f"acknowledged after {took:.2f} s")
    return f"the highest number acknowledged after {1000 * took:.0f} ms"


@check("gre/4.2/3", BOTH)
async def senseless_acknowledgements(case: Case) -> str:
    """Acknowledgements of what was never sent, and backwards."""
    call = await settled(case)
    for number in (0x7FFFFFFF, 0xFFFFFFFF, 100_000, 0):
        call.acknowledge(number)
    for _ in range(3):
        require(await call.lcp_echo(), "the call does not answer any more")
    return "ignored; what it makes of its window cannot be seen from here"


@check("gre/4.4/1", BOTH)
async def round_trip(case: Case) -> str:
    """How long an answer takes, and what the target does when acknowledgements take 10 and 500 ms."""
    call = await settled(case)
    loop = asyncio.get_running_loop()
    times = []
    for _ in range(10):
        began = loop.time()
        require(await call.lcp_echo(), "the call does not answer any more")
        times.append(1000 * (loop.time() - began))
    call.acknowledging = False
    for delay in (0.01, 0.5):
        await call.lcp_echo()
        await asyncio.sleep(delay)
        call.acknowledge(call.highest or 0)
    await call.lcp_echo()
    return f"answers take {min(times):.1f} to {max(times):.1f} ms; the adaptive time-out cannot be seen from outside"
