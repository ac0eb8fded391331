"""The habits of a real peer, as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, Flag, auto
from ipaddress import IPv4Address
from typing import Final

from pypptp.ppp import ccp, ipcp, lcp
from pypptp.ppp.packet import Option

MPPE_128_STATELESS: Final = ccp.SupportedBits.BITS_128 | ccp.SupportedBits.STATELESS
MAGIC: Final = Option(lcp.OptionType.MAGIC_NUMBER)
"""An option without its value stands for the value the session gives it: a Magic-Number, the method, an address."""
AUTHENTICATION: Final = Option(lcp.OptionType.AUTHENTICATION)
PFC: Final = Option(lcp.OptionType.PFC)
ACFC: Final = Option(lcp.OptionType.ACFC)
IP_ADDRESS: Final = Option(ipcp.OptionType.IP_ADDRESS)


class Moment(Flag):
    """When a Set-Link-Info is sent."""

    NEVER = 0
    CALL = auto()
    """As soon as the call is connected."""
    LCP = auto()
    """As soon as LCP is open."""
    END = auto()
    """Before the link is terminated, by either end."""


class Acknowledging(Enum):
    """How GRE packets are acknowledged."""

    WITH_DATA_OR_ALONE = "with data, or alone after a moment"
    WITH_DATA_ONLY = "with data only"
    WITH_ALL_DATA = "with all data, news or not, or alone after a moment"


class Departure(Enum):
    """How a session is ended."""

    POLITE = "Terminate-Request, the call, the connection"
    LINK_THEN_TCP = "Terminate-Request, then FIN"
    CLEAR_THEN_TCP = "Terminate-Request, Call-Clear-Request and FIN without waiting"
    CONNECTION = "Call-Disconnect-Notify and Stop-Control-Connection-Request, the link not at all"


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlHabits:
    """The control connection.

    Attributes:
        framing: Framing Capabilities it tells.
        bearer: Bearer Capabilities it tells.
        maximum_channels: Maximum Channels it tells.
        firmware: Firmware Revision it tells.
        host_name: Host Name it tells.
        vendor_name: Vendor Name it tells.
        start_known: whether all of these are on record, so that a server can be recognised by them.
        host_name_is_own: the host name is that of the machine, not of the make.
        reserved0: what it puts into the Reserved0 of its headers, where RFC 2637 says 0.
        call_id: its Call ID; None for one of chance.
        serial: Call Serial Number of a client.
        minimum_bps: of a client's call.
        maximum_bps: of a client's call.
        subaddress: of a client's call.
        call_delay: seconds a client waits between the reply and its call.
        connect_speed: of a server's reply; None repeats the client's maximum.
        window: Packet Receive Window Size; None repeats the client's.
        processing_delay: tenths of a second.
        channel_is_call: Physical Channel ID of a server's reply is its call id, else 0.
        set_link_info: when it sends one.
        disconnect_result: Result Code of the Call-Disconnect-Notify that answers a Call-Clear-Request.
        disconnect_names_peer: that message carries the client's call id, not the server's own (2.13).
        departure: how it ends a session.
    """

    framing: int = 3
    bearer: int = 3
    maximum_channels: int = 0
    firmware: int = 0
    host_name: bytes = b""
    vendor_name: bytes = b""
    start_known: bool = True
    host_name_is_own: bool = False
    reserved0: int = 0
    call_id: int | None = None
    serial: int = 0
    minimum_bps: int = 300
    maximum_bps: int = 100_000_000
    subaddress: bytes = b""
    call_delay: float = 0.0
    connect_speed: int | None = None
    window: int | None = 64
    processing_delay: int = 0
    channel_is_call: bool = False
    set_link_info: Moment = Moment.NEVER
    disconnect_result: int = 4
    disconnect_names_peer: bool = False
    departure: Departure = Departure.POLITE


@dataclass(frozen=True, slots=True, kw_only=True)
class GreHabits:
    """Enhanced GRE.

    Attributes:
        first_sequence: number of its first packet.
        acknowledging: how it acknowledges.
        ack_delay: seconds an acknowledgement waits for data to travel with.
    """

    first_sequence: int = 0
    acknowledging: Acknowledging = Acknowledging.WITH_DATA_OR_ALONE
    ack_delay: float = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class LcpHabits:
    """LCP.

    Attributes:
        options: its Configure-Request, in order.
        rejects: options it takes from nobody.
        silent: waits for the other end's Configure-Request before it sends its own.
        short_headers: leaves out address and control, and shortens the protocol of data, where that was agreed on;
            LCP that does not negotiate included.
        shared_identifiers: one counter for the identifiers of all protocols, else one for each.
        first_identifier: where they begin.
        identifications: texts of the Identification packets it sends once LCP is open.
        echo_at_once: sends an Echo-Request the moment LCP is open.
        terminate_data: what its Terminate-Request says; where ``terminate_magic``, after its Magic-Number.
        terminate_magic: see there.
        terminate_requests: how many of them it sends, without waiting.
        repeats_terminate_data: a Terminate-Ack carries what the request carried.
    """

    options: tuple[Option, ...] = (MAGIC,)
    rejects: frozenset[int] = frozenset()
    silent: bool = False
    short_headers: bool = False
    shared_identifiers: bool = False
    first_identifier: int = 1
    identifications: tuple[bytes, ...] = ()
    echo_at_once: bool = False
    terminate_data: bytes = b""
    terminate_magic: bool = False
    terminate_requests: int = 1
    repeats_terminate_data: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthHabits:
    """MS-CHAPv2, and the way to it.

    Attributes:
        methods: what a server asks for, in the order it falls back, by the playbook's names.
        follows_nak: goes straight to what a Nak names, else to the next of its own list.
        name: Name in a server's Challenge.
        identifier: of a server's Challenge.
        success: message of a server's Success: ``{proof}`` is ``S=`` and 40 digits.
        failure: message of a server's Failure: ``{challenge}`` is the Challenge in hex.
        failure_words: what the Terminate-Request after a Failure says.
        falls_over_message: a client that ends on a Failure with ``M=`` in it, without a word.
    """

    methods: tuple[str, ...] = ("mschap-v2",)
    follows_nak: bool = True
    name: bytes = b""
    identifier: int = 1
    success: str = "{proof}"
    failure: str = "E=691 R=0 C={challenge} V=3"
    failure_words: bytes = b""
    falls_over_message: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CcpHabits:
    """CCP.

    Attributes:
        asks: Supported Bits of its first Configure-Request.
        grants: those it grants; anything else is Nak'd with them.
        refuses_stateful: ends the link with these words when the other end insists on stateful MPPE.
    """

    asks: int = MPPE_128_STATELESS
    grants: int = MPPE_128_STATELESS
    refuses_stateful: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkHabits:
    """IPCP and IPV6CP.

    Attributes:
        options: its IPCP Configure-Request, in order; of a client the addresses are zero.
        gives: the name server options a server answers with an address; it rejects the others.
        waits_for_ccp: begins only when CCP is open, else as soon as the log-in is over.
        ipv6: whether it negotiates IPV6CP.
        ipv6_first: where it does: before CCP and IPCP, else after IPCP.
    """

    options: tuple[Option, ...] = (IP_ADDRESS,)
    gives: tuple[tuple[int, IPv4Address], ...] = ()
    waits_for_ccp: bool = False
    ipv6: bool = False
    ipv6_first: bool = False


@dataclass(frozen=True, slots=True)
class Quirk:
    """One thing this peer does that others do not.

    Attributes:
        key: a short name of it; the tests know by it where to look.
        text: what it does.
        source: where that is on record: a capture and its packets, a file of its source, a document, a thread.
    """

    key: str
    text: str
    source: str
