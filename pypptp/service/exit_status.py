"""The exit status of ``pypptp client``: pppd's number where pppd has one for the cause."""

from __future__ import annotations

from pypptp.causes import Cause
from pypptp.errors import PptpError

FAILURE = 1
"""Where no other number fits."""

CONNECT_FAILED = 8
NEGOTIATION_FAILED = 10
PEER_NOT_PROVED = 11
IDLE = 12
TIME_IS_UP = 13
PEER_DEAD = 15
HUNG_UP = 16
LOOPED_BACK = 17
AUTHENTICATION_FAILED = 19

MEANINGS = {
    CONNECT_FAILED: "the server cannot be reached, is busy, refuses the call, or GRE does not come through",
    NEGOTIATION_FAILED: "no agreement: authentication method, encryption, addresses",
    PEER_NOT_PROVED: "the server did not prove that it knows the password",
    IDLE: "no packet for as long as --idle allows",
    TIME_IS_UP: "it lasted as long as --maxconnect allows",
    PEER_DEAD: "the server answers no more",
    HUNG_UP: "the server ended the session, or the connection broke",
    LOOPED_BACK: "the server's address leads back to this machine",
    AUTHENTICATION_FAILED: "the log-in was refused",
}
"""What the numbers say, for the manual page; 0, 1 and 2 mean what they mean for every command."""

_OF_CAUSES = {
    Cause.AUTHENTICATION: AUTHENTICATION_FAILED,
    Cause.LOGON_HOURS: AUTHENTICATION_FAILED,
    Cause.ACCOUNT_DISABLED: AUTHENTICATION_FAILED,
    Cause.PASSWORD_EXPIRED: AUTHENTICATION_FAILED,
    Cause.NO_PERMISSION: AUTHENTICATION_FAILED,
    Cause.IMPOSTOR: PEER_NOT_PROVED,
    Cause.METHOD: NEGOTIATION_FAILED,
    Cause.ENCRYPTION: NEGOTIATION_FAILED,
    Cause.NEGOTIATION: NEGOTIATION_FAILED,
    Cause.LOOPED_BACK: LOOPED_BACK,
    Cause.BUSY: CONNECT_FAILED,
    Cause.CALL_REFUSED: CONNECT_FAILED,
    Cause.NOT_PPTP: CONNECT_FAILED,
    Cause.NAME: CONNECT_FAILED,
    Cause.UNREACHABLE: CONNECT_FAILED,
    Cause.REFUSED: CONNECT_FAILED,
    Cause.TIMED_OUT: CONNECT_FAILED,
    Cause.GRE_BLOCKED: CONNECT_FAILED,
    Cause.PEER_DEAD: PEER_DEAD,
    Cause.HUNG_UP: HUNG_UP,
    Cause.LOST: HUNG_UP,
    Cause.ADDRESS_CHANGED: HUNG_UP,
    Cause.IDLE: IDLE,
    Cause.TIME_IS_UP: TIME_IS_UP,
    Cause.ASKED: FAILURE,
    Cause.SYSTEM: FAILURE,
}


def exit_status(error: PptpError) -> int:
    """Return the exit status for an error that ended a command."""
    cause = getattr(error, "cause", None)
    return _OF_CAUSES[cause] if isinstance(cause, Cause) else FAILURE


__all__ = ["MEANINGS", "exit_status"]
