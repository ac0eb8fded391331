"""Routers that take PPTP calls."""

from __future__ import annotations

from typing import Final

from pypptp.ppp import lcp
from pypptp.roles import Role
from pypptp.testing.personas.habits import AUTHENTICATION, MAGIC, ControlHabits, Departure, GreHabits, LcpHabits, Quirk
from pypptp.testing.personas.persona import Persona

_PASTE: Final = "pastebin.com/Ug5M5qte: RouterOS's own log"
_VPN_3000: Final = "Cisco, VPN 3000 Concentrator Series User Guide, page 7-4"

ROUTEROS: Final = Persona(
    name="RouterOS",
    role=Role.SERVER,
    quirks=(
        Quirk(
            "start-fields",
            "calls itself 'MikroTik', firmware 1, with synchronous framing, no bearer capability and no channels",
            _PASTE,
        ),
        Quirk("rejects-compression", "rejects PFC, ACFC and ACCM", "ppp-project/ppp issue 84"),
    ),
    note="Its own LCP, CCP and IPCP are not on record; the host name is the router's identity.",
    control=ControlHabits(
        framing=2, bearer=0, firmware=1, host_name=b"MikroTik", vendor_name=b"MikroTik", host_name_is_own=True
    ),
    lcp=LcpHabits(
        options=(AUTHENTICATION, MAGIC),
        rejects=frozenset((lcp.OptionType.ACCM, lcp.OptionType.PFC, lcp.OptionType.ACFC)),
    ),
)

CISCO: Final = Persona(
    name="Cisco",
    role=Role.SERVER,
    quirks=(
        Quirk(
            "reserved0",
            "the Reserved0 of its control messages is not 0",
            "quozl/pptp pptp_ctrl.c, the remark in pptp_make_packet",
        ),
        Quirk("window-16", "gives a window of 16 packets and a processing delay of a tenth of a second", _VPN_3000),
        Quirk("acks-late", "lets an acknowledgement wait half a second for data to travel with", _VPN_3000),
        Quirk(
            "disconnect-and-stop",
            "ends with Call-Disconnect-Notify and Stop-Control-Connection-Request, the link not at all",
            "Troubleshooting Virtual Private Networks, Cisco Press (ISBN 1587051044), appendix A on PPTP, question 8",
        ),
    ),
    note="Two families of its routers are in this one. Its Start-Control-Connection-Reply, LCP, CCP and IPCP, and the "
    "value of Reserved0, are not on record.",
    control=ControlHabits(
        start_known=False, reserved0=1, window=16, processing_delay=1, departure=Departure.CONNECTION
    ),
    gre=GreHabits(ack_delay=0.5),
    lcp=LcpHabits(options=(AUTHENTICATION, MAGIC)),
)
