"""Why a session did not come up, or ended: a word for programs, and what a person may do about it.

The machines name the cause where they know it; the sentence that goes with it is theirs too, with the peer's own words
and codes in it. What follows of a cause, an exit status or a wait before the next try, is decided far from here.
"""

from __future__ import annotations

from enum import Enum
from typing import Self


class Cause(Enum):
    """A cause; the value is its word, ``cure`` what to do about it, empty where the reason itself says so."""

    cure: str

    def __new__(cls, word: str, cure: str = "") -> Self:
        """Make a member whose value is the word alone."""
        member = object.__new__(cls)
        member._value_ = word
        member.cure = cure
        return member

    # Who we are, or they (RFC 2759 section 6, RFC 1994, RFC 1334).
    AUTHENTICATION = "authentication", "check the user name and the password"
    """E=691, or a Failure or Authenticate-Nak without a code."""
    LOGON_HOURS = "logon-hours", "try again at an hour the account allows"
    """E=646."""
    ACCOUNT_DISABLED = "account-disabled", "ask whoever runs the server to enable the account"
    """E=647."""
    PASSWORD_EXPIRED = "password-expired", "change the password where the server's accounts are kept"
    """E=648."""
    NO_PERMISSION = "no-permission", "ask whoever runs the server for the permission to dial in"
    """E=649."""
    IMPOSTOR = "impostor", "make sure that this is the right server before you try again"
    """The server did not prove that it knows the password (RFC 2759 section 5)."""
    METHOD = "method", "allow a method the server has, with --auth"
    """The two ends have no authentication protocol in common."""

    # What the link agreed to.
    ENCRYPTION = "encryption", "have the server allow MPPE, or go without by --mppe prefer"
    """CCP led to no MPPE that both ends accept."""
    NEGOTIATION = "negotiation"
    """LCP, IPCP or the order of things failed in another way."""
    LOOPED_BACK = "looped-back", "the server's address leads back to this machine"
    """The peer's Magic-Number is ours (RFC 1661 section 6.4)."""

    # What the server said to the control connection and to the call.
    BUSY = "busy", "the server is full: try again later"
    """Outgoing-Call-Reply Busy, Time-Out or No-Resource; Start-Control-Connection-Reply Already-Exists."""
    CALL_REFUSED = "call-refused", "ask whoever runs the server whether it takes calls"
    """Any other refusal of the call or of the control connection."""
    NOT_PPTP = "not-pptp", "check the server's address and the port: something else answers there"
    """What came was no PPTP, or broken."""

    # The way there.
    NAME = "name"
    """The server's name has no address, or nobody can be asked."""
    UNREACHABLE = "unreachable"
    """There is no way to the server: no route, no link, a router that says so."""
    REFUSED = "refused"
    """TCP was reset: nothing listens there."""
    TIMED_OUT = "timed-out", "check that a PPTP server is there, and that nothing between holds its answers back"
    """No answer to TCP, or to a message that must be answered."""
    GRE_BLOCKED = "gre-blocked", "a firewall or NAT on the path drops protocol 47"
    """The control connection stands, and not one GRE packet came."""

    # Of a session that was up.
    PEER_DEAD = "peer-dead"
    """No answer to LCP Echo-Requests or to an Echo-Request."""
    HUNG_UP = "hung-up"
    """The server ended it: Terminate-Request, Call-Disconnect-Notify, Stop-Control-Connection-Request."""
    LOST = "lost"
    """TCP ended without a word."""
    ADDRESS_CHANGED = "address-changed"
    """The address we had on the way to the server is no longer ours."""
    IDLE = "idle"
    """No packet for as long as was allowed."""
    TIME_IS_UP = "time-is-up"
    """It lasted as long as was allowed."""
    ASKED = "asked"
    """Our side asked for the end."""

    SYSTEM = "system"
    """This machine refuses what is needed: a TUN device, a socket, a route."""


_NO_PERMISSION = 649
_OF_CODES = {
    646: Cause.LOGON_HOURS,
    647: Cause.ACCOUNT_DISABLED,
    648: Cause.PASSWORD_EXPIRED,
    _NO_PERMISSION: Cause.NO_PERMISSION,
}


_CONNECTED_ALREADY = "already connected"
"""How the message of a Failure begins where the user has all the sessions it may have: our own server's words. RFC 2759
has no code for it, and none of those it has is one to give up at."""


def cause_of_code(code: int | None, message: str = "") -> Cause:
    """Return the cause behind ``E=`` and ``M=`` of a MS-CHAP Failure (RFC 2759 section 6); else AUTHENTICATION."""
    if code == _NO_PERMISSION and message.lower().startswith(_CONNECTED_ALREADY):
        return Cause.BUSY
    return _OF_CODES.get(code or 0, Cause.AUTHENTICATION)
