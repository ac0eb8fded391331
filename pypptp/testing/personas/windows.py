"""Windows: its clients of three generations, and its server."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Final

from pypptp.ppp import ccp, ipcp, lcp
from pypptp.ppp.packet import Option
from pypptp.roles import Role
from pypptp.testing.personas.habits import (
    ACFC,
    AUTHENTICATION,
    IP_ADDRESS,
    MAGIC,
    MPPE_128_STATELESS,
    PFC,
    AuthHabits,
    CcpHabits,
    ControlHabits,
    LcpHabits,
    Moment,
    NetworkHabits,
    Quirk,
)
from pypptp.testing.personas.persona import Persona

_RERANGE: Final = "rerange/pptpcrack data/test.pcap (port 1723 and GRE),"
_TCPDUMP: Final = "the-tcpdump-group/tcpdump tests/pptp.pcap,"
_PASTE: Final = "pastebin.com/Ug5M5qte: RouterOS's log of a Windows XP client"
_FESTY: Final = "Ubuntu Forums, 'New PPTP server problem with Festy', 2007-04-24: pppd's log of a Windows XP client"
_VYOS: Final = "VyOS docs/configuration/vpn/pptp.rst: accel-pptp's log of a Windows 10 client"
_RNAS: Final = "[MS-RNAS] section 2.2.1.2"

_MRU: Final = Option(lcp.OptionType.MRU, (1400).to_bytes(2, "big"))
_CALLBACK: Final = Option(lcp.OptionType.CALLBACK, b"\x06")
_MRRU: Final = Option(lcp.OptionType.MRRU, (1614).to_bytes(2, "big"))
_ENDPOINT: Final = Option(lcp.OptionType.ENDPOINT_DISCRIMINATOR, b"\x01" + bytes(range(16)) + bytes(4))
_ZERO: Final = bytes(4)
_FOUR_NAME_SERVERS: Final = (
    IP_ADDRESS,
    Option(ipcp.OptionType.PRIMARY_DNS, _ZERO),
    Option(ipcp.OptionType.PRIMARY_NBNS, _ZERO),
    Option(ipcp.OptionType.SECONDARY_DNS, _ZERO),
    Option(ipcp.OptionType.SECONDARY_NBNS, _ZERO),
)
_EVERY_STRENGTH: Final = (
    ccp.SupportedBits.STATELESS
    | ccp.SupportedBits.BITS_128
    | ccp.SupportedBits.BITS_56
    | ccp.SupportedBits.BITS_40
    | ccp.SupportedBits.COMPRESSION
)
_CORRELATION: Final = bytes(range(0x80, 0x90))
_TERMINATION: Final = bytes.fromhex("003ccd7400000000")

WINDOWS_2000: Final = Persona(
    name="Windows 2000",
    role=Role.CLIENT,
    quirks=(
        Quirk(
            "start-nt",
            "calls itself 'Microsoft Windows NT' with its build as firmware, and knows asynchronous framing and analog "
            "bearers only",
            f"{_TCPDUMP} packet 5",
        ),
        Quirk("call-id-zero", "its call id is 0", f"{_TCPDUMP} packet 10; {_PASTE}, the same"),
        Quirk(
            "speeds-windows",
            "asks for 300 to 100,000,000 bit/s with a window of 64",
            f"{_TCPDUMP} packet 10",
        ),
        Quirk("link-info-at-call", "sends Set-Link-Info as soon as the call is connected", f"{_TCPDUMP} packet 15"),
        Quirk(
            "lcp-multilink",
            "asks in LCP for no MRU, but for CALLBACK (CBCP), MRRU 1614 and an endpoint discriminator",
            f"{_TCPDUMP} packet 16",
        ),
        Quirk(
            "identification",
            "says MSRASV5.00 and MSRAS-1- with its computer's name in LCP Identification (1: it takes messages)",
            "Ubuntu Forums, 'PPP server, RAS server: help', 2007-09-26: pppd's log of a Windows 2000 client",
        ),
    ),
    note="CCP, IPCP and the end of a session are not on record; they are those of Windows XP.",
    control=ControlHabits(
        framing=1,
        bearer=1,
        firmware=2160,
        vendor_name=b"Microsoft Windows NT",
        call_id=0,
        serial=30760,
        set_link_info=Moment.CALL,
    ),
    lcp=LcpHabits(
        options=(MAGIC, PFC, ACFC, _CALLBACK, _MRRU, _ENDPOINT),
        short_headers=True,
        first_identifier=0,
        shared_identifiers=True,
        identifications=(b"MSRASV5.00", b"MSRAS-1-PERSONA"),
    ),
    ccp=CcpHabits(asks=_EVERY_STRENGTH),
    network=NetworkHabits(options=_FOUR_NAME_SERVERS),
)

WINDOWS_XP: Final = Persona(
    name="Windows XP",
    role=Role.CLIENT,
    quirks=(
        Quirk(
            "start-nt",
            "calls itself 'Microsoft Windows NT' with its build, 2600, as firmware, and knows asynchronous framing and "
            "analog bearers only",
            _PASTE,
        ),
        Quirk("call-id-zero", "its call id is 0", _PASTE),
        Quirk("speeds-only", "asks for 300 to 100,000,000 bit/s", _PASTE),
        Quirk("lcp-callback", "asks in LCP for CALLBACK (CBCP), behind MRU, Magic-Number, PFC and ACFC", _FESTY),
        Quirk("link-info-at-lcp", "sends Set-Link-Info when LCP is open", _FESTY),
        Quirk("identification", "says MSRASV5.10 in LCP Identification", f"{_RNAS}; {_FESTY}"),
        Quirk("one-counter", "counts the identifiers of LCP, CCP and IPCP in one row", _FESTY),
        Quirk("every-strength", "asks in CCP for 128, 56 and 40 bits and for MPPC, all at once", _FESTY),
        Quirk("ipcp-early", "begins with IPCP while CCP is still being negotiated", _FESTY),
        Quirk("four-name-servers", "asks for DNS, NBNS, DNS, NBNS, in this order, with 0.0.0.0", _FESTY),
    ),
    note="Its window and how it ends a session are not on record, nor whether a Set-Link-Info comes earlier too.",
    control=ControlHabits(
        framing=1,
        bearer=1,
        firmware=2600,
        vendor_name=b"Microsoft Windows NT",
        call_id=0,
        serial=31240,
        set_link_info=Moment.LCP,
    ),
    lcp=LcpHabits(
        options=(_MRU, MAGIC, PFC, ACFC, _CALLBACK),
        short_headers=True,
        shared_identifiers=True,
        identifications=(b"MSRASV5.10", b"MSRAS-0-PERSONA"),
    ),
    ccp=CcpHabits(asks=_EVERY_STRENGTH),
    network=NetworkHabits(options=_FOUR_NAME_SERVERS),
)

WINDOWS_10: Final = Persona(
    name="Windows 10",
    role=Role.CLIENT,
    quirks=(
        Quirk(
            "start-microsoft",
            "calls itself 'Microsoft', firmware 0, and knows asynchronous framing and analog bearers only",
            f"{_RERANGE} packet 31; {_VYOS}",
        ),
        Quirk(
            "speeds-windows", "asks for 300 to 100,000,000 bit/s with a window of 64", f"{_RERANGE} packet 33; {_VYOS}"
        ),
        Quirk(
            "correlation",
            "puts 16 octets into the Subaddress of its call which are its third LCP Identification too",
            f"{_RERANGE} packets 33 and 46",
        ),
        Quirk(
            "link-info-at-call",
            "sends Set-Link-Info as soon as the call is connected",
            f"{_RERANGE} packet 35; {_VYOS}",
        ),
        Quirk("link-info-at-lcp", "sends Set-Link-Info again when LCP is open", f"{_RERANGE} packet 48; {_VYOS}"),
        Quirk(
            "lcp-callback",
            "asks in LCP for CALLBACK (CBCP), behind MRU, Magic-Number, PFC and ACFC",
            f"{_RERANGE} packet 36; {_VYOS}",
        ),
        Quirk(
            "identification",
            "says MSRASV5.20 and MSRAS-0- with its computer's name in LCP Identification",
            f"{_RERANGE} packets 44 and 45; {_VYOS}; {_RNAS}",
        ),
        Quirk(
            "short-lcp",
            "leaves out address and control in LCP too where it does not negotiate (RFC 1661 6.6 says never in LCP)",
            f"{_RERANGE} packets 44 to 46",
        ),
        Quirk(
            "one-counter",
            "counts the identifiers of LCP, IPV6CP, CCP and IPCP in one row, from 0",
            f"{_RERANGE} packets 36 to 57",
        ),
        Quirk("ipv6cp-first", "begins with IPV6CP, before CCP and IPCP", f"{_RERANGE} packets 55 to 57"),
        Quirk("ipcp-early", "begins with IPCP while CCP is still being negotiated", f"{_RERANGE} packets 56 and 57"),
        Quirk(
            "four-name-servers",
            "asks for DNS, NBNS, DNS, NBNS, in this order, with 0.0.0.0",
            f"{_RERANGE} packet 57; {_VYOS}",
        ),
        Quirk(
            "link-info-at-end",
            "sends Set-Link-Info right before its Terminate-Request",
            f"{_RERANGE} packets 16 and 17",
        ),
        Quirk(
            "terminate-code",
            "puts its Magic-Number and the number 0x003ccd74 into its Terminate-Request",
            f"{_RERANGE} packet 17",
        ),
    ),
    note="The capture is of a client that says MSRASV5.20, as Windows 7 and later do.",
    control=ControlHabits(
        framing=1,
        bearer=1,
        vendor_name=b"Microsoft",
        serial=19,
        subaddress=_CORRELATION,
        set_link_info=Moment.CALL | Moment.LCP | Moment.END,
    ),
    lcp=LcpHabits(
        options=(_MRU, MAGIC, PFC, ACFC, _CALLBACK),
        rejects=frozenset((lcp.OptionType.MRRU, lcp.OptionType.ENDPOINT_DISCRIMINATOR)),
        short_headers=True,
        first_identifier=0,
        shared_identifiers=True,
        identifications=(b"MSRASV5.20", b"MSRAS-0-PERSONA", _CORRELATION),
        terminate_data=_TERMINATION,
        terminate_magic=True,
    ),
    network=NetworkHabits(options=_FOUR_NAME_SERVERS, ipv6=True, ipv6_first=True),
)

RRAS: Final = Persona(
    name="RRAS",
    role=Role.SERVER,
    quirks=(
        Quirk(
            "start-fields",
            "calls itself 'Microsoft', firmware 0, with synchronous framing only and any bearer",
            f"{_RERANGE} packet 32",
        ),
        Quirk(
            "call-in-host-order",
            "tells speed and window in the order of its processor: 1,000,000,000 bit/s read as 13,277,755, a window of "
            "64 as 16,384",
            f"{_RERANGE} packet 34",
        ),
        Quirk("methods", "asks for EAP first, and takes a Nak to MS-CHAPv2", f"{_RERANGE} packets 37, 41 and 42"),
        Quirk(
            "lcp-multilink",
            "asks in LCP for CALLBACK (CBCP), MRRU 1614 and an endpoint discriminator too",
            f"{_RERANGE} packet 37",
        ),
        Quirk(
            "link-info-at-lcp", "sends Set-Link-Info, which is a client's, when LCP is open", f"{_RERANGE} packet 47"
        ),
        Quirk(
            "success-bare",
            "its Success is S= and 40 digits, without M=",
            f"{_RERANGE} packet 51; openbsd/src usr.sbin/npppd/npppd/chap.c, the comment in mschapv2_send_error",
        ),
        Quirk("mppc", "asks in CCP for MPPC beside MPPE, and takes a Nak", f"{_RERANGE} packets 58, 63 and 66"),
        Quirk("ipcp-early", "begins with IPCP while CCP is still being negotiated", f"{_RERANGE} packets 58 and 59"),
        Quirk(
            "dns-one-rejected",
            "gives the first name server and rejects the second, which it has not",
            f"{_RERANGE} packets 62 and 67",
        ),
        Quirk(
            "one-counter", "counts the identifiers of all protocols in one row, from 0", f"{_RERANGE} packets 37 to 60"
        ),
        Quirk(
            "terminate-repeated",
            "repeats the data of a Terminate-Request in its Terminate-Ack",
            f"{_RERANGE} packets 17 and 19",
        ),
        Quirk(
            "disconnect-zero",
            "answers Call-Clear-Request with a Call-Disconnect-Notify of result 0, which there is not",
            f"{_RERANGE} packets 20 and 21",
        ),
    ),
    note="Callback (CBCP) is left out: who rejects that option never sees it. How it ends a session is not on record.",
    control=ControlHabits(
        framing=2,
        bearer=3,
        vendor_name=b"Microsoft",
        connect_speed=0x00CA9A3B,
        window=16384,
        set_link_info=Moment.LCP | Moment.END,
        disconnect_result=0,
    ),
    lcp=LcpHabits(
        options=(_MRU, AUTHENTICATION, MAGIC, PFC, ACFC, _CALLBACK, _MRRU, _ENDPOINT),
        short_headers=True,
        first_identifier=0,
        shared_identifiers=True,
        repeats_terminate_data=True,
    ),
    auth=AuthHabits(methods=("eap", "mschap-v2"), name=b"PERSONA", identifier=0),
    ccp=CcpHabits(asks=MPPE_128_STATELESS | ccp.SupportedBits.COMPRESSION),
    network=NetworkHabits(gives=((ipcp.OptionType.PRIMARY_DNS, IPv4Address("10.222.0.53")),)),
)
