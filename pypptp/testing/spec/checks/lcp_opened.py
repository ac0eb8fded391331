"""LCP once it is open: Terminate, Rejects, Echo, compressed fields (RFC 1661 sections 5.5 to 5.9, 6.5, 6.6)."""

from __future__ import annotations

import asyncio
from typing import Final

from pypptp.ppp.lcp import OptionType
from pypptp.ppp.packet import Code, ControlPacket, Option
from pypptp.ppp.protocols import ADDRESS_CONTROL, Protocol
from pypptp.roles import Role
from pypptp.testing.dialogue.call import Call
from pypptp.testing.dialogue.case import Case
from pypptp.testing.dialogue.verdicts import NotStrict, require
from pypptp.testing.spec.checks.gre import echo_frame
from pypptp.testing.spec.registry import BOTH, check

UNKNOWN_PROTOCOL: Final = 0x1234
LINK_END: Final = 12.0
"""Seconds in which a link that is given up is gone: two Terminate-Requests three seconds apart, and something more."""


def protocol_reject(call: Call, protocol: int, information: bytes = b"\1\1\0\4") -> ControlPacket:
    """Return the Protocol-Reject of a packet."""
    return ControlPacket(Code.PROTOCOL_REJECT, call.next_identifier(), protocol.to_bytes(2, "big") + information)


@check("lcp/5.5/1", BOTH)
async def terminate(case: Case) -> str:
    """A Terminate-Request."""
    call = await case.lcp_open()
    call.send(Protocol.LCP, ControlPacket(Code.TERMINATE_REQUEST, 0x55, b"bye"))
    await call.expect(Protocol.LCP, Code.TERMINATE_ACK, identifier=0x55, what="a Terminate-Ack with the identifier")
    require(not await call.lcp_echo(case.quiet), "LCP is still open")
    ending = await call.ended(LINK_END)
    require(ending, "the call stays")
    return f"Terminate-Ack, then: {ending}"


@check("lcp/5.5/2", BOTH)
async def terminate_ack_unasked(case: Case) -> str:
    """A Terminate-Ack nobody asked for."""
    call = await case.network_up()
    call.frames.clear()
    call.send(Protocol.LCP, ControlPacket(Code.TERMINATE_ACK, 0x66))
    request = await call.try_expect(Protocol.LCP, Code.CONFIGURE_REQUEST)
    if request is None:
        ending = await call.ended(LINK_END)
        require(ending, "nothing happened")
        return f"down: {ending}"
    require(await call.ping(within=case.quiet) is None, "packets still pass while LCP is negotiated anew")
    return "renegotiation, no traffic in between"


@check("lcp/5.5/3", BOTH, waits=True)
async def terminate_unanswered(case: Case) -> str:
    """The target closes the link, and nobody answers."""
    call = await case.lcp_open()
    call.answers_terminate = False
    # What makes any peer end the link: it is told that LCP itself is not spoken here.
    call.send(Protocol.LCP, protocol_reject(call, Protocol.CHAP if case.target.role is Role.SERVER else Protocol.LCP))
    count = 0
    while await call.try_expect(Protocol.LCP, Code.TERMINATE_REQUEST, case.target.timers.restart + 1) is not None:
        count += 1
        require(count <= 10, "Terminate-Requests without end")
    ending = await call.ended(case.target.timers.restart * 2)
    require(ending or count, "the target did not close the link")
    require(ending, f"{count} Terminate-Requests, but the call stays")
    if count != 2:
        raise NotStrict(f"{count} Terminate-Requests, then: {ending}")
    return f"2 Terminate-Requests, then: {ending}"


@check("lcp/5.6/1", BOTH)
async def unknown_codes(case: Case) -> str:
    """Identification, and code 200."""
    call = await case.lcp_open()
    call.send(Protocol.LCP, ControlPacket(Code.IDENTIFICATION, 1, call.magic.to_bytes(4, "big") + b"MSRASV5.10"))
    identifiers = []
    for _ in range(2):
        packet = ControlPacket(200, 0x99, b"what is this")
        call.send(Protocol.LCP, packet)
        while True:
            reject = await call.expect(Protocol.LCP, Code.CODE_REJECT, what="a Code-Reject of code 200")
            if reject.data[:1] == b"\xc8":
                break
        require(reject.data == packet.build(), f"the Code-Reject holds {reject.data.hex()}")
        identifiers.append(reject.identifier)
    require(identifiers[0] != identifiers[1], "both Code-Rejects have one identifier")
    require(await call.lcp_echo(), "the link is gone")
    return "Code-Reject of 200 each time, with a new identifier; the link stays"


@check("lcp/5.6/2", BOTH)
async def configure_request_rejected(case: Case) -> str:
    """Code-Reject of Configure-Request."""
    call = await case.lcp_open()
    rejected = ControlPacket(Code.CONFIGURE_REQUEST, 1).build()
    call.send(Protocol.LCP, ControlPacket(Code.CODE_REJECT, 0x11, rejected))
    ending = await call.ended(LINK_END)
    require(ending, "the link goes on")
    return f"closed: {ending}"


@check("lcp/5.7/1", BOTH)
async def unknown_protocol(case: Case) -> str:
    """Protocol 0x1234 in the network phase, over a link whose other side takes 500 octets."""
    call = await case.network_up(options={"mru": 500})
    identifiers = []
    for _ in range(2):
        call.send(UNKNOWN_PROTOCOL, bytes(1300))
        reject = await call.expect(Protocol.LCP, Code.PROTOCOL_REJECT, what="a Protocol-Reject")
        named = int.from_bytes(reject.data[:2], "big")
        require(named == UNKNOWN_PROTOCOL, f"0x{named:04x} was rejected")
        require(len(reject.data) + 4 <= 500, f"{len(reject.data) + 4} octets for an MRU of 500")
        identifiers.append(reject.identifier)
    require(identifiers[0] != identifiers[1], "both Protocol-Rejects have one identifier")
    return "Protocol-Reject, cut to our MRU, a new identifier each time"


@check("lcp/5.7/2", BOTH)
async def lcp_rejected(case: Case) -> str:
    """Protocol-Reject of LCP itself."""
    call = await case.lcp_open()
    call.send(Protocol.LCP, protocol_reject(call, Protocol.LCP))
    ending = await call.ended(LINK_END)
    require(ending, "the link goes on")
    return f"closed: {ending}"


@check("lcp/5.7/3", BOTH)
async def network_protocols_rejected(case: Case) -> str:
    """Protocol-Reject of IPV6CP, of IPCP and of CCP.

    Where packets and negotiation are two programs' work, the answer to an Echo-Request says that the second has heard.
    """
    call = await case.network_up()
    call.send(Protocol.LCP, protocol_reject(call, Protocol.IPV6CP))
    require(await call.ping() is not None, "after a Protocol-Reject of IPV6CP packets do not pass any more")
    call.send(Protocol.LCP, protocol_reject(call, Protocol.IPCP))
    await call.lcp_echo(case.quiet)
    require(await call.ping(within=case.quiet) is None, "after a Protocol-Reject of IPCP packets still pass")
    without_ipcp = await call.ended(case.quiet)
    if case.target.role is Role.CLIENT:
        return f"IPV6CP: the session goes on; IPCP: {without_ipcp or 'stopped'}"
    other = await case.network_up()
    other.send(Protocol.LCP, protocol_reject(other, Protocol.CCP))
    await other.lcp_echo(case.quiet)
    require(await other.ping(within=case.quiet) is None, "after a Protocol-Reject of CCP packets still pass")
    await _nothing_in_clear(case, other)
    ending = await other.ended(LINK_END)
    require(ending, "after a Protocol-Reject of CCP the link goes on without encryption")
    return f"IPV6CP: the session goes on; IPCP: {without_ipcp or 'stopped'}; CCP: {ending}"


async def _nothing_in_clear(case: Case, call: Call) -> None:
    number = call.next_ping()
    call.send(Protocol.IPV4, call.echo_packet(number))
    require(await call.pong(number, case.quiet) is None, "packets pass in clear")


@check("lcp/5.7/4", BOTH)
async def before_opened(case: Case) -> str:
    """A Protocol-Reject and an unknown protocol before LCP is open."""
    call = await case.call()
    call.send(Protocol.LCP, protocol_reject(call, Protocol.CCP))
    call.send(UNKNOWN_PROTOCOL, b"hello")
    reject = await call.try_expect(Protocol.LCP, Code.PROTOCOL_REJECT, case.quiet)
    require(reject is None, "a Protocol-Reject was sent before LCP was open")
    await case.stages.open_lcp(call)
    require(await call.lcp_echo(), "LCP does not open any more")
    return "both discarded, no Protocol-Reject"


@check("lcp/5.8/1", BOTH)
async def echo(case: Case) -> str:
    """An Echo-Request with data, and one as long as our MRU."""
    call = await case.call()
    options = [Option(OptionType.MRU, (500).to_bytes(2, "big")), *case.stages.lcp_options(call)]
    agreement = await case.stages.open_lcp(call, options)
    theirs = [option.value for option in agreement.theirs if option.type == OptionType.MAGIC_NUMBER]
    magic = theirs[0] if theirs else bytes(4)
    call.send(Protocol.LCP, call.lcp_echo_request(0x42, b"data of ours"))
    reply = await call.expect(Protocol.LCP, Code.ECHO_REPLY, what="an Echo-Reply")
    require(reply.identifier == 0x42, f"identifier {reply.identifier}")
    require(reply.data[:4] == magic, f"Magic-Number {reply.data[:4].hex()} instead of {magic.hex()}")
    require(reply.data[4:] == b"data of ours", f"data {reply.data[4:]!r}")
    call.send(Protocol.LCP, call.lcp_echo_request(0x43, bytes(1000)))
    reply = await call.expect(Protocol.LCP, Code.ECHO_REPLY, what="an Echo-Reply")
    require(len(reply.data) + 4 <= 500, f"{len(reply.data) + 4} octets for an MRU of 500")
    return "Echo-Reply with the identifier, its own Magic-Number and our data, never beyond our MRU"


@check("lcp/5.8/2", BOTH)
async def echo_before_opened(case: Case) -> str:
    """An Echo-Request before LCP is open."""
    call = await case.call()
    require(not await call.lcp_echo(case.quiet), "answered before LCP was open")
    await case.stages.open_lcp(call)
    require(await call.lcp_echo(), "not answered once LCP was open")
    return "discarded; answered once LCP was open"


@check("lcp/5.8/3", BOTH, waits=True, deadline=200.0)
async def echo_unanswered(case: Case) -> str:
    """The target's LCP Echo-Requests stay unanswered."""
    timers = case.target.timers
    call = await case.network_up()
    call.answers_echoes = False
    began = asyncio.get_running_loop().time()
    patience = timers.lcp * (timers.lcp_failures + 2) + timers.restart
    ending = await call.ended(patience)
    require(ending, f"still up {patience:g} s after the last Echo-Reply")
    return f"ended after {asyncio.get_running_loop().time() - began:.0f} s: {ending}"


@check("lcp/6.5/1", BOTH)
async def compressed_fields(case: Case) -> str:
    """Protocol-Field- and Address-and-Control-Field-Compression in both directions."""
    call = await case.call()
    options = [Option(OptionType.PFC), Option(OptionType.ACFC), *case.stages.lcp_options(call)]
    agreement = await case.stages.open_lcp(call, options)
    agreed = [option.type for option in agreement.ours if option.type in (OptionType.PFC, OptionType.ACFC)]
    await case.bring_up(call)
    for frame in (
        call.encrypt(call.echo_packet(900)),
        call.encrypt(call.echo_packet(901))[2:],
        call.encrypt(call.echo_packet(902))[3:],
        ADDRESS_CONTROL + call.encrypt(call.echo_packet(903))[3:],
    ):
        call.send_frame(frame)
    for number in range(900, 904):
        require(await call.pong(number) is not None, f"form {number - 899} of 4 was not understood")
    call.frames.clear()
    identifier = call.next_identifier()
    call.send_frame(echo_frame(call, identifier))
    reply = await call.take(lambda frame: frame.protocol == Protocol.LCP)
    require(reply is not None, "no LCP Echo-Reply")
    assert reply is not None
    at = reply.header.header_length
    require(reply.raw[at : at + 4] == ADDRESS_CONTROL + b"\xc0\x21", "LCP was sent with compressed fields")
    return f"both forms understood, options {agreed} granted; LCP always in full"


@check("lcp/6.5/2", BOTH)
async def odd_frames(case: Case) -> str:
    """Empty frames, one octet, and protocol numbers that break the rule of the lowest bit."""
    call = await case.network_up()
    for frame in (ADDRESS_CONTROL, b"\xff", b"\x21", b"\x00", b"\xc0", b"\x11\x11", b"\x01\x00", b"\xfd", b"\x00\xfd"):
        call.send_frame(frame)
    require(await call.lcp_echo(), "the link does not answer any more")
    require(await call.ping() is not None, "packets do not pass any more")
    return "dropped or rejected, the session goes on"
