"""A client that stays: what happens to it while the server, the link or its own address come and go.

private 10.100.100.2 ----- 10.100.100.1 gateway 203.0.113.1 ----- 203.0.113.2 public
ppp0 192.168.0.234 ======= 192.168.0.1 ppp0
"""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable

import pytest

from pypptp.net import links
from pypptp.net.netlink import NetlinkSocket
from pypptp.testing.scenario import GATEWAY_PRIVATE, GATEWAY_PUBLIC, PRIVATE, PUBLIC, Program, ping
from pypptp.testing.scenario.hosts import set_default_route

from .conftest import PATIENCE, Lab

pytestmark = pytest.mark.netns

RTM_DELLINK = 17
PERSIST = ("--persist", "--holdoff", "0.2")
WATCHFUL = ("--lcp-echo-interval", "0.5", "--lcp-echo-failure", "2")


def await_count(program: Program, words: str, count: int, patience: float = PATIENCE) -> None:
    """Wait until a line with these words has come so many times."""
    found: list[str] = []

    def read(line: str) -> bool | None:
        if words in line:
            found.append(line)
        return True if len(found) >= count else None

    program.await_line(read, patience=patience)


def up(client: Program, count: int = 1, patience: float = PATIENCE) -> None:
    await_count(client, " up: ppp0, ", count, patience)


def index_of_tun(lab: Lab) -> int:
    return lab.hosts.private.run(lambda: socket.if_nametoindex("ppp0"))


def set_link(lab: Lab, flags: int) -> None:
    def act() -> None:
        with NetlinkSocket() as netlink:
            message = links._link(socket.if_nametoindex("eth0"))
            message["flags"], message["change"] = flags, links.IFF_UP
            netlink.request(message, links.RTM_NEWLINK)

    lab.hosts.private.run(act)


def change_address(lab: Lab, act: Callable[[NetlinkSocket], None]) -> None:
    def inside() -> None:
        with NetlinkSocket() as netlink:
            act(netlink)

    lab.hosts.private.run(inside)


def connection(lab: Lab) -> tuple[socket.socket, socket.socket]:
    """Connect through the tunnel to an address of the gateway's that does not go with it."""
    address = str(GATEWAY_PUBLIC)
    with lab.hosts.gateway.run(lambda: socket.create_server((address, 0))) as listener:
        port = listener.getsockname()[1]
        near = lab.hosts.private.run(lambda: socket.create_connection((address, port), timeout=5))
        far, source = listener.accept()
    far.settimeout(5)
    assert source[0] == "192.168.0.234"
    return near, far


def test_the_server_is_killed_and_comes_back(lab: Lab) -> None:
    server = lab.server("--nat", "none")
    client = lab.client("--default-route", "--bypass", "private", *PERSIST)
    up(client)
    index = index_of_tun(lab)
    near, far = connection(lab)
    assert server.stop(signal.SIGKILL) == -signal.SIGKILL
    await_count(client, "refuses connections to port 1723: no PPTP server runs there; dialling again in", 2)
    lab.server()
    began = time.monotonic()
    up(client, 2)
    assert time.monotonic() - began < 4
    assert index_of_tun(lab) == index
    assert ping(lab.hosts.private, PUBLIC, count=2).received == 2
    with near, far:
        near.sendall(b"as if nothing had been")
        assert far.recv(100) == b"as if nothing had been"
    assert client.stop() == 0
    assert [line for line in lab.left_behind() if line.startswith("private")] == []


def test_the_link_is_down_for_five_seconds_and_the_default_route_comes_back_later(lab: Lab) -> None:
    # By way of a router, and with everything else in the tunnel: the way to the server has to be found anew.
    lab.server()
    set_default_route(lab.hosts.private, GATEWAY_PRIVATE, "eth0")
    client = lab.client("--server", str(GATEWAY_PUBLIC), "--default-route", *PERSIST, *WATCHFUL)
    up(client)
    index = index_of_tun(lab)
    set_link(lab, 0)
    down = time.monotonic()
    await_count(client, "no answer to 2 LCP Echo-Requests; dialling again in", 1, patience=4)
    await_count(client, f"there is no route to {GATEWAY_PUBLIC}", 2)
    time.sleep(max(0.0, 5 - (time.monotonic() - down)))
    set_link(lab, links.IFF_UP)
    time.sleep(0.5)
    assert client.status is None
    set_default_route(lab.hosts.private, GATEWAY_PRIVATE, "eth0")
    back = time.monotonic()
    up(client, 2)
    assert time.monotonic() - back < 3
    assert index_of_tun(lab) == index
    assert ping(lab.hosts.private, PUBLIC, count=2).received == 2
    assert client.stop() == 0


def test_another_address_on_the_link(lab: Lab) -> None:
    lab.server()
    client = lab.client("--route", "203.0.113.0/24", *PERSIST)
    up(client)
    index = index_of_tun(lab)
    changed = time.monotonic()

    def act(netlink: NetlinkSocket) -> None:
        links.remove_address(netlink, "eth0", PRIVATE, prefix=24)
        links.add_address(netlink, "eth0", PRIVATE + 7, prefix=24)

    change_address(lab, act)
    up(client, 2)
    assert time.monotonic() - changed < 3
    assert any(f"the address {PRIVATE} is no longer this machine's; dialling again" in line for line in client.lines)
    assert index_of_tun(lab) == index
    assert ping(lab.hosts.private, PUBLIC, count=2).received == 2
    assert client.stop() == 0


@pytest.mark.parametrize("options", [("--persist", "--holdoff", "0.2"), ("--demand",)])
def test_its_interface_is_deleted_by_somebody(lab: Lab, options: tuple[str, ...]) -> None:
    lab.server()
    client = lab.client("--route", "203.0.113.0/24", *options)
    if "--demand" in options:
        client.await_line(lambda line: "ppp0 waits for a packet" in line or None, patience=PATIENCE)
    else:
        up(client)
    index = index_of_tun(lab)

    def act(netlink: NetlinkSocket) -> None:
        netlink.request(links._link(index), RTM_DELLINK)

    change_address(lab, act)
    if "--demand" in options:
        await_count(client, "the interface ppp0 was taken away", 1)
        await_count(client, "ppp0 waits for a packet", 2)
    else:
        await_count(client, "the interface ppp0 was taken away; dialling again in", 1)
        up(client, 2)
    assert index_of_tun(lab) != index
    assert ping(lab.hosts.private, PUBLIC, count=2).received == 2
    assert client.stop() == 0


def test_a_wrong_password_is_tried_once(lab: Lab) -> None:
    server = lab.server()
    client = lab.client(*PERSIST, password="wrong")
    assert client.wait(PATIENCE) == 19
    assert client.last_line.endswith("check the user name and the password")
    assert any("not dialling again: the log-in was refused" in line for line in client.lines)
    assert server.stop() == 0
    assert sum("control connection from" in line for line in server.lines) == 1
    assert lab.left_behind() == []


def test_the_first_packet_dials_and_silence_hangs_up(lab: Lab) -> None:
    server = lab.server()
    client = lab.client("--demand", "--idle", "1", "--route", "203.0.113.0/24")
    client.await_line(lambda line: "ppp0 waits for a packet" in line or None, patience=PATIENCE)
    assert not any("control connection from" in line for line in server.lines)
    # Not one is lost: the first has to wait for its session.
    assert ping(lab.hosts.private, PUBLIC, count=2).received == 2
    up(client)
    await_count(client, "waiting for the next packet", 1)
    assert ping(lab.hosts.private, PUBLIC, count=2).received == 2
    up(client, 2)
    assert client.stop() == 0
    assert server.stop() == 0
    assert lab.left_behind() == []
