"""What must be seen on the wire for a row's settings, whichever programs made it."""

from __future__ import annotations

from ipaddress import IPv4Address

from .lab.recording import (
    CCP,
    CHAP,
    COMPRESSED,
    CONFIGURE_ACK,
    CONFIGURE_REJECT,
    CONFIGURE_REQUEST,
    ECHO_REPLY,
    ECHO_REQUEST,
    IPCP,
    IPV4,
    IPV6CP,
    LCP,
    MPPE_H,
    MPPE_L,
    MPPE_S,
    OPTION_MPPE,
    PAP,
    PROTOCOL_REJECT,
    Recording,
)
from .pairs import Pair
from .peers.settings import NAME_SERVERS, Settings

LCP_AUTHENTICATION, LCP_PFC, LCP_ACFC, LCP_MRU = 3, 7, 8, 1
IPCP_COMPRESSION = 2
IPCP_NAME_SERVERS = (129, 131)
OPTION_BSD, OPTION_DEFLATE = 21, 26
AUTH_VALUES = {"mschapv2": "c22381", "mschap": "c22380", "chap": "c22305", "pap": "c023"}


def check(wire: Recording, settings: Settings, pair: Pair) -> None:
    """Assert what this row's settings come to on the wire."""
    check_authentication(wire, settings)
    check_encryption(wire, settings)
    check_link(wire, settings)
    check_offers(wire, settings, pair)


def check_authentication(wire: Recording, settings: Settings) -> None:
    """The server's last Configure-Request, acknowledged by the client, names the method, and the method's packets
    flow.
    """
    acknowledged = wire.of(LCP, CONFIGURE_ACK, to_server=True)
    assert acknowledged, "the client never acknowledged the server's LCP options"
    assert acknowledged[-1].options.get(LCP_AUTHENTICATION, b"").hex() == AUTH_VALUES[settings.auth]
    protocol, unused = (PAP, CHAP) if settings.auth == "pap" else (CHAP, PAP)
    assert wire.of(protocol)
    assert not wire.of(unused)


def check_encryption(wire: Recording, settings: Settings) -> None:
    """Both directions agree on exactly the row's MPPE bits and carry nothing in clear; or carry no MPPE at all."""
    if settings.mppe is None:
        assert not wire.of(COMPRESSED) or settings.offers
        assert wire.of(IPV4) or settings.offers
        return
    strength = MPPE_S if settings.mppe == "128" else MPPE_L
    wanted = strength | (0 if settings.stateful else MPPE_H)
    for to_server in (False, True):
        agreed = wire.of(CCP, CONFIGURE_ACK, to_server=to_server)
        assert agreed, f"no CCP Configure-Ack {'to' if to_server else 'from'} the server"
        assert int.from_bytes(agreed[-1].options[OPTION_MPPE]) == wanted
        assert wire.of(COMPRESSED, to_server=to_server)
    assert not wire.of(IPV4), "IPv4 in clear on a link that requires encryption"
    assert wire.of(IPCP), "IPCP travels unencrypted (RFC 3078 encrypts 0x0021 to 0x00FA)"


def check_link(wire: Recording, settings: Settings) -> None:
    """MRU, name servers, field compression and echo."""
    if settings.mtu is not None:
        longest = max(len(frame.body) for frame in wire.frames)
        assert longest <= settings.mtu, f"an information field of {longest} octets with an MRU of {settings.mtu}"
        if settings.mtu <= 1400:
            assert wire.fragments == 0
        if settings.mtu == 1496:
            assert wire.fragments > 0, "full packets of MTU 1496 are fragmented outside"
    if settings.dns:
        agreed = wire.of(IPCP, CONFIGURE_ACK, to_server=False)[-1].options
        assert tuple(str(IPv4Address(agreed.get(option, bytes(4)))) for option in IPCP_NAME_SERVERS) == NAME_SERVERS
    if not settings.field_compression:
        for frame in wire.of(LCP, CONFIGURE_ACK):
            assert LCP_PFC not in frame.options
            assert LCP_ACFC not in frame.options
    if settings.echo is not None:
        for to_server in (False, True):
            assert len(wire.of(LCP, ECHO_REQUEST, to_server=to_server)) >= 2
            assert len(wire.of(LCP, ECHO_REPLY, to_server=not to_server)) >= 2


def check_offers(wire: Recording, settings: Settings, pair: Pair) -> None:
    """What pppd proposes beyond the plain set: pypptp refuses each, another pppd takes it."""
    refuses = "pypptp" in (pair.client, pair.server)
    if "vj" in settings.offers:
        check_option(wire, IPCP, IPCP_COMPRESSION, refuses)
    if "deflate" in settings.offers:
        check_option(wire, CCP, OPTION_DEFLATE, refuses)
    if "bsd" in settings.offers:
        check_option(wire, CCP, OPTION_BSD, refuses)
    if "ipv6" in settings.offers:
        assert wire.of(IPV6CP, CONFIGURE_REQUEST)
        if refuses:
            rejected = [frame for frame in wire.of(LCP, PROTOCOL_REJECT) if frame.data[:2] == IPV6CP.to_bytes(2)]
            assert rejected, "IPV6CP was not rejected"
        else:
            assert wire.of(IPV6CP, CONFIGURE_ACK)


def check_option(wire: Recording, protocol: int, option: int, refuses: bool) -> None:
    """An option was asked for, and rejected by pypptp (or the whole protocol was) or acknowledged by pppd."""
    asked = [frame for frame in wire.of(protocol, CONFIGURE_REQUEST) if option in frame.options]
    assert asked, "pppd did not offer what this row is about"
    rejected = [frame for frame in wire.of(protocol, CONFIGURE_REJECT) if option in frame.options]
    rejected += [frame for frame in wire.of(LCP, PROTOCOL_REJECT) if frame.data[:2] == protocol.to_bytes(2)]
    taken = [frame for frame in wire.of(protocol, CONFIGURE_ACK) if option in frame.options]
    if refuses:
        assert rejected
        assert not taken
    else:
        assert taken
