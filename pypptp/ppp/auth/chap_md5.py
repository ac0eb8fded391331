"""CHAP with MD5 (RFC 1994, algorithm 5): no keys, so no MPPE."""

from __future__ import annotations

from hashlib import md5
from hmac import compare_digest

from pypptp.causes import Cause
from pypptp.ppp.auth.chap import ChapAuthenticator, ChapPeer, Proof
from pypptp.ppp.auth.message import printable_text
from pypptp.ppp.auth.method import Failure, Success
from pypptp.ppp.auth.secret import Secret

RESPONSE_LENGTH = 16


def md5_response(identifier: int, secret: bytes, challenge: bytes) -> bytes:
    """Return the 16 octets of a Response: MD5 over identifier, secret, challenge (RFC 1994 section 4.1)."""
    return md5(bytes((identifier,)) + secret + challenge).digest()


class ChapMd5Authenticator(ChapAuthenticator):
    """The side that asks. RFC 1994 knows no second try: the first wrong answer ends it."""

    response_length = RESPONSE_LENGTH

    def check(self, identifier: int, challenge: bytes, value: bytes, name: bytes, secret: Secret) -> Proof | None:
        """Return the proof, None for a wrong response or where only a hash of the password is known."""
        octets = secret.octets
        expected = md5_response(identifier, octets or b"", challenge)
        right = compare_digest(expected, value)
        # RFC 1994 section 2.3: a secret has at least one octet.
        return Proof(b"Access granted") if right and octets else None

    def refusal(self, next_challenge: bytes, *, retry: bool) -> bytes:
        """Return the message of a Failure."""
        return b"Access denied"


class ChapMd5Peer(ChapPeer):
    """The side that is asked."""

    def start(self, now: float) -> None:
        """LCP is open: wait for the Challenge, unless the password itself is not known."""
        if self._secret.octets is None:
            self._fail(Failure("CHAP with MD5 needs the password itself, not its NT hash", cause=Cause.METHOD))
        else:
            super().start(now)

    def is_answerable(self, challenge: bytes) -> bool:
        """Return True: any challenge will do."""
        return self._secret.octets is not None

    def respond(self, identifier: int, challenge: bytes) -> bytes:
        """Return the value of the Response."""
        return md5_response(identifier, self._secret.octets or b"", challenge)

    def judge_success(self, message: bytes) -> Success | Failure:
        """Return the Success; the other side proves nothing."""
        return Success(self._user, None, printable_text(message))
