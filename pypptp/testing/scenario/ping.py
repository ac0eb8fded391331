"""ICMP echo (RFC 792) without the ``ping`` program."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import time
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from pypptp.errors import NetworkError
from pypptp.net.namespaces import Namespace

ECHO_REPLY: Final = 0
ECHO_REQUEST: Final = 8
_HEADER = struct.Struct("!BBHHH")  # type, code, checksum, identifier, sequence
_PAYLOAD_OCTETS = 56  # what the ping program sends
_NO_WAY = {errno.ENETUNREACH: "network unreachable", errno.EHOSTUNREACH: "host unreachable"}


@dataclass(frozen=True, slots=True)
class Pings:
    """What became of a run of echo requests.

    Attributes:
        sent: requests tried, those the kernel found no way for included.
        received: answers, each counted once.
        round_trips: seconds, one for each answer.
        refusal: the kernel's words where it would not send, else empty.
    """

    sent: int
    received: int
    round_trips: tuple[float, ...] = ()
    refusal: str = ""


def ping(
    host: Namespace, address: IPv4Address, *, count: int = 4, interval: float = 0.25, patience: float = 1.0
) -> Pings:
    """Send echo requests from inside a namespace.

    Args:
        host: where to send from.
        address: whom to ask.
        count: requests.
        interval: seconds between them.
        patience: seconds to wait for answers after the last.

    Raises:
        NetworkError: no right to open a raw socket.
    """
    try:
        sock = host.run(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
    except OSError as error:
        raise NetworkError(f"cannot open a raw ICMP socket: {error.strerror}; run as root") from error
    with sock:
        return _Run(sock, address).go(count, interval, patience)


class _Run:
    def __init__(self, sock: socket.socket, address: IPv4Address) -> None:
        self._socket = sock
        self._address = str(address)
        self._identifier = int.from_bytes(os.urandom(2))
        self._payload = os.urandom(_PAYLOAD_OCTETS)
        self._left: dict[int, float] = {}
        self._round_trips: list[float] = []

    def go(self, count: int, interval: float, patience: float) -> Pings:
        refusal = ""
        self._socket.setblocking(False)
        for sequence in range(1, count + 1):
            self._left[sequence] = time.monotonic()
            try:
                self._socket.sendto(build_echo(self._identifier, sequence, self._payload), (self._address, 0))
            except OSError as error:
                del self._left[sequence]
                refusal = _NO_WAY.get(error.errno or 0) or error.strerror or str(error)
            if sequence < count and not refusal:
                self._listen(time.monotonic() + interval, wait_full=True)
        self._listen(time.monotonic() + patience, wait_full=False)
        return Pings(count, len(self._round_trips), tuple(self._round_trips), refusal)

    def _listen(self, deadline: float, *, wait_full: bool) -> None:
        while (self._left or wait_full) and (left := deadline - time.monotonic()) > 0:
            if not select.select([self._socket], [], [], left)[0]:
                return
            try:
                data, (source, _) = self._socket.recvfrom(2048)
            except OSError:
                continue
            sequence = parse_echo_reply(data, self._identifier, self._payload)
            if sequence in self._left and source == self._address:
                self._round_trips.append(time.monotonic() - self._left.pop(sequence))


def build_echo(identifier: int, sequence: int, payload: bytes, kind: int = ECHO_REQUEST) -> bytes:
    """Build an ICMP echo message with its checksum."""
    blank = _HEADER.pack(kind, 0, 0, identifier, sequence) + payload
    return _HEADER.pack(kind, 0, checksum(blank), identifier, sequence) + payload


def parse_echo_reply(packet: bytes, identifier: int, payload: bytes) -> int | None:
    """Return the sequence number of an answer to one of our requests, or None.

    Args:
        packet: an IPv4 packet, as a raw socket gives it.
        identifier: ours.
        payload: ours; an answer repeats it.
    """
    if len(packet) < 20:
        return None
    start = (packet[0] & 0x0F) * 4
    if len(packet) < start + _HEADER.size:
        return None
    kind, code, _, theirs, sequence = _HEADER.unpack_from(packet, start)
    if (kind, code, theirs) != (ECHO_REPLY, 0, identifier) or packet[start + _HEADER.size :] != payload:
        return None
    return int(sequence) if checksum(packet[start:]) == 0 else None


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) & ~1]))
    if len(data) & 1:
        total += data[-1] << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
