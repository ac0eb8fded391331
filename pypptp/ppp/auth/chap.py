"""The exchange all CHAP methods share (RFC 1994): Challenge, Response, Success or Failure.

What the values mean is for ``chap_md5``, ``mschap_v1`` and ``mschap_v2``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from pypptp.causes import Cause
from pypptp.mppe.keys import MppeKeys
from pypptp.ppp.auth.message import printable_text, text_of
from pypptp.ppp.auth.method import (
    LONGEST_NAME,
    RETRANSMIT_INTERVAL,
    RETRY_WAIT,
    SILENCE,
    TRANSMISSIONS,
    Failure,
    Machine,
    Success,
)
from pypptp.ppp.auth.secret import Secret
from pypptp.ppp.packet import ControlPacket, parse_packet
from pypptp.ppp.protocols import Protocol
from pypptp.roles import RandomBytes

WRONG = "wrong user name or password"
_FOR_NOTHING = "0123456789ab"


class ChapCode(IntEnum):
    """Codes of CHAP packets (RFC 1994 section 4)."""

    CHALLENGE = 1
    RESPONSE = 2
    SUCCESS = 3
    FAILURE = 4


def build_value(value: bytes, name: bytes) -> bytes:
    """Return the data of a Challenge or Response: Value-Size, Value, Name (RFC 1994 section 4.1)."""
    return bytes((len(value),)) + value + name


def parse_value(data: bytes) -> tuple[bytes, bytes] | None:
    """Read the data of a Challenge or Response into (value, name); None where there is no whole value."""
    if not data or data[0] == 0 or 1 + data[0] > len(data):
        return None
    return data[1 : 1 + data[0]], data[1 + data[0] :]


@dataclass(frozen=True, slots=True)
class Proof:
    """A right Response, seen from the authenticator.

    Attributes:
        message: what the Success says.
        keys: what MPPE starts from.
    """

    message: bytes
    keys: MppeKeys | None = None


class ChapAuthenticator(Machine):
    """The side that asks. A method says how long its challenge and its response are, and whether a response is right.

    The Challenge is repeated unchanged until it is answered, so that an answer that took longer than the interval still
    counts. A repeated Response gets the verdict it got, whatever it says now (RFC 1994 section 4.1).

    Args:
        name: our own name, for the Challenge.
        random: source of the identifier, the challenges and what stands in for the password of a user who does not
            exist.
    """

    protocol: int = Protocol.CHAP
    challenge_length = 16
    response_length = 16
    retries = 0
    takes_nt_hash = False
    """Whether ``check`` wants the secret's NT hash, the one thing in it that takes long the first time."""

    def __init__(self, *, name: str, random: RandomBytes) -> None:
        super().__init__()
        self._name = name.encode()
        self._random = random
        self._identifier = random(1)[0]
        self._challenge = b""
        self._transmissions = 0
        self._retries_left = self.retries
        self._expecting = False
        self._retrying = False
        self._response: tuple[bytes, bytes] | None = None
        self._verdict: tuple[int, bytes] | None = None
        self._user: bytes | None = None

    def check(self, identifier: int, challenge: bytes, value: bytes, name: bytes, secret: Secret) -> Proof | None:
        """Return what to say to a right response, None to a wrong one. It compares in constant time."""
        raise NotImplementedError

    def refusal(self, next_challenge: bytes, *, retry: bool) -> bytes:
        """Return the message of a Failure."""
        raise NotImplementedError

    def denial(self, next_challenge: bytes, text: str) -> bytes:
        """Return the message of the Failure for who has the right proof and cannot come in all the same."""
        return text.encode()

    def start(self, now: float) -> None:
        """LCP is open: send the first Challenge."""
        self._ask(now)

    def rechallenge(self, now: float) -> None:
        """Send a new Challenge. The link stays as it is as long as it is answered rightly."""
        if isinstance(self.outcome, Success) and not self._expecting and self._response is None:
            self._ask(now)

    def receive(self, packet: bytes, now: float) -> None:
        """Take one CHAP packet."""
        parsed = parse_packet(packet)
        if parsed is None or parsed.code != ChapCode.RESPONSE:
            self.discarded += 1
            return
        if self._verdict is not None and parsed.identifier == self._verdict[0]:
            self._packets.append(self._verdict[1])
            return
        response = parse_value(parsed.data)
        if not self._expecting or parsed.identifier != self._identifier or response is None:
            self.discarded += 1
            return
        self._expecting = False
        self._deadline = None
        value, name = response
        if len(value) != self.response_length or len(name) > LONGEST_NAME:
            self._refuse(name, now)
        elif self._user is not None and name != self._user:
            # Who has logged in cannot become another user by a later challenge, as in pppd.
            self._refuse(name, now)
        else:
            self._response = response
            self._wanted = text_of(name)

    def provide(self, secret: Secret | None, now: float, objection: str = "") -> None:
        """Answer ``take_wanted``; see ``AuthMachine.provide``."""
        if self._response is None:
            return
        value, name = self._response
        self._response = None
        self._wanted = None
        measure = self._measure(secret)
        proof = self.check(self._identifier, self._challenge, value, name, measure)
        if proof is None or secret is None:
            self._refuse(name, now)
            return
        if objection and self.outcome is None:
            self._decide(ChapCode.FAILURE, self.denial(self._random(self.challenge_length), objection))
            self._fail(Failure(objection, name=printable_text(name), cause=Cause.NO_PERMISSION))
            return
        self._decide(ChapCode.SUCCESS, proof.message)
        self._retries_left = self.retries
        if self.outcome is None:
            # RFC 3079 section 2: the keys are those of the call's first authentication.
            self._user = name
            self.outcome = Success(text_of(name), proof.keys)

    def _measure(self, secret: Secret | None) -> Secret:
        """What to hold the response against, at the same cost for everybody.

        Each answer works out one NT hash, whether that of a user who comes for the first time, or one for nothing: who
        does not exist cannot be told by the time it takes from who does, nor who has been here from who has not.
        """
        if secret is None:
            return Secret(self._random(6).hex())
        if self.takes_nt_hash and secret.is_hashed:
            Secret(_FOR_NOTHING).nt_hash  # noqa: B018 - the work is what counts
        return secret

    def _ask(self, now: float) -> None:
        self._identifier = self._identifier + 1 & 0xFF
        self._challenge = self._random(self.challenge_length)
        self._verdict = None
        self._retrying = False
        self._transmissions = 0
        self._expecting = True
        self._transmit(now)

    def _transmit(self, now: float) -> None:
        data = build_value(self._challenge, self._name)
        self._packets.append(ControlPacket(ChapCode.CHALLENGE, self._identifier, data).build())
        self._transmissions += 1
        self._deadline = now + RETRANSMIT_INTERVAL

    def _timed_out(self, now: float) -> None:
        if self._retrying:
            self._expecting = False
            self._fail(Failure("the peer did not try again", name=text_of(self._user or b"")))
        elif self._transmissions < TRANSMISSIONS:
            self._transmit(now)
        else:
            self._expecting = False
            self._fail(Failure(f"no answer to {TRANSMISSIONS} CHAP Challenges"))

    def _refuse(self, name: bytes, now: float) -> None:
        self.refused.append(printable_text(name))
        retry = self._retries_left > 0 and self._user is None
        next_challenge = self._random(self.challenge_length)
        self._decide(ChapCode.FAILURE, self.refusal(next_challenge, retry=retry))
        if not retry:
            self._fail(Failure(WRONG, name=printable_text(name)))
            return
        # RFC 2759 section 9.1.4: the next Response answers the challenge in the Failure, under the next identifier.
        self._retries_left -= 1
        self._challenge = next_challenge
        self._identifier = self._identifier + 1 & 0xFF
        self._expecting = self._retrying = True
        self._deadline = now + RETRY_WAIT

    def _decide(self, code: ChapCode, message: bytes) -> None:
        packet = ControlPacket(code, self._identifier, message).build()
        self._verdict = (self._identifier, packet)
        self._packets.append(packet)


class ChapPeer(Machine):
    r"""The side that is asked. It answers a Challenge whenever one comes.

    A Challenge that is repeated gets the same Response again: the authenticator's verdict is about the one it saw
    first.

    Args:
        name: the user's name, with ``DOMAIN\`` before it where that is wanted on the wire.
        secret: the user's.
        random: source of random octets.
    """

    protocol: int = Protocol.CHAP

    def __init__(self, *, name: str, secret: Secret, random: RandomBytes) -> None:
        super().__init__()
        self._user = name
        self._name = name.encode("utf-8", "surrogateescape")
        self._secret = secret
        self._random = random
        self._answered: tuple[int, bytes] | None = None
        self._packet = b""
        self._transmissions = 0
        self._waiting = False

    def is_answerable(self, challenge: bytes) -> bool:
        """Return whether the method can and should answer this challenge."""
        raise NotImplementedError

    def respond(self, identifier: int, challenge: bytes) -> bytes:
        """Return the value of the Response."""
        raise NotImplementedError

    def judge_success(self, message: bytes) -> Success | Failure:
        """Return what a Success means: the authenticator may still have to prove itself."""
        raise NotImplementedError

    def judge_failure(self, message: bytes) -> Failure:
        """Return what a Failure says."""
        words = printable_text(message)
        return Failure(f"authentication failed: {words or 'the server gave no reason'}", message=words)

    def start(self, now: float) -> None:
        """LCP is open: wait for the Challenge."""
        if not self._waiting:
            self._deadline = now + SILENCE

    def receive(self, packet: bytes, now: float) -> None:
        """Take one CHAP packet."""
        parsed = parse_packet(packet)
        if parsed is None or isinstance(self.outcome, Failure):
            self.discarded += 1
        elif parsed.code == ChapCode.CHALLENGE:
            self._take_challenge(parsed, now)
        elif parsed.code == ChapCode.SUCCESS and self._awaits(parsed.identifier):
            self._settle(self.judge_success(parsed.data))
        elif parsed.code == ChapCode.FAILURE and self._awaits(parsed.identifier):
            self._settle(self.judge_failure(parsed.data))
        else:
            self.discarded += 1

    def _awaits(self, identifier: int) -> bool:
        return self._waiting and self._answered is not None and identifier == self._answered[0]

    def _take_challenge(self, packet: ControlPacket, now: float) -> None:
        value = parse_value(packet.data)
        if value is None:
            self.discarded += 1
            return
        challenge = value[0]
        if self._answered == (packet.identifier, challenge):
            self._packets.append(self._packet)
            return
        if not self.is_answerable(challenge):
            self.discarded += 1
            return
        response = build_value(self.respond(packet.identifier, challenge), self._name)
        self._packet = ControlPacket(ChapCode.RESPONSE, packet.identifier, response).build()
        self._answered = (packet.identifier, challenge)
        self._transmissions = 0
        self._waiting = True
        self._transmit(now)

    def _transmit(self, now: float) -> None:
        self._packets.append(self._packet)
        self._transmissions += 1
        self._deadline = now + RETRANSMIT_INTERVAL

    def _timed_out(self, now: float) -> None:
        if not self._waiting:
            self._fail(Failure(f"no CHAP Challenge within {SILENCE:.0f} s", cause=Cause.TIMED_OUT))
        elif self._transmissions < TRANSMISSIONS:
            self._transmit(now)
        else:
            self._waiting = False
            self._fail(Failure(f"no answer to {TRANSMISSIONS} CHAP Responses", cause=Cause.TIMED_OUT))

    def _settle(self, verdict: Success | Failure) -> None:
        self._waiting = False
        self._deadline = None
        if isinstance(verdict, Failure):
            self._fail(verdict)
        elif self.outcome is None:
            self.outcome = verdict
