"""MPPE on a link: CCP, the ciphers, and the policy about them (RFC 1962, RFC 3078)."""

from __future__ import annotations

from pypptp.mppe.cipher import Allowance, Decryptor, Encryptor
from pypptp.mppe.keys import MppeKeys
from pypptp.ppp.ccp import Ccp, MppeOption, SupportedBits, strength_of
from pypptp.ppp.config import LinkConfig, MppePolicy
from pypptp.ppp.events import Encryption

RESET_INTERVAL = 0.5
"""Seconds until a Reset-Request that brought no FLUSHED frame is repeated; the standards name none."""


class LinkEncryption:
    """What one link encrypts with, and whether it may go on without.

    The methods that answer with a string say why the link must end; an empty one means that it need not.

    Attributes:
        ccp: the negotiation.
        encryptor: MPPE towards the peer, None while there is none.
        decryptor: MPPE from the peer, None while there is none.
        settled: whether IPCP may begin: it is known whether packets are encrypted.
    """

    def __init__(self, config: LinkConfig) -> None:
        required = config.mppe is MppePolicy.REQUIRE
        strengths = () if config.mppe is MppePolicy.DENY else config.strengths
        self.ccp = Ccp(MppeOption(strengths, stateless=config.stateless, required=required), config.limits)
        self.encryptor: Encryptor | None = None
        self.decryptor: Decryptor | None = None
        self.settled = False
        self._allowance = Allowance()
        self._config = config
        self._keys: MppeKeys | None = None
        self._ever = False
        self._patience: float | None = None
        self._reset_deadline: float | None = None

    @property
    def negotiable(self) -> bool:
        """Whether CCP is spoken: not against the settings, and not without keys."""
        return self._config.mppe is not MppePolicy.DENY and self._keys is not None

    @property
    def required(self) -> bool:
        """Whether nothing may pass in clear: by the settings, or because it was encrypted once."""
        return self._config.mppe is MppePolicy.REQUIRE or self._ever

    @property
    def complete(self) -> bool:
        """Whether both directions are encrypted."""
        return self.encryptor is not None and self.decryptor is not None

    @property
    def agreed(self) -> Encryption | None:
        """What was agreed on towards the peer."""
        return None if self.encryptor is None else Encryption(self.encryptor.strength, self.encryptor.stateless)

    def begin(self, keys: MppeKeys | None, now: float) -> str:
        """Authentication is over and left these keys: negotiate CCP, if it makes sense."""
        self._keys = keys
        if keys is None:
            self.settled = True
            no_keys = "MPPE is required, but its keys come from MS-CHAP and that did not run"
            return no_keys if self.required else ""
        self.ccp.mppe.restrict(keys.strengths)
        if self.required and not self.ccp.mppe.strengths:
            return "MPPE is required, but there is no key of an allowed length"
        if not self.negotiable:
            self.settled = True
            return ""
        if not self.required:
            self._patience = now + self._config.encryption_timeout
        self.ccp.open(now)
        self.ccp.up(now)
        return ""

    def down(self, now: float) -> None:
        """LCP went down: the keys are those of an authentication that is void now."""
        self.drop()
        self.ccp.down(now)
        self._keys = None
        self._settle(settled=False)

    def drop(self) -> None:
        """Throw the ciphers away."""
        self.encryptor = self.decryptor = None
        self._reset_deadline = None

    def stop_waiting(self) -> None:
        """The link ends: no timer of its own any more."""
        self._patience = None

    def _settle(self, *, settled: bool) -> None:
        self.settled = settled
        self._patience = None

    def take_up(self, sequence: int | None = None) -> str:
        """CCP is open: make the ciphers. Encrypted frames come after the one with this GRE number."""
        transmit, receive = self.ccp.mppe.transmit, self.ccp.mppe.receive
        if self.required and not (transmit and receive):
            return "MPPE required, but the peer left it out"
        assert self._keys is not None, "CCP opens with keys at hand only"
        if transmit:
            strength, stateless = strength_of(transmit), bool(transmit & SupportedBits.STATELESS)
            self.encryptor = Encryptor(self._keys.start_keys(strength)[0], strength, stateless=stateless)
        if receive:
            strength, stateless = strength_of(receive), bool(receive & SupportedBits.STATELESS)
            start_key = self._keys.start_keys(strength)[1]
            self.decryptor = Decryptor(
                start_key, strength, stateless=stateless, sequence=sequence, allowance=self._allowance
            )
        self._ever = self._ever or self.complete
        self._settle(settled=True)
        return ""

    def finish(self) -> str:
        """CCP is over without an agreement, or after one."""
        if self.required:
            return f"MPPE required, but {self.ccp.failure or 'the peer ended CCP'}"
        self._settle(settled=True)
        return ""

    def objection(self) -> str:
        """Where MPPE is required, a CCP that cannot lead there any more ends the link at once."""
        if self.required and self.ccp.mppe.rejected_by_peer:
            return "MPPE required, but the peer refuses it"
        if self.required and self.ccp.terminated_by_peer:
            return "MPPE required, but the peer ended CCP"
        return ""

    def receive(self, information: bytes, now: float) -> None:
        """Take the information field of a CCP frame."""
        self.ccp.receive(information, now)
        if self.ccp.reset_requested and self.encryptor is not None:
            self.encryptor.reset()
        self.ccp.reset_requested = False

    def request_reset(self, now: float) -> None:
        """The decryptor lost its way in stateful MPPE: ask the peer to start afresh, and again until it does."""
        self._reset_deadline = None
        if self.ccp.opened and self.decryptor is not None and self.decryptor.discarding:
            self._reset_deadline = now + RESET_INTERVAL
            self.ccp.send_reset_request()

    def get_timer(self) -> float | None:
        """Return when ``handle_timer`` is due."""
        deadlines = (self.ccp.get_timer(), self._patience, self._reset_deadline)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Do what is due. Afterwards ``settled`` may be true: the peer had its time."""
        self.ccp.handle_timer(now)
        if self._patience is not None and now >= self._patience:
            self._settle(settled=True)
        if self._reset_deadline is not None and now >= self._reset_deadline:
            self.request_reset(now)
