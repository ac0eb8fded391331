"""IPv4 headers, and fragments put together (RFC 791), for the outside of a recorded tunnel.

pptpd's default MTU makes full-sized packets a few octets too long for the path, so a real capture is full of fragments.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from pypptp.capture.pcap_file import NANOSECONDS

PROTOCOL_TCP = 6
PROTOCOL_GRE = 47
FRAGMENT_LIFETIME = 60 * NANOSECONDS
"""Nanoseconds of capture time after which a datagram whose rest never came is given up (RFC 1122 3.3.2)."""
MAXIMUM_DATAGRAMS = 256
MAXIMUM_FRAGMENTS = 128
MAXIMUM_OCTETS_HELD = 4 * 1024 * 1024
_LONGEST_DATAGRAM = 65535
_SHORTEST_HEADER = 20
_HEADER = struct.Struct("!BxHHHxBxx4s4s")
_MORE_FRAGMENTS = 0x2000
_OFFSET_MASK = 0x1FFF


@dataclass(frozen=True, slots=True)
class IpDatagram:
    """One whole IPv4 datagram, without its header.

    Attributes:
        missing: octets at its end that were sent but not captured (a snap length).
    """

    source: IPv4Address
    destination: IPv4Address
    protocol: int
    payload: bytes
    missing: int = 0


@dataclass(slots=True)
class _Pending:
    first_seen: int
    pieces: dict[int, bytes] = field(default_factory=dict)
    total: int | None = None
    held: int = 0


class Reassembler:
    """Takes IPv4 packets in capture order and returns whole datagrams, at most one per packet.

    Attributes:
        malformed: packets whose header contradicts itself.
        given_up: datagrams whose fragments never became whole, or would have cost too much to hold.
    """

    def __init__(self, protocols: frozenset[int] = frozenset({PROTOCOL_TCP, PROTOCOL_GRE})) -> None:
        self.malformed = 0
        self.given_up = 0
        self._protocols = protocols
        self._pending: OrderedDict[tuple[bytes, bytes, int, int], _Pending] = OrderedDict()
        self._held = 0

    def feed(self, packet: bytes, time: int) -> IpDatagram | None:
        """Take a packet from its IPv4 header on (what follows its Total Length is ignored); never raises.

        Returns:
            The datagram this packet is or completes, else None.
        """
        if len(packet) < _SHORTEST_HEADER or packet[0] >> 4 != 4:
            self.malformed += 1
            return None
        first, total_length, identification, fragmentation, protocol, source, destination = _HEADER.unpack_from(packet)
        header_length = (first & 0x0F) * 4
        if total_length == 0:
            # Segmentation offload leaves the length to the card; the capture then knows better.
            total_length = len(packet)
        if header_length < _SHORTEST_HEADER or total_length < header_length or len(packet) < header_length:
            self.malformed += 1
            return None
        if protocol not in self._protocols:
            return None
        payload = packet[header_length:total_length]
        missing = max(0, total_length - len(packet))
        if not fragmentation & (_MORE_FRAGMENTS | _OFFSET_MASK):
            return IpDatagram(IPv4Address(source), IPv4Address(destination), protocol, payload, missing)
        if missing:
            # A fragment with a hole in it would put octets in the wrong place.
            self.given_up += 1
            return None
        key = (source, destination, identification, protocol)
        whole = self._add_fragment(key, fragmentation, payload, time)
        if whole is None:
            return None
        return IpDatagram(IPv4Address(source), IPv4Address(destination), protocol, whole)

    def _add_fragment(
        self, key: tuple[bytes, bytes, int, int], fragmentation: int, payload: bytes, time: int
    ) -> bytes | None:
        offset = (fragmentation & _OFFSET_MASK) * 8
        more = bool(fragmentation & _MORE_FRAGMENTS)
        if not payload or offset + len(payload) > _LONGEST_DATAGRAM or (more and len(payload) % 8):
            self.malformed += 1
            return None
        pending = self._pending.get(key)
        if pending is not None and abs(time - pending.first_seen) > FRAGMENT_LIFETIME:
            self._drop(key)
            self.given_up += 1
            pending = None
        if pending is None:
            pending = self._pending[key] = _Pending(time)
        # The first copy of a fragment stands: a second one is the network's duplicate, or somebody's forgery.
        if offset not in pending.pieces:
            pending.pieces[offset] = payload
            pending.held += len(payload)
            self._held += len(payload)
            if not more:
                pending.total = offset + len(payload)
        whole = self._join(pending)
        if whole is not None:
            self._drop(key)
            return whole
        if len(pending.pieces) >= MAXIMUM_FRAGMENTS:
            self._drop(key)
            self.given_up += 1
        while self._pending and (len(self._pending) > MAXIMUM_DATAGRAMS or self._held > MAXIMUM_OCTETS_HELD):
            self._drop(next(iter(self._pending)))
            self.given_up += 1
        return None

    @staticmethod
    def _join(pending: _Pending) -> bytes | None:
        if pending.total is None or pending.held < pending.total:
            return None
        joined = bytearray()
        for offset, piece in sorted(pending.pieces.items()):
            if offset > len(joined):
                return None
            joined += piece[len(joined) - offset :]
        return bytes(joined[: pending.total]) if len(joined) >= pending.total else None

    def _drop(self, key: tuple[bytes, bytes, int, int]) -> None:
        self._held -= self._pending.pop(key).held
