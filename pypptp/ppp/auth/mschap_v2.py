"""MS-CHAPv2 (RFC 2759): algorithm 0x81. Both sides prove that they know the password, and MPPE gets a key each way."""

from __future__ import annotations

from collections import deque
from hmac import compare_digest

from pypptp.causes import Cause, cause_of_code
from pypptp.mppe.keys import keys_for_mschap_v2
from pypptp.ppp.auth.chap import ChapAuthenticator, ChapPeer, Proof
from pypptp.ppp.auth.message import NO_DIALIN_PERMISSION, WRONG_CREDENTIALS, build_failure, explain, parse_message
from pypptp.ppp.auth.method import RETRIES, Failure, Success
from pypptp.ppp.auth.mschap import authenticator_response, nt_response_v2
from pypptp.ppp.auth.secret import Secret
from pypptp.roles import RandomBytes

CHALLENGE_LENGTH = 16
VALUE_LENGTH = 49
"""Peer challenge 16, reserved 8, NT response 24, flags 1 (RFC 2759 section 4)."""
VERSION = 3
"""What V= says (RFC 2759 section 6)."""
REMEMBERED_CHALLENGES = 256
"""Own peer challenges kept, so that none of them is answered when it comes back."""

_PEER_CHALLENGE = slice(0, 16)
_NT_RESPONSE = slice(24, 48)


class MschapV2Authenticator(ChapAuthenticator):
    """The side that asks.

    The reserved octets and the flags of a Response must be zero, says RFC 2759 section 4; what else they hold enters no
    hash and is ignored on receipt, as by pppd and Windows.
    """

    challenge_length = CHALLENGE_LENGTH
    response_length = VALUE_LENGTH
    retries = RETRIES
    takes_nt_hash = True

    def check(self, identifier: int, challenge: bytes, value: bytes, name: bytes, secret: Secret) -> Proof | None:
        """Return our own proof and the keys, None for a wrong response."""
        peer_challenge, response = value[_PEER_CHALLENGE], value[_NT_RESPONSE]
        nt_hash = secret.nt_hash
        if not compare_digest(nt_response_v2(challenge, peer_challenge, name, nt_hash), response):
            return None
        own_proof = authenticator_response(nt_hash, response, peer_challenge, challenge, name)
        return Proof(f"{own_proof} M=Access granted".encode(), keys_for_mschap_v2(nt_hash, response, is_server=True))

    def refusal(self, next_challenge: bytes, *, retry: bool) -> bytes:
        """Return the message of a Failure."""
        return build_failure(WRONG_CREDENTIALS, next_challenge, retry=retry, version=VERSION, text="Access denied")

    def denial(self, next_challenge: bytes, text: str) -> bytes:
        """Return the message of a Failure with E=649, the code that comes nearest."""
        return build_failure(NO_DIALIN_PERMISSION, next_challenge, retry=False, version=VERSION, text=text)


class MschapV2Peer(ChapPeer):
    """The side that is asked, and asks back: the server must know the password too (RFC 2759 section 5)."""

    def __init__(self, *, name: str, secret: Secret, random: RandomBytes) -> None:
        super().__init__(name=name, secret=secret, random=random)
        self._own_challenges: deque[bytes] = deque(maxlen=REMEMBERED_CHALLENGES)
        self._challenge = b""
        self._peer_challenge = b""
        self._response = b""

    def is_answerable(self, challenge: bytes) -> bool:
        """Return whether the challenge has 16 octets and is not one of our own, sent back to be answered for us."""
        return len(challenge) == CHALLENGE_LENGTH and challenge not in self._own_challenges

    def respond(self, identifier: int, challenge: bytes) -> bytes:
        """Return the value of the Response."""
        self._challenge = challenge
        self._peer_challenge = self._random(CHALLENGE_LENGTH)
        self._own_challenges.append(self._peer_challenge)
        self._response = nt_response_v2(challenge, self._peer_challenge, self._name, self._secret.nt_hash)
        return self._peer_challenge + bytes(8) + self._response + bytes(1)

    def judge_success(self, message: bytes) -> Success | Failure:
        """Return the Success if its S= is right; a server without it does not know the password."""
        parsed = parse_message(message)
        nt_hash = self._secret.nt_hash
        expected = authenticator_response(nt_hash, self._response, self._peer_challenge, self._challenge, self._name)
        if parsed.proof is None:
            reason = "the server did not prove that it knows the password (no S=)"
            return Failure(reason, message=parsed.text, cause=Cause.IMPOSTOR)
        if not compare_digest(parsed.proof, bytes.fromhex(expected.removeprefix("S="))):
            reason = "the server does not know the password (its S= is wrong)"
            return Failure(reason, message=parsed.text, cause=Cause.IMPOSTOR)
        return Success(self._user, keys_for_mschap_v2(nt_hash, self._response, is_server=False), parsed.text)

    def judge_failure(self, message: bytes) -> Failure:
        """Return the server's own words and code. R=1 is no reason to try the same password again."""
        parsed = parse_message(message)
        reason = f"authentication failed: {explain(parsed)}"
        return Failure(reason, parsed.error, parsed.text, cause=cause_of_code(parsed.error, parsed.text))
