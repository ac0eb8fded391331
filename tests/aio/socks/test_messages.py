from __future__ import annotations

import asyncio
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.aio.socks.messages import (
    Command,
    Destination,
    Reply,
    Request,
    SocksError,
    build_datagram,
    build_reply,
    parse_datagram,
    read_greeting,
    read_request,
)

THERE = IPv4Address("192.0.2.7")


def feed(data: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


def greeting(data: bytes) -> bool:
    async def read() -> bool:
        return await read_greeting(feed(data))

    return asyncio.run(read())


def request(data: bytes) -> Request:
    async def read() -> Request:
        return await read_request(feed(data))

    return asyncio.run(read())


def test_greetings() -> None:
    assert greeting(b"\x05\x02\x02\x00")
    assert not greeting(b"\x05\x01\x02")
    assert not greeting(b"\x05\x00")
    with pytest.raises(SocksError, match="version 4"):
        greeting(b"\x04\x01\x00\x50")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x05\x01\x00\x01\xc0\x00\x02\x07\x00\x50", Request(Command.CONNECT, Destination(THERE, 80))),
        (b"\x05\x01\x00\x03\x04host\x01\xbb", Request(Command.CONNECT, Destination("host", 443))),
        # Some clients send an address as a name.
        (b"\x05\x01\x00\x03\x09192.0.2.7\x00\x50", Request(Command.CONNECT, Destination(THERE, 80))),
        (
            b"\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00",
            Request(Command.UDP_ASSOCIATE, Destination(IPv4Address("0.0.0.0"), 0)),
        ),
    ],
)
def test_requests(data: bytes, expected: Request) -> None:
    assert request(data) == expected


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        (b"\x04\x01\x00\x01\xc0\x00\x02\x07\x00\x50", None),
        (b"\x05\x02\x00\x01\xc0\x00\x02\x07\x00\x50", Reply.COMMAND_NOT_SUPPORTED),
        (b"\x05\x01\x00\x04" + bytes(18), Reply.ADDRESS_TYPE_NOT_SUPPORTED),
        (b"\x05\x01\x00\x09\x00\x00", Reply.ADDRESS_TYPE_NOT_SUPPORTED),
        (b"\x05\x01\x00\x03\x01\xff\x00\x50", Reply.HOST_UNREACHABLE),
    ],
)
def test_refused_requests(data: bytes, reply: Reply | None) -> None:
    with pytest.raises(SocksError) as caught:
        request(data)
    assert caught.value.reply is reply


@given(st.binary(max_size=40))
def test_whatever_comes(data: bytes) -> None:
    for read in (greeting, request):
        try:
            read(data)
        except (SocksError, asyncio.IncompleteReadError):
            pass


def test_a_reply() -> None:
    assert build_reply(Reply.SUCCEEDED, THERE, 4096) == b"\x05\x00\x00\x01\xc0\x00\x02\x07\x10\x00"
    assert build_reply(Reply.HOST_UNREACHABLE) == b"\x05\x04\x00\x01" + bytes(6)


@given(st.ip_addresses(v=4), st.integers(0, 65_535), st.binary(max_size=100))
def test_datagrams_come_back_as_they_went(address: IPv4Address, port: int, content: bytes) -> None:
    assert parse_datagram(build_datagram(address, port, content)) == (Destination(address, port), content)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\0\0\0\x03\x04host\0\x35hello", (Destination("host", 53), b"hello")),
        (b"\0\0\1\x01\xc0\0\2\7\0\x35", None),  # a fragment
        (b"\0\0\0\x04" + bytes(18), None),
        (b"\0\0\0\x03\x04hos", None),
        (b"\0\0\0\x03\x01\xff\0\x35", None),
    ],
)
def test_datagrams(data: bytes, expected: tuple[Destination, bytes] | None) -> None:
    assert parse_datagram(data) == expected


@given(st.binary(max_size=40))
def test_whatever_datagram_comes(data: bytes) -> None:
    parse_datagram(data)
