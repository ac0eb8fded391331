"""The authentication phase, PAP and what all CHAPs share (RFC 1661 section 3.5, RFC 1334, RFC 1994)."""

from __future__ import annotations

from typing import Final

from pypptp.control.messages import CallClearRequest, CallDisconnectNotify
from pypptp.ppp import ccp, ipcp
from pypptp.ppp.auth.chap import ChapCode, build_value, parse_value
from pypptp.ppp.auth.pap import PapCode, build_request
from pypptp.ppp.lcp import OptionType
from pypptp.ppp.packet import Code, ControlPacket, Option, build_options, parse_options
from pypptp.ppp.protocols import Protocol
from pypptp.roles import Role
from pypptp.testing.dialogue.call import Call, Frame
from pypptp.testing.dialogue.case import Case
from pypptp.testing.dialogue.stages import MPPE_128, Answer, negotiate
from pypptp.testing.dialogue.verdicts import NotStrict, Unreached, require
from pypptp.testing.spec.checks.cc_calls import CALLS_A_CONNECTION, ENOUGH_CALLS
from pypptp.testing.spec.registry import BOTH, check

PAP: Final = b"\xc0\x23"
SESSIONS: Final = 1000
SHORTEST_CHALLENGE: Final = 16
NETWORK_PROTOCOLS: Final = frozenset((Protocol.IPCP, Protocol.CCP, Protocol.IPV4, Protocol.COMPRESSED))


def too_early(call: Call) -> Frame | None:
    """Take out a frame of the network phase."""
    return call.frames.take_now(lambda frame: frame.protocol in NETWORK_PROTOCOLS)


@check("auth/phase/1", BOTH)
async def network_before_login(case: Case) -> str:
    """IPCP, CCP and packets before anybody has logged in."""
    call = await case.lcp_open()
    call.frames.clear()
    address = build_options([Option(ipcp.OptionType.IP_ADDRESS, bytes(4))])
    call.send(Protocol.IPCP, ControlPacket(Code.CONFIGURE_REQUEST, 1, address))
    mppe = build_options([Option(ccp.OptionType.MPPE, MPPE_128.to_bytes(4, "big"))])
    call.send(Protocol.CCP, ControlPacket(Code.CONFIGURE_REQUEST, 2, mppe))
    call.send(Protocol.IPV4, call.echo_packet(1))
    require(await call.lcp_echo(), "LCP does not answer any more")
    early = too_early(call)
    require(early is None, f"answered with protocol 0x{early.protocol if early else 0:04x}")
    return "discarded"


@check("auth/phase/2", BOTH)
async def other_protocols(case: Case) -> str:
    """CHAP before LCP is open, and PAP where CHAP was agreed on."""
    call = await case.call()
    request = ControlPacket(PapCode.AUTHENTICATE_REQUEST, 9, build_request(b"anybody", b"anything"))
    if case.target.role is Role.CLIENT:
        case.stages.ask_proof(call, identifier=3)
        early = await call.try_expect(Protocol.CHAP, ChapCode.RESPONSE, case.quiet)
        require(early is None, "a Challenge was answered before LCP was open")
        await case.stages.open_lcp(call)
        call.send(Protocol.PAP, request)
        require(await call.lcp_echo(), "LCP does not answer any more")
        require(await call.try_expect(Protocol.PAP, range(256), 0.0) is None, "PAP was answered")
        return "both discarded"
    value = build_value(bytes(49), case.stages.user)
    call.send(Protocol.CHAP, ControlPacket(ChapCode.RESPONSE, 1, value))
    early = await call.try_expect(Protocol.CHAP, (ChapCode.SUCCESS, ChapCode.FAILURE), case.quiet)
    require(early is None, "a Response was judged before LCP was open")
    await case.stages.open_lcp(call)
    await case.stages.challenge(call)
    call.send(Protocol.PAP, request)
    require(await call.lcp_echo(), "LCP does not answer any more")
    require(await call.try_expect(Protocol.PAP, range(256), case.quiet) is None, "PAP was answered")
    return "both discarded"


@check("auth/pap/1")
async def pap_lengths(case: Case) -> str:
    """PAP with nothing for a name and a password, with half a password, and with lengths that lie."""
    call = await case.call()
    request = await call.expect(Protocol.LCP, Code.CONFIGURE_REQUEST, what="a Configure-Request")
    nak = build_options([Option(OptionType.AUTHENTICATION, PAP)])
    call.send(Protocol.LCP, ControlPacket(Code.CONFIGURE_NAK, request.identifier, nak))
    again = await call.try_expect(Protocol.LCP, (Code.CONFIGURE_REQUEST, Code.TERMINATE_REQUEST))
    options = [] if again is None or again.code != Code.CONFIGURE_REQUEST else parse_options(again.data) or []
    offered = Option(OptionType.AUTHENTICATION, PAP) in options
    call = await case.call()
    if offered:
        await _open_with_pap(case, call)
    else:
        await case.stages.open_lcp(call)
        await case.stages.challenge(call)
    name, password = case.stages.user, case.target.password.encode()
    lies = [
        build_request(b"", b""),
        build_request(name, b""),
        build_request(name, password[:-1]),
        bytes((len(name),)) + name + bytes((len(password) + 20,)) + password,
        bytes((255,)) + name,
        bytes((len(name),)) + name,
    ]
    for identifier, data in enumerate(lies, 1):
        call.send(Protocol.PAP, ControlPacket(PapCode.AUTHENTICATE_REQUEST, identifier, data))
    answer = await call.try_expect(Protocol.PAP, PapCode.AUTHENTICATE_ACK, case.quiet)
    require(answer is None, f"Authenticate-Ack for request {answer.identifier if answer else 0} of {len(lies)}")
    return f"PAP {'is offered' if offered else 'is not to be had'}; none of {len(lies)} requests was let in"


async def _open_with_pap(case: Case, call: Call) -> None:
    def judge(options: list[Option]) -> Answer:
        wanted = Option(OptionType.AUTHENTICATION, PAP)
        if wanted in options:
            return Code.CONFIGURE_ACK, options
        return Code.CONFIGURE_NAK, [wanted]

    await negotiate(call, Protocol.LCP, case.stages.lcp_options(call), judge)


@check("auth/chap/1", alone=True, deadline=120.0)
async def challenges(case: Case) -> str:
    """The Challenges of 1,000 sessions."""
    control = await case.started()
    seen: set[bytes] = set()
    identifiers = set()
    shortest = 255
    call = None
    for number in range(SESSIONS):
        if call is not None:
            await control.send(CallClearRequest(call_id=call.call_id))
            # Some answer by closing the connection.
            await control.try_receive(CallDisconnectNotify)
            call.close()
        try:
            if control.closed or number % CALLS_A_CONNECTION == CALLS_A_CONNECTION - 1:
                await control.stop()
                control = await case.started()
            call = await case.lcp_open_on(control)
        except Unreached:
            # Some take long to be ready for another call, and refuse it until then.
            if len(seen) < ENOUGH_CALLS:
                raise
            break
        packet = await call.expect(Protocol.CHAP, ChapCode.CHALLENGE, what="a Challenge")
        value = parse_value(packet.data)
        require(value is not None, "a Challenge without a value")
        assert value is not None
        require(value[0] not in seen, f"a Challenge came twice within {len(seen) + 1} sessions")
        seen.add(value[0])
        identifiers.add(packet.identifier)
        shortest = min(shortest, len(value[0]))
    require(shortest >= SHORTEST_CHALLENGE, f"a Challenge of {shortest} octets")
    require(not _has_constant_octet(seen), "an octet of the Challenge is always the same")
    words = f"{len(seen)} different Challenges of {shortest} octets"
    if len(identifiers) < 2:
        raise NotStrict(f"{words}, but always with identifier {identifiers.pop()}")
    return f"{words}, {len(identifiers)} identifiers"


def _has_constant_octet(challenges: set[bytes]) -> bool:
    return any(len(set(column)) == 1 for column in zip(*challenges, strict=False))


@check("auth/chap/2")
async def wrong_identifier(case: Case) -> str:
    """A right Response under a wrong identifier, and then under the right one."""
    call = await case.lcp_open()
    login = await case.stages.challenge(call)
    login.identifier ^= 0x55
    case.stages.respond(call, login)
    codes = (ChapCode.SUCCESS, ChapCode.FAILURE)
    early = await call.try_expect(Protocol.CHAP, codes, case.quiet)
    require(early is None, f"a Response under a wrong identifier was answered with code {early.code if early else 0}")
    login.identifier ^= 0x55
    case.stages.respond(call, login)
    require(await case.stages.verdict(call, login), "then the right one was refused")
    return "discarded; the right one accepted afterwards"


@check("auth/chap/3")
async def repeated_response(case: Case) -> str:
    """The same Response again, after Success and after Failure."""
    call, login = await case.logged_in()
    call.send(Protocol.CHAP, login.packet)
    again = await call.try_expect(Protocol.CHAP, (ChapCode.SUCCESS, ChapCode.FAILURE))
    require(again is not None, "a repeated Response is not answered after Success")
    assert again is not None
    require(again.code == ChapCode.SUCCESS, "a repeated Response got Failure after Success")
    same = "" if again.data == login.message else ", in other words"
    other = await case.lcp_open()
    wrong = await case.stages.challenge(other)
    case.stages.respond(other, wrong, nt_hash=bytes(16))
    require(not await case.stages.verdict(other, wrong), "a wrong password was let in")
    other.answers_terminate = False
    other.send(Protocol.CHAP, wrong.packet)
    failed = await other.try_expect(Protocol.CHAP, (ChapCode.SUCCESS, ChapCode.FAILURE))
    require(failed is None or failed.code == ChapCode.FAILURE, "a repeated wrong Response was let in")
    if failed is not None:
        require(failed.data == wrong.message, "a repeated wrong Response counted as another failure")
    return f"the same verdict again{same}; after Failure {'too' if failed else 'the link is closed'}"


@check("auth/chap/4")
async def odd_responses(case: Case) -> str:
    """Value sizes and names that are impossible or malicious."""
    name = case.stages.user
    seen = set()
    for data in (
        b"\0" + name,
        bytes((255,)) + bytes(255) + name,
        bytes((200,)) + bytes(20),
        b"",
        build_value(bytes(49), b""),
        build_value(bytes(49), b"n" * 1400),
        build_value(bytes(49), b"eve\0" + name),
        build_value(bytes(49), b"eve\r\nMay  1 12:00:00 root logged in\x1b[2J"),
    ):
        call = await case.lcp_open()
        login = await case.stages.challenge(call)
        call.send(Protocol.CHAP, ControlPacket(ChapCode.RESPONSE, login.identifier, data))
        verdict = await call.try_expect(Protocol.CHAP, (ChapCode.SUCCESS, ChapCode.FAILURE), case.quiet)
        require(verdict is None or verdict.code == ChapCode.FAILURE, f"{data[:40]!r} was let in")
        seen.add("discarded" if verdict is None else "Failure")
        await call.control.stop()
        call.close()
    call, _ = await case.logged_in()
    return f"{' or '.join(sorted(seen))}; the target goes on; its log cannot be seen from here"
