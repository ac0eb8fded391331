"""The questions: each on a control connection of its own, ended in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from ipaddress import IPv4Address
from itertools import pairwise

from pypptp.capture.descriptions import describe_option
from pypptp.control import printable
from pypptp.control.codes import OutgoingCallResult, StartResult, explain
from pypptp.control.messages import OutgoingCallReply, StartControlConnectionReply
from pypptp.ppp import ccp, ipcp, lcp
from pypptp.ppp.auth.chap import parse_value
from pypptp.ppp.packet import Code, ControlPacket, Option, build_options, parse_options
from pypptp.ppp.protocols import Protocol
from pypptp.testing.dialogue.call import Call
from pypptp.testing.dialogue.case import Case, Target
from pypptp.testing.dialogue.control import Control, call_request, start_request
from pypptp.testing.dialogue.network import Network
from pypptp.testing.dialogue.stages import Answer, acknowledge, negotiate
from pypptp.testing.dialogue.verdicts import Failed
from pypptp.testing.personas import looks_like
from pypptp.testing.playbook.lines import METHODS
from pypptp.testing.probe.findings import (
    CallFindings,
    ControlFindings,
    EncryptionFindings,
    Findings,
    LinkFindings,
    NetworkFindings,
)

MORE_CALLS = 3
"""Connections whose call ids are compared."""
NAKS = 4
"""Times a method is proposed before a server that says nothing else counts as refusing it."""
STRENGTHS = (
    ("128 stateless", ccp.SupportedBits.BITS_128 | ccp.SupportedBits.STATELESS),
    ("128 stateful", ccp.SupportedBits.BITS_128),
    ("56 stateless", ccp.SupportedBits.BITS_56 | ccp.SupportedBits.STATELESS),
    ("40 stateless", ccp.SupportedBits.BITS_40 | ccp.SupportedBits.STATELESS),
)
_ECHO_IDENTIFIER = 0x70707470
_NAME_SERVERS = {
    ipcp.OptionType.PRIMARY_DNS: "dns",
    ipcp.OptionType.SECONDARY_DNS: "dns",
    ipcp.OptionType.PRIMARY_NBNS: "wins",
    ipcp.OptionType.SECONDARY_NBNS: "wins",
}


async def probe(
    target: Target,
    make_network: Callable[[], Network],
    address: IPv4Address,
    port: int,
    *,
    with_password: bool,
    report: Callable[[str], None] = lambda what: None,
) -> Findings:
    """Ask a server.

    Args:
        target: the server, the time it has for an answer, and whom to log in as.
        make_network: gives a way to it, a new one for each question.
        address: where it is, for the findings.
        port: its TCP port, likewise.
        with_password: whether to log in.
        report: told what is asked next.

    Raises:
        TargetSilent: nobody answers.
    """
    asking = _Asking(target, make_network, Findings(str(address), port))
    report("control connection")
    await asking.control()
    if asking.findings.control is None:
        return asking.findings
    report("calls")
    await asking.calls()
    if asking.findings.call is not None and asking.findings.call.call_ids:
        report("link")
        await asking.link()
        for name in METHODS:
            report(f"authentication: {name}")
            await asking.method(name)
        if with_password:
            report("encryption")
            await asking.encryption()
            report("network")
            await asking.network()
        else:
            asking.findings.remarks.append(
                "MPPE and addresses are shown only to who logs in: give a user and a password"
            )
    asking.judge()
    return asking.findings


class _Asking:
    def __init__(self, target: Target, make_network: Callable[[], Network], findings: Findings) -> None:
        self.target = target
        self.findings = findings
        self._make_network = make_network

    def _case(self) -> Case:
        return Case(self.target, self._make_network())

    async def control(self) -> None:
        """What the Start-Control-Connection-Reply says."""
        case = self._case()
        try:
            control = await case.control()
            began = asyncio.get_running_loop().time()
            await control.send(start_request())
            reply = await control.try_receive(StartControlConnectionReply)
            if reply is None:
                what = control.out_of_step or ("the connection was closed" if control.closed else "no answer")
                self.findings.remarks.append(f"no Start-Control-Connection-Reply: {what}; it may be no PPTP server")
                return
            seconds = asyncio.get_running_loop().time() - began
            self.findings.control = ControlFindings(
                version=reply.protocol_version,
                result=explain(StartResult, reply.result_code, reply.error_code),
                host_name=printable(reply.host_name),
                vendor_name=printable(reply.vendor_name),
                firmware_revision=reply.firmware_revision,
                maximum_channels=reply.maximum_channels,
                framing=reply.framing_capabilities,
                bearer=reply.bearer_capabilities,
                answers_echo=await control.echo(_ECHO_IDENTIFIER) is not None,
                seconds=round(seconds, 6),
                looks_like=looks_like(
                    printable(reply.host_name),
                    printable(reply.vendor_name),
                    reply.firmware_revision,
                    reply.maximum_channels,
                    reply.framing_capabilities,
                    reply.bearer_capabilities,
                ),
            )
        finally:
            await case.close()

    async def calls(self) -> None:
        """What the Outgoing-Call-Replies say."""
        for _ in range(MORE_CALLS):
            case = self._case()
            try:
                reply = await self._place(case, await case.started())
            except Failed as error:
                self.findings.remarks.append(str(error))
                return
            finally:
                await case.close()
            if self.findings.call is None:
                self.findings.call = CallFindings(
                    result=explain(OutgoingCallResult, reply.result_code, reply.error_code),
                    call_ids=[],
                    connect_speed=reply.connect_speed,
                    window=reply.packet_receive_window_size,
                    processing_delay=reply.packet_processing_delay,
                )
            if reply.result_code != OutgoingCallResult.CONNECTED:
                return
            self.findings.call.call_ids.append(reply.call_id)

    async def _place(self, case: Case, control: Control) -> OutgoingCallReply:
        await control.send(call_request(case.new_call_id()))
        return await control.receive(OutgoingCallReply)

    async def link(self) -> None:
        """What it asks for in LCP, and what its first Challenge says."""
        found = self.findings.link = LinkFindings()
        case = self._case()
        try:
            call = await case.call()
            requests: list[list[Option]] = []

            def take_down(options: list[Option]) -> Answer:
                requests.append(options)
                return acknowledge(options)

            await negotiate(call, Protocol.LCP, case.stages.lcp_options(call), take_down)
            found.options = [describe_option(Protocol.LCP, option) for option in requests[0]]
            found.authentication = _method(requests[0])
            found.first_sequence = next(header.sequence for header in call.headers if header.sequence is not None)
            challenge = await call.try_expect(Protocol.CHAP, 1)
            value = None if challenge is None else parse_value(challenge.data)
            if value is not None:
                found.challenge_length, found.challenge_name = len(value[0]), printable(value[1])
            while (said := await call.try_expect(Protocol.LCP, Code.IDENTIFICATION, case.quiet)) is not None:
                found.identification.append(printable(said.data[4:]))
        except Failed as error:
            self.findings.remarks.append(str(error))
        finally:
            await case.close()

    async def method(self, name: str) -> None:
        """Whether it comes to ask for a method when that is proposed to it (RFC 1661 section 5.3)."""
        found = self.findings.link
        if found is None or not found.authentication:
            return
        if name == found.authentication:
            found.agrees_to.append(name)
            return
        case = self._case()
        try:
            call = await case.call()
            refusal = await self._propose(call, name)
            if refusal:
                found.refuses[name] = refusal
            else:
                found.agrees_to.append(name)
        except Failed as error:
            found.refuses[name] = str(error)
        finally:
            await case.close()

    async def _propose(self, call: Call, name: str) -> str:
        nak = build_options([Option(lcp.OptionType.AUTHENTICATION, METHODS[name])])
        for _ in range(NAKS):
            packet = await call.expect(
                Protocol.LCP, (Code.CONFIGURE_REQUEST, Code.TERMINATE_REQUEST), what="its LCP Configure-Request"
            )
            if packet.code == Code.TERMINATE_REQUEST:
                return f"ends the link: '{printable(packet.data)}'" if packet.data else "ends the link"
            options = parse_options(packet.data) or []
            if _method(options) == name:
                return ""
            call.send(Protocol.LCP, ControlPacket(Code.CONFIGURE_NAK, packet.identifier, nak))
        return f"goes on asking for {_method(options) or 'nothing'}"

    async def encryption(self) -> None:
        """What it asks for in CCP, and what it says to each kind of MPPE."""
        found = self.findings.encryption = EncryptionFindings()
        case = self._case()
        try:
            call, _ = await case.logged_in()
            request = await call.try_expect(Protocol.CCP, Code.CONFIGURE_REQUEST)
            if request is not None:
                options = parse_options(request.data) or []
                found.asks_for = [describe_option(Protocol.CCP, option) for option in options]
            for name, bits in STRENGTHS:
                found.answers[name] = await self._ask_mppe(call, bits)
        except Failed as error:
            self.findings.remarks.append(str(error))
        finally:
            await case.close()

    async def _ask_mppe(self, call: Call, bits: int) -> str:
        """Ask once. Its own request stays without an answer, so that CCP never opens."""
        identifier = call.next_identifier()
        options = build_options([Option(ccp.OptionType.MPPE, bits.to_bytes(4, "big"))])
        call.send(Protocol.CCP, ControlPacket(Code.CONFIGURE_REQUEST, identifier, options))
        answers = (Code.CONFIGURE_ACK, Code.CONFIGURE_NAK, Code.CONFIGURE_REJECT)
        packet = await call.try_expect(Protocol.CCP, answers, identifier=identifier)
        if packet is None:
            ended = await call.try_expect(Protocol.LCP, (Code.TERMINATE_REQUEST, Code.PROTOCOL_REJECT), call.timeout)
            return "no answer" if ended is None else f"ends it: '{printable(ended.data)}'"
        if packet.code == Code.CONFIGURE_ACK:
            return "acknowledged"
        wanted = ", ".join(describe_option(Protocol.CCP, option) for option in parse_options(packet.data) or [])
        return f"rejected: {wanted}" if packet.code == Code.CONFIGURE_REJECT else f"wants {wanted}"

    async def network(self) -> None:
        """What IPCP gives."""
        case = self._case()
        try:
            call, _ = await case.logged_in()
            await case.stages.open_ccp(call)
            zero = bytes(4)
            wanted = [Option(kind, zero) for kind in (ipcp.OptionType.IP_ADDRESS, *_NAME_SERVERS)]
            agreement = await case.stages.open_ipcp(call, wanted)
            found = self.findings.network = NetworkFindings(str(call.address), str(call.gateway))
            for option in agreement.ours:
                list_name = _NAME_SERVERS.get(ipcp.OptionType(option.type)) if option.type in _KNOWN else None
                if list_name is not None and option.value != zero and len(option.value) == 4:
                    getattr(found, list_name).append(str(IPv4Address(option.value)))
        except Failed as error:
            self.findings.remarks.append(str(error))
        finally:
            await case.close()

    def judge(self) -> None:
        """Say what of it is unusual, or tells more than it should."""
        findings = self.findings
        quirks, control, call, link = findings.quirks, findings.control, findings.call, findings.link
        if control is not None:
            if control.framing == 0 or control.bearer == 0:
                quirks.append("says it has no framing or bearer capability, as pptpd does")
            if not control.answers_echo:
                quirks.append("does not answer Echo-Requests: its clients will take it for dead (RFC 2637 section 2.5)")
        if call is not None and len(call.call_ids) > 1:
            steps = {(after - before) & 0xFFFF for before, after in pairwise(call.call_ids)}
            if len(steps) == 1 and steps != {0}:
                quirks.append(f"counts its call ids ({call.call_ids[0]}, {call.call_ids[1]}, ...): they can be guessed")
            elif steps == {0}:
                quirks.append(f"gives every call the id {call.call_ids[0]}")
        if link is not None:
            if link.options and not link.authentication:
                quirks.append("asks for no proof: anybody may connect")
            for name in ("pap", "chap-md5"):
                if name in link.agrees_to:
                    quirks.append(f"agrees to {name}, after which there are no keys for MPPE")
            if link.first_sequence not in (None, 0):
                quirks.append(f"numbers its GRE packets from {link.first_sequence}, not 0 (RFC 2637 section 4.1)")
            if link.challenge_name:
                quirks.append(f"its Challenge names it '{link.challenge_name}'")
        answers = {} if findings.encryption is None else findings.encryption.answers
        quirks += [
            f"takes MPPE {name}" for name in answers if name[:2] in ("40", "56") and answers[name] == "acknowledged"
        ]


_KNOWN = frozenset(map(int, _NAME_SERVERS))


def _method(options: list[Option]) -> str:
    """Return the name of the method a Configure-Request asks for, empty where it asks for none."""
    for option in options:
        if option.type == lcp.OptionType.AUTHENTICATION:
            names = (name for name, value in METHODS.items() if value == option.value)
            return next(names, f"0x{option.value.hex()}")
    return ""
