"""Packets inside the tunnel: whose they may be, what may be wrong with them, and how many arrive."""

from __future__ import annotations

import asyncio
import random
import struct
from typing import Final

from pypptp.ppp.lcp import OptionType
from pypptp.ppp.protocols import Protocol
from pypptp.testing.dialogue import packets
from pypptp.testing.dialogue.call import SEQUENCE_MASK, Call
from pypptp.testing.dialogue.case import Case
from pypptp.testing.dialogue.verdicts import Informed, require
from pypptp.testing.spec.registry import BOTH, check

MANY: Final = 20_000
BURST: Final = 100
TIME_UP: Final = 90.0
ONE_PERCENT: Final = 0.01
MOST_LOST: Final = 0.001
DEFAULT_MRU: Final = 1500
HEADERS: Final = 28
"""Octets of an ICMP Echo before its data."""


@check("data/1")
async def foreign_source(case: Case) -> str:
    """Packets whose source is another client's address, and IPv6."""
    victim = await case.network_up()
    call = await case.network_up()
    number = call.next_ping()
    message = packets.echo(packets.ECHO_REQUEST, victim.call_id, number)
    call.send_ip(packets.ipv4(packets.ICMP, victim.address, call.gateway, message))
    call.send_ip(bytes.fromhex("6000000000083afe") + bytes(32) + b"\x80\0\0\0\0\1\0\1", Protocol.IPV6)
    require(await call.ping() is not None, "after them nothing passes any more")
    require(await victim.pong(number, case.quiet) is None, "a packet with another client's address was passed on")
    return "dropped"


@check("data/2", alone=True)
async def client_to_client(case: Case) -> str:
    """A packet to another client, and one to the server itself."""
    call = await case.network_up()
    other = await case.network_up()
    number = 0x2222
    message = packets.echo(packets.ECHO_REQUEST, call.call_id, number, b"from one client to the other")
    packet = packets.ipv4(packets.ICMP, call.address, other.address, message)
    call.send_ip(packet)
    deliveries = []
    while (frame := await other.take(lambda frame: frame.protocol == Protocol.IPV4, case.quiet)) is not None:
        echo = packets.parse_echo(frame.information)
        if echo is not None and echo.kind == packets.ECHO_REQUEST:
            deliveries.append(echo)
    require(len(deliveries) <= 1, f"delivered {len(deliveries)} times")
    for echo in deliveries:
        whole = (echo.source, echo.destination, echo.data) == (call.address, other.address, message[8:])
        require(whole, f"delivered changed, from {echo.source}")
    require(await other.ping() is not None, "the other session was harmed")
    raise Informed(
        f"another client is {'reached' if deliveries else 'not reached'}, the server itself answers; which is wanted "
        "is for its owner to say"
    )


@check("data/3", BOTH)
async def malformed_packets(case: Case) -> str:
    """Inner packets that are none."""
    call = await case.network_up()
    good = call.echo_packet(1, bytes(64))
    fragments = []
    for offset, more in ((0, 0x2000), (1, 0x2000), (3, 0)):
        fragment = bytearray(good[:20] + good[20 + 8 * offset : 60])
        fragment[2:4] = len(fragment).to_bytes(2, "big")
        fragment[6:8] = (more | offset).to_bytes(2, "big")
        fragment[10:12] = bytes(2)
        fragment[10:12] = packets.checksum(bytes(fragment[:20])).to_bytes(2, "big")
        fragments.append(bytes(fragment))
    for packet in (
        b"",
        good[:1],
        good[:19],
        b"\x41" + good[1:],
        b"\x4f" + good[1:],
        good[:2] + struct.pack(">H", 19) + good[4:],
        good[:2] + struct.pack(">H", 0xFFFF) + good[4:],
        good + b"\xaa" * 40,
        b"\x60" + good[1:],
        *fragments,
    ):
        call.send_ip(packet)
        require(await call.lcp_echo(), "the link does not answer any more")
        require(await call.ping() is not None, f"after {packet[:4].hex()}... nothing passes any more")
    return "dropped, or passed on as they were; the session goes on"


@check("data/4", BOTH)
async def sizes(case: Case) -> str:
    """Packets up to what either side takes, and beyond."""
    call = await case.call()
    ours = 1400
    options = case.stages.lcp_options(call, mru=ours)
    agreement = await case.stages.open_lcp(call, options)
    asked = [option.value for option in agreement.theirs if option.type == OptionType.MRU]
    theirs = int.from_bytes(asked[0], "big") if asked else DEFAULT_MRU
    await case.bring_up(call)
    call.headers.clear()
    # MPPE takes four octets of the MRU: its header, and the protocol number inside.
    for size in (theirs - 8, theirs - 4):
        if size > ours - 4:
            continue
        echo = await call.ping(bytes(size - HEADERS))
        require(echo is not None, f"a packet of {size} octets is lost, its MRU is {theirs}")
    fitting = min(theirs, ours) - 4
    echo = await call.ping(bytes(fitting - HEADERS))
    require(echo is not None, f"a packet of {fitting} octets is lost on its way there or back")
    require(echo is not None and len(echo.data) == fitting - HEADERS, "it came back cut")
    for size in (theirs, theirs + 1):
        call.send_ip(call.echo_packet(call.next_ping(), bytes(size - HEADERS)))
    require(await call.ping() is not None, "after longer ones nothing passes any more")
    longest = max(header.payload_length for header in call.headers)
    require(longest <= ours + 4, f"it sends {longest} octets with PPP's header to an MRU of {ours}")
    return f"up to {fitting} octets pass (its MRU is {theirs}, ours {ours}); the longest it sent has {longest - 4}"


@check("data/5", BOTH, alone=True, order=3, deadline=120.0)
async def many_packets(case: Case) -> str:
    """20,000 packets there and back over a line that loses, doubles and reorders one in a hundred."""
    call = await case.network_up()
    line = _Line(call, random.Random(2637))  # noqa: S311 - the same line every time
    answered: set[int] = set()
    duplicates = sent = 0
    loop = asyncio.get_running_loop()
    began = loop.time()
    # A target that lets each gap wait takes minutes; what is to be known of it is known before.
    while sent < MANY and loop.time() - began < TIME_UP:
        start, sent = sent, sent + BURST
        for number in range(start, sent):
            line.send(call.encrypt(_numbered(call, number)))
        line.flush()
        barrier = await call.lives()
        require(barrier, f"after {sent} packets the link does not answer any more")
        duplicates += _collect(call, answered)
    await asyncio.sleep(min(1.0, case.timeout))
    duplicates += _collect(call, answered)
    arrived = sent - line.lost
    missing = arrived - len(answered)
    require(not duplicates, f"{duplicates} packets were delivered twice")
    require(missing <= sent * MOST_LOST, f"{missing} of {arrived} that the line let through did not come back")
    require(not call.undecryptable, f"{call.undecryptable} answers made no sense")
    require(await call.ping() is not None, "the session is dead")
    return (
        f"{sent} sent in {loop.time() - began:.0f} s; the line lost {line.lost}, doubled {line.doubled}, reordered "
        f"{line.reordered}; "
        f"{len(answered)} answered, {missing} missing, none twice"
    )


class _Line:
    """The way to the target, with faults that are counted."""

    def __init__(self, call: Call, draw: random.Random) -> None:
        self.lost = self.doubled = self.reordered = 0
        self._call = call
        self._draw = draw.random
        self._held: tuple[bytes, int] | None = None

    def send(self, frame: bytes) -> None:
        """Number a frame and lose it, send it, send it twice, or keep it until the next one has gone."""
        call, held = self._call, self._held
        sequence = call.sequence
        call.sequence = sequence + 1 & SEQUENCE_MASK
        luck = self._draw()
        if luck < ONE_PERCENT:
            self.lost += 1
            return
        if luck < 2 * ONE_PERCENT and held is None:
            self.reordered += 1
            self._held = frame, sequence
            return
        call.send_frame(frame, sequence=sequence)
        if luck > 1 - ONE_PERCENT:
            self.doubled += 1
            call.send_frame(frame, sequence=sequence)
        self.flush()

    def flush(self) -> None:
        """Send what was kept."""
        if self._held is not None:
            frame, sequence = self._held
            self._held = None
            self._call.send_frame(frame, sequence=sequence)


def _numbered(call: Call, number: int) -> bytes:
    message = packets.echo(packets.ECHO_REQUEST, call.call_id ^ 1, number)
    return packets.ipv4(packets.ICMP, call.address, call.gateway, message, number & 0xFFFF)


def _collect(call: Call, answered: set[int]) -> int:
    duplicates = 0
    for frame in call.frames.clear():
        echo = packets.parse_echo(frame.information) if frame.protocol == Protocol.IPV4 else None
        if echo is not None and echo.identifier == call.call_id ^ 1 and echo.kind == packets.ECHO_REPLY:
            duplicates += echo.number in answered
            answered.add(echo.number)
    return duplicates
