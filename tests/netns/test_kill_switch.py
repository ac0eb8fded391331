"""What leaves by the uplink while there is a kill switch: nothing but the tunnel, at any moment, IPv6 included.

private 10.100.100.2 ----- 10.100.100.1 gateway 203.0.113.1 ----- 203.0.113.2 public
        fd00::2                 fd00::1
"""

import signal
import time
from ipaddress import IPv4Address

import pytest

from pypptp.net import links
from pypptp.net.netlink import NetlinkSocket, ifaddrmsg
from pypptp.testing.scenario import GATEWAY_PRIVATE, GATEWAY_PUBLIC, PRIVATE, PUBLIC, Program, ping, set_default_route

from .conftest import PATIENCE
from .doomed_lab import KILLED, DoomedLab
from .uplink import Chatter, Leaks

pytestmark = pytest.mark.netns

SWITCH = ("--kill-switch", "--default-route", "--mtu", "1300", "--use-peer-dns")
LASTING = (*SWITCH, "--persist", "--holdoff", "0.5")
SERVER = ("server", "--local", "192.168.0.1", "--secrets", "chap-secrets", "--dns", "192.168.0.1", "--nat", "none")
NEIGHBOUR = "10.100.100.77"
WORLD = (str(PUBLIC), str(GATEWAY_PRIVATE), NEIGHBOUR, "fd00::1")


def prepare(doomed: DoomedLab) -> None:
    """The private host has a default route past the tunnel, and IPv6: two ways for things to leave."""
    set_default_route(doomed.hosts.private, GATEWAY_PRIVATE, "eth0")
    for host, address in ((doomed.hosts.private, "fd00::2"), (doomed.hosts.gateway, "fd00::1")):
        host.run(lambda address=address: add_ipv6(address))  # type: ignore[misc]
    doomed.before = doomed.hosts.snapshot()


def add_ipv6(address: str) -> None:
    import socket

    message = ifaddrmsg()
    message["family"] = socket.AF_INET6
    message["prefixlen"] = 64
    message["index"] = links.interface_index("eth0")
    message["flags"] = 0x02  # IFA_F_NODAD
    message["attrs"] = [("IFA_ADDRESS", address)]
    with NetlinkSocket() as netlink:
        netlink.request(message, links.RTM_NEWADDR, 0x600)


def said(program: Program, words: str, times: int = 1) -> None:
    """Wait until a program has said something so many times."""
    count = 0

    def read(line: str) -> bool | None:
        nonlocal count
        count += words in line
        return True if count >= times else None

    program.await_line(read, patience=PATIENCE)


def serve(doomed: DoomedLab) -> Program:
    server = doomed.run_command("gateway", *SERVER)
    said(server, "listening on ")
    return server


def dial(doomed: DoomedLab, *options: str, server: str = str(GATEWAY_PRIVATE)) -> Program:
    return doomed.run_command("private", "client", "--server", server, "--user", "alice", *options)


def test_nothing_leaves_in_clear_at_any_time(doomed: DoomedLab) -> None:
    prepare(doomed)
    private = doomed.hosts.private
    with Leaks(private, "eth0", GATEWAY_PRIVATE) as leaks, Chatter(private, *WORLD) as chatter:
        chatter.talk()
        assert {f"protocol {number} to {PUBLIC}" for number in (1, 6, 17)} | {"type 0x86dd"} <= set(leaks.take())

        # Before there is a server at all.
        client = dial(doomed, *LASTING)
        said(client, "kill switch on")
        leaks.take()
        chatter.talk()
        assert leaks.take() == []

        server = serve(doomed)
        said(client, "up: ppp0")
        chatter.talk()
        assert leaks.take() == []
        assert leaks.tunnelled > 0

        # The server is killed and comes back.
        server.stop(signal.SIGKILL)
        said(client, "dialling again")
        chatter.talk()
        server = serve(doomed)
        said(client, "up: ppp0", 2)
        chatter.talk()
        assert leaks.take() == []

        # The client is killed: that is what the switch is for. The next one takes over without a gap.
        assert client.stop(signal.SIGKILL) == KILLED
        chatter.talk()
        assert leaks.take() == []
        client = dial(doomed, *LASTING)
        said(client, "up: ppp0")
        assert [line for line in client.lines if "took back what was left behind: kill switch" in line]
        chatter.talk()
        assert leaks.take() == []

        # Told to stop, it opens the way again.
        assert client.stop() == 0, client.lines
        chatter.talk()
        assert leaks.take() != []
    assert doomed.left_on("private") == []
    assert doomed.files() == []


def test_after_a_kill_undo_opens_the_way(doomed: DoomedLab) -> None:
    prepare(doomed)
    private = doomed.hosts.private
    with Leaks(private, "eth0", GATEWAY_PRIVATE) as leaks, Chatter(private, *WORLD) as chatter:
        client = dial(doomed, *LASTING)
        said(client, "kill switch on")
        client.stop(signal.SIGKILL)
        leaks.take()
        chatter.talk()
        assert leaks.take() == []
        status, lines = doomed.undo("private")
        assert status == 0
        assert [line for line in lines if line.startswith("took back kill switch ")], lines
        chatter.talk()
        assert leaks.take() != []
    assert doomed.left_on("private") == []


def test_a_client_that_gives_up_by_itself_leaves_it_closed(doomed: DoomedLab) -> None:
    prepare(doomed)
    private = doomed.hosts.private
    serve(doomed)
    with Leaks(private, "eth0", GATEWAY_PRIVATE) as leaks, Chatter(private, *WORLD) as chatter:
        client = dial(doomed, *SWITCH, "--password", "wrong")
        assert client.wait(PATIENCE) not in (None, 0)
        said(client, "the kill switch stays on")
        leaks.take()
        chatter.talk()
        assert leaks.take() == []
    assert doomed.undo("private")[0] == 0
    assert doomed.left_on("private") == []


def test_what_is_let_past(doomed: DoomedLab) -> None:
    prepare(doomed)
    private = doomed.hosts.private
    doomed.hosts.gateway.add_address("eth0", f"{NEIGHBOUR}/32")
    serve(doomed)
    client = dial(doomed, "--kill-switch", "--bypass", f"{NEIGHBOUR}/32")
    said(client, "up: ppp0")
    assert ping(private, IPv4Address(NEIGHBOUR), count=2).received == 2
    assert ping(private, GATEWAY_PRIVATE, count=1).received == 0
    assert ping(private, PRIVATE, count=1).received == 1  # by the loopback interface
    assert ping(private, IPv4Address("192.168.0.1"), count=2).received == 2
    assert client.stop() == 0
    assert ping(private, GATEWAY_PRIVATE, count=1).received == 1


@pytest.mark.parametrize("first_to_end", [0, 1])
def test_two_at_once_do_not_shut_each_other_out(doomed: DoomedLab, first_to_end: int) -> None:
    prepare(doomed)
    serve(doomed)
    private = doomed.hosts.private
    echoes = ("--lcp-echo-interval", "0.3", "--lcp-echo-failure", "2")
    clients = [dial(doomed, *LASTING, *echoes)]
    said(clients[0], "up: ppp0")
    # Another server, which the first one's switch knows nothing of, and not through the first one's tunnel.
    bob = ("client", "--server", str(GATEWAY_PUBLIC), "--uplink", "eth0", "--user", "bob", *LASTING, *echoes)
    clients.append(doomed.run_command("private", *bob))
    said(clients[1], "up: ppp1")
    servers = (GATEWAY_PRIVATE, GATEWAY_PUBLIC)
    with Leaks(private, "eth0", *servers) as leaks, Chatter(private, *WORLD) as chatter:
        # An echo in either tunnel that did not come back would end its session by now.
        time.sleep(1.5)
        assert not [line for client in clients for line in client.lines if "dialling again" in line]
        assert clients[first_to_end].stop() == 0
        other = IPv4Address(("192.168.0.240", "192.168.0.234")[first_to_end])
        chatter.talk()
        assert ping(doomed.hosts.gateway, other, count=2).received == 2
        assert leaks.take() == []
    assert clients[1 - first_to_end].stop() == 0
    assert doomed.left_on("private") == []
    assert doomed.files() == []
