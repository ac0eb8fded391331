"""How many sessions a user may have at a time, and who gives way: the older ones or the newcomer.

A session counts from its lease to the end of it: the lease is asked for right after the proof, once for each session,
and is given back on every way out of one. With several worker processes it is the parent who hears of all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from ipaddress import IPv4Address

from pypptp.auth.account import Account
from pypptp.auth.authority import Authority
from pypptp.auth.leases import LeaseRefused, LeaseRequest, Leases

REPLACED = "the same user has connected anew"
"""Why an older session ends."""

REPLACE_SECONDS = 5.0
"""How long a newcomer waits for the older session to end, whose address it is to get. An orderly end takes a round
trip, that of a peer that is gone two seconds; the newcomer's link waits for 60."""


class SingleSession(StrEnum):
    """What happens where a user comes who is connected already."""

    OFF = "off"
    """Nothing: a user may be connected several times, as with pptpd."""
    DENY = "deny"
    """The newcomer is refused."""
    REPLACE = "replace"
    """The older session ends."""


@dataclass(frozen=True, slots=True)
class SessionPolicy:
    """How many sessions a user may have.

    Attributes:
        single: what happens to a second one.
        most: sessions of a user at a time, beyond which a newcomer is refused; 0 for any number.
    """

    single: SingleSession = SingleSession.OFF
    most: int = 0

    @property
    def limit(self) -> int:
        """Sessions of a user at a time, 0 for any number."""
        return self.most if self.single is SingleSession.OFF else 1

    @property
    def objection(self) -> str:
        """What a newcomer is told who is one too many."""
        if self.limit == 1:
            return "already connected: one session at a time"
        return f"already connected {self.limit} times, the most for one user"


@dataclass(eq=False, slots=True)
class _Place:
    """A session of a user.

    Attributes:
        call_id: our call id.
        address: its address, None while it waits for one.
        free: set once it has ended.
    """

    call_id: int
    address: IPv4Address | None = None
    free: asyncio.Event = field(default_factory=asyncio.Event)


class SessionLimits:
    """Stands before an authority and before the leases, and counts. Users nobody asked for a proof are not counted.

    Args:
        policy: the limits.
        authority: who may log in.
        leases: the addresses.

    Attributes:
        end_session: ends a session, by our call id and for the reason given; ``Server.disconnect``. To be set before
            anybody comes, since the server needs this object first.
    """

    def __init__(self, policy: SessionPolicy, authority: Authority, leases: Leases) -> None:
        self.end_session: Callable[[int, str], object] | None = None
        self._policy = policy
        self._authority = authority
        self._leases = leases
        self._places: dict[str, list[_Place]] = {}

    def sessions_of(self, user: str) -> int:
        """Sessions a user has, by ``Account.identity``."""
        return len(self._places.get(user, ()))

    async def account(self, name: str, server_name: str) -> Account | None:
        """Find a user; one whose sessions are as many as may be has an objection that says so."""
        account = await self._authority.account(name, server_name)
        if account is not None and self._is_full(self._others(account.identity)):
            return replace(account, objection=self._policy.objection)
        return account

    async def lease(self, request: LeaseRequest) -> IPv4Address:
        """Take an address for a session that counts from now on, after the older one has ended where it is to.

        Raises:
            LeaseRefused: the user has sessions enough, as two that log in at the same moment find out here, or there
                is no address.
        """
        if not request.user:
            return await self._leases.lease(request)
        # A session that negotiates anew while it waits asks twice; it is not one too many for that.
        older = self._others(request.user, request.call_id)
        if self._is_full(older):
            raise LeaseRefused(self._policy.objection)
        place = _Place(request.call_id)
        self._places.setdefault(request.user, []).append(place)
        try:
            if self._policy.single is SingleSession.REPLACE:
                await self._end_all(older)
            place.address = await self._leases.lease(request)
        except BaseException:
            self._leave(request.user, place)
            raise
        return place.address

    def give_back(self, address: IPv4Address, user: str) -> None:
        """Give an address back; its session counts no more."""
        self._leases.give_back(address, user)
        for place in self._places.get(user, ()):
            if place.address == address:
                self._leave(user, place)
                break

    def _others(self, user: str, call_id: int = 0) -> list[_Place]:
        return [place for place in self._places.get(user, ()) if not call_id or place.call_id != call_id]

    def _is_full(self, others: list[_Place]) -> bool:
        policy = self._policy
        return policy.single is not SingleSession.REPLACE and 0 < policy.limit <= len(others)

    async def _end_all(self, older: list[_Place]) -> None:
        for place in older:
            if self.end_session is not None:
                self.end_session(place.call_id, REPLACED)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REPLACE_SECONDS):
                for place in older:
                    await place.free.wait()

    def _leave(self, user: str, place: _Place) -> None:
        places = self._places.get(user, [])
        if place in places:
            places.remove(place)
        if not places:
            self._places.pop(user, None)
        place.free.set()
