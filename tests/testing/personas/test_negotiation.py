from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from pypptp.ppp.lcp import OptionType
from pypptp.ppp.packet import Code, ControlPacket, Option, build_options
from pypptp.ppp.protocols import Protocol
from pypptp.testing.dialogue.stages import Agreement, Answer, acknowledge
from pypptp.testing.dialogue.virtual_time import run
from pypptp.testing.personas.negotiation import REQUESTS, RESTART, ROUNDS, Negotiation, follow

MRU = Option(OptionType.MRU, b"\x05\x78")
MAGIC = Option(OptionType.MAGIC_NUMBER, b"\0\0\0\7")


class Tape:
    """A call that keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, ControlPacket]] = []

    def send(self, protocol: int, packet: ControlPacket) -> int:
        assert protocol == Protocol.LCP
        self.sent.append((asyncio.get_running_loop().time(), packet))
        return 0


def negotiate(
    work: Callable[[Negotiation, Tape, list[Agreement]], Coroutine[Any, Any, None]],
    *options: Option,
    judge: Callable[[list[Option]], Answer] = acknowledge,
) -> None:
    async def play() -> None:
        tape, agreed = Tape(), list[Agreement]()
        identifiers = iter(range(1, 100))
        negotiation = Negotiation(
            tape,  # type: ignore[arg-type]
            Protocol.LCP,
            options,
            judge=judge,
            next_identifier=lambda: next(identifiers),
            opened=agreed.append,
        )
        await work(negotiation, tape, agreed)
        negotiation.stop()

    run(play())


def answer(code: int, identifier: int, *options: Option) -> ControlPacket:
    return ControlPacket(code, identifier, build_options(options))


def test_naks_are_followed_and_rejects_left_out_in_the_order_of_the_list() -> None:
    async def work(negotiation: Negotiation, tape: Tape, agreed: list[Agreement]) -> None:
        negotiation.begin()
        negotiation.begin()
        smaller = Option(OptionType.MRU, b"\x05\x00")
        negotiation.hear(answer(Code.CONFIGURE_NAK, 1, smaller, Option(OptionType.QUALITY, b"??")))
        assert negotiation.asked == [smaller, MAGIC]
        negotiation.hear(answer(Code.CONFIGURE_REJECT, 2, MAGIC))
        negotiation.hear(answer(Code.CONFIGURE_ACK, 2, smaller, MAGIC))  # of the one before
        assert not agreed
        negotiation.hear(answer(Code.CONFIGURE_REQUEST, 9, MAGIC))
        negotiation.hear(answer(Code.CONFIGURE_ACK, 3, smaller))
        assert agreed == [Agreement([smaller], [MAGIC])]
        negotiation.hear(answer(Code.CONFIGURE_ACK, 3, smaller))
        assert len(agreed) == 1
        requests = [packet.identifier for _, packet in tape.sent if packet.code == Code.CONFIGURE_REQUEST]
        assert requests == [1, 2, 3]

    negotiate(work, MRU, MAGIC)


def test_it_asks_again_every_three_seconds_and_gives_up() -> None:
    async def work(negotiation: Negotiation, tape: Tape, agreed: list[Agreement]) -> None:
        negotiation.begin()
        await asyncio.sleep(RESTART * (REQUESTS + 2))
        assert [time for time, _ in tape.sent] == [RESTART * number for number in range(REQUESTS)]
        assert {packet.identifier for _, packet in tape.sent} == {1}
        assert negotiation.given_up == "no answer"

    negotiate(work, MRU)


def test_a_rejected_protocol_is_left_alone() -> None:
    async def work(negotiation: Negotiation, tape: Tape, agreed: list[Agreement]) -> None:
        negotiation.begin()
        negotiation.rejected()
        await asyncio.sleep(60.0)
        assert (len(tape.sent), negotiation.given_up) == (1, "Protocol-Reject")

    negotiate(work, MRU)


def test_what_goes_round_and_round_is_given_up() -> None:
    async def work(negotiation: Negotiation, tape: Tape, agreed: list[Agreement]) -> None:
        for number in range(ROUNDS + 1):
            assert not negotiation.given_up
            negotiation.hear(answer(Code.CONFIGURE_REQUEST, number, MRU))
        assert negotiation.given_up == "it does not converge"
        assert {packet.code for _, packet in tape.sent} == {Code.CONFIGURE_NAK}

    negotiate(work, judge=lambda wanted: (Code.CONFIGURE_NAK, [MAGIC]))


def test_follow() -> None:
    assert follow([MRU, MAGIC], Code.CONFIGURE_REJECT, [MRU]) == [MAGIC]
    assert follow([MRU], Code.CONFIGURE_NAK, [MAGIC]) == [MRU]
