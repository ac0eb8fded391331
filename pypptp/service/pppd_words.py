"""The words of pppd's option files, every one of pppd 2.4.9's, and what each means for a PPTP server that is no pppd.

Some are spelled as older or patched versions of pppd had them. pppd(8) describes them; how many words belong to each is
its option tables' (options.c, auth.c, lcp.c, ipcp.c, ccp.c, tty.c).
"""

from __future__ import annotations

from collections.abc import Mapping

from pypptp.service.meanings import Effect, Meaning

ALIASES: Mapping[str, str] = {
    "+chap": "require-chap",
    "+mschap": "require-mschap",
    "+mschap-v2": "require-mschap-v2",
    "+chapms": "require-mschap",
    "+chapms-v2": "require-mschap-v2",
    "+pap": "require-pap",
    "-chap": "refuse-chap",
    "-mschap": "refuse-mschap",
    "-mschap-v2": "refuse-mschap-v2",
    "-chapms": "refuse-mschap",
    "-chapms-v2": "refuse-mschap-v2",
    "-pap": "refuse-pap",
    "+mppe": "require-mppe",
    "+mppe-40": "require-mppe-40",
    "+mppe-128": "require-mppe-128",
    "mppe-40": "require-mppe-40",
    "mppe-128": "require-mppe-128",
    "-mppe": "nomppe",
    "-mppe-40": "nomppe-40",
    "-mppe-128": "nomppe-128",
    "-ccp": "noccp",
    "-d": "debug",
    "-ip": "noip",
    "-ipv6": "noipv6",
    "-ipx": "noipx",
    "+ipx": "ipx",
    "-ac": "noaccomp",
    "-all": "noaccomp",
    "-am": "default-asyncmap",
    "-as": "asyncmap",
    "-bsdcomp": "nobsdcomp",
    "-deflate": "nodeflate",
    "-predictor1": "nopredictor1",
    "-crtscts": "nocrtscts",
    "nocdtrcts": "nocrtscts",
    "-defaultroute": "nodefaultroute",
    "-defaultroute6": "nodefaultroute6",
    "-detach": "nodetach",
    "-ecp": "noecp",
    "-h": "--help",
    "-mn": "nomagic",
    "-mru": "default-mru",
    "-p": "passive",
    "-pc": "nopcomp",
    "-proxyarp": "noproxyarp",
    "-vj": "novj",
    "-vjccomp": "novjccomp",
    "mo": "maxoctets",
    "mp": "multilink",
    "nomp": "nomultilink",
}
"""Second names, and what they stand for."""

_TAKES_ARGUMENT = """
    +ua active-filter allow-ip allow-number asyncmap bsdcomp bundle ca call callback capath cert chap-interval
    chap-max-challenge chap-restart chap-timeout child-timeout connect connect-delay crl crl-dir datarate
    defaultroute-metric deflate disconnect domain eap-interval eap-max-rreq eap-max-sreq eap-restart eap-timeout
    endpoint escape file holdoff idle ifname init ip-down-script ip-up-script ipcp-max-configure ipcp-max-failure
    ipcp-max-terminate ipcp-restart ipparam ipv6 ipv6cp-max-configure ipv6cp-max-failure ipv6cp-max-terminate
    ipv6cp-restart ipx-network ipx-node ipx-router-name ipx-routing ipxcp-max-configure ipxcp-max-failure
    ipxcp-max-terminate ipxcp-restart kdebug key lcp-echo-failure lcp-echo-interval lcp-max-configure lcp-max-failure
    lcp-max-terminate lcp-restart linkname logfd logfile max-tls-version maxconnect maxfail maxoctets mo-direction
    mo-timeout mppe mrru mru ms-dns ms-wins mtu name netmask pap-max-authreq pap-restart pap-timeout pass-filter
    password plugin privgroup pty record remotename remotenumber set socket srp-interval srp-pn-secret stop-bits unit
    unset user vj-max-slots welcome
"""

_SETTINGS = {
    "name": "name",
    "domain": "name, where it is the host's",
    "usehostname": "name, the host's",
    "require-mschap-v2": "auth",
    "require-mschap": "auth",
    "require-chap": "auth",
    "require-pap": "auth",
    "require-mppe": "mppe require and mppe-strength 128,40",
    "require-mppe-128": "mppe require and mppe-strength 128",
    "require-mppe-40": "mppe require and mppe-strength 40",
    "mppe": "mppe and mppe-strength",
    "nomppe": "mppe deny",
    "nomppe-40": "mppe-strength without 40",
    "nomppe-128": "mppe-strength without 128",
    "noccp": "mppe deny, since CCP is what negotiates it",
    "ms-dns": "dns",
    "ms-wins": "wins",
    "mtu": "mtu, less MPPE's 4 octets, as pppd sets the interface's",
    "mru": "mru",
    "lcp-echo-interval": "lcp-echo-interval",
    "lcp-echo-failure": "lcp-echo-failure",
    "nopcomp": "pcomp, off",
    "noaccomp": "accomp, off",
    "idle": "idle",
    "maxconnect": "maxconnect",
    "chap-interval": "chap-interval",
    "proxyarp": "proxy-arp",
    "noproxyarp": "proxy-arp, off",
    "ip-up-script": "ip-up",
    "ip-down-script": "ip-down",
    "ipparam": "ipparam, with noipparam in pptpd's file",
    "linkname": "linkname",
    "debug": "log-level",
    "file": "what the words of that file become",
    "call": "what the words of that file in peers/ become",
}

_FULFILLED = """
    auth refuse-pap refuse-chap refuse-mschap refuse-mschap-v2 refuse-eap
    nobsdcomp nodeflate nodeflatedraft nopredictor1 noecp novj novjccomp
    mppe-stateless nomppe-stateful nomppc
    nodefaultroute nodefaultroute6 noreplacedefaultroute
    noipv6 noipx nomultilink nompshortseq noendpoint
    nodetach updetach nologfd hide-password chapms-strip-domain nopersist
"""
"""Refusals are about how pppd itself logs in to a peer, which a server never does: only require-* says what it asks
for."""

_WITHOUT = {
    "there is no serial line": """
        asyncmap default-asyncmap escape receive-all crtscts nocrtscts cdtrcts xonxoff local modem lock nolock stop-bits
        sync connect-delay datarate notty pty socket connect disconnect init nolog
    """,
    "compression other than MPPE is never offered": "bsdcomp deflate predictor1 mppc",
    "header compression is never agreed to": "vj-max-slots",
    "how the link is negotiated is not for settings, RFC 1661's timers hold": """
        lcp-max-configure lcp-max-failure lcp-max-terminate lcp-restart passive silent nomagic
        ipcp-max-configure ipcp-max-failure ipcp-max-terminate ipcp-restart ipcp-no-address ipcp-no-addresses nosendip
        chap-max-challenge chap-restart chap-timeout pap-max-authreq pap-restart pap-timeout
    """,
    "the peer's own MRU counts, and the default one where it names none": "default-mru",
    "MPPE without state is always asked for, since it survives loss": "mppe-stateful",
    "this is for the end that dials": """
        +ua callback demand holdoff maxfail persist password remotename remotenumber user usepeerdns need-peer-eap
        noipdefault active-filter
    """,
    "EAP is not spoken": """
        eap-interval eap-max-rreq eap-max-sreq eap-restart eap-timeout ca capath cert crl crl-dir key max-tls-version
        srp-interval srp-pn-secret srp-use-pseudonym
    """,
    "IPX is not spoken": """
        ipx ipx-network ipx-node ipx-router-name ipx-routing ipxcp-accept-local ipxcp-accept-network ipxcp-accept-remote
        ipxcp-max-configure ipxcp-max-failure ipxcp-max-terminate ipxcp-restart
    """,
    "it belongs to IPv6, which is another word": """
        ipv6cp-accept-local ipv6cp-accept-remote ipv6cp-max-configure ipv6cp-max-failure ipv6cp-max-terminate
        ipv6cp-restart ipv6cp-use-ipaddr ipv6cp-use-persistent
    """,
    "the route it belongs to is another word": "defaultroute-metric",
    "there is one link to a client": "bundle endpoint mrru mpshortseq",
    "the log goes to stderr, and from there to the journal": "logfile logfd",
    "echo requests are sent whether there is traffic or not": "lcp-echo-adaptive",
    "secrets are never shown": "show-password",
    "'pypptp check' shows what becomes of a file": "dump dryrun --help --version",
    "everybody logs in": "allow-ip allow-number",
    "there is no pppd process": "privgroup unit kdebug",
    "--hook-timeout says how long scripts have": "child-timeout",
    "a tunnel has one address at either end": "netmask",
    "a client has an address in any case": "noremoteip",
    "forwarding is switched on where it is needed": "ktune noktune",
    "the log says who came and went; 'last' does not show them": "enable-session",
    "it belongs to the limit of octets, which is another word": "mo-direction mo-timeout",
    "every client has an interface of its own; --ifname names them all, vpn%d for example": "ifname",
}

_MISSING = {
    "a server here always asks who it is": "noauth",
    "EAP is not spoken, clients log in with what other require words allow": "require-eap",
    "users come from the secrets file": "login",
    "passwords are compared as they stand in the secrets file": "papcrypt",
    "no plugin can be loaded; users come from the secrets file and addresses from the pool": "plugin",
    "the server leaves this host's default route where it is": "defaultroute defaultroute6 replacedefaultroute",
    "the addresses are the server's to choose": "ipcp-accept-local ipcp-accept-remote",
    "it is ip-up and ip-down that are run when a client comes and goes": "welcome",
    "scripts are run without it": "set unset",
    "traffic is not limited": "maxoctets",
    "packets are not filtered; write the rule for the tunnels' interfaces in the firewall": "pass-filter",
    "tunnels carry IPv4 alone": "ipv6 +ipv6",
    "a tunnel is for IPv4": "noip",
    "there is one link to a client": "multilink",
    "packets are not recorded; use tcpdump, and 'pypptp decode' to decrypt what it wrote": "record",
}


def _table() -> dict[str, Meaning]:
    table: dict[str, Meaning] = {}
    with_argument = frozenset(_TAKES_ARGUMENT.split())

    def enter(effect: Effect, text: str, words: str) -> None:
        for word in words.split():
            assert word not in table, word
            table[word] = Meaning(effect, text, int(word in with_argument))

    for word, text in _SETTINGS.items():
        enter(Effect.SETTING, text, word)
    enter(Effect.FULFILLED, "", _FULFILLED)
    for text, words in _WITHOUT.items():
        enter(Effect.WITHOUT, text, words)
    for text, words in _MISSING.items():
        enter(Effect.MISSING, text, words)
    return table


PPPD_WORDS: Mapping[str, Meaning] = _table()
"""Every word but the second names."""
