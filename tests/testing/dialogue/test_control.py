import asyncio

import pytest

from pypptp.control.messages import EchoReply, EchoRequest, OutgoingCallReply
from pypptp.roles import Role
from pypptp.testing.dialogue.case import Case
from pypptp.testing.dialogue.control import call_request, start_request
from pypptp.testing.dialogue.memory import MemoryNetwork, Peers, target_of
from pypptp.testing.dialogue.verdicts import Failed, Unreached
from pypptp.testing.dialogue.virtual_time import run


def case_with(peers: Peers) -> Case:
    return Case(target_of(peers), MemoryNetwork(peers))


def test_messages_by_kind() -> None:
    async def scenario() -> None:
        case = case_with(Peers(Role.SERVER))
        control = await case.started()
        await control.send(EchoRequest(identifier=1), call_request(77), EchoRequest(identifier=2))
        reply = await control.receive(OutgoingCallReply)
        assert (reply.peer_call_id, reply.result_code) == (77, 1)
        echoes = [await control.receive(EchoReply) for _ in range(2)]
        assert [echo.identifier for echo in echoes] == [1, 2]
        assert await control.try_receive(EchoReply, 1.0) is None
        with pytest.raises(Failed, match="Echo-Reply did not come"):
            await control.receive(EchoReply)
        await case.close()

    run(scenario())


def test_the_end_is_told() -> None:
    async def scenario() -> None:
        case = case_with(Peers(Role.SERVER))
        control = await case.control()
        assert not await control.wait_closed(1.0)
        # The server's own start time-out.
        assert await control.wait_closed(10.0)
        assert asyncio.get_running_loop().time() == 5.0
        with pytest.raises(Failed, match="the target closed the connection"):
            await control.receive(EchoReply)

    run(scenario())


def test_echo_requests_of_the_target_are_answered_unless_it_is_to_think_us_dead() -> None:
    async def scenario(*, answers: bool) -> bool:
        case = case_with(Peers(Role.SERVER))
        control = await case.started()
        control.answers_echoes = answers
        closed = await control.wait_closed(300.0)
        await case.close()
        return closed

    assert not run(scenario(answers=True))
    assert run(scenario(answers=False))


def test_a_start_that_is_refused() -> None:
    async def scenario() -> None:
        peers = Peers(Role.SERVER)
        peers.connection_limit = 0
        with pytest.raises(Unreached, match="result 4"):
            await case_with(peers).started()

    run(scenario())


def test_out_of_step() -> None:
    async def scenario() -> None:
        peers = Peers(Role.SERVER)
        peers.wire.control_out = lambda octets: [b"\0\1" + octets[2:]]
        control = await case_with(peers).control()
        await control.send(start_request())
        assert await control.messages.take(lambda message: True, 1.0) is None
        assert control.out_of_step == "length field is 1"

    run(scenario())
