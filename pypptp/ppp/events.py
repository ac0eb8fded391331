"""What a link tells the layer above."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import TypeAlias

from pypptp.causes import Cause
from pypptp.mppe.keys import Strength
from pypptp.ppp.auth import AuthMethod


@dataclass(frozen=True, slots=True)
class SecretWanted:
    r"""The peer says who it is; answer with ``provide_secret``.

    Attributes:
        name: the name as it stood on the wire, a ``DOMAIN\`` prefix included.
        method: how it wants to prove it.
    """

    name: str
    method: AuthMethod


@dataclass(frozen=True, slots=True)
class Refused:
    """The peer's proof was wrong; it may have another try.

    Attributes:
        name: who it said it was, escaped.
        method: how it tried to prove it.
    """

    name: str
    method: AuthMethod


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The peer has proved who it is (server), or we have and so has it, where MS-CHAPv2 ran (client).

    Attributes:
        user: the user name.
        method: the protocol, or None where no proof was asked for.
    """

    user: str
    method: AuthMethod | None


@dataclass(frozen=True, slots=True)
class AddressWanted:
    """An authenticated peer needs an address; answer with ``assign_address`` or ``close``.

    Attributes:
        user: the user name, empty where no proof was asked for.
    """

    user: str


@dataclass(frozen=True, slots=True)
class Encryption:
    """MPPE as it was agreed.

    Attributes:
        strength: key length towards the peer.
        stateless: whether the key changes with every packet.
    """

    strength: Strength
    stateless: bool


@dataclass(frozen=True, slots=True)
class NetworkUp:
    """IP packets can pass.

    Attributes:
        local: our inner address.
        peer: the other end's.
        mtu: the largest IP packet to send, in octets.
        encryption: MPPE, or None in clear.
        dns: name servers the peer gave us.
        user: who is authenticated.
        method: how, or None where no proof was asked for.
    """

    local: IPv4Address
    peer: IPv4Address
    mtu: int
    encryption: Encryption | None
    dns: tuple[IPv4Address, ...]
    user: str
    method: AuthMethod | None


@dataclass(frozen=True, slots=True)
class NetworkDown:
    """IP packets can pass no longer; the link may negotiate again or end.

    Attributes:
        reason: why, in words for a person.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class LinkClosed:
    """The link has ended and will not come back.

    Attributes:
        reason: why, in words for a person.
        by_peer: whether the peer ended it.
        cause: why, for programs.
    """

    reason: str
    by_peer: bool
    cause: Cause = field(default=Cause.NEGOTIATION, compare=False)


LinkEvent: TypeAlias = SecretWanted | Refused | Authenticated | AddressWanted | NetworkUp | NetworkDown | LinkClosed
