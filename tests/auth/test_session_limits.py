from __future__ import annotations

import asyncio
from ipaddress import IPv4Address

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pypptp.auth import session_limits
from pypptp.auth.account import Account
from pypptp.auth.address_pool import AddressPool
from pypptp.auth.leases import LeaseRefused, LeaseRequest, PoolLeases
from pypptp.auth.session_limits import REPLACED, SessionLimits, SessionPolicy, SingleSession

ADDRESSES = [IPv4Address(f"192.168.0.{number}") for number in range(50, 53)]


class Users:
    async def account(self, name: str, server_name: str) -> Account | None:
        return Account(name, "pw", identity=name.rpartition("\\")[2]) if name != "nobody" else None


class Limits(SessionLimits):
    """With those it has ended, which end when a test says so."""

    def __init__(self, policy: SessionPolicy) -> None:
        self.pool = AddressPool(ADDRESSES)
        super().__init__(policy, Users(), PoolLeases(self.pool))
        self.ended: list[tuple[int, str]] = []
        self.end_session = lambda call_id, reason: self.ended.append((call_id, reason))

    async def take(self, user: str, call_id: int) -> IPv4Address:
        return await self.lease(LeaseRequest(user=user, call_id=call_id))

    async def objection(self, user: str) -> str:
        account = await self.account(user, "pptpd")
        return "" if account is None else account.objection


def test_without_limits_everybody_may_come_often() -> None:
    async def scenario() -> None:
        limits = Limits(SessionPolicy())
        assert [await limits.take("alice", number) for number in (1, 2, 3)] == ADDRESSES
        assert await limits.objection("alice") == ""
        with pytest.raises(LeaseRefused, match="no address left"):
            await limits.take("bob", 4)
        # One that was refused does not count.
        assert (limits.sessions_of("bob"), limits.sessions_of("alice")) == (0, 3)

    asyncio.run(scenario())


def test_deny() -> None:
    async def scenario() -> None:
        limits = Limits(SessionPolicy(SingleSession.DENY))
        address = await limits.take("alice", 1)
        words = "already connected: one session at a time"
        # However the name is written; and nobody else is concerned.
        assert await limits.objection("HOME\\alice") == words
        assert (await limits.objection("bob"), await limits.objection("nobody")) == ("", "")
        with pytest.raises(LeaseRefused, match=words):
            await limits.take("alice", 2)
        assert await limits.take("bob", 3) == ADDRESSES[1]
        limits.give_back(address, "alice")
        assert await limits.objection("alice") == ""
        assert await limits.take("alice", 4) == address

    asyncio.run(scenario())


def test_a_number_of_sessions() -> None:
    async def scenario() -> None:
        limits = Limits(SessionPolicy(most=2))
        first, _ = await limits.take("alice", 1), await limits.take("alice", 2)
        assert await limits.objection("alice") == "already connected 2 times, the most for one user"
        with pytest.raises(LeaseRefused, match="already connected 2 times"):
            await limits.take("alice", 3)
        limits.give_back(first, "alice")
        limits.give_back(first, "alice")
        assert limits.sessions_of("alice") == 1

    asyncio.run(scenario())


def test_two_at_the_same_moment_are_not_both_let_in() -> None:
    async def scenario() -> None:
        limits = Limits(SessionPolicy(SingleSession.DENY))
        assert (await limits.objection("alice"), await limits.objection("alice")) == ("", "")
        found = await asyncio.gather(limits.take("alice", 1), limits.take("alice", 2), return_exceptions=True)
        assert [type(result) for result in found] == [IPv4Address, LeaseRefused]

    asyncio.run(scenario())


def test_a_session_that_asks_twice_is_not_one_too_many() -> None:
    async def scenario() -> None:
        for policy in (SessionPolicy(SingleSession.DENY), SessionPolicy(SingleSession.REPLACE)):
            limits = Limits(policy)
            assert await limits.take("alice", 1) != await limits.take("alice", 1)
            assert limits.ended == []

    asyncio.run(scenario())


def test_replace_waits_for_the_older_session_and_takes_its_address() -> None:
    async def scenario() -> None:
        limits = Limits(SessionPolicy(SingleSession.REPLACE))
        address = await limits.take("alice", 1)
        assert await limits.objection("alice") == ""
        newcomer = asyncio.create_task(limits.take("alice", 2))
        await asyncio.sleep(0.01)
        assert limits.ended == [(1, REPLACED)]
        assert not newcomer.done()
        limits.give_back(address, "alice")
        assert await newcomer == address
        assert limits.sessions_of("alice") == 1

    asyncio.run(scenario())


def test_replace_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_limits, "REPLACE_SECONDS", 0.02)

    async def scenario() -> None:
        limits = Limits(SessionPolicy(SingleSession.REPLACE))
        address = await limits.take("alice", 1)
        assert await limits.take("alice", 2) != address

    asyncio.run(scenario())


def test_a_newcomer_that_is_gone_meanwhile_leaves_nothing() -> None:
    async def scenario() -> None:
        limits = Limits(SessionPolicy(SingleSession.REPLACE))
        address = await limits.take("alice", 1)
        newcomer = asyncio.create_task(limits.take("alice", 2))
        await asyncio.sleep(0.01)
        newcomer.cancel()
        await asyncio.gather(newcomer, return_exceptions=True)
        limits.give_back(address, "alice")
        assert (limits.sessions_of("alice"), limits.pool.in_use) == (0, 0)

    asyncio.run(scenario())


def test_who_gave_no_proof_is_not_counted() -> None:
    async def scenario() -> None:
        limits = Limits(SessionPolicy(SingleSession.DENY))
        assert await limits.take("", 1) != await limits.take("", 2)

    asyncio.run(scenario())


class Sessions(RuleBasedStateMachine):
    """Sessions come and end in any order, under any policy: no address is held that no session has, nobody passes a
    limit, and in the end everything is free."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.limits = Limits(SessionPolicy(SingleSession.OFF, 2))
        self.held: dict[int, tuple[str, IPv4Address]] = {}
        self.last = 0

    @rule(user=st.sampled_from(["alice", "bob", ""]))
    def come(self, user: str) -> None:
        self.last += 1
        full = len(self.held) == len(ADDRESSES)
        many = user and sum(holder == user for holder, _ in self.held.values()) == 2
        if full or many:
            with pytest.raises(LeaseRefused):
                self.loop.run_until_complete(self.limits.take(user, self.last))
        else:
            self.held[self.last] = user, self.loop.run_until_complete(self.limits.take(user, self.last))

    @rule(data=st.data(), twice=st.booleans())
    def end(self, data: st.DataObject, twice: bool) -> None:
        if self.held:
            user, address = self.held.pop(data.draw(st.sampled_from(sorted(self.held))))
            self.limits.give_back(address, user)
            if twice:
                self.limits.give_back(address, user)

    @invariant()
    def books_agree(self) -> None:
        assert {address: self.limits.pool.holder(address) for _, address in self.held.values()} == {
            address: user for user, address in self.held.values()
        }
        assert self.limits.pool.in_use == len(self.held)
        for user in ("alice", "bob"):
            assert self.limits.sessions_of(user) == sum(holder == user for holder, _ in self.held.values()) <= 2

    def teardown(self) -> None:
        for user, address in self.held.values():
            self.limits.give_back(address, user)
        assert self.limits.pool.free == len(ADDRESSES)
        self.loop.close()


TestSessions = Sessions.TestCase
