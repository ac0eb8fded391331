"""What is wrong on the way to a server: judged from what a dialler wrote down, nothing is sent here."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from pypptp.causes import Cause
from pypptp.control import CallRefused, ConnectionClosed, ConnectionStarted, printable
from pypptp.endpoint import EndpointEvent, SessionEnded, SessionEvent
from pypptp.net.addresses import LocalAddress
from pypptp.net.edge import RouteTaken
from pypptp.net.firewall import HOOK_INPUT, Ruleset
from pypptp.ppp.events import NetworkUp
from pypptp.service.doctor import dialler
from pypptp.service.doctor.dialler import Books, Complaint
from pypptp.service.doctor.finding import Finding, good, note, wrong
from pypptp.service.doctor.firewall import stopping_input
from pypptp.service.doctor.packet_filter import GRE, STATE_ESTABLISHED, TCP, Packet

MAGIC_COOKIE: Final = bytes.fromhex("1a2b3c4d")
_COOKIE_PLACE: Final = 4
_INSIDE: Final = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))
"""Networks of which an address gets nowhere without a NAT (RFC 1918, RFC 6598)."""
_UNREACHABLE_CODES: Final = {
    0: "network unreachable",
    1: "host unreachable",
    2: "protocol unreachable",
    3: "port unreachable",
    9: "network prohibited",
    10: "host prohibited",
    13: "communication prohibited",
}


def judge_route(server: IPv4Address, taken: RouteTaken, tunnels: Sequence[str]) -> Finding:
    """Say by which way packets to the server go."""
    via = f" via {taken.gateway}" if taken.gateway is not None else ""
    if taken.local:
        return note("route", f"{server} is an address of this machine itself, so no path is tested")
    if taken.interface in tunnels:
        return note(
            "route",
            f"the way to {server} leads through {taken.interface}, a tunnel itself",
            f"if it should not, 'ip route add {server} via GATEWAY' leads past it",
        )
    return good("route", f"packets to {server} leave by {taken.interface}{via}")


def judge_unreached(server: IPv4Address, port: int, cause: Cause, words: str, books: Books, rules: Ruleset) -> Finding:
    """Say why TCP did not come about."""
    check = "tcp"
    if cause is Cause.REFUSED:
        return wrong(
            check,
            f"{server} refuses connections to port {port}: no PPTP server runs there, or a firewall rejects it",
            "start the server there, or check the address and the port",
        )
    if cause is Cause.UNREACHABLE:
        return wrong(check, f"there is no way to {server}: {words}", "check the address, the routes and the cable")
    if books.tcp_arrived:
        return _held_back(check, f"{books.tcp_arrived} answers of {server}", books, rules, server, TCP, port)
    if not books.tcp_left:
        return wrong(
            check,
            f"TCP to {server} port {port} does not leave this machine: its own packet filter drops what goes out, or "
            "the next router answers no ARP",
            f"iptables -I OUTPUT -p tcp --dport {port} -j ACCEPT, or see 'ip neighbour'",
        )
    return wrong(
        check,
        f"no answer from {server} port {port} within {dialler.CONNECT_PATIENCE:.0f} s: a firewall on the way drops it, "
        "or nobody has that address",
        f"check the address, and open TCP port {port} in the firewalls between and on the server",
    )


def _held_back(
    check: str, what: str, books: Books, rules: Ruleset, server: IPv4Address, protocol: int, port: int | None
) -> Finding:
    """The answers arrive at the network card and go no further: this machine is the one that drops them."""
    where = ", ".join(sorted(books.arrived_by)) or "the network card"
    if books.reverse_path:
        names = sorted(books.arrived_by)
        return wrong(
            "rp-filter",
            f"{what} arrived at {where}, and the strict reverse path filter dropped them: the way back leads elsewhere",
            f"sysctl -w {' '.join(f'net.ipv4.conf.{name}.rp_filter=2' for name in names)}",
        )
    interface = next(iter(sorted(books.arrived_by)), "")
    states = (STATE_ESTABLISHED,) if protocol == TCP else (8,)
    packets = [
        Packet(hook=HOOK_INPUT, protocol=protocol, incoming=interface, source=server, state=state) for state in states
    ]
    chain, cure = stopping_input(rules, packets)
    by = f"{chain} dropped them" if chain else "this machine's own packet filter dropped them"
    if not cure:
        cure = "iptables -I INPUT -p gre -j ACCEPT" if protocol == GRE else f"let answers from TCP port {port} in"
    return wrong(check, f"{what} arrived at {where}, and {by}", cure)


def judge_control(server: IPv4Address, port: int, books: Books) -> Finding:
    """Say what answered on the control connection, and whether it took the call."""
    check = "control"
    for event in books.events:
        if isinstance(event, CallRefused):
            return wrong(
                "call",
                f"{server} refuses the call: {event.reason}",
                event.why.cure,
            )
    started = next((event for event in books.events if isinstance(event, ConnectionStarted)), None)
    if started is not None:
        vendor = printable(started.vendor_name)
        return good(check, f"a PPTP server{f' ({vendor})' if vendor else ''} answers at {server} port {port}")
    cookie = books.greeting[_COOKIE_PLACE : _COOKIE_PLACE + 4]
    if books.greeting and cookie != MAGIC_COOKIE[: len(cookie)]:
        words = printable(books.greeting.split(b"\n")[0].strip())[:40]
        return wrong(
            check,
            f"something else than PPTP answers at {server} port {port}; it says '{words}'",
            "check the address and the port: PPTP's is 1723",
        )
    closed = next((event for event in books.events if isinstance(event, ConnectionClosed)), None)
    if books.greeting and closed is not None:
        return wrong(
            check,
            f"{server} refuses the control connection: {closed.reason}",
            "ask whoever runs the server whether it takes connections from here",
        )
    if closed is not None and not books.greeting:
        return wrong(
            check,
            f"{server} port {port} accepts the connection and closes it at once",
            "look into the server's log: it may be full, or hosts.allow or a proxy may stand before it",
        )
    return wrong(
        check,
        f"{server} port {port} accepts the connection and says nothing to PPTP's first message",
        "check the port; a PPTP server that hangs needs a restart",
    )


def judge_gre(server: IPv4Address, local: IPv4Address | None, books: Books, rules: Ruleset) -> Finding:
    """Say whether GRE passes both ways, and if not, as exactly as can be seen from here, where it ends."""
    check = "gre"
    sent, refused = books.gre_sent, sum(books.gre_refused.values())
    if sent and refused == sent and errno.EPERM in books.gre_refused:
        return wrong(
            check,
            f"{_count(sent)} were to be sent, and this machine's own packet filter let none out",
            "iptables -I OUTPUT -p gre -j ACCEPT, or its like in nftables",
        )
    if books.gre_received:
        return good(check, f"GRE passes: {_count(sent)} sent, {books.gre_received} received")
    if books.gre_arrived:
        what = f"{books.gre_arrived} GRE packets of {server}"
        return _held_back(check, what, books, rules, server, GRE, None)
    if books.complaints:
        return _complained(check, sent, server, books.complaints[0])
    cure = "let IP protocol 47 pass in the firewalls between and on the server, both ways"
    if _behind_nat(local, server):
        cure += (
            f"; this machine ({local}) is behind a NAT: its PPTP pass-through must be on "
            "(on Linux: modprobe nf_nat_pptp, and a rule that gives TCP port 1723 the helper pptp)"
        )
    return wrong(
        check,
        f"{_count(sent)} sent, none came back: a firewall or NAT on the path drops protocol 47",
        cure,
    )


def _count(number: int) -> str:
    return f"{number} GRE packet{'' if number == 1 else 's'}"


def _complained(check: str, sent: int, server: IPv4Address, complaint: Complaint) -> Finding:
    if complaint.kind == 3 and complaint.code == 4:
        return wrong(
            check,
            f"{complaint.sender} says that even small GRE packets are too large (MTU {complaint.mtu})",
            f"mend the MTU at {complaint.sender}",
        )
    words = _UNREACHABLE_CODES.get(complaint.code, f"code {complaint.code}") if complaint.kind == 3 else "time exceeded"
    who = "the server itself" if complaint.sender == server else str(complaint.sender)
    cure = (
        "the server has no GRE socket open: restart it, or load its kernel's GRE"
        if complaint.sender == server and complaint.code == 2
        else f"let IP protocol 47 pass at {complaint.sender}"
    )
    return wrong(check, f"{_count(sent)} sent, none came back: {who} ({complaint.sender}) answers '{words}'", cure)


def _behind_nat(local: IPv4Address | None, server: IPv4Address) -> bool:
    def inside(address: IPv4Address) -> bool:
        return any(address in network for network in _INSIDE)

    return local is not None and inside(local) and not inside(server)


def find_network(events: Sequence[EndpointEvent]) -> NetworkUp | None:
    """Return what was agreed, the latest."""
    found = [event.event for event in events if isinstance(event, SessionEvent) and isinstance(event.event, NetworkUp)]
    return found[-1] if found else None


def find_end(events: Sequence[EndpointEvent]) -> SessionEnded | None:
    """Return how the session ended, None while it has not."""
    return next((event for event in events if isinstance(event, SessionEnded)), None)


def judge_link(server: IPv4Address, ended: SessionEnded | None) -> Finding:
    """Say how far LCP came where GRE passes."""
    if ended is None:
        return good("lcp", f"PPP with {server} gets as far as the log-in")
    if not ended.session.tunnel.acks_received:
        return wrong(
            "gre-out",
            f"{_count(ended.session.tunnel.sent)} sent, and the server has acknowledged none, though its own arrive: a "
            "firewall or NAT on the path drops protocol 47, and only ours are dropped",
            "let IP protocol 47 pass from here to the server",
        )
    return wrong("lcp", f"PPP with {server} gets not as far as the log-in: {ended.reason}", ended.cause.cure or _SPEC)


_SPEC: Final = "'pypptp spec' holds the server against the standards, message by message"


def judge_log_in(user: str, network: NetworkUp | None, ended: SessionEnded | None) -> Finding | None:
    """Say how the log-in went; None where it went well and something later did not."""
    if network is not None:
        method = network.method.value if network.method else "no proof"
        return good("log-in", f"'{user}' is logged in with {method}")
    if ended is None:
        return wrong("log-in", f"the log-in of '{user}' does not come to an end", "look into the server's log")
    if ended.cause is Cause.ENCRYPTION:
        return None
    return wrong("log-in", f"the log-in of '{user}' fails: {ended.reason}", ended.cause.cure or _SPEC)


def judge_encryption(
    network: NetworkUp | None, ended: SessionEnded | None, otherwise: NetworkUp | None
) -> Finding | None:
    """Say what became of MPPE.

    Args:
        network: what was agreed with 128 bits required.
        ended: how that ended.
        otherwise: what was agreed where anything was allowed, None where nothing was, or it was not tried.
    """
    check = "mppe"
    if network is not None:
        agreed = network.encryption
        assert agreed is not None, "it was required"
        return good(
            check,
            f"packets are encrypted: MPPE {agreed.strength:d}-bit {'stateless' if agreed.stateless else 'stateful'}",
        )
    if ended is None or ended.cause is not Cause.ENCRYPTION:
        return None
    if otherwise is not None and otherwise.encryption is not None:
        bits = int(otherwise.encryption.strength)
        return wrong(
            check,
            f"the server refuses MPPE with 128 bits and takes {bits}",
            f"have the server allow 128 bits; or --mppe-strength {bits}, which is found by trying all keys",
        )
    cure = "have the server allow MPPE with 128 bits"
    if otherwise is not None:
        cure += "; or --mppe prefer, with which everything passes in clear"
    return wrong(check, f"the server refuses MPPE: {ended.reason}", cure)


def judge_addresses(network: NetworkUp, addresses: Sequence[LocalAddress]) -> Finding:
    """Say whether the tunnel's addresses are those of a network that is here already."""
    check = "addresses"
    for known in addresses:
        if known.interface == "lo" or known.network.prefixlen > 30:
            continue
        for inner, whose in ((network.local, "our"), (network.peer, "the server's")):
            if inner == known.address or inner in known.network:
                return wrong(
                    check,
                    f"{whose} address in the tunnel, {inner}, is in {known.network}, the network at {known.interface}: "
                    "one of the two hides the other",
                    "have the server give out addresses of another network, or renumber the one here",
                )
    return good(check, f"the tunnel's addresses ({network.local} and {network.peer}) are in no network that is here")


def judge_data(network: NetworkUp, *, small: bool, large: bool) -> Finding:
    """Say whether packets pass inside the tunnel."""
    check = "data"
    if large:
        return good(check, f"packets of {network.mtu} octets pass through the tunnel and back")
    if small:
        return wrong(
            check,
            f"small packets pass through the tunnel, and those of its MTU, {network.mtu} octets, do not come back",
            "see what is said of the MTU, or try --mtu 1200",
        )
    return note(
        check,
        f"{network.peer} answers no ping through the tunnel: it may be told not to, or its packet filter drops what "
        "comes out of the tunnel",
        "ping something behind the server; on the server, let ICMP in from ppp interfaces",
    )


def judge_name_server(server: IPv4Address, *, answered: bool) -> Finding:
    """Say whether a name server of the peer's is of use."""
    if answered:
        return good("dns", f"the name server {server} answers through the tunnel")
    return wrong(
        "dns",
        f"the name server {server}, which the PPTP server names, does not answer through the tunnel",
        "have the server forward and masquerade what clients send, or name another with --dns there",
    )
