"""The kind of value that names an address pool."""

from __future__ import annotations

import re
from typing import Any

from pypptp.auth.address_pool import read_ranges
from pypptp.errors import ConfigurationError
from pypptp.service.kinds import Kind, ListOf, shown, wrong_type


class _NamedPool(Kind[str]):
    """``NAME=RANGES``, kept as text."""

    metavar = "NAME=RANGES"
    _NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", re.ASCII)

    def from_text(self, text: str) -> str:
        name, sign, ranges = text.partition("=")
        if not sign:
            raise ValueError(f"{shown(text)} is not a name and addresses, such as staff=10.9.0.0/24")
        pool = f"{name.strip()}={''.join(ranges.split())}"
        self.check(pool)
        return pool

    def check(self, value: Any) -> None:
        name, _, ranges = value.partition("=")
        if self._NAME.fullmatch(name) is None:
            raise ValueError(f"{shown(name)} is no name of 1 to 64 letters, digits and _ . - (no . or - first)")
        try:
            read_ranges(ranges)
        except ConfigurationError as error:
            raise ValueError(f"{name}: {error}") from None


class NamedPools(ListOf[str]):
    """Pools with a name: ``staff=10.9.0.0/24``; in TOML a table, ``staff = "10.9.0.0/24"``.

    Written as one text they have blanks between them, since ranges have commas.
    """

    def __init__(self) -> None:
        super().__init__(_NamedPool(), repeatable=True)

    def from_text(self, text: str) -> tuple[str, ...]:
        """Read one, or several with blanks between."""
        joined = re.sub(r"\s*([=,])\s*", r"\1", text)
        return self.join([(self.item.from_text(word),) for word in joined.split()])

    def from_toml(self, value: object) -> tuple[str, ...]:
        """Take a table of names and ranges, or an array of ``NAME=RANGES``."""
        if not isinstance(value, dict):
            return super().from_toml(value)
        for ranges in value.values():
            if not isinstance(ranges, str):
                raise wrong_type("a table of addresses such as '10.9.0.0/24'", ranges)
        return self.join([(self.item.from_text(f"{name}={ranges}"),) for name, ranges in value.items()])

    def check(self, value: Any) -> None:
        """Refuse a name that is given twice."""
        super().check(value)
        names = [pool.partition("=")[0] for pool in value]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"names {shown(twice)} twice")

    def to_text(self, value: tuple[str, ...]) -> str:
        """Write them with blanks."""
        return " ".join(value)
