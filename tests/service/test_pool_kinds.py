from __future__ import annotations

import pytest

from pypptp.errors import ConfigurationError
from pypptp.service.pool_kinds import NamedPools
from pypptp.service.settings import ServerSettings, as_flags, make_settings
from pypptp.service.toml_file import parse_toml

POOLS = ("staff=10.9.0.0/24,10.8.0.1-9", "guests=10.7.0.1")


def test_flags_and_a_table_say_the_same() -> None:
    flags = make_settings(ServerSettings, {"local": "10.0.0.1", "pool": [*POOLS]})
    text = b'local = "10.0.0.1"\n[pool]\nstaff = "10.9.0.0/24, 10.8.0.1-9"\nguests = "10.7.0.1"\n'
    table = make_settings(ServerSettings, {}, parse_toml(text, ServerSettings))
    assert flags == table
    assert flags.pool == POOLS
    assert flags.address_pool().names == ("staff", "guests")
    # As a worker is told.
    assert make_settings(ServerSettings, as_flags(flags)) == flags


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("staff", "not a name and addresses"),
        ("=10.0.0.1", "'' is no name"),
        ("-x=10.0.0.1", "'-x' is no name"),
        ("staff=10.0.0", "staff: '10.0.0' is not an IPv4 address"),
        ("a=10.0.0.1 a=10.0.0.2", "names 'a' twice"),
    ],
)
def test_what_is_no_pool(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        NamedPools().from_text(text)


@pytest.mark.parametrize("value", [{"staff": 5}, {"staff": ["10.0.0.1"]}, 7])
def test_what_is_no_table_of_pools(value: object) -> None:
    with pytest.raises(ValueError, match=r"must be|a table of addresses"):
        NamedPools().from_toml(value)


def test_pools_that_overlap() -> None:
    with pytest.raises(ConfigurationError, match=r"pool: 10\.0\.0\.240 of the pool 'staff' is in another one"):
        make_settings(ServerSettings, {"local": "10.0.0.1", "pool": "staff=10.0.0.240"})
