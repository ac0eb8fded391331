"""CCP: agreeing on MPPE, and what must not end it (RFC 1962, RFC 3078 section 2)."""

from __future__ import annotations

from typing import Final

from pypptp.ppp.ccp import STRENGTH_MASK, OptionType, SupportedBits
from pypptp.ppp.packet import Code, ControlPacket, Option, build_options, parse_options
from pypptp.ppp.protocols import Protocol
from pypptp.testing.dialogue.call import Call, Frame
from pypptp.testing.dialogue.case import Case
from pypptp.testing.dialogue.verdicts import Failed, Skipped, Unreached, require
from pypptp.testing.spec.registry import BOTH, check

ANSWERS: Final = (Code.CONFIGURE_ACK, Code.CONFIGURE_NAK, Code.CONFIGURE_REJECT)
ROUNDS: Final = 12
RESETS: Final = 10_000
PACE: Final = 500
LINK_END: Final = 12.0
STATEFUL_128: Final = int(SupportedBits.BITS_128)
BITS_128_STATELESS: Final = int(SupportedBits.BITS_128 | SupportedBits.STATELESS)


def mppe(bits: int) -> Option:
    """Return the MPPE option with these bits."""
    return Option(OptionType.MPPE, bits.to_bytes(4, "big"))


async def ask(call: Call, options: list[Option], within: float | None = None) -> ControlPacket | None:
    """Send a CCP Configure-Request and return the answer to it."""
    identifier = call.next_identifier()
    call.send(Protocol.CCP, ControlPacket(Code.CONFIGURE_REQUEST, identifier, build_options(options)))
    return await call.try_expect(Protocol.CCP, ANSWERS, within, identifier=identifier)


def network_frame(call: Call) -> Frame | None:
    """Take out a frame that only a network phase without encryption would hold."""

    def wanted(frame: Frame) -> bool:
        packet = frame.packet
        acknowledged = frame.protocol == Protocol.IPCP and packet is not None and packet.code == Code.CONFIGURE_ACK
        return frame.mppe is None and (acknowledged or frame.protocol == Protocol.IPV4)

    return call.frames.take_now(wanted)


@check("ccp/2/1", BOTH)
async def many_bits(case: Case) -> str:
    """All strengths, stateless, and compression offered at once."""
    call, _ = await case.logged_in()
    answer = await ask(call, [mppe(0x010000E1)])
    require(answer is not None, "no answer")
    assert answer is not None
    require(answer.code == Code.CONFIGURE_NAK, f"answered with code {answer.code}")
    options = parse_options(answer.data) or []
    require([option.type for option in options] == [OptionType.MPPE], f"Nak'd {answer.data.hex()}")
    bits = int.from_bytes(options[0].value, "big")
    require((bits & STRENGTH_MASK).bit_count() == 1, f"Nak'd to 0x{bits:08x}, which is not one strength")
    require(not bits & SupportedBits.COMPRESSION, f"Nak'd to 0x{bits:08x}, with compression")
    require(bits & SupportedBits.STATELESS, f"Nak'd to 0x{bits:08x}, without the stateless bit")
    again = await ask(call, [mppe(bits)])
    require(again is not None and again.code == Code.CONFIGURE_ACK, "what it asked for it does not acknowledge")
    return f"Nak to 0x{bits:08x}, and Ack of that"


@check("ccp/2/2", waits=True)
async def no_encryption(case: Case) -> str:
    """Only 40 bits, nothing at all, and a Configure-Reject of MPPE."""
    seen = []
    for name, bits in (("40 bits", 0x01000020), ("no strength", 0x01000000), ("Configure-Reject", None)):
        call, _ = await case.logged_in()
        ending = ""
        for _ in range(ROUNDS):
            if bits is not None:
                answer = await ask(call, [mppe(bits)], case.quiet)
                accepted = answer is not None and answer.code == Code.CONFIGURE_ACK
                require(not accepted, f"{name} was acknowledged")
            theirs = await call.try_expect(Protocol.CCP, Code.CONFIGURE_REQUEST, 0.0 if bits else case.quiet)
            if theirs is not None:
                code = Code.CONFIGURE_REJECT if bits is None else Code.CONFIGURE_NAK
                refused = parse_options(theirs.data) if bits is None else [mppe(bits)]
                call.send(Protocol.CCP, ControlPacket(code, theirs.identifier, build_options(refused or [])))
            call.send(Protocol.IPCP, ControlPacket(Code.CONFIGURE_REQUEST, 200, build_options([Option(3, bytes(4))])))
            early = network_frame(call)
            require(early is None, f"with {name} the network opens in clear")
            ending = await call.ended(0.0)
            if ending:
                break
        ending = ending or await call.ended(LINK_END)
        require(ending, f"with {name} the link is not ended")
        seen.append(f"{name}: {ending}")
        call.close()
    return "; ".join(seen)


@check("ccp/2/3", BOTH)
async def impossible_options(case: Case) -> str:
    """Two strengths in one Configure-Ack; an option of 5 and of 7 octets; no bits."""
    call, _ = await case.logged_in()
    theirs = await call.expect(Protocol.CCP, Code.CONFIGURE_REQUEST, what="a CCP Configure-Request")
    call.send(Protocol.CCP, ControlPacket(Code.CONFIGURE_ACK, theirs.identifier, build_options([mppe(0x010000E0)])))
    seen = []
    for name, option in (
        ("5 octets", Option(OptionType.MPPE, b"\1\0\0")),
        ("7 octets", Option(OptionType.MPPE, b"\1\0\0\x40\0")),
        ("no bits", mppe(0)),
    ):
        answer = await ask(call, [option], case.quiet)
        acknowledged = answer is not None and answer.code == Code.CONFIGURE_ACK
        require(not acknowledged, f"{name}: acknowledged")
        if answer is None and (ending := await _terminated(call)):
            seen.append(f"{name}: the link is ended, {ending}")
            return f"the false Ack discarded; {', '.join(seen)}"
        seen.append(f"{name}: {'discarded' if answer is None else f'code {answer.code}'}")
    answer = await ask(call, [mppe(BITS_128_STATELESS)])
    require(answer is not None and answer.code == Code.CONFIGURE_ACK, "the right option is not acknowledged any more")
    # Were the false Ack believed, CCP would be open now, and the target would have begun with IPCP.
    opened = await call.try_expect(Protocol.IPCP, Code.CONFIGURE_REQUEST, case.quiet)
    require(opened is None, "a Configure-Ack with three strengths was believed")
    return f"the false Ack discarded; {', '.join(seen)}"


async def _terminated(call: Call) -> str:
    """Say whether the target ends the link, and what it gives for a reason."""
    packet = await call.try_expect(Protocol.LCP, Code.TERMINATE_REQUEST, 0.0)
    return "" if packet is None else ascii(packet.data.decode("latin-1"))


@check("ccp/2/4", BOTH)
async def compressions(case: Case) -> str:
    """BSD-Compress, Deflate, Stac, and MPPC."""
    call, _ = await case.logged_in()
    others = [
        Option(OptionType.BSD_COMPRESS, b"\x2f"),
        Option(OptionType.DEFLATE, b"\x78\0"),
        Option(OptionType.STAC, b"\0\1\3"),
    ]
    answer = await ask(call, [*others, mppe(BITS_128_STATELESS)])
    require(answer is not None, "no answer")
    assert answer is not None
    rejected = parse_options(answer.data) or []
    require(answer.code == Code.CONFIGURE_REJECT, f"answered with code {answer.code}")
    require(rejected == others, f"rejected {[option.type for option in rejected]}")
    answer = await ask(call, [mppe(BITS_128_STATELESS | SupportedBits.COMPRESSION)])
    require(answer is not None, "MPPC beside MPPE: no answer")
    assert answer is not None
    require(answer.code != Code.CONFIGURE_ACK, "MPPC was agreed to")
    bits = int.from_bytes((parse_options(answer.data) or [mppe(1)])[0].value, "big")
    if answer.code == Code.CONFIGURE_NAK and bits & SupportedBits.COMPRESSION:
        raise Failed(f"Nak'd to 0x{bits:08x}, with compression")
    return "the three rejected, MPPC refused"


@check("ccp/3/1", BOTH, alone=True)
async def resets(case: Case) -> str:
    """10,000 Reset-Requests and a forged Reset-Ack in stateless mode."""
    call = await case.network_up()
    require(await call.ping() is not None, "packets do not pass")
    replies = 0
    call.send(Protocol.CCP, ControlPacket(Code.RESET_ACK, 1))
    for number in range(RESETS):
        call.send(Protocol.CCP, ControlPacket(Code.RESET_REQUEST, number & 0xFF))
        if number % PACE == PACE - 1:
            require(await call.lives(), "the link does not answer any more")
            while await call.try_expect(Protocol.CCP, Code.RESET_ACK, 0.0) is not None:
                replies += 1
    before = call.undecryptable
    counts = []
    for _ in range(3):
        number = call.next_ping()
        call.send_ip(call.echo_packet(number))
        frame = await call.take(lambda frame: frame.protocol == Protocol.IPV4)
        require(frame is not None, "after it packets do not pass any more")
        assert frame is not None
        counts.append((frame.mppe or 0) & 0xFFF)
    require(call.undecryptable == before, "after it the target encrypts with another key")
    require(counts == [counts[0] + step for step in range(3)], f"the counts are {counts}")
    require(replies < RESETS / 2, f"{replies} Reset-Acks: whoever forges requests gets as much traffic back")
    return f"{replies} Reset-Acks for {RESETS} requests; no key change, the count goes on"


@check("ccp/3/2", BOTH)
async def lost_packet(case: Case) -> str:
    """A packet is lost in stateful mode."""
    try:
        call = await case.network_up(STATEFUL_128)
    except Unreached as unreached:
        # A target that does not take part at all is what the first conversation is for.
        raise Skipped(f"the target takes no stateful mode: {unreached}") from None
    encryptor = call.encryptor
    assert encryptor is not None
    if encryptor.stateless:
        raise Skipped("the target insists on stateless mode")
    require(await call.ping() is not None, "packets do not pass in stateful mode")
    call.lose(1)
    lost = [call.next_ping() for _ in range(3)]
    for number in lost:
        call.send_ip(call.echo_packet(number))
    require(await call.lcp_echo(), "the link does not answer any more")
    request = await call.try_expect(Protocol.CCP, Code.RESET_REQUEST)
    require(request is not None, "no Reset-Request came")
    again = await call.try_expect(Protocol.CCP, Code.RESET_REQUEST, min(0.2, case.timeout))
    require(again is None, "a second Reset-Request came at once")
    for number in lost:
        require(await call.pong(number, 0.0) is None, "a packet behind the lost one was delivered before FLUSHED")
    encryptor.reset()
    require(await call.ping() is not None, "after a FLUSHED packet nothing passes")
    require(await call.ping() is not None, "and then neither")
    return "one Reset-Request, discards until FLUSHED, then in step again"


@check("ccp/4/1", BOTH)
async def terminated(case: Case) -> str:
    """CCP is terminated by the other side."""
    call = await case.network_up()
    call.send(Protocol.CCP, ControlPacket(Code.TERMINATE_REQUEST, 0x44))
    number = call.next_ping()
    call.send(Protocol.IPV4, call.echo_packet(number))
    # What is still answered under the key is mppe/3/3's.
    clear = await call.take(lambda frame: frame.protocol == Protocol.IPV4 and frame.mppe is None, case.quiet)
    require(clear is None, "it goes on in clear")
    ending = await call.ended(LINK_END)
    require(ending, "the link stays without encryption")
    return f"link ended: {ending}"
