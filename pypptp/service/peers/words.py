"""What pppd's words mean in a peers file, to a PPTP client that is no pppd.

The words are those of pppd_words.py, and most mean the same at either end; here are those that do not. ``pptp_server``
and its kin are words of pppd's plugin ``pptp.so``, which has the kernel carry the packets.
"""

from __future__ import annotations

from collections.abc import Mapping

from pypptp.service.meanings import Effect, Meaning
from pypptp.service.pppd_words import PPPD_WORDS

REFUSALS = {
    "refuse-mschap-v2": "mschap-v2",
    "refuse-mschap": "mschap",
    "refuse-chap": "chap",
    "refuse-pap": "pap",
}
"""The words with which a pppd does without a way of logging in, the best one first."""

PLUGIN_WORDS = ("pptp_server", "pptp_phone", "pptp_window", "pptp_timeout", "pptp_client")

_SETTINGS = {
    "pty": "server",
    "pptp_server": "server",
    "name": "user, where there is no user word",
    "user": "user",
    "password": "the password",
    "remotename": "the second column of the line with the password",
    "usehostname": "user, the host's name",
    "domain": "user, where it is the host's",
    **dict.fromkeys(REFUSALS, "auth, the ways that are left"),
    "defaultroute": "default-route",
    "replacedefaultroute": "default-route",
    "nodefaultroute": "default-route, off",
    "usepeerdns": "use-peer-dns",
    "unit": "ifname",
    "ifname": "ifname",
    "persist": "persist",
    "nopersist": "persist, off",
    "maxfail": "max-fail",
    "holdoff": "holdoff",
    "demand": "demand",
    "idle": "idle",
    "maxconnect": "maxconnect",
    "defaultroute-metric": "metric",
    "ip-up-script": "ip-up",
    "ip-down-script": "ip-down",
    "ipparam": "ipparam",
    "linkname": "linkname",
}

_FULFILLED = """
    auth noauth login noipdefault ipcp-accept-local ipcp-accept-remote noremoteip noproxyarp updetach nodetach
"""
"""``auth`` is in the /etc/ppp/options of Debian: with MS-CHAPv2 the server proves that it knows the password in any
case."""

_WITHOUT = {
    "it asks the server to prove itself, which MS-CHAPv2 has it do in any case": """
        require-mschap-v2 require-mschap require-chap require-pap require-eap chap-interval
    """,
    "a server gives name servers, a client asks for them": "ms-dns ms-wins",
    "there is no telephone": "callback remotenumber",
    "this is for the end that is called": "allow-ip allow-number papcrypt proxyarp",
    "a password is read from chap-secrets, whoever knows it": "need-peer-eap",
    "how many packets may be on the way is worked out as they go": "pptp_window pptp_timeout",
}

_MISSING = {
    "no plugin can be loaded": "plugin",
    "the server chooses the addresses": "netmask",
    "tunnels carry IPv4 alone": "defaultroute6 ipv6 +ipv6",
    "no phone number is sent with the call": "pptp_phone",
    "the kernel chooses the address the tunnel begins at; --uplink names an interface": "pptp_client",
    "name and password stand in the peers file and chap-secrets, or are given as --user and --password-file": "+ua",
    "every packet counts for demand and idle, whatever it is": "active-filter",
    "no script is run before the connection is up": "connect disconnect init welcome",
}


def _table() -> dict[str, Meaning]:
    table = dict(PPPD_WORDS)

    def enter(effect: Effect, text: str, words: str) -> None:
        for word in words.split():
            arguments = 1 if word in PLUGIN_WORDS else PPPD_WORDS[word].arguments
            table[word] = Meaning(effect, text, arguments)

    for word, text in _SETTINGS.items():
        enter(Effect.SETTING, text, word)
    enter(Effect.FULFILLED, "", _FULFILLED)
    for text, words in _WITHOUT.items():
        enter(Effect.WITHOUT, text, words)
    for text, words in _MISSING.items():
        enter(Effect.MISSING, text, words)
    return table


PEER_WORDS: Mapping[str, Meaning] = _table()
"""Every word but the second names."""
