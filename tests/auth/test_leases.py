import asyncio
from ipaddress import IPv4Address

import pytest

from pypptp.auth.account import AddressRule
from pypptp.auth.address_pool import AddressPool
from pypptp.auth.leases import LeaseRefused, LeaseRequest, PoolLeases

FIRST, SECOND, STAFF = (IPv4Address(address) for address in ("192.168.0.50", "192.168.0.51", "10.9.0.1"))
ONLY_SECOND, _ = AddressRule.from_words(["192.168.0.51"])


def test_leases_from_a_pool() -> None:
    async def scenario() -> None:
        pool = AddressPool([FIRST, SECOND], named={"staff": [STAFF]})
        leases = PoolLeases(pool)
        assert await leases.lease(LeaseRequest(user="alice", rule=ONLY_SECOND)) == SECOND
        assert await leases.lease(LeaseRequest(user="bob")) == FIRST
        assert await leases.lease(LeaseRequest(user="carol", pool="staff")) == STAFF
        # Bob cannot give back what alice has.
        leases.give_back(SECOND, "bob")
        assert pool.free == 0
        leases.give_back(SECOND, "alice")
        leases.give_back(SECOND, "alice")
        assert pool.free == 1

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (LeaseRequest(user="bob"), "no address left in the pool"),
        (LeaseRequest(user="bob", pool="staff"), "no address left in the pool 'staff'"),
        (LeaseRequest(user="bob", pool="stuff"), "there is no address pool 'stuff'"),
        (LeaseRequest(user="bob", rule=ONLY_SECOND), "the address of this user is in use"),
        (LeaseRequest(user="bob", rule=AddressRule()), "no address is allowed for this user"),
    ],
)
def test_a_refusal_says_why(request_: LeaseRequest, words: str) -> None:
    async def scenario() -> None:
        leases = PoolLeases(AddressPool([SECOND], named={"staff": [STAFF]}))
        await leases.lease(LeaseRequest(user="alice"))
        await leases.lease(LeaseRequest(user="alice", pool="staff"))
        with pytest.raises(LeaseRefused) as caught:
            await leases.lease(request_)
        assert str(caught.value) == words

    asyncio.run(scenario())
