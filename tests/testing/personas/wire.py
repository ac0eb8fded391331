"""What was said on the wire between a persona and an endpoint of ours, one message or frame after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TypeVar

from pypptp.control import MessageBuffer
from pypptp.control.messages import Message, parse_message
from pypptp.gre import GreHeader, parse_header
from pypptp.ppp.packet import Code, ControlPacket, Option, parse_options, parse_packet
from pypptp.ppp.protocols import ADDRESS_CONTROL, split_frame
from pypptp.testing.dialogue import packets
from pypptp.testing.dialogue.memory import Connection, MemoryNetwork, Peers
from pypptp.testing.dialogue.transcript import Direction, Layer, Transcript
from pypptp.testing.personas import PersonaPlay

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """One thing said.

    Attributes:
        time: when.
        mine: the persona said it.
        octets: a whole control message, or a whole GRE packet.
        message: the control message, None with GRE.
        header: the GRE header, None with a control message.
        frame: the PPP frame, empty without one.
        protocol: of PPP, 0 without a frame.
        packet: the PPP control packet, None where there is none.
    """

    time: float
    mine: bool
    octets: bytes
    message: Message | None = None
    header: GreHeader | None = None
    frame: bytes = b""
    protocol: int = 0
    packet: ControlPacket | None = None

    @property
    def full_header(self) -> bool:
        return self.frame.startswith(ADDRESS_CONTROL)

    @property
    def options(self) -> list[Option]:
        return parse_options(self.packet.data) or [] if self.packet is not None else []

    @property
    def types(self) -> list[int]:
        return [option.type for option in self.options]


class Wire:
    """Everything said, in order.

    Attributes:
        said: all of it.
        over: our end of the control connection is closed.
        reason: why, in its words.
    """

    def __init__(self, peer: PersonaPlay) -> None:
        self.said = list(_read(peer.case.transcript))
        self.over = target(peer).over.is_set()
        self.reason = target(peer).failure

    def messages(self, *kinds: type[Message], mine: bool = True) -> list[Said]:
        return [said for said in self.said if said.mine == mine and isinstance(said.message, kinds)]

    def message(self, kind: type[M], *, mine: bool = True) -> M:
        """Return the first message of a kind."""
        found = self.messages(kind, mine=mine)[0].message
        assert isinstance(found, kind)
        return found

    def frames(self, protocol: int, *codes: int, mine: bool = True) -> list[Said]:
        return [
            said
            for said in self.said
            if said.mine == mine
            and said.protocol == protocol
            and (not codes or (said.packet is not None and said.packet.code in codes))
        ]

    def first(self, protocol: int, code: int = Code.CONFIGURE_REQUEST, *, mine: bool = True) -> Said:
        return self.frames(protocol, code, mine=mine)[0]

    def gre(self, *, mine: bool = True) -> list[GreHeader]:
        return [said.header for said in self.said if said.mine == mine and said.header is not None]

    def position(self, said: Said) -> int:
        return self.said.index(said)

    def value(self, protocol: int, option: int) -> bytes:
        """Return an option's value in the persona's first Configure-Request."""
        return next(found.value for found in self.first(protocol).options if found.type == option)


def _read(transcript: Transcript) -> Iterator[Said]:
    buffers = {Direction.SENT: MessageBuffer(), Direction.RECEIVED: MessageBuffer()}
    for entry in transcript.entries:
        mine = entry.direction is Direction.SENT
        if entry.layer is Layer.CONTROL:
            buffer = buffers[entry.direction]
            buffer.feed(entry.octets)
            while (octets := buffer.next_message()) is not None:
                yield Said(entry.time, mine, octets, message=parse_message(octets))
        elif entry.layer is Layer.GRE:
            header = parse_header(entry.octets)
            assert header is not None
            frame = entry.octets[header.header_length : header.header_length + header.payload_length]
            protocol, information = split_frame(frame) or (0, b"")
            packet = parse_packet(information) if protocol > 0x8000 else None
            yield Said(entry.time, mine, entry.octets, header=header, frame=frame, protocol=protocol, packet=packet)


def target(peer: PersonaPlay) -> Connection:
    """Return our endpoint and what is around it."""
    network = peer.case.network
    assert isinstance(network, MemoryNetwork)
    connection = network._latest
    assert connection is not None
    return connection


def peers_of(peer: PersonaPlay) -> Peers:
    """Return what our endpoints share: the wire, for one."""
    network = peer.case.network
    assert isinstance(network, MemoryNetwork)
    return network._peers


def ping_from_target(peer: PersonaPlay) -> bool:
    """Send a ping through the tunnel from our side; whether the persona's host answers it."""
    connection = target(peer)
    call_id = next(iter(connection.endpoint.sessions))
    far, near = peer.call.address, peer.call.gateway
    request = packets.ipv4(packets.ICMP, near, far, packets.echo(packets.ECHO_REQUEST, 99, 1, b"from us"), 1)
    answers: list[tuple[IPv4Address, bytes]] = []

    def look(packet: bytes, now: float) -> None:
        echo = packets.parse_echo(packet)
        if echo is not None and echo.kind == packets.ECHO_REPLY:
            answers.append((echo.source, echo.data))

    connection._answer = look  # type: ignore[method-assign]
    connection.endpoint.send_packet(request, connection.loop.time(), call_id)
    connection.settle()
    peer.wait(1.0)
    del connection._answer
    return answers == [(far, b"from us")]
