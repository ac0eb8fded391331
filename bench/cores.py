"""Two ends joined in memory with nothing between them: what the protocol itself costs, each side apart."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Address
from time import process_time
from typing import TypeVar

from pypptp.control import CallIdAllocator
from pypptp.endpoint import Endpoint, EndpointConfig, SessionEvent
from pypptp.ppp.auth import Secret
from pypptp.ppp.config import LinkConfig
from pypptp.ppp.events import AddressWanted, NetworkUp, SecretWanted
from pypptp.roles import Role
from pypptp.session import Session

USER, PASSWORD = "alice", "wonderland"
LOCAL, PEER = IPv4Address("192.168.0.1"), IPv4Address("192.168.0.234")
NOW = 1.0
T = TypeVar("T")


@dataclass
class Side:
    """One end, and the processor seconds it has taken."""

    end: Endpoint
    seconds: float = 0.0
    up: list[NetworkUp] = field(default_factory=list)

    def timed(self, act: Callable[[], T]) -> T:
        begun = process_time()
        try:
            return act()
        finally:
            self.seconds += process_time() - begun


class Pair:
    """A client and a server. The server knows its user's NT hash, as one that has seen the user before does."""

    def __init__(self, link: LinkConfig | None = None, *, call_ids: CallIdAllocator | None = None) -> None:
        config = EndpointConfig(link=link or LinkConfig(name=USER))
        secret = Secret(PASSWORD)
        self._secret = Secret(nt_hash=secret.nt_hash)
        self.client = Side(Endpoint(Role.CLIENT, config, random=os.urandom, now=NOW, secret=secret))
        self.server = Side(Endpoint(Role.SERVER, config, random=os.urandom, now=NOW, call_ids=call_ids))

    def connect(self) -> Pair:
        """Bring the network up, from the first control message on."""
        self.client.timed(lambda: self.client.end.connect(NOW))
        for _ in range(200):
            moved = self._carry(self.client, self.server)
            moved |= self._carry(self.server, self.client)
            if not moved:
                break
        assert self.client.up, "the client's network did not come up"
        assert self.server.up, "the server's network did not come up"
        return self

    def sessions(self) -> tuple[Session, Session]:
        """The client's and the server's session."""
        return next(iter(self.client.end.sessions.values())), next(iter(self.server.end.sessions.values()))

    def _carry(self, sender: Side, receiver: Side) -> bool:
        octets = sender.timed(sender.end.data_to_send)
        datagrams = sender.timed(lambda: sender.end.datagrams_to_send(NOW))
        if octets:
            receiver.timed(lambda: receiver.end.receive_data(octets, NOW))
        for datagram in datagrams:
            receiver.timed(partial(receiver.end.receive_datagram, datagram, NOW))
        answered = receiver.timed(lambda: self._answer(receiver))
        return bool(octets or datagrams or answered)

    def _answer(self, side: Side) -> bool:
        moved = False
        while (event := side.end.next_event()) is not None:
            moved = True
            if not isinstance(event, SessionEvent):
                continue
            match event.event:
                case SecretWanted():
                    side.end.provide_secret(event.call_id, self._secret, NOW)
                case AddressWanted():
                    side.end.assign_address(event.call_id, LOCAL, PEER, NOW)
                case NetworkUp() as up:
                    side.up.append(up)
        return moved
