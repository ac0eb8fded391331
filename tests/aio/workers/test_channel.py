import asyncio
import contextlib
import socket
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from pypptp.aio.workers.channel import Channel, channel_pair, receive_message
from pypptp.aio.workers.messages import BadMessage, ConnectionClosed, End, GiveBack, Message, Ready, Serve, encode
from tests.aio.dialling import until


class Log:
    """What came out of a channel."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.connections: list[socket.socket] = []
        self.lost = 0

    def receive(self, message: Message, connection: socket.socket | None) -> None:
        self.messages.append(message)
        if connection is not None:
            self.connections.append(connection)

    def lose(self) -> None:
        self.lost += 1

    def channel(self, end: socket.socket) -> Channel:
        return Channel(end, receive=self.receive, lost=self.lose)


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_messages_and_a_connection_pass_in_order() -> None:
    async def scenario() -> None:
        left, right = channel_pair()
        assert not left.get_inheritable()
        assert not right.get_inheritable()
        here, there = Log(), Log()
        sender, receiver = here.channel(left), there.channel(right)
        ours, theirs = socket.socketpair()
        sender.send(Ready())
        sender.send(Serve(7), theirs)
        sender.send(End("enough"))
        assert theirs.fileno() == -1, "our own descriptor is closed when it is handed over"
        await until(lambda: len(there.messages) == 3)
        assert there.messages == [Ready(), Serve(7), End("enough")]
        (connection,) = there.connections
        assert not connection.get_inheritable()
        with connection, ours:
            connection.send(b"hello")
            assert ours.recv(10) == b"hello"
        receiver.send(ConnectionClosed(7))
        await until(lambda: here.messages)
        sender.close()
        sender.close()
        await until(lambda: there.lost == 1)
        assert (here.lost, receiver.closed, sender.closed) == (0, True, True)

    asyncio.run(scenario())


def test_an_end_that_does_not_read() -> None:
    async def scenario() -> None:
        before = open_descriptors()
        left, right = channel_pair()
        sender = Log().channel(left)
        sent = 0
        while not sender.waiting:
            sender.send(GiveBack(IPv4Address(sent)))
            sent += 1
            assert sent < 100_000
        ours, theirs = socket.socketpair()
        sender.send(Serve(7), theirs)
        waiting = sender.waiting
        assert waiting >= 2
        there = Log()
        receiver = there.channel(right)
        await until(lambda: len(there.messages) == sent + 1)
        assert there.messages == [*(GiveBack(IPv4Address(number)) for number in range(sent)), Serve(7)]
        assert sender.waiting == 0
        there.connections[0].close()
        ours.close()
        sender.close()
        receiver.close()
        assert open_descriptors() == before

    asyncio.run(scenario())


def test_what_was_not_handed_over_is_closed() -> None:
    async def scenario() -> None:
        before = open_descriptors()
        left, right = channel_pair()
        sender = Log().channel(left)
        while not sender.waiting:
            sender.send(GiveBack(IPv4Address(1)))
        ours, theirs = socket.socketpair()
        sender.send(Serve(7), theirs)
        sender.close()
        # Whoever is at the other end of the connection notices.
        assert ours.recv(1) == b""
        ours.close()
        right.close()
        ours, theirs = socket.socketpair()
        sender.send(Serve(7), theirs)
        sender.send(Ready())
        assert ours.recv(1) == b""
        ours.close()
        assert open_descriptors() == before

    asyncio.run(scenario())


def test_the_other_end_goes_with_messages_on_the_way() -> None:
    async def scenario() -> None:
        before = open_descriptors()
        left, right = channel_pair()
        here = Log()
        sender = here.channel(left)
        ours, theirs = socket.socketpair()
        sender.send(Serve(7), theirs)
        right.send(encode(End("last words")))
        right.close()
        # What it said before it went still counts; it is lost once.
        await until(lambda: here.lost)
        assert here.messages in ([End("last words")], [])
        assert ours.recv(1) == b""
        ours.close()
        sender.send(Ready())
        assert here.lost == 1
        assert open_descriptors() == before

    asyncio.run(scenario())


@pytest.mark.parametrize("data", [b"garbage", b'["End"]', b"x" * 100_000])
def test_what_is_no_message_ends_the_channel(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        left, right = channel_pair()
        here = Log()
        here.channel(left)
        right.send(data)
        await until(lambda: here.lost == 1)
        assert here.messages == []
        right.close()

    asyncio.run(scenario())
    assert len(caplog.records) == 1


def test_a_message_that_is_too_long_is_not_sent() -> None:
    async def scenario() -> None:
        left, right = channel_pair()
        sender = Log().channel(left)
        ours, theirs = socket.socketpair()
        with contextlib.ExitStack() as stack:
            stack.enter_context(right)
            stack.enter_context(ours)
            with pytest.raises(BadMessage):
                sender.send(End("x" * 100_000), theirs)
            assert ours.recv(1) == b""
            sender.send(Ready())
            assert receive_message(right) == (Ready(), None)
            sender.close()
            assert receive_message(right) is None

    asyncio.run(scenario())
