"""MPPE keys from MS-CHAP credentials (RFC 3079).

Everything here happens once per session. What changes the key from packet to packet is in ``schedule``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import sha1

from pypptp.errors import LocalProtocolError
from pypptp.mppe.md4 import md4

# RFC 3079 sections 2.4 and 3.4: the same 40 octets under the names SHApad and SHSpad.
PAD1 = bytes(40)
PAD2 = b"\xf2" * 40

_MAGIC1 = b"This is the MPPE Master Key"
_MAGIC2 = b"On the client side, this is the send key; on the server side, it is the receive key."
_MAGIC3 = b"On the client side, this is the receive key; on the server side, it is the send key."


class Strength(IntEnum):
    """How many bits of a session key an attacker does not know (RFC 3078 section 2, bits L, M and S)."""

    BITS_40 = 40
    BITS_56 = 56
    BITS_128 = 128

    @property
    def key_length(self) -> int:
        """Octets of a session key: 8 or 16."""
        return 16 if self is Strength.BITS_128 else 8

    @property
    def salt(self) -> bytes:
        """The octets that overwrite a session key's first ones (RFC 3079 sections 2.1, 2.2, 3.1 and 3.2)."""
        return _SALTS[self]


_SALTS = {Strength.BITS_40: b"\xd1\x26\x9e", Strength.BITS_56: b"\xd1", Strength.BITS_128: b""}


def master_key(nt_hash_hash: bytes, nt_response: bytes) -> bytes:
    """GetMasterKey: 16 octets, from MD4 of the NT hash and the 24-octet NT-Response (RFC 3079 section 3.4)."""
    return sha1(nt_hash_hash + nt_response + _MAGIC1).digest()[:16]


def asymmetric_start_key(master_key: bytes, length: int, is_send: bool, is_server: bool) -> bytes:
    """GetAsymmetricStartKey: the first length (8 or 16) octets of one direction's start key (RFC 3079 section 3.4)."""
    magic = _MAGIC3 if is_send == is_server else _MAGIC2
    return sha1(master_key + PAD1 + magic + PAD2).digest()[:length]


def start_key_mschap_v1(challenge: bytes, nt_hash_hash: bytes) -> bytes:
    """Get_Start_Key: 16 octets, the same both ways, from the 8-octet challenge (RFC 3079 section 2.4)."""
    return sha1(nt_hash_hash + nt_hash_hash + challenge).digest()[:16]


def new_key_from_sha(start: bytes, session: bytes) -> bytes:
    """GetNewKeyFromSHA, Get_Key: the key that follows session, as long as start (RFC 3078 section 7.3).

    The initial session key is ``new_key_from_sha(start, start)``, salted, without the RC4 step that every later change
    has.
    """
    return sha1(start + PAD1 + session + PAD2).digest()[: len(start)]


def initial_session_key(start: bytes, strength: Strength) -> bytes:
    """The session key before the first change, 8 or 16 octets (RFC 3079 sections 2.1 to 2.3 and 3.1 to 3.3).

    Raises:
        LocalProtocolError: the start key is shorter than the strength asks for.
    """
    length = strength.key_length
    if len(start) < length:
        raise LocalProtocolError(f"a start key for {int(strength)} bits has {length} octets, not {len(start)}")
    key = new_key_from_sha(start[:length], start[:length])
    return strength.salt + key[len(strength.salt) :]


@dataclass(frozen=True, slots=True)
class MppeKeys:
    """The start keys an authentication left behind, before anybody knows which strength CCP will agree on.

    Attributes:
        send_start: 16 octets for what this side sends at 128 bits (with MS-CHAPv2 at any strength: cut to 8 for 40 and
            56).
        receive_start: the same for what it receives.
        version: of MS-CHAP: 1 or 2.
        lm_start: with MS-CHAPv1, the first 8 octets of the LM hash, from which 40 and 56 bits start in both directions;
            None where the LM hash is not known (a password it cannot express, or an account that has only an NT hash).
    """

    send_start: bytes = field(repr=False)
    receive_start: bytes = field(repr=False)
    version: int = 2
    lm_start: bytes | None = field(default=None, repr=False)

    @property
    def strengths(self) -> tuple[Strength, ...]:
        """The strengths there are keys for, strongest first.

        With MS-CHAPv1 pppd refuses 40 bits because it knows no LM hash; others derive them as RFC 3079 section 2.1
        says.
        """
        if self.version == 1 and self.lm_start is None:
            return (Strength.BITS_128,)
        return (Strength.BITS_128, Strength.BITS_56, Strength.BITS_40)

    def start_keys(self, strength: Strength) -> tuple[bytes, bytes]:
        """Return the start keys (send, receive) for a strength, 8 or 16 octets each.

        Raises:
            LocalProtocolError: the strength is not among ``strengths``.
        """
        if strength not in self.strengths:
            raise LocalProtocolError(f"this authentication leaves no key for {int(strength)} bits")
        if self.lm_start is not None and strength is not Strength.BITS_128:
            return self.lm_start, self.lm_start
        length = strength.key_length
        return self.send_start[:length], self.receive_start[:length]


def keys_for_mschap_v2(nt_hash: bytes, nt_response: bytes, is_server: bool) -> MppeKeys:
    """The start keys of an MS-CHAPv2 login (RFC 3079 section 3).

    Args:
        nt_hash: 16 octets, of the user's password.
        nt_response: 24 octets, from the Response of the call's first authentication.
        is_server: whether this side is the one that was called and asked for the proof.
    """
    master = master_key(md4(nt_hash), nt_response)
    return MppeKeys(
        send_start=asymmetric_start_key(master, 16, True, is_server),
        receive_start=asymmetric_start_key(master, 16, False, is_server),
    )


def keys_for_mschap_v1(lm_hash: bytes | None, nt_hash: bytes, challenge: bytes) -> MppeKeys:
    """The start keys of an MS-CHAPv1 login, the same both ways (RFC 3079 section 2).

    Args:
        lm_hash: 16 octets, or None where it is not known: then there are keys for 128 bits only.
        nt_hash: 16 octets, of the user's password.
        challenge: 8 octets, from the call's first authentication.
    """
    start = start_key_mschap_v1(challenge, md4(nt_hash))
    return MppeKeys(start, start, version=1, lm_start=None if lm_hash is None else lm_hash[:8])
