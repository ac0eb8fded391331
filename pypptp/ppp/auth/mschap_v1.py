"""MS-CHAP, version 1 (RFC 2433): algorithm 0x80.

The peer alone proves itself, and both directions of MPPE start from one key: for links that cannot have version 2.
"""

from __future__ import annotations

from hmac import compare_digest

from pypptp.causes import cause_of_code
from pypptp.mppe.keys import keys_for_mschap_v1
from pypptp.ppp.auth.chap import ChapAuthenticator, ChapPeer, Proof
from pypptp.ppp.auth.message import (
    NO_DIALIN_PERMISSION,
    WRONG_CREDENTIALS,
    build_failure,
    explain,
    parse_message,
    printable_text,
)
from pypptp.ppp.auth.method import RETRIES, Failure, Success
from pypptp.ppp.auth.mschap import challenge_response
from pypptp.ppp.auth.secret import Secret

CHALLENGE_LENGTH = 8
VALUE_LENGTH = 49
"""LM response 24, NT response 24, flag 1 (RFC 2433 section 6)."""
VERSION = 2
"""What V= says: RFC 2433 section 8 wants 2 or more."""

_NT_RESPONSE = slice(24, 48)
_USE_NT_RESPONSE = 1


class MschapV1Authenticator(ChapAuthenticator):
    """The side that asks.

    A Response that wants only its LM response looked at (flag 0) is refused, as by pppd: that hash knows no case and
    falls in minutes.
    """

    challenge_length = CHALLENGE_LENGTH
    response_length = VALUE_LENGTH
    retries = RETRIES
    takes_nt_hash = True

    def check(self, identifier: int, challenge: bytes, value: bytes, name: bytes, secret: Secret) -> Proof | None:
        """Return the proof and the keys, None for a wrong response."""
        expected = challenge_response(challenge, secret.nt_hash)
        right = compare_digest(expected, value[_NT_RESPONSE])
        if not right or not value[48] & _USE_NT_RESPONSE:
            return None
        return Proof(b"Access granted", keys_for_mschap_v1(secret.lm_hash, secret.nt_hash, challenge))

    def refusal(self, next_challenge: bytes, *, retry: bool) -> bytes:
        """Return the message of a Failure."""
        return build_failure(WRONG_CREDENTIALS, next_challenge, retry=retry, version=VERSION, text="Access denied")

    def denial(self, next_challenge: bytes, text: str) -> bytes:
        """Return the message of a Failure with E=649, the code that comes nearest."""
        return build_failure(NO_DIALIN_PERMISSION, next_challenge, retry=False, version=VERSION, text=text)


class MschapV1Peer(ChapPeer):
    """The side that is asked. Its LM response is zero, as RFC 2433 section 6 wants it."""

    _challenge = b""

    def is_answerable(self, challenge: bytes) -> bool:
        """Return whether the challenge has 8 octets."""
        return len(challenge) == CHALLENGE_LENGTH

    def respond(self, identifier: int, challenge: bytes) -> bytes:
        """Return the value of the Response."""
        self._challenge = challenge
        return bytes(24) + challenge_response(challenge, self._secret.nt_hash) + bytes((_USE_NT_RESPONSE,))

    def judge_success(self, message: bytes) -> Success | Failure:
        """Return the Success; the other side proves nothing."""
        keys = keys_for_mschap_v1(self._secret.lm_hash, self._secret.nt_hash, self._challenge)
        return Success(self._user, keys, printable_text(message))

    def judge_failure(self, message: bytes) -> Failure:
        """Return the server's own words and code. R=1 is no reason to try the same password again."""
        parsed = parse_message(message)
        reason = f"authentication failed: {explain(parsed)}"
        return Failure(reason, parsed.error, parsed.text, cause=cause_of_code(parsed.error, parsed.text))
