"""The shape every authentication method has, on either side.

A machine knows no socket and no clock. Its driver hands it each packet of its protocol, tells it the time, and after
every call takes ``packets_to_send()``, ``take_wanted()`` and looks at ``outcome``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from pypptp.causes import Cause
from pypptp.mppe.keys import MppeKeys
from pypptp.ppp.auth.secret import Secret

RETRANSMIT_INTERVAL = 3.0
"""Seconds between two transmissions of a packet nobody answers (3 in RFC 1661 section 4.6; RFC 1994 names none)."""
TRANSMISSIONS = 10
"""How often such a packet is sent before the other side counts as silent."""
SILENCE = RETRANSMIT_INTERVAL * TRANSMISSIONS
"""Seconds to wait for a packet the other side has to begin with."""
RETRY_WAIT = 60.0
"""Seconds a user has for another try after R=1: "it disables short timeouts" (RFC 2759 section 6)."""
RETRIES = 2
"""Further tries a peer has on one connection after a wrong answer."""
LONGEST_NAME = 256
"""Octets of a user name (RFC 2759 section 4)."""


@dataclass(frozen=True, slots=True)
class Success:
    r"""The proof was given and accepted.

    Attributes:
        name: the user's name, a ``DOMAIN\`` prefix included.
        keys: what MPPE starts from, None where the method has none.
        message: the authenticator's words, empty on its own side.
    """

    name: str
    keys: MppeKeys | None = field(default=None, repr=False)
    message: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """It was not; the link is to be terminated.

    Attributes:
        reason: why, in one line.
        code: the peer's error code (RFC 2759 section 6), where it gave one.
        message: the peer's own words, where it had any.
        name: on the authenticator's side, who failed, where it is known.
        cause: why, for programs.
    """

    reason: str
    code: int | None = None
    message: str = ""
    name: str = ""
    cause: Cause = Cause.AUTHENTICATION


Outcome: TypeAlias = Success | Failure | None
"""None as long as nothing is decided."""


class AuthMachine(Protocol):
    """One side of one method.

    Attributes:
        protocol: the PPP protocol number of its packets.
        outcome: how it ended; a Success turns into a Failure if a later challenge is answered wrongly.
        discarded: packets that were refused without an answer.
        refused: names whose proof was wrong, on the authenticator's side, for the driver to take out.
    """

    protocol: int
    outcome: Outcome
    discarded: int
    refused: list[str]

    def start(self, now: float) -> None:
        """LCP is open: begin."""

    def receive(self, packet: bytes, now: float) -> None:
        """Take one packet of ``protocol``: code, identifier, length, data. It never raises on what a peer sends."""

    def packets_to_send(self) -> list[bytes]:
        """Return the packets to send, in order, and forget them."""

    def get_timer(self) -> float | None:
        """Return when ``handle_timer`` is due, None for never."""

    def handle_timer(self, now: float) -> None:
        """Send again, or give up, if that is due."""

    def take_wanted(self) -> str | None:
        """Return, once, the name whose secret is to be given to ``provide``."""

    def provide(self, secret: Secret | None, now: float, objection: str = "") -> None:
        """Answer ``take_wanted``: the secret, or None if there is no such user. Unasked for, it does nothing.

        Args:
            secret: what to measure the proof with.
            now: the time.
            objection: why who has the right proof cannot come in all the same, in words for the peer; "" for nothing.
                Whoever has not is told no more than without it, and who is in already stays in.
        """

    def rechallenge(self, now: float) -> None:
        """On the authenticator's side, ask for the proof anew, if it was given before and the method can."""


class Machine:
    """What all machines have in common: an outbox, one timer, an outcome."""

    protocol: int = 0

    def __init__(self) -> None:
        self.outcome: Outcome = None
        self.discarded = 0
        self.refused: list[str] = []
        self._packets: list[bytes] = []
        self._deadline: float | None = None
        self._wanted: str | None = None

    def packets_to_send(self) -> list[bytes]:
        """Return the packets to send, in order, and forget them."""
        packets, self._packets = self._packets, []
        return packets

    def get_timer(self) -> float | None:
        """Return when ``handle_timer`` is due, None for never."""
        return self._deadline

    def handle_timer(self, now: float) -> None:
        """Send again, or give up, if that is due."""
        if self._deadline is not None and now >= self._deadline:
            self._deadline = None
            self._timed_out(now)

    def take_wanted(self) -> str | None:
        """Return, once, the name whose secret is to be given to ``provide``."""
        wanted, self._wanted = self._wanted, None
        return wanted

    def provide(self, secret: Secret | None, now: float, objection: str = "") -> None:
        """Answer ``take_wanted``. Unasked for, it does nothing, as on a peer's side always."""

    def rechallenge(self, now: float) -> None:
        """Ask for the proof anew; only a CHAP authenticator can."""

    def _timed_out(self, now: float) -> None:
        raise NotImplementedError

    def _fail(self, failure: Failure) -> None:
        self._deadline = None
        self.outcome = failure
