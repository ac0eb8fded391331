"""The lines on a control socket: how a request is read and an answer written, and how long they may be."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from pypptp.errors import PptpError

SCHEMA: Final = 1
"""Version of the answers. Fields may be added to one; a field that goes or changes its meaning makes the next."""

LARGEST_REQUEST: Final = 16 * 1024
"""Octets."""

LARGEST_ANSWER: Final = 64 * 1024 * 1024
"""Octets; 65,535 sessions are described in half of it."""

ITEMS_PER_PIECE: Final = 32

Handler: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Takes the fields of a request, returns those of the answer. A PptpError it raises is the answer's sentence."""


class BadRequest(PptpError):
    """What was asked is no request, or none that can be answered; the sentence says why."""


def parse_request(line: bytes) -> tuple[str, dict[str, Any]]:
    """Read a line. Returns the request's name and its other fields.

    Raises:
        BadRequest: it is no JSON object with a name.
    """
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise BadRequest("a request is one line of JSON") from None
    if not isinstance(found, dict):
        raise BadRequest("a request is a JSON object")
    name = found.pop("request", None)
    if not isinstance(name, str):
        raise BadRequest('a request has a field "request" with its name')
    return name, found


def build_request(name: str, arguments: Mapping[str, Any]) -> bytes:
    """Write a request.

    Raises:
        BadRequest: it is longer than anybody reads.
    """
    line = json.dumps({**arguments, "request": name}).encode("ascii") + b"\n"
    if len(line) > LARGEST_REQUEST:
        raise BadRequest(f"the request has {len(line)} octets, more than {LARGEST_REQUEST}")
    return line


def build_answer(answer: Mapping[str, Any]) -> Iterator[bytes]:
    """Write an answer in pieces: a list of thousands would otherwise hold up the packets of everybody."""
    yield b"{"
    separator = b""
    for name, value in answer.items():
        yield separator + json.dumps(name).encode("ascii") + b":"
        if isinstance(value, list | tuple):
            yield from _list(value)
        else:
            yield json.dumps(value).encode("ascii")
        separator = b","
    yield b"}\n"


def _list(items: Sequence[Any]) -> Iterator[bytes]:
    yield b"["
    for start in range(0, len(items), ITEMS_PER_PIECE):
        piece = json.dumps(items[start : start + ITEMS_PER_PIECE])[1:-1].encode("ascii")
        yield (b"," if start else b"") + piece
    yield b"]"


def parse_answer(line: bytes) -> dict[str, Any]:
    """Read an answer.

    Raises:
        ValueError: it is none of this schema.
    """
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or found.get("schema") != SCHEMA or not isinstance(found.get("ok"), bool):
        raise ValueError(f"it is not of schema {SCHEMA}")
    return found
