"""MS-CHAPv2 held against a server (RFC 2759)."""

from __future__ import annotations

import asyncio
import re
import statistics
from hashlib import sha1
from typing import Final

from pypptp.ppp.auth.chap import ChapCode, build_value
from pypptp.ppp.auth.message import parse_message
from pypptp.ppp.auth.mschap import challenge_response, nt_response_v2
from pypptp.ppp.lcp import OptionType
from pypptp.ppp.packet import Code, ControlPacket, Option, build_options, parse_options
from pypptp.ppp.protocols import Protocol
from pypptp.testing.dialogue.call import Call
from pypptp.testing.dialogue.case import Case
from pypptp.testing.dialogue.stages import MSCHAP_V2, Login
from pypptp.testing.dialogue.verdicts import Informed, NotStrict, Skipped, Unreached, require
from pypptp.testing.spec.registry import check

PROOF: Final = re.compile(rb"S=[0-9A-F]{40}(?: M=.*)?\Z", re.DOTALL)
FAILURE: Final = re.compile(rb"E=\d{1,10} R=[01] C=[0-9A-Fa-f]{32} V=\d{1,10}(?: M=.*)?\Z", re.DOTALL)
WRONG_CREDENTIALS: Final = 691
SAMPLES: Final = 200
DELAYED: Final = 0.05
"""Seconds an answer takes where failures are made to wait."""
SIGNIFICANT: Final = 0.05
Z_LIMIT: Final = 4.0
"""Standard deviations beyond which chance is no explanation."""
JITTER: Final = 0.0001
"""Seconds by which the answers of any network vary: less than that is told, but fails nobody."""
WRONG_HASH: Final = b"\x5a" * 16


async def attempt(case: Case, call: Call, login: Login, name: bytes, *, right: bool) -> bool:
    """Send one Response; returns the verdict."""
    case.stages.respond(call, login, name=name, nt_hash=None if right else WRONG_HASH)
    return await case.stages.verdict(call, login)


def next_challenge(login: Login) -> Login | None:
    """Return what a Failure with R=1 asks to answer, None where it allows no other try."""
    message = parse_message(login.message)
    if not message.retry or message.challenge is None:
        return None
    return Login(message.challenge, login.identifier + 1 & 0xFF)


@check("auth/msv2/1")
async def right_password(case: Case) -> str:
    """The right password."""
    call, login = await case.logged_in()
    require(PROOF.match(login.message), f"Success says {login.message!r}")
    expected = case.stages.authenticator_response(login)
    require(login.message[:42] == expected, f"its proof is {login.message[:42]!r}, right is {expected!r}")
    require(call.keys is not None, "no keys")
    return f"Success with the right S= and {login.message[42:]!r}"


@check("auth/msv2/2")
async def odd_values(case: Case) -> str:
    """Values of wrong sizes, and reserved octets that are not zero."""
    name = case.stages.user
    for size in (48, 50, 16):
        call = await case.lcp_open()
        login = await case.stages.challenge(call)
        login.peer_challenge = case.stages.random(16)
        response = nt_response_v2(login.challenge, login.peer_challenge, name, case.stages.nt_hash)
        value = (login.peer_challenge + bytes(8) + response + bytes(2))[:size]
        call.send(Protocol.CHAP, ControlPacket(ChapCode.RESPONSE, login.identifier, build_value(value, name)))
        verdict = await call.try_expect(Protocol.CHAP, (ChapCode.SUCCESS, ChapCode.FAILURE), case.quiet)
        require(verdict is None or verdict.code == ChapCode.FAILURE, f"a value of {size} octets was let in")
    call = await case.lcp_open()
    login = await case.stages.challenge(call)
    login.peer_challenge = case.stages.random(16)
    response = nt_response_v2(login.challenge, login.peer_challenge, name, case.stages.nt_hash)
    value = login.peer_challenge + b"\x11" * 8 + response + b"\x04"
    call.send(Protocol.CHAP, ControlPacket(ChapCode.RESPONSE, login.identifier, build_value(value, name)))
    verdict = await call.try_expect(Protocol.CHAP, (ChapCode.SUCCESS, ChapCode.FAILURE))
    require(verdict is not None, "a Response with reserved octets and flags set was not answered")
    ignored = verdict is not None and verdict.code == ChapCode.SUCCESS
    return f"wrong sizes refused; reserved octets and flags {'ignored' if ignored else 'refused'}"


@check("auth/msv2/3", waits=True)
async def wrong_password(case: Case) -> str:
    """A wrong password, as often as it may be tried."""
    call = await case.lcp_open()
    login: Login | None = await case.stages.challenge(call)
    tries = 0
    identifiers = []
    while login is not None:
        try:
            accepted = await attempt(case, call, login, case.stages.user, right=False)
        except Unreached:
            if not (tries and call.control.closed):
                raise
            raise NotStrict(f"R=1 allows another try, but the link is ended after {tries}") from None
        require(not accepted, "a wrong password was let in")
        tries += 1
        message = login.message
        require(FAILURE.match(message), f"Failure says {message!r}")
        require(parse_message(message).error == WRONG_CREDENTIALS, f"Failure says {message!r}")
        identifiers.append(login.identifier)
        require(tries <= 10, "ten wrong passwords, and no end")
        login = next_challenge(login)
    ending = await call.ended(12.0)
    require(ending, f"after {tries} wrong passwords and R=0 the link stays")
    return f"E=691 R=0/1 C= V= M=; {tries} tries on one link, then: {ending}; across links see life/3"


@check("auth/msv2/4")
async def domain(case: Case) -> str:
    r"""A name with a domain before it."""
    call = await case.lcp_open()
    login = await case.stages.challenge(call)
    name = b"DOMAIN\\" + case.stages.user
    if not await attempt(case, call, login, name, right=True):
        other = await case.lcp_open()
        login = await case.stages.challenge(other)
        login.peer_challenge = case.stages.random(16)
        digest = sha1(login.peer_challenge + login.challenge + name).digest()
        login.response = challenge_response(digest[:8], case.stages.nt_hash)
        value = login.peer_challenge + bytes(8) + login.response + b"\0"
        other.send(Protocol.CHAP, ControlPacket(ChapCode.RESPONSE, login.identifier, build_value(value, name)))
        require(not await case.stages.verdict(other, login), "the domain is hashed with the name")
        raise Skipped(f"the target has no account {name.decode()!r}, so what it hashes cannot be seen")
    expected = case.stages.authenticator_response(login, name)
    require(login.message[:42] == expected, f"its proof is {login.message[:42]!r}, right is {expected!r}")
    return "let in as the user without the domain, which alone was hashed"


@check("auth/msv2/5")
async def spellings(case: Case) -> str:
    r"""Other spellings of the name: case, domains, and what could be cut off."""
    user = case.stages.user
    accepted = []
    for name in (user, user.swapcase(), b"A\\" + user, b"B\\" + user, user + b"\0x", user + b" ", user + b"@A"):
        if name == user.swapcase() == user:
            continue
        call = await case.lcp_open()
        login = await case.stages.challenge(call)
        if await attempt(case, call, login, name, right=True):
            accepted.append(name)
        await call.control.stop()
        call.close()
    require(user in accepted, "the user itself was not let in")
    both = (b"A\\" + user in accepted) == (b"B\\" + user in accepted)
    require(both, f"domains are not all treated alike: {accepted}")
    require(user + b"\0x" not in accepted, "a name is cut at a NUL: it has countless spellings, and so do lock-outs")
    require(user + b" " not in accepted, "spaces at the end of a name are cut off")
    return f"let in as {', '.join(repr(name.decode('ascii', 'backslashreplace')) for name in accepted)}"


@check("auth/msv2/8", alone=True, order=2, deadline=180.0)
async def unknown_user(case: Case) -> str:
    """200 interleaved pairs of a wrong password and a user nobody knows."""
    samples = _Samples(case)
    await samples.take(2 * SAMPLES)
    times, words = samples.times, samples.words
    if not (times[True] and times[False]):
        raise Informed("the target lets every failure wait")
    require(words[True] == words[False], f"wrong password: {words[True]}, unknown user: {words[False]}")
    pairs = list(zip(times[True], times[False], strict=False))
    longer = sum(first > second for first, second in pairs)
    deviation = abs(longer - len(pairs) / 2) / (len(pairs) ** 0.5 / 2)
    medians = statistics.median(times[True]), statistics.median(times[False])
    difference = abs(medians[0] - medians[1]) / (max(medians) or 1.0)
    known, unknown = (1000 * median for median in medians)
    report = (
        f"{len(pairs)} pairs, same code and text; medians {known:.2f} and {unknown:.2f} ms, {difference:.1%} apart, "
        f"{deviation:.1f} standard deviations"
    )
    apart = abs(medians[0] - medians[1])
    require(difference < SIGNIFICANT or deviation < Z_LIMIT or apart < JITTER, report)
    raise Informed(report)


class _Samples:
    """How long wrong log-ins take, and what the target says to them; known users are True."""

    def __init__(self, case: Case) -> None:
        self.times: dict[bool, list[float]] = {True: [], False: []}
        self.words: dict[bool, set[bytes]] = {True: set(), False: set()}
        self._case = case

    async def take(self, count: int) -> None:
        """Try to log in so often, half of the times as a user there is: known, unknown, unknown, known and so on."""
        case = self._case
        loop = asyncio.get_running_loop()
        call: Call | None = None
        login: Login | None = None
        stranger = case.stages.random(len(case.stages.user)).hex().encode()[: len(case.stages.user)]
        for number in range(count):
            known = number % 4 in (0, 3)
            if call is None or login is None:
                if call is not None:
                    await call.control.stop()
                    call.close()
                try:
                    call = await case.lcp_open()
                    login = await case.stages.challenge(call)
                except Unreached as stopped:
                    raise Informed(f"the target takes no more tries after {len(self.times[True])}: {stopped}") from None
            name = case.stages.user if known else stranger
            case.stages.respond(call, login, name=name, nt_hash=WRONG_HASH)
            began = loop.time()
            try:
                accepted = await case.stages.verdict(call, login)
            except Unreached:
                if not call.control.closed:
                    raise
                # R=1 or not, some end the link after the first failure.
                login = None
                continue
            require(not accepted, "a wrong log-in was let in")
            if call.heard_at - began > DELAYED:
                # Failures are made to wait from now on, each name and address by its own count: that is not timing.
                return
            self.times[known].append(call.heard_at - began)
            message = parse_message(login.message)
            self.words[known].add(f"E={message.error} M={message.text}".encode())
            login = next_challenge(login)


@check("auth/msv2/9", waits=True)
async def weaker_methods(case: Case) -> str:
    """The client would rather use MS-CHAP, CHAP-MD5, PAP or EAP."""
    taken = []
    for name, value in (
        ("MS-CHAP", b"\xc2\x23\x80"),
        ("CHAP-MD5", b"\xc2\x23\x05"),
        ("PAP", b"\xc0\x23"),
        ("EAP", b"\xc2\x27"),
    ):
        call = await case.call()
        for _ in range(20):
            packet = await call.try_expect(Protocol.LCP, (Code.CONFIGURE_REQUEST, Code.TERMINATE_REQUEST))
            if packet is None or packet.code == Code.TERMINATE_REQUEST:
                break
            options = parse_options(packet.data) or []
            wanted = [option.value for option in options if option.type == OptionType.AUTHENTICATION]
            if not wanted:
                # Whether it then lets anybody in is lcp/5.4/3's.
                break
            if wanted == [value]:
                taken.append(name)
                break
            if wanted != [MSCHAP_V2]:
                raise Skipped(f"the target asks for {wanted[0].hex()}, not for MS-CHAPv2")
            nak = build_options([Option(OptionType.AUTHENTICATION, value)])
            call.send(Protocol.LCP, ControlPacket(Code.CONFIGURE_NAK, packet.identifier, nak))
        await call.control.stop()
        call.close()
    require(not taken, f"it lets itself be talked down to {', '.join(taken)}")
    return "all four refused"
