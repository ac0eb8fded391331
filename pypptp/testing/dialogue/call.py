"""One call with the target: GRE packets and the PPP frames in them, sent and received one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from pypptp.control.messages import (
    CallClearRequest,
    CallDisconnectNotify,
    StopControlConnectionReply,
    StopControlConnectionRequest,
)
from pypptp.gre import GreHeader, build_header, parse_header
from pypptp.mppe.cipher import Decryptor, Encryptor
from pypptp.mppe.keys import MppeKeys
from pypptp.ppp.packet import Code, ControlPacket, parse_packet
from pypptp.ppp.protocols import ADDRESS_CONTROL, Protocol, split_frame
from pypptp.testing.dialogue import packets
from pypptp.testing.dialogue.control import Control
from pypptp.testing.dialogue.inbox import Inbox
from pypptp.testing.dialogue.network import GreChannel
from pypptp.testing.dialogue.transcript import Direction, Entry, Layer, Transcript
from pypptp.testing.dialogue.verdicts import Failed

SEQUENCE_MASK: Final = 0xFFFFFFFF
ACK_DELAY: Final = 0.02
"""Seconds an acknowledgement waits for a frame to travel with."""


ENDINGS: Final = (CallDisconnectNotify, CallClearRequest, StopControlConnectionRequest)
"""What ends a call on the control connection."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One PPP frame from the target.

    Attributes:
        time: when, by the loop's clock.
        header: its GRE header.
        raw: the GRE packet.
        protocol: its PPP protocol; of the packet inside where it was encrypted.
        information: what follows the protocol field.
        mppe: the MPPE header, None where the frame was in clear.
    """

    time: float
    header: GreHeader
    raw: bytes
    protocol: int
    information: bytes
    mppe: int | None

    @property
    def packet(self) -> ControlPacket | None:
        """The control packet in it, if it is one."""
        return parse_packet(self.information)


class Call:
    """A call. The methods that send do it at once; those that wait are coroutines.

    Attributes:
        control: its control connection.
        call_id: ours.
        peer_call_id: the target's.
        frames: frames received, not yet asked for.
        headers: the GRE headers of everything received, in order.
        sequence: the number the next frame takes.
        highest: the highest number received, None before the first.
        acknowledged: the highest number the target acknowledged.
        acknowledging: whether we acknowledge.
        ack_delay: seconds an acknowledgement waits for a frame to travel with.
        answers_echoes: answer LCP Echo-Requests.
        answers_terminate: answer LCP Terminate-Requests.
        undecryptable: encrypted frames that made no sense.
        heard_at: when the last packet came, by the loop's clock.
        magic: our Magic-Number.
        keys: what MPPE starts from, once somebody has logged in.
        encryptor: MPPE towards the target.
        decryptor: MPPE from the target.
        address: our inner address.
        gateway: the target's inner address.
    """

    def __init__(
        self,
        control: Control,
        call_id: int,
        peer_call_id: int,
        *,
        open_gre: Callable[[Callable[[bytes], None]], GreChannel],
        transcript: Transcript,
        timeout: float,
        magic: int,
    ) -> None:
        self.control = control
        self.call_id = call_id
        self.peer_call_id = peer_call_id
        self.frames: Inbox[Frame] = Inbox()
        self.headers: list[GreHeader] = []
        self.sequence = 0
        self.highest: int | None = None
        self.acknowledged: int | None = None
        self.acknowledging = True
        self.ack_delay = ACK_DELAY
        self.answers_echoes = True
        self.answers_terminate = True
        self.undecryptable = 0
        self.heard_at = 0.0
        self.magic = magic
        self.keys: MppeKeys | None = None
        self.encryptor: Encryptor | None = None
        self.decryptor: Decryptor | None = None
        self.address = IPv4Address(0)
        self.gateway = IPv4Address(0)
        self.timeout = timeout
        self._transcript = transcript
        self._loop = asyncio.get_running_loop()
        self._ack_timer: asyncio.TimerHandle | None = None
        self._identifier = 0
        self._ping = 0
        self._gre = open_gre(self.receive_datagram)

    # Out.

    def send_datagram(self, datagram: bytes) -> None:
        """Send a GRE packet as it is."""
        self._record(Direction.SENT, datagram)
        self._gre.send(datagram)

    def send_frame(self, frame: bytes, *, sequence: int | None = None, acknowledge: bool = True) -> int:
        """Send a PPP frame under the next number, or one of one's own choice; returns the number."""
        if sequence is None:
            sequence = self.sequence
            self.sequence = sequence + 1 & SEQUENCE_MASK
        acknowledgement = None
        if self._ack_timer is not None and acknowledge:
            self._ack_timer.cancel()
            self._ack_timer = None
            acknowledgement = self.highest
        self.send_datagram(build_header(len(frame), self.peer_call_id, sequence, acknowledgement) + frame)
        return sequence

    def send(self, protocol: int, packet: ControlPacket | bytes, *, sequence: int | None = None) -> int:
        """Send a packet in clear, with all header octets; returns its GRE number."""
        information = packet if isinstance(packet, bytes) else packet.build()
        return self.send_frame(self.field(protocol, information) + information, sequence=sequence)

    def field(self, protocol: int, information: bytes) -> bytes:
        """Return what stands before the information of a frame: address, control and protocol, in full."""
        return ADDRESS_CONTROL + protocol.to_bytes(2, "big")

    def encrypt(self, packet: bytes, protocol: int = Protocol.IPV4) -> bytes:
        """Return the PPP frame that carries a packet encrypted; the key moves on, sent or not."""
        assert self.encryptor is not None, "CCP is open"
        inner = protocol.to_bytes(2, "big") + packet
        information = self.encryptor.encrypt_frame(inner)
        return self.field(Protocol.COMPRESSED, information) + information

    def send_ip(self, packet: bytes, protocol: int = Protocol.IPV4) -> int:
        """Send a packet encrypted, or in clear where there is no MPPE; returns its GRE number."""
        if self.encryptor is None:
            return self.send(protocol, packet)
        return self.send_frame(self.encrypt(packet, protocol))

    def lose(self, count: int) -> None:
        """Number and encrypt packets that are then lost on the way."""
        for number in range(count):
            self.encrypt(self.echo_packet(number & 0xFFFF))
        self.sequence = self.sequence + count & SEQUENCE_MASK

    def acknowledge(self, number: int) -> None:
        """Acknowledge a number in a packet without payload."""
        self.send_datagram(build_header(0, self.peer_call_id, None, number))

    def echo_packet(self, number: int, data: bytes = b"", *, source: IPv4Address | None = None) -> bytes:
        """Return an ICMP Echo to the target's inner address."""
        message = packets.echo(packets.ECHO_REQUEST, self.call_id, number, data)
        return packets.ipv4(packets.ICMP, source or self.address, self.gateway, message, number)

    def next_identifier(self) -> int:
        """Return an identifier for a control packet."""
        self._identifier = self._identifier % 255 + 1
        return self._identifier

    # In.

    async def take(self, wanted: Callable[[Frame], bool], within: float | None = None) -> Frame | None:
        """Return the next frame that is wanted, or None."""
        return await self.frames.take(wanted, self.timeout if within is None else within)

    async def expect(
        self,
        protocol: int,
        codes: int | Iterable[int],
        within: float | None = None,
        *,
        identifier: int | None = None,
        what: str = "",
    ) -> ControlPacket:
        """Return the next control packet of a protocol with one of the codes.

        Raises:
            Failed: none comes in time.
        """
        packet = await self.try_expect(protocol, codes, within, identifier=identifier)
        if packet is None:
            raise Failed(f"{what or 'the answer'} did not come{self.what_else()}")
        return packet

    async def try_expect(
        self, protocol: int, codes: int | Iterable[int], within: float | None = None, *, identifier: int | None = None
    ) -> ControlPacket | None:
        """Return the next control packet of a protocol with one of the codes, or None."""
        allowed = frozenset((codes,)) if isinstance(codes, int) else frozenset(codes)

        def wanted(frame: Frame) -> bool:
            if frame.protocol != protocol or frame.mppe is not None:
                return False
            packet = frame.packet
            fits = packet is not None and packet.code in allowed
            return fits and (identifier is None or packet is None or packet.identifier == identifier)

        frame = await self.take(wanted, within)
        return None if frame is None else frame.packet

    async def lcp_echo(self, within: float | None = None) -> bool:
        """Whether the target answers an LCP Echo-Request: it has then seen everything that was sent before."""
        identifier = self.next_identifier()
        self.send(Protocol.LCP, self.lcp_echo_request(identifier))
        return await self.try_expect(Protocol.LCP, Code.ECHO_REPLY, within, identifier=identifier) is not None

    async def lives(self, within: float = 2.0, tries: int = 3) -> bool:
        """Whether one of a few LCP Echo-Requests is answered: in a flood any frame may be lost."""
        for _ in range(tries):
            if await self.lcp_echo(within):
                return True
        return False

    def lcp_echo_request(self, identifier: int, data: bytes = b"") -> ControlPacket:
        """Return an LCP Echo-Request with our Magic-Number."""
        return ControlPacket(Code.ECHO_REQUEST, identifier, self.magic.to_bytes(4, "big") + data)

    async def ping(self, data: bytes = b"", within: float | None = None) -> packets.Echo | None:
        """Send an ICMP Echo through the tunnel and return its reply, None where none comes."""
        number = self.next_ping()
        self.send_ip(self.echo_packet(number, data))
        return await self.pong(number, within)

    def next_ping(self) -> int:
        """Return a number for an ICMP Echo."""
        self._ping = self._ping + 1 & 0xFFFF
        return self._ping

    async def pong(self, number: int, within: float | None = None) -> packets.Echo | None:
        """Return the reply to the ICMP Echo of this number, None where none comes."""

        def wanted(frame: Frame) -> bool:
            if frame.protocol != Protocol.IPV4:
                return False
            echo = packets.parse_echo(frame.information)
            return echo is not None and (echo.kind, echo.identifier, echo.number) == (
                packets.ECHO_REPLY,
                self.call_id,
                number,
            )

        frame = await self.take(wanted, within)
        return None if frame is None else packets.parse_echo(frame.information)

    async def ended(self, within: float | None = None) -> str:
        """Wait for the target to end the call; returns how it did, empty where it did not.

        A Terminate-Request is answered, as a peer should, and counts only with what follows: the call disconnected,
        the connection stopped or closed.
        """
        message = await self.control.receive_any(ENDINGS, self.timeout if within is None else within)
        if message is None:
            return "the control connection was closed" if self.control.closed else ""
        if isinstance(message, CallClearRequest):
            await self.control.send(CallDisconnectNotify(call_id=self.call_id, result_code=4))
        elif isinstance(message, StopControlConnectionRequest):
            await self.control.send(StopControlConnectionReply())
        return message.TYPE.text

    def what_else(self) -> str:
        """Say what came instead of what was awaited."""
        kinds = [_describe(frame) for frame in self.frames.clear()]
        if self.control.closed:
            kinds.append("the control connection was closed")
        return f"; instead came {', '.join(kinds[-4:])}" if kinds else ""

    def remark(self, text: str) -> None:
        """Put a remark into the transcript."""
        self._record(Direction.REMARK, b"", text)

    def close(self) -> None:
        """Leave GRE alone from now on."""
        if self._ack_timer is not None:
            self._ack_timer.cancel()
            self._ack_timer = None
        self._gre.close()

    def receive_datagram(self, datagram: bytes) -> None:
        """Take a GRE packet from the target's address."""
        if int.from_bytes(datagram[6:8], "big") != self.call_id:
            return
        self.heard_at = self._loop.time()
        self._record(Direction.RECEIVED, datagram)
        header = parse_header(datagram)
        if header is None:
            self.remark("not a valid enhanced GRE header")
            return
        self.headers.append(header)
        if header.acknowledgement is not None:
            self.acknowledged = header.acknowledgement
        if header.sequence is None:
            return
        if self.highest is None or (header.sequence - self.highest) & SEQUENCE_MASK < 1 << 31:
            self.highest = header.sequence
        if self.acknowledging and self._ack_timer is None:
            self._ack_timer = self._loop.call_later(self.ack_delay, self._acknowledge_now)
        payload = datagram[header.header_length : header.header_length + header.payload_length]
        parts = split_frame(payload)
        if parts is not None:
            self._receive_frame(datagram, header, *parts)

    # Inside.

    def _receive_frame(self, datagram: bytes, header: GreHeader, protocol: int, information: bytes) -> None:
        mppe = None
        if protocol == Protocol.COMPRESSED and self.decryptor is not None and len(information) > 2:
            mppe = int.from_bytes(information[:2], "big")
            assert header.sequence is not None
            plaintext = self.decryptor.decrypt_frame(information, header.sequence)
            inner = None if plaintext is None else split_frame(plaintext)
            if inner is None:
                self.undecryptable += 1
                self.remark("an encrypted frame that makes no sense under the key agreed on")
                return
            protocol, information = inner
        frame = Frame(self._loop.time(), header, datagram, protocol, information, mppe)
        packet = frame.packet if protocol == Protocol.LCP and mppe is None else None
        if packet is not None and packet.code == Code.ECHO_REQUEST and self.answers_echoes:
            reply = self.magic.to_bytes(4, "big") + packet.data[4:]
            self.send(Protocol.LCP, ControlPacket(Code.ECHO_REPLY, packet.identifier, reply))
        elif packet is not None and packet.code == Code.TERMINATE_REQUEST and self.answers_terminate:
            self.send(Protocol.LCP, ControlPacket(Code.TERMINATE_ACK, packet.identifier))
        self._keep(frame)

    def _keep(self, frame: Frame) -> None:
        self.frames.put(frame)

    def _acknowledge_now(self) -> None:
        self._ack_timer = None
        if self.highest is not None:
            self.acknowledge(self.highest)

    def _record(self, direction: Direction, octets: bytes, text: str = "") -> None:
        channel = self.control.channel
        now = self._loop.time() - self._transcript.began
        layer = Layer.GRE if octets else Layer.REMARK
        self._transcript.add(Entry(now, direction, layer, octets, text, channel.near, channel.far, (0, 0)))


def _describe(frame: Frame) -> str:
    packet = frame.packet if frame.protocol >= 0x8000 else None
    words = f"protocol 0x{frame.protocol:04x}"
    return words if packet is None else f"{words} code {packet.code}"
