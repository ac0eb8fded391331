"""Looking names up through the tunnel: a stub resolver (RFC 1035) that asks whom it is told, by sockets it is given.

The C library's resolver asks the machine's name servers past the tunnel, which is what a proxy must not do.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address
from typing import Final

PATIENCE = 2.0
"""Seconds for one name server to answer."""
TRIES: Final = 2
MOST_KEPT: Final = 1024
LONGEST_KEPT: Final = 300.0
"""Seconds, whatever an answer's time to live says."""

_PORT: Final = 53
_A, _IN = 1, 1
_TRUNCATED: Final = 0x0200
_RESPONSE: Final = 0x8000
_NAME_ERROR: Final = 3
_HEADER: Final = struct.Struct("!6H")
_RECORD: Final = struct.Struct("!HHIH")
_LARGEST_ANSWER: Final = 4096
_MOST_RECORDS: Final = 256

OpenSocket = Callable[[int], Awaitable[socket.socket]]
"""Opens a socket of a type, SOCK_STREAM or SOCK_DGRAM, that leads into the tunnel; non-blocking."""


class NameNotFound(Exception):
    """A name has no IPv4 address, or nobody answers."""


class Resolver:
    """Looks names up.

    Args:
        name_servers: returns whom to ask, each time anew.
        open_socket: opens the sockets to ask by.
    """

    def __init__(self, name_servers: Callable[[], Sequence[IPv4Address]], open_socket: OpenSocket) -> None:
        self._name_servers = name_servers
        self._open_socket = open_socket
        self._kept: OrderedDict[str, tuple[float, IPv4Address]] = OrderedDict()

    async def look_up(self, name: str) -> IPv4Address:
        """Return an address of ``name``.

        Raises:
            NameNotFound: there is none, or nobody answers.
            OSError: there is no way to the name servers.
        """
        name = name.rstrip(".").lower()
        loop = asyncio.get_running_loop()
        kept = self._kept.get(name)
        if kept is not None and kept[0] > loop.time():
            return kept[1]
        try:
            question = build_question(name)
        except ValueError as error:
            raise NameNotFound(str(error)) from None
        address, seconds = await self._ask_around(name, question)
        self._kept[name] = loop.time() + min(seconds, LONGEST_KEPT), address
        self._kept.move_to_end(name)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return address

    async def _ask_around(self, name: str, question: bytes) -> tuple[IPv4Address, float]:
        servers = self._name_servers()
        if not servers:
            raise NameNotFound("the server named no name servers")
        failure: OSError | None = None
        for server in list(servers) * TRIES:
            identifier = os.urandom(2)
            try:
                async with asyncio.timeout(PATIENCE):
                    answer = await self._ask(server, identifier + question)
            except TimeoutError:
                continue
            except OSError as error:
                failure = error
                continue
            found = parse_answer(answer, identifier + question)
            if isinstance(found, str):
                raise NameNotFound(f"{name}: {found}")
            if found is not None:
                return found
        if failure is not None:
            raise failure
        raise NameNotFound(f"{name}: no name server answers")

    async def _ask(self, server: IPv4Address, message: bytes) -> bytes:
        """Ask one name server by UDP, and by TCP where the answer does not fit."""
        loop = asyncio.get_running_loop()
        with await self._open_socket(socket.SOCK_DGRAM) as asking:
            # Connected: only this server's answers are let in.
            await loop.sock_connect(asking, (str(server), _PORT))
            await loop.sock_sendall(asking, message)
            while True:
                answer = await loop.sock_recv(asking, _LARGEST_ANSWER)
                if answers(answer, message):
                    break
        if not int.from_bytes(answer[2:4], "big") & _TRUNCATED:
            return answer
        with await self._open_socket(socket.SOCK_STREAM) as asking:
            await loop.sock_connect(asking, (str(server), _PORT))
            await loop.sock_sendall(asking, len(message).to_bytes(2, "big") + message)
            length = int.from_bytes(await _exactly(asking, 2), "big")
            return await _exactly(asking, length)


async def _exactly(asking: socket.socket, length: int) -> bytes:
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < length:
        piece = await loop.sock_recv(asking, length - len(data))
        if not piece:
            raise ConnectionResetError("the name server closed the connection")
        data += piece
    return data


def build_question(name: str) -> bytes:
    """Build a question for a name's IPv4 addresses, all but the identifier in front (section 4.1).

    Raises:
        ValueError: it is no name.
    """
    labels = [label.encode("ascii", "replace") for label in name.split(".")]
    if not name or any(not 1 <= len(label) <= 63 for label in labels) or len(name) > 253:
        raise ValueError("it is not a host name")
    encoded = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return _HEADER.pack(0, 0x0100, 1, 0, 0, 0)[2:] + encoded + struct.pack("!HH", _A, _IN)


def answers(answer: bytes, question: bytes) -> bool:
    """Say whether a message is the answer to just this question, identifier, name and all."""
    if len(answer) < len(question) or answer[:2] != question[:2] or not answer[2] & 0x80:
        return False
    return answer[4:6] == b"\0\1" and answer[12 : len(question)].lower() == question[12:].lower()


def parse_answer(answer: bytes, question: bytes) -> tuple[IPv4Address, float] | str | None:
    """Read an answer: an address and for how many seconds it holds, or why there is none.

    None means that this name server is of no use: another may be. Aliases need not be followed: the server has done
    it, and what it found stands in the same answer.
    """
    if not answers(answer, question):
        return None
    _, flags, _, count, _, _ = _HEADER.unpack_from(answer)
    code = flags & 0x000F
    if code == _NAME_ERROR:
        return "there is no such name"
    if code:
        return None
    position: int | None = len(question)
    lowest = LONGEST_KEPT
    for _ in range(min(count, _MOST_RECORDS)):
        position = None if position is None else _behind_name(answer, position)
        if position is None or position + _RECORD.size > len(answer):
            return None
        kind, family, seconds, length = _RECORD.unpack_from(answer, position)
        position += _RECORD.size
        lowest = min(lowest, float(seconds))
        if (kind, family, length) == (_A, _IN, 4) and position + 4 <= len(answer):
            return IPv4Address(answer[position : position + 4]), lowest
        position += length
    return "it has no IPv4 address"


def _behind_name(message: bytes, position: int) -> int | None:
    """Return where a name ends that begins at ``position``; it may end in a pointer (section 4.1.4)."""
    while position < len(message):
        length = message[position]
        if length == 0:
            return position + 1
        if length & 0xC0:
            return position + 2
        position += 1 + length
    return None


__all__ = ["NameNotFound", "Resolver", "answers", "build_question", "parse_answer"]
