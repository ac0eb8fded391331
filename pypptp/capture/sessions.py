"""A recorded call followed: who logged in with what, and which MPPE keys were in force from which frame on.

Nothing is decided by the order of capture where GRE sequence numbers tell better: a sender encrypts with new keys only
behind the CCP Configure-Ack it sent itself, so that Ack's own sequence number is the border.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from pypptp.capture.calls import CHAP_CHALLENGE, CHAP_RESPONSE, Call, Leg
from pypptp.capture.recording import PppFrame
from pypptp.control.messages import printable
from pypptp.mppe.keys import Strength
from pypptp.ppp.ccp import STRENGTH_BIT, OptionType, SupportedBits
from pypptp.ppp.lcp import OptionType as LcpOptionType
from pypptp.ppp.packet import Code, parse_options, parse_packet
from pypptp.ppp.protocols import Protocol

CHAP_SUCCESS = 3
CHAP_FAILURE = 4
PAP_REQUEST = 1
RESPONSE_LENGTH = 49
"""Octets of an MS-CHAP Response value, of either version (RFC 2433 section 6, RFC 2759 section 4)."""
_MAXIMUM_EPOCHS = 1024


@dataclass(frozen=True, slots=True)
class Handshake:
    """One MS-CHAP login that the server accepted, or did not visibly refuse.

    Attributes:
        challenge: 8 octets (MS-CHAP) or 16 (MS-CHAPv2); None where it was not captured.
        response: the 49 octets of the Response value.
        name: the user's name as it was sent.
        number: of the packet with the Response.
    """

    challenge: bytes | None
    response: bytes
    name: bytes
    number: int

    @property
    def version(self) -> int:
        """1 or 2: by the challenge's length or, without one, by MS-CHAPv2's eight reserved zero octets."""
        if self.challenge is not None:
            return 1 if len(self.challenge) == 8 else 2
        return 2 if self.response[16:24] == bytes(8) else 1


@dataclass(frozen=True, slots=True)
class Agreement:
    """What CCP settled for one direction.

    Attributes:
        strength: of MPPE; None where something else was agreed, or MPPE without encryption.
        stateless: a new key with every packet.
        compression: MPPC may be inside.
    """

    strength: Strength | None
    stateless: bool = True
    compression: bool = False


@dataclass(frozen=True, slots=True)
class Epoch:
    """From ``border`` on (a GRE sequence number of the sender) frames are encrypted anew, from the first key.

    Attributes:
        handshake: whose keys; None where there was no MS-CHAP.
        agreement: what CCP settled; None where its Configure-Ack was not captured.
    """

    border: int
    handshake: Handshake | None
    agreement: Agreement | None


@dataclass(slots=True, eq=False)
class Direction:
    """What one end of a call sent: its frames in capture order, and its epochs in the order of their borders."""

    leg: Leg
    epochs: list[Epoch] = field(default_factory=list)

    def encrypted_frames(self) -> list[PppFrame]:
        """Return the frames of protocol 0x00FD that are MPPE: all, unless CCP settled on something else for them."""
        settled = [(epoch.border, epoch.agreement) for epoch in self.epochs if epoch.agreement is not None]
        borders = [border for border, _ in settled]
        frames = []
        for frame in self.leg.frames:
            if frame.protocol != Protocol.COMPRESSED:
                continue
            position = 0 if frame.sequence is None else bisect_left(borders, frame.sequence)
            if not position or settled[position - 1][1].strength is not None:
                frames.append(frame)
        return frames


@dataclass(slots=True, eq=False)
class RecordedSession:
    """One call, followed.

    Attributes:
        client: address of the end that logged in; None where nothing tells.
        directions: one or two, by the sender's address.
        handshakes: MS-CHAP logins in order, repeated ones once.
    """

    call: Call
    client: IPv4Address | None
    directions: dict[IPv4Address, Direction]
    handshakes: list[Handshake]

    def is_client(self, source: IPv4Address) -> bool:
        """Whether this address is the client's; without any evidence the first to encrypt is taken for it."""
        if self.client is not None:
            return source == self.client
        return source == self.call.legs[0].source

    @property
    def users(self) -> list[str]:
        """The names that logged in."""
        return list(dict.fromkeys(printable(handshake.name) for handshake in self.handshakes))


@dataclass(frozen=True, slots=True)
class _Response:
    sender: IPv4Address
    frame: PppFrame
    handshake: Handshake


class _Follower:
    def __init__(self, call: Call) -> None:
        self._legs = {leg.source: leg for leg in call.legs}
        self.directions = {leg.source: Direction(leg) for leg in call.legs}
        self.handshakes: list[Handshake] = []
        self.responders: dict[IPv4Address, None] = {}
        self.pap_sender: IPv4Address | None = None
        self.asked_to_log_in: IPv4Address | None = None
        self._challenges: dict[tuple[IPv4Address, int], bytes] = {}
        self._responses: dict[tuple[IPv4Address, int], _Response] = {}
        self._latest: Handshake | None = None
        self._renegotiated = True
        self._seen: set[tuple[IPv4Address, int, bytes]] = set()

    def follow(self) -> None:
        frames = [(frame, leg.source) for leg in self._legs.values() for frame in leg.frames]
        frames.sort(key=lambda item: item[0].number)
        handlers: dict[int, Callable[[PppFrame, IPv4Address], None]] = {
            Protocol.LCP: self._lcp,
            Protocol.PAP: self._pap,
            Protocol.CHAP: self._chap,
            Protocol.CCP: self._ccp,
        }
        for frame, source in frames:
            handle = handlers.get(frame.protocol)
            if handle is None:
                continue
            if frame.sequence is not None:
                # The network's duplicates would negotiate a second time.
                mark = (source, frame.sequence, frame.information)
                if mark in self._seen:
                    continue
                self._seen.add(mark)
            handle(frame, source)
        if self._latest is None and self._responses:
            # Its Success was not captured; the key is worth trying all the same.
            self._accept(next(reversed(self._responses.values())), None)
        for direction in self.directions.values():
            direction.epochs.sort(key=lambda epoch: epoch.border)

    def _other(self, source: IPv4Address) -> IPv4Address:
        leg = self._legs.get(source)
        if leg is not None:
            return leg.destination
        return next(iter(self._legs.values())).source

    def _lcp(self, frame: PppFrame, source: IPv4Address) -> None:
        packet = parse_packet(frame.information)
        if packet is None or packet.code != Code.CONFIGURE_REQUEST:
            return
        self._renegotiated = True
        if any(option.type == LcpOptionType.AUTHENTICATION for option in parse_options(packet.data) or ()):
            self.asked_to_log_in = self._other(source)

    def _pap(self, frame: PppFrame, source: IPv4Address) -> None:
        if frame.information[:1] == bytes((PAP_REQUEST,)):
            self.pap_sender = source

    def _chap(self, frame: PppFrame, source: IPv4Address) -> None:
        packet = parse_packet(frame.information)
        if packet is None:
            return
        peer = self._other(source)
        if packet.code in (CHAP_CHALLENGE, CHAP_RESPONSE):
            size = packet.data[0] if packet.data else 0
            value, name = packet.data[1 : 1 + size], packet.data[1 + size :]
            if not size or len(value) < size:
                return
            if packet.code == CHAP_CHALLENGE:
                self._challenges[source, packet.identifier] = value
                return
            self.responders[source] = None
            if size != RESPONSE_LENGTH:
                return
            challenge = self._challenges.get((peer, packet.identifier))
            if challenge is None or len(challenge) in (8, 16):
                handshake = Handshake(challenge, value, name, frame.number)
                self._responses[source, packet.identifier] = _Response(source, frame, handshake)
        elif packet.code == CHAP_SUCCESS:
            answered = self._responses.pop((peer, packet.identifier), None)
            if answered is not None:
                self._accept(answered, frame)
        elif packet.code == CHAP_FAILURE:
            self._responses.pop((peer, packet.identifier), None)

    def _accept(self, response: _Response, success: PppFrame | None) -> None:
        handshake = response.handshake
        if self._latest is not None and handshake.response == self._latest.response:
            return
        self._latest = handshake
        self.handshakes.append(handshake)
        # A later challenge on an opened link changes no keys until CCP is negotiated again.
        if not self._renegotiated:
            return
        self._renegotiated = False
        for source, direction in self.directions.items():
            border = response.frame if source == response.sender else success
            sequence = None if border is None else border.sequence
            if sequence is None:
                # Nothing of this sender's own marks the place: the first of its frames captured behind it does.
                later = (frame.sequence for frame in direction.leg.frames if frame.number > handshake.number)
                first = next((number for number in later if number is not None), None)
                if first is None:
                    continue
                sequence = first - 1
            self._begin(direction, Epoch(sequence, handshake, None))

    def _ccp(self, frame: PppFrame, source: IPv4Address) -> None:
        packet = parse_packet(frame.information)
        if packet is None or packet.code != Code.CONFIGURE_ACK or frame.sequence is None:
            return
        options = parse_options(packet.data)
        if options is None:
            return
        # Before its Success is seen, and if it never is, a Response that was not refused is what keys come from.
        handshake = self._latest
        if handshake is None and self._responses:
            handshake = next(reversed(self._responses.values())).handshake
        agreement = Agreement(None)
        for option in options:
            if option.type == OptionType.MPPE and len(option.value) == 4:
                agreement = _read_mppe(SupportedBits(int.from_bytes(option.value, "big")))
        self._begin(self.directions[source], Epoch(frame.sequence, handshake, agreement))

    @staticmethod
    def _begin(direction: Direction, epoch: Epoch) -> None:
        if len(direction.epochs) < _MAXIMUM_EPOCHS:
            direction.epochs.append(epoch)


def _read_mppe(bits: SupportedBits) -> Agreement:
    strengths = [strength for strength, bit in STRENGTH_BIT.items() if bits & bit]
    return Agreement(
        strength=max(strengths, default=None),
        stateless=bool(bits & SupportedBits.STATELESS),
        compression=bool(bits & SupportedBits.COMPRESSION),
    )


def follow_call(call: Call) -> RecordedSession:
    """Follow one call from its first frame to its last."""
    follower = _Follower(call)
    follower.follow()
    client: IPv4Address | None = None
    if call.record is not None and (call.record.client in follower.responders or not follower.responders):
        client = call.record.client
    elif follower.responders:
        client = next(reversed(follower.responders))
    else:
        client = follower.pap_sender or follower.asked_to_log_in
    return RecordedSession(call, client, follower.directions, follower.handshakes)
