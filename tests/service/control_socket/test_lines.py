from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.service.control_socket.lines import (
    LARGEST_REQUEST,
    BadRequest,
    build_answer,
    build_request,
    parse_answer,
    parse_request,
)

values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.text(), st.dictionaries(st.text(), values))
def test_a_request_is_read_as_it_was_written(name: str, arguments: dict[str, Any]) -> None:
    arguments.pop("request", None)
    line = build_request(name, arguments)
    assert line.count(b"\n") == 1
    assert parse_request(line) == (name, arguments)


@given(st.binary(max_size=60))
def test_anything_else_is_refused(line: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_request(line)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b'"status"',
        b"{}",
        b'{"request": null}',
        b'{"request": ["status"]}',
        b"[" * 10_000,
        b"9" * 10_000,
        b'{"request": "status"} {}',
        b'\xff{"request": "status"}',
    ],
)
def test_what_is_almost_a_request(line: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_request(line)


def test_a_request_nobody_would_read() -> None:
    build_request("disconnect", {"target": "x" * (LARGEST_REQUEST - 100)})
    with pytest.raises(BadRequest, match="more than 16384"):
        build_request("disconnect", {"target": "x" * LARGEST_REQUEST})


@given(st.dictionaries(st.text(), values | st.lists(st.integers(), min_size=30, max_size=100)))
def test_an_answer_in_pieces_is_one_line_of_json(answer: dict[str, Any]) -> None:
    line = b"".join(build_answer(answer))
    assert line.isascii()
    assert (line.count(b"\n"), line[-1:]) == (1, b"\n")
    assert json.loads(line) == answer


def test_no_piece_of_a_long_list_is_long() -> None:
    pieces = list(build_answer({"sessions": [{"user": "alice"}] * 10_000}))
    assert max(map(len, pieces)) < 1000


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b"[]", b'{"schema": 2, "ok": true}', b'{"schema": 1}', b'{"schema": 1, "ok": "yes"}', b"[" * 10_000],
)
def test_what_is_no_answer(line: bytes) -> None:
    with pytest.raises(ValueError, match="not of schema 1"):
        parse_answer(line)
