"""IPCP and the network phase (RFC 1332, RFC 1877, RFC 1661 section 3.6)."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address
from typing import Final

from pypptp.ppp.ipcp import NAME_SERVER_OPTIONS, OptionType
from pypptp.ppp.packet import Code, ControlPacket, Option, build_options, parse_options
from pypptp.ppp.protocols import Protocol
from pypptp.testing.dialogue.call import Call
from pypptp.testing.dialogue.case import Case
from pypptp.testing.dialogue.verdicts import Failed, NotStrict, Skipped, Unreached, require
from pypptp.testing.spec.registry import BOTH, check

ANSWERS: Final = (Code.CONFIGURE_ACK, Code.CONFIGURE_NAK, Code.CONFIGURE_REJECT)
ANY: Final = bytes(4)
MOST_SESSIONS: Final = 300


async def ask(call: Call, options: list[Option]) -> ControlPacket:
    """Send an IPCP Configure-Request and return the answer to it."""
    identifier = call.next_identifier()
    call.send(Protocol.IPCP, ControlPacket(Code.CONFIGURE_REQUEST, identifier, build_options(options)))
    return await call.expect(Protocol.IPCP, ANSWERS, identifier=identifier, what="an answer to the IPCP request")


def address(value: bytes) -> Option:
    """Return the IP-Address option."""
    return Option(OptionType.IP_ADDRESS, value)


@check("ipcp/3.3/1")
async def no_address(case: Case) -> str:
    """0.0.0.0 is asked for, and then what was given."""
    call = await case.encrypted()
    answer = await ask(call, [address(ANY)])
    require(answer.code == Code.CONFIGURE_NAK, f"0.0.0.0 was answered with code {answer.code}")
    given = parse_options(answer.data) or []
    require(len(given) == 1 and given[0].type == OptionType.IP_ADDRESS, f"Nak'd {answer.data.hex()}")
    require(given[0].value != ANY, "Nak'd with 0.0.0.0")
    again = await ask(call, given)
    require(again.code == Code.CONFIGURE_ACK, f"what was given was answered with code {again.code}")
    return f"Nak with {IPv4Address(given[0].value)}, Ack of that"


@check("ipcp/3.3/2")
async def others_addresses(case: Case) -> str:
    """Addresses that are somebody else's or nobody's."""
    other = await case.network_up()
    call = await case.encrypted()
    refused = []
    for wanted in (
        other.gateway,
        other.address,
        IPv4Address("255.255.255.255"),
        IPv4Address("127.0.0.1"),
        IPv4Address("224.0.0.1"),
    ):
        answer = await ask(call, [address(wanted.packed)])
        require(answer.code != Code.CONFIGURE_ACK, f"{wanted} was acknowledged")
        refused.append(str(wanted))
        if answer.code == Code.CONFIGURE_REJECT:
            raise NotStrict(f"{wanted} was rejected instead of Nak'd with a right one")
    return f"Nak for {', '.join(refused)}"


TRIES: Final = 6
"""Times somebody new tries to come in once there is room, a second apart."""


@check("ipcp/3.3/3", alone=True, order=10, deadline=120.0)
async def exhausted(case: Case) -> str:
    """Sessions until there is no address left."""
    sessions: list[Call] = []
    refusal = ""
    while len(sessions) < MOST_SESSIONS:
        try:
            call = await case.encrypted()
            await case.stages.open_ipcp(call)
        except Unreached as unreached:
            refusal = str(unreached)
            # Whoever has to wait at the door would take the place that becomes free.
            await case.controls[-1].stop()
            break
        sessions.append(call)
    if not refusal:
        raise Skipped(f"{len(sessions)} sessions, and there are still addresses")
    addresses = {call.address for call in sessions}
    require(len(addresses) == len(sessions), "an address was given twice")
    require(sessions, f"no session at all: {refusal}")
    require(await sessions[0].ping() is not None, "the first session was harmed")
    for leaving in sessions[:2]:
        leaving.close()
        await leaving.control.stop()
    came = 0
    for _ in range(TRIES):
        await asyncio.sleep(min(1.0, case.timeout))
        try:
            await case.network_up()
        except Unreached as unreached:
            refusal_now = str(unreached)
            await case.controls[-1].stop()
            continue
        came += 1
        if came == 2:
            break
    else:
        raise Failed(f"two sessions have left, but their addresses are not to be had again: {refusal_now}")
    return f"{len(sessions)} sessions, then: {refusal}; earlier ones go on, addresses come back"


@check("ipcp/1877/1")
async def name_servers(case: Case) -> str:
    """All four name server options with 0.0.0.0."""
    call = await case.encrypted()
    wanted = [Option(option, ANY) for option in NAME_SERVER_OPTIONS]
    answer = await ask(call, [address(ANY), *wanted])
    seen = []
    if answer.code == Code.CONFIGURE_REJECT:
        rejected = parse_options(answer.data) or []
        require(all(option in wanted for option in rejected), f"rejected {answer.data.hex()}")
        seen.append(f"rejected {[option.type for option in rejected]}")
        wanted = [option for option in wanted if option not in rejected]
        answer = await ask(call, [address(ANY), *wanted])
    require(answer.code == Code.CONFIGURE_NAK, f"then answered with code {answer.code}")
    given = {option.type: option.value for option in parse_options(answer.data) or []}
    for option in wanted:
        require(given.get(option.type, ANY) != ANY, f"option {option.type} was Nak'd with 0.0.0.0, or not at all")
        seen.append(f"{option.type}: {IPv4Address(given[option.type])}")
    return ", ".join(seen)


@check("ipcp/3.2/1", BOTH)
async def unwanted_options(case: Case) -> str:
    """Van Jacobson compression, IP-Addresses, mobile IPv4, and option 144."""
    call = await case.encrypted()
    unwanted = [
        Option(OptionType.IP_COMPRESSION, b"\0\x2d\x0f\1"),
        Option(OptionType.IP_ADDRESSES, bytes(8)),
        Option(OptionType.MOBILE_IPV4, bytes(4)),
        Option(144, bytes(4)),
    ]
    answer = await ask(call, [address(b"\xc0\xa8\xde\x01"), *unwanted])
    rejected = [option.type for option in parse_options(answer.data) or []]
    require(answer.code == Code.CONFIGURE_REJECT, f"answered with code {answer.code}")
    require(set(rejected) == {option.type for option in unwanted}, f"rejected {rejected}")
    return f"{rejected} rejected"


@check("ipcp/5/1", BOTH)
async def terminated(case: Case) -> str:
    """IPCP is terminated by the other side."""
    call = await case.network_up()
    call.send(Protocol.IPCP, ControlPacket(Code.TERMINATE_REQUEST, 0x3C))
    await call.expect(Protocol.IPCP, Code.TERMINATE_ACK, identifier=0x3C, what="an IPCP Terminate-Ack")
    number = call.next_ping()
    call.send_ip(call.echo_packet(number))
    require(await call.pong(number, case.quiet) is None, "packets still pass")
    ending = await call.ended(case.quiet)
    return f"Terminate-Ack, no packets; {f'then: {ending}' if ending else 'LCP stays'}"


@check("ipcp/6/1", BOTH)
async def ipv6cp(case: Case) -> str:
    """IPV6CP to an end that does not speak it."""
    call = await case.network_up()
    data = build_options([Option(1, b"\2\0\0\xff\xfe\0\0\1")])
    call.send(Protocol.IPV6CP, ControlPacket(Code.CONFIGURE_REQUEST, 1, data))
    reject = await call.try_expect(Protocol.LCP, Code.PROTOCOL_REJECT)
    if reject is None:
        spoken = await call.try_expect(Protocol.IPV6CP, range(256), 0.0)
        if spoken is not None:
            raise Skipped("the target speaks IPV6CP")
    require(reject is not None, "no Protocol-Reject came")
    require(await call.ping() is not None, "IPv4 does not pass any more")
    return "Protocol-Reject; IPv4 goes on"


@check("ipcp/7/1", BOTH)
async def before_encryption(case: Case) -> str:
    """IPCP begins before CCP is done, as Windows and RouterOS do it."""
    call, _ = await case.logged_in()
    data = build_options([address(ANY)])
    call.send(Protocol.IPCP, ControlPacket(Code.CONFIGURE_REQUEST, 0x21, data))
    answer = await call.try_expect(Protocol.IPCP, (*ANSWERS, Code.TERMINATE_ACK), case.quiet)
    require(
        answer is None or answer.code != Code.TERMINATE_ACK, "a Terminate-Ack, after which some peers never ask again"
    )
    require(answer is None or answer.code != Code.CONFIGURE_ACK, "acknowledged before packets are encrypted")
    await case.stages.open_ccp(call)
    deferred = await call.try_expect(Protocol.IPCP, ANSWERS, case.quiet, identifier=0x21)
    await case.stages.open_ipcp(call)
    await case.stages.settle(call)
    return f"{'deferred' if answer is None else 'answered'}, then completed" + (
        "; the early request was answered once CCP was open" if deferred is not None else ""
    )
