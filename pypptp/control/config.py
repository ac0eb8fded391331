"""What one end says of itself, and how long it waits (RFC 2637 sections 2 and 3.1.4)."""

from __future__ import annotations

from dataclasses import dataclass

from pypptp.control.codes import Bearer, Framing
from pypptp.errors import ConfigurationError

SERVER_START_TIMEOUT = 5.0
"""Seconds a server waits for the whole Start-Control-Connection-Request. The RFC's 60 invite idle connections; every
real client sends at once, and accel-ppp waits 5 as well."""

CLIENT_START_TIMEOUT = 30.0
"""Seconds a client waits for the reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlConfig:
    """Settings of one ControlConnection. Times are seconds, speeds bits a second.

    The defaults of what is sent follow real clients: framing and bearer 3 (any), minimum 2400 and maximum 10,000,000 as
    pptp-linux sends them (Windows: 300 and 100,000,000), window 64 as Windows sends it (pptp-linux: 3). A
    client's ``maximum_channels`` is 0 as the RFC asks and Windows does; pptp-linux says 65535. The host name is empty,
    as from Windows, because it tells the other end nothing it needs.

    Attributes:
        host_name: at most 64 octets.
        vendor_name: at most 64 octets.
        firmware_revision: 16 bits.
        maximum_channels: only told to the peer.
        framing_capabilities: a Framing; also the Framing Type of calls.
        bearer_capabilities: a Bearer; also the Bearer Type of calls.
        minimum_bps: of calls placed.
        maximum_bps: of calls placed; the most a server claims as connect speed.
        receive_window: packets this end buffers for a call, told to the peer.
        processing_delay: tenths of a second, told to the peer.
        maximum_calls: calls at a time on one connection, of either role.
        start_timeout: for the whole Start exchange; None is 5 s for a server, 30 s for a client.
        echo_interval: silence after which an Echo-Request goes out; 0 sends none.
        echo_timeout: wait for its reply.
        call_reply_timeout: a client closes the connection when its call is not answered by then (3.2.1); a server
            refuses a call its owner has neither accepted nor refused by then.
        clear_timeout: wait for Call-Disconnect-Notify after Call-Clear-Request. pptpd never sends it, it closes TCP.
        stop_timeout: wait for Stop-Control-Connection-Reply.
    """

    host_name: bytes = b""
    vendor_name: bytes = b"pypptp"
    firmware_revision: int = 1
    maximum_channels: int = 0
    framing_capabilities: int = Framing.ANY
    bearer_capabilities: int = Bearer.ANY
    minimum_bps: int = 2_400
    maximum_bps: int = 10_000_000
    receive_window: int = 64
    processing_delay: int = 0
    maximum_calls: int = 8
    start_timeout: float | None = None
    echo_interval: float = 60.0
    echo_timeout: float = 60.0
    call_reply_timeout: float = 60.0
    clear_timeout: float = 3.0
    stop_timeout: float = 3.0

    def __post_init__(self) -> None:
        """Refuse what the wire cannot carry or a timer cannot mean.

        Raises:
            ConfigurationError: naming the field.
        """
        for name in ("host_name", "vendor_name"):
            if len(getattr(self, name)) > 64:
                raise ConfigurationError(f"{name} must not be longer than 64 octets")
        for name, lowest, highest in (
            ("firmware_revision", 0, 0xFFFF),
            ("maximum_channels", 0, 0xFFFF),
            ("framing_capabilities", 0, 0xFFFFFFFF),
            ("bearer_capabilities", 0, 0xFFFFFFFF),
            ("minimum_bps", 0, 0xFFFFFFFF),
            ("maximum_bps", 0, 0xFFFFFFFF),
            ("receive_window", 1, 0xFFFF),
            ("processing_delay", 0, 0xFFFF),
            ("maximum_calls", 1, 0xFFFF),
            ("echo_interval", 0, 86400),
        ):
            if not lowest <= getattr(self, name) <= highest:
                raise ConfigurationError(f"{name} must lie between {lowest} and {highest}")
        for name in ("start_timeout", "echo_timeout", "call_reply_timeout", "clear_timeout", "stop_timeout"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ConfigurationError(f"{name} must be more than 0 seconds")
