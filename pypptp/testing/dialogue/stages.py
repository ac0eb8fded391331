"""The way up, step by step, as a well-behaved peer goes it: LCP, authentication, CCP, IPCP.

A check lets the target come to a stage this way and deviates from there. Each step raises Unreached where the target
does not take it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Final, TypeAlias

from pypptp.mppe.cipher import Decryptor, Encryptor
from pypptp.mppe.keys import Strength, keys_for_mschap_v2
from pypptp.ppp import ccp, ipcp, lcp
from pypptp.ppp.auth.chap import ChapCode, build_value, parse_value
from pypptp.ppp.auth.mschap import authenticator_response, nt_password_hash, nt_response_v2
from pypptp.ppp.packet import Code, ControlPacket, Option, build_options, parse_options
from pypptp.ppp.protocols import Protocol
from pypptp.roles import Role
from pypptp.testing.dialogue.call import Call
from pypptp.testing.dialogue.verdicts import Unreached

Answer: TypeAlias = "tuple[Code, list[Option]]"
Judge: TypeAlias = Callable[[list[Option]], Answer]

MSCHAP_V2: Final = b"\xc2\x23\x81"
MPPE_128: Final = ccp.SupportedBits.BITS_128 | ccp.SupportedBits.STATELESS
ROUNDS: Final = 20
"""Configure-Requests in one negotiation before it counts as one that does not converge."""
CHALLENGE_LENGTH: Final = 16
_ANSWERS: Final = frozenset((Code.CONFIGURE_ACK, Code.CONFIGURE_NAK, Code.CONFIGURE_REJECT))


def acknowledge(options: list[Option]) -> Answer:
    """Agree to everything."""
    return Code.CONFIGURE_ACK, options


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a negotiation led to.

    Attributes:
        ours: the options the target acknowledged.
        theirs: those of the target that we acknowledged.
    """

    ours: list[Option]
    theirs: list[Option]


async def negotiate(call: Call, protocol: int, request: Sequence[Option], judge: Judge = acknowledge) -> Agreement:
    """Negotiate until both Configure-Acks have passed; Naks are followed, what is rejected is left out.

    Raises:
        Unreached: the target ends it, or does not answer.
    """
    asked = list(request)
    identifier = _ask(call, protocol, asked)
    ours: list[Option] | None = None
    theirs: list[Option] | None = None
    name = Protocol(protocol).name
    for _ in range(4 * ROUNDS):
        frame = await call.take(lambda frame: _concerns(frame.protocol, frame.mppe, protocol))
        packet = None if frame is None else frame.packet
        if frame is None or packet is None:
            raise Unreached(f"{name} did not open{call.what_else()}")
        if packet.code == Code.TERMINATE_REQUEST:
            words = packet.data.decode("ascii", "backslashreplace")
            raise Unreached(f"{name} did not open: Terminate-Request '{words}'")
        if packet.code == Code.PROTOCOL_REJECT and int.from_bytes(packet.data[:2], "big") == protocol:
            raise Unreached(f"{name} did not open: Protocol-Reject")
        if frame.protocol != protocol:
            continue
        if packet.code == Code.CONFIGURE_REQUEST:
            wanted = parse_options(packet.data) or []
            code, options = judge(wanted)
            call.send(protocol, ControlPacket(code, packet.identifier, build_options(options)))
            theirs = wanted if code == Code.CONFIGURE_ACK else None
        elif packet.code in _ANSWERS and packet.identifier == identifier:
            if packet.code == Code.CONFIGURE_ACK:
                ours = asked
            else:
                asked = _revise(asked, packet)
                identifier = _ask(call, protocol, asked)
        if ours is not None and theirs is not None:
            return Agreement(ours, theirs)
    raise Unreached(f"{name} does not converge")


def _concerns(frame_protocol: int, mppe: int | None, protocol: int) -> bool:
    return mppe is None and frame_protocol in (protocol, Protocol.LCP)


def _ask(call: Call, protocol: int, options: list[Option]) -> int:
    identifier = call.next_identifier()
    call.send(protocol, ControlPacket(Code.CONFIGURE_REQUEST, identifier, build_options(options)))
    return identifier


def _revise(asked: list[Option], packet: ControlPacket) -> list[Option]:
    answered = {option.type: option for option in parse_options(packet.data) or []}
    if packet.code == Code.CONFIGURE_REJECT:
        return [option for option in asked if option.type not in answered]
    return [answered.pop(option.type, option) for option in asked] + list(answered.values())


@dataclass(slots=True)
class Login:
    """What passed in the authentication.

    Attributes:
        challenge: the authenticator's.
        identifier: of the Challenge.
        peer_challenge: the other side's.
        response: the NT-Response.
        packet: the whole Response.
        message: what Success or Failure said.
    """

    challenge: bytes
    identifier: int
    peer_challenge: bytes = b""
    response: bytes = b""
    packet: ControlPacket = field(default=ControlPacket(0, 0))
    message: bytes = b""


class Stages:
    """Takes a call up, playing the role the target does not have.

    Args:
        target: the target's role.
        user: who logs in.
        password: its password.
        inner_network: our own inner address and the one a client is given.
        random: source of random octets; a counter in the tests of this project.
    """

    def __init__(
        self,
        target: Role,
        user: str,
        password: str,
        *,
        inner_network: tuple[IPv4Address, IPv4Address],
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.target = target
        self.user = user.encode()
        self.nt_hash = nt_password_hash(password)
        self.random = random
        self.inner_network = inner_network

    # LCP.

    def lcp_options(self, call: Call, **values: int) -> list[Option]:
        """Return what we ask for: a Magic-Number, and of a client its proof; ``mru=1400`` and the like beside."""
        options = [Option(lcp.OptionType[name.upper()], number.to_bytes(2, "big")) for name, number in values.items()]
        if self.target is Role.CLIENT:
            options.append(Option(lcp.OptionType.AUTHENTICATION, MSCHAP_V2))
        if call.magic:
            options.append(Option(lcp.OptionType.MAGIC_NUMBER, call.magic.to_bytes(4, "big")))
        return options

    async def open_lcp(self, call: Call, options: list[Option] | None = None) -> Agreement:
        """Open LCP, and see that a server wants MS-CHAPv2 of us."""
        return await negotiate(call, Protocol.LCP, self.lcp_options(call) if options is None else options)

    # Authentication.

    async def challenge(self, call: Call) -> Login:
        """Wait for a server's Challenge."""
        packet = await call.try_expect(Protocol.CHAP, ChapCode.CHALLENGE)
        value = None if packet is None else parse_value(packet.data)
        if packet is None or value is None:
            raise Unreached(f"no CHAP Challenge came{call.what_else()}")
        return Login(value[0], packet.identifier)

    def respond(self, call: Call, login: Login, *, name: bytes | None = None, nt_hash: bytes | None = None) -> None:
        """Send the Response to a Challenge; another name and hash than the right ones where given."""
        call.send(Protocol.CHAP, self.response(login, name=name, nt_hash=nt_hash))

    def response(self, login: Login, *, name: bytes | None = None, nt_hash: bytes | None = None) -> ControlPacket:
        """Return the Response to a Challenge."""
        name = self.user if name is None else name
        login.peer_challenge = self.random(CHALLENGE_LENGTH)
        login.response = nt_response_v2(login.challenge, login.peer_challenge, name, nt_hash or self.nt_hash)
        value = login.peer_challenge + bytes(8) + login.response + b"\0"
        login.packet = ControlPacket(ChapCode.RESPONSE, login.identifier, build_value(value, name))
        return login.packet

    async def verdict(self, call: Call, login: Login) -> bool:
        """Wait for Success or Failure; returns which. A Success leaves keys in the call."""
        codes = (ChapCode.SUCCESS, ChapCode.FAILURE)
        packet = await call.try_expect(Protocol.CHAP, codes, identifier=login.identifier)
        if packet is None:
            raise Unreached(f"neither Success nor Failure came{call.what_else()}")
        login.message = packet.data
        if packet.code == ChapCode.SUCCESS:
            call.keys = keys_for_mschap_v2(self.nt_hash, login.response, is_server=False)
        return packet.code == ChapCode.SUCCESS

    async def log_in(self, call: Call) -> Login:
        """Log in, or have a client log in."""
        if self.target is Role.CLIENT:
            return await self._let_in(call)
        login = await self.challenge(call)
        self.respond(call, login)
        if not await self.verdict(call, login):
            raise Unreached(f"the log-in as {self.user!r} failed: {login.message!r}")
        return login

    def ask_proof(self, call: Call, challenge: bytes | None = None, identifier: int = 7) -> Login:
        """Send a client a Challenge."""
        login = Login(challenge or self.random(CHALLENGE_LENGTH), identifier)
        data = build_value(login.challenge, b"pypptp-spec")
        call.send(Protocol.CHAP, ControlPacket(ChapCode.CHALLENGE, identifier, data))
        return login

    async def proof(self, call: Call, login: Login) -> bool:
        """Wait for a client's Response; returns whether it is right."""
        packet = await call.try_expect(Protocol.CHAP, ChapCode.RESPONSE, identifier=login.identifier)
        value = None if packet is None else parse_value(packet.data)
        if packet is None or value is None or len(value[0]) != 49:
            raise Unreached(f"no MS-CHAPv2 Response came{call.what_else()}")
        login.packet = packet
        return self.take_response(login, value)

    def take_response(self, login: Login, value: tuple[bytes, bytes]) -> bool:
        """Take Value and Name of a client's Response; returns whether it is right."""
        login.peer_challenge, login.response = value[0][:16], value[0][24:48]
        return login.response == nt_response_v2(login.challenge, login.peer_challenge, value[1], self.nt_hash)

    def authenticator_response(self, login: Login, name: bytes | None = None) -> bytes:
        """Return the proof (``S=`` and 40 digits) a server owes its client."""
        name = self.user if name is None else name
        proof = authenticator_response(self.nt_hash, login.response, login.peer_challenge, login.challenge, name)
        return proof.encode()

    def succeed(self, call: Call, login: Login, message: bytes | None = None) -> None:
        """Send a client Success, with the right proof or another message."""
        if message is None:
            message = self.authenticator_response(login) + b" M=Welcome"
        call.send(Protocol.CHAP, ControlPacket(ChapCode.SUCCESS, login.identifier, message))
        call.keys = keys_for_mschap_v2(self.nt_hash, login.response, is_server=True)

    async def _let_in(self, call: Call) -> Login:
        login = self.ask_proof(call)
        if not await self.proof(call, login):
            raise Unreached("the client's Response is wrong: is its password the one given here?")
        self.succeed(call, login)
        return login

    # CCP.

    async def open_ccp(self, call: Call, bits: int = MPPE_128) -> Agreement:
        """Open CCP with these bits both ways, and load the ciphers."""
        value = bits.to_bytes(4, "big")

        def judge(options: list[Option]) -> Answer:
            if options == [Option(ccp.OptionType.MPPE, value)]:
                return Code.CONFIGURE_ACK, options
            others = [option for option in options if option.type != ccp.OptionType.MPPE]
            if others:
                return Code.CONFIGURE_REJECT, others
            return Code.CONFIGURE_NAK, [Option(ccp.OptionType.MPPE, value)]

        agreement = await negotiate(call, Protocol.CCP, [Option(ccp.OptionType.MPPE, value)], judge)
        self.load_ciphers(call, agreement)
        return agreement

    def load_ciphers(self, call: Call, agreement: Agreement) -> None:
        """Make the ciphers of what was agreed on."""
        if call.keys is None:
            raise Unreached("CCP opened without keys")
        theirs, ours = _mppe(agreement.theirs), _mppe(agreement.ours)
        if theirs is None or ours is None:
            raise Unreached("CCP opened without exactly one strength of MPPE each way")
        stateless = ccp.SupportedBits.STATELESS
        strength, history = theirs
        call.encryptor = Encryptor(call.keys.start_keys(strength)[0], strength, stateless=bool(history & stateless))
        strength, history = ours
        call.decryptor = Decryptor(call.keys.start_keys(strength)[1], strength, stateless=bool(history & stateless))

    # IPCP.

    async def open_ipcp(self, call: Call, options: list[Option] | None = None) -> Agreement:
        """Open IPCP: ask a server for an address, or give a client one."""
        gateway, given = self.inner_network
        if options is None:
            own = IPv4Address(0) if self.target is Role.SERVER else gateway
            options = [Option(ipcp.OptionType.IP_ADDRESS, own.packed)]

        def judge(wanted: list[Option]) -> Answer:
            if self.target is Role.SERVER:
                return Code.CONFIGURE_ACK, wanted
            unknown = [option for option in wanted if option.type != ipcp.OptionType.IP_ADDRESS]
            if unknown:
                return Code.CONFIGURE_REJECT, unknown
            right = [Option(ipcp.OptionType.IP_ADDRESS, given.packed)]
            return (Code.CONFIGURE_ACK if wanted == right else Code.CONFIGURE_NAK), right

        agreement = await negotiate(call, Protocol.IPCP, options, judge)
        call.address, call.gateway = self.addresses(agreement)
        return agreement

    @staticmethod
    def addresses(agreement: Agreement) -> tuple[IPv4Address, IPv4Address]:
        """Return our inner address and the target's, zero where none was named."""
        return _address(agreement.ours), _address(agreement.theirs)

    async def settle(self, call: Call) -> None:
        """Give the target's system a moment to set up its interface: wait for the first answer to a ping."""
        for _ in range(10):
            if await call.ping(within=min(0.3, call.timeout)) is not None:
                return
            await asyncio.sleep(0)
        raise Unreached(f"the network is up, but the target's inner address {call.gateway} does not answer ICMP Echo")


def _mppe(options: list[Option]) -> tuple[Strength, int] | None:
    for option in options:
        bits = int.from_bytes(option.value, "big")
        strengths = [strength for strength, bit in ccp.STRENGTH_BIT.items() if bits & bit]
        if option.type == ccp.OptionType.MPPE and len(strengths) == 1:
            return strengths[0], bits
    return None


def _address(options: list[Option]) -> IPv4Address:
    for option in options:
        if option.type == ipcp.OptionType.IP_ADDRESS and len(option.value) == 4:
            return IPv4Address(option.value)
    return IPv4Address(0)
