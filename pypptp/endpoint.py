"""A whole PPTP end without a socket: the control connection and the sessions of its calls.

The caller carries octets: TCP's to ``receive_data`` and from ``data_to_send``, GRE's to ``receive_datagram`` and from
``datagrams_to_send``, IP packets to ``send_packet`` and from ``packets_received``. The asyncio shell, the simulated
network of the tests and the README's ten lines drive the same class.

A shell that wants speed takes the sessions' fast path itself (``sessions``, ``Session.receive``,
``Session.encapsulate``) and calls ``settle`` after each batch.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import TypeAlias

from pypptp.causes import Cause
from pypptp.control import (
    CallEnded,
    CallEstablished,
    CallIdAllocator,
    CallRefused,
    CallRequested,
    CallState,
    ConnectionClosed,
    ConnectionStarted,
    ControlConfig,
    ControlConnection,
    ControlEvent,
    DisconnectResult,
    OutgoingCallResult,
    StopReason,
)
from pypptp.errors import LocalProtocolError
from pypptp.gre import TunnelConfig
from pypptp.gre.header import parse_header
from pypptp.inner_traffic import InnerPolicy
from pypptp.mppe.rc4 import bind
from pypptp.ppp.auth import Secret
from pypptp.ppp.config import LinkConfig
from pypptp.ppp.events import LinkEvent
from pypptp.roles import RandomBytes, Role
from pypptp.session import Session

EARLY_DATAGRAMS = 8
"""GRE packets kept for a call whose Outgoing-Call-Reply is still on its way: TCP and GRE race, and a lost first
Configure-Request costs the peer's restart timer, three seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointConfig:
    """The settings of one end.

    Attributes:
        link: what each PPP link may agree to.
        control: what the control connection says and how long it waits.
        check_source: drop packets whose source the peer cannot have: on a server any but the address it was given, on a
            client our own.
        policy: where the peers' packets may go.
    """

    link: LinkConfig
    control: ControlConfig = field(default_factory=ControlConfig)
    check_source: bool = False
    policy: InnerPolicy = field(default_factory=InnerPolicy)


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """A call is connected and its link begins to negotiate.

    Attributes:
        call_id: our call id.
        peer_call_id: the peer's.
    """

    call_id: int
    peer_call_id: int


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """Something happened on the link of a call.

    Attributes:
        call_id: our call id.
        event: what happened; see pypptp.ppp.events.
    """

    call_id: int
    event: LinkEvent


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A call is over; said once for each SessionStarted.

    Attributes:
        call_id: our call id, free again.
        reason: why, in words for a person.
        session: what is left of it, to read its counters.
        cause: why, for programs.
    """

    call_id: int
    reason: str
    session: Session
    cause: Cause = Cause.HUNG_UP


EndpointEvent: TypeAlias = (
    ConnectionStarted | CallRefused | SessionStarted | SessionEvent | SessionEnded | ConnectionClosed
)


class Endpoint:
    """One PPTP end: a client with its call, or a server's side of one client's connection.

    Attributes:
        role: which end this is.
        control: the control connection, to look at.
        sessions: the live sessions by our call id, to look at and for the fast path.
        refuse_calls: answer further calls with Do-Not-Accept, as a server does that is about to stop.
        unknown_call: GRE packets dropped because no live call has their id.
    """

    def __init__(
        self,
        role: Role,
        config: EndpointConfig,
        *,
        random: RandomBytes,
        call_ids: CallIdAllocator | None = None,
        now: float,
        secret: Secret | None = None,
    ) -> None:
        """Make an end whose TCP connection is about to be, or has just been, made.

        Args:
            role: CLIENT or SERVER.
            config: the settings.
            random: source of random octets.
            call_ids: shared by all ends behind one GRE socket; one of its own where left out.
            now: the time.
            secret: the user's own, on a client.
        """
        self.role = role
        self.config = config
        self.sessions: dict[int, Session] = {}
        self.refuse_calls = False
        self.unknown_call = 0
        self._random = random
        self._secret = secret
        # Not "or": an allocator that has given out nothing yet is empty, and so false.
        allocator = CallIdAllocator(random) if call_ids is None else call_ids
        self.control = ControlConnection(role, config.control, call_ids=allocator, now=now)
        self._events: deque[EndpointEvent] = deque()
        self._datagrams: list[bytes] = []
        self._packets: dict[int, list[bytes]] = {}
        self._early: dict[int, list[bytes]] = {}
        self._closing = ""

    # What the owner asks for.

    def connect(self, now: float) -> None:
        """Client: start the control connection, place a call and bring its link up.

        Raises:
            LocalProtocolError: not a client, or connecting already.
        """
        self.control.start(now)

    def provide_secret(self, call_id: int, secret: Secret | None, now: float, objection: str = "") -> None:
        """Answer SecretWanted; see ``Link.provide_secret``. A call that has ended meanwhile is no error."""
        session = self.sessions.get(call_id)
        if session is not None and session.closed is None:
            session.provide_secret(secret, now, objection)
            self.settle(now)

    def assign_address(
        self,
        call_id: int,
        local: IPv4Address,
        peer: IPv4Address | None,
        now: float,
        *,
        dns: tuple[IPv4Address, ...] = (),
        nbns: tuple[IPv4Address, ...] = (),
    ) -> None:
        """Answer AddressWanted. A call that has ended meanwhile is no error."""
        session = self.sessions.get(call_id)
        if session is not None and session.closed is None:
            session.assign_address(local, peer, now, dns=dns, nbns=nbns)
            self.settle(now)

    def rechallenge(self, call_id: int, now: float) -> None:
        """Server: ask the peer of a call to prove itself once more (RFC 1994 section 2)."""
        session = self.sessions.get(call_id)
        if session is not None and session.closed is None:
            session.rechallenge(now)
            self.settle(now)

    def close_session(self, call_id: int, reason: str, now: float) -> None:
        """End one call in order: LCP Terminate-Request first, then the control messages."""
        session = self.sessions.get(call_id)
        if session is not None:
            session.close(reason, now)
            self.settle(now)

    def abort_session(self, call_id: int, reason: str, now: float) -> None:
        """End at once what ``close_session`` did not end in time: only the control messages are sent."""
        if call_id in self.sessions:
            self._end_call(call_id, now)
            self._end_session(call_id, reason, Cause.ASKED)
            self.settle(now)

    def close(self, reason: str, now: float) -> None:
        """End everything in order; ConnectionClosed is the last event."""
        if self.control.closed:
            return
        self.refuse_calls = True
        # There may be a reason already: one of several calls has ended, and the connection waits for the others.
        self._closing = self._closing or reason
        for session in self.sessions.values():
            session.close(reason, now)
        self.settle(now)

    def abort(self, reason: str, now: float) -> None:
        """End at once what ``close`` did not end in time: say so on the control connection and wait for nobody."""
        for call_id in list(self.sessions):
            self._end_call(call_id, now)
            self._end_session(call_id, reason, Cause.ASKED)
        if not self.control.closed and self.control.established:
            self.control.stop(StopReason.STOP_LOCAL_SHUTDOWN, now)
        self.settle(now)

    # Octets in.

    def receive_data(self, data: bytes, now: float) -> None:
        """Take octets of the control connection."""
        self.control.receive_data(data, now)
        self.settle(now)

    def receive_eof(self, now: float, reason: str = "the peer closed the connection") -> None:
        """The control connection's TCP has ended."""
        self.control.receive_eof(now, reason)
        self.settle(now)

    def receive_datagram(self, datagram: bytes, now: float) -> None:
        """Take one GRE packet, without its IP header; the caller has made sure that it is from the peer's address."""
        header = parse_header(datagram)
        session = None if header is None else self.sessions.get(header.call_id)
        if session is None:
            self.keep_early(datagram if header is not None else b"", 0 if header is None else header.call_id)
            return
        buffer = bytearray(datagram)
        start = session.receive(bind(buffer), buffer, 0, len(buffer), now)
        if start:
            self._received(session).append(bytes(memoryview(buffer)[start : session.packet_end]))
        self._take_pending(session, now)
        self.settle(now)

    def keep_early(self, datagram: bytes, call_id: int) -> None:
        """Keep a GRE packet that came before the Outgoing-Call-Reply of its call, or count it."""
        call = self.control.calls.get(call_id)
        kept = self._early.setdefault(call_id, []) if call is not None and call.state is CallState.REQUESTED else None
        if kept is None or len(kept) >= EARLY_DATAGRAMS:
            self.unknown_call += 1
        else:
            kept.append(datagram)

    def send_packet(self, packet: bytes, now: float, call_id: int | None = None) -> bool:
        """Send one IP packet through a call, the only one where none is named.

        Returns:
            Whether it was taken; where not, the session's counters say why.

        Raises:
            LocalProtocolError: there is no such call.
        """
        session = next(iter(self.sessions.values()), None) if call_id is None else self.sessions.get(call_id)
        if session is None:
            raise LocalProtocolError("there is no call to send through")
        buffer = bytearray(Session.HEADROOM) + packet
        start = session.encapsulate(bind(buffer), buffer, Session.HEADROOM, len(buffer), now)
        if start:
            self._datagrams.append(bytes(memoryview(buffer)[start:]))
        return start > 0

    # Octets out.

    def data_to_send(self) -> bytes:
        """Return the octets to write to the control connection, and forget them."""
        return self.control.data_to_send()

    def datagrams_to_send(self, now: float) -> list[bytes]:
        """Return the GRE packets to send, in order, and forget them."""
        for session in self.sessions.values():
            self._datagrams += session.datagrams_to_send(now)
        datagrams, self._datagrams = self._datagrams, []
        return datagrams

    def packets_received(self, call_id: int | None = None) -> list[bytes]:
        """Return the IP packets received, in order, and forget them: those of one call, or all.

        They are those of ``receive_datagram``, and those that a reorder time-out set free in ``handle_timer``.
        """
        if call_id is not None:
            return self._packets.pop(call_id, [])
        packets = [packet for received in self._packets.values() for packet in received]
        self._packets.clear()
        return packets

    def next_event(self) -> EndpointEvent | None:
        """Return the next event, None when there is none."""
        return self._events.popleft() if self._events else None

    # Time.

    def get_timer(self) -> float | None:
        """Return when ``handle_timer`` is due."""
        deadlines = [session.get_timer() for session in self.sessions.values()]
        deadlines.append(self.control.get_timer())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        self.control.handle_timer(now)
        for session in list(self.sessions.values()):
            deadline = session.get_timer()
            if deadline is not None and now >= deadline:
                session.handle_timer(now)
                self._take_pending(session, now)
        self.settle(now)

    # Inside.

    def _take_pending(self, session: Session, now: float) -> None:
        while session.pending:
            packet = session.next_packet(now)
            if packet is not None:
                self._received(session).append(packet)

    def _received(self, session: Session) -> list[bytes]:
        return self._packets.setdefault(session.call_id, [])

    def settle(self, now: float) -> None:
        """Let the control connection and the sessions follow one another until nothing moves."""
        while self._follow_control(now) or self._follow_sessions(now):
            pass
        if self._closing and not self.sessions and not self.control.closed:
            self.control.stop(StopReason.STOP_LOCAL_SHUTDOWN, now)
            self._closing = ""
            self._follow_control(now)

    def _follow_control(self, now: float) -> bool:
        moved = False
        while (event := self.control.next_event()) is not None:
            moved = True
            self._follow_control_event(event, now)
        return moved

    def _follow_control_event(self, event: ControlEvent, now: float) -> None:
        match event:
            case ConnectionStarted():
                self._events.append(event)
                if self.role is Role.CLIENT:
                    self.control.place_call(now)
            case CallRequested() if self.refuse_calls:
                self.control.refuse_call(event.peer_call_id, OutgoingCallResult.DO_NOT_ACCEPT, 0, 0, now)
            case CallRequested():
                call_id = self.control.accept_call(event.peer_call_id, now)
                self._start_session(call_id, event.peer_call_id, event.peer_window, 0, now)
            case CallEstablished():
                delay = event.processing_delay
                self._start_session(event.call_id, event.peer_call_id, event.peer_window, delay, now)
            case CallRefused():
                self._early.pop(event.call_id, None)
                self._events.append(event)
                self._closing = self._closing or event.reason
            case CallEnded():
                self._early.pop(event.call_id, None)
                self._end_session(event.call_id, event.reason, event.why)
                if self.role is Role.CLIENT and not self.control.closed:
                    self._closing = self._closing or event.reason
            case ConnectionClosed():
                self._events.append(event)

    def _start_session(self, call_id: int, peer_call_id: int, peer_window: int, delay: int, now: float) -> None:
        session = Session(
            self.role,
            self.config.link,
            call_id=call_id,
            peer_call_id=peer_call_id,
            random=self._random,
            secret=self._secret,
            tunnel=TunnelConfig(
                receive_window=self.config.control.receive_window,
                peer_window=peer_window,
                peer_processing_delay=delay / 10,
            ),
            check_source=self.config.check_source,
            policy=self.config.policy,
        )
        self.sessions[call_id] = session
        self._events.append(SessionStarted(call_id, peer_call_id))
        session.up(now)
        for datagram in self._early.pop(call_id, ()):
            self.receive_datagram(datagram, now)

    def _follow_sessions(self, now: float) -> bool:
        moved = False
        for call_id, session in list(self.sessions.items()):
            while (event := session.next_event()) is not None:
                moved = True
                self._events.append(SessionEvent(call_id, event))
            if session.closed is not None:
                moved = True
                self._end_call(call_id, now)
                self._end_session(call_id, session.closed.reason, session.closed.cause)
        return moved

    def _end_call(self, call_id: int, now: float) -> None:
        """Tell the peer on the control connection that a call whose link is gone is over."""
        self._datagrams += self.sessions[call_id].datagrams_to_send(now)
        if call_id not in self.control.calls or self.control.closed:
            return
        if self.role is Role.CLIENT:
            self.control.clear_call(call_id, now)
        else:
            self.control.disconnect_call(call_id, DisconnectResult.ADMIN_SHUTDOWN, now)

    def _end_session(self, call_id: int, reason: str, cause: Cause) -> None:
        session = self.sessions.pop(call_id, None)
        if session is not None:
            closing = session.link.closing
            if closing is not None:
                reason, cause = closing.reason, closing.cause
            elif session.link.last_words:
                reason, cause = session.link.last_words, session.link.cause_of_last_words
            self._events.append(SessionEnded(call_id, reason, session, cause))
