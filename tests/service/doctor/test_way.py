from __future__ import annotations

import errno
import os
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network

import pytest

from pypptp.causes import Cause
from pypptp.control import CallRefused, ConnectionClosed, ConnectionStarted
from pypptp.endpoint import SessionEnded
from pypptp.mppe.keys import Strength
from pypptp.net.addresses import LocalAddress
from pypptp.net.edge import RouteTaken
from pypptp.net.firewall import Ruleset
from pypptp.ppp.auth import AuthMethod
from pypptp.ppp.auth.message import ERROR_TEXTS
from pypptp.ppp.config import LinkConfig
from pypptp.ppp.events import Encryption, NetworkUp
from pypptp.roles import Role
from pypptp.service.doctor import way
from pypptp.service.doctor.dialler import Books, Complaint
from pypptp.service.doctor.finding import Finding, Mark
from pypptp.session import Session

from .recorded import ruleset

SERVER, HERE = IPv4Address("198.51.100.1"), IPv4Address("192.0.2.9")
INSIDE = IPv4Address("192.168.1.9")
NO_RULES = Ruleset()


def network(*, encryption: Encryption | None = None, local: str = "10.0.0.2", peer: str = "10.0.0.1") -> NetworkUp:
    return NetworkUp(IPv4Address(local), IPv4Address(peer), 1400, encryption, (), "alice", AuthMethod.MSCHAPV2)


def ended(reason: str, cause: Cause, *, acknowledged: int = 1) -> SessionEnded:
    session = Session(Role.CLIENT, LinkConfig(name="alice"), call_id=1, peer_call_id=2, random=os.urandom)
    session.tunnel.acks_received = acknowledged
    return SessionEnded(1, reason, session, cause)


def started(vendor: bytes = b"linux") -> ConnectionStarted:
    return ConnectionStarted(
        host_name=b"",
        vendor_name=vendor,
        firmware_revision=1,
        maximum_channels=1,
        framing_capabilities=0,
        bearer_capabilities=0,
    )


def test_the_route() -> None:
    assert way.judge_route(SERVER, RouteTaken("eth0", IPv4Address("192.0.2.1")), []).mark is Mark.GOOD
    assert "this machine itself" in way.judge_route(SERVER, RouteTaken("lo", local=True), []).sentence
    found = way.judge_route(SERVER, RouteTaken("wg0"), ["wg0"])
    assert (found.mark, "a tunnel itself" in found.sentence) == (Mark.NOTE, True)


@pytest.mark.parametrize(
    ("cause", "books", "check", "words"),
    [
        (Cause.REFUSED, Books(), "tcp", "refuses connections to port 1723"),
        (Cause.UNREACHABLE, Books(), "tcp", "there is no way to 198.51.100.1: No route"),
        (Cause.TIMED_OUT, Books(), "tcp", "does not leave this machine"),
        (Cause.TIMED_OUT, Books(tcp_left=3), "tcp", "no answer from 198.51.100.1 port 1723 within 5 s"),
        (Cause.TIMED_OUT, Books(tcp_left=3, tcp_arrived=2, arrived_by={"eth1"}), "tcp", "arrived at eth1, and this"),
        (
            Cause.TIMED_OUT,
            Books(tcp_left=3, tcp_arrived=2, arrived_by={"eth1"}, reverse_path=2),
            "rp-filter",
            "strict reverse path filter",
        ),
    ],
)
def test_tcp(cause: Cause, books: Books, check: str, words: str) -> None:
    found = way.judge_unreached(SERVER, 1723, cause, "No route to host", books, NO_RULES)
    assert (found.check, found.mark) == (check, Mark.WRONG)
    assert words in found.sentence
    assert found.cure


REPLY = bytes.fromhex("009c00011a2b3c4d0002")


@pytest.mark.parametrize(
    ("books", "mark", "words"),
    [
        (Books(events=[started()]), Mark.GOOD, "a PPTP server (linux) answers"),
        (Books(greeting=b"HTTP/1.1 400 Bad\x1b[31m"), Mark.WRONG, "it says 'HTTP/1.1 400 Bad\\x1b[31m'"),
        (Books(greeting=b"SSH"), Mark.WRONG, "says nothing"),
        (
            Books(greeting=REPLY, events=[ConnectionClosed(reason="Not Authorized", clean=False)]),
            Mark.WRONG,
            "refuses the control connection: Not Authorized",
        ),
        (Books(events=[ConnectionClosed(reason="EOF", clean=False)]), Mark.WRONG, "closes it at once"),
        (Books(), Mark.WRONG, "says nothing"),
        (
            Books(events=[started(), CallRefused(call_id=1, result=4, error=0, cause=0)]),
            Mark.WRONG,
            "refuses the call: Busy",
        ),
    ],
)
def test_the_control_connection(books: Books, mark: Mark, words: str) -> None:
    found = way.judge_control(SERVER, 1723, books)
    assert found.mark is mark
    assert words in found.sentence


def test_a_busy_server_is_tried_again() -> None:
    busy = Books(events=[started(), CallRefused(call_id=1, result=4, error=0, cause=0)])
    assert way.judge_control(SERVER, 1723, busy).cure == Cause.BUSY.cure


@pytest.mark.parametrize(
    ("books", "words"),
    [
        (Books(gre_sent=12, gre_left=12), "12 GRE packets sent, none came back: a firewall or NAT on the path drops"),
        (Books(gre_sent=12, gre_refused={errno.EPERM: 12}), "this machine's own packet filter let none out"),
        (Books(gre_sent=2, gre_refused={errno.EPERM: 2}, gre_received=1), "packet filter let none out"),
        (Books(gre_sent=12, gre_arrived=3, arrived_by={"eth0"}), "3 GRE packets of 198.51.100.1 arrived at eth0"),
        (Books(gre_sent=12, gre_arrived=3, arrived_by={"eth0"}, reverse_path=3), "reverse path filter dropped them"),
        (Books(gre_sent=12, complaints=[Complaint(HERE, 3, 13)]), "192.0.2.9 (192.0.2.9) answers 'communication"),
        (
            Books(gre_sent=12, complaints=[Complaint(SERVER, 3, 2)]),
            "server itself (198.51.100.1) answers 'protocol",
        ),
        (Books(gre_sent=12, complaints=[Complaint(HERE, 3, 4, 60)]), "too large (MTU 60)"),
        (Books(gre_sent=12, complaints=[Complaint(HERE, 11, 0)]), "answers 'time exceeded'"),
    ],
)
def test_gre(books: Books, words: str) -> None:
    found = way.judge_gre(SERVER, HERE, books, NO_RULES)
    assert found.mark is Mark.WRONG
    assert words in found.sentence
    assert found.cure


def test_gre_passes() -> None:
    assert way.judge_gre(SERVER, HERE, Books(gre_sent=2, gre_received=1), NO_RULES).mark is Mark.GOOD


@pytest.mark.parametrize(
    ("local", "server", "behind"),
    [(INSIDE, SERVER, True), (HERE, SERVER, False), (INSIDE, IPv4Address("10.1.1.1"), False), (None, SERVER, False)],
)
def test_a_nat_is_only_suspected_where_there_must_be_one(
    local: IPv4Address | None, server: IPv4Address, behind: bool
) -> None:
    found = way.judge_gre(server, local, Books(gre_sent=12), NO_RULES)
    assert ("behind a NAT" in found.cure) is behind


def test_the_chain_that_stops_gre_is_named() -> None:
    books = Books(gre_sent=12, gre_arrived=3, arrived_by={"eth0"})
    found = way.judge_gre(SERVER, HERE, books, ruleset("ufw"))
    assert "chain INPUT of table ip filter dropped them" in found.sentence
    assert found.cure == "ufw allow proto gre from any"


def test_the_link() -> None:
    assert way.judge_link(SERVER, None).mark is Mark.GOOD
    found = way.judge_link(SERVER, ended("no answer", Cause.NEGOTIATION, acknowledged=0))
    assert (found.check, "only ours are dropped" in found.sentence) == ("gre-out", True)
    found = way.judge_link(SERVER, ended("they disagree", Cause.NEGOTIATION))
    assert (found.check, found.mark, "they disagree" in found.sentence) == ("lcp", Mark.WRONG, True)


@pytest.mark.parametrize("code", sorted(ERROR_TEXTS))
def test_every_code_of_a_failed_log_in_has_its_cure(code: int) -> None:
    from pypptp.causes import cause_of_code

    cause = cause_of_code(code)
    found = way.judge_log_in("alice", None, ended(f"authentication failed: E={code}, {ERROR_TEXTS[code]}", cause))
    assert found is not None
    assert found.mark is Mark.WRONG
    assert f"E={code}" in found.sentence
    assert found.cure == cause.cure != ""


def test_the_log_in() -> None:
    good = way.judge_log_in("alice", network(), None)
    assert good is not None
    assert good.sentence == "'alice' is logged in with MS-CHAPv2"
    assert way.judge_log_in("alice", None, ended("MPPE required", Cause.ENCRYPTION)) is None
    silent = way.judge_log_in("alice", None, None)
    assert silent is not None
    assert silent.mark is Mark.WRONG


STRONG = Encryption(Strength.BITS_128, stateless=True)
WEAK = Encryption(Strength.BITS_40, stateless=False)
REFUSED = ended("MPPE required, but the peer refuses it", Cause.ENCRYPTION)
Judged = Callable[[], Finding | None]


@pytest.mark.parametrize(
    ("judged", "mark", "words"),
    [
        (lambda: way.judge_encryption(network(encryption=STRONG), None, None), Mark.GOOD, "MPPE 128-bit stateless"),
        (lambda: way.judge_encryption(None, REFUSED, network(encryption=WEAK)), Mark.WRONG, "--mppe-strength 40"),
        (lambda: way.judge_encryption(None, REFUSED, network()), Mark.WRONG, "--mppe prefer"),
        (lambda: way.judge_encryption(None, REFUSED, None), Mark.WRONG, "have the server allow MPPE with 128 bits"),
    ],
)
def test_encryption(judged: Judged, mark: Mark, words: str) -> None:
    found = judged()
    assert found is not None
    assert found.mark is mark
    assert words in found.sentence + found.cure


def test_going_without_is_no_cure_where_that_fails_too() -> None:
    found = way.judge_encryption(None, REFUSED, None)
    assert found is not None
    assert "--mppe" not in found.cure
    assert way.judge_encryption(None, ended("wrong password", Cause.AUTHENTICATION), None) is None


@pytest.mark.parametrize(
    ("known", "mark"),
    [
        ("10.0.0.9/24", Mark.WRONG),
        ("10.0.0.2/24", Mark.WRONG),
        ("10.0.1.9/24", Mark.GOOD),
        ("10.0.0.1/32", Mark.GOOD),  # a point-to-point interface that has been there
    ],
)
def test_addresses(known: str, mark: Mark) -> None:
    address, _, _ = known.partition("/")
    here = LocalAddress("eth0", IPv4Address(address), IPv4Network(known, strict=False))
    assert way.judge_addresses(network(), [here]).mark is mark


def test_packets() -> None:
    assert way.judge_data(network(), small=True, large=True).mark is Mark.GOOD
    assert way.judge_data(network(), small=True, large=False).mark is Mark.WRONG
    assert way.judge_data(network(), small=False, large=False).mark is Mark.NOTE


def test_name_servers() -> None:
    assert way.judge_name_server(SERVER, answered=True).mark is Mark.GOOD
    assert way.judge_name_server(SERVER, answered=False).mark is Mark.WRONG
