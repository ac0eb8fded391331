"""Packets of a live interface, decoded as they pass (Linux, CAP_NET_RAW)."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Iterator
from ipaddress import IPv4Address

from pypptp.capture.credentials import Credentials
from pypptp.capture.decoding import InnerPacket, MessageLine
from pypptp.capture.descriptions import describe_control, describe_ppp, is_message
from pypptp.capture.following import CallFollower
from pypptp.capture.ip_reassembly import PROTOCOL_GRE, PROTOCOL_TCP, IpDatagram, Reassembler
from pypptp.capture.recording import CONTROL_PORT
from pypptp.capture.tcp_stream import ControlStream, Segment, parse_segment
from pypptp.control.messages import MalformedMessage, parse_message
from pypptp.errors import NetworkError
from pypptp.ppp.protocols import Protocol, name, split_frame

MAXIMUM_STREAMS = 1024
_ETH_P_ALL = 3
_ETH_P_IP = 0x0800
_PACKET_OUTGOING = 4
_LONGEST_PACKET = 65_535
_INNER = frozenset({Protocol.IPV4, Protocol.IPV6})

_StreamKey = tuple[IPv4Address, int, IPv4Address, int]


class LiveDecoder:
    """Takes IPv4 packets as they pass, and gives lines and inner packets. It has no clock, and holds little.

    Args:
        credentials: whose packets to decrypt; None for nobody's.

    Attributes:
        packets: taken so far.
        follower: the calls, with its counts of what was decrypted.
    """

    def __init__(self, credentials: Credentials | None = None) -> None:
        self.packets = 0
        self.follower = CallFollower(lambda user: _password(credentials, user))
        self._reassembler = Reassembler()
        self._streams: dict[_StreamKey, ControlStream] = {}
        self._last: dict[tuple[IPv4Address, IPv4Address], int] = {}

    def feed(self, packet: bytes, now: int) -> list[MessageLine | InnerPacket]:
        """Take a packet from its IPv4 header on.

        Args:
            packet: the packet.
            now: nanoseconds since 1970-01-01 UTC.
        """
        self.packets += 1
        datagram = self._reassembler.feed(packet, now)
        if datagram is None:
            return []
        if datagram.protocol == PROTOCOL_GRE:
            return self._gre(datagram, now)
        if datagram.protocol == PROTOCOL_TCP:
            segment = parse_segment(datagram.payload, datagram.missing)
            if segment is not None and CONTROL_PORT in (segment.source_port, segment.destination_port):
                return self._segment(datagram, segment, now)
        return []

    def _segment(self, datagram: IpDatagram, segment: Segment, now: int) -> list[MessageLine | InnerPacket]:
        key = (datagram.source, segment.source_port, datagram.destination, segment.destination_port)
        stream = self._streams.get(key)
        if stream is None:
            if len(self._streams) >= MAXIMUM_STREAMS:
                del self._streams[next(iter(self._streams))]
            stream = self._streams[key] = ControlStream()
        lines: list[MessageLine | InnerPacket] = []
        from_client = segment.destination_port == CONTROL_PORT
        for data in stream.feed(segment, now):
            try:
                self.follower.learn(datagram.source, datagram.destination, parse_message(data))
            except MalformedMessage:
                pass  # the line says so
            text = describe_control(data)
            lines.append(
                MessageLine(self.packets, now, datagram.source, datagram.destination, from_client, "PPTP", text)
            )
        if segment.end:
            self._streams.pop(key, None)
        return lines

    def _gre(self, datagram: IpDatagram, now: int) -> list[MessageLine | InnerPacket]:
        followed = self.follower.receive(datagram.source, datagram.destination, datagram.payload)
        if followed is None:
            return []
        protocol, information = followed.protocol, followed.information
        if is_message(protocol):
            text = describe_ppp(protocol, information)
            return [
                MessageLine(
                    self.packets,
                    now,
                    datagram.source,
                    datagram.destination,
                    followed.from_client,
                    name(protocol),
                    text,
                )
            ]
        if followed.plaintext is not None:
            protocol, information = split_frame(followed.plaintext) or (0, b"")
        if protocol in _INNER:
            return [InnerPacket(self.packets, now, information, datagram.missing)]
        return []


def sniff(interface: str) -> Iterator[tuple[bytes, int]]:
    """Yield every IPv4 packet of an interface and its time, until the caller has enough.

    Raises:
        NetworkError: no such interface, or no right to listen to it.
    """
    try:
        listening = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
    except PermissionError as error:
        raise NetworkError("not allowed to listen to an interface: run as root or with CAP_NET_RAW") from error
    with listening:
        try:
            listening.bind((interface, _ETH_P_ALL))
        except OSError as error:
            if error.errno == errno.ENODEV:
                raise NetworkError(f"there is no interface {interface} here") from error
            raise NetworkError(f"cannot listen to {interface}: {error.strerror}") from error
        # On the loopback interface every packet goes by twice.
        twice = interface == "lo"
        while True:
            packet, (_, protocol, kind, *_) = listening.recvfrom(_LONGEST_PACKET)
            if protocol == _ETH_P_IP and not (twice and kind == _PACKET_OUTGOING):
                yield packet, time.time_ns()


def _password(credentials: Credentials | None, user: str) -> str | None:
    if credentials is None:
        return None
    same = user.rpartition("\\")[2].lower() == credentials.user.rpartition("\\")[2].lower()
    return credentials.password if same else None
