"""A PPP link at each of its phases, as either end, fed with frames by a peer that does not know the password."""

from __future__ import annotations

import random
from functools import lru_cache

from pypptp.ppp.auth import Secret
from pypptp.ppp.config import LinkConfig
from pypptp.ppp.events import AddressWanted, LinkClosed, NetworkUp, SecretWanted
from pypptp.ppp.link import Link, Phase
from pypptp.ppp.protocols import Protocol, split_frame
from pypptp.roles import Role
from tests.fuzz.script import read_script
from tests.ppp.linking import DNS, LOCAL, PASSWORD, REMOTE, START, USER, Joined

SILENCE = 900.0
"""Seconds after which a link whose peer has fallen silent has to be over."""
MOST_TIMERS = 2000
MOST_ANSWERS = 64
"""Frames a link may send in answer to one."""
_SEEDS = {Role.SERVER: 1, Role.CLIENT: 2}


def lcp(data: bytes) -> None:
    """Nothing was said yet."""
    _run(data, until=None, network_allowed=False)


def authentication(data: bytes) -> None:
    """LCP is open; the peer has no password."""
    _run(data, until=(Protocol.CHAP, Protocol.PAP), network_allowed=False)


def ccp(data: bytes) -> None:
    """Who it is, is proven; encryption is not agreed."""
    _run(data, until=(Protocol.CCP, Protocol.IPCP), network_allowed=True)


def ipcp(data: bytes) -> None:
    """Encryption is agreed, addresses are not."""
    _run(data, until=(Protocol.IPCP,), network_allowed=True)


@lru_cache
def _overture(role: Role, until: tuple[int, ...] | None) -> tuple[bytes, ...]:
    """Return what the peer of an end says until the first frame of one of the protocols."""
    if until is None:
        return ()
    joined = Joined().up(1.0)
    heard = []
    for _, sender, frame in joined.frames:
        parts = split_frame(frame)
        assert parts is not None
        if parts[0] in until:
            break
        if sender is not role:
            heard.append(frame)
    return tuple(heard)


def _run(data: bytes, *, until: tuple[int, ...] | None, network_allowed: bool) -> None:
    # The first octet chooses the end.
    role = Role.CLIENT if data[:1] > b"\x7f" else Role.SERVER
    overture = _overture(role, until)
    # Who comes as far as CCP has the password; before, the fuzzer's recordings of a log-in are not to be worth one.
    password = PASSWORD if network_allowed else "another"
    if role is Role.SERVER:
        link = Link(role, LinkConfig(name="server"), random=random.Random(_SEEDS[role]).randbytes)
    else:
        config = LinkConfig(name=USER, ask_dns=True)
        randbytes = random.Random(_SEEDS[role]).randbytes
        link = Link(role, config, random=randbytes, secret=Secret(password=password))
    end = _End(link, password, network_allowed=network_allowed)
    now = START
    link.up(now)
    end.settle(now)
    for frame in overture:
        link.receive(frame, now)
        end.settle(now)
    for step in read_script(data[1:]):
        now = end.advance(now, now + step.delay)
        link.receive(step.octets, now)
        end.settle(now)
    end.advance(now, now + SILENCE)
    assert end.closed, f"still {link.phase} after {SILENCE:.0f} s of silence"


class _End:
    """What a shell does for the link, and what must never be."""

    def __init__(self, link: Link, password: str, *, network_allowed: bool) -> None:
        self.link = link
        self.closed = False
        self._password = password
        self._network_allowed = network_allowed

    def settle(self, now: float) -> None:
        link = self.link
        assert len(link.frames_to_send()) <= MOST_ANSWERS
        while (event := link.next_event()) is not None:
            match event:
                case SecretWanted(name=name):
                    known = name == USER
                    link.provide_secret(Secret(password=self._password) if known else None, now)
                case AddressWanted():
                    assert self._network_allowed, "an address for somebody who has not proven anything"
                    link.assign_address(LOCAL, REMOTE, now, dns=DNS)
                case NetworkUp():
                    assert self._network_allowed, "a network for somebody who has not proven anything"
                    assert event.encryption is not None, "a network in clear"
                    assert link.phase is Phase.NETWORK
                case LinkClosed():
                    assert not self.closed, "closed twice"
                    self.closed = True

    def advance(self, now: float, until: float) -> float:
        link = self.link
        for _ in range(MOST_TIMERS):
            due = link.get_timer()
            if due is None or due > until:
                return until
            now = max(now, due)
            link.handle_timer(now)
            self.settle(now)
        raise AssertionError("the timers of the link do not come to rest")
