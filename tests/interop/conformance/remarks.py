"""What is to be said beyond the checks' own words, to be fair to a program or to explain what was seen."""

from __future__ import annotations

from typing import Final

NOTES: Final[dict[str, str]] = {
    "pptpd": "pptpd's manager reads the first message of each connection itself before it accepts another one. So a "
    "silent connection holds up everybody else for `stimeout`; and one that is accepted just when the process of "
    "another one ends is closed at once (`MGR: dropped slow initial connection` in its log, the read having been "
    "interrupted by a signal). A check that only wants to begin dials once more then.",
    "pptp-linux": "Each check starts a pptp and a pppd of its own, after what was left of those before was killed: a "
    "call manager that outlives its connection would be used by the next pptp, which then never connects.",
}
"""By target: what concerns many of its findings."""

_RESET = (
    "Linux's ppp_mppe takes such a frame for lost synchronisation: pppd sends CCP Reset-Request and nothing is "
    "decrypted until a Reset-Ack comes. RFC 3078 has no Reset-Ack for MPPE (section 8.2), and stateless mode needs no "
    "Reset-Request (section 8.1)."
)
_CLEAR = "Linux's ppp_generic passes packets in clear on to the system, whether or not pppd requires MPPE."
_INSIDE = "What comes out of MPPE is treated like what came in clear, whatever its protocol; here it ended the link."
_CUT = (
    "A packet cut off behind its sequence number is taken for the frame of that number, and what its length field "
    "promises is read from beyond its end; the genuine frame of that number is then a duplicate."
)
_LENGTH = (
    "The frame is passed on although the packet does not hold all of it; the genuine frame of that number is then a "
    "duplicate."
)
_COMPRESSED = (
    "Linux's ppp_async exempts the LCP codes 1 to 7 from field compression. Echo packets, which are codes 9 and 10, go "
    "out like data; RFC 1661 makes no difference between codes."
)
_EARLY = (
    "That is what RFC 1661 section 4.1 has for a protocol in state Closed. pppd begins with IPCP itself once CCP is "
    "open, and a peer that then asks again comes up."
)

REMARKS: Final[dict[tuple[str, str], str]] = {
    (
        "pptpd",
        "cc/3.1/3",
    ): "With `connections` of them there it accepts no more; who comes then waits without an answer, "
    "from whatever address.",
    ("pptpd", "cc/2.7/7"): "A call id is made of the number of the first free slot.",
    ("pptpd", "cc/2.12/2"): "Any Call-Clear-Request ends the connection, whatever id it names.",
    (
        "pptpd",
        "life/1",
    ): "SIGTERM went to the daemon alone; the processes of its connections go on. Where systemd stops "
    "it, each of them is sent SIGTERM, too.",
    **{
        (target, check_id): remark
        for target in ("pptpd", "pptp-linux")
        for check_id, remark in {
            "gre/4.1/4": _CUT,
            "gre/4.1/5": _LENGTH,
            "lcp/6.5/1": _COMPRESSED,
            "lcp/6.5/2": _RESET,
            "mppe/3/2": _RESET,
            "mppe/3/3": _CLEAR,
            "mppe/3/4": _INSIDE,
            "mppe/8/3": _RESET,
            "ipcp/7/1": _EARLY,
            "data/4": _RESET,
        }.items()
    },
}
"""By target and check: one or two sentences. A run says when one is about something that is not found any more."""
