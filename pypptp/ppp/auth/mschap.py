"""The computations of MS-CHAP (RFC 2433 appendix A) and MS-CHAPv2 (RFC 2759 section 8)."""

from __future__ import annotations

from hashlib import sha1

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from pypptp.mppe.md4 import md4

HASH_LENGTH = 16
"""Octets of an NT or LM password hash."""
RESPONSE_LENGTH = 24
"""Octets of an NT-Response."""
LONGEST_LM_PASSWORD = 14

_LM_TEXT = b"KGS!@#$%"
_MAGIC1 = b"Magic server to client signing constant"
_MAGIC2 = b"Pad to make it do more than one iteration"


def des_key(seven_octets: bytes) -> bytes:
    """Spread 56 key bits over 8 octets, each with odd parity in its lowest bit (RFC 2759 section 8.6)."""
    bits = int.from_bytes(seven_octets, "big")
    octets = bytearray()
    for shift in range(49, -1, -7):
        seven = bits >> shift & 0x7F
        octets.append(seven << 1 | (seven.bit_count() + 1) & 1)
    return bytes(octets)


def des_encrypt(clear: bytes, seven_octets: bytes) -> bytes:
    """DesEncrypt: 8 octets in ECB mode under a 7-octet key (RFC 2759 section 8.6)."""
    # The same key three times over makes Triple DES the single one, which libraries no longer offer by itself.
    cipher = Cipher(TripleDES(des_key(seven_octets) * 3), modes.ECB())
    encryptor = cipher.encryptor()
    return encryptor.update(clear) + encryptor.finalize()


def nt_password_hash(password: str) -> bytes:
    """NtPasswordHash: MD4 of the password in UTF-16-LE, without a final zero (RFC 2433 A.7, RFC 2759 section 8.3)."""
    return md4(password.encode("utf-16-le", "surrogatepass"))


def hash_nt_password_hash(nt_hash: bytes) -> bytes:
    """HashNtPasswordHash: MD4 of the NT hash (RFC 2759 section 8.4)."""
    return md4(nt_hash)


def lm_password_hash(password: str) -> bytes | None:
    """LmPasswordHash: 16 octets (RFC 2433 A.2).

    Returns:
        None where there is none: LAN Manager knew 14 octets of an OEM character set at most. Code page 437 is taken,
        upper case as Python has it; only the characters of ASCII are beyond doubt.
    """
    try:
        octets = password.upper().encode("cp437")
    except UnicodeEncodeError:
        return None
    if len(octets) > LONGEST_LM_PASSWORD:
        return None
    padded = octets.ljust(LONGEST_LM_PASSWORD, b"\0")
    return des_encrypt(_LM_TEXT, padded[:7]) + des_encrypt(_LM_TEXT, padded[7:])


def challenge_response(challenge: bytes, password_hash: bytes) -> bytes:
    """ChallengeResponse: 24 octets from an 8-octet challenge and a 16-octet hash (RFC 2433 A.5, RFC 2759 section 8.5).

    With the NT hash and the server's challenge this is MS-CHAPv1's NT response, with the LM hash its LM response.
    """
    keys = password_hash.ljust(21, b"\0")
    return b"".join(des_encrypt(challenge, keys[at : at + 7]) for at in (0, 7, 14))


def hashed_name(name: bytes) -> bytes:
    r"""Return the part of a user name that is hashed: what stands behind the last backslash, without ``DOMAIN\``."""
    return name.rpartition(b"\\")[2]


def challenge_hash(peer_challenge: bytes, authenticator_challenge: bytes, name: bytes) -> bytes:
    """ChallengeHash: 8 octets (RFC 2759 section 8.2).

    Args:
        peer_challenge: 16 octets.
        authenticator_challenge: 16 octets.
        name: the user name as it stands on the wire; a domain before it is left out here.
    """
    return sha1(peer_challenge + authenticator_challenge + hashed_name(name)).digest()[:8]


def nt_response_v2(authenticator_challenge: bytes, peer_challenge: bytes, name: bytes, nt_hash: bytes) -> bytes:
    """GenerateNTResponse: the 24 octets of an MS-CHAPv2 NT-Response (RFC 2759 section 8.1), from the NT hash."""
    return challenge_response(challenge_hash(peer_challenge, authenticator_challenge, name), nt_hash)


def authenticator_response(
    nt_hash: bytes, nt_response: bytes, peer_challenge: bytes, authenticator_challenge: bytes, name: bytes
) -> str:
    """GenerateAuthenticatorResponse: ``S=`` and 40 upper-case hexadecimal digits (RFC 2759 section 8.7)."""
    digest = sha1(hash_nt_password_hash(nt_hash) + nt_response + _MAGIC1).digest()
    digest = sha1(digest + challenge_hash(peer_challenge, authenticator_challenge, name) + _MAGIC2).digest()
    return "S=" + digest.hex().upper()
