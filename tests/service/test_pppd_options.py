"""pppd's option files: words, what belongs to them, and files within files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.errors import ConfigurationError
from pypptp.service.findings import Level
from pypptp.service.pppd_options import ADDRESSES, DEEPEST, Given, parse_options, read_number
from pypptp.service.pppd_words import PPPD_WORDS

FILES = {
    "/a": b"mtu 1300\nfile /b\nmru 1300\n",
    "/b": b"lock\n",
    "/loop": b"file /loop\n",
    "/double": b"file /double2 file /double2",
    "/peers/office": b"name office\n",
}


def read_file(path: Path) -> bytes:
    try:
        return FILES[str(path)]
    except KeyError:
        raise ConfigurationError(f"{path} cannot be read: No such file or directory") from None


def parse(text: str) -> list[tuple[str, str, str]]:
    given, findings = parse_options(text.encode(), "f", read_file=read_file, peers=Path("/peers"))
    assert findings == []
    return [(word.word, word.value, word.where) for word in given]


def said(text: str) -> list[tuple[int, Level, str]]:
    _, findings = parse_options(text.encode(), "f", read_file=read_file)
    return [(finding.line, finding.level, finding.message) for finding in findings]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("# lock\n", []),
        ("lock", [("lock", "", "f:1")]),
        ("mtu 1400 lock\n\nname 'the gate'", [("mtu", "1400", "f:1"), ("lock", "", "f:1"),
                                                ("name", "the gate", "f:3")]),
        ("mtu\n1400", [("mtu", "1400", "f:1")]),
        ("+mschap-v2 -vj", [("require-mschap-v2", "", "f:1"), ("novj", "", "f:1")]),
        ("10.0.0.1:10.0.0.2", [(ADDRESSES, "10.0.0.1:10.0.0.2", "f:1")]),
        ("10.0.0.1:", [(ADDRESSES, "10.0.0.1:", "f:1")]),
        ("file /a", [("file", "/a", "f:1"), ("mtu", "1300", "/a:1"), ("file", "/b", "/a:2"), ("lock", "", "/b:1"),
                     ("mru", "1300", "/a:3")]),
        ("call office", [("call", "office", "f:1"), ("name", "office", "/peers/office:1")]),
    ],
)  # fmt: skip
def test_words(text: str, expected: list[tuple[str, str, str]]) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize("word", list(PPPD_WORDS))
def test_every_word_takes_what_belongs_to_it(word: str) -> None:
    if word in ("file", "call"):
        return
    arguments = PPPD_WORDS[word].arguments
    assert parse(f"{word} lock nodeflate")[0] == (word, "lock" if arguments else "", "f:1")
    assert len(parse(f"{word} lock nodeflate")) == 3 - arguments


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("lock mtu", "f:1: 'mtu' has no value behind it"),
        ("lock\nname 'x", "f:2: a quote"),
        ("lock\nfile /nowhere", "f:2: /nowhere cannot be read"),
        ("file /loop", f"/loop:1: more than {DEEPEST} files within files"),
        ("call ../x", "f:1: '../x' is not the name of a file in peers/"),
        ("call /x", "f:1: '/x' is not the name of a file in peers/"),
        ("what is this\n" * 1000, "f:101: 101 words that are not pppd's"),
        ("lock " * 10_001, "f:1: more than 10000 words"),
    ],
)
def test_what_pppd_would_not_start_with(text: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(text)
    assert str(caught.value).startswith(complaint)


def test_words_nobody_knows_take_the_rest_of_their_line() -> None:
    given, findings = parse_options(
        b"lok 3 mtu\nnodeflate\n'a secret' half\n115200 /dev/ttyS0", "f", read_file=read_file
    )
    assert [word.word for word in given] == ["nodeflate"]
    assert [(finding.line, finding.level, finding.message) for finding in findings] == [
        (1, Level.WARNING, "'lok' is no word of pppd's, the rest of the line is left out; did you mean lock?"),
        (3, Level.WARNING, "this is no word of pppd's, the rest of the line is left out"),
        (4, Level.INFO, "'115200' has no effect, which does not matter: there is no serial line"),
        (4, Level.INFO, "'/dev/ttyS0' has no effect, which does not matter: there is no serial line"),
    ]


def test_a_password_is_not_shown() -> None:
    ((word,), _) = parse_options(b"password wonderland", "f", read_file=read_file)
    assert word.value == "wonderland"
    assert "wonderland" not in repr(word)
    assert isinstance(word, Given)


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("1400", 1400), ("+7", 7), ("-1", -1), ("0x10", 16), ("0XfF", 255), ("010", 8), ("-010", -8)],
)
def test_numbers(text: str, number: int) -> None:
    assert read_number(text) == number


@pytest.mark.parametrize("text", ["", "x", "1.5", "08", "0x", "1 ", "--1", "1" * 11, "²"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match="is not a whole number"):
        read_number(text)


PIECES = st.sampled_from(
    [*PPPD_WORDS, "1400", "/a", "office", "1.2.3.4", ":", " ", "\n", "'", '"', "\\", "#", "\0", "é"]
)


@given(st.binary() | st.lists(PIECES).map(lambda pieces: " ".join(pieces).encode()))
def test_anything_is_read_or_refused(data: bytes) -> None:
    try:
        _, findings = parse_options(data, "f", read_file=read_file)
    except ConfigurationError:
        return
    assert all(str(finding).isprintable() for finding in findings)
