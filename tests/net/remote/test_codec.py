from __future__ import annotations

import json
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.net.edge import NetworkEdge, Recovery, RouteTaken, Tun
from pypptp.net.memory import MemoryTun
from pypptp.net.remote.channel import BadMessage
from pypptp.net.remote.codec import decode, encode, hints_of
from pypptp.net.remote.host import Helper, SecretText

WAY = RouteTaken("eth0", IPv4Address("203.0.113.1"), IPv4Address("203.0.113.2"))
NETWORKS = (IPv4Network("10.0.0.0/24"), IPv4Network("192.0.2.1"))


def over(hint: Any, value: object) -> object:
    def no_tun(number: int) -> Tun:
        raise BadMessage("no TUN")

    return decode(hint, json.loads(json.dumps(encode(value, lambda value: None))), no_tun)


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (str | None, None),
        (str | None, "eth0"),
        (bool, True),
        (int, 1400),
        (float, 0.5),
        (IPv4Address, IPv4Address("192.0.2.1")),
        (Iterable[IPv4Network], NETWORKS),
        (RouteTaken | None, WAY),
        (RouteTaken | None, None),
        (Recovery, Recovery(["route"], [], 3, ["no"])),
        (set[IPv4Address], {IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")}),
        (list[str], ["a", "b"]),
        (tuple[SecretText, ...], (SecretText("/etc/ppp/chap-secrets", "alice * x *\n", ()),)),
    ],
)
def test_there_and_back(hint: Any, value: object) -> None:
    assert over(hint, value) == value


def test_a_tun_is_a_number() -> None:
    tun = MemoryTun("ppp0")
    try:
        written = encode(tun, lambda value: 7 if value is tun else None)
        assert written == {"tun": 7}
        assert decode(Tun, written, lambda number: tun) is tun
    finally:
        tun.close()


@pytest.mark.parametrize(
    ("hint", "data"),
    [
        (int, True),
        (int, 1.0),
        (bool, 1),
        (str, None),
        (float, "1"),
        (float, True),
        (IPv4Address, "192.0.2.256"),
        (IPv4Address, 3221225985),
        (IPv4Network, "192.0.2.1/24"),
        (Iterable[IPv4Network], "10.0.0.0/24"),
        (RouteTaken, {"interface": "eth0"}),
        (RouteTaken, {"interface": "eth0", "gateway": None, "source": None, "local": False, "more": 1}),
        (Tun, 7),
        (Tun, {"tun": True}),
        (str | None, 0),
        (object, "anything"),
    ],
)
def test_what_is_not_of_its_type(hint: Any, data: object) -> None:
    with pytest.raises(BadMessage):
        decode(hint, data, lambda number: pytest.fail("a TUN was looked for"))


def test_what_cannot_be_sent() -> None:
    with pytest.raises(BadMessage, match="a object cannot be sent"):
        encode(object(), lambda value: None)


HINTS = [
    hint
    for method in (*vars(NetworkEdge).values(), *vars(Helper).values())
    if callable(method) and not getattr(method, "__name__", "_").startswith("_")
    for hint in hints_of(method).values()
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("tun"), inner),
)


@given(st.sampled_from(HINTS), JSON)
def test_any_json_is_read_or_refused(hint: Any, data: object) -> None:
    def no_tun(number: int) -> Tun:
        raise BadMessage("no TUN")

    try:
        decode(hint, data, no_tun)
    except BadMessage:
        pass
