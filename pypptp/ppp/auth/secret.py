"""What an authentication is measured against: a password, or one of its hashes."""

from __future__ import annotations

from pypptp.errors import LocalProtocolError
from pypptp.ppp.auth.mschap import HASH_LENGTH, lm_password_hash, nt_password_hash


class Secret:
    """A user's password, or what is known of it.

    MS-CHAP and MS-CHAPv2 are content with the NT hash; CHAP-MD5 needs the password itself. Each hash is worked out
    once, when it is first wanted.

    Args:
        password: the password, or None where only hashes are known.
        nt_hash: 16 octets: MD4 of the password in UTF-16-LE (RFC 2433 A.7). It goes before the password's own.
        lm_hash: 16 octets (RFC 2433 A.2), needed only for MPPE with 40 or 56 bits after MS-CHAPv1.

    Raises:
        LocalProtocolError: neither a password nor an NT hash was given, or a hash has not 16 octets.
    """

    __slots__ = ("_lm_hash", "_nt_hash", "password")

    def __init__(
        self, password: str | None = None, *, nt_hash: bytes | None = None, lm_hash: bytes | None = None
    ) -> None:
        if password is None and nt_hash is None:
            raise LocalProtocolError("a secret is a password or an NT hash, and neither was given")
        if any(known is not None and len(known) != HASH_LENGTH for known in (nt_hash, lm_hash)):
            raise LocalProtocolError(f"the hash of a password has {HASH_LENGTH} octets")
        self.password = password
        self._nt_hash = nt_hash
        self._lm_hash = lm_hash

    def __repr__(self) -> str:
        return f"Secret({'a hash' if self.password is None else 'a password'})"

    @property
    def is_hashed(self) -> bool:
        """Whether the NT hash is known without further work."""
        return self._nt_hash is not None

    @property
    def nt_hash(self) -> bytes:
        """The 16 octets of NtPasswordHash."""
        if self._nt_hash is None:
            assert self.password is not None, "one of the two was given"
            self._nt_hash = nt_password_hash(self.password)
        return self._nt_hash

    @property
    def lm_hash(self) -> bytes | None:
        """The 16 octets of LmPasswordHash, or None: no password to make it of, or one that has none."""
        if self._lm_hash is None and self.password is not None:
            self._lm_hash = lm_password_hash(self.password)
        return self._lm_hash

    @property
    def octets(self) -> bytes | None:
        """The password as CHAP-MD5 and PAP carry it, in UTF-8; None where it is not known."""
        return None if self.password is None else self.password.encode("utf-8", "surrogateescape")
