"""What parent and workers tell each other: one dataclass for each message, JSON on the way.

A field's annotation says how it is written and read back: numbers and text as they are, addresses and networks as
text, octets in hexadecimal, dataclasses and tuples as arrays.
"""

from __future__ import annotations

import json
import types
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from ipaddress import IPv4Address, IPv4Network
from typing import Any, TypeAlias, Union, get_args, get_origin, get_type_hints

from pypptp.aio.figures import SessionFigures
from pypptp.aio.register import SessionEnd, SessionEntry
from pypptp.auth.account import Account
from pypptp.auth.leases import LeaseRequest
from pypptp.errors import PptpError

LARGEST_MESSAGE = 60 * 1024
"""Octets; less than a Unix socket's send buffer takes in one piece. A pool named in 64 KiB of text does not fit, and
no worker needs it."""


class BadMessage(PptpError):
    """A message is none of these, or longer than LARGEST_MESSAGE."""


@dataclass(frozen=True, slots=True)
class Begin:
    """Parent: the first message.

    Attributes:
        index: which worker this is, from 0.
        workers: how many there are.
        settings: the server's settings, as (name, text).
    """

    index: int
    workers: int
    settings: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Serve:
    """Parent: serve the control connection whose descriptor comes with this message.

    Attributes:
        number: what it is known by.
        refusal: why it may not come in, a value of Refusal; empty where it may.
    """

    number: int
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class End:
    """Parent: end all sessions in order, then yourself.

    Attributes:
        reason: why, for the log and the peers.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Parent: end one session in order; one that has ended meanwhile is no error.

    Attributes:
        call_id: our call id.
        reason: why, for the log and the peer.
    """

    call_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class EndConnection:
    """Parent: see ``Server.end_connection``.

    Attributes:
        number: the connection's.
        reason: why, for the log.
    """

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Drain:
    """Parent: see ``Server.drain``."""


@dataclass(frozen=True, slots=True)
class FiguresQuestion:
    """Parent: see ``Server.figures``.

    Attributes:
        question: a number for the answers to name.
    """

    question: int


@dataclass(frozen=True, slots=True)
class AccountAnswer:
    """Parent: who somebody is.

    Attributes:
        question: the question's number.
        account: None where there is no such user.
        trouble: why that could not be found out; empty where it could.
    """

    question: int
    account: Account | None
    trouble: str


@dataclass(frozen=True, slots=True)
class LeaseAnswer:
    """Parent: an address.

    Attributes:
        question: the question's number.
        address: None where there is none.
        refusal: why there is none.
    """

    question: int
    address: IPv4Address | None
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Ready:
    """Worker: connections may come."""


@dataclass(frozen=True, slots=True)
class AccountQuestion:
    """Worker: see ``Authority.account``.

    Attributes:
        question: a number for the answer to name.
        name: as the peer gave it.
        server_name: what the server is called.
    """

    question: int
    name: str
    server_name: str


@dataclass(frozen=True, slots=True)
class LeaseQuestion:
    """Worker: see ``Leases.lease``.

    Attributes:
        question: a number for the answer to name.
        request: who the address is for.
    """

    question: int
    request: LeaseRequest


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Worker: see ``Leases.give_back``. The parent knows who had the address."""

    address: IPv4Address


@dataclass(frozen=True, slots=True)
class Drained:
    """Worker: the last session has ended, and no other can begin."""


@dataclass(frozen=True, slots=True)
class FiguresAnswer:
    """Worker: a part of its figures.

    Attributes:
        question: the question's number.
        sessions: some of its sessions.
        planes: counters of its data plane, with the last part.
        last: whether no other part comes.
    """

    question: int
    sessions: tuple[SessionFigures, ...]
    planes: tuple[tuple[str, int], ...]
    last: bool


@dataclass(frozen=True, slots=True)
class SessionUp:
    """Worker: see ``Watcher.session_up``."""

    entry: SessionEntry


@dataclass(frozen=True, slots=True)
class SessionDown:
    """Worker: see ``Watcher.session_down``."""

    end: SessionEnd


@dataclass(frozen=True, slots=True)
class ConnectionCalled:
    """Worker: see ``Porter.called``.

    Attributes:
        number: the connection's.
    """

    number: int


@dataclass(frozen=True, slots=True)
class ConnectionSettled:
    """Worker: see ``Porter.settled`` and ``Porter.unsettled``.

    Attributes:
        number: the connection's.
        settled: whether a session of it is up.
    """

    number: int
    settled: bool


@dataclass(frozen=True, slots=True)
class ConnectionClosed:
    """Worker: a connection it was given has ended, or could not be served.

    Attributes:
        number: the connection's.
    """

    number: int


Message: TypeAlias = (
    Begin
    | Serve
    | End
    | Disconnect
    | Drain
    | FiguresQuestion
    | Drained
    | FiguresAnswer
    | EndConnection
    | AccountAnswer
    | LeaseAnswer
    | Ready
    | AccountQuestion
    | LeaseQuestion
    | GiveBack
    | SessionUp
    | SessionDown
    | ConnectionCalled
    | ConnectionSettled
    | ConnectionClosed
)

_KINDS: dict[str, type] = {kind.__name__: kind for kind in get_args(Message)}


def encode(message: Message) -> bytes:
    """Write a message.

    Raises:
        BadMessage: it is too long.
    """
    data = json.dumps([type(message).__name__, *_write(message)], separators=(",", ":")).encode("ascii")
    if len(data) > LARGEST_MESSAGE:
        raise BadMessage(f"a message between parent and worker has {len(data)} octets, more than {LARGEST_MESSAGE}")
    return data


def decode(data: bytes) -> Message:
    """Read a message.

    Raises:
        BadMessage: it is none.
    """
    try:
        name, *values = json.loads(data)
        message: Message = _read(_KINDS[name], values)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadMessage("what came is no message between parent and worker") from error
    return message


@cache
def _hints(kind: type) -> tuple[tuple[str, Any], ...]:
    hints = get_type_hints(kind)
    return tuple((field.name, hints[field.name]) for field in fields(kind))


def _write(value: Any) -> Any:
    if is_dataclass(value):
        return [_write(getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, tuple):
        return [_write(item) for item in value]
    if isinstance(value, IPv4Address | IPv4Network):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    return value


def _read(hint: Any, value: Any) -> Any:
    if is_dataclass(hint) and isinstance(hint, type):
        return hint(**{name: _read(inner, item) for (name, inner), item in zip(_hints(hint), value, strict=True)})
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return None if value is None else _read(arguments[0], value)
    if origin is tuple and arguments[-1] is Ellipsis:
        return tuple(_read(arguments[0], item) for item in value)
    if origin is tuple:
        return tuple(_read(inner, item) for inner, item in zip(arguments, value, strict=True))
    if hint in (IPv4Address, IPv4Network):
        if not isinstance(value, str):
            raise TypeError(hint)
        return hint(value)
    if hint is bytes:
        return bytes.fromhex(value)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise TypeError(hint)
    return value
