import asyncio
from ipaddress import IPv4Address

from pypptp.auth.account import ANY_ADDRESS, AddressRule
from pypptp.auth.address_pool import AddressPool
from pypptp.auth.leases import PoolLeases

FIRST, SECOND = IPv4Address("192.168.0.50"), IPv4Address("192.168.0.51")


def test_leases_from_a_pool() -> None:
    async def scenario() -> None:
        pool = AddressPool([FIRST, SECOND])
        leases = PoolLeases(pool)
        only_second, _ = AddressRule.from_words(["192.168.0.51"])
        assert await leases.lease("alice", only_second) == SECOND
        assert await leases.lease("bob", only_second) is None
        assert await leases.lease("bob", ANY_ADDRESS) == FIRST
        # Bob cannot give back what alice has.
        leases.give_back(SECOND, "bob")
        assert pool.free == 0
        leases.give_back(SECOND, "alice")
        leases.give_back(SECOND, "alice")
        assert pool.free == 1

    asyncio.run(scenario())
