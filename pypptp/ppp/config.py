"""What a link is allowed to agree to."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pypptp.mppe.keys import Strength
from pypptp.ppp.auth import AuthMethod
from pypptp.ppp.control_protocol import NegotiationLimits

MPPE_OVERHEAD = 4
"""Octets MPPE takes out of the peer's MRU: its own header and the inner protocol field, as pppd counts them."""
DEFAULT_MTU = 1400
"""The inner MTU that lets a whole packet with all its headers pass an Ethernet unfragmented."""


class MppePolicy(StrEnum):
    """Whether packets must be encrypted."""

    REQUIRE = "require"
    """Nothing passes in clear; a peer that will not encrypt is told why and ended."""
    PREFER = "prefer"
    """Encrypted where the peer agrees. Once a link was encrypted, it never goes on in clear."""
    DENY = "deny"
    """Never encrypted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkConfig:
    """The settings of one PPP link.

    Attributes:
        name: the user's name on a client; the name in the CHAP Challenge on a server.
        auth: authentication methods allowed, the dearest first.
        mppe: the encryption policy.
        strengths: MPPE key lengths allowed.
        stateless: offer stateless MPPE, which survives loss.
        mtu: the largest inner packet to send, in octets; less where the peer's MRU asks for it.
        mru: what we ask the peer to send at most: the PPP information field, in octets.
        pfc: offer and grant Protocol-Field-Compression.
        acfc: offer and grant Address-and-Control-Field-Compression.
        ask_dns: ask the peer for name servers.
        echo_interval: seconds between LCP Echo-Requests, 0 for none.
        echo_failure: Echo-Requests without an answer before the peer counts as gone, 0 for never.
        establish_timeout: seconds from the first packet to the network phase.
        encryption_timeout: with MppePolicy.PREFER, seconds to wait for CCP before packets pass in clear.
        limits: the counters of RFC 1661 section 4.6.
    """

    name: str
    auth: tuple[AuthMethod, ...] = (AuthMethod.MSCHAPV2,)
    mppe: MppePolicy = MppePolicy.REQUIRE
    strengths: tuple[Strength, ...] = (Strength.BITS_128,)
    stateless: bool = True
    mtu: int = DEFAULT_MTU
    mru: int = DEFAULT_MTU + MPPE_OVERHEAD
    pfc: bool = True
    acfc: bool = True
    ask_dns: bool = False
    echo_interval: float = 30.0
    echo_failure: int = 4
    establish_timeout: float = 60.0
    encryption_timeout: float = 6.0
    limits: NegotiationLimits = field(default_factory=NegotiationLimits)
