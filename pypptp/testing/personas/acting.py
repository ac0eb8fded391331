"""A persona at work on one link: LCP, authentication, CCP, IPCP and IPV6CP, each packet answered as it comes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from pypptp.mppe.keys import keys_for_mschap_v2
from pypptp.ppp import ccp, ipcp, lcp
from pypptp.ppp.auth.chap import ChapCode, build_value, parse_value
from pypptp.ppp.packet import Code, ControlPacket, Option
from pypptp.ppp.protocols import Protocol
from pypptp.roles import Role
from pypptp.testing.dialogue import packets
from pypptp.testing.dialogue.call import Frame
from pypptp.testing.dialogue.case import Case
from pypptp.testing.dialogue.stages import CHALLENGE_LENGTH, Agreement, Answer, Login
from pypptp.testing.dialogue.verdicts import Failed
from pypptp.testing.personas.calling import PersonaCall
from pypptp.testing.personas.habits import Moment
from pypptp.testing.personas.negotiation import RESTART, Negotiation, Revise, follow
from pypptp.testing.playbook.lines import METHODS

if TYPE_CHECKING:
    from pypptp.testing.personas.persona import Persona

IPV6CP_INTERFACE_IDENTIFIER = 1
INTERFACE_IDENTIFIER_LENGTH = 8
_PROTOCOLS = (Protocol.LCP, Protocol.CCP, Protocol.IPCP, Protocol.IPV6CP)


class Acting:
    """One link of a persona.

    Attributes:
        login: what passed in the authentication.
        failed: why the link does not come up, or is over; empty while all is well.
        terminated: whether the other end has acknowledged our Terminate-Request, or sent its own.
    """

    def __init__(
        self, persona: Persona, case: Case, call: PersonaCall, say_link_info: Callable[[], asyncio.Task[None]]
    ) -> None:
        """Make a link that waits for ``begin``; what is heard before is kept.

        Args:
            persona: who it is.
            case: the target and the password.
            call: a call about to be connected.
            say_link_info: begins to send a Set-Link-Info.
        """
        self.persona = persona
        self.login: Login | None = None
        self.failed = ""
        self.terminated = False
        self._case = case
        self._call = call
        self._say_link_info = say_link_info
        self._server = persona.role is Role.SERVER
        self._methods = list(persona.auth.methods)
        self._identifiers: Counter[int] = Counter()
        self._early: list[Frame] | None = []
        self._changed = asyncio.Event()
        self._insisting: asyncio.TimerHandle | None = None
        self._negotiations: dict[int, Negotiation] = {}
        call.hear = self._hear

    # What the play does.

    def begin(self) -> None:
        """The call is connected: negotiate."""
        habits = self.persona
        self._make(Protocol.LCP, self._fill(habits.lcp.options), self._judge_lcp, self._lcp_open, self._revise_lcp)
        early, self._early = self._early or [], None
        if not habits.lcp.silent:
            self._negotiations[Protocol.LCP].begin()
        for frame in early:
            self._hear(frame)

    async def connected(self, within: float) -> None:
        """Wait until packets can pass.

        Raises:
            Failed: the link failed, or did not come up in time.
        """
        await self._until(lambda: self._open(Protocol.CCP) and self._open(Protocol.IPCP), within)
        if not (self.failed or (self._open(Protocol.CCP) and self._open(Protocol.IPCP))):
            given_up = [negotiation.given_up for negotiation in self._negotiations.values() if negotiation.given_up]
            self._fail(f"{given_up[0] if given_up else f'no network after {within:g} s'}{self._call.what_else()}")
        if self.failed:
            raise Failed(f"{self.persona.name}: {self.failed}")

    async def terminate(self, within: float) -> None:
        """End the link, and wait for the other end to agree; a silent one is no error."""
        lcp_habits = self.persona.lcp
        if Moment.END in self.persona.control.set_link_info:
            await self._say_link_info()
        magic = self._call.magic.to_bytes(4, "big") if lcp_habits.terminate_magic else b""
        for _ in range(lcp_habits.terminate_requests):
            identifier = self._next_identifier(Protocol.LCP)
            request = ControlPacket(Code.TERMINATE_REQUEST, identifier, magic + lcp_habits.terminate_data)
            self._call.send(Protocol.LCP, request)
        await self._until(lambda: self.terminated, within)

    def stop(self) -> None:
        """Say no more by itself."""
        self._rest()
        for negotiation in self._negotiations.values():
            negotiation.stop()

    # Hearing.

    def _hear(self, frame: Frame) -> None:
        if self._early is not None:
            self._early.append(frame)
            return
        packet = frame.packet
        if frame.protocol == Protocol.IPV4:
            self._answer_ping(frame.information)
        elif packet is None:
            return
        elif frame.protocol == Protocol.LCP and packet.code > Code.CONFIGURE_REJECT:
            self._hear_lcp(packet)
        elif frame.protocol in self._negotiations:
            if frame.protocol == Protocol.LCP:
                self._negotiations[Protocol.LCP].begin()
            self._negotiations[frame.protocol].hear(packet)
        elif frame.protocol == Protocol.CHAP:
            self._hear_chap(packet)
        elif frame.protocol not in _PROTOCOLS or (frame.protocol == Protocol.IPV6CP and not self.persona.network.ipv6):
            self._reject_protocol(frame)
        for negotiation in self._negotiations.values():
            if negotiation.given_up and negotiation is not self._negotiations.get(Protocol.IPV6CP):
                self._fail(negotiation.given_up)
        self._changed.set()

    def _hear_lcp(self, packet: ControlPacket) -> None:
        match packet.code:
            case Code.ECHO_REQUEST:
                reply = self._call.magic.to_bytes(4, "big") + packet.data[4:]
                self._call.send(Protocol.LCP, ControlPacket(Code.ECHO_REPLY, packet.identifier, reply))
            case Code.TERMINATE_REQUEST:
                if Moment.END in self.persona.control.set_link_info:
                    self._say_link_info()
                data = packet.data if self.persona.lcp.repeats_terminate_data else b""
                self._call.send(Protocol.LCP, ControlPacket(Code.TERMINATE_ACK, packet.identifier, data))
                self.terminated = True
                self._fail(f"Terminate-Request '{packet.data.decode('ascii', 'backslashreplace')}'")
            case Code.TERMINATE_ACK:
                self.terminated = True
            case Code.PROTOCOL_REJECT:
                protocol = int.from_bytes(packet.data[:2], "big")
                if protocol in self._negotiations:
                    self._negotiations[protocol].rejected()

    def _answer_ping(self, packet: bytes) -> None:
        echo = packets.parse_echo(packet)
        if echo is not None and echo.kind == packets.ECHO_REQUEST and echo.destination == self._call.address:
            reply = packets.echo(packets.ECHO_REPLY, echo.identifier, echo.number, echo.data)
            self._call.send_ip(packets.ipv4(packets.ICMP, echo.destination, echo.source, reply))

    def _reject_protocol(self, frame: Frame) -> None:
        if frame.mppe is None:
            data = frame.protocol.to_bytes(2, "big") + frame.information
            identifier = self._next_identifier(Protocol.LCP)
            self._call.send(Protocol.LCP, ControlPacket(Code.PROTOCOL_REJECT, identifier, data))

    # LCP.

    def _judge_lcp(self, wanted: list[Option]) -> Answer:
        refused = [option for option in wanted if option.type in self.persona.lcp.rejects]
        if refused:
            return Code.CONFIGURE_REJECT, refused
        right = METHODS["mschap-v2"]
        naked = [
            Option(option.type, right)
            for option in wanted
            if option.type == lcp.OptionType.AUTHENTICATION and option.value != right
        ]
        return (Code.CONFIGURE_NAK, naked) if naked else (Code.CONFIGURE_ACK, wanted)

    def _revise_lcp(self, asked: list[Option], code: int, answered: list[Option]) -> list[Option]:
        methods = [option for option in answered if option.type == lcp.OptionType.AUTHENTICATION]
        if code == Code.CONFIGURE_NAK and methods and not self.persona.auth.follows_nak and len(self._methods) > 1:
            self._methods.pop(0)
            answered = [option for option in answered if option not in methods]
            answered.append(Option(lcp.OptionType.AUTHENTICATION, METHODS[self._methods[0]]))
        return follow(asked, code, answered)

    def _lcp_open(self, agreement: Agreement) -> None:
        habits, call = self.persona, self._call
        asked_of_us = {option.type for option in agreement.theirs}
        if habits.lcp.short_headers:
            call.short_address = lcp.OptionType.ACFC in asked_of_us
            call.short_protocol = lcp.OptionType.PFC in asked_of_us
        magic = call.magic.to_bytes(4, "big")
        for text in habits.lcp.identifications:
            identifier = self._next_identifier(Protocol.LCP)
            call.send(Protocol.LCP, ControlPacket(Code.IDENTIFICATION, identifier, magic + text))
        if Moment.LCP in habits.control.set_link_info:
            self._say_link_info()
        if habits.lcp.echo_at_once:
            call.send(Protocol.LCP, ControlPacket(Code.ECHO_REQUEST, 0, magic))
        self._make(Protocol.CCP, [_mppe(habits.ccp.asks)], self._judge_ccp, self._ccp_open, self._revise_ccp)
        if self._server:
            self._challenge()

    # Authentication.

    def _challenge(self) -> None:
        auth = self.persona.auth
        self.login = Login(self._case.stages.random(CHALLENGE_LENGTH), auth.identifier)
        data = build_value(self.login.challenge, auth.name)
        self._insist(ControlPacket(ChapCode.CHALLENGE, auth.identifier, data))

    def _insist(self, packet: ControlPacket) -> None:
        """Send a Challenge or Response until something comes of it (RFC 1994 section 4.1)."""
        self._call.send(Protocol.CHAP, packet)
        self._insisting = asyncio.get_running_loop().call_later(RESTART, self._insist, packet)

    def _rest(self) -> None:
        if self._insisting is not None:
            self._insisting.cancel()
            self._insisting = None

    def _hear_chap(self, packet: ControlPacket) -> None:
        stages, login = self._case.stages, self.login
        value = parse_value(packet.data)
        if packet.code == ChapCode.CHALLENGE and value is not None and not self._server:
            self._rest()
            self.login = Login(value[0], packet.identifier)
            self._insist(stages.response(self.login))
        elif login is None or packet.identifier != login.identifier:
            return
        elif packet.code == ChapCode.RESPONSE and value is not None and self._server:
            self._rest()
            self._judge_response(login, value)
        elif packet.code == ChapCode.SUCCESS and not login.message:
            self._rest()
            login.message = packet.data
            if stages.authenticator_response(login) == packet.data[:42]:
                self._authenticated(login, is_server=False)
            else:
                self._fail("the server does not know the password itself")
        elif packet.code == ChapCode.FAILURE:
            self._rest()
            login.message = packet.data
            if self.persona.auth.falls_over_message and b"M=" in packet.data:
                self._call.control.close()
            else:
                self._terminate_because(self.persona.auth.failure_words)
            self._fail(f"Failure {packet.data!r}")

    def _judge_response(self, login: Login, value: tuple[bytes, bytes]) -> None:
        stages, auth, again = self._case.stages, self.persona.auth, bool(login.message)
        right = stages.take_response(login, value)
        if right:
            proof = stages.authenticator_response(login).decode()
            login.message = auth.success.format(proof=proof).encode()
        else:
            login.message = auth.failure.format(challenge=login.challenge.hex()).encode()
        code = ChapCode.SUCCESS if right else ChapCode.FAILURE
        self._call.send(Protocol.CHAP, ControlPacket(code, login.identifier, login.message))
        if again:
            return
        if right:
            self._authenticated(login, is_server=True)
        else:
            self._terminate_because(auth.failure_words)
            self._fail("the client's Response is wrong")

    def _authenticated(self, login: Login, *, is_server: bool) -> None:
        self._call.keys = keys_for_mschap_v2(self._case.stages.nt_hash, login.response, is_server=is_server)
        network = self.persona.network
        if network.ipv6 and network.ipv6_first:
            self._begin_ipv6cp()
        self._negotiations[Protocol.CCP].begin()
        if not network.waits_for_ccp:
            self._begin_network()

    # CCP.

    def _judge_ccp(self, wanted: list[Option]) -> Answer:
        habits = self.persona.ccp
        right = [_mppe(habits.grants)]
        if wanted == right:
            return Code.CONFIGURE_ACK, wanted
        others = [option for option in wanted if option.type != ccp.OptionType.MPPE]
        return (Code.CONFIGURE_REJECT, others) if others else (Code.CONFIGURE_NAK, right)

    def _revise_ccp(self, asked: list[Option], code: int, answered: list[Option]) -> list[Option] | None:
        words = self.persona.ccp.refuses_stateful
        revised = follow(asked, code, answered)
        if words and not all(int.from_bytes(option.value, "big") & ccp.SupportedBits.STATELESS for option in revised):
            self._terminate_because(words)
            self._fail("the other end wants stateful MPPE")
            return None
        return revised

    def _ccp_open(self, agreement: Agreement) -> None:
        self._case.stages.load_ciphers(self._call, agreement)
        self._begin_network()

    # IPCP and IPV6CP.

    def _begin_network(self) -> None:
        network = self.persona.network
        if Protocol.IPCP not in self._negotiations:
            self._make(Protocol.IPCP, self._fill(network.options), self._judge_ipcp, self._ipcp_open)
            self._negotiations[Protocol.IPCP].begin()
            if network.ipv6 and not network.ipv6_first:
                self._begin_ipv6cp()

    def _judge_ipcp(self, wanted: list[Option]) -> Answer:
        if not self._server:
            others = [option for option in wanted if option.type != ipcp.OptionType.IP_ADDRESS]
            return (Code.CONFIGURE_REJECT, others) if others else (Code.CONFIGURE_ACK, wanted)
        values = {kind: address.packed for kind, address in self.persona.network.gives}
        values[ipcp.OptionType.IP_ADDRESS] = self._case.stages.inner_network[1].packed
        unknown = [option for option in wanted if option.type not in values]
        if unknown:
            return Code.CONFIGURE_REJECT, unknown
        right = [Option(option.type, values[option.type]) for option in wanted]
        return (Code.CONFIGURE_ACK if wanted == right else Code.CONFIGURE_NAK), right

    def _ipcp_open(self, agreement: Agreement) -> None:
        self._call.address, self._call.gateway = self._case.stages.addresses(agreement)

    def _begin_ipv6cp(self) -> None:
        own = Option(IPV6CP_INTERFACE_IDENTIFIER, self._case.stages.random(INTERFACE_IDENTIFIER_LENGTH))
        self._make(Protocol.IPV6CP, [own], lambda wanted: (Code.CONFIGURE_ACK, wanted), lambda agreement: None)
        self._negotiations[Protocol.IPV6CP].begin()

    # Small things.

    def _make(
        self,
        protocol: Protocol,
        options: list[Option],
        judge: Callable[[list[Option]], Answer],
        opened: Callable[[Agreement], None],
        revise: Revise = follow,
    ) -> None:
        self._negotiations[protocol] = Negotiation(
            self._call,
            protocol,
            options,
            judge=judge,
            next_identifier=lambda: self._next_identifier(protocol),
            opened=opened,
            revise=revise,
        )

    def _fill(self, options: tuple[Option, ...]) -> list[Option]:
        own = bytes(4) if not self._server else self._case.stages.inner_network[0].packed
        values: dict[tuple[Protocol, int], bytes] = {
            (Protocol.LCP, lcp.OptionType.MAGIC_NUMBER): self._call.magic.to_bytes(4, "big"),
            (Protocol.LCP, lcp.OptionType.AUTHENTICATION): METHODS[self._methods[0]],
            (Protocol.IPCP, ipcp.OptionType.IP_ADDRESS): own,
        }
        protocol = Protocol.LCP if Protocol.LCP not in self._negotiations else Protocol.IPCP
        return [
            option if option.value else Option(option.type, values.get((protocol, option.type), b""))
            for option in options
        ]

    def _open(self, protocol: Protocol) -> bool:
        return protocol in self._negotiations and self._negotiations[protocol].agreement is not None

    def _next_identifier(self, protocol: int) -> int:
        counter = 0 if self.persona.lcp.shared_identifiers else protocol
        identifier = self.persona.lcp.first_identifier + self._identifiers[counter]
        self._identifiers[counter] += 1
        return identifier & 0xFF

    def _terminate_because(self, words: bytes) -> None:
        identifier = self._next_identifier(Protocol.LCP)
        self._call.send(Protocol.LCP, ControlPacket(Code.TERMINATE_REQUEST, identifier, words))

    def _fail(self, reason: str) -> None:
        self.failed = self.failed or reason
        self.stop()
        self._changed.set()

    async def _until(self, condition: Callable[[], bool], within: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while not (condition() or self.failed):
                    self._changed.clear()
                    await self._changed.wait()


def _mppe(bits: int) -> Option:
    return Option(ccp.OptionType.MPPE, bits.to_bytes(4, "big"))
