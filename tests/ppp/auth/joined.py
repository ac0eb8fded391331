"""Two machines joined in memory, with a clock that only moves when nothing else can."""

from __future__ import annotations

import random
from collections.abc import Callable, Container

from pypptp.ppp.auth import AuthMachine, AuthMethod, Secret, authenticator, peer

USER = "DOMAIN\\bob"
PASSWORD = "correct horse"


def seeded(seed: int = 1) -> Callable[[int], bytes]:
    return random.Random(seed).randbytes


class Joined:
    """An authenticator and a peer.

    Attributes:
        now: the clock, in seconds.
        wire: every packet sent, as (from the authenticator, octets).
        asked: the names whose secret was wanted.
    """

    def __init__(
        self,
        method: AuthMethod,
        *,
        password: str = PASSWORD,
        name: str = USER,
        lost: Container[int] = (),
        accounts: dict[str, Secret] | None = None,
        slow_lookup: float = 0.0,
    ) -> None:
        self.server: AuthMachine = authenticator(method, name="pptpd", random=seeded(1))
        self.client: AuthMachine = peer(method, name=name, secret=Secret(password), random=seeded(2))
        self.accounts = {USER: Secret(PASSWORD)} if accounts is None else accounts
        self.lost = lost
        self.slow_lookup = slow_lookup
        self.now = 0.0
        self.wire: list[tuple[bool, bytes]] = []
        self.asked: list[str] = []
        self._lookups: list[tuple[float, str]] = []
        self.server.start(self.now)
        self.client.start(self.now)

    def run(self, until: float = 200.0) -> Joined:
        """Let packets, lookups and timers happen until nothing is left to."""
        for _ in range(1000):
            if self._exchange():
                continue
            moments = [due for due, _ in self._lookups]
            moments += [t for t in (self.server.get_timer(), self.client.get_timer()) if t is not None]
            if not moments or min(moments) > until:
                return self
            assert min(moments) >= self.now, "no timer lies in the past"
            self.now = min(moments)
            for machine in (self.server, self.client):
                due = machine.get_timer()
                if due is not None and due <= self.now:
                    machine.handle_timer(self.now)
                    later = machine.get_timer()
                    assert later is None or later > self.now, "a timer that was handled is done"
        raise AssertionError("it goes on for ever")

    def _exchange(self) -> bool:
        busy = False
        for sender, receiver, from_server in ((self.server, self.client, True), (self.client, self.server, False)):
            for packet in sender.packets_to_send():
                busy = True
                number = len(self.wire)
                self.wire.append((from_server, packet))
                if number not in self.lost:
                    receiver.receive(packet, self.now)
        wanted = self.server.take_wanted()
        if wanted is not None:
            busy = True
            self.asked.append(wanted)
            self._lookups.append((self.now + self.slow_lookup, wanted))
        for lookup in [lookup for lookup in self._lookups if lookup[0] <= self.now]:
            busy = True
            self._lookups.remove(lookup)
            self.server.provide(self.accounts.get(lookup[1]), self.now)
        return busy


def packet(code: int, identifier: int, data: bytes) -> bytes:
    """Return a packet, built by hand."""
    return bytes((code, identifier)) + (4 + len(data)).to_bytes(2, "big") + data
