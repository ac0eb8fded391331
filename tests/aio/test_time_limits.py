"""Sessions end when their time is up, and their users prove again who they are."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from pypptp.aio.time_limits import LOOKS, NO_LIMITS, TIME_IS_UP, TimeKeeper, TimeLimits
from pypptp.session import SessionCounters
from tests.peers import ip_packet

from .dialling import PASSWORD, Dialler, secrets_authority, site, udp_for_gre, until


class Clock(asyncio.SelectorEventLoop):
    """A loop whose time moves as fast as nothing happens."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        coming = [timer.when() for timer in timers if not timer.cancelled()]
        if not self._ready and coming:  # type: ignore[attr-defined]
            self.now = max(self.now, min(coming))
        super()._run_once()  # type: ignore[misc]


def history(limits: TimeLimits, *, seconds: float, packets_at: tuple[float, ...] = ()) -> list[tuple[float, str]]:
    """What a keeper does to a session within some seconds, and when."""
    done: list[tuple[float, str]] = []
    loop = Clock()

    async def scenario() -> None:
        counters = SessionCounters()
        session: Any = SimpleNamespace(counters=counters)

        def note(what: str) -> None:
            done.append((loop.time(), what))

        def count(number: int) -> None:
            if number % 2:
                counters.packets_in += 1
            else:
                counters.packets_out += 1

        for number, when in enumerate(packets_at):
            loop.call_at(when, count, number)
        keeper = TimeKeeper(limits, session, end=note, challenge=lambda: note("challenge"))
        await asyncio.sleep(seconds)
        keeper.stop()
        keeper.stop()
        await asyncio.sleep(10 * seconds)

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(scenario())
    return done


def test_no_limits_do_nothing() -> None:
    assert history(NO_LIMITS, seconds=1e6) == []


def test_time_is_up_once() -> None:
    assert history(TimeLimits(maxconnect=60), seconds=200) == [(60, TIME_IS_UP)]
    assert history(TimeLimits(maxconnect=60), seconds=59) == []


def test_challenges_come_again_and_again() -> None:
    assert history(TimeLimits(chap_interval=30), seconds=100) == [
        (30, "challenge"),
        (60, "challenge"),
        (90, "challenge"),
    ]


@pytest.mark.parametrize("last", [0.0, 3.0, 41.0, 79.9])
def test_idle_counts_from_the_last_packet_in_either_direction(last: float) -> None:
    packets = tuple(when for when in (0.0, 3.0, 41.0, 79.9) if when <= last)
    ((when, reason),) = history(TimeLimits(idle=80), seconds=1000, packets_at=packets)
    assert last + 80 <= when <= last + 80 * (1 + 1 / LOOKS) + 1e-6
    assert reason.startswith("no packet for 8")


# With a server around it.


@pytest.fixture
def gre(monkeypatch: pytest.MonkeyPatch) -> int:
    return udp_for_gre(monkeypatch)


def test_a_server_ends_a_session_in_order(gre: int) -> None:
    async def scenario() -> None:
        async with site(gre, limits=TimeLimits(maxconnect=0.3)) as here:
            client = await here.connected()
            await until(lambda: client.end)
            assert client.end is not None
            assert TIME_IS_UP in client.end
            await until(lambda: here.idle)

    asyncio.run(scenario())


def test_a_silent_session_ends_and_a_talking_one_does_not(gre: int) -> None:
    async def scenario() -> None:
        async with site(gre, limits=TimeLimits(idle=0.5)) as here:
            silent, talking = await here.connected(), await here.connected()
            assert talking.up is not None

            async def talk(client: Dialler) -> None:
                assert client.up is not None
                while not client.end:
                    client.send(ip_packet(source=str(client.up.local), destination=str(client.up.peer)))
                    await asyncio.sleep(0.05)

            speaking = asyncio.create_task(talk(talking))
            await until(lambda: silent.end)
            await asyncio.sleep(0.7)
            assert talking.end is None
            speaking.cancel()
            await until(lambda: talking.end)

    asyncio.run(scenario())


def test_a_user_who_is_gone_meanwhile_does_not_stay(gre: int) -> None:
    async def scenario() -> None:
        authority = secrets_authority()
        async with site(gre, authority=authority, limits=TimeLimits(chap_interval=0.2)) as here:
            client = await here.connected()
            await asyncio.sleep(0.7)
            assert client.end is None
            assert PASSWORD
            authority.replace(secrets_authority("bob * builder *\n").secrets)
            await until(lambda: client.end)
            await until(lambda: here.idle)

    asyncio.run(scenario())
