from __future__ import annotations

import re
from ipaddress import IPv4Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pypptp.auth.account import Account, AddressRule
from pypptp.auth.address_pool import AddressPool
from pypptp.errors import ConfigurationError

A = IPv4Address


def hosts(*numbers: int) -> tuple[IPv4Address, ...]:
    return tuple(A(f"192.168.0.{number}") for number in numbers)


def account(user: str, *words: str) -> Account:
    return Account(user, "pw", addresses=AddressRule.from_words(list(words))[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.168.0.234-238,192.168.0.245", hosts(234, 235, 236, 237, 238, 245)),
        ("192.168.0.7", hosts(7)),
        (" 192.168.0.7 , 192.168.0.5", hosts(7, 5)),
        ("192.168.0.5-7,192.168.0.6,192.168.0.7-8", hosts(5, 6, 7, 8)),
        ("192.168.0.9-192.168.0.11", hosts(9, 10, 11)),
        ("192.168.0.255-192.168.1.0", (A("192.168.0.255"), A("192.168.1.0"))),
        ("192.168.0.248/30", hosts(249, 250)),
        ("192.168.0.248/31", hosts(248, 249)),
        ("192.168.0.248/32", hosts(248)),
        ("192.168.0.1-3", hosts(2, 3)),
    ],
)
def test_remoteip_grammar(text: str, expected: tuple[IPv4Address, ...]) -> None:
    assert AddressPool.from_text(text, exclude=hosts(1)).addresses == expected


def test_a_network_leaves_out_its_ends() -> None:
    pool = AddressPool.from_text("10.0.0.0/24")
    assert (pool.size, pool.addresses[0], pool.addresses[-1]) == (254, A("10.0.0.1"), A("10.0.0.254"))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "''"),
        ("192.168.0.5,", "''"),
        ("192.168.0", "'192.168.0'"),
        ("192.168.0.300", "'192.168.0.300'"),
        ("192.168.0.234-8", "'192.168.0.234-8'"),
        ("192.168.0.5-3", "'192.168.0.5-3'"),
        ("192.168.0.5-", "'192.168.0.5-'"),
        ("192.168.0.5-6-7", "'192.168.0.5-6-7'"),
        ("192.168.0.5-256", "'192.168.0.256'"),
        ("192.168.0.5/24", "'192.168.0.5/24'"),
        ("10.0.0.0/8", "'10.0.0.0/8'"),
        ("10.0.0.0/16,10.1.0.0-10.1.0.9", "65535"),
        ("127.0.0.1", "'127.0.0.1'"),
        ("224.0.0.1-9", "'224.0.0.1-9'"),
        ("192.168.0.1", "leaves no address"),
        ("nonsense", "'nonsense'"),
        ("a\nb", r"'a\nb'"),
    ],
)
def test_bad_items_are_named(text: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(named)) as caught:
        AddressPool.from_text(text, exclude=hosts(1))
    assert "\n" not in str(caught.value)


@given(st.text(max_size=60) | st.text("0123456789.-,/ ", max_size=60))
def test_any_text_gives_a_pool_or_one_error(text: str) -> None:
    try:
        pool = AddressPool.from_text(text)
    except ConfigurationError:
        return
    assert 0 < pool.size <= 65_535


@pytest.mark.parametrize(("local", "expected"), [("192.168.0.1", 12), ("192.168.0.240", 11)])
def test_default_pool(local: str, expected: int) -> None:
    pool = AddressPool.default_for(A(local))
    assert pool.addresses == tuple(a for a in hosts(*range(234, 246)) if a != A(local))
    assert pool.size == expected


def test_a_user_gets_its_last_address_again() -> None:
    pool = AddressPool.from_text("192.168.0.1-3")
    first = pool.allocate("alice")
    assert first is not None
    pool.release(first)
    assert pool.allocate("bob") != first
    assert pool.allocate("alice") == first


def test_the_address_free_for_longest_goes_out_first() -> None:
    pool = AddressPool.from_text("192.168.0.1-3")
    assert [pool.allocate(user) for user in "abc"] == list(hosts(1, 2, 3))
    for address in hosts(2, 3, 1):
        pool.release(address)
    assert [pool.allocate(user) for user in "xyz"] == list(hosts(2, 3, 1))


def test_what_the_pool_remembers_is_bounded_by_its_size() -> None:
    pool = AddressPool.from_text("192.168.0.1-3")
    for number in range(100):
        address = pool.allocate(f"user{number}")
        assert address is not None
        pool.release(address)
    assert sorted(pool._last_address) == ["user97", "user98", "user99"]


def test_exhaustion_and_release() -> None:
    pool = AddressPool.from_text("192.168.0.1")
    (only,) = hosts(1)
    assert pool.allocate("alice") == only
    assert pool.allocate("bob") is None
    pool.release(only, "bob")
    assert pool.holder(only) == "alice"
    pool.release(only, "alice")
    pool.release(only)
    pool.release(A("10.9.9.9"))
    assert (pool.free, pool.in_use) == (1, 0)
    assert pool.allocate("bob") == only


def test_a_wish_is_granted_from_the_pool_only() -> None:
    pool = AddressPool.from_text("192.168.0.1-5", exclude=hosts(5))
    assert pool.allocate("alice", A("192.168.0.3")) == A("192.168.0.3")
    assert pool.allocate("bob", A("192.168.0.3")) == A("192.168.0.1")
    assert pool.allocate("carol", A("192.168.0.99")) == A("192.168.0.2")
    assert pool.allocate("dave", A("192.168.0.5")) == A("192.168.0.4")


def test_the_rule_holds_for_wishes_and_for_the_last_address() -> None:
    pool = AddressPool.from_text("192.168.0.1-4")
    assert pool.allocate("alice", A("192.168.0.1"), account("alice", "!192.168.0.1", "*")) == A("192.168.0.2")
    pool.release(A("192.168.0.2"))
    assert pool.allocate("alice", None, account("alice", "192.168.0.4/31")) == A("192.168.0.4")
    assert pool.allocate("bob", None, account("bob", "-")) is None
    assert pool.allocate("bob", None, account("bob", "10.0.0.0/8")) is None


def test_a_fixed_address_may_lie_outside_the_pool_and_is_held_once() -> None:
    pool = AddressPool.from_text("192.168.0.1-2")
    alice = account("alice", "10.0.0.9")
    assert pool.allocate("alice", None, alice) == A("10.0.0.9")
    assert pool.in_use == 1
    assert pool.allocate("alice", None, alice) is None
    pool.release(A("10.0.0.9"))
    assert (pool.free, pool.in_use) == (2, 0)
    assert pool.allocate("alice", None, alice) == A("10.0.0.9")


def test_the_servers_own_address_is_nobodys_fixed_address() -> None:
    pool = AddressPool.from_text("192.168.0.1-2", exclude=hosts(1))
    assert pool.allocate("alice", None, account("alice", "192.168.0.1")) is None


def test_reserved_addresses_wait_for_their_user() -> None:
    pool = AddressPool.from_text("192.168.0.1-2")
    alice = account("alice", "192.168.0.1")
    pool.reserve(alice.single_addresses)
    assert pool.allocate("bob") == A("192.168.0.2")
    assert pool.allocate("carol", A("192.168.0.1")) is None
    assert pool.allocate("alice", None, alice) == A("192.168.0.1")


class PoolMachine(RuleBasedStateMachine):
    """Users come and go in any order; the model knows who holds what and who had what last."""

    users = st.sampled_from(["alice", "bob", "carol"])
    addresses = st.integers(0, 6).map(lambda host: A(f"10.0.0.{host}"))
    rule_words = st.lists(
        st.sampled_from(["*", "*", "-", "10.0.0.1", "10.0.0.6", "!10.0.0.2", "10.0.0.0/30"]), max_size=3
    )

    @initialize(reserved=st.sets(addresses, max_size=2))
    def make(self, reserved: set[IPv4Address]) -> None:
        self.local = A("10.0.0.3")
        self.pool = AddressPool.from_text("10.0.0.1-4,10.0.0.2", exclude={self.local})
        self.pool.reserve(reserved)
        self.reserved = reserved
        self.held: dict[IPv4Address, str] = {}
        self.last: dict[IPv4Address, str] = {}

    def take(self, user: str, address: IPv4Address | None) -> None:
        if address is None:
            return
        assert address not in self.held
        assert address != self.local
        self.held[address] = user
        self.last[address] = user

    @rule(user=users)
    def allocate(self, user: str) -> None:
        returning = self.pool._last_address.get(user)
        address = self.pool.allocate(user)
        self.take(user, address)
        assert address is None or (address in self.pool and address not in self.reserved)
        if returning is not None and address != returning:
            assert returning in self.held or returning in self.reserved
        if address is None:
            assert all(a in self.held or a in self.reserved for a in self.pool.addresses)

    @rule(user=users, wanted=addresses, words=rule_words)
    def allocate_by_rule(self, user: str, wanted: IPv4Address, words: list[str]) -> None:
        wishes = account(user, *words)
        address = self.pool.allocate(user, wanted, wishes)
        self.take(user, address)
        assert address is None or wishes.allows(address)
        assert address is None or address in self.pool or address in wishes.single_addresses

    @rule(address=addresses)
    def release(self, address: IPv4Address) -> None:
        self.pool.release(address)
        self.held.pop(address, None)

    @rule(address=addresses, user=users)
    def release_of(self, address: IPv4Address, user: str) -> None:
        self.pool.release(address, user)
        if self.held.get(address) == user:
            del self.held[address]

    @invariant()
    def books_agree(self) -> None:
        assert {a: self.pool.holder(a) for a in self.held} == self.held
        assert self.pool.in_use == len(self.held)
        assert self.pool.free == self.pool.size - sum(a in self.pool for a in self.held)
        # What a user had last is still what that user had last: nobody else has had it since.
        assert all(self.last[address] == user for user, address in self.pool._last_address.items())


TestPoolMachine = PoolMachine.TestCase
TestPoolMachine.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)


def test_pools_with_a_name() -> None:
    pool = AddressPool.from_text("192.168.0.5-6", named={"staff": "10.9.0.1-2", "guests": "10.8.0.1"})
    assert (pool.names, pool.size, pool.free) == (("staff", "guests"), 5, 5)
    assert pool.allocate("alice", pool="staff") == A("10.9.0.1")
    assert pool.allocate("bob") == A("192.168.0.5")
    assert pool.allocate("carol", pool="guests") == A("10.8.0.1")
    assert pool.allocate("dora", pool="guests") is None, "one that is exhausted does not help itself to another"
    assert pool.allocate("dora", pool="stuff") is None
    assert pool.occupancy() == [("", 2, 1), ("staff", 2, 1), ("guests", 1, 1)]
    # Sticky, and not where the user has another pool by now.
    pool.release(A("10.9.0.1"), "alice")
    pool.allocate("eve", pool="staff")
    assert pool.allocate("alice", pool="staff") == A("10.9.0.1")
    pool.release(A("10.9.0.1"), "alice")
    assert pool.allocate("alice") == A("192.168.0.6")


def test_an_address_of_ones_own_may_be_in_any_pool() -> None:
    pool = AddressPool.from_text("192.168.0.5", named={"staff": "10.9.0.1"})
    pool.reserve([A("10.9.0.1")])
    assert pool.allocate("alice", rule=account("alice", "10.9.0.1")) == A("10.9.0.1")
    assert pool.allocate("bob", pool="staff") is None
    pool.release(A("10.9.0.1"), "alice")
    assert (pool.free, pool.in_use) == (2, 0)


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"staff": "192.168.0.6-9"}, "192.168.0.6 of the pool 'staff' is in another one, the one for everybody"),
        ({"a": "10.0.0.1-5", "b": "10.0.0.5"}, "10.0.0.5 of the pool 'b' is in another one, that of 'a'"),
        ({"a": "10.0.0.9-1"}, "runs backwards"),
        ({"a": "192.168.0.1"}, "leaves no address for a peer"),
    ],
)
def test_pools_that_are_no_good(named: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        AddressPool.from_text("192.168.0.5-6", exclude=hosts(1), named=named)
