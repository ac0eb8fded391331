"""The numbers of RFC 2637 sections 1.4 and 2, each with its text for people.

Codes travel as plain ``int`` in messages and events, because a peer may send any value; ``describe`` turns one into
text whether or not the RFC knows it.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Self

MAGIC_COOKIE = 0x1A2B3C4D
"""Marks every message; a receiver that does not find it has lost the stream (1.4)."""

CONTROL_MESSAGE = 1
"""The PPTP Message Type of all messages defined; 2, "management", never was (1.4)."""

PROTOCOL_VERSION = 0x0100
"""Version 1, revision 0: version in the high octet, revision in the low one (1.4)."""

HEADER_LENGTH = 12
"""Octets before a message's own fields: length, type, cookie, control message type, reserved."""


class WireCode(IntEnum):
    """A code with the RFC's wording beside it, in ``text``."""

    text: str

    def __new__(cls, value: int, text: str = "") -> Self:
        """Make a member whose value is the code alone."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.text = text
        return member

    @classmethod
    def describe(cls, value: int) -> str:
        """Return ``"Busy (4): a busy signal was detected"``, or say that the RFC does not know ``value``."""
        for member in cls:
            if member.value == value:
                return f"{member.title} ({value}): {member.text}"
        return f"code {value}, which RFC 2637 does not define"

    @property
    def title(self) -> str:
        """The code's name as words: ``"No Carrier"``."""
        return self.name.replace("_", " ").title()


class MessageType(WireCode):
    """Control Message Type (1.4); the text is the name the RFC uses."""

    START_CONTROL_CONNECTION_REQUEST = 1, "Start-Control-Connection-Request"
    START_CONTROL_CONNECTION_REPLY = 2, "Start-Control-Connection-Reply"
    STOP_CONTROL_CONNECTION_REQUEST = 3, "Stop-Control-Connection-Request"
    STOP_CONTROL_CONNECTION_REPLY = 4, "Stop-Control-Connection-Reply"
    ECHO_REQUEST = 5, "Echo-Request"
    ECHO_REPLY = 6, "Echo-Reply"
    OUTGOING_CALL_REQUEST = 7, "Outgoing-Call-Request"
    OUTGOING_CALL_REPLY = 8, "Outgoing-Call-Reply"
    INCOMING_CALL_REQUEST = 9, "Incoming-Call-Request"
    INCOMING_CALL_REPLY = 10, "Incoming-Call-Reply"
    INCOMING_CALL_CONNECTED = 11, "Incoming-Call-Connected"
    CALL_CLEAR_REQUEST = 12, "Call-Clear-Request"
    CALL_DISCONNECT_NOTIFY = 13, "Call-Disconnect-Notify"
    WAN_ERROR_NOTIFY = 14, "WAN-Error-Notify"
    SET_LINK_INFO = 15, "Set-Link-Info"


class StartResult(WireCode):
    """Result Code of a Start-Control-Connection-Reply (2.2)."""

    OK = 1, "the control connection is established"
    GENERAL_ERROR = 2, "the error code says why"
    ALREADY_EXISTS = 3, "there is a control connection already"
    NOT_AUTHORIZED = 4, "the requester may not open a control connection"
    VERSION_NOT_SUPPORTED = 5, "the requester's protocol version is not supported"


class StopReason(WireCode):
    """Reason of a Stop-Control-Connection-Request (2.3)."""

    NONE = 1, "the peer asked to close the control connection"
    STOP_PROTOCOL = 2, "the peer cannot support this protocol version"
    STOP_LOCAL_SHUTDOWN = 3, "the peer is being shut down"


class StopResult(WireCode):
    """Result Code of a Stop-Control-Connection-Reply (2.4)."""

    OK = 1, "the control connection is closed"
    GENERAL_ERROR = 2, "not closed; the error code says why"


class EchoResult(WireCode):
    """Result Code of an Echo-Reply (2.6)."""

    OK = 1, "the reply is valid"
    GENERAL_ERROR = 2, "the request was not accepted; the error code says why"


class OutgoingCallResult(WireCode):
    """Result Code of an Outgoing-Call-Reply (2.8)."""

    CONNECTED = 1, "the call is established"
    GENERAL_ERROR = 2, "the error code says why"
    NO_CARRIER = 3, "no carrier was detected"
    BUSY = 4, "a busy signal was detected"
    NO_DIAL_TONE = 5, "there was no dial tone"
    TIME_OUT = 6, "the call was not established in the time the server allows"
    DO_NOT_ACCEPT = 7, "the call is administratively prohibited"


class IncomingCallResult(WireCode):
    """Result Code of an Incoming-Call-Reply (2.10)."""

    CONNECT = 1, "the call should be answered"
    GENERAL_ERROR = 2, "the error code says why"
    DO_NOT_ACCEPT = 3, "the call should be refused"


class DisconnectResult(WireCode):
    """Result Code of a Call-Disconnect-Notify (2.13). Windows RRAS sends 0, which the RFC does not know."""

    LOST_CARRIER = 1, "the carrier was lost"
    GENERAL_ERROR = 2, "the error code says why"
    ADMIN_SHUTDOWN = 3, "disconnected for administrative reasons"
    REQUEST = 4, "a Call-Clear-Request asked for it"


class GeneralError(WireCode):
    """General error code (2.16); it means something only beside a result code of 2."""

    NONE = 0, "no general error"
    NOT_CONNECTED = 1, "there is no control connection yet"
    BAD_FORMAT = 2, "the length or the magic cookie is wrong"
    BAD_VALUE = 3, "a field is out of range, or a reserved field is not zero"
    NO_RESOURCE = 4, "there are no resources for this now"
    BAD_CALL_ID = 5, "the call id is invalid in this context"
    PAC_ERROR = 6, "a vendor-specific error occurred"


class Framing(IntFlag):
    """Framing Capabilities of a peer, or the Framing Type of a call (2.1, 2.7). It changes nothing inside GRE."""

    ASYNCHRONOUS = 1
    SYNCHRONOUS = 2
    ANY = 3


class Bearer(IntFlag):
    """Bearer Capabilities of a peer, or the Bearer Type of a call (2.1, 2.7)."""

    ANALOG = 1
    DIGITAL = 2
    ANY = 3


GENERAL_ERROR = 2
"""The Result Code, the same in every reply, that makes its Error Code worth reading (2.16)."""


def explain(codes: type[WireCode], result: int, error: int = 0) -> str:
    """Put a result code and, only where the result is General Error, its error code into words.

    Peers leave rubbish in the error code of a success or of another result, so it is not looked at there (2.16).
    """
    text = codes.describe(result)
    return f"{text}; {GeneralError.describe(error)}" if result == GENERAL_ERROR else text
