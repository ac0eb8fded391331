"""The Link Control Protocol: its options, Echo, Identification and the Rejects (RFC 1661 sections 5, 6, RFC 1570)."""

from __future__ import annotations

from enum import IntEnum

from pypptp.ppp.automaton import Event
from pypptp.ppp.control_protocol import DEFAULT_MRU, ControlProtocol, NegotiationLimits
from pypptp.ppp.options import NegotiatedOption, NumberOption
from pypptp.ppp.packet import HEADER_LENGTH, Code, ControlPacket
from pypptp.ppp.protocols import Protocol
from pypptp.roles import RandomBytes

SMALLEST_MRU = 128
"""The least MRU we agree to, as pppd; IPv4 itself needs 68."""
MAGIC_LENGTH = 4
LOOPBACK_LIMIT = 4
"""Configure-Requests with our own Magic-Number before the link counts as looped back.

It lies below Max-Failure: a Reject of the Magic-Number would come back to us too, take the number away and with it the
sign.
"""


class OptionType(IntEnum):
    """LCP options (RFC 1661 section 6) and those of RFC 1570 and RFC 1990 that Windows sends."""

    MRU = 1
    ACCM = 2
    AUTHENTICATION = 3
    QUALITY = 4
    MAGIC_NUMBER = 5
    PFC = 7
    ACFC = 8
    CALLBACK = 13
    MRRU = 17
    ENDPOINT_DISCRIMINATOR = 19


class MaximumReceiveUnit(NumberOption):
    """MRU: what we can receive, and what the peer can (RFC 1661 section 6.1)."""

    type = OptionType.MRU
    width = 2

    def __init__(self, mru: int) -> None:
        self.configured = mru
        self.ours = mru
        self.peer = DEFAULT_MRU
        self._asking = True

    def start_over(self) -> None:
        self.ours = self.configured
        self._asking = True

    def request(self) -> bytes | None:
        return self.encode(self.ours) if self._asking and self.ours != DEFAULT_MRU else None

    def naked(self, value: bytes) -> None:
        # A peer that cannot send packets as large is welcome to less; a larger value is no concern of ours.
        wanted = self.decode(value)
        if wanted is not None and SMALLEST_MRU <= wanted <= DEFAULT_MRU:
            self.ours = wanted

    def rejected(self) -> None:
        self._asking = False

    def judge(self, value: bytes) -> bytes | None:
        mru = self.decode(value)
        if mru is None:
            return self.encode(DEFAULT_MRU)
        return value if mru >= SMALLEST_MRU else self.encode(SMALLEST_MRU)

    def accepted(self, value: bytes | None) -> None:
        self.peer = DEFAULT_MRU if value is None else int.from_bytes(value, "big")


class AsyncControlCharacterMap(NumberOption):
    """ACCM: without effect on a tunnel, which carries no asynchronous framing; every value is acknowledged."""

    type = OptionType.ACCM
    width = 4

    def judge(self, value: bytes) -> bytes | None:
        return value if self.decode(value) is not None else self.encode(0)


class AuthenticationProtocol(NegotiatedOption):
    """Which protocol the peer must prove itself with, and which one it wants of us (RFC 1661 section 6.2).

    Args:
        demanded: option values to demand of the peer, the dearest first; empty to demand none.
        willing: option values we are ready to prove ourselves with, the dearest first; empty to refuse.
    """

    type = OptionType.AUTHENTICATION

    def __init__(self, *, demanded: tuple[bytes, ...], willing: tuple[bytes, ...]) -> None:
        self.demanded = demanded
        self.willing = willing
        self.refused_by_peer = False
        self.chosen_for_peer: bytes | None = None
        self.chosen_for_us: bytes | None = None
        self._asking = demanded[0] if demanded else None

    def start_over(self) -> None:
        self.refused_by_peer = False
        self.chosen_for_peer = None
        self._asking = self.demanded[0] if self.demanded else None

    def request(self) -> bytes | None:
        return self._asking

    def acknowledged(self, value: bytes | None) -> None:
        self.chosen_for_peer = value

    def naked(self, value: bytes) -> None:
        # Only what the settings allow; a Nak to PAP must not lead there by itself (downgrade). A peer that names
        # something else is asked for the next one on our list before it is given up.
        if value in self.demanded:
            self._asking = value
            return
        remaining = self.demanded[self.demanded.index(self._asking) + 1 :] if self._asking in self.demanded else ()
        if remaining:
            self._asking = remaining[0]
        else:
            self.refused_by_peer = bool(self.demanded)

    def rejected(self) -> None:
        self.refused_by_peer = True

    def judge(self, value: bytes) -> bytes | None:
        if value in self.willing:
            return value
        return self.willing[0] if self.willing else None

    def accepted(self, value: bytes | None) -> None:
        self.chosen_for_us = value


class MagicNumber(NumberOption):
    """Magic-Number, and the detection of a link that is looped back (RFC 1661 section 6.4)."""

    type = OptionType.MAGIC_NUMBER
    width = MAGIC_LENGTH

    def __init__(self, random: RandomBytes) -> None:
        self._random = random
        self._asking = True
        self._ours = self._fresh()
        self.peer = 0
        self.collisions = 0

    def _fresh(self) -> int:
        while True:
            number = int.from_bytes(self._random(MAGIC_LENGTH), "big")
            if number:
                return number

    @property
    def ours(self) -> int:
        """Our Magic-Number, zero where the peer rejected the option."""
        return self._ours if self._asking else 0

    @property
    def looped_back(self) -> bool:
        """Whether the peer's numbers are ours, over and over."""
        return self.collisions >= LOOPBACK_LIMIT

    def start_over(self) -> None:
        self._asking = True
        self._ours = self._fresh()

    def request(self) -> bytes | None:
        return self.encode(self._ours) if self._asking else None

    def naked(self, value: bytes) -> None:
        self._ours = self._fresh()

    def rejected(self) -> None:
        self._asking = False

    def judge(self, value: bytes) -> bytes | None:
        number = self.decode(value)
        if number == self._ours and self._asking:
            self.collisions += 1
            return self.encode(self._fresh())
        return value if number else self.encode(self._fresh())

    def accepted(self, value: bytes | None) -> None:
        self.collisions = 0
        self.peer = 0 if value is None else int.from_bytes(value, "big")


class FieldCompression(NegotiatedOption):
    """PFC or ACFC: an option without a value (RFC 1661 sections 6.5 and 6.6).

    ``peer_receives`` says whether frames to the peer may be short; we accept short ones always.
    """

    def __init__(self, option_type: OptionType, *, enabled: bool) -> None:
        self.type = option_type
        self.enabled = enabled
        self.peer_receives = False
        self._asking = enabled

    def start_over(self) -> None:
        self._asking = self.enabled

    def request(self) -> bytes | None:
        return b"" if self._asking else None

    def naked(self, value: bytes) -> None:
        self._asking = False

    def rejected(self) -> None:
        self._asking = False

    def judge(self, value: bytes) -> bytes | None:
        return b"" if self.enabled else None

    def accepted(self, value: bytes | None) -> None:
        self.peer_receives = value is not None


class Lcp(ControlProtocol):
    """LCP of one link.

    Attributes:
        peer_identification: texts of the Identification packets the peer sent, the latest only, as octets.
        rejected_protocols: protocol numbers the peer answered with a Protocol-Reject, to be taken by the link.
        terminate_text: the text of the peer's Terminate-Request, or None.
        echoes_unanswered: Echo-Requests sent since the last valid Echo-Reply.
        echo_round_trip: seconds from the last Echo-Request that was answered to its Echo-Reply; None before the first.
    """

    protocol = Protocol.LCP
    extra_codes = frozenset(
        {
            Code.PROTOCOL_REJECT,
            Code.ECHO_REQUEST,
            Code.ECHO_REPLY,
            Code.DISCARD_REQUEST,
            Code.IDENTIFICATION,
            Code.TIME_REMAINING,
        }
    )

    def __init__(
        self,
        *,
        mru: int,
        demanded: tuple[bytes, ...],
        willing: tuple[bytes, ...],
        pfc: bool,
        acfc: bool,
        limits: NegotiationLimits,
        random: RandomBytes,
    ) -> None:
        self.mru = MaximumReceiveUnit(mru)
        self.authentication = AuthenticationProtocol(demanded=demanded, willing=willing)
        self.magic = MagicNumber(random)
        self.pfc = FieldCompression(OptionType.PFC, enabled=pfc)
        self.acfc = FieldCompression(OptionType.ACFC, enabled=acfc)
        accm = AsyncControlCharacterMap()
        super().__init__([self.mru, accm, self.authentication, self.magic, self.pfc, self.acfc], limits)
        self.peer_identification = b""
        self.rejected_protocols: list[int] = []
        self.terminate_text: bytes | None = None
        self.echoes_unanswered = 0
        self.echo_rejected = False
        self._echo: ControlPacket | None = None
        self._echo_identifier: int | None = None
        self._echo_sent_at = 0.0
        self.echo_round_trip: float | None = None

    def room(self) -> int:
        return self.mru.peer - HEADER_LENGTH

    def send_echo_request(self, now: float) -> None:
        """Ask the peer for a sign of life; ``echoes_unanswered`` counts those without one."""
        identifier = self.next_identifier()
        self._echo_identifier = identifier
        self._echo_sent_at = now
        self.echoes_unanswered += 1
        magic = self.magic.ours.to_bytes(MAGIC_LENGTH, "big")
        self.packets.append(ControlPacket(Code.ECHO_REQUEST, identifier, magic))

    def send_protocol_reject(self, protocol: int, information: bytes) -> None:
        """Tell the peer that we do not speak a protocol, with as much of its packet as it can receive (section 5.7)."""
        data = (protocol.to_bytes(2, "big") + information)[: self.room()]
        self.packets.append(ControlPacket(Code.PROTOCOL_REJECT, self.next_identifier(), data))

    def peer_terminates(self, reason: bytes) -> None:
        self.terminate_text = reason

    def code_rejected(self, code: int) -> None:
        if code == Code.ECHO_REQUEST:
            self.echo_rejected = True
            self.echoes_unanswered = 0

    def receive_extra(self, packet: ControlPacket, now: float) -> None:
        match packet.code:
            case Code.PROTOCOL_REJECT:
                if self.opened and len(packet.data) >= 2:
                    self.rejected_protocols.append(int.from_bytes(packet.data[:2], "big"))
            case Code.ECHO_REQUEST if len(packet.data) >= MAGIC_LENGTH:
                self._echo = packet
                self._feed(Event.ECHO, now)
            case Code.ECHO_REPLY if self.opened and packet.identifier == self._echo_identifier:
                self._receive_echo_reply(packet, now)
            case Code.IDENTIFICATION:
                self.peer_identification = packet.data[MAGIC_LENGTH:]

    def _receive_echo_reply(self, packet: ControlPacket, now: float) -> None:
        # A reply that carries our own Magic-Number is our request come back (section 5.8): no sign of life.
        magic = int.from_bytes(packet.data[:MAGIC_LENGTH], "big")
        if magic == self.magic.ours and magic != 0:
            return
        self._echo_identifier = None
        self.echoes_unanswered = 0
        self.echo_round_trip = now - self._echo_sent_at

    def send_echo_reply(self) -> None:
        assert self._echo is not None
        magic = self.magic.ours.to_bytes(MAGIC_LENGTH, "big")
        data = (magic + self._echo.data[MAGIC_LENGTH:])[: self.room()]
        self.packets.append(ControlPacket(Code.ECHO_REPLY, self._echo.identifier, data))

    def send_identification(self, text: bytes) -> None:
        """Say who we are, for the peer's log (RFC 1570 section 2.1)."""
        magic = self.magic.ours.to_bytes(MAGIC_LENGTH, "big")
        self.packets.append(ControlPacket(Code.IDENTIFICATION, self.next_identifier(), (magic + text)[: self.room()]))
