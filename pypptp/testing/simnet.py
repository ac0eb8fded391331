"""Two endpoints joined by a simulated network: a clock of its own, and a path that can be as bad as one likes.

Nothing here sleeps, and nothing is random but by the seed: the same scenario runs the same way, octet for octet, every
time.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address
from typing import Literal, TypeAlias

from pypptp.control import ConnectionClosed
from pypptp.endpoint import Endpoint, EndpointEvent, SessionEnded, SessionEvent
from pypptp.ppp.auth import Secret
from pypptp.ppp.events import AddressWanted, NetworkDown, NetworkUp, SecretWanted
from pypptp.roles import RandomBytes
from pypptp.testing.path import Impairment, Path, PathCounters

Direction: TypeAlias = Literal["client", "server"]
"""Who sends: "client" is client to server."""
EVENT_LIMIT = 2_000_000
"""Deliveries and timers after which a scenario counts as one that never ends."""


def seeded(seed: int) -> RandomBytes:
    """Return a source of octets for an Endpoint that gives the same ones each time."""
    return random.Random(seed).randbytes  # noqa: S311 - a simulation must not be unpredictable


class SimulatedNetwork:
    """A client and a server endpoint, the path between them, and the shell's part on either side.

    Args:
        client: the client; call its ``connect(network.now)`` to begin.
        server: the server.
        users: passwords by user name, for the server.
        local: the server's inner address.
        addresses: what the server hands out, one per call.
        dns: name servers it tells.
        impairment: the path.
        drop: called for each GRE packet with its sender; True loses it. For tests that aim.
        seed: of everything the path does.

    Attributes:
        now: the simulated time in seconds.
        events: every event of either end with its time, in order.
        trace: every GRE packet and TCP segment put on the path: time, sender, "gre" or "tcp", octets.
    """

    def __init__(
        self,
        client: Endpoint,
        server: Endpoint,
        *,
        users: Mapping[str, str],
        local: str = "192.168.0.1",
        addresses: tuple[str, ...] = ("192.168.0.234", "192.168.0.235"),
        dns: tuple[str, ...] = (),
        impairment: Impairment | None = None,
        drop: Callable[[Direction, bytes], bool] | None = None,
        seed: int = 0,
    ) -> None:
        self.client = client
        self.server = server
        self.drop = drop
        self.now = 0.0
        self.events: list[tuple[float, Direction, EndpointEvent]] = []
        self.trace: list[tuple[float, Direction, str, bytes]] = []
        self._users = users
        self._local = IPv4Address(local)
        self._free = [IPv4Address(address) for address in addresses]
        self._held: dict[int, IPv4Address] = {}
        self._dns = tuple(IPv4Address(server) for server in dns)
        self._path = Path(impairment or Impairment(), seed=seed)
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._up: dict[Direction, bool] = {"client": False, "server": False}
        self._closed: dict[Direction, bool] = {"client": False, "server": False}

    @property
    def impairment(self) -> Impairment:
        """How bad the path is."""
        return self._path.impairment

    @impairment.setter
    def impairment(self, impairment: Impairment) -> None:
        self._path.impairment = impairment

    @property
    def counters(self) -> PathCounters:
        """What the path did."""
        return self._path.counters

    @property
    def network_up(self) -> bool:
        """Whether IP packets can pass at both ends."""
        return all(self._up.values())

    @property
    def closed(self) -> bool:
        """Whether both control connections are closed."""
        return all(self._closed.values())

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        self._run(self.now + seconds, lambda: False)

    def run_until(self, condition: Callable[[], bool], seconds: float = 120.0) -> bool:
        """Let time pass until a condition holds, at most so many seconds; say whether it holds."""
        return self._run(self.now + seconds, condition)

    def reasons(self, side: Direction) -> list[str]:
        """Return why sessions ended, in the words of one end."""
        return [event.reason for _, who, event in self.events if who == side and isinstance(event, SessionEnded)]

    # The simulation.

    def _run(self, until: float, condition: Callable[[], bool]) -> bool:
        for _ in range(EVENT_LIMIT):
            self._collect()
            if condition():
                return True
            timers = [(self.client.get_timer(), self.client), (self.server.get_timer(), self.server)]
            due = min(((when, end) for when, end in timers if when is not None), key=lambda pair: pair[0], default=None)
            arrival = self._queue[0][0] if self._queue else None
            upcoming = min(when for when in (arrival, due[0] if due else None, until) if when is not None)
            if upcoming >= until and (arrival is None or arrival > until) and (due is None or due[0] > until):
                self.now = max(self.now, until)
                return False
            self.now = max(self.now, upcoming)
            if arrival is not None and arrival <= self.now:
                heapq.heappop(self._queue)[2]()
            elif due is not None:
                due[1].handle_timer(self.now)
        raise RuntimeError("the scenario does not come to an end")

    def _collect(self) -> None:
        """Take from both ends what they have to send and to say, until neither has any more."""
        moved = True
        while moved:
            moved = self._events_of("client", self.client) | self._events_of("server", self.server)
            moved |= self._output_of("client", self.client, self.server)
            moved |= self._output_of("server", self.server, self.client)

    def _output_of(self, side: Direction, sender: Endpoint, receiver: Endpoint) -> bool:
        data = sender.data_to_send()
        if data:
            self.trace.append((self.now, side, "tcp", data))
            self._deliver(self.now + self.impairment.latency, lambda: receiver.receive_data(data, self.now))
        if sender.control.closed and not self._closed[side]:
            self._closed[side] = True
            self._deliver(self.now + self.impairment.latency, lambda: receiver.receive_eof(self.now))
        datagrams = sender.datagrams_to_send(self.now)
        for datagram in datagrams:
            self.trace.append((self.now, side, "gre", datagram))
            self._send_datagram(side, datagram, receiver)
        return bool(data or datagrams)

    def _send_datagram(self, side: Direction, datagram: bytes, receiver: Endpoint) -> None:
        if self.drop is not None and self.drop(side, datagram):
            self._path.lose()
            return
        for delay, octets in self._path.take(datagram):
            self._deliver(self.now + delay, lambda octets=octets: receiver.receive_datagram(octets, self.now))  # type: ignore[misc]

    def _deliver(self, when: float, deliver: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (when, next(self._order), deliver))

    # The shell's part.

    def _events_of(self, side: Direction, endpoint: Endpoint) -> bool:
        moved = False
        while (event := endpoint.next_event()) is not None:
            moved = True
            self.events.append((self.now, side, event))
            match event:
                case SessionEvent(call_id, SecretWanted(name=name)):
                    password = self._users.get(name)
                    secret = None if password is None else Secret(password=password)
                    endpoint.provide_secret(call_id, secret, self.now)
                case SessionEvent(call_id, AddressWanted()):
                    self._assign(endpoint, call_id)
                case SessionEvent(event=NetworkUp()):
                    self._up[side] = True
                case SessionEvent(event=NetworkDown()):
                    self._up[side] = False
                case SessionEnded(call_id=call_id):
                    self._up[side] = False
                    if side == "server" and call_id in self._held:
                        self._free.append(self._held.pop(call_id))
                case ConnectionClosed():
                    self._up[side] = False
        return moved

    def _assign(self, endpoint: Endpoint, call_id: int) -> None:
        if not self._free:
            endpoint.close_session(call_id, "no address left in the pool", self.now)
            return
        address = self._held[call_id] = self._free.pop(0)
        endpoint.assign_address(call_id, self._local, address, self.now, dns=self._dns)
