import asyncio

import pytest

from pypptp.roles import Role
from pypptp.testing.dialogue.case import Case
from pypptp.testing.dialogue.memory import MemoryNetwork, Peers, target_of
from pypptp.testing.dialogue.transcript import Direction, Layer
from pypptp.testing.dialogue.verdicts import Skipped
from pypptp.testing.dialogue.virtual_time import run


def test_everything_is_in_the_transcript_and_nothing_stays_open() -> None:
    async def scenario() -> None:
        peers = Peers(Role.SERVER)
        case = Case(target_of(peers), MemoryNetwork(peers))
        await case.network_up()
        await case.lcp_open()
        assert len(peers.connections) == 2
        await case.close()
        await asyncio.sleep(1.0)
        assert peers.connections == []
        kinds = {(entry.direction, entry.layer) for entry in case.transcript.entries}
        assert kinds >= {(way, layer) for way in (Direction.SENT, Direction.RECEIVED) for layer in list(Layer)[:2]}

    run(scenario())


def test_each_connection_has_an_address_of_its_own_and_each_call_an_id() -> None:
    async def scenario() -> None:
        peers = Peers(Role.SERVER)
        case = Case(target_of(peers), MemoryNetwork(peers))
        calls = [await case.call() for _ in range(5)]
        assert len({call.control.channel.near for call in calls}) == 5
        assert len({call.call_id for call in calls}) == 5

    run(scenario())


def test_without_a_second_address_there_is_no_foreign_gre() -> None:
    async def scenario() -> None:
        peers = Peers(Role.SERVER)
        network = MemoryNetwork(peers)
        network.sources = False
        case = Case(target_of(peers), network)
        call = await case.call()
        with pytest.raises(Skipped, match="second address"):
            case.foreign_gre(call)

    run(scenario())


def test_a_forgotten_call_is_not_closed_again() -> None:
    async def scenario() -> None:
        peers = Peers(Role.SERVER)
        case = Case(target_of(peers), MemoryNetwork(peers))
        call = await case.call()
        case.forget(call)
        case.forget(call)
        await case.close()
        assert len(peers.connections) == 1

    run(scenario())
