"""The methods there are: what LCP calls them, and which machines run them.

LCP and the automaton know none of this; a new method is a file and a line here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from pypptp.errors import LocalProtocolError
from pypptp.ppp.auth.chap_md5 import ChapMd5Authenticator, ChapMd5Peer
from pypptp.ppp.auth.method import AuthMachine
from pypptp.ppp.auth.mschap_v1 import MschapV1Authenticator, MschapV1Peer
from pypptp.ppp.auth.mschap_v2 import MschapV2Authenticator, MschapV2Peer
from pypptp.ppp.auth.pap import PapAuthenticator, PapPeer
from pypptp.ppp.auth.secret import Secret
from pypptp.ppp.protocols import Protocol
from pypptp.roles import RandomBytes


class AuthMethod(StrEnum):
    """The authentication methods, best first. A value is what a person reads."""

    MSCHAPV2 = "MS-CHAPv2"
    MSCHAP = "MS-CHAP"
    CHAP = "CHAP-MD5"
    PAP = "PAP"


@dataclass(frozen=True, slots=True)
class _Entry:
    protocol: Protocol
    algorithm: bytes
    authenticator: Callable[..., AuthMachine]
    peer: Callable[..., AuthMachine]


_METHODS = {
    AuthMethod.MSCHAPV2: _Entry(Protocol.CHAP, b"\x81", MschapV2Authenticator, MschapV2Peer),
    AuthMethod.MSCHAP: _Entry(Protocol.CHAP, b"\x80", MschapV1Authenticator, MschapV1Peer),
    AuthMethod.CHAP: _Entry(Protocol.CHAP, b"\x05", ChapMd5Authenticator, ChapMd5Peer),
    AuthMethod.PAP: _Entry(Protocol.PAP, b"", PapAuthenticator, PapPeer),
}


def protocol_of(method: AuthMethod) -> int:
    """Return the PPP protocol number of the method's packets."""
    return _METHODS[method].protocol


def option_of(method: AuthMethod) -> bytes:
    """Return the value of LCP's Authentication-Protocol option: protocol, and for CHAP the algorithm (RFC 1661 6.2)."""
    entry = _METHODS[method]
    return entry.protocol.to_bytes(2, "big") + entry.algorithm


_BY_OPTION = {option_of(method): method for method in AuthMethod}


def method_of(option: bytes) -> AuthMethod:
    """Return the method an Authentication-Protocol option stands for.

    Raises:
        LocalProtocolError: none that is known here; LCP agrees to none of those.
    """
    method = _BY_OPTION.get(option)
    if method is None:
        raise LocalProtocolError(f"no authentication method has the option value {option.hex()}")
    return method


def authenticator(method: AuthMethod, *, name: str, random: RandomBytes) -> AuthMachine:
    """Return the machine that asks a peer for its proof.

    Args:
        method: which proof.
        name: our own name, which CHAP tells the peer.
        random: source of random octets.
    """
    return _METHODS[method].authenticator(name=name, random=random)


def peer(method: AuthMethod, *, name: str, secret: Secret, random: RandomBytes) -> AuthMachine:
    """Return the machine that proves who we are.

    Args:
        method: which proof.
        name: the user's name.
        secret: the user's.
        random: source of random octets.
    """
    return _METHODS[method].peer(name=name, secret=secret, random=random)
