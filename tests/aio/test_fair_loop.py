from __future__ import annotations

import asyncio
import selectors
import socket
from collections import Counter
from collections.abc import Iterator

import pytest

from pypptp.aio.dataplane import DataPlane
from pypptp.aio.fair_loop import EVENTS_PER_ROUND, FairLoop, FairSelector

MANY = 5 * EVENTS_PER_ROUND + 1


@pytest.fixture
def ready() -> Iterator[list[socket.socket]]:
    """Sockets with something to read."""
    pairs = [socket.socketpair() for _ in range(MANY)]
    for _, far in pairs:
        far.send(b"x")
    yield [near for near, _ in pairs]
    for pair in pairs:
        for end in pair:
            end.close()


def test_a_few_at_a_time_and_everyone_in_turn(ready: list[socket.socket]) -> None:
    with FairSelector() as selector:
        for near in ready:
            selector.register(near, selectors.EVENT_READ)
        served: Counter[int] = Counter()
        # They stay ready: nobody reads.
        for _ in range(MANY):
            events = selector.select(0)
            assert len(events) == EVENTS_PER_ROUND
            served.update(key.fd for key, _ in events)
        assert set(served.values()) == {EVENTS_PER_ROUND}


def test_what_is_read_makes_room_for_the_others(ready: list[socket.socket]) -> None:
    with FairSelector() as selector:
        for near in ready:
            selector.register(near, selectors.EVENT_READ)
        rounds = 0
        while events := selector.select(0):
            rounds += 1
            for key, _ in events:
                ready[[near.fileno() for near in ready].index(key.fd)].recv(1)
        assert rounds == -(-MANY // EVENTS_PER_ROUND)


def test_some_are_always_served(ready: list[socket.socket]) -> None:
    with FairSelector() as selector:
        for near in ready:
            selector.register(near, selectors.EVENT_READ)
        always = ready[7].fileno()
        selector.always.add(always)
        for _ in range(10):
            descriptors = [key.fd for key, _ in selector.select(0)]
            assert descriptors[0] == always
            assert len(set(descriptors)) == 1 + EVENTS_PER_ROUND


def test_the_loop_has_short_rounds(ready: list[socket.socket]) -> None:
    rounds: list[int] = [0]
    loop = FairLoop()

    def read(near: socket.socket) -> None:
        near.recv(1)
        rounds[-1] += 1
        if sum(rounds) == MANY:
            loop.stop()

    def other() -> None:
        rounds.append(0)
        loop.call_soon(other)

    for near in ready:
        loop.add_reader(near, read, near)
    other()
    loop.run_forever()
    loop.close()
    assert max(rounds) == EVENTS_PER_ROUND


def test_the_data_plane_is_always_served_while_it_lives() -> None:
    loop = FairLoop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gre:
        gre.bind(("127.0.0.1", 0))
        plane = DataPlane(loop, gre)
        assert len(loop._fair_selector.always) == 1
        plane.close()
        assert loop._fair_selector.always == set()
    loop.close()


def test_the_loop_does_what_loops_do() -> None:
    async def scenario() -> bytes:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readexactly(5))
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
            writer.write(b"hello")
            data = await reader.read()
            writer.close()
            await writer.wait_closed()
            return data

    with asyncio.Runner(loop_factory=FairLoop) as runner:
        assert runner.run(scenario()) == b"hello"
