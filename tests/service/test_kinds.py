from __future__ import annotations

import datetime
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.service.control_socket.place import is_name
from pypptp.service.kinds import (
    Address,
    Choice,
    CommandLine,
    File,
    Flag,
    HostName,
    InstanceName,
    Integer,
    Interface,
    Kind,
    ListenAt,
    ListOf,
    Network,
    NumberChoice,
    Processes,
    Seconds,
    Text,
    shown,
)

KINDS: dict[str, Kind[Any]] = {
    "flag": Flag(),
    "integer": Integer(68, 65_535),
    "seconds": Seconds(),
    "text": Text(maximum=8),
    "interface": Interface(words=("auto",)),
    "pattern": Interface(pattern=True),
    "instance": InstanceName(),
    "choice": Choice("require", "prefer", "deny"),
    "numbers": ListOf(NumberChoice(128, 56, 40), least=1),
    "address": Address(),
    "listen": Address(unspecified=True, loopback=True),
    "network": Network(),
    "host": HostName(),
    "file": File(),
    "command": CommandLine(),
    "listening": ListenAt(),
    "dns": ListOf(Address(), most=2, repeatable=True),
    "bypass": ListOf(Network(), words={"two": (IPv4Network("10.0.0.0/8"), IPv4Network("9.0.0.0/8"))}),
}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("flag", "true", True),
        ("integer", "68", 68),
        ("integer", "65535", 65_535),
        ("seconds", "0", 0.0),
        ("seconds", "2.5", 2.5),
        ("text", "a b ü", "a b ü"),
        ("interface", "eth0", "eth0"),
        ("interface", "auto", "auto"),
        ("interface", "abcdefghijklmno", "abcdefghijklmno"),
        ("pattern", "vpn%d", "vpn%d"),
        ("choice", "deny", "deny"),
        ("numbers", "40, 128,40", (40, 128)),
        ("address", "192.168.0.1", IPv4Address("192.168.0.1")),
        ("listen", "0.0.0.0", IPv4Address(0)),
        ("listen", "127.0.0.1", IPv4Address("127.0.0.1")),
        ("network", "10.0.0.0/8", IPv4Network("10.0.0.0/8")),
        ("network", "10.1.2.3", IPv4Network("10.1.2.3/32")),
        ("network", "0.0.0.0/0", IPv4Network("0.0.0.0/0")),
        ("host", "vpn.example.org", "vpn.example.org"),
        ("host", "localhost.", "localhost."),
        ("host", "bücher.example", "bücher.example"),
        ("host", "10.100.100.1", "10.100.100.1"),
        ("host", "127.0.0.1", "127.0.0.1"),
        ("file", "a b", Path("a b")),
        ("dns", "8.8.8.8,1.1.1.1", (IPv4Address("8.8.8.8"), IPv4Address("1.1.1.1"))),
        ("dns", "", ()),
        ("command", "sh -c 'a\nb'", "sh -c 'a\nb'"),
        ("listening", "1080", "127.0.0.1:1080"),
        ("listening", "0.0.0.0:1080", "0.0.0.0:1080"),
        ("bypass", "two,10.0.0.0/8", (IPv4Network("10.0.0.0/8"), IPv4Network("9.0.0.0/8"))),
    ],
)
def test_text_is_read(kind: str, text: str, value: object) -> None:
    assert KINDS[kind].from_text(text) == value
    assert KINDS[kind].from_toml(text if not isinstance(value, bool | int | float) else value) == value


@pytest.mark.parametrize(
    ("kind", "text", "complaint"),
    [
        ("flag", "yes", "'yes' is not true or false"),
        ("integer", "67", "67 is not between 68 and 65535"),
        ("integer", "70000", "70000 is not between 68 and 65535"),
        ("integer", "14OO", "'14OO' is not a whole number"),
        ("integer", "١٢٣", "is not a whole number"),
        ("integer", "9" * 5000, "is not a whole number"),
        ("seconds", "-1", "-1.0 is neither 0"),
        ("seconds", "nan", "'nan' is not a number of seconds"),
        ("seconds", "1e3", "'1e3' is not a number of seconds"),
        ("seconds", "0.009", "0.009 is neither 0 \\(off\\) nor between 0.01 and 86400 seconds"),
        ("seconds", "86401", "86401.0 is neither 0"),
        ("text", "", "is empty"),
        ("text", "a\nb", "holds a control character"),
        ("text", "ääääa", "is longer than 8 octets"),
        ("interface", "eth 0", "'eth 0' is not the name of an interface"),
        ("interface", "vpn%d", "'vpn%d' is not the name of an interface"),
        ("interface", "../x", "'../x' is not the name of an interface"),
        ("interface", "..", "'..' is not the name of an interface"),
        ("interface", "abcdefghijklmnop", "is not the name of an interface"),
        ("interface", "äääääääää", "is not the name of an interface"),
        ("interface", "a\u200bb", "is not the name of an interface"),
        ("pattern", "a%d%d", "is not the name of an interface"),
        ("choice", "required", "is not one of require, prefer, deny; did you mean require?"),
        ("numbers", "64", "'64' is not one of 128, 56, 40"),
        ("numbers", "", "names nothing"),
        ("numbers", "128,", "'' is not one of"),
        ("address", "192.168.0", "'192.168.0' is not an IPv4 address"),
        ("address", "::1", "'::1' is not an IPv4 address"),
        ("address", "0.0.0.0", "0.0.0.0 cannot be the address of a host"),
        ("address", "127.0.0.1", "127.0.0.1 cannot be"),
        ("address", "224.0.0.1", "224.0.0.1 cannot be"),
        ("address", "255.255.255.255", "255.255.255.255 cannot be"),
        ("network", "10.1.0.0/8", "'10.1.0.0/8' has bits set behind its prefix; did you mean 10.0.0.0/8?"),
        ("network", "10.0.0.0/33", "'10.0.0.0/33' is not a network"),
        ("network", "", "'' is not a network"),
        ("host", "::1", "'::1' is not a host name"),
        ("host", "10.100.100.1:1723", "a port goes into --port"),
        ("host", "10.100.100", "'10.100.100' is not an IPv4 address"),
        ("host", "a..b", "'a..b' is not a host name"),
        ("host", "-a", "'-a' is not a host name"),
        ("host", "a b", "'a b' is not a host name"),
        ("file", "", "'' is not a file name"),
        ("file", "a\0b", r"'a\\x00b' is not a file name"),
        ("dns", "8.8.8.8,1.1.1.1,9.9.9.9", "3 values are more than 2"),
        ("command", "", "is empty"),
        ("command", "  ", "is empty"),
        ("command", "sh 'a", "has a quote that is open"),
        ("command", "a\0b", "NUL"),
        ("listening", "0", "0 is not between 1 and 65535"),
        ("listening", "localhost:1080", "'localhost' is not an IPv4 address"),
        ("listening", "127.0.0.1:", "'' is not a whole number"),
        ("bypass", "three", "'three' is not a network"),
    ],
)
def test_bad_text_is_named(kind: str, text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint.replace("?", r"\?")):
        KINDS[kind].from_text(text)


@pytest.mark.parametrize(
    ("kind", "value", "complaint"),
    [
        ("flag", 1, "must be true or false, not an integer"),
        ("flag", "true", "must be true or false, not a string"),
        ("integer", "1400", "must be an integer, not a string"),
        ("integer", True, "must be an integer, not true or false"),
        ("integer", 1400.0, "must be an integer, not a float"),
        pytest.param("integer", 1 << 20_000, "a number beyond 64 bits is not between", id="huge"),
        ("seconds", float("nan"), "nan is neither 0"),
        ("seconds", float("inf"), "inf is neither 0"),
        ("seconds", datetime.time(1), "must be a number of seconds, not a date or time"),
        ("text", 123456, "must be a string, not an integer"),
        ("numbers", [128, 64], "64 is not one of 128, 56, 40"),
        ("numbers", [], "names nothing"),
        ("numbers", [True], "must be an integer, not true or false"),
        ("address", {}, "must be a string, not a table"),
        ("dns", [["8.8.8.8"]], "must be a string, not an array"),
    ],
)
def test_bad_toml_values_are_named(kind: str, value: object, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        KINDS[kind].from_toml(value)


def test_lists_in_toml() -> None:
    assert KINDS["numbers"].from_toml([128, "40"]) == (128, 40)
    assert KINDS["numbers"].from_toml(56) == (56,)
    assert KINDS["numbers"].from_toml("128,56") == (128, 56)
    assert KINDS["bypass"].from_toml(["two"]) == (IPv4Network("10.0.0.0/8"), IPv4Network("9.0.0.0/8"))


TOML_VALUES = st.recursive(
    st.booleans()
    | st.integers()
    | st.floats()
    | st.floats(0.01, 86_400)
    | st.text(max_size=30)
    | st.text("0123456789./:,-%", max_size=30)
    | st.dates(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(KINDS)), TOML_VALUES)
def test_any_value_is_taken_whole_or_refused_in_one_line(name: str, value: object) -> None:
    kind = KINDS[name]
    try:
        taken = kind.from_toml(value)
    except ValueError as error:
        refusal = str(error)
    else:
        refusal = ""
        kind.check(taken)
        assert kind.from_text(kind.to_text(taken)) == taken
    assert "\n" not in refusal
    assert len(refusal) < 300


@given(st.text() | st.integers() | st.floats())
def test_what_is_shown_is_short_and_printable(value: object) -> None:
    assert shown(value).isprintable()
    assert len(shown(value)) <= 66


def test_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = Processes(1, 8)
    assert [kind.from_text("1"), kind.from_toml(8)] == [1, 8]
    for cores, processes in ((1, 1), (2, 2), (64, 8)):
        monkeypatch.setattr("os.sched_getaffinity", lambda process, cores=cores: set(range(cores)))
        assert kind.from_text("auto") == kind.from_toml("auto") == processes
    for bad in ("0", "9", "many", "AUTO", ""):
        with pytest.raises(ValueError, match="is not"):
            kind.from_text(bad)
    with pytest.raises(ValueError, match="must be an integer"):
        kind.from_toml("2")


@pytest.mark.parametrize("name", ["server", "office-2", "a.b@c_d", "7", "x" * 64])
def test_an_instance_can_be_called(name: str) -> None:
    assert InstanceName().from_text(name) == name
    assert is_name(name)


@pytest.mark.parametrize("name", ["", ".hidden", "-x", "a/b", "a b", "ä", "x" * 65, "a\n"])
def test_an_instance_cannot_be_called(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of 1 to 64 letters"):
        InstanceName().from_text(name)
    assert not is_name(name)
