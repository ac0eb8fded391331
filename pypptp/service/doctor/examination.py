"""The order of the checks: this machine first, then the way to a server, each as far as the one before lets it."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Final

from pypptp.control import ConnectionClosed, ConnectionStarted
from pypptp.endpoint import EndpointConfig, SessionStarted
from pypptp.errors import NetworkError
from pypptp.mppe.keys import Strength
from pypptp.net import routes
from pypptp.net.addresses import local_addresses
from pypptp.net.edge import DEFAULT_MTU
from pypptp.net.firewall import Ruleset, read_nftables
from pypptp.net.legacy_tables import read_legacy_tables
from pypptp.net.netlink import rtnetlink
from pypptp.net.recovery import recover
from pypptp.ppp.auth import AuthMethod, Secret
from pypptp.ppp.config import LinkConfig, MppePolicy
from pypptp.ppp.control_protocol import NegotiationLimits
from pypptp.ppp.events import NetworkUp
from pypptp.ppp.link import Phase
from pypptp.service.doctor import path_mtu, way
from pypptp.service.doctor.dialler import Dialler
from pypptp.service.doctor.finding import Finding, Mark, good, note, wrong
from pypptp.service.doctor.firewall import OWN_TABLE, check_forward, check_helper, check_input
from pypptp.service.doctor.machine import Machine, look_at_machine
from pypptp.service.doctor.packet_filter import ingress_chains
from pypptp.service.doctor.surroundings import (
    check_default_routes,
    check_forwarding,
    check_left_behind,
    check_port,
    check_reverse_path,
    check_rights,
)
from pypptp.service.doctor.trial import Trial, try_forwarding

CONFIGURE_REQUESTS: Final = 12
"""GRE packets sent before none that came back means something, half a second apart."""
RESTART_INTERVAL = 0.5
"""Seconds."""
ANSWER_PATIENCE = 5.0
_LINK_PATIENCE: Final = 10.0
_LOG_IN_PATIENCE: Final = 20.0
PING_PATIENCE = 1.0
_TRIES: Final = 2
_EVERY_METHOD: Final = (AuthMethod.MSCHAPV2, AuthMethod.MSCHAP, AuthMethod.CHAP, AuthMethod.PAP)

Say = Callable[[Finding], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be examined.

    Attributes:
        host: the server to reach, None for this machine alone.
        port: the TCP port, of the server or for one here.
        user: the name to log in with, None to go no further than to the log-in.
        password: and the password.
        trial: send a packet through this machine on trial, which makes a TUN for a moment.
    """

    host: str | None = None
    port: int = 1723
    user: str | None = None
    password: str = field(default="", repr=False)
    trial: bool = True


def examine(question: Question, say: Say) -> None:
    """Examine, and say each finding as soon as it is there.

    Where the question is for the way to a server, what would be wrong with a server here is only noted.
    """
    for finding in [*check_rights(), *check_left_behind(recover(dry_run=True))]:
        say(finding)
    try:
        machine = look_at_machine(1723 if question.host else question.port)
    except NetworkError as error:
        say(note("machine", f"cannot look at routes and forwarding, because {error}"))
        machine = Machine()
    rules = _read_rules(say)
    for finding in [*check_default_routes(machine), check_reverse_path(machine)]:
        say(finding)
    for finding in _as_a_server(question, machine, rules):
        say(_noted(finding) if question.host else finding)
    if question.host is not None:
        _examine_way(question, machine, rules or Ruleset(), say)


def _noted(finding: Finding) -> Finding:
    return dataclasses.replace(finding, mark=Mark.NOTE) if finding.mark is Mark.WRONG else finding


def _read_rules(say: Say) -> Ruleset | None:
    try:
        rules = read_nftables()
        # Ours let through what is a tunnel's; their matches on interface groups could not be worked out here.
        others = [chain for chain in rules.chains if chain.table.split("-")[0] != OWN_TABLE]
        rules = dataclasses.replace(rules, chains=(*others, *read_legacy_tables()))
    except NetworkError as error:
        sentence, _, cure = str(error).partition(": ")
        say(note("packet-filter", f"cannot tell what the packet filter does, because {sentence}", cure))
        return None
    ingress = ingress_chains(rules)
    if ingress:
        unread = f"{ingress[0].title} sees packets before all others, and is not worked out here"
        rules = dataclasses.replace(rules, unread=(unread,))
    return rules


def _as_a_server(question: Question, machine: Machine, rules: Ruleset | None) -> list[Finding]:
    port = 1723 if question.host else question.port
    found = [check_port(machine, port), check_forwarding(machine)]
    if rules is None:
        return found
    if machine.way_out is None:
        # No way out to forward to; clients may come from the networks that are here all the same.
        here = [known for known in local_addresses() if known.interface != "lo"]
        if here:
            found += check_input(rules, uplink=here[0].interface, address=here[0].address, port=port)
        return found
    uplink = machine.way_out.interface
    trial = try_forwarding(uplink) if question.trial else Trial(None)
    found += check_input(rules, uplink=uplink, address=machine.way_out.source, port=port)
    found.append(check_forward(rules, uplink=uplink, trial=trial))
    helper = check_helper(rules, forwarding=machine.forwarding)
    return found if helper is None else [*found, helper]


def resolve(host: str) -> IPv4Address:
    """Find a server's address. Raises NetworkError where it has none."""
    try:
        found = socket.getaddrinfo(host, None, family=socket.AF_INET, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NetworkError(f"no address found for {host}: {error.strerror or error}") from error
    return IPv4Address(found[0][4][0])


def _examine_way(question: Question, machine: Machine, rules: Ruleset, say: Say) -> None:
    assert question.host is not None
    try:
        server = resolve(question.host)
    except NetworkError as error:
        say(
            wrong(
                "name", str(error), "check the spelling and the name servers in /etc/resolv.conf, or give the address"
            )
        )
        return
    if question.host != str(server):
        say(good("name", f"{question.host} is {server}"))
    try:
        with rtnetlink() as netlink:
            taken = routes.look_up(netlink, server)
    except NetworkError as error:
        sentence, _, cure = str(error).partition(": ")
        say(wrong("route", sentence, cure))
        return
    tunnels = [route.interface for route in machine.wide_routes if route.tunnel]
    say(way.judge_route(server, taken, tunnels))
    try:
        reached = _examine_path(question, server, rules, say)
        if reached and question.user is not None:
            _examine_log_in(question, server, say)
    except NetworkError as error:
        sentence, _, cure = str(error).partition(": ")
        say(wrong("raw-socket", sentence, cure))


def _examine_path(question: Question, server: IPv4Address, rules: Ruleset, say: Say) -> bool:
    """Go as far as the log-in, without one. Returns whether it came so far."""
    config = configure("doctor", _EVERY_METHOD, MppePolicy.PREFER)
    with Dialler(server, question.port, config, None) as dialler:
        books, endpoint = dialler.books, dialler.endpoint
        try:
            dialler.connect()
        except NetworkError as error:
            say(way.judge_unreached(server, question.port, error.cause, str(error), books, rules))
            return False

        def seen(*kinds: type) -> bool:
            return any(isinstance(event, (*kinds, ConnectionClosed)) for event in books.events)

        dialler.pump(lambda: seen(ConnectionStarted), ANSWER_PATIENCE)
        dialler.pump(lambda: seen(SessionStarted), ANSWER_PATIENCE)
        control = way.judge_control(server, question.port, books)
        say(control)
        if control.mark is Mark.WRONG:
            return False
        if not seen(SessionStarted):
            say(wrong("call", f"{server} does not answer the call", "look into the server's log, or restart it"))
            return False
        dialler.pump(lambda: books.gre_received > 0 or way.find_end(books.events) is not None, _LINK_PATIENCE)
        dialler.note_reverse_path()
        gre = way.judge_gre(server, dialler.local, books, rules)
        say(gre)
        if gre.mark is Mark.WRONG:
            return False

        def negotiated() -> bool:
            sessions = list(endpoint.sessions.values())
            return not sessions or (sessions[0].link.lcp.opened and sessions[0].link.phase is not Phase.ESTABLISH)

        dialler.pump(negotiated, _LINK_PATIENCE)
        link = way.judge_link(server, way.find_end(books.events))
        say(link)
        if link.mark is Mark.WRONG or not endpoint.sessions:
            return False
        session = next(iter(endpoint.sessions.values()))
        most = min(DEFAULT_MTU + path_mtu.TUNNEL_OVERHEAD, session.link.lcp.mru.peer + 36)
        largest = path_mtu.find_largest(dialler.echo, most)
        say(path_mtu.judge_largest(largest, most))
        return True


def _examine_log_in(question: Question, server: IPv4Address, say: Say) -> None:
    assert question.user is not None
    secret = Secret(password=question.password)
    with Dialler(server, question.port, configure(question.user), secret) as dialler:
        dialler.connect()
        books = dialler.books
        dialler.pump(
            lambda: way.find_network(books.events) is not None or way.find_end(books.events) is not None,
            _LOG_IN_PATIENCE,
        )
        network, ended = way.find_network(books.events), way.find_end(books.events)
        log_in = way.judge_log_in(question.user, network, ended)
        if log_in is not None:
            say(log_in)
        if network is not None:
            encryption = way.judge_encryption(network, ended, None)
            assert encryption is not None
            say(encryption)
            say(way.judge_addresses(network, local_addresses()))
            small = any(dialler.ping(network.local, network.peer, 64, PING_PATIENCE) for _ in range(_TRIES))
            large = small and any(
                dialler.ping(network.local, network.peer, network.mtu, PING_PATIENCE) for _ in range(_TRIES)
            )
            say(way.judge_data(network, small=small, large=large))
            for name_server in network.dns:
                answered = any(
                    dialler.ask_name_server(network.local, name_server, PING_PATIENCE) for _ in range(_TRIES)
                )
                say(way.judge_name_server(name_server, answered=answered))
            return
    if log_in is None:
        otherwise = _without_requirements(question, server, secret)
        encryption = way.judge_encryption(None, ended, otherwise)
        if encryption is not None:
            say(encryption)


def _without_requirements(question: Question, server: IPv4Address, secret: Secret) -> NetworkUp | None:
    """Call again and take any encryption, or none, to see what the server would do."""
    assert question.user is not None
    config = configure(question.user, mppe=MppePolicy.PREFER)
    with Dialler(server, question.port, config, secret) as dialler:
        dialler.connect()
        books = dialler.books
        dialler.pump(
            lambda: way.find_network(books.events) is not None or way.find_end(books.events) is not None,
            _LOG_IN_PATIENCE,
        )
        return way.find_network(books.events)


def configure(
    user: str,
    methods: tuple[AuthMethod, ...] = (AuthMethod.MSCHAPV2, AuthMethod.MSCHAP),
    mppe: MppePolicy = MppePolicy.REQUIRE,
) -> EndpointConfig:
    """Return what a call may agree to: by default what ``pypptp client`` would, and MS-CHAP."""
    strengths = (
        (Strength.BITS_128,)
        if mppe is MppePolicy.REQUIRE
        else (
            Strength.BITS_128,
            Strength.BITS_56,
            Strength.BITS_40,
        )
    )
    return EndpointConfig(
        link=LinkConfig(
            name=user,
            auth=methods,
            mppe=mppe,
            strengths=strengths,
            echo_interval=0,
            establish_timeout=_LOG_IN_PATIENCE,
            encryption_timeout=3.0,
            ask_dns=True,
            limits=NegotiationLimits(restart_interval=RESTART_INTERVAL, max_configure=CONFIGURE_REQUESTS),
        )
    )
