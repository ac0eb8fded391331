"""The table that every pair is run over.

A row that a pair cannot have says why, and the reason is its cell in the matrix.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .peers.settings import Settings


@dataclass(frozen=True, slots=True)
class Case:
    """One row: how both ends are set, what the wire does (`netem`), which pairs it is not for and why."""

    name: str
    title: str
    settings: Settings = field(default_factory=Settings)
    netem: tuple[str, ...] = ()
    octets: int = 1_000_000
    limit: float = 30.0
    not_for: Mapping[str, str] = field(default_factory=dict)


OURS, REAL = "pypptp-pypptp", "pptplinux-pptpd"
BOTH_REFUSE = "no pppd in this pair to offer it"
PLAIN = Settings(mppe=None)

OPTIONS = (
    Case("mppe128-stateless", "MS-CHAPv2, MPPE 128, stateless"),
    Case("mppe128-stateful", "MPPE 128, stateful", Settings(stateful=True)),
    Case("mppe40-stateless", "MPPE 40, stateless", Settings(mppe="40")),
    Case("mppe40-stateful", "MPPE 40, stateful", Settings(mppe="40", stateful=True)),
    Case("no-mppe", "MS-CHAPv2, no encryption", PLAIN),
    Case("mschapv1", "MS-CHAPv1, MPPE 128", Settings(auth="mschap")),
    Case("chap-md5", "CHAP-MD5, no encryption", Settings(auth="chap", mppe=None)),
    Case("pap", "PAP, no encryption", Settings(auth="pap", mppe=None)),
    Case("dns", "name servers given and asked for", Settings(dns=True)),
    Case("mtu-1400", "MTU and MRU 1400", Settings(mtu=1400)),
    Case("mtu-1496", "MTU and MRU 1496: fragments outside", Settings(mtu=1496)),
    Case("mtu-576", "MTU and MRU 576", Settings(mtu=576)),
    Case("no-field-compression", "PFC and ACFC off", Settings(field_compression=False)),
    Case(
        "vj-offered",
        "pppd offers VJ header compression",
        Settings(mppe=None, offers=("vj",)),
        not_for={OURS: BOTH_REFUSE},
    ),
    Case(
        "deflate-offered", "pppd offers Deflate", Settings(mppe=None, offers=("deflate",)), not_for={OURS: BOTH_REFUSE}
    ),
    Case(
        "bsd-offered",
        "pppd offers BSD-Compress",
        Settings(mppe=None, offers=("bsd",)),
        not_for={REAL: "Linux 6.1 loses BSD-Compress synchronisation with itself and pppd ends CCP", OURS: BOTH_REFUSE},
    ),
    Case("ipv6cp-offered", "pppd offers IPv6CP", Settings(offers=("ipv6",)), not_for={OURS: BOTH_REFUSE}),
    Case("lcp-echo", "LCP echo every 3 s", Settings(echo=3)),
    # MTU 1400, so that a packet is lost once and not once per fragment.
    Case("loss-1", "1 % loss", Settings(mtu=1400), netem=("loss", "1%"), limit=90),
    Case("loss-8", "8 % loss, 100 kB", Settings(mtu=1400), netem=("loss", "8%"), octets=100_000, limit=120),
    Case("reorder", "20 ms, 30 % reordered", Settings(mtu=1400), netem=("delay", "20ms", "reorder", "30%"), limit=60),
    Case(
        "loss-1-stateful",
        "1 % loss, stateful, 100 kB",
        Settings(mtu=1400, stateful=True),
        netem=("loss", "1%"),
        octets=100_000,
        limit=90,
        not_for={REAL: "under loss Linux's ppp_mppe loses stateful synchronisation with itself for good"},
    ),
)

FAILURES = {
    "server-ends": "the server ends the call",
    "wrong-password": "wrong password",
    "unknown-user": "unknown user",
    "server-refuses-mppe": "server refuses MPPE, client requires it",
    "client-refuses-mppe": "client refuses MPPE, server requires it",
    "client-refuses-mschapv2": "client refuses MS-CHAPv2, server requires it",
    "pool-exhausted": "address pool exhausted",
    "server-killed": "server killed with SIGKILL",
    "client-killed": "client killed with SIGKILL",
    "server-pppd-killed": "server's pppd killed",
    "client-pppd-killed": "client's pppd killed",
    "link-down": "link down for 6 s under load",
    "link-down-30": "link down for 30 s under load",
    "two-clients-one-address": "two clients at one address",
    "two-clients-nat": "two clients behind a NAT",
    "ten-clients": "ten clients at once",
    "reconnect": "reconnect right after a drop",
}
"""The rows that each have a test of their own: name and title."""

OLD_FILES = {
    "old-files": "client set up by pptpsetup",
    "old-files-setup": "client set up by pypptp setup",
}
"""The rows in which both ends go by the files of the old recipe."""

SEEN = {
    "seen-call-ids": "pptpd's first call id is 0, the next 0x80",
    "seen-client-leaves": "pptp-linux waits a second before its call; pptpd answers Call-Clear-Request by closing TCP; "
    "pppd says goodbye twice",
    "seen-server-pppd-ends": "pptpd closes TCP without a message when its pppd is gone",
    "seen-server-sigterm": "pptpctrl sends Call-Disconnect-Notify and Stop-Control-Connection-Request on SIGTERM",
    "seen-stateless-first": "pppd asks for stateless MPPE even with mppe-stateful",
}
"""What the real programs do, looked at in the control pair."""
