"""Authentication: PAP, CHAP, MS-CHAP and MS-CHAPv2, both sides of each (RFC 1334, RFC 1994, RFC 2433, RFC 2759)."""

from pypptp.ppp.auth.method import AuthMachine, Failure, Outcome, Success
from pypptp.ppp.auth.registry import AuthMethod, authenticator, method_of, option_of, peer, protocol_of
from pypptp.ppp.auth.secret import Secret

__all__ = [
    "AuthMachine",
    "AuthMethod",
    "Failure",
    "Outcome",
    "Secret",
    "Success",
    "authenticator",
    "method_of",
    "option_of",
    "peer",
    "protocol_of",
]
