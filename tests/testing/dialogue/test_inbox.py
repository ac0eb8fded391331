import asyncio

from pypptp.testing.dialogue.inbox import Inbox
from pypptp.testing.dialogue.virtual_time import run


def test_takes_what_is_wanted_and_leaves_the_rest() -> None:
    async def scenario() -> None:
        inbox: Inbox[int] = Inbox()
        for number in (1, 2, 3, 4):
            inbox.put(number)
        assert await inbox.take(lambda number: number % 2 == 0, 1.0) == 2
        assert inbox.take_now(lambda number: number > 9) is None
        assert inbox.clear() == [1, 3, 4]

    run(scenario())


def test_waits_and_gives_up() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        inbox: Inbox[int] = Inbox()
        loop.call_later(1.0, inbox.put, 1)
        loop.call_later(2.0, inbox.put, 2)
        assert await inbox.take(lambda number: number == 2, 5.0) == 2
        assert loop.time() == 2.0
        assert await inbox.take(lambda number: number == 2, 5.0) is None
        assert loop.time() == 7.0

    run(scenario())


def test_nobody_waits_for_what_has_ended() -> None:
    async def scenario() -> None:
        inbox: Inbox[int] = Inbox()
        asyncio.get_running_loop().call_later(1.0, inbox.close)
        assert await inbox.take(lambda number: True, 5.0) is None
        assert asyncio.get_running_loop().time() == 1.0

    run(scenario())
