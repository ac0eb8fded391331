"""MPPE on the wire (RFC 3078 sections 3, 7, 8; RFC 3079). A ping tells what came through."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Final

from pypptp.mppe.cipher import Encryptor
from pypptp.ppp import ipcp
from pypptp.ppp.packet import Code, ControlPacket, Option, build_options
from pypptp.ppp.protocols import ADDRESS_CONTROL, Protocol
from pypptp.roles import Role
from pypptp.testing.dialogue.call import SEQUENCE_MASK, Call
from pypptp.testing.dialogue.case import Case
from pypptp.testing.dialogue.verdicts import Failed, require
from pypptp.testing.spec.registry import BOTH, check

FIELD: Final = ADDRESS_CONTROL + b"\0\xfd"
STATELESS: Final = 0x9000
COUNTS: Final = 0x1000
WRAPPING: Final = 4200
BURST: Final = 50


async def passes(call: Call, why: str) -> None:
    """Fail unless a ping comes back."""
    require(await call.ping() is not None, f"{why} nothing passes any more")


@check("mppe/3/1", BOTH)
async def first_frames(case: Case) -> str:
    """The headers of the first encrypted frames."""
    call = await case.network_up()
    counts: list[int] = []
    for _ in range(5):
        number = call.next_ping()
        call.send_ip(call.echo_packet(number))
    while len(counts) < 5:
        frame = await call.take(lambda frame: frame.mppe is not None)
        require(frame is not None, "no encrypted frame came")
        assert frame is not None
        assert frame.mppe is not None
        at = frame.header.header_length
        start = frame.raw[at : at + 4]
        require(start == FIELD or start[:2] == b"\0\xfd" or start[2] == 0xFD or start[0] == 0xFD, start.hex())
        require(frame.mppe & 0xF000 == STATELESS, f"MPPE header 0x{frame.mppe:04x}")
        counts.append(frame.mppe & 0xFFF)
    steps = [(second - first) % COUNTS for first, second in pairwise(counts)]
    require(steps == [1] * len(steps), f"the counts are {counts}")
    # The first ones may have gone to the pings that waited for the interface.
    require(counts[0] <= 20, f"the first count seen is {counts[0]}")
    return f"0x00fd, 0x9000 + count, counts {counts[0]} to {counts[-1]}"


@check("mppe/3/2", BOTH)
async def missing_bits(case: Case) -> str:
    """Frames without the encrypted bit, and without FLUSHED in stateless mode."""
    call = await case.network_up()
    plain = call.next_ping()
    inner = b"\0\x21" + call.echo_packet(plain)
    count = 0x7F
    call.send_frame(FIELD + (0x8000 | count).to_bytes(2, "big") + inner)
    call.send_frame(FIELD + count.to_bytes(2, "big") + inner)
    unflushed = call.next_ping()
    frame = bytearray(call.encrypt(call.echo_packet(unflushed)))
    frame[4] &= 0x7F
    call.send_frame(bytes(frame))
    await passes(call, "after them")
    require(await call.pong(plain, 0.0) is None, "a frame without the encrypted bit was taken as plain")
    require(await call.pong(unflushed, 0.0) is None, "a stateless frame without FLUSHED was decrypted")
    return "dropped; encrypted frames go on"


@check("mppe/3/3", BOTH)
async def in_clear(case: Case) -> str:
    """Packets in clear while MPPE is up."""
    call = await case.network_up()
    number = call.next_ping()
    call.send(Protocol.IPV4, call.echo_packet(number))
    call.send_frame(b"\x21" + call.echo_packet(number))
    call.send(Protocol.IPV6, bytes.fromhex("6000000000083afe") + bytes(32) + b"\x80\0\0\0\0\1\0\1")
    call.send(Protocol.VJ_UNCOMPRESSED, call.echo_packet(number))
    await passes(call, "after them")
    require(await call.pong(number, case.quiet) is None, "a packet in clear reached the target's system")
    return "dropped"


@check("mppe/3/4", BOTH)
async def control_inside(case: Case) -> str:
    """LCP, CHAP, CCP and IPCP inside MPPE."""
    call = await case.network_up()
    call.frames.clear()
    ask_address = build_options([Option(ipcp.OptionType.IP_ADDRESS, call.address.packed)])
    inside = [
        (Protocol.LCP, call.lcp_echo_request(0x71)),
        (Protocol.LCP, ControlPacket(Code.TERMINATE_REQUEST, 0x72)),
        (Protocol.CHAP, ControlPacket(1, 0x73, b"\x10" + bytes(16) + b"x")),
        (Protocol.CCP, ControlPacket(Code.TERMINATE_REQUEST, 0x74)),
        (Protocol.IPCP, ControlPacket(Code.CONFIGURE_REQUEST, 0x75, ask_address)),
    ]
    for protocol, packet in inside:
        call.send_ip(packet.build(), protocol)
    await passes(call, "after negotiation inside MPPE")
    answered = [frame.protocol for frame in call.frames.clear() if frame.protocol in (Protocol.LCP, Protocol.CHAP)]
    require(not answered, f"negotiation inside MPPE was answered: {[f'0x{one:04x}' for one in answered]}")
    require(await call.ping() is not None, "the link was changed by negotiation inside MPPE")
    return "dropped, NCPs too; the link stays as it was"


@check("mppe/7/1", BOTH, alone=True)
async def wrap_around(case: Case) -> str:
    """4,200 frames each way: the count begins again."""
    call = await case.network_up()
    received = 0
    for start in range(0, WRAPPING, BURST):
        numbers = range(0x4000 + start, 0x4000 + start + BURST)
        for number in numbers:
            call.send_ip(call.echo_packet(number))
        for number in numbers:
            received += await call.pong(number) is not None
    require(received == WRAPPING, f"{received} of {WRAPPING} came back")
    require(not call.undecryptable, f"{call.undecryptable} of them made no sense")
    return f"{received} of {WRAPPING} there and back, over the end of the count in both directions"


@check("mppe/8/1", BOTH)
async def losses(case: Case) -> str:
    """1, 100 and 2,000 frames lost in a row."""
    call = await case.network_up()
    for count in (1, 100, 2000):
        call.lose(count)
        for _ in range(3):
            # A jump beyond the reorder window is believed once the next number follows.
            if await call.ping(within=min(1.0, case.timeout)) is not None:
                break
        else:
            raise Failed(f"after {count} lost frames nothing is decrypted any more")
    return "the next frames decrypt after each"


@check("mppe/8/2", BOTH)
async def late_frame(case: Case) -> str:
    """A frame that comes late, after the gap was given up, and one twice."""
    call = await case.network_up()
    late = call.next_ping()
    kept = call.encrypt(call.echo_packet(late))
    sequence = call.sequence
    call.sequence = sequence + 1 & SEQUENCE_MASK
    await passes(call, "after a missing frame")
    await asyncio.sleep(min(1.0, case.timeout))
    number = call.next_ping()
    copy = call.encrypt(call.echo_packet(number))
    copied = call.send_frame(copy)
    call.send_frame(kept, sequence=sequence)
    call.send_frame(copy, sequence=copied)
    require(await call.pong(number) is not None, "the frame before the duplicate was lost")
    await passes(call, "after a late and a duplicate frame")
    require(await call.pong(late, 0.0) is None, "the late frame was delivered")
    require(await call.pong(number, 0.0) is None, "the duplicate was delivered")
    return "both dropped, the following frames decrypt"


@check("mppe/8/3", BOTH)
async def forged_count(case: Case) -> str:
    """Forged frames whose count is 2,000 ahead, from inside the order and from far ahead."""
    call = await case.network_up()
    number = call.next_ping()
    genuine = call.encrypt(call.echo_packet(number))
    count = int.from_bytes(genuine[4:6], "big") & 0xFFF
    rubbish = case.target.random(64)
    forged = FIELD + (STATELESS | (count + 2000) % COUNTS).to_bytes(2, "big") + rubbish
    sequence = call.sequence
    call.send_frame(forged, sequence=sequence)
    call.send_frame(forged, sequence=sequence + 2000)
    call.sequence = sequence
    call.send_frame(genuine)
    came = await call.pong(number, case.quiet) is not None
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(3):
        if await call.ping(within=1.0) is not None:
            break
    else:
        raise Failed("after a forged frame nothing is decrypted any more: the key was moved")
    took = 1000 * (loop.time() - began)
    return f"the key was not moved; the genuine frame of the forged number {'came through' if came else 'was lost'}, \
the next answered after {took:.0f} ms"


@check("mppe/8/4", BOTH)
async def flipped_bit(case: Case) -> str:
    """A bit flipped in the IP header of an encrypted packet."""
    call = await case.network_up()
    for position in (4 + 2 + 0, 4 + 2 + 2, 4 + 2 + 2 + 11):
        number = call.next_ping()
        frame = bytearray(call.encrypt(call.echo_packet(number)))
        frame[position] ^= 0x10
        call.send_frame(bytes(frame))
        await passes(call, f"after a bit flipped at octet {position}")
        require(await call.pong(number, 0.0) is None, f"a packet with a bit flipped at octet {position} was answered")
    return "dropped; what lies behind the IP header MPPE cannot protect"


@check("mppe/9/1", BOTH)
async def keys(case: Case) -> str:
    """The keys of two directions and two sessions."""
    sent: list[bytes] = []
    for number in range(2):
        if number and case.target.role is Role.CLIENT:
            await case.restart()
        call = await case.network_up()
        keys_of_call = call.keys
        assert keys_of_call is not None
        pair = keys_of_call.start_keys(call.encryptor.strength if call.encryptor else keys_of_call.strengths[0])
        require(pair[0] != pair[1], "both directions have one key")
        sent += pair
        # The same packet under the other direction's key must be nonsense to the target. Its count is the one that is
        # due: what a count out of order does is mppe/8's.
        ping = call.next_ping()
        assert call.encryptor is not None
        due = int.from_bytes(call.encrypt(call.echo_packet(ping))[4:6], "big") % COUNTS
        wrong = Encryptor(pair[1], call.encryptor.strength, stateless=True)
        reflected = [wrong.encrypt_frame(b"\0\x21" + call.echo_packet(ping)) for _ in range(due + 1)][-1]
        call.send_frame(FIELD + reflected)
        await passes(call, "after a frame under the other direction's key")
        require(await call.pong(ping, 0.0) is None, "the target takes frames under its own sending key")
        require(not call.undecryptable, "the target sends under another key than RFC 3079 has")
    require(len(set(sent)) == 4, "two sessions have a key in common")
    return "four different keys, each valid in its own direction and session only; one account was given, not two"
