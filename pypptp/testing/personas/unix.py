"""The programs of Linux, OpenBSD and Mac OS X."""

from __future__ import annotations

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
    Acknowledging,
    AuthHabits,
    CcpHabits,
    ControlHabits,
    Departure,
    GreHabits,
    LcpHabits,
    Moment,
    NetworkHabits,
    Quirk,
)
from pypptp.testing.personas.persona import Persona

_LAB: Final = "tests/vectors/captures/lab"
_WHOLE: Final = f"{_LAB}/mppe128-stateless.pcap,"
_CHAPCRACK: Final = "moxie0/chapcrack tests/sample.dump,"
_POPTOP: Final = "chrisballinger/poptop ctrlpacket.c"
_ACCEL: Final = "accel-ppp/accel-ppp accel-pppd/ctrl/pptp/pptp.c"
_VYOS: Final = "VyOS docs/configuration/vpn/pptp.rst: accel-pptp's own log"
_LINUX: Final = "torvalds/linux drivers/net/ppp/pptp.c, pptp_xmit"
_NPPPD: Final = "openbsd/src usr.sbin/npppd"
_APPLE: Final = "apple-open-source/macos ppp/Drivers/PPTP"

_ACCM: Final = Option(lcp.OptionType.ACCM, bytes(4))
_VAN_JACOBSON: Final = Option(ipcp.OptionType.IP_COMPRESSION, bytes.fromhex("002d0f01"))

PPTP_LINUX: Final = Persona(
    name="pptp-linux",
    role=Role.CLIENT,
    quirks=(
        Quirk(
            "start-fields",
            "calls itself 'local' by 'cananian', firmware 1, with 65,535 channels",
            f"{_WHOLE} packet 4; {_CHAPCRACK} packet 10",
        ),
        Quirk(
            "call-after-a-second",
            "places its call a second after the Start-Control-Connection-Reply",
            f"{_WHOLE} packets 6 and 8; {_CHAPCRACK} packets 12 and 14",
        ),
        Quirk("window-3", "asks for 2,400 to 10,000,000 bit/s with a window of 3", f"{_WHOLE} packet 8"),
        Quirk("gre-from-1", "numbers its GRE packets from 1", f"{_WHOLE} packet 11; {_CHAPCRACK} packet 18"),
        Quirk("accm", "asks in LCP for ACCM 0 first, and for PFC and ACFC last (pppd)", f"{_WHOLE} packet 11"),
        Quirk(
            "echo-at-once",
            "sends an LCP Echo-Request the moment LCP is open, before the log-in (pppd)",
            f"{_WHOLE} packet 15",
        ),
        Quirk(
            "short-lcp",
            "leaves out address and control in LCP too where it does not negotiate (pppd)",
            f"{_WHOLE} packets 15 and 17",
        ),
        Quirk(
            "two-strengths",
            "asks in CCP for 128 and 40 bits at once (pppd with require-mppe)",
            f"{_CHAPCRACK} packet 27",
        ),
        Quirk("ipcp-after-ccp", "begins with IPCP only when CCP is open (pppd)", f"{_WHOLE} packets 25 to 31"),
        Quirk("van-jacobson", "asks for Van Jacobson compression (pppd)", f"{_WHOLE} packet 31"),
        Quirk("ipv6cp-after-ipcp", "begins with IPV6CP right after IPCP (pppd)", f"{_WHOLE} packets 31 and 33"),
        Quirk(
            "terminate-twice",
            "sends two Terminate-Requests at once, 'MPPE disabled' (pppd)",
            f"{_WHOLE} packets 548 and 549; {_CHAPCRACK} packets 178 and 179",
        ),
        Quirk(
            "clear-and-fin",
            "sends Call-Clear-Request and FIN together, and waits for no answer",
            f"{_CHAPCRACK} packets 184 and 185; {_LAB}/README.md",
        ),
    ),
    control=ControlHabits(
        maximum_channels=65535,
        firmware=1,
        host_name=b"local",
        vendor_name=b"cananian",
        minimum_bps=2400,
        maximum_bps=10_000_000,
        call_delay=1.0,
        window=3,
        departure=Departure.CLEAR_THEN_TCP,
    ),
    gre=GreHabits(first_sequence=1),
    lcp=LcpHabits(
        options=(_ACCM, MAGIC, PFC, ACFC),
        short_headers=True,
        echo_at_once=True,
        terminate_data=b"MPPE disabled",
        terminate_requests=2,
    ),
    auth=AuthHabits(failure_words=b"Failed to authenticate ourselves to peer"),
    ccp=CcpHabits(asks=MPPE_128_STATELESS | ccp.SupportedBits.BITS_40),
    network=NetworkHabits(options=(_VAN_JACOBSON, IP_ADDRESS), waits_for_ccp=True, ipv6=True),
)

PPTPD: Final = Persona(
    name="pptpd",
    role=Role.SERVER,
    quirks=(
        Quirk(
            "start-fields",
            "calls itself 'local' by 'linux', firmware 1, one channel, without framing or bearer capabilities",
            f"{_WHOLE} packet 6; {_POPTOP}, deal_start_ctrl_conn",
        ),
        Quirk(
            "call-repeated",
            "tells the client's own maximum speed and window back",
            f"{_WHOLE} packets 8 and 9; {_POPTOP}, deal_out_call",
        ),
        Quirk("call-id-zero", "the call id of its first call is 0", f"{_WHOLE} packet 9"),
        Quirk("accm", "asks in LCP for ACCM 0 first, and for PFC and ACFC last (pppd)", f"{_WHOLE} packet 12"),
        Quirk(
            "echo-at-once",
            "sends an LCP Echo-Request the moment LCP is open, before its Challenge (pppd)",
            f"{_WHOLE} packets 16 and 18",
        ),
        Quirk(
            "short-lcp",
            "leaves out address and control in LCP too where it does not negotiate (pppd)",
            f"{_WHOLE} packets 16 and 19",
        ),
        Quirk("success-words", "its Success says M=Access granted (pppd)", f"{_WHOLE} packet 22"),
        Quirk("ipcp-after-ccp", "begins with IPCP only when CCP is open (pppd)", f"{_WHOLE} packets 26 to 28"),
        Quirk("van-jacobson", "asks for Van Jacobson compression (pppd)", f"{_CHAPCRACK} packet 34"),
        Quirk("ipv6cp-after-ipcp", "begins with IPV6CP right after IPCP (pppd)", f"{_WHOLE} packets 28 and 29"),
        Quirk(
            "failure-words",
            "its Failure is E=691 R=1 with V=0, not 3, and a Terminate-Request follows at once (pppd)",
            f"{_LAB}/auth-fail-badpw.pcap, packets 22 and 23",
        ),
        Quirk(
            "terminate-twice",
            "sends two Terminate-Requests at once, 'MPPE disabled' (pppd)",
            f"{_LAB}/disc-server.pcap, packets 52 and 53",
        ),
        Quirk(
            "fin-only",
            "ends with FIN after that, without Call-Disconnect-Notify",
            f"{_LAB}/disc-server.pcap, and README.md there",
        ),
    ),
    control=ControlHabits(
        framing=0,
        bearer=0,
        maximum_channels=1,
        firmware=1,
        host_name=b"local",
        vendor_name=b"linux",
        call_id=0,
        window=None,
        departure=Departure.LINK_THEN_TCP,
    ),
    lcp=LcpHabits(
        options=(_ACCM, AUTHENTICATION, MAGIC, PFC, ACFC),
        short_headers=True,
        echo_at_once=True,
        terminate_data=b"MPPE disabled",
        terminate_requests=2,
    ),
    auth=AuthHabits(
        name=b"pptpd",
        identifier=164,
        success="{proof} M=Access granted",
        failure="E=691 R=1 C={challenge} V=0 M=Access denied",
        failure_words=b"Authentication failed",
    ),
    network=NetworkHabits(options=(_VAN_JACOBSON, IP_ADDRESS), waits_for_ccp=True, ipv6=True),
)

ACCEL_PPP: Final = Persona(
    name="accel-ppp",
    role=Role.SERVER,
    quirks=(
        Quirk(
            "start-fields",
            "calls itself 'local' by 'cananian', as pptp-linux does, firmware 1, one channel",
            f"{_ACCEL}, send_pptp_start_ctrl_conn_rply, and pptp_prot.h",
        ),
        Quirk(
            "call-repeated",
            "tells the client's own maximum speed and window back",
            f"{_ACCEL}, send_pptp_out_call_rply",
        ),
        Quirk(
            "methods",
            "asks for PAP, CHAP-MD5, MS-CHAP and MS-CHAPv2 in turn, one step with each Nak, whatever that names",
            _VYOS,
        ),
        Quirk("lcp-order", "asks in LCP for the method first, MRU 1436 and the Magic-Number behind it", _VYOS),
        Quirk("rejects-compression", "rejects PFC and ACFC", _VYOS),
        Quirk("success-words", "its Success says M=Authentication succeeded", _VYOS),
        Quirk("ipcp-early", "begins with IPCP while CCP is still being negotiated", _VYOS),
        Quirk("gre-from-1", "numbers its GRE packets from 1", _LINUX),
        Quirk("acks-with-data", "acknowledges with data only, never alone", _LINUX),
        Quirk(
            "disconnect-names-peer",
            "puts the client's call id into Call-Disconnect-Notify, where its own belongs",
            f"{_ACCEL}, send_pptp_call_disconnect_notify",
        ),
    ),
    control=ControlHabits(
        maximum_channels=1,
        firmware=1,
        host_name=b"local",
        vendor_name=b"cananian",
        window=None,
        disconnect_names_peer=True,
    ),
    gre=GreHabits(first_sequence=1, acknowledging=Acknowledging.WITH_DATA_ONLY),
    lcp=LcpHabits(
        options=(AUTHENTICATION, Option(lcp.OptionType.MRU, (1436).to_bytes(2, "big")), MAGIC),
        rejects=frozenset((lcp.OptionType.PFC, lcp.OptionType.ACFC)),
    ),
    auth=AuthHabits(
        methods=("pap", "chap-md5", "mschap", "mschap-v2"),
        follows_nak=False,
        success="{proof} M=Authentication succeeded",
    ),
)

NPPPD: Final = Persona(
    name="npppd",
    role=Role.SERVER,
    quirks=(
        Quirk(
            "start-fields",
            "calls itself 'IIJ' without a host name, with synchronous framing, digital bearers and four channels",
            f"{_NPPPD}/pptp/pptp_ctrl.c 1.1, pptp_ctrl_send_SCCRP",
        ),
        Quirk(
            "speed-cut",
            "cuts its speed, 10,000,000 bit/s, to 16 bits: on the wire it is 2,524,971,008",
            f"{_NPPPD}/pptp/pptp_call.c 1.1, pptp_call_send_OCRP, on a little-endian machine",
        ),
        Quirk(
            "channel-is-call",
            "gives its call id as Physical Channel ID too",
            f"{_NPPPD}/pptp/pptp_call.c 1.1, pptp_call_send_OCRP",
        ),
        Quirk(
            "silent",
            "waits for the client's LCP before it sends a Configure-Request of its own",
            f"{_NPPPD}/npppd/lcp.c 1.11, OPT_SILENT in lcp_init",
        ),
        Quirk(
            "lcp-order",
            "asks in LCP for MRU, PFC, ACFC, the Magic-Number and the method, in this order",
            f"{_NPPPD}/npppd/lcp.c 1.11, lcp_addci",
        ),
        Quirk(
            "every-strength",
            "asks in CCP for 128, 56 and 40 bits at once",
            f"{_NPPPD}/npppd/mppe.c 1.1, mppe_create_our_bits",
        ),
        Quirk("gre-from-1", "numbers its GRE packets from 1", f"{_NPPPD}/pptp/pptp_call.c 1.1, pptp_call_init"),
        Quirk(
            "acks-always",
            "acknowledges with every packet, news or not",
            f"{_NPPPD}/pptp/pptp_call.c 1.1, pptp_call_ppp_output",
        ),
        Quirk(
            "success-bare",
            "its Success is S= and 40 digits, without M=",
            f"{_NPPPD}/npppd/chap.c, mschapv2_authenticate",
        ),
        Quirk(
            "failure-bare",
            "its Failure has R=0 and no M=, for the sake of Mac OS 10.4",
            f"{_NPPPD}/npppd/chap.c, mschapv2_send_error",
        ),
    ),
    note="The value of its MRU is a setting.",
    control=ControlHabits(
        framing=2,
        bearer=2,
        maximum_channels=4,
        firmware=0x0502,
        vendor_name=b"IIJ",
        connect_speed=0x96800000,
        channel_is_call=True,
        disconnect_result=4,
    ),
    gre=GreHabits(first_sequence=1, acknowledging=Acknowledging.WITH_ALL_DATA),
    lcp=LcpHabits(
        options=(Option(lcp.OptionType.MRU, (1400).to_bytes(2, "big")), PFC, ACFC, MAGIC, AUTHENTICATION), silent=True
    ),
    ccp=CcpHabits(asks=MPPE_128_STATELESS | ccp.SupportedBits.BITS_56 | ccp.SupportedBits.BITS_40),
)

MACOS_10_4: Final = Persona(
    name="Mac OS X 10.4",
    role=Role.CLIENT,
    quirks=(
        Quirk(
            "start-bare",
            "says neither host nor vendor, firmware 0, asynchronous framing and analog bearers only",
            f"{_APPLE}/PPTP-plugin/pptp.c, pptp_outgoing_call",
        ),
        Quirk(
            "speeds-windows",
            "asks for 300 to 100,000,000 bit/s with a window of 64, as Windows does",
            f"{_APPLE}/PPTP-plugin/pptp.c, pptp_outgoing_call, and pptp.h",
        ),
        Quirk(
            "link-info-at-call",
            "sends Set-Link-Info as soon as the call is connected",
            f"{_APPLE}/PPTP-plugin/pptp.c, pptp_outgoing_call",
        ),
        Quirk("gre-from-1", "numbers its GRE packets from 1", f"{_APPLE}/PPTP-extension/pptp_rfc.c, pptp_rfc_output"),
        Quirk(
            "acks-always",
            "acknowledges with every packet, news or not",
            f"{_APPLE}/PPTP-extension/pptp_rfc.c, pptp_rfc_output",
        ),
        Quirk(
            "stateful-refused",
            "ends the link where the server wants stateful MPPE",
            "office20.blogspot.com, June 2006: the log of Mac OS X 10.4.6 with DD-WRT's server",
        ),
        Quirk(
            "failure-message",
            "ends without a word on a Failure with M= in it",
            f"{_NPPPD}/npppd/chap.c, the comment in mschapv2_send_error",
        ),
    ),
    note="LCP, CCP and IPCP are not on record; Apple's later sources stand for those of 10.4.",
    control=ControlHabits(framing=1, bearer=1, set_link_info=Moment.CALL),
    gre=GreHabits(first_sequence=1, acknowledging=Acknowledging.WITH_ALL_DATA),
    auth=AuthHabits(falls_over_message=True),
    ccp=CcpHabits(refuses_stateful=b"MPPE required but peer negotiation failed"),
)
