"""This project's own endpoints as targets, in the same process: a server with its users and addresses, and a client.

Behind either is a host that answers pings. Whoever wants them broken patches the core, or puts a hand into the wire.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address

from pypptp.control import CallIdAllocator, CallRefused, ConnectionClosed, ControlConfig
from pypptp.endpoint import Endpoint, EndpointConfig, SessionEnded, SessionEvent
from pypptp.ppp.auth import Secret
from pypptp.ppp.config import LinkConfig
from pypptp.ppp.events import AddressWanted, NetworkUp, SecretWanted
from pypptp.roles import Role
from pypptp.testing.dialogue import packets
from pypptp.testing.dialogue.case import Target, Timers
from pypptp.testing.dialogue.network import ControlChannel, GreChannel, ProgramEnd
from pypptp.testing.simnet import seeded

USER = "alice"
PASSWORD = "wonderland"  # noqa: S105 - of a target that lives as long as a test
NEAR = IPv4Address("127.0.0.1")
FAR = IPv4Address("127.0.0.99")
INNER = IPv4Address("192.168.0.1")
DNS = (IPv4Address("192.168.0.53"),)
TIMERS = Timers(start=5.0, echo=60.0, echo_timeout=60.0, lcp=30.0, lcp_failures=4, restart=3.0)

Rewrite = Callable[[bytes], list[bytes]]


def _unchanged(octets: bytes) -> list[bytes]:
    return [octets]


class Wire:
    """What is done to the target's words on the way: by default nothing."""

    def __init__(self) -> None:
        self.control_in: Rewrite = _unchanged
        self.control_out: Rewrite = _unchanged
        self.gre_in: Rewrite = _unchanged
        self.gre_out: Rewrite = _unchanged


class Channel:
    """The tester's end of a TCP connection."""

    def __init__(self, near: IPv4Address, port: int) -> None:
        self.near = near
        self.far = FAR
        self.ports = (port, 1723)
        self.to_tester: asyncio.Queue[bytes] = asyncio.Queue()
        self.connection: Connection | None = None

    async def send(self, data: bytes) -> None:
        if self.connection is None:
            raise ConnectionError("closed")
        self.connection.receive(data)
        await asyncio.sleep(0)

    async def receive(self) -> bytes:
        return await self.to_tester.get()

    def close(self) -> None:
        if self.connection is not None:
            self.connection.eof()

    abort = close


class Connection:
    """The target's end: an endpoint and what a shell does for it."""

    def __init__(self, peers: Peers, channel: Channel, endpoint: Endpoint) -> None:
        self.peers = peers
        self.channel = channel
        self.endpoint = endpoint
        self.loop = asyncio.get_running_loop()
        self.failure = ""
        self.over = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._addresses: dict[int, IPv4Address] = {}

    def receive(self, data: bytes) -> None:
        for octets in self.peers.wire.control_in(data):
            self.endpoint.receive_data(octets, self.loop.time())
            self.settle()

    def receive_datagram(self, datagram: bytes) -> None:
        self.endpoint.receive_datagram(datagram, self.loop.time())
        self.settle()

    def eof(self) -> None:
        if not self.over.is_set():
            self.endpoint.receive_eof(self.loop.time())
            self.settle()

    def settle(self) -> None:
        now = self.loop.time()
        while (event := self.endpoint.next_event()) is not None:
            self._handle(event, now)
        for packet in self.endpoint.packets_received():
            self._answer(packet, now)
        for datagram in self.endpoint.datagrams_to_send(now):
            for octets in self.peers.wire.gre_out(datagram):
                self.loop.call_soon(self.peers.deliver, self.channel.near, octets)
        data = self.endpoint.data_to_send()
        for octets in self.peers.wire.control_out(data) if data else ():
            self.channel.to_tester.put_nowait(octets)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self.endpoint.get_timer()
        if self.endpoint.control.closed and not self.over.is_set():
            self.over.set()
            self.channel.connection = None
            self.channel.to_tester.put_nowait(b"")
            self.peers.connections.remove(self)
        elif deadline is not None and not self.over.is_set():
            self._timer = self.loop.call_at(max(deadline, now), self._fire, deadline)

    def _fire(self, deadline: float) -> None:
        self.endpoint.handle_timer(max(self.loop.time(), deadline))
        self.settle()

    def _handle(self, event: object, now: float) -> None:
        peers = self.peers
        match event:
            case SessionEvent(call_id, SecretWanted(name=name)):
                password = peers.find_password(name)
                peers.failures[self.channel.near] += password is None
                self.endpoint.provide_secret(call_id, None if password is None else Secret(password=password), now)
            case SessionEvent(call_id, AddressWanted()):
                if peers.free:
                    address = self._addresses[call_id] = peers.free.pop(0)
                    self.endpoint.assign_address(call_id, INNER, address, now, dns=DNS)
                else:
                    self.endpoint.close_session(call_id, "no address left in the pool", now)
            case SessionEvent(call_id, NetworkUp() as network):
                self._addresses.setdefault(call_id, network.peer)
            case SessionEnded(call_id=call_id, reason=reason):
                self.failure = self.failure or reason
                if call_id in self._addresses:
                    peers.give_back(self._addresses.pop(call_id))
            case CallRefused(reason=reason) | ConnectionClosed(reason=reason):
                self.failure = self.failure or reason

    def _answer(self, packet: bytes, now: float) -> None:
        """Do what the system behind the TUN does: answer ICMP Echo."""
        echo = packets.parse_echo(packet)
        if self.peers.checks_checksum and packets.checksum(packet[:20]):
            return
        if echo is None or echo.kind != packets.ECHO_REQUEST:
            return
        reply = packets.echo(packets.ECHO_REPLY, echo.identifier, echo.number, echo.data)
        answer = packets.ipv4(packets.ICMP, echo.destination, echo.source, reply)
        if echo.destination != INNER and self.peers.role is Role.SERVER:
            self._route(echo.destination, packet, now)
        else:
            self._route(echo.source, answer, now)

    def _route(self, destination: IPv4Address, packet: bytes, now: float) -> None:
        for connection in list(self.peers.connections) if self.peers.role is Role.SERVER else [self]:
            for call_id, address in connection._addresses.items():
                wanted = address == destination or self.peers.role is Role.CLIENT
                if wanted and call_id in connection.endpoint.sessions:
                    connection.endpoint.send_packet(packet, now, call_id)
                    if connection is not self:
                        connection.settle()
                    return


class Peers:
    """All connections of a target, and what they share.

    Attributes:
        wire: what is done to the target's words on the way.
        checks_source: drop GRE that is not from the address of its control connection.
        checks_checksum: the host behind the TUN drops IPv4 headers whose checksum is wrong.
        connection_limit: connections one address may have.
        failure_limit: log-ins of users nobody knows, after which an address may not connect any more.
    """

    def __init__(
        self, role: Role, *, users: Mapping[str, str] | None = None, config: EndpointConfig | None = None
    ) -> None:
        """Make a target that nobody has talked to.

        Args:
            role: its role.
            users: passwords by name; of a client the first is its own.
            config: the settings of its endpoints; the usual ones where left out.
        """
        self.role = role
        self.users = dict(users) if users else {USER: PASSWORD}
        self.wire = Wire()
        self.checks_source = True
        self.checks_checksum = True
        self.failure_limit: int | None = 100
        self.failures: Counter[IPv4Address] = Counter()
        self.connections: list[Connection] = []
        self.free = [INNER + 233 + number for number in range(12)]
        self.random = seeded(1723)
        self.call_ids = CallIdAllocator(self.random)
        self.endpoint_class: type[Endpoint] = Endpoint
        self.config = config or EndpointConfig(
            link=LinkConfig(name="pptpd" if role is Role.SERVER else next(iter(self.users))),
            control=ControlConfig(start_timeout=TIMERS.start),
            check_source=role is Role.SERVER,
        )
        self.connection_limit = 64
        self._listeners: dict[IPv4Address, list[Callable[[bytes], None]]] = {}
        self._ports = iter(range(1024, 65536))
        self._sources = iter(range(2, 1 << 20))

    def find_password(self, name: str) -> str | None:
        return self.users.get(name.rpartition("\\")[2])

    def give_back(self, address: IPv4Address) -> None:
        if self.role is Role.SERVER:
            self.free.append(address)

    def open(self, near: IPv4Address) -> Channel:
        channel = Channel(near, next(self._ports))
        now = asyncio.get_running_loop().time()
        endpoint = self.endpoint_class(
            self.role,
            self.config,
            random=self.random,
            call_ids=self.call_ids,
            now=now,
            secret=Secret(password=next(iter(self.users.values()))) if self.role is Role.CLIENT else None,
        )
        connection = channel.connection = Connection(self, channel, endpoint)
        self.connections.append(connection)
        here = sum(other.channel.near == near for other in self.connections)
        guesses = self.failure_limit is not None and self.failures[near] > self.failure_limit
        if self.role is Role.SERVER and (here > self.connection_limit or guesses):
            endpoint.control.refuse_start()
        if self.role is Role.CLIENT:
            endpoint.connect(now)
        connection.settle()
        return channel

    def listen(self, near: IPv4Address, receive: Callable[[bytes], None]) -> None:
        self._listeners.setdefault(near, []).append(receive)

    def deliver(self, near: IPv4Address, datagram: bytes) -> None:
        for receive in self._listeners.get(near, ()):
            receive(datagram)

    def take(self, near: IPv4Address, datagram: bytes) -> None:
        for octets in self.wire.gre_in(datagram):
            call_id = int.from_bytes(octets[6:8], "big")
            for connection in list(self.connections):
                known = call_id in connection.endpoint.sessions
                if connection.channel.near == near if self.checks_source else known:
                    connection.receive_datagram(octets)

    def next_source(self) -> IPv4Address:
        return NEAR + next(self._sources)


class Gre:
    """One of the tester's addresses, as far as GRE goes."""

    def __init__(self, peers: Peers, near: IPv4Address) -> None:
        self._peers = peers
        self._near = near

    def send(self, datagram: bytes) -> None:
        asyncio.get_running_loop().call_soon(self._peers.take, self._near, datagram)

    def close(self) -> None:
        pass


class MemoryNetwork:
    """One check's way to the peers."""

    def __init__(self, peers: Peers) -> None:
        self.target = peers.role
        self.sources = True
        self._peers = peers
        self._latest: Connection | None = None

    def source(self) -> IPv4Address | None:
        return self._peers.next_source()

    async def open(self, source: IPv4Address | None) -> ControlChannel:
        channel = self._peers.open(source or self._peers.next_source())
        self._latest = channel.connection
        return channel

    def open_gre(
        self, near: IPv4Address, far: IPv4Address, receive: Callable[[bytes], None], *, foreign: bool = False
    ) -> GreChannel:
        self._peers.listen(near, receive)
        return Gre(self._peers, near)

    async def program_end(self, patience: float) -> ProgramEnd:
        """A client ends with its connection; its last words are the reason."""
        if self._latest is None:
            return ProgramEnd(None, "")
        try:
            async with asyncio.timeout(patience):
                await self._latest.over.wait()
        except TimeoutError:
            return ProgramEnd(None, "")
        return ProgramEnd(1, self._latest.failure)

    async def end_program(self) -> None:
        pass

    async def close(self) -> None:
        pass


def target_of(peers: Peers) -> Target:
    """Describe the peers to the suite."""
    user, password = next(iter(peers.users.items()))
    return Target(role=peers.role, user=user, password=password, timeout=2.0, timers=TIMERS, random=seeded(2637))
