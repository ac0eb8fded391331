"""One protocol's negotiation as a persona holds it: its own list in its own order, its own answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from pypptp.ppp.packet import Code, ControlPacket, Option, build_options, parse_options
from pypptp.testing.dialogue.stages import Agreement, Judge
from pypptp.testing.personas.calling import PersonaCall

RESTART: Final = 3.0
"""Seconds between Configure-Requests without an answer (RFC 1661 section 4.6)."""
REQUESTS: Final = 10
"""Of them, before it is given up."""
ROUNDS: Final = 20
"""Naks and Rejects, after which it counts as one that does not converge."""
_ANSWERS: Final = (Code.CONFIGURE_ACK, Code.CONFIGURE_NAK, Code.CONFIGURE_REJECT)

Revise = Callable[[list[Option], int, list[Option]], "list[Option] | None"]


def follow(asked: list[Option], code: int, answered: list[Option]) -> list[Option]:
    """Return the list with Nak'd values taken over and rejected options left out."""
    values = {option.type: option for option in answered}
    if code == Code.CONFIGURE_REJECT:
        return [option for option in asked if option.type not in values]
    return [values.get(option.type, option) for option in asked]


class Negotiation:
    """One negotiation. Nothing waits in it: it hears, and answers at once.

    Attributes:
        agreement: what came out, None before.
        given_up: why nothing will.
        asked: the present Configure-Request.
    """

    def __init__(
        self,
        call: PersonaCall,
        protocol: int,
        options: Sequence[Option],
        *,
        judge: Judge,
        next_identifier: Callable[[], int],
        opened: Callable[[Agreement], None],
        revise: Revise = follow,
    ) -> None:
        """Make a negotiation that waits for ``begin``, or for a request where it may hear one before.

        Args:
            call: what it goes through.
            protocol: of PPP.
            options: its first Configure-Request.
            judge: its answer to the other end's.
            next_identifier: gives identifiers.
            opened: called once with what was agreed on.
            revise: makes the next request of a Nak or Reject, or None where there will be none.
        """
        self.asked = list(options)
        self.agreement: Agreement | None = None
        self.given_up = ""
        self._call = call
        self._protocol = protocol
        self._judge = judge
        self._next_identifier = next_identifier
        self._opened = opened
        self._revise = revise
        self._identifier: int | None = None
        self._ours: list[Option] | None = None
        self._theirs: list[Option] | None = None
        self._rounds = 0
        self._sent = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def begun(self) -> bool:
        """Whether its first request is out."""
        return self._identifier is not None

    def begin(self) -> None:
        """Send the first Configure-Request. Twice is no error."""
        if not self.begun:
            self._ask()

    def stop(self) -> None:
        """Say no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def hear(self, packet: ControlPacket) -> None:
        """Take a packet of this protocol."""
        if packet.code == Code.CONFIGURE_REQUEST:
            wanted = parse_options(packet.data) or []
            code, options = self._judge(wanted)
            self._call.send(self._protocol, ControlPacket(code, packet.identifier, build_options(options)))
            self._theirs = wanted if code == Code.CONFIGURE_ACK else None
            self._count(code)
        elif packet.code in _ANSWERS and packet.identifier == self._identifier and self._ours is None:
            self.stop()
            if packet.code == Code.CONFIGURE_ACK:
                self._ours = self.asked
            else:
                self._ask_again(self._revise(self.asked, packet.code, parse_options(packet.data) or []))
            self._count(packet.code)
        if self.agreement is None and self._ours is not None and self._theirs is not None:
            self.agreement = Agreement(self._ours, self._theirs)
            self._opened(self.agreement)

    def rejected(self) -> None:
        """The other end does not speak this protocol."""
        self.stop()
        self.given_up = "Protocol-Reject"

    def _ask_again(self, revised: list[Option] | None) -> None:
        if revised is not None:
            self.asked = revised
            self._ask()

    def _count(self, code: int) -> None:
        self._rounds += code != Code.CONFIGURE_ACK
        if self._rounds > ROUNDS:
            self.stop()
            self.given_up = "it does not converge"

    def _ask(self) -> None:
        self.stop()
        self._sent = 0
        self._identifier = self._next_identifier()
        self._send()

    def _send(self) -> None:
        assert self._identifier is not None
        if self._sent == REQUESTS:
            self.given_up = "no answer"
            return
        self._sent += 1
        request = ControlPacket(Code.CONFIGURE_REQUEST, self._identifier, build_options(self.asked))
        self._call.send(self._protocol, request)
        self._timer = asyncio.get_running_loop().call_later(RESTART, self._send)
