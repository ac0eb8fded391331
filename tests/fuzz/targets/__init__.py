"""The targets: each takes any octets, and raises only where the code under it breaks a promise."""

from __future__ import annotations

from collections.abc import Callable

from tests.fuzz.targets import control, files, gre, link, mppe, session

TARGETS: dict[str, Callable[[bytes], None]] = {
    "control-messages": control.messages,
    "control-server": control.server,
    "control-client": control.client,
    "gre": gre.tunnel,
    "lcp": link.lcp,
    "authentication": link.authentication,
    "ccp": link.ccp,
    "ipcp": link.ipcp,
    "mppe": mppe.stream,
    "endpoint": session.endpoint,
    "pcap": files.pcap,
    "chap-secrets": files.chap_secrets,
    "configuration": files.configuration,
}
