"""Frames for the cipher tests: sound IP packets, and sessions that share a start key."""

from pypptp.mppe import Decryptor, Encryptor, Strength
from pypptp.mppe.rc4 import DEFAULT, Backend

START = bytes.fromhex("8b7cdc149b993a1ba118cb153f56dccb")


def ipv4(payload: bytes = b"payload", *, options: bytes = b"") -> bytes:
    """Return an IPv4 packet whose header checksum is right."""
    words = 5 + len(options) // 4
    header = bytearray([0x40 | words, 0, 0, 0, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]) + options
    header[2:4] = (len(header) + len(payload)).to_bytes(2, "big")
    total = sum(int.from_bytes(header[at : at + 2], "big") for at in range(0, len(header), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    header[10:12] = (0xFFFF - total).to_bytes(2, "big")
    return bytes(header) + payload


def ipv6(payload: bytes = b"payload") -> bytes:
    """Return an IPv6 packet."""
    return bytes([0x60, 0, 0, 0]) + len(payload).to_bytes(2, "big") + bytes([59, 64]) + bytes(32) + payload


def plaintext(number: int = 0) -> bytes:
    """Return a PPP frame, different for every number, as long as what MPPE mostly carries is short."""
    return b"\x00\x21" + ipv4(b"packet %d" % number)


def pair(
    strength: Strength = Strength.BITS_128,
    *,
    stateless: bool = True,
    backend: Backend = DEFAULT,
    sequence: int | None = 0,
) -> tuple[Encryptor, Decryptor]:
    """Return both ends of one direction."""
    return (
        Encryptor(START, strength, stateless=stateless, backend=backend),
        Decryptor(START, strength, stateless=stateless, backend=backend, sequence=sequence),
    )


def state(decryptor: Decryptor) -> tuple[object, ...]:
    """Return everything that decides how the next frame is read."""
    decryptor._catch_up()
    return (
        decryptor._schedule.key,
        decryptor._count,
        decryptor._next_header,
        decryptor._sequence,
        decryptor._sequence_known,
        decryptor._position,
        decryptor.discarding,
    )
