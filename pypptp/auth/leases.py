"""How a server comes by the addresses it gives its clients, wherever their pool is kept."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Protocol

from pypptp.auth.account import ANY_ADDRESS, AddressRule
from pypptp.auth.address_pool import AddressPool
from pypptp.errors import PptpError


class LeaseRefused(PptpError):
    """There is no address for somebody; the text says why, to the peer and in the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRequest:
    """Who an address is for.

    Attributes:
        user: whose account it is (``Account.identity``), "" where no proof was asked for.
        rule: the addresses the user may have.
        pool: the user's pool, "" for the one for everybody.
        call_id: our call id of the session.
    """

    user: str
    rule: AddressRule = ANY_ADDRESS
    pool: str = ""
    call_id: int = 0


class Leases(Protocol):
    """Addresses on loan. Asynchronous, since the pool of several worker processes is kept by their parent."""

    async def lease(self, request: LeaseRequest) -> IPv4Address:
        """Take an address.

        It is to be given back, also where nobody wants it any more when the answer comes.

        Raises:
            LeaseRefused: there is none.
        """
        ...

    def give_back(self, address: IPv4Address, user: str) -> None:
        """Give back what ``lease`` returned for this user; twice is no error."""
        ...


class PoolLeases:
    """Leases from a pool in this process."""

    __slots__ = ("_pool",)

    def __init__(self, pool: AddressPool) -> None:
        self._pool = pool

    async def lease(self, request: LeaseRequest) -> IPv4Address:
        """Allocate at once; see ``AddressPool.allocate``."""
        address = self._pool.allocate(request.user, rule=request.rule, pool=request.pool)
        if address is None:
            raise LeaseRefused(self._why_not(request))
        return address

    def give_back(self, address: IPv4Address, user: str) -> None:
        """Release at once."""
        self._pool.release(address, user)

    def _why_not(self, request: LeaseRequest) -> str:
        permitted = [network for allowed, network in request.rule.terms if allowed]
        if not permitted:
            return "no address is allowed for this user"
        if all(network.prefixlen == 32 for network in permitted):
            return "the address of this user is in use"
        if request.pool and request.pool not in self._pool.names:
            return f"there is no address pool '{request.pool}'"
        return f"no address left in the pool '{request.pool}'" if request.pool else "no address left in the pool"
