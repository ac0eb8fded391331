from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.aio.socks import names
from pypptp.aio.socks.names import NameNotFound, Resolver, answers, build_question, parse_answer

LOOPBACK, OTHER, THERE = IPv4Address("127.0.0.53"), IPv4Address("127.0.0.54"), IPv4Address("192.0.2.7")
QUESTION = b"\x12\x34" + build_question("host.example")
ADDRESS = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + THERE.packed
ALIAS = b"\xc0\x0c\0\5\0\1\0\0\0\x05\0\6\4real\xc0"  # its data is never looked into


def answer(*records: bytes, code: int = 0, question: bytes = QUESTION, flags: int = 0x8180) -> bytes:
    header = question[:2] + (flags | code).to_bytes(2, "big") + b"\0\1" + len(records).to_bytes(2, "big") + bytes(4)
    return header + question[12:] + b"".join(records)


def test_a_question() -> None:
    assert build_question("host.example") == b"\x01\0\0\1" + bytes(6) + b"\4host\7example\0\0\1\0\1"
    for name in ("", "a..b", "x" * 64, ".".join(["abcdefgh"] * 40)):
        with pytest.raises(ValueError, match="not a host name"):
            build_question(name)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (answer(ADDRESS), (THERE, 60.0)),
        (answer(ALIAS, ADDRESS), (THERE, 5.0)),
        (answer(ALIAS), "it has no IPv4 address"),
        (answer(code=3), "there is no such name"),
        (answer(code=2), None),  # this server failed
        (answer(ADDRESS[:-2]), "it has no IPv4 address"),
        (answer(b"\4name"), None),
    ],
)
def test_answers(message: bytes, expected: object) -> None:
    assert parse_answer(message, QUESTION) == expected


def test_answers_to_something_else() -> None:
    assert answers(answer(ADDRESS), QUESTION)
    assert not answers(answer(ADDRESS, question=b"\x12\x35" + QUESTION[2:]), QUESTION)
    assert not answers(answer(ADDRESS, question=QUESTION.replace(b"host", b"hose")), QUESTION)
    assert not answers(answer(ADDRESS, flags=0x0100), QUESTION)  # a question


@given(st.binary(max_size=100), st.integers(0, 60))
def test_whatever_comes_raises_nothing(garbage: bytes, kept: int) -> None:
    parse_answer(answer(ADDRESS)[:kept] + garbage, QUESTION)


Serve = Callable[[bytes], bytes | None]


@contextmanager
def name_server(monkeypatch: pytest.MonkeyPatch, serve: Serve, *, by_tcp: Serve | None = None) -> Iterator[list[bytes]]:
    """Listen on loopback in place of port 53."""
    asked: list[bytes] = []
    with socket.create_server((str(LOOPBACK), 0)) as listening:
        port = listening.getsockname()[1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            datagrams.bind((str(LOOPBACK), port))
            datagrams.settimeout(0.05)
            listening.settimeout(0.05)
            over = threading.Event()

            def work() -> None:
                while not over.is_set():
                    try:
                        data, sender = datagrams.recvfrom(512)
                        asked.append(data)
                        if (said := serve(data)) is not None:
                            datagrams.sendto(said, sender)
                    except TimeoutError:
                        pass
                    if by_tcp is None:
                        continue
                    try:
                        guest, _ = listening.accept()
                    except TimeoutError:
                        continue
                    with guest:
                        said = by_tcp(guest.recv(512)[2:])
                        assert said is not None
                        guest.sendall(len(said).to_bytes(2, "big") + said)

            monkeypatch.setattr(names, "_PORT", port)
            monkeypatch.setattr(names, "PATIENCE", 0.3)
            thread = threading.Thread(target=work)
            thread.start()
            try:
                yield asked
            finally:
                over.set()
                thread.join()


async def open_socket(kind: int) -> socket.socket:
    return socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)


def resolve(*wanted: str, servers: tuple[IPv4Address, ...] = (LOOPBACK,)) -> list[IPv4Address]:
    async def look_up() -> list[IPv4Address]:
        resolver = Resolver(lambda: servers, open_socket)
        return [await resolver.look_up(name) for name in wanted]

    return asyncio.run(look_up())


def test_a_name_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with name_server(monkeypatch, lambda data: answer(ADDRESS, question=data)) as asked:
        assert resolve("host.example", "HOST.example.") == [THERE, THERE]
    assert len(asked) == 1


def test_a_lost_answer_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    said = iter([None, ADDRESS])

    def serve(data: bytes) -> bytes | None:
        record = next(said)
        return None if record is None else answer(record, question=data)

    with name_server(monkeypatch, serve) as asked:
        assert resolve("host.example") == [THERE]
    assert len({question[:2] for question in asked}) == 2


def test_the_next_server_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with name_server(monkeypatch, lambda data: answer(ADDRESS, question=data)):
        assert resolve("host.example", servers=(OTHER, LOOPBACK)) == [THERE]


def test_what_does_not_fit_is_asked_for_by_tcp(monkeypatch: pytest.MonkeyPatch) -> None:
    with name_server(
        monkeypatch,
        lambda data: answer(question=data, flags=0x8380),
        by_tcp=lambda data: answer(ADDRESS, question=data),
    ):
        assert resolve("host.example") == [THERE]


def test_no_such_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        name_server(monkeypatch, lambda data: answer(code=3, question=data)),
        pytest.raises(NameNotFound, match=r"host\.example: there is no such name"),
    ):
        resolve("host.example")


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    with name_server(monkeypatch, lambda data: None), pytest.raises(NameNotFound, match="no name server answers"):
        resolve("host.example")
    with pytest.raises(NameNotFound, match="named no name servers"):
        resolve("host.example", servers=())
    with pytest.raises(NameNotFound, match="not a host name"):
        resolve("a..b")
