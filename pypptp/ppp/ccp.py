"""The Compression Control Protocol as PPTP uses it: to agree on MPPE (RFC 1962, RFC 3078 section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum, IntFlag

from pypptp.mppe.keys import Strength
from pypptp.ppp.control_protocol import ControlProtocol, NegotiationLimits
from pypptp.ppp.options import NumberOption
from pypptp.ppp.packet import Code, ControlPacket
from pypptp.ppp.protocols import Protocol


class OptionType(IntEnum):
    """CCP options: MPPE, and the compressions real peers offer, which are all rejected."""

    STAC = 17
    MPPE = 18
    BSD_COMPRESS = 21
    DEFLATE = 26


class SupportedBits(IntFlag):
    """The four octets of the MPPE option (RFC 3078 section 2.1)."""

    NONE = 0
    COMPRESSION = 0x00000001
    OBSOLETE = 0x00000010
    BITS_40 = 0x00000020
    BITS_128 = 0x00000040
    BITS_56 = 0x00000080
    STATELESS = 0x01000000


STRENGTH_BIT = {
    Strength.BITS_40: SupportedBits.BITS_40,
    Strength.BITS_56: SupportedBits.BITS_56,
    Strength.BITS_128: SupportedBits.BITS_128,
}
RESET_BURST = 10
RESETS_PER_SECOND = 10
"""A peer asks once per loss and waits for the answer (pppd), so it needs no more than a few; a flood gets no echo."""
STRENGTH_MASK = SupportedBits.BITS_40 | SupportedBits.BITS_56 | SupportedBits.BITS_128


class MppeOption(NumberOption):
    """Microsoft Point-to-Point Encryption, with exactly one strength in every agreement.

    The option in our request is what the peer will encrypt with towards us; the one in its request is what we encrypt
    with towards it. We never ask for two strengths at once: an Ack of two is one no key can be derived from.

    Args:
        strengths: what the settings allow, none to refuse MPPE altogether.
        stateless: ask for a new key with every packet; without it the H bit is refused, as pppd's mppe-stateful should.
        required: whether a peer may leave MPPE out.
    """

    type = OptionType.MPPE
    width = 4

    def __init__(self, strengths: Sequence[Strength], *, stateless: bool, required: bool) -> None:
        self.allowed = tuple(sorted(strengths, reverse=True))
        self.strengths = self.allowed
        self.stateless = stateless
        self.required = required
        self.receive: SupportedBits | None = None
        self.transmit: SupportedBits | None = None
        self.rejected_by_peer = False
        self._asking = self._first()
        self._stateless_asked_of_peer = False

    def _first(self) -> SupportedBits | None:
        if not self.strengths:
            return None
        history = SupportedBits.STATELESS if self.stateless else SupportedBits.NONE
        return STRENGTH_BIT[self.strengths[0]] | history

    def restrict(self, available: Sequence[Strength]) -> None:
        """Leave out the strengths that the authentication left no keys for; before the negotiation begins."""
        self.strengths = tuple(strength for strength in self.allowed if strength in available)

    def _strongest(self, bits: int) -> SupportedBits:
        """Return the bit of the strongest allowed strength among those offered, or none."""
        for strength in self.strengths:
            if bits & STRENGTH_BIT[strength]:
                return STRENGTH_BIT[strength]
        return SupportedBits.NONE

    def start_over(self) -> None:
        self._asking = self._first()
        self.receive = None
        self.rejected_by_peer = False
        self._stateless_asked_of_peer = False

    def request(self) -> bytes | None:
        return None if self._asking is None else self.encode(self._asking)

    def acknowledged(self, value: bytes | None) -> None:
        self.receive = None if value is None else SupportedBits(int.from_bytes(value, "big"))

    def naked(self, value: bytes) -> None:
        bits = self.decode(value)
        if bits is None or self._asking is None:
            return
        strength = self._strongest(bits)
        if strength:
            self._asking = strength | (self._asking & bits & SupportedBits.STATELESS)
        elif not self.required:
            self._asking = None

    def rejected(self) -> None:
        self.rejected_by_peer = True
        self._asking = None

    def judge(self, value: bytes) -> bytes | None:
        bits = self.decode(value)
        if not self.strengths:
            return None
        if bits is None or not bits & STRENGTH_MASK:
            # Nothing on offer: told what we would take where that matters, else let go. Asked again, the peer says the
            # same again, and the Naks run out (an offer of zero must not go round for ever).
            return self.encode(self._first() or 0) if self.required else None
        strength = self._strongest(bits) or STRENGTH_BIT[self.strengths[0]]
        if not self.stateless:
            return self.encode(strength)
        # Stateless survives loss, so a peer that leaves H out is asked for it once; if it insists, it has its way.
        history = SupportedBits.STATELESS & bits
        if not history and not self._stateless_asked_of_peer:
            self._stateless_asked_of_peer = True
            history = SupportedBits.STATELESS
        return self.encode(strength | history)

    def wanted(self) -> bytes | None:
        first = self._first()
        return self.encode(first) if self.required and first is not None else None

    def accepted(self, value: bytes | None) -> None:
        self.transmit = None if value is None else SupportedBits(int.from_bytes(value, "big"))


def strength_of(bits: SupportedBits) -> Strength:
    """Return the strength an agreed option names."""
    return next(strength for strength, bit in STRENGTH_BIT.items() if bits & bit)


class Ccp(ControlProtocol):
    """CCP of one link.

    Attributes:
        mppe: the MPPE option, with what was agreed for either direction.
        reset_requested: set when the peer sent a Reset-Request; taken by the link.
        terminated_by_peer: whether a Terminate-Request ended the present negotiation, or what came of it.
        resets_ignored: Reset-Requests beyond what a peer that loses frames could send.
    """

    protocol = Protocol.CCP
    extra_codes = frozenset({Code.RESET_REQUEST, Code.RESET_ACK})

    def __init__(self, mppe: MppeOption, limits: NegotiationLimits) -> None:
        super().__init__([mppe], limits)
        self.mppe = mppe
        self.reset_requested = False
        self.terminated_by_peer = False
        self.resets_ignored = 0
        self._resets_left = float(RESET_BURST)
        self._reset_seen = 0.0

    def _start_over(self) -> None:
        self.terminated_by_peer = False
        super()._start_over()

    def peer_terminates(self, reason: bytes) -> None:
        self.terminated_by_peer = True

    def send_reset_request(self) -> None:
        """Ask the peer to start its cipher afresh (RFC 3078 section 8.2); the FLUSHED bit will tell where it did."""
        self.packets.append(ControlPacket(Code.RESET_REQUEST, self.next_identifier()))

    def receive_extra(self, packet: ControlPacket, now: float) -> None:
        # A Reset-Ack carries nothing for MPPE: the frame with the FLUSHED bit says where to begin again. It is sent all
        # the same (RFC 1962 section 3.1): Linux decrypts nothing without one, in stateless mode too.
        if packet.code == Code.RESET_REQUEST and self.opened:
            regained = (now - self._reset_seen) * RESETS_PER_SECOND
            self._resets_left = min(RESET_BURST, self._resets_left + regained)
            self._reset_seen = now
            if self._resets_left < 1:
                self.resets_ignored += 1
                return
            self._resets_left -= 1
            self.reset_requested = True
            self.packets.append(ControlPacket(Code.RESET_ACK, packet.identifier))
