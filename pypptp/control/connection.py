"""The control connection of RFC 2637 sections 2 and 3, both roles, without a socket.

Its owner carries octets and time: what TCP delivers goes to ``receive_data``, the end of the stream to ``receive_eof``,
``get_timer`` says when to call ``handle_timer``. After every one of these, and after every method that asks for
something, take events until ``next_event`` returns None, then write what ``data_to_send`` returns. When ``closed``,
write what is left and close TCP. What the peer sends never raises here: it is answered, counted or ends the connection
with a reason.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from pypptp.causes import Cause
from pypptp.control.call_control import CallControl
from pypptp.control.call_ids import CallIdAllocator
from pypptp.control.calls import Call, CallState
from pypptp.control.codes import (
    GENERAL_ERROR,
    PROTOCOL_VERSION,
    GeneralError,
    MessageType,
    OutgoingCallResult,
    StartResult,
    StopReason,
    StopResult,
    explain,
)
from pypptp.control.config import CLIENT_START_TIMEOUT, SERVER_START_TIMEOUT, ControlConfig
from pypptp.control.events import CallRequested, ConnectionClosed, ConnectionStarted, ControlEvent
from pypptp.control.framing import FramingError, MessageBuffer
from pypptp.control.messages import (
    EchoReply,
    EchoRequest,
    IncomingCallReply,
    MalformedMessage,
    Message,
    OutgoingCallRequest,
    StartControlConnectionReply,
    StartControlConnectionRequest,
    StopControlConnectionReply,
    StopControlConnectionRequest,
    UnknownMessage,
    parse_message,
)
from pypptp.errors import LocalProtocolError
from pypptp.roles import Role

MAXIMUM_PENDING_OUTPUT = 64 * 1024
"""Octets waiting for a peer that does not read. Beyond, Echo-Requests stay unanswered and any other message closes."""


class ConnectionState(Enum):
    """RFC 2637 3.1.1 and 3.1.2."""

    IDLE = "idle"
    """Client before ``start``."""
    WAIT_CTL_REPLY = "wait_ctl_reply"
    """Client after ``start``."""
    WAIT_CTL_REQUEST = "wait_ctl_request"
    """Server until the Start-Control-Connection-Request; the RFC calls it idle too."""
    ESTABLISHED = "established"
    WAIT_STOP_REPLY = "wait_stop_reply"
    CLOSED = "closed"


class ControlConnection:
    """One control connection and its calls.

    Args:
        role: CLIENT opened TCP and places calls; SERVER answers.
        config: settings.
        call_ids: shared by all connections of the process.
        now: monotonic seconds; a server's start deadline counts from here.

    Attributes:
        messages_received: whole messages of any type.
        messages_sent: messages put out.
        unknown_messages: ignored because of their type.
        malformed_messages: too short, or out of step; each ended the connection.
        echoes_unanswered: Echo-Requests dropped because the peer does not read.
    """

    def __init__(self, role: Role, config: ControlConfig, *, call_ids: CallIdAllocator, now: float) -> None:
        self.role = role
        self.config = config
        self.state = ConnectionState.IDLE if role is Role.CLIENT else ConnectionState.WAIT_CTL_REQUEST
        self.close_reason: str | None = None
        self.messages_received = 0
        self.messages_sent = 0
        self.unknown_messages = 0
        self._unexpected_messages = 0
        self.malformed_messages = 0
        self.echoes_unanswered = 0
        self._events: deque[ControlEvent] = deque()
        self._calls = CallControl(
            role, config, call_ids, send=self._send, tell=self._events.append, fail=self._fail_call
        )
        self._input = MessageBuffer()
        self._waiting_since: float | None = None
        """When the input came that waits for the owner to take a CallRequested."""
        self._output = bytearray()
        self._start_refusal: tuple[int, int] | None = None
        self._deadline: float | None = None
        """When the Start exchange, or in WAIT_STOP_REPLY the reply, must be there."""
        self._last_heard = now
        self._echo_identifier = 0
        self._echo_deadline: float | None = None
        self._stop_reason = ""
        if role is Role.SERVER:
            self._deadline = now + (config.start_timeout or SERVER_START_TIMEOUT)
        self._handlers: dict[int, Callable[[Any, float], None]] = {
            MessageType.START_CONTROL_CONNECTION_REQUEST: self._start_request_again,
            MessageType.STOP_CONTROL_CONNECTION_REQUEST: self._stop_request,
            MessageType.ECHO_REQUEST: self._echo_request,
            MessageType.ECHO_REPLY: self._echo_reply,
            MessageType.OUTGOING_CALL_REQUEST: self._calls.outgoing_call_request,
            MessageType.OUTGOING_CALL_REPLY: self._calls.outgoing_call_reply,
            MessageType.INCOMING_CALL_REQUEST: self._calls.incoming_call_request,
            MessageType.CALL_CLEAR_REQUEST: self._calls.call_clear_request,
            MessageType.CALL_DISCONNECT_NOTIFY: self._calls.call_disconnect_notify,
            MessageType.WAN_ERROR_NOTIFY: self._calls.wan_error_notify,
            MessageType.SET_LINK_INFO: self._calls.link_info,
        }

    # -- What the owner reads ------------------------------------------------------------------------------------------

    @property
    def established(self) -> bool:
        """Whether calls can be placed or accepted."""
        return self.state is ConnectionState.ESTABLISHED

    @property
    def closed(self) -> bool:
        """Whether TCP is to be closed once ``data_to_send`` is written."""
        return self.state is ConnectionState.CLOSED

    @property
    def calls(self) -> Mapping[int, Call]:
        """Live calls under our call id, oldest first; a view that follows the connection."""
        return self._calls.live

    @property
    def unexpected_messages(self) -> int:
        """Messages ignored because they fit no state or no call."""
        return self._unexpected_messages + self._calls.unexpected_messages

    @property
    def congested(self) -> bool:
        """Whether so much output waits that the owner should stop reading from TCP until it is written."""
        return len(self._output) > MAXIMUM_PENDING_OUTPUT // 2

    def data_to_send(self) -> bytes:
        """Return and forget the octets to write, whole messages only.

        Take them when TCP can write: what is not taken counts against MAXIMUM_PENDING_OUTPUT.
        """
        self._read_on(self._waiting_since)
        data = bytes(self._output)
        self._output.clear()
        return data

    def next_event(self) -> ControlEvent | None:
        """Return the next event, or None. Take them all after every input, before ``data_to_send``.

        Input behind an Outgoing-Call-Request is read only once its CallRequested was taken, so that a call accepted
        there and then is answered before what the same segment asked next.
        """
        if not self._events:
            self._read_on(self._waiting_since, wait_for_owner=True)
        return self._events.popleft() if self._events else None

    def get_timer(self) -> float | None:
        """Return when ``handle_timer`` must be called next, or None."""
        if self.state is not ConnectionState.ESTABLISHED:
            return self._deadline
        deadlines = [self._echo_deadline, self._calls.deadline()]
        if self._echo_deadline is None and self.config.echo_interval:
            deadlines.append(self._last_heard + self.config.echo_interval)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    # -- Input ---------------------------------------------------------------------------------------------------------

    def receive_data(self, data: bytes, now: float) -> None:
        """Take octets from TCP, cut anyhow. Ignored once closed."""
        if self.closed:
            return
        self._read_on(now)
        self._input.feed(data)
        self._read_on(now, wait_for_owner=True)

    def receive_eof(self, now: float, reason: str = "the peer closed the connection") -> None:
        """TCP has ended; ``reason`` says how when it was not a FIN.

        This is how pptpd answers a Call-Clear-Request and ends a session of its own, so it is clean when no call that
        should go on is lost.
        """
        self._read_on(now)
        if self.closed:
            return
        started = self.state in {ConnectionState.ESTABLISHED, ConnectionState.WAIT_STOP_REPLY}
        clean = started and all(call.state is CallState.CLEARING for call in self.calls.values())
        self._close(self._stop_reason or reason, clean=clean, why=Cause.LOST)

    def handle_timer(self, now: float) -> None:
        """Do what is due at ``now``."""
        if self._deadline is not None and now >= self._deadline:
            if self.state is ConnectionState.WAIT_STOP_REPLY:
                self._close(f"{self._stop_reason}; no Stop-Control-Connection-Reply came", clean=True, why=Cause.ASKED)
            elif self.state is ConnectionState.WAIT_CTL_REQUEST:
                self._close("no Start-Control-Connection-Request came in time", clean=False, why=Cause.TIMED_OUT)
            else:
                self._close("no Start-Control-Connection-Reply came in time", clean=False, why=Cause.TIMED_OUT)
        if self.state is not ConnectionState.ESTABLISHED:
            return
        self._calls.handle_timer(now)
        self._keep_alive(now)

    # -- What the owner asks for ---------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Client: send the Start-Control-Connection-Request; ConnectionStarted or ConnectionClosed follows.

        Raises:
            LocalProtocolError: not a client, or started already.
        """
        if self.state is not ConnectionState.IDLE:
            raise LocalProtocolError("only a client that has not started can start")
        config = self.config
        self.state = ConnectionState.WAIT_CTL_REPLY
        self._deadline = now + (config.start_timeout or CLIENT_START_TIMEOUT)
        self._last_heard = now
        self._send(
            StartControlConnectionRequest(
                framing_capabilities=config.framing_capabilities,
                bearer_capabilities=config.bearer_capabilities,
                maximum_channels=config.maximum_channels,
                firmware_revision=config.firmware_revision,
                host_name=config.host_name,
                vendor_name=config.vendor_name,
            )
        )

    def refuse_start(self, result: int = StartResult.NOT_AUTHORIZED, error: int = GeneralError.NONE) -> None:
        """Server: answer the Start-Control-Connection-Request, when it comes, with ``result`` and close.

        Args:
            result: a StartResult.
            error: the GeneralError beside the result GENERAL_ERROR.

        Raises:
            LocalProtocolError: not a server, or the request is answered already.
        """
        if self.state is not ConnectionState.WAIT_CTL_REQUEST:
            raise LocalProtocolError("the start was answered already")
        self._start_refusal = result, error

    def place_call(self, now: float) -> int:
        """Client: send an Outgoing-Call-Request; CallEstablished or CallRefused follows, at worst ConnectionClosed.

        Returns:
            Our call id.

        Raises:
            LocalProtocolError: not a client, not established, or as many calls as ``maximum_calls`` already.
            CallIdsExhausted: no call id is free.
        """
        self._require(Role.CLIENT, "place calls")
        return self._calls.place(now)

    def accept_call(self, peer_call_id: int, now: float) -> int:
        """Server: answer a CallRequested with Connected; GRE may flow at once.

        Returns:
            Our call id.

        Raises:
            LocalProtocolError: not a server, or no such call waits; it may have been cleared, see CallEnded.
        """
        self._require(Role.SERVER, "accept calls")
        return self._calls.accept(peer_call_id)

    def refuse_call(self, peer_call_id: int, result: int, error: int, cause: int, now: float) -> None:
        """Server: answer a CallRequested with an OutgoingCallResult other than Connected. No event follows.

        Raises:
            LocalProtocolError: as ``accept_call``, or ``result`` is Connected.
        """
        self._require(Role.SERVER, "refuse calls")
        self._calls.refuse(peer_call_id, result, error, cause)

    def clear_call(self, call_id: int, now: float) -> None:
        """Client: send Call-Clear-Request; CallEnded follows, after ``clear_timeout`` at the latest.

        Clearing a call twice does nothing more.

        Raises:
            LocalProtocolError: not a client, not established, or no such call.
        """
        self._require(Role.CLIENT, "clear calls")
        self._calls.clear(call_id, now)

    def disconnect_call(
        self, call_id: int, result: int, now: float, *, error: int = 0, cause: int = 0, statistics: bytes = b""
    ) -> None:
        """Server: send Call-Disconnect-Notify with a DisconnectResult; CallEnded follows at once.

        Raises:
            LocalProtocolError: not a server, not established, or no such call.
        """
        self._require(Role.SERVER, "disconnect calls")
        self._calls.disconnect(call_id, result, error, cause, statistics)

    def set_link_info(self, call_id: int, send_accm: int, receive_accm: int) -> None:
        """Client: send Set-Link-Info for an established call.

        Raises:
            LocalProtocolError: not a client (several clients drop the connection when a server sends it), or no such
                established call.
        """
        self._require(Role.CLIENT, "send Set-Link-Info")
        self._calls.set_link_info(call_id, send_accm, receive_accm)

    def stop(self, reason: int, now: float) -> None:
        """End the connection: all calls end now, ConnectionClosed follows, after ``stop_timeout`` at the latest.

        As pptp-linux and pptpd do, the calls are named one by one first. A connection that is not established just
        closes. Stopping twice does nothing more.

        Args:
            reason: a StopReason.
            now: monotonic seconds.
        """
        if self.state in {ConnectionState.WAIT_STOP_REPLY, ConnectionState.CLOSED}:
            return
        if not self.established:
            self._close("stopped before the control connection was established", clean=True, why=Cause.ASKED)
            return
        self._calls.stop("stopped here")
        self._stop(reason, "stopped here", now)

    # -- Start and stop ------------------------------------------------------------------------------------------------

    def _read_on(self, now: float | None, *, wait_for_owner: bool = False) -> None:
        """Read the input that is there; with ``wait_for_owner`` only up to a request the owner has to answer."""
        self._waiting_since = None
        while now is not None and not self.closed:
            try:
                message = self._input.next_message()
            except FramingError as error:
                self.malformed_messages += 1
                self._close(f"the peer's messages are out of step: {error}", clean=False, why=Cause.NOT_PPTP)
                return
            if message is None:
                return
            self.messages_received += 1
            self._receive_message(message, now)
            if wait_for_owner and self._events and isinstance(self._events[-1], CallRequested):
                self._waiting_since = now
                return

    def _receive_message(self, data: bytes, now: float) -> None:
        try:
            message = parse_message(data)
        except UnknownMessage as error:
            self.unknown_messages += 1
            if error.message_type is not None:
                self._last_heard = now
            return
        except MalformedMessage as error:
            self.malformed_messages += 1
            self._answer_malformed(error.message_type, data)
            self._close(f"malformed message: {error}", clean=False, why=Cause.NOT_PPTP)
            return
        if self.state is ConnectionState.ESTABLISHED:
            if not isinstance(message, EchoReply):
                self._last_heard = now
            handler = self._handlers.get(message.TYPE)
            if handler is None:
                self._unexpected_messages += 1
            else:
                handler(message, now)
        elif isinstance(message, StopControlConnectionRequest):
            self._stop_request(message, now)
        elif self.state is ConnectionState.WAIT_CTL_REQUEST:
            self._before_start(message, now)
        elif isinstance(message, EchoRequest):
            self._echo_request(message, now)
        elif self.state is ConnectionState.WAIT_CTL_REPLY and isinstance(message, StartControlConnectionReply):
            self._start_reply(message, now)
        elif self.state is ConnectionState.WAIT_CTL_REPLY and isinstance(message, StartControlConnectionRequest):
            # Both ends took the other for the server, on one TCP connection: each answers, neither waits for good.
            self._send(self._start_reply_message(StartResult.OK))
        elif self.state is ConnectionState.WAIT_STOP_REPLY and isinstance(message, StopControlConnectionReply):
            self._close(self._stop_reason, clean=True, why=Cause.ASKED)
        else:
            self._unexpected_messages += 1

    def _before_start(self, message: Message, now: float) -> None:
        if isinstance(message, StartControlConnectionRequest):
            self._start_request(message, now)
            return
        if isinstance(message, OutgoingCallRequest):
            self._calls.send_refusal(message.call_id, OutgoingCallResult.GENERAL_ERROR, GeneralError.NOT_CONNECTED)
        reason = f"{message.TYPE.text} came before Start-Control-Connection-Request"
        self._close(reason, clean=False, why=Cause.NOT_PPTP)

    def _start_request(self, message: StartControlConnectionRequest, now: float) -> None:
        if not _version_supported(message.protocol_version):
            self._send(self._start_reply_message(StartResult.VERSION_NOT_SUPPORTED))
            reason = f"protocol version 0x{message.protocol_version:04x} is not supported"
            self._close(reason, clean=False, why=Cause.NOT_PPTP)
            return
        if self._start_refusal is not None:
            self._send(self._start_reply_message(*self._start_refusal))
            reason = f"refused: {explain(StartResult, *self._start_refusal)}"
            self._close(reason, clean=False, why=Cause.CALL_REFUSED)
            return
        self._send(self._start_reply_message(StartResult.OK))
        self._started(message, now)

    def _start_reply(self, message: StartControlConnectionReply, now: float) -> None:
        if message.result_code != StartResult.OK:
            reason = explain(StartResult, message.result_code, message.error_code)
            full = message.result_code == GENERAL_ERROR and message.error_code == GeneralError.NO_RESOURCE
            busy = full or message.result_code == StartResult.ALREADY_EXISTS
            why = Cause.BUSY if busy else Cause.CALL_REFUSED
            self._close(f"the server refused the control connection: {reason}", clean=False, why=why)
        elif not _version_supported(message.protocol_version):
            self._stop(
                StopReason.STOP_PROTOCOL, f"the server's version 0x{message.protocol_version:04x} is not supported", now
            )
        else:
            self._started(message, now)

    def _started(self, message: StartControlConnectionRequest | StartControlConnectionReply, now: float) -> None:
        self.state = ConnectionState.ESTABLISHED
        self._deadline = None
        self._last_heard = now
        self._events.append(
            ConnectionStarted(
                host_name=message.host_name,
                vendor_name=message.vendor_name,
                firmware_revision=message.firmware_revision,
                maximum_channels=message.maximum_channels,
                framing_capabilities=message.framing_capabilities,
                bearer_capabilities=message.bearer_capabilities,
            )
        )

    def _start_request_again(self, message: StartControlConnectionRequest, now: float) -> None:
        self._send(self._start_reply_message(StartResult.ALREADY_EXISTS))

    def _start_reply_message(self, result: int, error: int = 0) -> StartControlConnectionReply:
        config = self.config
        return StartControlConnectionReply(
            result_code=result,
            error_code=error,
            framing_capabilities=config.framing_capabilities,
            bearer_capabilities=config.bearer_capabilities,
            maximum_channels=config.maximum_channels,
            firmware_revision=config.firmware_revision,
            host_name=config.host_name,
            vendor_name=config.vendor_name,
        )

    def _stop_request(self, message: StopControlConnectionRequest, now: float) -> None:
        self._send(StopControlConnectionReply(result_code=StopResult.OK))
        reason = f"the peer stopped the connection: {StopReason.describe(message.reason)}"
        self._close(reason, clean=True, why=Cause.HUNG_UP)

    def _stop(self, reason: int, text: str, now: float) -> None:
        self._send(StopControlConnectionRequest(reason=reason))
        if self.closed:
            return
        self._stop_reason = text
        self._calls.end_all(text, Cause.ASKED)
        self.state = ConnectionState.WAIT_STOP_REPLY
        self._deadline = now + self.config.stop_timeout

    def _answer_malformed(self, message_type: int | None, data: bytes) -> None:
        """Tell the peer Bad-Format where the type has a reply and the message was long enough to name its call."""
        error = GeneralError.BAD_FORMAT
        call_id = int.from_bytes(data[12:14], "big") if len(data) >= 14 else None
        if message_type == MessageType.START_CONTROL_CONNECTION_REQUEST:
            self._send(self._start_reply_message(GENERAL_ERROR, error))
        elif message_type == MessageType.STOP_CONTROL_CONNECTION_REQUEST:
            self._send(StopControlConnectionReply(result_code=GENERAL_ERROR, error_code=error))
        elif message_type == MessageType.OUTGOING_CALL_REQUEST and call_id is not None:
            self._calls.send_refusal(call_id, GENERAL_ERROR, error)
        elif message_type == MessageType.INCOMING_CALL_REQUEST and call_id is not None:
            self._send(IncomingCallReply(call_id=0, peer_call_id=call_id, result_code=GENERAL_ERROR, error_code=error))

    # -- Keep-alive ----------------------------------------------------------------------------------------------------

    def _keep_alive(self, now: float) -> None:
        if not self.established:
            return
        if self._echo_deadline is not None:
            if now >= self._echo_deadline:
                self._close(f"no Echo-Reply within {self.config.echo_timeout:g} s", clean=False, why=Cause.PEER_DEAD)
        elif self.config.echo_interval and now >= self._last_heard + self.config.echo_interval:
            self._echo_identifier = (self._echo_identifier + 1) & 0xFFFFFFFF
            self._echo_deadline = now + self.config.echo_timeout
            self._send(EchoRequest(identifier=self._echo_identifier))

    def _echo_request(self, message: EchoRequest, now: float) -> None:
        reply = EchoReply(identifier=message.identifier)
        if len(self._output) + reply.LENGTH > MAXIMUM_PENDING_OUTPUT:
            self.echoes_unanswered += 1
        else:
            self._send(reply)

    def _echo_reply(self, message: EchoReply, now: float) -> None:
        if self._echo_deadline is None or message.identifier != self._echo_identifier:
            self._unexpected_messages += 1
            return
        self._echo_deadline = None
        self._last_heard = now

    # -- Small parts ---------------------------------------------------------------------------------------------------

    def _require(self, role: Role, what: str) -> None:
        if self.role is not role:
            raise LocalProtocolError(f"only a {role.value} can {what}")
        if not self.established:
            raise LocalProtocolError(f"cannot {what}: the control connection is {self.state.value}")

    def _send(self, message: Message) -> None:
        if self.closed:
            return
        if len(self._output) + message.LENGTH > MAXIMUM_PENDING_OUTPUT:
            self._close("the peer does not read what is sent to it", clean=False, why=Cause.PEER_DEAD)
            return
        self._output += message.build()
        self.messages_sent += 1

    def _fail_call(self, reason: str, why: Cause) -> None:
        self._close(reason, clean=False, why=why)

    def _close(self, reason: str, *, clean: bool, why: Cause) -> None:
        if self.closed:
            return
        self.state = ConnectionState.CLOSED
        self.close_reason = reason
        self._deadline = None
        self._echo_deadline = None
        self._calls.end_all(reason, why)
        self._events.append(ConnectionClosed(reason=reason, clean=clean, why=why))


def _version_supported(version: int) -> bool:
    """Any revision of version 1 will do: the answer carries ours, 0x0100."""
    return version >> 8 == PROTOCOL_VERSION >> 8
