"""Both implementations, over UDP on loopback."""

import errno
import socket
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Any

import pytest

from pypptp.aio import batch_io
from pypptp.aio.batch_io import BATCH, BatchIo, MmsgIo, SocketIo
from pypptp.errors import LocalProtocolError

SLOT = 256
OURS = "127.0.0.2"


@pytest.fixture(params=["mmsg", "socket"])
def kind(request: pytest.FixtureRequest) -> type[MmsgIo] | type[SocketIo]:
    try:
        return batch_io.load(request.param)
    except LocalProtocolError as error:
        pytest.skip(str(error))


@pytest.fixture
def far() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(5)
        yield sock


@pytest.fixture
def ours() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((OURS, 0))
        sock.setblocking(False)
        yield sock


@pytest.fixture
def io(kind: type[MmsgIo] | type[SocketIo], ours: socket.socket) -> BatchIo:
    return kind(ours, SLOT)


def received(io: BatchIo) -> list[bytes]:
    count = io.receive()
    return [bytes(io.received[i * SLOT : i * SLOT + min(SLOT, io.lengths[i])]) for i in range(count)]


def put(io: BatchIo, datagrams: list[bytes], *, offset: int = 24) -> None:
    for index, datagram in enumerate(datagrams):
        start = index * SLOT + offset
        io.sending[start : start + len(datagram)] = datagram
        io.spans[2 * index] = io.base + start
        io.spans[2 * index + 1] = len(datagram)


def test_a_batch_arrives_whole_and_in_order(io: BatchIo, ours: socket.socket, far: socket.socket) -> None:
    datagrams = [bytes([index]) * (index + 1) for index in range(BATCH)]
    for datagram in datagrams:
        far.sendto(datagram, ours.getsockname())
    assert received(io) == datagrams
    assert received(io) == []
    assert io.errors == {}


def test_more_than_a_batch_waits_for_the_next(io: BatchIo, ours: socket.socket, far: socket.socket) -> None:
    for index in range(BATCH + 3):
        far.sendto(bytes([index]), ours.getsockname())
    assert len(received(io)) == BATCH
    assert received(io) == [bytes([BATCH]), bytes([BATCH + 1]), bytes([BATCH + 2])]


def test_a_datagram_longer_than_a_slot_tells_its_length_and_leaves_its_neighbour_alone(
    io: BatchIo, ours: socket.socket, far: socket.socket
) -> None:
    far.sendto(b"l" * (SLOT + 10), ours.getsockname())
    far.sendto(b"next", ours.getsockname())
    assert received(io) == [b"l" * SLOT, b"next"]
    assert io.lengths[0] == SLOT + 10


def test_a_batch_is_sent_whole_and_in_order(io: BatchIo, far: socket.socket) -> None:
    datagrams = [bytes([index]) * (2 * index + 1) for index in range(BATCH)]
    put(io, datagrams)
    assert io.send(io.route(far.getsockname(), None), BATCH) == BATCH
    assert [far.recv(SLOT) for _ in range(BATCH)] == datagrams


def test_only_so_many_are_sent_as_were_asked_for(io: BatchIo, far: socket.socket) -> None:
    put(io, [b"one", b"two", b"three"])
    route = io.route(far.getsockname(), None)
    assert io.send(route, 2) == 2
    assert io.send_one(route, b"last")
    assert [far.recv(SLOT) for _ in range(3)] == [b"one", b"two", b"last"]


def test_two_routes_share_the_slots_and_not_the_destination(io: BatchIo, far: socket.socket) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        other.settimeout(5)
        to_far, to_other = io.route(far.getsockname(), None), io.route(other.getsockname(), None)
        for route, name in ((to_far, b"far"), (to_other, b"other"), (to_far, b"again")):
            put(io, [name])
            assert io.send(route, 1) == 1
        assert [far.recv(SLOT), far.recv(SLOT), other.recv(SLOT)] == [b"far", b"again", b"other"]


def test_a_route_chooses_the_source_address(kind: type[MmsgIo] | type[SocketIo], far: socket.socket) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as anywhere:
        anywhere.bind(("0.0.0.0", 0))
        io = kind(anywhere, SLOT)
        for source in (None, "127.0.0.7"):
            put(io, [b"batch"])
            route = io.route(far.getsockname(), None if source is None else IPv4Address(source))
            assert io.send(route, 1) == 1
            assert io.send_one(route, b"one")
            assert {far.recvfrom(SLOT)[1][0], far.recvfrom(SLOT)[1][0]} == {source or "127.0.0.1"}


def test_what_one_datagram_does_wrong_costs_that_one_alone(
    kind: type[MmsgIo] | type[SocketIo], ours: socket.socket, far: socket.socket
) -> None:
    io = kind(ours, 2048)
    io.sending[0:5] = b"hello"
    # Datagrams 1, 2 and 5 are longer than any UDP datagram may be.
    for index in range(6):
        io.spans[2 * index] = io.base
        io.spans[2 * index + 1] = 66_000 if index in (1, 2, 5) else 5
    assert io.send(io.route(far.getsockname(), None), 6) == 3
    assert [far.recv(SLOT) for _ in range(3)] == [b"hello"] * 3
    assert io.errors == {"EMSGSIZE": 3}
    assert not io.send_one(io.route(far.getsockname(), None), bytes(66_000))
    assert io.errors == {"EMSGSIZE": 4}


def test_where_there_is_no_room_the_rest_is_dropped_at_once(io: BatchIo, far: socket.socket) -> None:
    calls = []

    def no_room_after_two(*arguments: Any) -> int:
        """What the kernel says to the third datagram, in the shape of either call."""
        calls.append(arguments)
        if isinstance(io, MmsgIo):
            if len(calls) == 1:
                return 2
            io._ffi.errno = errno.ENOBUFS
            return -1
        if len(calls) > 2:
            raise OSError(errno.ENOBUFS, "no room")
        return 1

    if isinstance(io, MmsgIo):
        io._send = no_room_after_two
    else:
        io._socket = type("Full", (), {"sendmsg": staticmethod(no_room_after_two)})()  # type: ignore[attr-defined]
    assert io.send(io.route(far.getsockname(), None), 10) == 2
    assert io.errors == {"ENOBUFS": 8}
    assert len(calls) == 2 if isinstance(io, MmsgIo) else 3


def test_an_error_that_waits_in_the_socket_is_counted_and_not_raised(
    io: BatchIo, ours: socket.socket, far: socket.socket
) -> None:
    ours.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        nobody = gone.getsockname()
    put(io, [b"anybody?"])
    io.send(io.route(nobody, None), 1)
    deadline = time.monotonic() + 5
    while not io.errors and time.monotonic() < deadline:
        assert io.receive() == 0
    assert io.errors == {"ECONNREFUSED": 1}
    far.sendto(b"still here", ours.getsockname())
    assert received(io) == [b"still here"]


def test_the_fastest_that_works_is_the_default() -> None:
    batch_io.default.cache_clear()
    assert batch_io.default() is MmsgIo


def test_without_the_calls_the_socket_module_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise AttributeError("sendmmsg")

    monkeypatch.setattr(batch_io, "_mmsg", refuse)
    batch_io.default.cache_clear()
    try:
        assert batch_io.default() is SocketIo
        with pytest.raises(LocalProtocolError, match="sendmmsg"):
            batch_io.load("mmsg")
    finally:
        batch_io.default.cache_clear()


def test_one_that_loses_datagrams_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MmsgIo, "send", lambda self, route, count: count)
    with pytest.raises(LocalProtocolError, match="do not arrive"):
        batch_io.load("mmsg")


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="carrier-pigeon"):
        batch_io.load("carrier-pigeon")
