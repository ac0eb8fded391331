"""LCP until it is open: Configure packets, options, counters (RFC 1661 sections 4.6, 5.1 to 5.4, 6)."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Final

from pypptp.ppp.lcp import OptionType
from pypptp.ppp.packet import Code, ControlPacket, Option, build_options, parse_options
from pypptp.ppp.protocols import ADDRESS_CONTROL, Protocol
from pypptp.testing.dialogue.call import Call, Frame
from pypptp.testing.dialogue.case import Case
from pypptp.testing.dialogue.verdicts import NotStrict, require
from pypptp.testing.spec.registry import BOTH, check

UNKNOWN: Final = Option(0x77, b"\xde\xad")
ANSWERS: Final = (Code.CONFIGURE_ACK, Code.CONFIGURE_NAK, Code.CONFIGURE_REJECT)
TIMES: Final = 10
MANY_ROUNDS: Final = 60


async def their_request(call: Call, within: float | None = None) -> ControlPacket:
    """Return the target's next LCP Configure-Request."""
    return await call.expect(Protocol.LCP, Code.CONFIGURE_REQUEST, within, what="a Configure-Request")


async def ask(call: Call, options: list[Option] | bytes, identifier: int | None = None) -> ControlPacket | None:
    """Send a Configure-Request and return the answer to it, None where none comes soon."""
    identifier = identifier or call.next_identifier()
    data = options if isinstance(options, bytes) else build_options(options)
    call.send(Protocol.LCP, ControlPacket(Code.CONFIGURE_REQUEST, identifier, data))
    return await call.try_expect(Protocol.LCP, ANSWERS, 1.0, identifier=identifier)


def acknowledge(call: Call, request: ControlPacket) -> None:
    """Agree to a request of the target."""
    call.send(Protocol.LCP, ControlPacket(Code.CONFIGURE_ACK, request.identifier, request.data))


@check("lcp/4.1/1", BOTH)
async def first_request(case: Case) -> str:
    """The link is up and nothing was said."""
    call = await case.call()
    frame = await call.take(lambda frame: frame.protocol == Protocol.LCP)
    require(frame is not None, "no LCP packet came")
    assert isinstance(frame, Frame)
    packet = frame.packet
    require(packet is not None and packet.code == Code.CONFIGURE_REQUEST, "its first packet is no Configure-Request")
    assert packet is not None
    options = parse_options(packet.data)
    require(options is not None, f"its options are malformed: {packet.data.hex()}")
    magic = [option.value for option in options or [] if option.type == OptionType.MAGIC_NUMBER]
    require(bytes(4) not in magic, "its Magic-Number is zero")
    at = frame.header.header_length
    require(frame.raw[at : at + 4] == ADDRESS_CONTROL + b"\xc0\x21", f"it begins with {frame.raw[at : at + 4].hex()}")
    return f"Configure-Request with options {[option.type for option in options or []]}"


@check("lcp/4.6/1", BOTH, waits=True, deadline=120.0)
async def unanswered(case: Case) -> str:
    """The target's Configure-Requests stay unanswered."""
    call = await case.call()
    times: list[float] = []
    loop = asyncio.get_running_loop()
    restart = case.target.timers.restart
    while len(times) <= 2 * TIMES:
        packet = await call.try_expect(Protocol.LCP, Code.CONFIGURE_REQUEST, restart * 2 + 1)
        if packet is None:
            break
        times.append(loop.time())
    require(len(times) > 1, "never resent")
    ending = await call.ended(restart * 2 + 1)
    require(len(times) <= 2 * TIMES, f"{len(times)} Configure-Requests, and no end")
    gaps = [second - first for first, second in pairwise(times)]
    words = f"{len(times)} Configure-Requests, {min(gaps):.1f} to {max(gaps):.1f} s apart"
    require(ending, f"{words}, but the call stays")
    if len(times) > TIMES or abs(max(gaps) - restart) > 1:
        raise NotStrict(f"{words}, then: {ending}")
    return f"{words}, then: {ending}"


@check("lcp/4.6/2", BOTH, waits=True)
async def never_converging(case: Case) -> str:
    """Every Configure-Request of the target gets the same Configure-Nak."""
    call = await case.call()
    rounds = 0
    wish = build_options([Option(OptionType.MRU, b"\0\x40"), Option(OptionType.MAGIC_NUMBER, b"\1\2\3\4")])
    while rounds < MANY_ROUNDS:
        packet = await call.try_expect(Protocol.LCP, Code.CONFIGURE_REQUEST, case.target.timers.restart + 1)
        if packet is None:
            break
        rounds += 1
        asked = {option.type for option in parse_options(packet.data) or []}
        if not asked & {OptionType.MRU, OptionType.MAGIC_NUMBER}:
            return f"after {rounds} Configure-Requests it leaves out what is not agreed to"
        call.send(Protocol.LCP, ControlPacket(Code.CONFIGURE_NAK, packet.identifier, wish))
    require(rounds < MANY_ROUNDS, f"after {rounds} Configure-Requests it still asks")
    return f"given up after {rounds} Configure-Requests"


@check("lcp/5.1/1", BOTH)
async def same_identifier(case: Case) -> str:
    """Configure-Requests with identifiers of all kinds."""
    call = await case.call()
    for identifier in (0, 1, 77, 255):
        data = build_options(case.stages.lcp_options(call))
        call.send(Protocol.LCP, ControlPacket(Code.CONFIGURE_REQUEST, identifier, data))
        answer = await call.expect(Protocol.LCP, ANSWERS, what=f"an answer to identifier {identifier}")
        require(answer.identifier == identifier, f"identifier {identifier} was answered with {answer.identifier}")
    return "each answered with its own identifier"


@check("lcp/5.1/2", BOTH)
async def wrong_length(case: Case) -> str:
    """Length fields below the header, beyond the packet, and short of it."""
    call = await case.call()
    good = ControlPacket(Code.CONFIGURE_REQUEST, 90, build_options(case.stages.lcp_options(call))).build()
    for length in (0, 1, 2, 3, len(good) + 1, 0xFFFF):
        call.send(Protocol.LCP, good[:1] + b"\x5b" + length.to_bytes(2, "big") + good[4:])
    call.send(Protocol.LCP, good + b"\xaa" * 9)
    answer = await call.expect(Protocol.LCP, ANSWERS, what="an answer to a padded packet")
    require(answer.identifier == 90, "a packet with a wrong length was answered")
    require(b"\xaa" not in answer.data, "padding was taken for options")
    return "discarded; padding ignored"


@check("lcp/5.2/1", BOTH)
async def wrong_acks(case: Case) -> str:
    """Configure-Acks that do not acknowledge what was asked."""
    call = await case.call()
    request = await their_request(call)
    options = parse_options(request.data) or []
    wrong = [
        (request.identifier + 1 & 0xFF, request.data),
        (request.identifier, build_options(options[:-1])),
        (request.identifier, request.data[:-1] + bytes((request.data[-1] ^ 1,))),
    ]
    if len(options) > 1:
        wrong.append((request.identifier, build_options(options[::-1])))
    answer = await ask(call, case.stages.lcp_options(call))
    require(answer is not None and answer.code == Code.CONFIGURE_ACK, "our own request was not acknowledged")
    for identifier, data in wrong:
        call.send(Protocol.LCP, ControlPacket(Code.CONFIGURE_ACK, identifier, data))
    require(not await call.lcp_echo(case.quiet), "LCP opened on a wrong Configure-Ack")
    again = await call.try_expect(Protocol.LCP, Code.CONFIGURE_REQUEST, 0.0)
    acknowledge(call, again or request)
    require(await call.lcp_echo(), "LCP does not open on the right one either")
    return f"{len(wrong)} wrong ones discarded, the right one accepted"


@check("lcp/5.3/1", BOTH)
async def wrong_naks(case: Case) -> str:
    """Configure-Naks with another identifier, and for an option that was never asked for."""
    call = await case.call()
    request = await their_request(call)
    wish = build_options([Option(OptionType.MRU, b"\x04\x00")])
    call.send(Protocol.LCP, ControlPacket(Code.CONFIGURE_NAK, request.identifier + 9 & 0xFF, wish))
    early = await call.try_expect(Protocol.LCP, Code.CONFIGURE_REQUEST, case.quiet)
    require(early is None or early.data == request.data, "a Configure-Nak with a wrong identifier was followed")
    request = early or request
    unasked = build_options([Option(OptionType.QUALITY, b"\xc0\x25\0\0\0\x64")])
    call.send(Protocol.LCP, ControlPacket(Code.CONFIGURE_NAK, request.identifier, unasked))
    again = await call.try_expect(Protocol.LCP, Code.CONFIGURE_REQUEST, case.target.timers.restart + 1)
    require(again is not None, "after a Configure-Nak for an option it never asked for it is mute")
    assert again is not None
    added = OptionType.QUALITY in {option.type for option in parse_options(again.data) or []}
    return f"the wrong identifier discarded, the extra option {'added' if added else 'ignored'}"


@check("lcp/5.4/1", BOTH)
async def unknown_option(case: Case) -> str:
    """An unknown option among good ones."""
    call = await case.call()
    options = case.stages.lcp_options(call)
    answer = await ask(call, [options[0], UNKNOWN, *options[1:], Option(0x78)])
    require(answer is not None, "no answer")
    assert answer is not None
    require(answer.code == Code.CONFIGURE_REJECT, f"answered with code {answer.code}")
    expected = build_options([UNKNOWN, Option(0x78)])
    require(answer.data == expected, f"rejected {answer.data.hex()} instead of {expected.hex()}")
    return "Configure-Reject with the unknown options alone, octet for octet"


@check("lcp/5.4/2", BOTH)
async def rejected_options(case: Case) -> str:
    """The target's Magic-Number, PFC and ACFC are rejected."""
    call = await case.call()
    request = await their_request(call)
    unwanted = (OptionType.MAGIC_NUMBER, OptionType.PFC, OptionType.ACFC)
    options = parse_options(request.data) or []
    rejected = [option for option in options if option.type in unwanted]
    if not rejected:
        return "it asks for none of them"
    call.send(Protocol.LCP, ControlPacket(Code.CONFIGURE_REJECT, request.identifier, build_options(rejected)))
    again = parse_options((await their_request(call)).data) or []
    kept = [option.type for option in again if option.type in unwanted]
    require(not kept, f"it asks again for options {kept}")
    return f"{[option.type for option in rejected]} left out of the next request"


@check("lcp/5.4/3", waits=True)
async def authentication_refused(case: Case) -> str:
    """The client will not authenticate: Configure-Reject, and Configure-Nak to PAP."""
    seen = []
    for code, value in ((Code.CONFIGURE_REJECT, None), (Code.CONFIGURE_NAK, b"\xc0\x23")):
        call = await case.call()
        for _ in range(MANY_ROUNDS):
            packet = await call.try_expect(
                Protocol.LCP, (Code.CONFIGURE_REQUEST, Code.TERMINATE_REQUEST), case.target.timers.restart + 1
            )
            if packet is None or packet.code == Code.TERMINATE_REQUEST:
                break
            options = parse_options(packet.data) or []
            wanted = [option for option in options if option.type == OptionType.AUTHENTICATION]
            if not wanted:
                await _nothing_without_login(case, call, packet)
                break
            require(wanted[0].value != b"\xc0\x23", "it lets itself be talked down to PAP")
            refused = wanted if value is None else [Option(OptionType.AUTHENTICATION, value)]
            call.send(Protocol.LCP, ControlPacket(code, packet.identifier, build_options(refused)))
        ending = await call.ended(case.target.timers.restart * 3)
        require(ending, "the call is not ended")
        seen.append(ending)
    return f"refused: {seen[0]}; talked down: {seen[1]}"


async def _nothing_without_login(case: Case, call: Call, request: ControlPacket) -> None:
    """Agree to a link without authentication: the target may only open it to end it."""
    acknowledge(call, request)
    await ask(call, case.stages.lcp_options(call))
    network = frozenset((Protocol.IPCP, Protocol.CCP, Protocol.IPV4))
    ended = (Protocol.LCP, Code.TERMINATE_REQUEST)

    def telling(frame: Frame) -> bool:
        packet = frame.packet
        return frame.protocol in network or (packet is not None and (frame.protocol, packet.code) == ended)

    frame = await call.take(telling)
    require(frame is None or frame.protocol not in network, "it goes on without authentication")


@check("lcp/6/1", BOTH)
async def option_lengths(case: Case) -> str:
    """Options whose length is impossible, at the beginning, in the middle and at the end."""
    call = await case.call()
    good = build_options(case.stages.lcp_options(call))
    loop = asyncio.get_running_loop()
    for length in (0, 1, 200):
        bad = bytes((OptionType.MRU, length))
        for data in (bad + good, good + bad + good, good + bad):
            answer = await ask_briefly(call, data, case.quiet / 3)
            require(answer is None or answer.code != Code.CONFIGURE_ACK, f"length {length} was acknowledged")
    began = loop.time()
    require(await ask(call, case.stages.lcp_options(call)) is not None, "LCP does not answer any more")
    return f"none acknowledged; the next good request answered after {1000 * (loop.time() - began):.0f} ms"


async def ask_briefly(call: Call, data: bytes, within: float) -> ControlPacket | None:
    """Send a Configure-Request that need not have an answer."""
    identifier = call.next_identifier()
    call.send(Protocol.LCP, ControlPacket(Code.CONFIGURE_REQUEST, identifier, data))
    return await call.try_expect(Protocol.LCP, ANSWERS, within, identifier=identifier)


@check("lcp/6/2", BOTH)
async def many_options(case: Case) -> str:
    """One option 200 times, and a list of 1,480 octets."""
    call = await case.call()
    seen = []
    for data in (bytes((OptionType.PFC, 2)) * 200, bytes((0x77, 4, 0, 0)) * 370):
        answer = await ask_briefly(call, data, case.quiet)
        require(answer is None or len(answer.data) + 4 <= 1500, "the answer is longer than the MRU")
        more = await call.try_expect(Protocol.LCP, ANSWERS, 0.0)
        require(more is None, "answered twice")
        seen.append("discarded" if answer is None else f"answered with code {answer.code}")
    require(await ask(call, case.stages.lcp_options(call)) is not None, "LCP does not answer any more")
    return "; ".join(seen)


@check("lcp/6.1/1", BOTH)
async def receive_units(case: Case) -> str:
    """MRUs of all sizes, and what the target then sends."""
    call = await case.call()
    seen = []
    others = case.stages.lcp_options(call)
    for mru in (0, 3, 64, 1400, 4091, 65535):
        answer = await ask(call, [Option(OptionType.MRU, mru.to_bytes(2, "big")), *others])
        require(answer is not None, f"an MRU of {mru} was not answered")
        assert answer is not None
        if mru < 64:
            require(answer.code != Code.CONFIGURE_ACK, f"an MRU of {mru} was acknowledged")
        elif mru > 64:
            require(answer.code == Code.CONFIGURE_ACK, f"an MRU of {mru} was answered with code {answer.code}")
        seen.append(f"{mru}: {'Ack' if answer.code == Code.CONFIGURE_ACK else f'code {answer.code}'}")
    small = 576
    answer = await ask(call, [Option(OptionType.MRU, small.to_bytes(2, "big")), *others])
    require(answer is not None and answer.code == Code.CONFIGURE_ACK, f"an MRU of {small} was not acknowledged")
    acknowledge(call, await their_request(call))
    identifier = call.next_identifier()
    call.send(Protocol.LCP, call.lcp_echo_request(identifier, bytes(1500 - 8)))
    reply = await call.expect(Protocol.LCP, Code.ECHO_REPLY, identifier=identifier, what="a reply to 1,500 octets")
    require(len(reply.data) + 4 <= small, f"it sends {len(reply.data) + 4} octets to an MRU of {small}")
    return f"{', '.join(seen)}; takes 1,500 octets and never sends more than {small}"


@check("lcp/6.4/1", BOTH, waits=True)
async def loopback(case: Case) -> str:
    """A Magic-Number of zero, and then always the target's own."""
    call = await case.call()
    others = [option for option in case.stages.lcp_options(call) if option.type != OptionType.MAGIC_NUMBER]
    answer = await ask(call, [*others, Option(OptionType.MAGIC_NUMBER, bytes(4))])
    require(answer is not None and answer.code == Code.CONFIGURE_NAK, "a Magic-Number of zero was not Nak'd")
    assert answer is not None
    require(bytes(4) not in [option.value for option in parse_options(answer.data) or []], "Nak'd with zero")
    rounds = 0
    request: ControlPacket | None = await their_request(call)
    while request is not None and rounds < 2 * TIMES:
        rounds += 1
        # What comes back from a looped line: the request as it is.
        call.send(Protocol.LCP, request)
        answer = await call.try_expect(Protocol.LCP, (*ANSWERS, Code.TERMINATE_REQUEST), case.timeout)
        if answer is None or answer.code == Code.TERMINATE_REQUEST:
            break
        require(answer.code != Code.CONFIGURE_ACK, "its own Magic-Number was acknowledged")
        call.send(Protocol.LCP, answer)
        request = await call.try_expect(Protocol.LCP, Code.CONFIGURE_REQUEST, case.target.timers.restart + 1)
    require(rounds < 2 * TIMES, "20 rounds, and no end")
    ending = await call.ended(case.target.timers.restart * 3)
    require(ending, f"the exchange stopped after {rounds} rounds, but the link stays")
    return f"zero Nak'd; the loop was found after {rounds} rounds: {ending}"


@check("lcp/13/1", BOTH)
async def windows_options(case: Case) -> str:
    """Callback, MRRU and Endpoint-Discriminator, as Windows sends them, and then the way up."""
    call = await case.call()
    callback = Option(OptionType.CALLBACK, b"\6")
    mrru = Option(OptionType.MRRU, b"\x06\x4e")
    endpoint = Option(OptionType.ENDPOINT_DISCRIMINATOR, b"\1" + bytes(range(20)))
    answer = await ask(call, [*case.stages.lcp_options(call), callback, mrru, endpoint])
    require(answer is not None, "no answer")
    assert answer is not None
    require(answer.code == Code.CONFIGURE_REJECT, f"answered with code {answer.code}")
    rejected = [option.type for option in parse_options(answer.data) or []]
    require(OptionType.CALLBACK in rejected and OptionType.MRRU in rejected, f"only {rejected} were rejected")
    await case.stages.open_lcp(call)
    await case.bring_up(call)
    return f"{rejected} rejected, and the session comes up"
