"""pppd's words: the table shows each rule of the grammar once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.auth.words import MAXIMUM_WORD, quote_word, split_words
from pypptp.errors import ConfigurationError


def values(data: bytes) -> list[bytes]:
    return [word.value for word in split_words(data, "file")]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"one", [b"one"]),
        (b" a\tb\r\nc\vd\fe ", [b"a", b"b", b"c", b"d", b"e"]),
        (b"a # comment 'not a quote\nb", [b"a", b"b"]),
        (b"a#comment\nb", [b"a", b"b"]),
        (b"'a # b'", [b"a # b"]),
        (b"\"a 'b' c\"", [b"a 'b' c"]),
        (b"pre'fix ed'post", [b"prefix edpost"]),
        (b"\"a\"'b'c", [b"abc"]),
        (b"''", [b""]),
        (b'"" x', [b"", b"x"]),
        (b"a\\ b", [b"a b"]),
        (b"\\#a", [b"#a"]),
        (b"DOMAIN\\\\user", [b"DOMAIN\\user"]),
        (b'"say \\"hi\\""', [b'say "hi"']),
        (b"'it\\'s'", [b"it's"]),
        (b"\\a\\b\\f\\n\\r\\s\\t", [b"\a\b\f\n\r \t"]),
        (b"\\101\\1012\\60x", [b"AA20x"]),
        (b"\\777", [b"\xff"]),
        (b"\\x41\\x4a\\x414\\x9z", [b"AJA4\x09z"]),
        (b"\\q", [b"q"]),
        (b"a\\\nb c", [b"ab", b"c"]),
        (b"a \\\n b", [b"a", b"b"]),
        (b"'two\nlines'", [b"two\nlines"]),
        (b"a\\", [b"a"]),
        (b"a \\", [b"a"]),
        (b"\xef\xbb\xbfa", [b"a"]),
        ("pä".encode(), ["pä".encode()]),
    ],
)
def test_grammar(data: bytes, expected: list[bytes]) -> None:
    assert values(data) == expected


def test_lines_are_numbered_and_their_first_word_is_marked() -> None:
    data = b"# head\n\na 'b\nb' c\n  d \\\n e\n\\\nf"
    assert [(w.value, w.line, w.starts_line, w.lines) for w in split_words(data, "file")] == [
        (b"a", 3, True, 0),
        (b"b\nb", 3, False, 1),
        (b"c", 4, False, 0),
        (b"d", 5, True, 0),
        (b"e", 6, False, 0),
        (b"f", 8, True, 0),
    ]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"a\nb 'c\nd\n", r"^file:2: a quote \('\) is opened here"),
        (b"a" * (MAXIMUM_WORD + 1), "^file:1: a word is longer"),
        (b"\na\\0b", "^file:2: a word holds a NUL"),
        (b"a\0b", "^file:1: a word holds a NUL"),
        (b"\\x", "^file:1: a word holds a NUL"),
    ],
)
def test_bad_words_are_named(data: bytes, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        values(data)


def test_the_longest_word_is_read() -> None:
    assert values(b"a" * MAXIMUM_WORD) == [b"a" * MAXIMUM_WORD]


def test_text_is_utf_8_or_latin_1() -> None:
    assert [word.text for word in split_words("ä ".encode() + b"\xe4", "file")] == ["ä", "ä"]


def test_repr_hides_the_word() -> None:
    assert "hunter2" not in repr(next(split_words(b"hunter2", "file")))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40), min_size=1))
def test_quoted_words_come_back(words: list[str]) -> None:
    line = " ".join(["first", *map(quote_word, words)])
    assert [word.text for word in split_words(line.encode(), "file")] == ["first", *words]


@pytest.mark.parametrize("value", ["a\0b", "ä" * MAXIMUM_WORD])
def test_what_no_word_can_hold_is_not_quoted(value: str) -> None:
    with pytest.raises(ConfigurationError):
        quote_word(value)


@given(st.binary(max_size=200) | st.text("ab \"'\\#\n\rx071", max_size=60).map(str.encode))
def test_any_octets_give_words_or_one_error(data: bytes) -> None:
    try:
        words = list(split_words(data, "file"))
    except ConfigurationError:
        with pytest.raises(ConfigurationError, match=r"^file:\d+: "):
            values(data)
        return
    assert all(0 not in word.value for word in words)
    assert [word.line for word in words] == sorted(word.line for word in words)
    assert all(1 <= word.line <= data.count(b"\n") + 1 for word in words)
    # Nothing behind a file's end matters: the same words come back with a comment added on a line of its own.
    if not data.endswith(b"\\"):
        assert [word.value for word in words] == values(data + b"\n# end")
