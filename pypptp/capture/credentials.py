"""A user and a password tried on the MS-CHAP logins of a recording, and the MPPE start keys they give (RFC 3079)."""

from __future__ import annotations

from dataclasses import dataclass, field

from pypptp.capture.sessions import Handshake
from pypptp.mppe.keys import MppeKeys, Strength, keys_for_mschap_v1, keys_for_mschap_v2
from pypptp.ppp.auth.mschap import (
    challenge_response,
    hashed_name,
    lm_password_hash,
    nt_password_hash,
    nt_response_v2,
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who is known, and the password.

    Attributes:
        user: the account's name; what stands before a last backslash is its domain and does not count. Servers compare
            names without regard to case, and so is it done here.
        password: in clear.
    """

    user: str
    password: str = field(repr=False)

    def fits(self, handshake: Handshake) -> bool:
        """Whether this login is the user's and its proof was made with the password.

        Without the challenge, which may not have been captured, the proof cannot be checked and the name decides.
        """
        user = self.user.encode("utf-8", "surrogateescape")
        if hashed_name(handshake.name).lower() != hashed_name(user).lower():
            return False
        if handshake.challenge is None:
            return True
        nt_response = handshake.response[24:48]
        nt_hash = nt_password_hash(self.password)
        if handshake.version == 2:
            return nt_response == nt_response_v2(handshake.challenge, handshake.response[:16], handshake.name, nt_hash)
        if nt_response != bytes(24):
            return nt_response == challenge_response(handshake.challenge, nt_hash)
        lm_hash = lm_password_hash(self.password)
        return lm_hash is not None and handshake.response[:24] == challenge_response(handshake.challenge, lm_hash)

    def start_key(self, handshake: Handshake, strength: Strength, sent_by_client: bool) -> bytes | None:
        """Return the MPPE start key of one direction, 8 or 16 octets, or None where these credentials give none."""
        if not self.fits(handshake):
            return None
        keys = self._keys(handshake)
        if keys is None or strength not in keys.strengths:
            return None
        send, receive = keys.start_keys(strength)
        return send if sent_by_client else receive

    def _keys(self, handshake: Handshake) -> MppeKeys | None:
        nt_hash = nt_password_hash(self.password)
        if handshake.version == 2:
            return keys_for_mschap_v2(nt_hash, handshake.response[24:48], is_server=False)
        if handshake.challenge is None:
            return None
        return keys_for_mschap_v1(lm_password_hash(self.password), nt_hash, handshake.challenge)
