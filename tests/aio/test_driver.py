"""The driver on a clock that jumps: its timers, and what it does when the transport misbehaves."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from ipaddress import IPv4Address
from typing import Any, cast

import pytest

from pypptp.aio.dataplane import DataPlane
from pypptp.aio.driver import CLOSE_GRACE, OCTETS_AT_ONCE, OCTETS_PER_SECOND, READ_OCTETS, Driver
from pypptp.control import ConnectionClosed, ControlConfig
from pypptp.endpoint import Endpoint, EndpointConfig, EndpointEvent, SessionEnded, SessionEvent, SessionStarted
from pypptp.mppe.rc4 import bind
from pypptp.ppp.auth import Secret
from pypptp.ppp.config import LinkConfig
from pypptp.ppp.events import AddressWanted, NetworkUp, SecretWanted
from pypptp.roles import Role
from pypptp.session import Session
from pypptp.testing import seeded
from tests.peers import CLIENT_ADDRESS, SERVER_ADDRESS, ip_packet

from .plane import decapsulated


class JumpingLoop(asyncio.SelectorEventLoop):
    """Its clock does not run; it jumps to whatever is due next."""

    def __init__(self) -> None:
        self.now = 1000.0
        loop = self

        class Selector(selectors.SelectSelector):
            def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
                found = super().select(0)
                if not found and timeout:
                    loop.now += timeout
                return found

        super().__init__(Selector())

    def time(self) -> float:
        return self.now


class Transport(asyncio.Transport):
    """Keeps what is written; ``reads`` says whether the other end takes it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, peer: str | None = "198.51.100.7") -> None:
        super().__init__({"peername": peer and (peer, 40_000), "sockname": ("198.51.100.1", 1723)})
        self.written = bytearray()
        self.reads = True
        self.aborted = False
        self.paused = False
        self.lost: Callable[[Exception | None], None] = lambda error: None
        self._loop = loop
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 0 if self.reads else len(self.written)

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            if self.reads:
                self._loop.call_soon(self.lost, None)

    def abort(self) -> None:
        if not self.aborted:
            self.aborted = self._closing = True
            self._loop.call_soon(self.lost, None)

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class FakeFlow:
    def __init__(self, plane: FakePlane, session: Session) -> None:
        self.plane = plane
        self.session = session
        self.delivered: list[bytes] = []

    def send(self, datagrams: list[bytes]) -> None:
        self.plane.sent += datagrams

    def deliver(self, packets: list[bytes]) -> None:
        self.delivered += packets


class FakePlane:
    """The part of a DataPlane that a driver sees."""

    def __init__(self) -> None:
        self.flows: list[FakeFlow] = []
        self.expected: list[Any] = []
        self.sent: list[bytes] = []

    def attach(self, session: Session, **_: Any) -> FakeFlow:
        self.flows.append(FakeFlow(self, session))
        return self.flows[-1]

    def detach(self, flow: FakeFlow) -> None:
        self.flows.remove(flow)

    def expect(self, peer: object, take: object) -> None:
        self.expected.append((peer, take))

    def expect_no_more(self, peer: object, take: object) -> None:
        self.expected.remove((peer, take))


class Owner:
    """Lets alice in, and notes when what happened."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.made = 0
        self.closed = 0
        self.events: list[tuple[float, EndpointEvent]] = []

    def connection_made(self, driver: Driver) -> None:
        self.made += 1

    def handle_event(self, driver: Driver, event: EndpointEvent) -> None:
        now = self.loop.time()
        self.events.append((now, event))
        match event:
            case SessionEvent(call_id, SecretWanted()):
                driver.endpoint.provide_secret(call_id, Secret(password="wonderland"), now)
            case SessionEvent(call_id, AddressWanted()):
                local, peer = IPv4Address(SERVER_ADDRESS), IPv4Address(CLIENT_ADDRESS)
                driver.endpoint.assign_address(call_id, local, peer, now)

    def connection_closed(self, driver: Driver) -> None:
        self.closed += 1

    def when(self, kind: type) -> list[float]:
        return [
            now
            for now, e in self.events
            if isinstance(e, kind) or (isinstance(e, SessionEvent) and isinstance(e.event, kind))
        ]


class Bench:
    """A server's driver, and an endpoint for the client; what they say is carried by hand."""

    def __init__(self, *, peer: str | None = "198.51.100.7", echo_interval: float = 60.0, **link: Any) -> None:
        self.loop = cast("JumpingLoop", asyncio.get_running_loop())
        self.plane = FakePlane()
        self.owner = Owner()
        self.transport = Transport(self.loop, peer=peer)
        self.driver = Driver(cast("DataPlane", self.plane), self.owner, self._make_endpoint)
        self.transport.lost = self.driver.connection_lost
        self._config = EndpointConfig(
            link=LinkConfig(**{"name": "pptpd"} | link), control=ControlConfig(echo_interval=echo_interval)
        )
        self.client = Endpoint(
            Role.CLIENT,
            EndpointConfig(link=LinkConfig(name="alice")),
            random=seeded(1),
            now=self.loop.now,
            secret=Secret(password="wonderland"),
        )
        self.driver.connection_made(self.transport)

    def _make_endpoint(self, now: float) -> Endpoint:
        return Endpoint(Role.SERVER, self._config, random=seeded(2), now=now)

    def exchange(self) -> None:
        """Carry everything there and back until nobody has any more to say."""
        for _ in range(100):
            up = self.client.data_to_send()
            down, self.transport.written = bytes(self.transport.written), bytearray()
            datagrams = self.client.datagrams_to_send(self.loop.now)
            replies, self.plane.sent = self.plane.sent, []
            if not (up or down or datagrams or replies):
                return
            if up:
                self.driver.data_received(up)
            for datagram in datagrams:
                session = self.plane.flows[0].session
                buffer = bytearray(datagram)
                session.receive(bind(buffer), buffer, 0, len(buffer), self.loop.now)
                self.driver.settle(self.loop.now)
            if down:
                self.client.receive_data(down, self.loop.now)
            for reply in replies:
                self.client.receive_datagram(reply, self.loop.now)
        raise AssertionError("they never stop talking")

    def connect(self) -> None:
        self.client.connect(self.loop.now)
        self.exchange()
        assert self.owner.when(NetworkUp) == [self.loop.now]

    async def wait(self, seconds: float) -> None:
        """Let so much time pass, to the loop's timers; the client hears and says nothing meanwhile."""
        await asyncio.sleep(seconds)


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    loop = JumpingLoop()
    trouble: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: trouble.append(context))
    try:
        loop.run_until_complete(scenario())
    finally:
        loop.close()
    assert trouble == []


def test_a_silent_connection_is_closed_on_time() -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.wait(4.9)
        assert bench.owner.closed == 0
        await bench.wait(0.2)
        assert bench.owner.closed == 1
        assert bench.owner.when(ConnectionClosed) == [1005.0]
        assert bench.plane.expected == []

    run(scenario)


def test_a_session_comes_up_and_lives_on_its_timers() -> None:
    async def scenario() -> None:
        bench = Bench(echo_interval=50.0)
        bench.connect()
        # LCP Echo-Requests after 30, 60, 90 and 120 s bring no answer: at 150 the link ends. The control connection's
        # own echo of 50 s is not answered by 110 either, and comes first.
        await bench.wait(109.9)
        assert bench.owner.when(ConnectionClosed) == []
        assert len(bench.transport.written) == 16
        await bench.wait(0.2)
        assert bench.owner.when(ConnectionClosed) == [1110.0]
        assert len(bench.owner.when(SessionEnded)) == 1
        assert bench.owner.closed == 1
        assert bench.plane.flows == []

    run(scenario)


def test_the_timer_fires_though_the_clock_is_a_hair_early() -> None:
    async def scenario() -> None:
        bench = Bench()
        driver, loop = bench.driver, bench.loop
        handle = driver._timer
        assert handle is not None
        deadline = handle.when()
        handle.cancel()
        loop.now = deadline - 1e-9
        driver._fire(deadline)
        assert bench.owner.when(ConnectionClosed) != []
        await bench.wait(0.1)
        assert bench.owner.closed == 1

    run(scenario)


def test_frames_set_free_by_a_timer_reach_the_tun() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.connect()
        packets = [ip_packet(b"lost", number=1), ip_packet(b"kept", number=2)]
        for packet in packets:
            bench.client.send_packet(packet, bench.loop.now)
        _, second = bench.client.datagrams_to_send(bench.loop.now)
        server = bench.plane.flows[0].session
        assert decapsulated(server, second, bench.loop.now) is None
        bench.driver.settle(bench.loop.now)
        assert bench.plane.flows[0].delivered == []
        await bench.wait(0.5)
        assert bench.plane.flows[0].delivered == [packets[1]]
        # And the acknowledgement that was due meanwhile went out, once.
        assert len(bench.plane.sent) == 1

    run(scenario)


def test_a_peer_that_does_not_read_cannot_keep_a_closed_connection() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.transport.reads = False
        bench.driver.data_received(b"GET / HTTP/1.0\r\n\r\n")
        bench.transport.written += b"unread"
        assert bench.owner.when(ConnectionClosed) == [1000.0]
        assert bench.transport.is_closing()
        await bench.wait(CLOSE_GRACE - 0.1)
        assert bench.owner.closed == 0
        await bench.wait(0.2)
        assert bench.transport.aborted
        assert bench.owner.closed == 1

    run(scenario)


def test_what_cannot_be_written_waits_in_the_core() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.connect()
        bench.driver.pause_writing()
        echo = bytes.fromhex("0010 0001 1A2B3C4D 0005 0000 00000007")
        for _ in range(10_000):
            bench.driver.data_received(echo)
            if bench.driver.endpoint.control.congested:
                break
        assert bench.transport.paused
        assert bench.transport.written == b""
        await bench.wait(100.0)  # until as much may be read again: then it is the answers alone that are waited for
        assert bench.transport.paused
        bench.driver.resume_writing()
        assert not bench.transport.paused
        assert len(bench.transport.written) > 1000

    run(scenario)


def test_who_sends_without_end_is_read_slowly() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.connect()
        echo = bytes.fromhex("0010 0001 1A2B3C4D 0005 0000 00000007")
        sent = 0
        while not bench.transport.paused:
            bench.driver.data_received(echo)
            sent += len(echo)
        assert sent <= OCTETS_AT_ONCE
        await bench.wait(1.0)
        assert not bench.transport.paused
        sent = 0
        while not bench.transport.paused:
            bench.driver.data_received(echo)
            sent += len(echo)
        assert sent <= 2 * OCTETS_PER_SECOND
        assert len(bench.driver.get_buffer(1 << 20)) == READ_OCTETS

    run(scenario)


def test_what_is_read_is_what_was_sent() -> None:
    async def scenario() -> None:
        bench = Bench()
        octets = bytes.fromhex("0010 0001 1A2B3C4D 0005 0000 00000009")
        bench.connect()
        bench.transport.written = bytearray()
        bench.driver.get_buffer(-1)[: len(octets)] = octets
        bench.driver.buffer_updated(len(octets))
        assert b"\0\0\0\x09" in bytes(bench.transport.written)

    run(scenario)


def test_close_in_order_and_at_once_what_does_not_answer() -> None:
    async def scenario() -> None:
        polite = Bench()
        polite.connect()
        polite.driver.close("that is all")
        polite.exchange()
        await polite.wait(0.1)
        assert polite.owner.closed == 1
        assert polite.loop.now < 1001

        silent = Bench()
        silent.connect()
        began = silent.loop.now
        silent.driver.close("that is all")
        silent.driver.close("twice is no error")
        await silent.wait(CLOSE_GRACE - 0.1)
        assert silent.owner.closed == 0
        await silent.wait(0.2)
        assert silent.owner.closed == 1
        (ended,) = [event for _, event in silent.owner.events if isinstance(event, SessionEnded)]
        assert ended.reason == "that is all"
        assert silent.loop.now < began + CLOSE_GRACE + 0.2

    run(scenario)


def test_nothing_is_left_armed_after_the_end() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.connect()
        bench.transport.close()
        await bench.wait(0.01)
        assert (bench.owner.made, bench.owner.closed) == (1, 1)
        assert bench.plane.expected == []
        assert bench.plane.flows == []
        before = len(bench.owner.events)
        await bench.wait(1000)
        assert len(bench.owner.events) == before
        # The owner may not have heard of it yet.
        bench.driver.close("late")
        bench.driver.abort("late")
        bench.driver.connect()
        bench.driver.settle(bench.loop.now)
        assert len(bench.owner.events) == before

    run(scenario)


def test_a_connection_reset_before_anybody_looked() -> None:
    async def scenario() -> None:
        bench = Bench(peer=None)
        assert bench.transport.aborted
        await bench.wait(0.01)
        bench.driver.connect()
        bench.driver.close("late")
        assert (bench.owner.made, bench.owner.closed) == (0, 1)

    run(scenario)


@pytest.mark.parametrize("error", [None, ConnectionResetError(104, "Connection reset by peer")])
def test_why_the_connection_was_lost_is_said(error: Exception | None) -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.connect()
        bench.driver.connection_lost(error)
        (ended,) = [event for _, event in bench.owner.events if isinstance(event, SessionEnded)]
        assert ("reset by peer" in ended.reason) is (error is not None)

    run(scenario)


def test_sessions_are_attached_once_and_detached() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.connect()
        assert [flow.session for flow in bench.plane.flows] == list(bench.driver.endpoint.sessions.values())
        assert list(bench.driver.flows) == list(bench.driver.endpoint.sessions)
        (call_id,) = bench.client.sessions
        bench.client.close_session(call_id, "one is enough", bench.loop.now)
        bench.exchange()
        assert bench.plane.flows == []
        assert bench.driver.flows == {}
        assert len(bench.owner.when(SessionStarted)) == 1

    run(scenario)
