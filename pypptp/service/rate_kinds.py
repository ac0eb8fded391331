"""The kinds of values that say how fast packets may pass.

A rate is a number and a unit of bits a second, ``2mbit``, or two of them for the way to the client and the way from it,
``10mbit/2mbit``. The units are powers of ten.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from pypptp.aio.rates import NO_LIMIT, UNITS, Rate, write_bits
from pypptp.service.kinds import Kind, ListOf, shown, wrong_type

SLOWEST = 8_000
FASTEST = 100_000_000_000
"""Bits a second: a packet of 1400 octets in 1.4 s, and more than any tunnel here carries."""

_ONE = r"(?:[0-9]{1,12}(?:\.[0-9]{1,9})?[kmg]?bit|unlimited)"
_NAMED = re.compile(rf"\s*(?P<user>[^=]+?)\s*=\s*(?P<rate>{_ONE}(?:/{_ONE})?)\s*(?:,|$)", re.ASCII | re.IGNORECASE)


class Bandwidth(Kind[Rate]):
    """A rate, or one for each way."""

    metavar = "DOWN[/UP]"

    def from_text(self, text: str) -> Rate:
        """Read ``2mbit``, ``10mbit/512kbit`` or ``unlimited/1mbit``; one alone counts for both ways."""
        down, slash, up = text.strip().partition("/")
        first = _read(down)
        return Rate(first, _read(up) if slash else first)

    def check(self, value: Any) -> None:
        """Hold both against the bounds."""
        for rate in (value.down, value.up):
            if rate is not None:
                _check(rate)


@dataclass(frozen=True, slots=True)
class UserRate:
    """A user's own rate.

    Attributes:
        user: the name, as in the secrets.
        rate: how fast.
    """

    user: str
    rate: Rate

    def __str__(self) -> str:
        return f"{self.user}={self.rate}"


class _NamedRate(Kind[UserRate]):
    metavar = "USER=DOWN[/UP]"

    def from_text(self, text: str) -> UserRate:
        # The last "=" is ours: a name may hold one.
        user, sign, rate = text.rpartition("=")
        if not sign or not user.strip():
            raise ValueError(f"{shown(text)} is not a user and a rate, such as alice=2mbit")
        return UserRate(user.strip(), Bandwidth().from_text(rate))

    def check(self, value: Any) -> None:
        Bandwidth().check(value.rate)


class UserRates(ListOf[UserRate]):
    """Users' own rates: ``alice=2mbit,bob=10mbit/1mbit``; in TOML a table of them."""

    def __init__(self) -> None:
        super().__init__(_NamedRate(), repeatable=True)

    def from_text(self, text: str) -> tuple[UserRate, ...]:
        """Read them with commas between; a name may hold a comma, since a rate stands before each that is not its."""
        found: list[tuple[UserRate, ...]] = []
        position = 0
        while position < len(text):
            match = _NAMED.match(text, position)
            if match is None:
                return super().from_text(text)  # says what is wrong, or finds nothing wrong
            found.append((UserRate(match["user"], Bandwidth().from_text(match["rate"])),))
            position = match.end()
        return self.join(found)

    def from_toml(self, value: object) -> tuple[UserRate, ...]:
        """Take a table of names and rates, or an array of ``USER=RATE``."""
        if not isinstance(value, dict):
            return super().from_toml(value)
        found: list[tuple[UserRate, ...]] = []
        for user, rate in value.items():
            if not isinstance(rate, str):
                raise wrong_type("a table of rates such as '2mbit'", rate)
            found.append((UserRate(user, Bandwidth().from_text(rate)),))
        return self.join(found)

    def check(self, value: Any) -> None:
        """Refuse a user with two rates."""
        super().check(value)
        users = [named.user for named in value]
        twice = next((user for user in users if users.count(user) > 1), None)
        if twice is not None:
            raise ValueError(f"names {shown(twice)} twice")


def _read(text: str) -> int | None:
    word = text.strip().lower()
    if word == NO_LIMIT:
        return None
    match = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)([kmg]?bit)", word, re.ASCII)
    if match is None:
        raise ValueError(f"{shown(text)} is not a rate such as 2mbit, 512kbit, 10mbit/2mbit or unlimited")
    rate = int(Fraction(match[1]) * UNITS[match[2]])
    _check(rate)
    return rate


def _check(rate: int) -> None:
    if not SLOWEST <= rate <= FASTEST:
        raise ValueError(f"{write_bits(rate)} is not between {write_bits(SLOWEST)} and {write_bits(FASTEST)}")
