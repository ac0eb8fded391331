"""pptpd.conf: its lines, its words and its lists of addresses."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.auth.address_pool import AddressPool
from pypptp.errors import ConfigurationError
from pypptp.service.findings import Level
from pypptp.service.meanings import Effect
from pypptp.service.pptpd_conf import (
    PPTPD_WORDS,
    duplicates,
    expand_addresses,
    parse_pptpd_conf,
    ranges_text,
)

RECIPE = b"""# /etc/pptpd.conf
option /etc/ppp/options.pptpd
logwtmp
localip 192.168.0.1
remoteip 192.168.0.234-238,192.168.0.245
"""


def parse(text: str) -> dict[str, tuple[str, int]]:
    lines, _ = parse_pptpd_conf(text.encode(), "f")
    return {keyword: (line.value, line.line) for keyword, line in lines.items()}


def test_a_toml_file_under_another_name_is_no_pptpd_conf() -> None:
    with pytest.raises(ConfigurationError, match=r"f: no line of it is pptpd's: .* end in \.toml"):
        parse('local = "192.168.7.1"\nport = 1799\n')
    assert parse("nonsense\nport = 1799\nlocalip 10.0.0.1\n") == {"localip": ("10.0.0.1", 3)}


def said(text: str) -> list[tuple[int, Level, str]]:
    _, findings = parse_pptpd_conf(text.encode(), "f")
    assert {finding.source for finding in findings} <= {"f"}
    return [(finding.line, finding.level, finding.message) for finding in findings]


def test_the_recipe() -> None:
    lines, findings = parse_pptpd_conf(RECIPE)
    assert {keyword: line.value for keyword, line in lines.items()} == {
        "option": "/etc/ppp/options.pptpd",
        "logwtmp": "",
        "localip": "192.168.0.1",
        "remoteip": "192.168.0.234-238,192.168.0.245",
    }
    assert [(finding.line, finding.level) for finding in findings] == [(3, Level.INFO)]


@pytest.mark.parametrize("word", list(PPTPD_WORDS))
def test_every_word(word: str) -> None:
    meaning = PPTPD_WORDS[word]
    value = "1" if meaning.arguments else ""
    line = f"{word} {value}".rstrip()
    assert parse(f"{line}\n") == {word: (value, 1)}
    expected = {Effect.SETTING: [], Effect.WITHOUT: [Level.INFO], Effect.MISSING: [Level.WARNING]}[meaning.effect]
    assert [level for _, level, _ in said(f"{line}\n")] == expected
    assert meaning.text
    if meaning.arguments:
        ((_, level, message),) = [finding for finding in said(f"{word}\n") if "without a value" in finding[2]]
        assert (level, word in message) == (Level.WARNING, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("\n\n# localip 1\n#debug\n", {}),
        ("localip 10.0.0.1\n", {"localip": ("10.0.0.1", 1)}),
        ("localip\t \t10.0.0.1 \t\n", {"localip": ("10.0.0.1", 1)}),
        ("\ufefflocalip 10.0.0.1\n", {"localip": ("10.0.0.1", 1)}),
        ("localip 10.0.0.1\nlocalip 10.0.0.2\n", {"localip": ("10.0.0.1", 1)}),
        ("LOCALIP 10.0.0.1\n", {}),
        ("localips 10.0.0.1\n", {}),
        ("localip\n", {}),
    ],
)
def test_lines_as_pptpd_reads_them(text: str, expected: dict[str, tuple[str, int]]) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (" localip 10.0.0.1\n", "begins with a blank"),
        ("localip 10.0.0.1\r\n", "ends with a carriage return"),
        ("localip 10.0.0.1 # here\n", "has a comment behind the value"),
        ("localip 10.0.0.1", "has no line end"),
        (f"localip {' ' * 510}10.0.0.1\n", "is longer than 510 octets"),
    ],
)
def test_what_pptpd_leaves_out_is_read_and_said(text: str, words: str) -> None:
    assert parse(text) == {"localip": ("10.0.0.1", 1)}
    ((line, level, message),) = said(text)
    assert (line, level) == (1, Level.INFO)
    assert words in message


def test_words_nobody_knows_are_said_with_a_guess() -> None:
    assert said("lokalip 10.0.0.1\n\x1b[31m x\nremoteip 10.0.0.2\n") == [
        (1, Level.WARNING, "'lokalip' is no word of pptpd's, it is left out; did you mean localip?"),
        (2, Level.WARNING, "'\\x1b[31m' is no word of pptpd's, it is left out"),
    ]
    assert said("debug\ndebug\n") == [(2, Level.WARNING, "'debug' stands in line 1 already, and the first one counts")]


def test_a_file_that_is_none() -> None:
    with pytest.raises(ConfigurationError, match=r"^f:2: not a text file"):
        parse_pptpd_conf(b"a\nb\0", "f")
    with pytest.raises(ConfigurationError, match=r"^f:101: 101 words that are not pptpd's"):
        parse_pptpd_conf(b"what is this\n" * 1000, "f")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.168.0.1", ["192.168.0.1"]),
        ("192.168.0.234-238,192.168.0.245", [*(f"192.168.0.{n}" for n in range(234, 239)), "192.168.0.245"]),
        ("192.168.0.2,192.168.0.5-6", ["192.168.0.2", "192.168.0.5", "192.168.0.6"]),
        ("192.168.0-2.7", ["192.168.0.7", "192.168.1.7", "192.168.2.7"]),
        ("10.1-2.0.7", ["10.1.0.7", "10.2.0.7"]),
        ("10-11.0.0.7", ["10.0.0.7", "11.0.0.7"]),
        ("10.0.0.1, 10.0.0.2", ["10.0.0.1", "10.0.0.2"]),
        ("10.0.0.1,10.0.0.1", ["10.0.0.1"]),
        ("10.0.0.0/30", ["10.0.0.1", "10.0.0.2"]),
    ],
)
def test_lists_of_addresses(text: str, expected: list[str]) -> None:
    assert [str(address) for address in expand_addresses(text)] == expected


@pytest.mark.parametrize(
    "text",
    ["", ",", "10.0.0.1,", "10.0.0", "10.0.0.256", "10.0.0.9-3", "10.9-3.0.1", "10.0-1.0.1-2", "10.0-256.0.1", "gate"],
)
def test_what_is_no_list(text: str) -> None:
    with pytest.raises(ConfigurationError):
        expand_addresses(text)


def test_duplicates() -> None:
    assert duplicates("10.0.0.1-3,10.0.0.3,10.0.1.1,10.0.0.2-3") == [IPv4Address("10.0.0.3"), IPv4Address("10.0.0.2")]
    assert duplicates("10.0.0.1-3") == []


@given(st.lists(st.integers(0x0A000000, 0x0A0003FF), min_size=1, max_size=50, unique=True))
def test_ranges_are_read_back_as_they_were(numbers: list[int]) -> None:
    addresses = [IPv4Address(number) for number in numbers]
    text = ranges_text(addresses)
    assert expand_addresses(text) == addresses
    assert list(AddressPool.from_text(text).addresses) == addresses


PIECES = st.sampled_from([*PPTPD_WORDS, "10.0.0.1", "1-2", ",", ".", " ", "\t", "\n", "\r", "#", "\0", "x", "é"])


@given(st.binary() | st.lists(PIECES).map(lambda pieces: "".join(pieces).encode()))
def test_anything_is_read_or_refused(data: bytes) -> None:
    try:
        lines, findings = parse_pptpd_conf(data)
        for line in lines.values():
            expand_addresses(line.value)
    except ConfigurationError:
        return
    assert all(str(finding).isprintable() for finding in findings)


@given(st.text("0123456789.-,/ ", max_size=40))
def test_any_list_is_read_or_refused(text: str) -> None:
    try:
        said = "".join(map(str, expand_addresses(text)))
    except ConfigurationError as error:
        said = str(error)
    assert said
    assert said.isprintable()
