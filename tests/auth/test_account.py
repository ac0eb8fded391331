from __future__ import annotations

import re
from ipaddress import IPv4Address
from itertools import count

import pytest

from pypptp.auth.account import ANY_ADDRESS, Account, AddressRule, new_account
from pypptp.errors import ConfigurationError

A = IPv4Address


def rule(text: str) -> AddressRule:
    return AddressRule.from_words(text.split())[0]


@pytest.mark.parametrize(
    ("text", "allowed", "refused"),
    [
        ("", [], ["10.0.0.1"]),
        ("-", [], ["10.0.0.1"]),
        ("*", ["10.0.0.1", "8.8.8.8"], ["127.0.0.1", "224.0.0.1", "240.0.0.1", "0.0.0.0"]),
        ("10.0.0.1", ["10.0.0.1"], ["10.0.0.2"]),
        ("10.0.0.1 10.0.0.3", ["10.0.0.1", "10.0.0.3"], ["10.0.0.2"]),
        ("10.0.0.5/24", ["10.0.0.0", "10.0.0.255"], ["10.0.1.0"]),
        ("!10.0.0.1 10.0.0.0/24", ["10.0.0.2"], ["10.0.0.1", "10.0.1.1"]),
        ("10.0.0.0/24 !10.0.0.1", ["10.0.0.1"], ["10.0.1.1"]),
        ("!10.0.0.0/25 *", ["10.0.0.128", "1.2.3.4"], ["10.0.0.127"]),
        ("10.0.0.1 - 10.0.0.2", ["10.0.0.1"], ["10.0.0.2"]),
        ("* nonsense", ["10.0.0.1"], []),
        ("!10.0.0.1", [], ["10.0.0.1", "10.0.0.2"]),
    ],
)
def test_first_match_decides(text: str, allowed: list[str], refused: list[str]) -> None:
    assert [a for a in allowed if not rule(text).allows(A(a))] == []
    assert [a for a in refused if rule(text).allows(A(a))] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*", []),
        ("10.0.0.0/24", []),
        ("10.0.0.1", ["10.0.0.1"]),
        ("10.0.0.2 10.0.0.1/32 10.0.0.2 *", ["10.0.0.2", "10.0.0.1"]),
        ("!10.0.0.1 10.0.0.1 10.0.0.2", ["10.0.0.2"]),
        ("127.0.0.1", []),
    ],
)
def test_addresses_given_by_name(text: str, expected: list[str]) -> None:
    account = Account("alice", addresses=rule(text))
    assert account.single_addresses == tuple(map(A, expected))
    assert account.fixed_address == (A(expected[0]) if expected else None)


@pytest.mark.parametrize("word", ["10.0.0", "10.0.0.1/33", "10.0.0.1/", "10.0.0.256", "!", "!-", "0.0.0.0/0", "::1"])
def test_bad_address_words_are_named(word: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(f"'{word}'")):
        rule(word)


def test_half_a_password_is_not_named() -> None:
    with pytest.raises(ConfigurationError) as caught:
        rule("battery")
    assert "battery" not in str(caught.value)


def test_pppd_unit_addresses_come_from_the_pool_with_a_warning() -> None:
    network, warnings = AddressRule.from_words(["10.0.0.0/24+"])
    assert network.allows(A("10.0.0.77"))
    assert len(warnings) == 1


def test_repr_hides_the_secret() -> None:
    shown = f"{Account('alice', 'hunter2')!r} {Account('bob', nt_hash=bytes(16))}"
    assert "alice" in shown
    assert "hunter2" not in shown
    assert "\\x00" not in shown


def test_a_generated_account_has_eighty_random_bits() -> None:
    numbers = count()
    account = new_account(lambda n: bytes(next(numbers) for _ in range(n)))
    assert account.user == "pypptp"
    assert account.password == "0123-4567-89ab-cdef"
    assert account.addresses is ANY_ADDRESS
    assert new_account(lambda n: b"\xff" * n, "root").password == "zzzz-zzzz-zzzz-zzzz"
