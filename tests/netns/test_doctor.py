"""Every sentence of the doctor, provoked by making its fault.

private 10.100.100.2 ----- 10.100.100.1 gateway 203.0.113.1 ----- 203.0.113.2 public
the patient                the path in between                    the server, and on other ports ill ones

One server of each kind serves all tests. The doctor runs in a thread of this process, but where its exit status or
what it prints is what is looked at.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from pypptp.net import routes, tun
from pypptp.net.edge import Route
from pypptp.net.links import interface_index, set_up
from pypptp.net.linux import LinuxEdge
from pypptp.net.namespaces import Namespace, connect
from pypptp.net.netlink import NetlinkSocket, ifinfmsg
from pypptp.ppp.auth import Secret
from pypptp.service.doctor import Finding, Mark, Question, dialler, examination, examine, path_mtu, trial, way
from pypptp.testing.scenario import GATEWAY_PRIVATE, GATEWAY_PUBLIC, PRIVATE, PUBLIC, Hosts, Program, Warden
from pypptp.testing.scenario.hosts import set_default_route

from .conftest import PATIENCE, PYPPTP
from .packet_filters import (
    ACCEPT,
    DROP,
    FORWARD,
    GRE,
    INPUT,
    NF_DROP,
    OUTPUT,
    POSTROUTING,
    chain,
    comes_by,
    established,
    leaves_by,
    limited,
    masquerade,
    protocol,
    reject,
    source,
    tcp_to,
)

pytestmark = pytest.mark.netns

EVERYWHERE = IPv4Network("0.0.0.0/0")
UNENCRYPTED, WEAK, BY_PAP = 1724, 1725, 1726
SERVERS = {
    1723: ("--dns", str(PUBLIC)),
    UNENCRYPTED: ("--mppe", "deny"),
    WEAK: ("--mppe-strength", "40"),
    BY_PAP: ("--auth", "pap", "--mppe", "deny"),
}
ADMIN_PROHIBITED = 13


class Ward:
    """The three hosts, with what makes them healthy."""

    def __init__(self, hosts: Hosts, servers: dict[int, Program]) -> None:
        self.servers = servers
        self.private, self.gateway, self.public = hosts.all

    def examine(self, host: Namespace, question: Question) -> dict[str, Finding]:
        """Examine in a namespace; the findings by their checks' names, the worst where there are two."""
        found: list[Finding] = []
        host.run(lambda: examine(question, found.append))
        order = [Mark.GOOD, Mark.NOTE, Mark.WRONG]
        return {finding.check: finding for finding in sorted(found, key=lambda finding: order.index(finding.mark))}

    def call(
        self, *, port: int = 1723, user: str | None = "alice", password: str = "wonder land", server: object = PUBLIC
    ) -> dict[str, Finding]:
        return self.examine(
            self.private, Question(host=str(server), port=port, user=user, password=password, trial=False)
        )

    def call_until_log_in(self, **changes: object) -> dict[str, Finding]:
        return self.call(user=None, **changes)  # type: ignore[arg-type]

    def server_side(self, *, trial: bool = True) -> dict[str, Finding]:
        return self.examine(self.gateway, Question(trial=trial))


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("doctor")
    secrets = folder / "chap-secrets"
    secrets.write_text('alice * "wonder land" *\n')
    secrets.chmod(0o600)
    environment = {key: value for key, value in os.environ.items() if key != "JOURNAL_STREAM"}
    with Warden() as warden, Hosts() as hosts, ExitStack() as stack:
        set_default_route(hosts.private, GATEWAY_PRIVATE, "eth0")
        set_default_route(hosts.public, GATEWAY_PUBLIC, "eth0")
        set_forwarding(hosts.gateway, on=True)
        programs: dict[int, Program] = {}
        for number, (port, options) in enumerate(SERVERS.items()):
            words = ["server", "--local", f"192.168.{number + 8}.1", "--nat", "none", "--port", str(port), *options]
            command = [*PYPPTP, *words, "--secrets", str(secrets)]
            program = Program(str(port), hosts.public, command, environment=environment, warden=warden)
            stack.callback(program.stop)
            programs[port] = program
        for program in programs.values():
            program.await_line(lambda line: "listening on " in line or None, patience=PATIENCE)
        stack.enter_context(name_server(hosts.public))
        yield Ward(hosts, programs)


def set_forwarding(host: Namespace, *, on: bool) -> None:
    host.run(lambda: Path("/proc/sys/net/ipv4/ip_forward").write_text("1" if on else "0"))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve packets are sent in any case; a path of three namespaces needs no half second for each."""
    monkeypatch.setattr(examination, "RESTART_INTERVAL", 0.05)
    monkeypatch.setattr(dialler, "CONNECT_PATIENCE", 0.5)
    monkeypatch.setattr(examination, "PING_PATIENCE", 0.3)
    monkeypatch.setattr(path_mtu, "LEAST_PATIENCE", 0.05)
    monkeypatch.setattr(trial, "PATIENCE", 0.1)


def says(finding: Finding, *words: str, mark: Mark = Mark.WRONG) -> None:
    assert finding.mark is mark, finding
    for word in words:
        assert word in finding.sentence or word in finding.cure, finding


# All is well.


def test_as_a_command_where_nothing_is_wrong(ward: Ward) -> None:
    def run(*words: str) -> Callable[[], subprocess.CompletedProcess[str]]:
        environment = os.environ | {"PYPPTP_PASSWORD": "wonder land"}
        command = [*PYPPTP, "doctor", *words]
        return lambda: subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    done = ward.private.run(run(str(PUBLIC), "--user", "alice", "--json"))
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert (answer["schema"], answer["host"], answer["wrong"]) == (1, str(PUBLIC), 0)
    found = {entry["check"]: entry["sentence"] for entry in answer["findings"]}
    assert found["gre"].startswith("GRE passes: ")
    assert found["mtu"] == "packets of 1440 octets pass, so the tunnel's MTU of 1400 fits"
    assert found["log-in"] == "'alice' is logged in with MS-CHAPv2"
    assert found["mppe"] == "packets are encrypted: MPPE 128-bit stateless"
    assert found["data"] == "packets of 1400 octets pass through the tunnel and back"
    assert found["dns"] == f"the name server {PUBLIC} answers through the tunnel"
    done = ward.gateway.run(run())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing wrong in" in done.stdout
    assert "✗" not in done.stdout
    with chain(ward.gateway, FORWARD, policy=NF_DROP):
        done = ward.gateway.run(run("--no-trial"))
    assert done.returncode == 1
    assert "✗ chain forward of table ip filter drops what is forwarded" in done.stdout
    assert "    → nft 'insert rule ip filter forward" in done.stdout


# The way there: TCP and the control connection.


def test_nobody_listens(ward: Ward) -> None:
    says(ward.call(port=1999)["tcp"], f"{PUBLIC} refuses connections to port 1999", "start the server there")


def test_the_port_is_filtered(ward: Ward) -> None:
    with chain(ward.gateway, FORWARD, [*tcp_to(1723), *DROP]):
        says(ward.call()["tcp"], f"no answer from {PUBLIC} port 1723 within", "open TCP port 1723")


def test_our_own_filter_keeps_tcp_in(ward: Ward) -> None:
    with chain(ward.private, OUTPUT, [*tcp_to(1723), *DROP]):
        says(ward.call()["tcp"], "does not leave this machine: its own packet filter", "-I OUTPUT")


def test_our_own_filter_drops_the_answers(ward: Ward) -> None:
    with chain(ward.private, INPUT, policy=NF_DROP):
        says(ward.call()["tcp"], "arrived at eth0, and chain input of table ip filter dropped them")


def test_there_is_no_route(ward: Ward) -> None:
    remove_default_route(ward.private)
    try:
        says(ward.call()["route"], f"there is no route to {PUBLIC}", "check the address and the default route")
    finally:
        set_default_route(ward.private, GATEWAY_PRIVATE, "eth0")


def test_a_name_nobody_knows(ward: Ward) -> None:
    remove_default_route(ward.private)  # and nobody to ask, either: a resolver is patient
    try:
        found = ward.call(server="no-such-host.invalid")
    finally:
        set_default_route(ward.private, GATEWAY_PRIVATE, "eth0")
    says(found["name"], "no address found for no-such-host.invalid", "spelling")


@pytest.mark.parametrize(
    ("greeting", "stays", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", True, "something else than PPTP answers"),
        (b"", False, "accepts the connection and closes it at once"),
        (b"", True, "accepts the connection and says nothing"),
    ],
)
def test_what_answers_is_no_pptp(
    ward: Ward, monkeypatch: pytest.MonkeyPatch, greeting: bytes, stays: bool, words: str
) -> None:
    monkeypatch.setattr(examination, "ANSWER_PATIENCE", 0.5)
    with greeter(ward.public, 2222, greeting, stays=stays):
        found = ward.call(port=2222)
    says(found["control"], words)
    if greeting:
        says(found["control"], "it says 'SSH-2.0-OpenSSH_9.2'")


# GRE.


def test_gre_is_dropped_on_the_way(ward: Ward) -> None:
    with chain(ward.gateway, FORWARD, [*protocol(GRE), *DROP]):
        found = ward.call()
    says(found["gre"], "12 GRE packets sent, none came back: a firewall or NAT on the path drops protocol 47")
    says(found["gre"], f"this machine ({PRIVATE}) is behind a NAT", "nf_nat_pptp")
    assert "log-in" not in found


def test_only_the_answers_are_dropped_on_the_way(ward: Ward) -> None:
    with chain(ward.gateway, FORWARD, [*protocol(GRE), *comes_by("eth1"), *DROP]):
        says(ward.call()["gre"], "12 GRE packets sent, none came back")


def test_only_ours_are_dropped_on_the_way(ward: Ward) -> None:
    with chain(ward.gateway, FORWARD, [*protocol(GRE), *comes_by("eth0"), *DROP]):
        found = ward.call()
    says(found["gre-out"], "GRE packets sent, and the server has acknowledged none", "only ours are dropped")
    assert found["gre"].mark is Mark.GOOD


def test_a_firewall_says_that_it_drops_gre(ward: Ward) -> None:
    with chain(ward.gateway, FORWARD, [*protocol(GRE), reject(ADMIN_PROHIBITED)]):
        found = ward.call()
    says(found["gre"], f"{GATEWAY_PRIVATE}", "answers 'communication prohibited'", f"pass at {GATEWAY_PRIVATE}")


def test_our_own_filter_drops_gre_that_arrives(ward: Ward) -> None:
    # What ufw and its like do: GRE is no answer to anything where connection tracking has no helper for PPTP.
    with chain(ward.private, INPUT, established(), policy=NF_DROP):
        found = ward.call()
    says(found["gre"], f"GRE packets of {PUBLIC} arrived at eth0, and chain input of table ip filter dropped them")
    says(found["gre"], "nft insert rule ip filter input ip protocol gre accept")


def test_our_own_filter_keeps_gre_in(ward: Ward) -> None:
    with chain(ward.private, OUTPUT, [*protocol(GRE), *DROP]):
        says(ward.call()["gre"], "this machine's own packet filter let none out", "-I OUTPUT -p gre")


def test_the_reverse_path_filter_drops_the_answers(ward: Ward) -> None:
    """The server's answers come by another link than the way to it."""
    with second_link(ward):
        says(ward.call()["rp-filter"], "arrived at eth1, and the strict reverse path filter dropped them")


# The log-in, encryption, packets.


def test_a_wrong_password(ward: Ward) -> None:
    found = ward.call(password="wrong")
    says(found["log-in"], "the log-in of 'alice' fails", "E=691", "check the user name and the password")
    assert "mppe" not in found


def test_the_server_refuses_mppe(ward: Ward) -> None:
    found = ward.call(port=UNENCRYPTED)
    says(found["mppe"], "the server refuses MPPE", "--mppe prefer, with which everything passes in clear")


def test_the_server_takes_weak_keys_only(ward: Ward) -> None:
    says(ward.call(port=WEAK)["mppe"], "refuses MPPE with 128 bits and takes 40", "--mppe-strength 40")


def test_without_a_user_no_log_in_is_tried(ward: Ward) -> None:
    found = ward.call_until_log_in()
    assert found["lcp"].mark is found["mtu"].mark is Mark.GOOD
    assert "log-in" not in found


def test_without_a_user_no_failed_log_in_is_written_down(ward: Ward) -> None:
    # PAP is where a client speaks first: a Configure-Ack, and its name and password behind it.
    found = ward.call_until_log_in(port=BY_PAP)
    assert found["lcp"].mark is Mark.GOOD
    said = "\n".join(ward.servers[BY_PAP].lines)
    assert "control connection" in said
    assert "'doctor'" not in said


def test_the_server_wants_another_way_of_logging_in(ward: Ward) -> None:
    says(ward.call(port=BY_PAP)["log-in"], "the log-in of 'alice' fails", "--auth")


@pytest.mark.parametrize("mtu", [1300, 1413])
def test_the_mtu_is_too_large(ward: Ward, mtu: int) -> None:
    with link_mtu(ward.gateway, "eth1", mtu):
        found = ward.call_until_log_in()
    says(found["mtu"], f"packets of more than {mtu} octets do not pass", f"give client and server --mtu {mtu - 44}")


def test_the_number_given_fits(ward: Ward) -> None:
    """1256 is what the doctor says for a link of 1300: a tunnel with it carries its largest packets unfragmented."""
    with link_mtu(ward.gateway, "eth1", 1300), chain(ward.gateway, OUTPUT, [*protocol(socket.IPPROTO_ICMP), *DROP]):
        found = ward.call_until_log_in()
        says(found["mtu"], "--mtu 1256")

        def reach(size: int) -> bool:
            config = examination.configure("alice")
            secret = Secret(password="wonder land")
            with dialler.Dialler(PUBLIC, 1723, config, secret) as call:
                call.connect()
                call.pump(lambda: way.find_network(call.books.events) is not None, 5.0)
                network = way.find_network(call.books.events)
                assert network is not None
                return call.ping(network.local, network.peer, size, 0.4)

        assert ward.private.run(lambda: reach(1256))
        assert not ward.private.run(lambda: reach(1270))


def test_addresses_that_are_here_already(ward: Ward) -> None:
    with chain_of_links(ward.private, "192.168.8.77/24"):
        found = ward.call()
    says(found["addresses"], "is in 192.168.8.0/24, the network at eth9", "renumber")


def test_the_name_server_does_not_answer(ward: Ward) -> None:
    with chain(ward.public, INPUT, [*protocol(socket.IPPROTO_UDP), *DROP]):
        found = ward.call()
    says(found["dns"], f"the name server {PUBLIC}, which the PPTP server names, does not answer")


def test_the_server_answers_no_ping(ward: Ward) -> None:
    with chain(ward.public, INPUT, [*comes_by("ppp%d"), *protocol(socket.IPPROTO_ICMP), *DROP]):
        says(ward.call()["data"], "answers no ping through the tunnel", mark=Mark.NOTE)


# This machine as a server.


def test_a_forward_chain_drops_by_its_policy(ward: Ward) -> None:
    with chain(ward.gateway, FORWARD, established(), policy=NF_DROP):
        found = ward.server_side()
    says(found["forward-filter"], "chain forward of table ip filter drops", "from the clients to eth1, by its policy")
    says(found["forward-filter"], 'iifname "ppp*" accept')


def test_a_forward_chain_drops_the_way_back(ward: Ward) -> None:
    with chain(ward.gateway, FORWARD, [*comes_by("ppp%d"), *ACCEPT], policy=NF_DROP):
        says(ward.server_side()["forward-filter"], "drops what is forwarded back to the clients")


def test_the_cure_for_the_forward_chain_works(ward: Ward) -> None:
    rules = [[*comes_by("ppp%d"), *ACCEPT], [*leaves_by("ppp%d"), *ACCEPT]]
    with chain(ward.gateway, FORWARD, *rules, policy=NF_DROP):
        says(ward.server_side()["forward-filter"], "sent through a TUN on trial", mark=Mark.GOOD)


def test_what_the_rules_do_not_tell_is_tried(ward: Ward) -> None:
    rules = [established(), [limited(), *ACCEPT]]
    with chain(ward.gateway, FORWARD, *rules, policy=NF_DROP):
        says(ward.server_side(trial=False)["forward-filter"], "cannot tell", "'limit'", mark=Mark.NOTE)
        says(ward.server_side()["forward-filter"], "sent through a TUN on trial", mark=Mark.GOOD)


@pytest.mark.parametrize(
    ("rule", "check", "words"),
    [
        (
            [*tcp_to(1723), *DROP],
            "input-tcp",
            ["drops TCP to port 1723", "no client can connect", "tcp dport 1723 accept"],
        ),
        ([*protocol(GRE), reject(3)], "input-gre", ["rejects GRE (protocol 47)", "ip protocol gre accept"]),
    ],
)
def test_the_input_chain_closes_the_server(ward: Ward, rule: list[object], check: str, words: list[str]) -> None:
    with chain(ward.gateway, INPUT, rule):
        says(ward.server_side(trial=False)[check], "chain input of table ip filter", *words)


def test_the_input_chain_lets_some_in(ward: Ward) -> None:
    with chain(ward.gateway, INPUT, [*source("10.100.100.2"), *tcp_to(1723), *ACCEPT], policy=NF_DROP):
        found = ward.server_side(trial=False)
    says(found["input-tcp"], "cannot tell whether TCP to port 1723 gets in, because chain input", mark=Mark.NOTE)
    says(found["input-gre"], "drops GRE (protocol 47), by its policy")


def test_the_input_chain_matters_without_a_way_out_too(ward: Ward) -> None:
    with chain(ward.private, INPUT, policy=NF_DROP):
        remove_default_route(ward.private)
        try:
            found = ward.examine(ward.private, Question(trial=False))
        finally:
            set_default_route(ward.private, GATEWAY_PRIVATE, "eth0")
    says(found["input-tcp"], "drops TCP to port 1723, by its policy")
    says(found["default-route"], "there is no default route", mark=Mark.NOTE)


def test_forwarding_is_off_under_a_running_server(ward: Ward) -> None:
    set_forwarding(ward.public, on=False)
    try:
        found = ward.examine(ward.public, Question(trial=False))
    finally:
        set_forwarding(ward.public, on=True)
    says(found["forwarding"], "a server runs here and IPv4 forwarding is off", "sysctl -w net.ipv4.ip_forward=1")


def test_the_port_is_taken(ward: Ward) -> None:
    with greeter(ward.gateway, 1723, b"", stays=True):
        says(ward.server_side(trial=False)["port-free"], f"(process {os.getpid()})", "no server can listen there")
    assert ward.server_side(trial=False)["port-free"].sentence == "port 1723 is free for a server"


def test_masquerading_without_the_helper(ward: Ward) -> None:
    with chain(ward.gateway, POSTROUTING, [masquerade()], kind="nat"):
        says(ward.server_side(trial=False)["nat-helper"], "nf_conntrack_pptp", "--helper pptp", mark=Mark.NOTE)


def test_two_ways_out_with_a_strict_filter(ward: Ward) -> None:
    with second_link(ward, metric=100):
        found = ward.examine(ward.private, Question(trial=False))
    says(found["rp-filter"], "with 2 ways out, the strict reverse path filter of eth1", "eth1.rp_filter=2")


def test_two_default_routes(ward: Ward) -> None:
    with second_link(ward, metric=100):
        found = ward.examine(ward.private, Question(trial=False))
        says(found["default-route"], "eth0 (metric 0) is taken, eth1 (metric 100) is not", mark=Mark.NOTE)
    with second_link(ward, metric=0, strict=False):
        found = ward.examine(ward.private, Question(trial=False))
        says(found["default-route"], "have the same metric 0: which one packets take is left to chance")


def test_another_default_route_beats_the_tunnels(ward: Ward) -> None:
    edge = LinuxEdge()

    def make() -> None:
        interface = edge.open_tun("ppp7")
        edge.configure(interface, local=IPv4Address("10.9.9.2"), peer=IPv4Address("10.9.9.1"))
        edge.add_route(EVERYWHERE, via=interface, metric=50)

    ward.private.run(make)
    try:
        found = ward.examine(ward.private, Question(trial=False))
    finally:
        ward.private.run(edge.undo)
    says(found["default-route"], "packets leave by eth0, not by the tunnel ppp7, whose default route has metric 50")


def test_what_is_wrong_with_a_server_here_is_only_noted_on_the_way_to_another(ward: Ward) -> None:
    with chain(ward.private, FORWARD, policy=NF_DROP):
        found = ward.call()
    says(found["forward-filter"], "drops", mark=Mark.NOTE)
    assert found["data"].mark is Mark.GOOD


# Rights.


def test_without_the_tun_device(ward: Ward, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tun, "DEVICE", str(tmp_path / "tun"))
    says(ward.server_side(trial=False)["tun"], "there is no ", "modprobe tun")


def test_an_ordinary_user() -> None:
    # Imported as root: the interpreter's own folder may be closed to others.
    program = (
        "import encodings.ascii, os, json, pypptp.net.tun, pypptp.net.raw_gre, pypptp.service.doctor as d; "
        "os.setgid(65534); os.setuid(65534); found = []; "
        "d.examine(d.Question(), found.append); "
        "print(json.dumps([[f.check, f.mark, f.sentence, f.cure] for f in found]))"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    found = {entry[0]: entry[1:] for entry in json.loads(done.stdout)}
    assert found["raw-socket"] == [
        "wrong",
        "not allowed to open a raw GRE socket",
        "run as root or give the process CAP_NET_RAW",
    ]
    assert found["net-admin"][0] == "wrong"
    assert "CAP_NET_ADMIN" in found["net-admin"][2]
    mark, sentence, cure = found["packet-filter"]
    assert (mark, cure) == ("note", "run as root or give the process CAP_NET_ADMIN")
    assert sentence == "cannot tell what the packet filter does, because not allowed to read the packet filter"


# Making faults.


def remove_default_route(host: Namespace) -> None:
    def act() -> None:
        with NetlinkSocket() as netlink:
            routes.remove(netlink, Route(EVERYWHERE, "eth0", GATEWAY_PRIVATE))

    host.run(act)


@contextmanager
def link_mtu(host: Namespace, interface: str, mtu: int) -> Iterator[None]:
    def put(value: int) -> None:
        with NetlinkSocket() as netlink:
            set_up(netlink, interface, mtu=value)

    host.run(lambda: put(mtu))
    try:
        yield
    finally:
        host.run(lambda: put(1500))


@contextmanager
def chain_of_links(host: Namespace, address: str) -> Iterator[None]:
    """One more link on a host, to a namespace where nobody is."""
    with Namespace("beside") as beside:
        connect(host, "eth9", beside, "eth0")
        host.add_address("eth9", address)
        yield


@contextmanager
def second_link(ward: Ward, *, metric: int | None = None, strict: bool = True) -> Iterator[None]:
    """A second link from private to the gateway, by which the gateway answers; and a default route there."""
    private, gateway = ward.private, ward.gateway
    back = Route(IPv4Network(PRIVATE), "eth2", IPv4Address("10.100.101.2"))
    connect(private, "eth1", gateway, "eth2")
    try:
        private.add_address("eth1", "10.100.101.2/24")
        gateway.add_address("eth2", "10.100.101.1/24")
        settings = Path("/proc/sys/net/ipv4/conf/eth1/rp_filter")
        private.run(lambda: settings.write_text("1" if strict else "0"))

        def route_back() -> None:
            with NetlinkSocket() as netlink:
                routes.add(netlink, back)

        def second_default() -> None:
            with NetlinkSocket() as netlink:
                route = Route(EVERYWHERE, "eth1", IPv4Address("10.100.101.1"), None, metric or 0)
                # Not in front of the one that is there, as ours go.
                routes.add_exactly(netlink, route)

        gateway.run(route_back)
        if metric is not None:
            private.run(second_default)
        yield
    finally:
        private.run(lambda: delete_link("eth1"))


def delete_link(name: str) -> None:
    message = ifinfmsg()
    message["index"] = interface_index(name)
    with NetlinkSocket() as netlink:
        netlink.request(message, 17)  # RTM_DELLINK


@contextmanager
def greeter(host: Namespace, port: int, greeting: bytes, *, stays: bool) -> Iterator[None]:
    """Something that listens, says its greeting, and then stays or goes."""
    listening = host.run(lambda: socket.create_server(("0.0.0.0", port)))
    guests: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                guest, _ = listening.accept()
            except OSError:
                return
            guest.sendall(greeting)
            if stays:
                guests.append(guest)
            else:
                guest.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
        for each in (listening, *guests):
            each.close()


@contextmanager
def name_server(host: Namespace) -> Iterator[None]:
    """Answer whatever comes to port 53 of the public host."""

    def make() -> socket.socket:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.bind((str(PUBLIC), 53))
        return opened

    asked = host.run(make)
    over = threading.Event()
    asked.settimeout(0.1)

    def serve() -> None:
        while not over.is_set():
            try:
                question, sender = asked.recvfrom(512)
            except TimeoutError:
                continue
            asked.sendto(question[:2] + b"\x81\x80" + question[4:], sender)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        asked.close()
