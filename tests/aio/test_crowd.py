"""Who gives way when the GRE queue is crowded, and who never does."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.aio import batch_io
from pypptp.aio.batch_io import BATCH
from pypptp.aio.crowd import Crowd, carries_control
from pypptp.gre import build_header
from tests.aio.plane import Bench, bench, numbers, outer_header


@pytest.fixture
def queue() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 200_000)
    near.bind(("127.0.0.1", 0))
    far.connect(near.getsockname())
    yield near, far
    near.close()
    far.close()


class Queue(socket.socket):
    """A socket whose queue is as long as the test says, in eighths: that of UDP gives memory back late."""

    eighths = 0

    def getsockopt(self, *_: object) -> bytes:  # type: ignore[override]
        return struct.pack("=9I", self.eighths * 1000, 8000, *[0] * 7)


def test_a_queue_that_is_a_quarter_full_is_shared_until_it_is_nearly_empty() -> None:
    with Queue() as gre:
        crowd = Crowd(gre)
        shares: list[int] = []
        for gre.eighths in (0, 2, 5, 5, 3, 2, 1, 1, 1):
            assert crowd.look(full=True) is (bool(shares) or gre.eighths == 5)
            if shares or gre.eighths == 5:
                shares.append(crowd.share)
        assert shares == [16, 8, 4, 2, 1, 1, 1]
        gre.eighths = 0
        assert not crowd.look(full=True)
        gre.eighths = 2
        assert not crowd.look(full=True)


def test_the_kernel_says_how_long_its_queue_is(queue: tuple[socket.socket, socket.socket]) -> None:
    near, far = queue
    crowd = Crowd(near)
    assert not crowd.look(full=True)
    for _ in range(1000):
        far.send(bytes(1400))
    assert crowd.look(full=True)


def test_a_batch_that_was_not_full_ends_it(queue: tuple[socket.socket, socket.socket]) -> None:
    near, far = queue
    crowd = Crowd(near)
    while not crowd.look(full=True):
        far.send(bytes(1400))
    assert not crowd.look(full=False)


@pytest.mark.parametrize("acknowledgement", [None, 7])
@pytest.mark.parametrize("address_control", [b"", b"\xff\x03"])
@pytest.mark.parametrize(
    ("protocol", "control"),
    [("c021", True), ("c223", True), ("80fd", True), ("8021", True), ("00fd", False), ("fd", False), ("21", False)],
)
def test_what_is_control(protocol: str, control: bool, address_control: bytes, acknowledgement: int | None) -> None:
    payload = address_control + bytes.fromhex(protocol) + b"\x01\x01\x00\x04"
    packet = build_header(len(payload), 9, 5, acknowledgement) + payload
    buffer = bytearray(3) + packet
    assert carries_control(buffer, 3, len(buffer)) is control


@given(st.binary(max_size=40))
def test_any_octets_are_judged(octets: bytes) -> None:
    assert carries_control(bytearray(octets), 0, len(octets)) in (True, False)


@pytest.mark.parametrize("kind", ["mmsg", "socket"])
def test_a_flood_gives_way_to_everybody_else(kind: str) -> None:
    with bench(batch_io.load(kind)) as plane:
        flooded, quiet = plane.call(), plane.call()
        count = 0
        while not Crowd(plane.gre).look(full=True):
            _send(plane, flooded.to_plane(count & 0xFFFF, payload=b"x" * 1300))
            count += 1
            assert count < 20_000
        for _ in range(BATCH):
            _send(plane, flooded.to_plane(count & 0xFFFF, payload=b"x" * 1300))
        _send(plane, quiet.to_plane(4242))
        plane.turn(count // BATCH + 20)
        assert flooded.flow.surplus > count // 2
        assert quiet.flow.surplus == 0
        assert numbers(quiet.tun.take()) == [4242]


def _send(plane: Bench, datagram: bytes) -> None:
    plane.far.sendto(outer_header() + datagram, plane.gre.getsockname())
