"""Rates, as they are written and read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.aio.rates import Rate
from pypptp.service.rate_kinds import FASTEST, SLOWEST, Bandwidth, UserRate, UserRates

RATES = st.builds(Rate, *(st.none() | st.integers(SLOWEST, FASTEST) for _ in range(2)))
NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1, max_size=20).filter(
    lambda name: "=" not in name
)
TWO = Rate(2_000_000, 2_000_000)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("2mbit", TWO),
        ("2Mbit", TWO),
        (" 2000kbit ", TWO),
        ("1.5mbit/64kbit", Rate(1_500_000, 64_000)),
        ("unlimited/1gbit", Rate(None, 1_000_000_000)),
        ("8000bit", Rate(8000, 8000)),
        ("unlimited", Rate()),
    ],
)
def test_a_rate(text: str, rate: Rate) -> None:
    assert Bandwidth().from_text(text) == rate


@pytest.mark.parametrize(
    "text",
    ["", "2", "2mb", "2mbit/", "/2mbit", "2mbit/3mbit/4mbit", "-2mbit", "٢mbit", "1e6bit", "7kbit", "0bit", "101gbit"],
)
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a rate such as 2mbit|is not between 8kbit and 100gbit"):
        Bandwidth().from_text(text)


@given(RATES)
def test_a_rate_is_read_as_it_was_written(rate: Rate) -> None:
    assert Bandwidth().from_text(Bandwidth().to_text(rate)) == rate
    Bandwidth().check(rate)


def test_users_rates() -> None:
    expected = (UserRate("alice", TWO), UserRate("DOM\\bob, jr.", Rate(10_000_000, None)))
    kind = UserRates()
    assert kind.from_text("alice=2mbit, DOM\\bob, jr.=10mbit/unlimited") == expected
    assert kind.from_toml({"alice": "2mbit", "DOM\\bob, jr.": "10mbit/unlimited"}) == expected
    assert kind.from_toml(["alice=2mbit", "DOM\\bob, jr.=10mbit/unlimited"]) == expected
    assert kind.join([kind.from_text("alice=2mbit"), kind.from_text("DOM\\bob, jr.=10mbit/unlimited")]) == expected
    assert kind.from_text("") == ()


@given(st.lists(st.builds(UserRate, NAMES, RATES), max_size=4, unique_by=lambda named: named.user))
def test_users_rates_are_read_as_they_were_written(named: list[UserRate]) -> None:
    kind = UserRates()
    assert kind.from_text(kind.to_text(tuple(named))) == tuple(UserRate(each.user.strip(), each.rate) for each in named)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("alice", "is not a user and a rate"),
        ("=2mbit", "is not a user and a rate"),
        ("alice=2", "'2' is not a rate"),
        ("alice=2mbit,alice=3mbit", "names 'alice' twice"),
        ({"alice": 2}, "a table of rates such as '2mbit', not an integer"),
        (7, "must be a string"),
    ],
)
def test_what_is_no_users_rate(value: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        UserRates().from_toml(value)
