from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from pypptp.net.remote.channel import LARGEST_MESSAGE, BadMessage, Channel, ChannelClosed, channel_pair


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    first, second = map(Channel, channel_pair())
    yield first, second
    first.close()
    second.close()


def test_messages_in_order(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    ours.send({"call": "undo", "with": {}})
    ours.send({"call": "ü"})
    assert theirs.receive() == ({"call": "undo", "with": {}}, None)
    assert theirs.receive() == ({"call": "ü"}, None)


def test_a_descriptor_comes_with_its_own_message(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    reader, writer = os.pipe()
    ours.send({"n": 1})
    ours.send({"n": 2}, writer)
    ours.send({"n": 3})
    os.close(writer)
    assert theirs.receive() == ({"n": 1}, None)
    message, descriptor = theirs.receive()
    assert message == {"n": 2}
    assert descriptor is not None
    assert not os.get_inheritable(descriptor)
    os.write(descriptor, b"here")
    os.close(descriptor)
    assert os.read(reader, 10) == b"here"
    os.close(reader)
    assert theirs.receive() == ({"n": 3}, None)


def test_more_than_a_socket_holds(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    text = "x" * (3 << 20)
    sending = threading.Thread(target=ours.send, args=({"text": text},))
    sending.start()
    assert theirs.receive()[0] == {"text": text}
    sending.join()


def test_the_other_end_goes(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    theirs.close()
    with pytest.raises(ChannelClosed):
        ours.receive()
    with pytest.raises(ChannelClosed):
        ours.send({"text": "x" * (1 << 20)})


def test_close_wakes_who_waits(ends: tuple[Channel, Channel]) -> None:
    ours, _ = ends
    waking = threading.Timer(0.05, ours.close)
    waking.start()
    with pytest.raises(ChannelClosed):
        ours.receive()
    waking.join()


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("!I", LARGEST_MESSAGE + 1),
        struct.pack("!I", 3) + b"[1]",
        struct.pack("!I", 3) + b"{\xff}",
        struct.pack("!I", 2) + b"no",
        struct.pack("!I", 100_000) + b"[" * 100_000,
    ],
)
def test_no_message(data: bytes) -> None:
    raw, end = channel_pair()
    channel = Channel(end)
    with raw:
        raw.sendall(data)
        with pytest.raises(BadMessage):
            channel.receive()
    channel.close()


def test_half_a_message_and_a_descriptor_leave_nothing_open() -> None:
    raw, end = channel_pair()
    channel = Channel(end)
    reader, writer = os.pipe()
    with raw:
        socket.send_fds(raw, [struct.pack("!I", 100) + b"half"], [writer])
        os.close(writer)
        raw.shutdown(socket.SHUT_RDWR)
        with pytest.raises(ChannelClosed):
            channel.receive()
    channel.close()
    # The last writer is gone: what came with the half message was closed.
    assert os.read(reader, 1) == b""
    os.close(reader)
