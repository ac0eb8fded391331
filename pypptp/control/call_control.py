"""The calls' side of a control connection: the messages of RFC 2637 sections 2.7 to 2.15 and the states of 3.2."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pypptp.causes import Cause
from pypptp.control.call_ids import CallIdAllocator, CallIdsExhausted
from pypptp.control.calls import Call, CallState, CallTable
from pypptp.control.codes import (
    GENERAL_ERROR,
    DisconnectResult,
    GeneralError,
    IncomingCallResult,
    OutgoingCallResult,
    explain,
)
from pypptp.control.config import ControlConfig
from pypptp.control.events import (
    CallEnded,
    CallEstablished,
    CallRefused,
    CallRequested,
    ControlEvent,
    LinkInfo,
    WanErrors,
)
from pypptp.control.messages import (
    CallClearRequest,
    CallDisconnectNotify,
    IncomingCallReply,
    IncomingCallRequest,
    Message,
    OutgoingCallReply,
    OutgoingCallRequest,
    SetLinkInfo,
    WanErrorNotify,
)
from pypptp.errors import LocalProtocolError
from pypptp.roles import Role


class CallControl:
    """Part of a ControlConnection, which checks role and state before it asks anything of this one.

    Args:
        role: ours.
        config: of the connection.
        call_ids: of the process.
        send: puts a message out; may end everything when the peer does not read.
        tell: queues an event.
        fail: closes the connection for the reason and cause given, which ends all calls.
    """

    def __init__(
        self,
        role: Role,
        config: ControlConfig,
        call_ids: CallIdAllocator,
        *,
        send: Callable[[Message], None],
        tell: Callable[[ControlEvent], None],
        fail: Callable[[str, Cause], None],
    ) -> None:
        self.unexpected_messages = 0
        self._role = role
        self._config = config
        self._call_ids = call_ids
        self._send = send
        self._tell = tell
        self._fail = fail
        self._table = CallTable(call_ids)

    @property
    def live(self) -> Mapping[int, Call]:
        """Calls in any state under our id, oldest first."""
        return self._table.view

    def deadline(self) -> float | None:
        """Return the earliest deadline of all calls."""
        return self._table.deadline()

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        for call in self._table:
            if call.deadline is not None and now >= call.deadline and self._table.get(call.call_id) is call:
                self._timed_out(call)

    def stop(self, reason: str) -> None:
        """Name every call to the peer as its role does, before the connection stops."""
        for call in self._table:
            if self._role is Role.CLIENT and call.state is not CallState.CLEARING:
                self._send(CallClearRequest(call_id=call.call_id))
            elif self._role is Role.SERVER and call.state is CallState.ESTABLISHED:
                self._send(CallDisconnectNotify(call_id=call.call_id, result_code=DisconnectResult.ADMIN_SHUTDOWN))
        self.end_all(reason, Cause.ASKED)

    def end_all(self, reason: str, why: Cause) -> None:
        """End every call without a message."""
        for call in self._table:
            self.end(call, reason, why=why)

    def place(self, now: float) -> int:
        """Send Outgoing-Call-Request; see ControlConnection.place_call."""
        config = self._config
        if len(self._table) >= config.maximum_calls:
            raise LocalProtocolError(f"{len(self._table)} calls are the most this connection may have")
        call = self._table.add(None, now + config.call_reply_timeout)
        self._send(
            OutgoingCallRequest(
                call_id=call.call_id,
                call_serial_number=self._call_ids.next_serial_number(),
                minimum_bps=config.minimum_bps,
                maximum_bps=config.maximum_bps,
                bearer_type=config.bearer_capabilities,
                framing_type=config.framing_capabilities,
                packet_receive_window_size=config.receive_window,
                packet_processing_delay=config.processing_delay,
            )
        )
        return call.call_id

    def accept(self, peer_call_id: int) -> int:
        """Send Outgoing-Call-Reply, Connected; see ControlConnection.accept_call."""
        call = self._waiting_call(peer_call_id)
        call.state = CallState.ESTABLISHED
        call.deadline = None
        self._send(
            OutgoingCallReply(
                call_id=call.call_id,
                peer_call_id=peer_call_id,
                result_code=OutgoingCallResult.CONNECTED,
                connect_speed=self._config.maximum_bps,
                packet_receive_window_size=self._config.receive_window,
                packet_processing_delay=self._config.processing_delay,
            )
        )
        return call.call_id

    def refuse(self, peer_call_id: int, result: int, error: int, cause: int) -> None:
        """Send Outgoing-Call-Reply, refused; see ControlConnection.refuse_call."""
        if result == OutgoingCallResult.CONNECTED:
            raise LocalProtocolError("a refusal cannot say Connected")
        call = self._waiting_call(peer_call_id)
        self._table.remove(call)
        self.send_refusal(peer_call_id, result, error, cause)

    def clear(self, call_id: int, now: float) -> None:
        """Send Call-Clear-Request; see ControlConnection.clear_call."""
        call = self._known_call(call_id)
        if call.state is CallState.CLEARING:
            return
        call.state = CallState.CLEARING
        call.deadline = now + self._config.clear_timeout
        self._send(CallClearRequest(call_id=call_id))

    def disconnect(self, call_id: int, result: int, error: int, cause: int, statistics: bytes) -> None:
        """Server: send Call-Disconnect-Notify with a DisconnectResult; CallEnded follows at once.

        Raises:
            LocalProtocolError: not a server, not established, or no such call.
        """
        call = self._known_call(call_id)
        self._send(
            CallDisconnectNotify(
                call_id=call_id, result_code=result, error_code=error, cause_code=cause, call_statistics=statistics
            )
        )
        self.end(call, explain(DisconnectResult, result, error), result, error, cause)

    def set_link_info(self, call_id: int, send_accm: int, receive_accm: int) -> None:
        """Send Set-Link-Info; see ControlConnection.set_link_info."""
        call = self._known_call(call_id)
        if call.state is not CallState.ESTABLISHED or call.peer_call_id is None:
            raise LocalProtocolError(f"call {call_id} is not established")
        self._send(SetLinkInfo(peer_call_id=call.peer_call_id, send_accm=send_accm, receive_accm=receive_accm))

    def outgoing_call_request(self, message: OutgoingCallRequest, now: float) -> None:
        """Take the message of 2.7."""
        # Speeds, types and a phone number (which some clients fill with rubbish) mean nothing here, so none is refused.
        if self._role is Role.CLIENT:
            self.send_refusal(message.call_id, OutgoingCallResult.DO_NOT_ACCEPT)
            return
        if self._table.of_peer(message.call_id) is not None:
            self.send_refusal(message.call_id, OutgoingCallResult.GENERAL_ERROR, GeneralError.BAD_CALL_ID)
            return
        if len(self._table) >= self._config.maximum_calls:
            self.send_refusal(message.call_id, OutgoingCallResult.GENERAL_ERROR, GeneralError.NO_RESOURCE)
            return
        try:
            call = self._table.add(message.call_id, now + self._config.call_reply_timeout)
        except CallIdsExhausted:
            self.send_refusal(message.call_id, OutgoingCallResult.GENERAL_ERROR, GeneralError.NO_RESOURCE)
            return
        self._tell(
            CallRequested(
                call_id=call.call_id,
                peer_call_id=message.call_id,
                peer_window=max(message.packet_receive_window_size, 1),
                request=message,
            )
        )

    def outgoing_call_reply(self, message: OutgoingCallReply, now: float) -> None:
        """Take the message of 2.8."""
        call = self._table.get(message.peer_call_id)
        if self._role is Role.SERVER or call is None or call.peer_call_id is not None:
            self.unexpected_messages += 1
            return
        if message.result_code != OutgoingCallResult.CONNECTED:
            error = message.error_code if message.result_code == GENERAL_ERROR else 0
            clearing = call.state is CallState.CLEARING
            self._table.remove(call)
            if clearing:
                self._tell(
                    CallEnded(call_id=call.call_id, peer_call_id=None, reason="cleared here before it was answered")
                )
            else:
                self._tell(
                    CallRefused(call_id=call.call_id, result=message.result_code, error=error, cause=message.cause_code)
                )
            return
        if self._table.of_peer(message.call_id) is not None:
            self._fail(f"the server gave call id {message.call_id} to two calls", Cause.NOT_PPTP)
            return
        self._table.bind(call, message.call_id)
        if call.state is CallState.CLEARING:
            return
        call.state = CallState.ESTABLISHED
        call.deadline = None
        self._tell(
            CallEstablished(
                call_id=call.call_id,
                peer_call_id=message.call_id,
                peer_window=max(message.packet_receive_window_size, 1),
                connect_speed=message.connect_speed,
                processing_delay=message.packet_processing_delay,
                physical_channel_id=message.physical_channel_id,
            )
        )

    def incoming_call_request(self, message: IncomingCallRequest, now: float) -> None:
        """Take the message of 2.9."""
        # There is no telephone line at either end: refused by name rather than left waiting.
        self._send(
            IncomingCallReply(call_id=0, peer_call_id=message.call_id, result_code=IncomingCallResult.DO_NOT_ACCEPT)
        )

    def call_clear_request(self, message: CallClearRequest, now: float) -> None:
        """Take the message of 2.12."""
        call = self._table.of_peer(message.call_id)
        if call is None:
            self.unexpected_messages += 1
            return
        self._send(CallDisconnectNotify(call_id=call.call_id, result_code=DisconnectResult.REQUEST))
        self.end(call, "the peer cleared the call")

    def call_disconnect_notify(self, message: CallDisconnectNotify, now: float) -> None:
        """Take the message of 2.13."""
        call = self._table.disconnected(message.call_id)
        if call is None:
            self.unexpected_messages += 1
            return
        result, error = message.result_code, message.error_code
        if call.state is CallState.CLEARING:
            reason = "cleared here"
        else:
            reason = f"the peer disconnected the call: {explain(DisconnectResult, result, error)}"
        self.end(call, reason, result, error, message.cause_code, message.call_statistics)

    def wan_error_notify(self, message: WanErrorNotify, now: float) -> None:
        """Take the message of 2.14."""
        if self._table.get(message.peer_call_id) is None:
            self.unexpected_messages += 1
            return
        self._tell(
            WanErrors(
                call_id=message.peer_call_id,
                crc_errors=message.crc_errors,
                framing_errors=message.framing_errors,
                hardware_overruns=message.hardware_overruns,
                buffer_overruns=message.buffer_overruns,
                time_out_errors=message.time_out_errors,
                alignment_errors=message.alignment_errors,
            )
        )

    def link_info(self, message: SetLinkInfo, now: float) -> None:
        """Take the message of 2.15."""
        # Windows RRAS sends it too, against the RFC; either end takes it.
        if self._table.get(message.peer_call_id) is None:
            self.unexpected_messages += 1
            return
        self._tell(
            LinkInfo(call_id=message.peer_call_id, send_accm=message.send_accm, receive_accm=message.receive_accm)
        )

    def _timed_out(self, call: Call) -> None:
        if call.state is CallState.CLEARING:
            self.end(call, "cleared here; no Call-Disconnect-Notify came")
        elif self._role is Role.CLIENT:
            self._fail(f"no Outgoing-Call-Reply within {self._config.call_reply_timeout:g} s", Cause.TIMED_OUT)
        elif call.peer_call_id is not None:
            self.send_refusal(call.peer_call_id, OutgoingCallResult.TIME_OUT)
            self.end(call, "the call was not accepted in time")

    def _known_call(self, call_id: int) -> Call:
        call = self._table.get(call_id)
        if call is None:
            raise LocalProtocolError(f"there is no call {call_id}")
        return call

    def _waiting_call(self, peer_call_id: int) -> Call:
        call = self._table.of_peer(peer_call_id)
        if call is None or call.state is not CallState.REQUESTED:
            raise LocalProtocolError(f"no call with peer call id {peer_call_id} waits for an answer")
        return call

    def send_refusal(self, peer_call_id: int, result: int, error: int = 0, cause: int = 0) -> None:
        """Send an Outgoing-Call-Reply for a request that has no call."""
        self._send(
            OutgoingCallReply(
                call_id=0, peer_call_id=peer_call_id, result_code=result, error_code=error, cause_code=cause
            )
        )

    def end(
        self,
        call: Call,
        reason: str,
        result: int | None = None,
        error: int = 0,
        cause: int = 0,
        statistics: bytes = b"",
        why: Cause = Cause.HUNG_UP,
    ) -> None:
        """Forget a call and say so, once: a full output buffer may have ended it already."""
        if self._table.get(call.call_id) is not call:
            return
        self._table.remove(call)
        self._tell(
            CallEnded(
                call_id=call.call_id,
                peer_call_id=call.peer_call_id,
                reason=reason,
                result=result,
                error=error if result == GENERAL_ERROR else 0,
                cause=cause,
                statistics=statistics,
                why=why,
            )
        )
