"""The IP Control Protocol: addresses and name servers (RFC 1332, RFC 1877)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from ipaddress import IPv4Address

from pypptp.ppp.control_protocol import ControlProtocol, NegotiationLimits
from pypptp.ppp.options import NegotiatedOption
from pypptp.ppp.protocols import Protocol

UNSPECIFIED = IPv4Address(0)


class OptionType(IntEnum):
    """IPCP options (RFC 1332 section 3, RFC 1877 section 1)."""

    IP_ADDRESSES = 1
    IP_COMPRESSION = 2
    IP_ADDRESS = 3
    MOBILE_IPV4 = 4
    PRIMARY_DNS = 129
    PRIMARY_NBNS = 130
    SECONDARY_DNS = 131
    SECONDARY_NBNS = 132


NAME_SERVER_OPTIONS = (
    OptionType.PRIMARY_DNS,
    OptionType.SECONDARY_DNS,
    OptionType.PRIMARY_NBNS,
    OptionType.SECONDARY_NBNS,
)


def _address(value: bytes) -> IPv4Address | None:
    return IPv4Address(value) if len(value) == 4 else None


class IpAddress(NegotiatedOption):
    """The address of either end.

    Args:
        ours: our address, or 0.0.0.0 to be given one by the peer.
        peer: the address the peer must take, or None to let it name its own.
    """

    type = OptionType.IP_ADDRESS

    def __init__(self, ours: IPv4Address, peer: IPv4Address | None) -> None:
        self.configured = ours
        self.ours = ours
        self.peer = peer
        self.peer_accepted: IPv4Address | None = None
        self._asking = True

    def start_over(self) -> None:
        self.ours = self.configured
        self._asking = True

    def request(self) -> bytes | None:
        return self.ours.packed if self._asking else None

    def naked(self, value: bytes) -> None:
        address = _address(value)
        # A server keeps its address whatever the peer suggests; a client takes what it is given.
        if address is not None and self.configured == UNSPECIFIED and _usable(address):
            self.ours = address

    def rejected(self) -> None:
        self._asking = False

    def judge(self, value: bytes) -> bytes | None:
        address = _address(value)
        if self.peer is not None:
            return self.peer.packed
        if address is None:
            return None
        # The peer names its own: pptpd without localip sends none, some send 0.0.0.0 and want one we do not have.
        return value if _usable(address) else None

    def wanted(self) -> bytes | None:
        return None if self.peer is None else self.peer.packed

    def accepted(self, value: bytes | None) -> None:
        self.peer_accepted = None if value is None else IPv4Address(value)


def _usable(address: IPv4Address) -> bool:
    return not (address.is_unspecified or address.is_multicast or address.is_loopback or address.is_reserved)


class NameServer(NegotiatedOption):
    """One DNS or NBNS server: given to the peer where we have one, asked of it where we want one (RFC 1877)."""

    def __init__(self, option_type: OptionType, *, given: IPv4Address | None, asked: bool) -> None:
        self.type = option_type
        self.given = given
        self.asked = asked
        self.received: IPv4Address | None = None
        self._asking = asked

    def start_over(self) -> None:
        self._asking = self.asked
        self.received = None

    def request(self) -> bytes | None:
        return (self.received or UNSPECIFIED).packed if self._asking else None

    def naked(self, value: bytes) -> None:
        address = _address(value)
        if self.asked and address is not None and address != UNSPECIFIED:
            self.received = address

    def rejected(self) -> None:
        self._asking = False
        self.received = None

    def judge(self, value: bytes) -> bytes | None:
        # With none to give the answer is Reject: a Nak with 0.0.0.0 makes some peers ask again and again.
        return None if self.given is None else self.given.packed


class Ipcp(ControlProtocol):
    """IPCP of one link.

    Args:
        ours: our inner address, 0.0.0.0 to ask the peer for one.
        peer: the address the peer must take, or None to let it name its own.
        dns: servers to give to the peer, two at most.
        nbns: the same for NetBIOS names.
        ask_dns: whether to ask the peer for DNS servers.
    """

    protocol = Protocol.IPCP

    def __init__(
        self,
        *,
        ours: IPv4Address,
        peer: IPv4Address | None,
        dns: Sequence[IPv4Address],
        nbns: Sequence[IPv4Address],
        ask_dns: bool,
        limits: NegotiationLimits,
    ) -> None:
        self.address = IpAddress(ours, peer)
        given = [*_two(dns), *_two(nbns)]
        self.servers = [
            NameServer(option_type, given=server, asked=ask_dns and option_type in NAME_SERVER_OPTIONS[:2])
            for option_type, server in zip(NAME_SERVER_OPTIONS, given, strict=True)
        ]
        super().__init__([self.address, *self.servers], limits)

    @property
    def dns_received(self) -> tuple[IPv4Address, ...]:
        """The DNS servers the peer gave us."""
        return tuple(server.received for server in self.servers if server.received is not None)


def _two(servers: Sequence[IPv4Address]) -> tuple[IPv4Address | None, IPv4Address | None]:
    first = servers[0] if servers else None
    return first, servers[1] if len(servers) > 1 else None
