"""One control connection at work: an Endpoint fed from a TCP transport and from the data plane.

The driver owns no policy. What happens on the endpoint goes to its owner, the server or the client, as events.
"""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address
from typing import Protocol

from pypptp.aio.dataplane import DataPlane, Flow
from pypptp.aio.rates import TokenBucket
from pypptp.endpoint import Endpoint, EndpointEvent, SessionEnded, SessionStarted

READ_OCTETS = 1024
"""Of a control connection at once: 64 Echo-Requests, which take a millisecond. asyncio itself would read 256 KiB."""
OCTETS_PER_SECOND = 4096
"""How fast a peer may go on sending control messages. A session takes 500 octets in all; who sends without end waits in
its own TCP."""
OCTETS_AT_ONCE = 16_384
CLOSE_GRACE = 2.0
"""Seconds that an orderly end may take: Terminate-Request, Call-Clear-Request, Stop-Control-Connection-Request."""


class Owner(Protocol):
    """Who decides what a driver's events mean."""

    def connection_made(self, driver: Driver) -> None:
        """TCP is up and the driver has its endpoint."""

    def handle_event(self, driver: Driver, event: EndpointEvent) -> None:
        """Act on an event. It may call the driver's methods; it must not block."""

    def connection_closed(self, driver: Driver) -> None:
        """TCP is closed and nothing more will come."""


class Driver(asyncio.BufferedProtocol):
    """The protocol of one TCP connection.

    Attributes:
        endpoint: the core this drives, once the connection is made.
        flows: the data plane's flow of each live call, by our call id.
        peer: the address of the other end.
        local: our own address on this connection.
        number: what a server knows this connection by, unique in all of its processes.
    """

    endpoint: Endpoint
    peer: IPv4Address
    local: IPv4Address

    def __init__(self, plane: DataPlane, owner: Owner, make_endpoint: EndpointFactory) -> None:
        self.flows: dict[int, Flow] = {}
        self.number = 0
        self._plane = plane
        self._owner = owner
        self._make_endpoint = make_endpoint
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._abort: asyncio.TimerHandle | None = None
        self._writable = True
        self._reading = True
        self._allowance = TokenBucket(OCTETS_PER_SECOND, OCTETS_AT_ONCE, self._loop.time())
        self._octets = bytearray(READ_OCTETS)
        self._rest: asyncio.TimerHandle | None = None

    # asyncio's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TCP is up."""
        assert isinstance(transport, asyncio.Transport)
        peer, local = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if peer is None or local is None:
            # The other end has reset the connection already, and the kernel knows no more who it was.
            transport.abort()
            return
        self._transport = transport
        self.peer, self.local = IPv4Address(peer[0]), IPv4Address(local[0])
        now = self._loop.time()
        self.endpoint = self._make_endpoint(now)
        self._plane.expect(self.peer, self._take_early)
        self._owner.connection_made(self)
        self.settle(now)

    def get_buffer(self, sizehint: int) -> bytearray:
        """Give the place to read to."""
        return self._octets

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read."""
        self.data_received(bytes(self._octets[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Octets of the control connection."""
        now = self._loop.time()
        self._allowance.spend(len(data))
        if not self._allowance.left(now) and self._rest is None:
            self._rest = self._loop.call_later(self._allowance.wait(), self._rested)
        self.endpoint.receive_data(data, now)
        self.settle(now)

    def _rested(self) -> None:
        self._rest = None
        self._allowance.left(self._loop.time())
        self.settle(self._loop.time())

    def eof_received(self) -> bool:
        """The peer will send no more; it is answered with the end of our side."""
        return False

    def pause_writing(self) -> None:
        """The peer does not read; what waits stays in the core, which bounds it."""
        self._writable = False

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._writable = True
        self.settle(self._loop.time())

    def connection_lost(self, exc: Exception | None) -> None:
        """TCP is gone."""
        if self._transport is None:
            self._owner.connection_closed(self)
            return
        now = self._loop.time()
        reason = f"the control connection broke: {exc}" if exc else "the peer closed the connection"
        self.endpoint.receive_eof(now, reason)
        self.settle(now)
        self._transport = None
        for handle in (self._timer, self._abort, self._rest):
            if handle is not None:
                handle.cancel()
        self._timer = self._abort = self._rest = None
        self._plane.expect_no_more(self.peer, self._take_early)
        self._owner.connection_closed(self)

    # The owner's side.

    def connect(self) -> None:
        """Client: begin. A connection that is gone already is no error: the owner has been told."""
        if self._transport is None:
            return
        now = self._loop.time()
        self.endpoint.connect(now)
        self.settle(now)

    def send_packet(self, call_id: int, packet: bytes) -> None:
        """Send one IP packet through a call that did not come from its TUN. A call that is gone is no error."""
        if call_id in self.endpoint.sessions:
            now = self._loop.time()
            self.endpoint.send_packet(packet, now, call_id)
            self.settle(now)

    def close(self, reason: str, grace: float = CLOSE_GRACE) -> None:
        """End everything in order, and at once what is not ended after the grace, in seconds."""
        if self._transport is None:
            return
        now = self._loop.time()
        self.endpoint.close(reason, now)
        if self._abort is None:
            self._abort = self._loop.call_later(grace, self._abort_now, reason)
        self.settle(now)

    def abort(self, reason: str) -> None:
        """End everything at once and wait for nobody. Twice is no error."""
        if self._transport is None:
            return
        now = self._loop.time()
        self.endpoint.abort(reason, now)
        self.settle(now)
        transport = self._transport
        if transport is not None:
            if transport.get_write_buffer_size():
                # A peer that does not read would keep a closing transport for as long as it likes.
                transport.abort()
            else:
                transport.close()

    def _abort_now(self, reason: str) -> None:
        self._abort = None
        self.abort(reason)

    # Between them: after every input, everything the core has to say goes where it belongs.

    def settle(self, now: float) -> None:
        """Let the core follow up on what came in; send, report and arm the timer."""
        endpoint = self.endpoint
        endpoint.settle(now)
        while (event := endpoint.next_event()) is not None:
            if isinstance(event, SessionStarted):
                self._attach(event.call_id)
            self._owner.handle_event(self, event)
            if isinstance(event, SessionEnded):
                self._detach(event, now)
        self._send(now)
        self._write()
        self._arm(now)

    def _attach(self, call_id: int) -> None:
        session = self.endpoint.sessions.get(call_id)
        if session is not None:
            self.flows[call_id] = self._plane.attach(session, local=self.local, peer=self.peer, settle=self.settle)

    def _detach(self, event: SessionEnded, now: float) -> None:
        flow = self.flows.pop(event.call_id, None)
        if flow is not None:
            # The last words, a Terminate-Ack above all, are still in the endpoint.
            flow.send(self.endpoint.datagrams_to_send(now))
            self._plane.detach(flow)

    def _send(self, now: float) -> None:
        # All calls of a connection go to one address, and a datagram names its call itself: any flow will do.
        datagrams = self.endpoint.datagrams_to_send(now)
        if datagrams and self.flows:
            next(iter(self.flows.values())).send(datagrams)

    def _take_early(self, call_id: int, datagram: bytes) -> None:
        self.endpoint.keep_early(datagram, call_id)

    def _write(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        control = self.endpoint.control
        if self._writable:
            data = self.endpoint.data_to_send()
            if data:
                transport.write(data)
        if control.closed:
            transport.close()
            if self._abort is None:
                self._abort = self._loop.call_later(CLOSE_GRACE, self._abort_now, "the peer does not read")
        elif (control.congested or self._rest is not None) == self._reading:
            self._reading = not self._reading
            if self._reading:
                transport.resume_reading()
            else:
                transport.pause_reading()

    def _arm(self, now: float) -> None:
        # An armed handle that is early does no harm, it arms the next; so a deadline that moves away, as the one of the
        # delayed acknowledgement does with every packet, costs nothing.
        deadline = self.endpoint.get_timer()
        if deadline is None or self._transport is None:
            return
        if self._timer is not None:
            if self._timer.when() <= deadline:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(max(deadline, now), self._fire, deadline)

    def _fire(self, deadline: float) -> None:
        self._timer = None
        # The loop's clock may be a hair before the deadline it was given; without this the core would do nothing and
        # the same deadline be armed again, over and over.
        now = max(self._loop.time(), deadline)
        self.endpoint.handle_timer(now)
        for call_id, flow in self.flows.items():
            flow.deliver(self.endpoint.packets_received(call_id))
        self.settle(now)


class EndpointFactory(Protocol):
    """Makes the endpoint of a connection that was just made."""

    def __call__(self, now: float) -> Endpoint:
        """Return a new endpoint."""
