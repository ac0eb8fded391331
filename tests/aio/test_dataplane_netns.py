"""Two data planes on raw sockets and real TUN devices, one in each of two namespaces.

host socket                                                              host socket
  192.168.77.1 -- TUN -- plane -- 203.0.113.1 === 203.0.113.2 -- plane -- TUN -- 192.168.77.2
  [                left                      ]   [                 right                  ]
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from ipaddress import IPv4Address

import pytest

from pypptp.aio import batch_io
from pypptp.aio.batch_io import BATCH, MmsgIo, SocketIo
from pypptp.aio.dataplane import DataPlane
from pypptp.net import links
from pypptp.net.namespaces import Namespace, connect
from pypptp.net.netlink import NetlinkSocket, ifinfmsg
from pypptp.net.raw_gre import open_gre_socket
from pypptp.net.tun import LinuxTun
from pypptp.session import Session
from tests.peers import connected

pytestmark = pytest.mark.netns

RTM_DELLINK = 17
SO_RCVBUFFORCE = 33
PORT = 9


class End:
    """One namespace with its plane."""

    def __init__(
        self, stack: ExitStack, loop: asyncio.AbstractEventLoop, name: str, kind: type[MmsgIo] | type[SocketIo]
    ) -> None:
        self.loop = loop
        self.namespace = stack.enter_context(Namespace(name))
        self.gre = stack.enter_context(self.namespace.run(open_gre_socket))
        self.plane = DataPlane(loop, self.gre, batch_io=kind)
        stack.callback(self.plane.close)
        self.stack = stack
        self.settled = 0

    def attach(self, session: Session, *, outer: tuple[str, str], inner: tuple[str, str]) -> None:
        self.tun = self.namespace.run(LinuxTun)
        self.stack.callback(self.tun.close)
        self.session = session
        local, peer = (IPv4Address(address) for address in inner)

        def configure() -> None:
            with NetlinkSocket() as netlink:
                links.prepare_tun(netlink, self.tun.name, mtu=1400, alias="test")
                links.add_address(netlink, self.tun.name, local, peer=peer)
                links.set_up(netlink, self.tun.name)

        self.namespace.run(configure)
        source, destination = (IPv4Address(address) for address in outer)
        self.flow = self.plane.attach(session, local=source, peer=destination, settle=self._settle)
        self.flow.open_tun(self.tun.fd)
        self.host = self.stack.enter_context(
            self.namespace.run(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        )
        # Everything a test sends at once has room, whatever net.core.rmem_max says.
        self.host.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
        self.host.bind((inner[0], PORT))
        self.host.setblocking(False)

    def _settle(self, now: float) -> None:
        self.settled += 1
        self.flow.send(self.session.datagrams_to_send(now))

    def delete_tun(self) -> None:
        def act() -> None:
            message = ifinfmsg()
            message["index"] = links.interface_index(self.tun.name)
            with NetlinkSocket() as netlink:
                netlink.request(message, RTM_DELLINK, 0)

        self.namespace.run(act)


@pytest.fixture(params=["mmsg", "socket"])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[End, End]]:
    kind = batch_io.load(request.param)
    with ExitStack() as stack:
        loop = asyncio.new_event_loop()
        stack.callback(loop.close)
        left, right = End(stack, loop, "left", kind), End(stack, loop, "right", kind)
        connect(left.namespace, "veth0", right.namespace, "veth0")
        left.namespace.add_address("veth0", "203.0.113.1/24")
        right.namespace.add_address("veth0", "203.0.113.2/24")
        # A second address: answers to it must come from it.
        right.namespace.add_address("veth0", "203.0.113.3/24")
        network = connected(check_source=False)
        client, server = (next(iter(end.sessions.values())) for end in (network.client, network.server))
        left.attach(client, outer=("203.0.113.1", "203.0.113.3"), inner=("192.168.77.1", "192.168.77.2"))
        right.attach(server, outer=("203.0.113.3", "203.0.113.1"), inner=("192.168.77.2", "192.168.77.1"))
        # Until the neighbour's address is known its packets wait in a queue that drops the oldest.
        right.host.sendto(b"first", ("192.168.77.1", PORT))
        arrived: list[bytes] = []
        wait_for(loop, arrived, 1, left.host)
        assert arrived == [b"first"]
        yield left, right


def wait_until(loop: asyncio.AbstractEventLoop, true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not true() and time.monotonic() < deadline:
        loop.run_until_complete(asyncio.sleep(0.001))
    assert true()


def wait_for(loop: asyncio.AbstractEventLoop, datagrams: list[bytes], count: int, host: socket.socket) -> None:
    async def collect() -> None:
        deadline = time.monotonic() + 5
        while len(datagrams) < count and time.monotonic() < deadline:
            await asyncio.sleep(0.001)
            try:
                while True:
                    datagrams.append(host.recv(2048))
            except BlockingIOError:
                pass

    loop.run_until_complete(collect())


def test_packets_pass_both_ways(ends: tuple[End, End]) -> None:
    left, right = ends
    for sender, receiver, address in ((left, right, "192.168.77.2"), (right, left, "192.168.77.1")):
        payloads = [bytes([number]) * (1 + number * 10) for number in range(2 * BATCH)]
        for payload in payloads:
            sender.host.sendto(payload, (address, PORT))
        arrived: list[bytes] = []
        wait_for(left.loop, arrived, len(payloads), receiver.host)
        assert arrived == payloads
        assert receiver.session.counters.packets_in >= len(payloads)
    for end in ends:
        assert end.plane.errors == {}
        assert end.plane.wrong_address == end.plane.unknown_call == end.plane.not_gre == 0
        assert end.plane.kernel_drops == 0
        assert 0 < end.settled <= end.plane.wake_ups
        assert end.plane.datagrams_in >= 2 * BATCH


def test_a_tun_that_is_deleted_is_let_go(ends: tuple[End, End]) -> None:
    left, right = ends
    left.delete_tun()
    wait_until(left.loop, lambda: left.flow.tun_error is not None)
    assert left.settled
    idle = left.plane.wake_ups
    left.loop.run_until_complete(asyncio.sleep(0.05))
    assert left.plane.wake_ups == idle
    right.host.sendto(b"to nobody", ("192.168.77.1", PORT))
    wait_until(left.loop, lambda: left.flow.no_tun == 1)


def test_an_interface_that_is_down_refuses_packets_and_takes_them_again(ends: tuple[End, End]) -> None:
    left, right = ends

    def set_down() -> None:
        message = ifinfmsg()
        message["index"] = links.interface_index(left.tun.name)
        message["flags"], message["change"] = 0, links.IFF_UP
        with NetlinkSocket() as netlink:
            netlink.request(message, links.RTM_NEWLINK, 0)

    def set_up() -> None:
        with NetlinkSocket() as netlink:
            links.set_up(netlink, left.tun.name)

    left.namespace.run(set_down)
    right.host.sendto(b"down", ("192.168.77.1", PORT))
    wait_until(left.loop, lambda: left.flow.tun_refused == 1)
    assert left.flow.tun_error is None
    left.namespace.run(set_up)
    right.host.sendto(b"up", ("192.168.77.1", PORT))
    arrived: list[bytes] = []
    wait_for(left.loop, arrived, 1, left.host)
    assert arrived == [b"up"]
