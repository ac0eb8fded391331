"""A control protocol at work: the automaton of RFC 1661 driven by packets, options and the Restart timer.

LCP, CCP and IPCP are subclasses that bring their options and the codes beyond the common seven.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pypptp.ppp.automaton import TIMER_RUNS, Action, Automaton, Event, State
from pypptp.ppp.options import NegotiatedOption
from pypptp.ppp.packet import HEADER_LENGTH, Code, ControlPacket, Option, build_options, parse_options, parse_packet
from pypptp.ppp.protocols import Protocol

DEFAULT_MRU = 1500
"""Octets of information that everybody must be able to receive, whatever was negotiated (RFC 1661 section 6.1)."""
LAYER_SIGNALS = frozenset({Action.THIS_LAYER_UP, Action.THIS_LAYER_DOWN, Action.THIS_LAYER_FINISHED})
LIVE_NEGOTIATION = frozenset({State.REQUEST_SENT, State.ACK_RECEIVED, State.ACK_SENT})
CATASTROPHIC_CODES = frozenset(range(Code.CONFIGURE_REQUEST, Code.CODE_REJECT + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class NegotiationLimits:
    """The Restart timer and the counters of RFC 1661 section 4.6.

    Attributes:
        restart_interval: seconds between retransmissions of a Configure- or Terminate-Request.
        max_configure: Configure-Requests sent without any answer before the peer counts as gone.
        max_terminate: Terminate-Requests sent without an answer.
        max_failure: Configure-Naks sent before what we would Nak is Rejected; twice as many may come from the peer
            before the negotiation is given up. The RFC bounds only the first; without the second, two peers that
            each insist exchange packets for ever.
        terminate_wait: seconds to stay after the peer's Terminate-Request, to acknowledge it again if it is repeated
            (the time-out period section 4.4 wants of Zero-Restart-Count).
    """

    restart_interval: float = 3.0
    max_configure: int = 10
    max_terminate: int = 2
    max_failure: int = 5
    terminate_wait: float = 1.0


class ControlProtocol:
    """One control protocol of a link.

    Input: ``up``, ``down``, ``open``, ``close``, ``receive``, ``handle_timer``. After each of them take what is in
    ``packets`` (to be sent in order) and ``signals`` (this-layer-up, -down and -finished, for the layer above).

    Attributes:
        packets: control packets to send.
        signals: layer signals that have not been taken yet.
        failure: why the negotiation was given up, in words for a person, or the empty string.
        unanswered: it was given up because no answer came.
        peer_mru: octets of information field the peer can receive.
    """

    protocol: ClassVar[Protocol]
    extra_codes: ClassVar[frozenset[int]] = frozenset()

    def __init__(self, options: Sequence[NegotiatedOption], limits: NegotiationLimits) -> None:
        self.options = {option.type: option for option in options}
        self.limits = limits
        self.automaton = Automaton()
        self.packets: list[ControlPacket] = []
        self.signals: deque[Action] = deque()
        self.failure = ""
        self.unanswered = False
        self.peer_mru = DEFAULT_MRU
        self._deadline: float | None = None
        self._restart_count = 0
        self._naks_sent = 0
        self._naks_received = 0
        self._identifier = 0
        self._awaited: ControlPacket | None = None
        self._last_request: ControlPacket | None = None
        self._refusal: ControlPacket | None = None
        self._terminate_reason = b""

    @property
    def state(self) -> State:
        """The automaton's state."""
        return self.automaton.state

    @property
    def opened(self) -> bool:
        """Whether both Configure-Acks have passed."""
        return self.automaton.state is State.OPENED

    def up(self, now: float) -> None:
        """The lower layer can carry packets."""
        if self.state in (State.INITIAL, State.STARTING):
            self._feed(Event.UP, now)

    def down(self, now: float) -> None:
        """The lower layer is gone."""
        if self.state not in (State.INITIAL, State.STARTING):
            self._feed(Event.DOWN, now)

    def open(self, now: float) -> None:
        """Begin to negotiate as soon as the lower layer is up."""
        self._feed(Event.OPEN, now)

    def close(self, now: float, reason: bytes = b"") -> None:
        """End the protocol; the reason goes into the Terminate-Request."""
        self._terminate_reason = reason
        self._feed(Event.CLOSE, now)

    def renegotiate(self, now: float) -> None:
        """Negotiate an opened protocol anew, as RFC 1661 section 4.3 (Open) suggests: Down, then Up."""
        self.down(now)
        self.up(now)

    def get_timer(self) -> float | None:
        """Return when ``handle_timer`` is due."""
        return self._deadline

    def handle_timer(self, now: float) -> None:
        """Retransmit, or give up, if the Restart timer has run out."""
        if self._deadline is None or now < self._deadline:
            return
        if self._restart_count > 0:
            self._feed(Event.TIMEOUT, now)
            return
        if self.state in LIVE_NEGOTIATION:
            self.failure = f"{self.protocol.name}: no answer to {self.limits.max_configure} Configure-Requests"
            self.unanswered = True
        self._feed(Event.TIMEOUT_EXPIRED, now)

    def receive(self, information: bytes, now: float) -> None:
        """Take the information field of a frame of this protocol. What is malformed is silently discarded."""
        if self.state in (State.INITIAL, State.STARTING):
            return
        packet = parse_packet(information)
        if packet is not None:
            self._receive_packet(packet, now)

    def protocol_rejected(self, now: float) -> None:
        """The peer answered one of our packets with a Protocol-Reject: it does not speak this protocol at all."""
        if self.state in (State.INITIAL, State.STARTING):
            return
        self.failure = f"{self.protocol.name}: rejected by the peer"
        self._feed(Event.REJECT_CATASTROPHIC, now)

    def _receive_packet(self, packet: ControlPacket, now: float) -> None:
        match packet.code:
            case Code.CONFIGURE_REQUEST:
                self._receive_request(packet, now)
            case Code.CONFIGURE_ACK | Code.CONFIGURE_NAK | Code.CONFIGURE_REJECT:
                self._receive_answer(packet, now)
            case Code.TERMINATE_REQUEST:
                self._last_request = packet
                self.peer_terminates(packet.data)
                self._feed(Event.TERMINATE_REQUEST, now)
            case Code.TERMINATE_ACK:
                self._feed(Event.TERMINATE_ACK, now)
            case Code.CODE_REJECT:
                self._receive_code_reject(packet, now)
            case code if code in self.extra_codes:
                self.receive_extra(packet, now)
            case _:
                self._last_request = packet
                self._feed(Event.UNKNOWN_CODE, now)

    def room(self) -> int:
        """Return how many octets of data a packet to the peer can have."""
        return self.peer_mru - HEADER_LENGTH

    # What a subclass adds.

    def receive_extra(self, packet: ControlPacket, now: float) -> None:
        """Take a packet whose code is one of ``extra_codes``."""

    def peer_terminates(self, reason: bytes) -> None:
        """The peer sent a Terminate-Request with this text."""

    def send_echo_reply(self) -> None:
        """Answer the Echo-Request that was fed as ``Event.ECHO``."""

    def code_rejected(self, code: int) -> None:
        """The peer does not know a code beyond the common seven that we sent."""

    # Configure-Requests of the peer.

    def _receive_request(self, packet: ControlPacket, now: float) -> None:
        options = parse_options(packet.data)
        if options is None:
            return
        self._last_request = packet
        if self.state in (State.OPENED, State.STOPPED):
            self._start_over()
        self._refusal = self._judge(packet.identifier, options)
        self._feed(Event.REQUEST_BAD if self._refusal else Event.REQUEST_GOOD, now)

    def _judge(self, identifier: int, requested: list[Option]) -> ControlPacket | None:
        """Return the Configure-Nak or -Reject the request earns, None if it is good (RFC 1661 sections 5.2 to 5.4)."""
        rejects: list[Option] = []
        naks: list[Option] = []
        seen: dict[int, bytes] = {}
        for option in requested:
            ours = self.options.get(option.type)
            accepted = None if ours is None or option.type in seen else ours.judge(option.value)
            seen.setdefault(option.type, option.value)
            if accepted is None:
                rejects.append(option)
            elif accepted != option.value:
                naks.append(Option(option.type, accepted))
        patience = self._naks_sent < self.limits.max_failure
        if not rejects and patience:
            for ours in self.options.values():
                wanted = ours.wanted()
                if ours.type not in seen and wanted is not None:
                    naks.append(Option(ours.type, wanted))
        if naks and not patience:
            refused = {option.type for option in naks} | {option.type for option in rejects}
            rejects = [option for option in requested if option.type in refused]
        if rejects:
            return ControlPacket(Code.CONFIGURE_REJECT, identifier, build_options(rejects))
        if naks:
            return ControlPacket(Code.CONFIGURE_NAK, identifier, build_options(naks))
        for ours in self.options.values():
            ours.accepted(seen.get(ours.type))
        return None

    # Answers to our Configure-Requests.

    def _receive_answer(self, packet: ControlPacket, now: float) -> None:
        event = Event.ACK if packet.code == Code.CONFIGURE_ACK else Event.NAK
        if self.state not in LIVE_NEGOTIATION and self.state is not State.OPENED:
            self._last_request = packet
            self._feed(event, now)
            return
        request = self._awaited
        if request is None or packet.identifier != request.identifier:
            return
        if packet.code == Code.CONFIGURE_ACK:
            if packet.data != request.data:
                return
            asked = {option.type: option.value for option in parse_options(request.data) or ()}
            for ours in self.options.values():
                ours.acknowledged(asked.get(ours.type))
        elif not self._take_refusal(packet, request):
            return
        self._awaited = None
        if event is Event.NAK:
            self._naks_received += 1
            if self._naks_received > 2 * self.limits.max_failure:
                self.failure = f"{self.protocol.name}: the peer refuses every value offered"
                self._feed(Event.REJECT_CATASTROPHIC, now)
                return
        self._feed(event, now)

    def _take_refusal(self, packet: ControlPacket, request: ControlPacket) -> bool:
        """Hand a Nak or Reject to the options; False where the packet answers something we did not ask."""
        options = parse_options(packet.data)
        if not options:
            return False
        if packet.code == Code.CONFIGURE_REJECT:
            asked = parse_options(request.data) or []
            if any(option not in asked for option in options):
                return False
            for option in options:
                self.options[option.type].rejected()
            return True
        for option in options:
            ours = self.options.get(option.type)
            if ours is not None:
                ours.naked(option.value)
        return True

    def _receive_code_reject(self, packet: ControlPacket, now: float) -> None:
        if not packet.data:
            return
        code = packet.data[0]
        if code in CATASTROPHIC_CODES:
            self.failure = f"{self.protocol.name}: the peer does not know {Code(code).name}"
            self._feed(Event.REJECT_CATASTROPHIC, now)
        else:
            self.code_rejected(code)
            self._feed(Event.REJECT_PERMITTED, now)

    # The automaton's actions.

    def _start_over(self) -> None:
        self._naks_sent = 0
        self._naks_received = 0
        for option in self.options.values():
            option.start_over()

    def _feed(self, event: Event, now: float) -> None:
        before = self.automaton.state
        actions = self.automaton.feed(event)
        after = self.automaton.state
        if before not in LIVE_NEGOTIATION and after in LIVE_NEGOTIATION and event is not Event.REQUEST_BAD:
            self._start_over()
        for action in actions:
            self._carry_out(action, event, now)
        if after not in TIMER_RUNS:
            self._deadline = None
        elif before is State.OPENED and self._deadline is None:
            self._deadline = now + self.limits.restart_interval

    def _carry_out(self, action: Action, event: Event, now: float) -> None:
        if action in LAYER_SIGNALS:
            self.signals.append(action)
            return
        match action:
            case Action.INITIALIZE_RESTART_COUNT:
                terminating = self.state in (State.CLOSING, State.STOPPING)
                self._restart_count = self.limits.max_terminate if terminating else self.limits.max_configure
            case Action.ZERO_RESTART_COUNT:
                self._restart_count = 0
                self._deadline = now + self.limits.terminate_wait
            case Action.SEND_CONFIGURE_REQUEST:
                self._send_configure_request(again=event is Event.TIMEOUT, now=now)
            case Action.SEND_TERMINATE_REQUEST:
                self._send_terminate_request(now)
            case Action.SEND_CONFIGURE_ACK:
                request = self._answered()
                self.packets.append(ControlPacket(Code.CONFIGURE_ACK, request.identifier, request.data))
                self._naks_sent = 0
            case Action.SEND_CONFIGURE_NAK:
                refusal = self._refusal
                assert refusal is not None, "REQUEST_BAD is fed only with a refusal at hand"
                self._naks_sent += refusal.code == Code.CONFIGURE_NAK
                self.packets.append(refusal)
            case Action.SEND_TERMINATE_ACK:
                self.packets.append(ControlPacket(Code.TERMINATE_ACK, self._answered().identifier))
            case Action.SEND_CODE_REJECT:
                rejected = self._answered().build()[: self.room()]
                self.packets.append(ControlPacket(Code.CODE_REJECT, self.next_identifier(), rejected))
            case Action.SEND_ECHO_REPLY:
                self.send_echo_reply()

    def _answered(self) -> ControlPacket:
        assert self._last_request is not None, "every action that answers follows a packet"
        return self._last_request

    def _send_configure_request(self, *, again: bool, now: float) -> None:
        # A retransmission repeats the packet; whatever else asks for scr may have changed the options (section 5.1).
        if not (again and self._awaited):
            values = ((option.type, option.request()) for option in self.options.values())
            asked = [Option(type_, value) for type_, value in values if value is not None]
            self._awaited = ControlPacket(Code.CONFIGURE_REQUEST, self.next_identifier(), build_options(asked))
        self.packets.append(self._awaited)
        self._restart_count -= 1
        self._deadline = now + self.limits.restart_interval

    def _send_terminate_request(self, now: float) -> None:
        self.packets.append(ControlPacket(Code.TERMINATE_REQUEST, self.next_identifier(), self._terminate_reason))
        self._restart_count -= 1
        self._deadline = now + self.limits.restart_interval

    def next_identifier(self) -> int:
        """Return an identifier that the last 255 packets of this protocol did not carry."""
        self._identifier = (self._identifier + 1) & 0xFF
        return self._identifier
