"""The MD4 message digest (RFC 1320), of which the NT password hash is made.

Own code because ``hashlib`` has no MD4 where OpenSSL 3 runs without its legacy provider, which is nearly everywhere.
It digests passwords, a few dozen octets once per login: clearness before speed.
"""

from __future__ import annotations

from struct import Struct

_WORDS = Struct("<16I")
_STATE = Struct("<4I")
_INITIAL = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)
_MASK = 0xFFFFFFFF

# Per round (RFC 1320 section 3.4): the order in which the sixteen words are taken, and the shifts in turn.
_ROUND_1 = (tuple(range(16)), (3, 7, 11, 19))
_ROUND_2 = ((0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), (3, 5, 9, 13))
_ROUND_3 = ((0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15), (3, 9, 11, 15))


def md4(data: bytes) -> bytes:
    """Return the 16-octet MD4 digest of data, of any length (RFC 1320)."""
    length = len(data)
    padded = data + b"\x80" + bytes((55 - length) % 64) + (length * 8 & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little")
    state = _INITIAL
    for offset in range(0, len(padded), 64):
        state = _compress(state, _WORDS.unpack_from(padded, offset))
    return _STATE.pack(*state)


def _compress(state: tuple[int, int, int, int], words: tuple[int, ...]) -> tuple[int, int, int, int]:
    a, b, c, d = state
    for index, word in enumerate(_ROUND_1[0]):
        mixed = (b & c) | (~b & d)
        a, b, c, d = d, _rotate(a + mixed + words[word], _ROUND_1[1][index & 3]), b, c
    for index, word in enumerate(_ROUND_2[0]):
        mixed = (b & c) | (b & d) | (c & d)
        a, b, c, d = d, _rotate(a + mixed + words[word] + 0x5A827999, _ROUND_2[1][index & 3]), b, c
    for index, word in enumerate(_ROUND_3[0]):
        mixed = b ^ c ^ d
        a, b, c, d = d, _rotate(a + mixed + words[word] + 0x6ED9EBA1, _ROUND_3[1][index & 3]), b, c
    return ((state[0] + a) & _MASK, (state[1] + b) & _MASK, (state[2] + c) & _MASK, (state[3] + d) & _MASK)


def _rotate(value: int, count: int) -> int:
    value &= _MASK
    return (value << count | value >> (32 - count)) & _MASK
