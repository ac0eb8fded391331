"""Packets to measure with, and what is done with one, in a loop to be timed."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha1
from struct import pack

from bench.cores import LOCAL, NOW, PEER, Pair
from pypptp.mppe.rc4 import LibcryptoBackend, bind
from pypptp.session import Session


def ip_packet(octets: int) -> bytes:
    header = bytearray(pack("!BBHHHBBH4s4s", 0x45, 0, octets, 0, 0, 64, 17, 0, PEER.packed, LOCAL.packed))
    total = sum(int.from_bytes(header[at : at + 2], "big") for at in range(0, 20, 2))
    total = (total & 0xFFFF) + (total >> 16)
    header[10:12] = (~total & 0xFFFF).to_bytes(2, "big")
    return bytes(header) + bytes(octets - 20)


def slot(packet: bytes) -> bytearray:
    return bytearray(Session.HEADROOM) + packet


def cipher_alone(backend: LibcryptoBackend, octets: int) -> Callable[[int], None]:
    """SHA-1, two RC4 key set-ups and RC4 over a packet, and nothing else: the limit."""
    ffi, set_key, rc4 = backend.ffi, backend.set_key, backend.rc4
    key_and_pads, data = bytearray(112), bytearray(octets)
    message, octets_at = ffi.from_buffer("unsigned char[]", key_and_pads), ffi.from_buffer("unsigned char[]", data)
    key, state = message + 56, ffi.new("unsigned long long[]", 136)

    def run(count: int) -> None:
        for _ in range(count):
            digest = sha1(key_and_pads).digest()
            set_key(state, 16, digest)
            rc4(state, 16, digest, key)
            set_key(state, 16, key)
            rc4(state, octets, octets_at, octets_at)

    return run


def encapsulation(octets: int) -> Callable[[int], None]:
    """One packet through a client's session, stateless MPPE-128, header and all, without any input or output."""
    client, _ = Pair().connect().sessions()
    buffer = slot(ip_packet(octets))
    handle, first = bind(buffer), Session.HEADROOM

    def run(count: int) -> None:
        for _ in range(count):
            # Encryption in place leaves no IP packet there for the next round.
            buffer[first] = 0x45
            if not client.encapsulate(handle, buffer, first, first + octets, NOW):
                raise AssertionError("the session refused the packet")

    return run
