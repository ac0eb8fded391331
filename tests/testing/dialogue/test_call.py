from __future__ import annotations

import asyncio

import pytest

from pypptp.control.messages import CallClearRequest
from pypptp.gre import parse_header
from pypptp.ppp.packet import Code, ControlPacket
from pypptp.ppp.protocols import Protocol
from pypptp.roles import Role
from pypptp.testing.dialogue.case import Case
from pypptp.testing.dialogue.memory import MemoryNetwork, Peers, target_of
from pypptp.testing.dialogue.verdicts import Failed
from pypptp.testing.dialogue.virtual_time import run


def case_with(peers: Peers) -> Case:
    return Case(target_of(peers), MemoryNetwork(peers))


def test_numbers_and_acknowledgements() -> None:
    async def scenario() -> None:
        peers = Peers(Role.SERVER)
        heard = []

        def listen(datagram: bytes) -> list[bytes]:
            heard.append(parse_header(datagram))
            return [datagram]

        peers.wire.gre_in = listen
        call = await case_with(peers).lcp_open()
        assert await call.lcp_echo()
        await asyncio.sleep(1.0)
        numbers = [header.sequence for header in heard if header and header.sequence is not None]
        assert numbers == list(range(call.sequence))
        acknowledged = [header.acknowledgement for header in heard if header and header.acknowledgement is not None]
        assert acknowledged == sorted(acknowledged)
        assert acknowledged[-1] == call.highest
        assert call.acknowledged == call.sequence - 1

    run(scenario())


def test_a_number_of_ones_own_choice_leaves_the_order_alone() -> None:
    async def scenario() -> None:
        call = await case_with(Peers(Role.SERVER)).lcp_open()
        before = call.sequence
        call.send(Protocol.LCP, call.lcp_echo_request(200), sequence=before)
        assert call.sequence == before
        assert await call.try_expect(Protocol.LCP, Code.ECHO_REPLY, 1.0, identifier=200) is not None

    run(scenario())


def test_echo_requests_of_the_target() -> None:
    async def scenario(*, answers: bool) -> str:
        call = await case_with(Peers(Role.SERVER)).network_up()
        call.answers_echoes = answers
        return await call.ended(200.0)

    assert run(scenario(answers=True)) == ""
    assert run(scenario(answers=False)) == "Call-Disconnect-Notify"


def test_pings_are_told_apart() -> None:
    async def scenario() -> None:
        call = await case_with(Peers(Role.SERVER)).network_up()
        for number in (700, 701):
            call.send_ip(call.echo_packet(number, b"data"))
        second = await call.pong(701)
        first = await call.pong(700)
        assert first is not None
        assert second is not None
        assert (first.number, second.number, first.data) == (700, 701, b"data")
        assert await call.pong(701, 0.1) is None

    run(scenario())


def test_lost_packets_move_key_and_number() -> None:
    async def scenario() -> None:
        call = await case_with(Peers(Role.SERVER)).network_up()
        before = call.sequence
        call.lose(3)
        assert call.sequence == before + 3
        assert await call.ping() is not None

    run(scenario())


def test_what_came_instead_is_said() -> None:
    async def scenario() -> None:
        call = await case_with(Peers(Role.SERVER)).lcp_open()
        call.send(Protocol.LCP, ControlPacket(200, 1))
        with pytest.raises(Failed, match=r"the thing did not come; instead came .*protocol 0xc021 code 7"):
            await call.expect(Protocol.LCP, 99, 0.5, what="the thing")

    run(scenario())


def test_the_end() -> None:
    async def scenario() -> None:
        call = await case_with(Peers(Role.SERVER)).lcp_open()
        assert await call.ended(0.5) == ""
        await call.control.send(CallClearRequest(call_id=call.call_id))
        assert await call.ended() == "Call-Disconnect-Notify"
        assert not await call.lcp_echo(0.5)

    run(scenario())
