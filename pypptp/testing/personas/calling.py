"""A call as a persona holds it: its header forms, its numbers, its acknowledgements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pypptp.gre import build_header
from pypptp.ppp.packet import Code
from pypptp.ppp.protocols import ADDRESS_CONTROL, Protocol
from pypptp.testing.dialogue.call import SEQUENCE_MASK, Call, Frame
from pypptp.testing.personas.habits import Acknowledging, GreHabits

NEGOTIATING = frozenset(
    (
        Code.CONFIGURE_REQUEST,
        Code.CONFIGURE_ACK,
        Code.CONFIGURE_NAK,
        Code.CONFIGURE_REJECT,
        Code.TERMINATE_REQUEST,
        Code.TERMINATE_ACK,
        Code.CODE_REJECT,
    )
)
"""LCP that keeps all octets of its header with the peers that shorten the rest of it (pppd, Windows): codes 1 to 7."""


class PersonaCall(Call):
    """A call. What comes in is heard at once, by ``hear``, and kept for who awaits it besides.

    Attributes:
        hear: takes every frame.
        short_address: leave out address and control where the persona does that.
        short_protocol: send the protocol of data in one octet.
    """

    def __init__(self, *arguments: Any, habits: GreHabits, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.hear: Callable[[Frame], None] | None = None
        self.short_address = False
        self.short_protocol = False
        self.answers_echoes = False
        self.answers_terminate = False
        self.sequence = habits.first_sequence
        self.ack_delay = habits.ack_delay
        self._acknowledging = habits.acknowledging
        self._acknowledged_by_us: int | None = None

    def field(self, protocol: int, information: bytes) -> bytes:
        """Return what stands before the information, as short as was agreed on."""
        full = protocol == Protocol.LCP and information[:1] and information[0] in NEGOTIATING
        address = b"" if self.short_address and not full else ADDRESS_CONTROL
        return address + (
            bytes((protocol,)) if self.short_protocol and protocol < 0x100 else protocol.to_bytes(2, "big")
        )

    def send_frame(self, frame: bytes, *, sequence: int | None = None, acknowledge: bool = True) -> int:
        if self._acknowledging is Acknowledging.WITH_DATA_OR_ALONE:
            return super().send_frame(frame, sequence=sequence, acknowledge=acknowledge)
        if sequence is None:
            sequence = self.sequence
            self.sequence = sequence + 1 & SEQUENCE_MASK
        acknowledgement = None
        if self._acknowledging is Acknowledging.WITH_ALL_DATA:
            acknowledgement = self.highest or 0
            self._forget_ack()
        elif self.highest is not None and self.highest != self._acknowledged_by_us:
            acknowledgement = self._acknowledged_by_us = self.highest
        self.send_datagram(build_header(len(frame), self.peer_call_id, sequence, acknowledgement) + frame)
        return sequence

    def _acknowledge_now(self) -> None:
        if self._acknowledging is Acknowledging.WITH_DATA_ONLY:
            self._ack_timer = None
        else:
            super()._acknowledge_now()

    def _forget_ack(self) -> None:
        if self._ack_timer is not None:
            self._ack_timer.cancel()
            self._ack_timer = None

    def _keep(self, frame: Frame) -> None:
        super()._keep(frame)
        if self.hear is not None:
            self.hear(frame)
