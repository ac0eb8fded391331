"""What a control connection tells its owner. Texts are fit for a log; octet strings are the peer's own, unescaped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from pypptp.causes import Cause
from pypptp.control.codes import GENERAL_ERROR, GeneralError, OutgoingCallResult, explain
from pypptp.control.messages import OutgoingCallRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionStarted:
    """The Start-Control-Connection exchange is done; calls may be placed or will be requested."""

    host_name: bytes
    """Host name the peer gave itself, at most 64 octets, unescaped: show it through ``printable``."""
    vendor_name: bytes
    """Vendor string of the peer, likewise."""
    firmware_revision: int
    """Firmware or driver revision, 16 bits."""
    maximum_channels: int
    """Sessions the peer says it supports; pptpd says 1, many say 0, pptp-linux 65535."""
    framing_capabilities: int
    """Framing bits; pptpd sends 0."""
    bearer_capabilities: int
    """Bearer bits; pptpd sends 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequested:
    """Server: an Outgoing-Call-Request waits for ``accept_call`` or ``refuse_call``."""

    call_id: int
    """Our id for it, reserved already."""
    peer_call_id: int
    """The client's id, which names the call to ``accept_call`` and goes into the GRE we send."""
    peer_window: int
    """Packets the client buffers; at least 1, also where it said 0 as Windows may."""
    request: OutgoingCallRequest
    """The request as it came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEstablished:
    """Client: the server accepted the call; GRE may flow."""

    call_id: int
    """Our id: the key of GRE that comes in."""
    peer_call_id: int
    """The server's id: the key of GRE that goes out. pptpd's first is 0."""
    peer_window: int
    """Packets the server buffers, at least 1."""
    connect_speed: int
    """Bits a second the server claims."""
    processing_delay: int
    """Tenths of a second the server may hold a packet."""
    physical_channel_id: int
    """The server's channel number, for logs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRefused:
    """Client: the server answered the call with anything but Connected. The id is free again."""

    call_id: int
    """Our id."""
    result: int
    """An OutgoingCallResult, or what the peer invented."""
    error: int
    """A GeneralError; 0 unless ``result`` is General Error."""
    cause: int
    """Q.931 cause code, mostly 0."""

    @property
    def reason(self) -> str:
        """The refusal in words, the result code by name."""
        return explain(OutgoingCallResult, self.result, self.error)

    @property
    def why(self) -> Cause:
        """BUSY where another try may go better, else CALL_REFUSED."""
        if self.result == GENERAL_ERROR:
            return Cause.BUSY if self.error == GeneralError.NO_RESOURCE else Cause.CALL_REFUSED
        full = self.result in (OutgoingCallResult.BUSY, OutgoingCallResult.TIME_OUT)
        return Cause.BUSY if full else Cause.CALL_REFUSED


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded:
    """A requested or established call is over, whoever ended it. Said once per call; the id is free again."""

    call_id: int
    """Our id."""
    peer_call_id: int | None
    """The peer's id, or None where it never told us one."""
    reason: str
    """Why, in words."""
    result: int | None = None
    """The DisconnectResult of a Call-Disconnect-Notify, or None where there was none."""
    error: int = 0
    """Its GeneralError; 0 unless ``result`` is General Error."""
    cause: int = 0
    """Its Q.931 cause code."""
    statistics: bytes = b""
    """Its call statistics, at most 128 octets, unescaped."""
    why: Cause = Cause.HUNG_UP
    """Why, for programs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkInfo:
    """The peer sent Set-Link-Info for a live call; nothing to do in GRE, worth a trace."""

    call_id: int
    """Our id."""
    send_accm: int
    """Send ACCM, 32 bits."""
    receive_accm: int
    """Receive ACCM, 32 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WanErrors:
    """The peer reported line errors of a live call, counted since the call began."""

    call_id: int
    """Our id."""
    crc_errors: int
    """Frames with a wrong check sum."""
    framing_errors: int
    """Frames badly framed."""
    hardware_overruns: int
    """Receive buffers overrun."""
    buffer_overruns: int
    """Buffers overrun."""
    time_out_errors: int
    """Time-outs."""
    alignment_errors: int
    """Alignment errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionClosed:
    """The last event: write out what ``data_to_send`` still holds, then close TCP."""

    reason: str
    """Why, in words."""
    clean: bool
    """True where either side asked for the end: Stop, a cleared call, our own ``stop``."""
    why: Cause = Cause.LOST
    """Why, for programs."""


ControlEvent: TypeAlias = (
    ConnectionStarted
    | CallRequested
    | CallEstablished
    | CallRefused
    | CallEnded
    | LinkInfo
    | WanErrors
    | ConnectionClosed
)
