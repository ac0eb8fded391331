"""How a server comes by the addresses it gives its clients, wherever their pool is kept."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Protocol

from pypptp.auth.account import AddressRule
from pypptp.auth.address_pool import AddressPool


class Leases(Protocol):
    """Addresses on loan. Asynchronous, since the pool of several worker processes is kept by their parent."""

    async def lease(self, user: str, rule: AddressRule) -> IPv4Address | None:
        """Take an address for ``user`` that ``rule`` allows; None: there is none left.

        It is to be given back, also where nobody wants it any more when the answer comes.
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

    async def lease(self, user: str, rule: AddressRule) -> IPv4Address | None:
        """Allocate at once; see ``AddressPool.allocate``."""
        return self._pool.allocate(user, rule=rule)

    def give_back(self, address: IPv4Address, user: str) -> None:
        """Release at once."""
        self._pool.release(address, user)
