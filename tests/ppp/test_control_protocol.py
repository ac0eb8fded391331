"""The automaton at work: two sides joined in memory, lost packets, timers, counters, and peers that misbehave."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pypptp.ppp.automaton import TIMER_RUNS, Action, State
from pypptp.ppp.control_protocol import DEFAULT_MRU, ControlProtocol, NegotiationLimits
from pypptp.ppp.options import NegotiatedOption, NumberOption
from pypptp.ppp.packet import HEADER_LENGTH, Code, ControlPacket
from pypptp.ppp.protocols import Protocol
from tests.ppp.driving import Alone, Pair, configure, options_of

LIMITS = NegotiationLimits()
SIZE, FLAG, DEMAND = 1, 2, 3


class Size(NumberOption):
    """Asks for one number, takes anything up to a limit, and takes what is suggested unless it is stubborn."""

    type = SIZE
    width = 2

    def __init__(self, ours: int, limit: int, *, stubborn: bool = False) -> None:
        self.ours: int | None = ours
        self.limit = limit
        self.stubborn = stubborn
        self.got: bytes | None = None
        self.gave: bytes | None = None

    def request(self) -> bytes | None:
        return None if self.ours is None else self.encode(self.ours)

    def naked(self, value: bytes) -> None:
        suggested = self.decode(value)
        if suggested is not None and not self.stubborn:
            self.ours = suggested

    def rejected(self) -> None:
        if not self.stubborn:
            self.ours = None

    def acknowledged(self, value: bytes | None) -> None:
        self.got = value

    def judge(self, value: bytes) -> bytes | None:
        size = self.decode(value)
        return value if size is not None and size <= self.limit else self.encode(self.limit)

    def accepted(self, value: bytes | None) -> None:
        self.gave = value


class Demand(NegotiatedOption):
    """Must be in the peer's request, as the address a server gives."""

    type = DEMAND

    def judge(self, value: bytes) -> bytes | None:
        return b"yes"

    def wanted(self) -> bytes | None:
        return b"yes"


class Negotiator(ControlProtocol):
    """A control protocol with nothing of its own."""

    protocol = Protocol.IPCP

    def __init__(self, size: Size | None = None, *more: NegotiatedOption, limits: NegotiationLimits = LIMITS) -> None:
        self.size = size or Size(10, 100)
        super().__init__([self.size, *more], limits)
        self.unknown_to_peer: list[int] = []

    def code_rejected(self, code: int) -> None:
        self.unknown_to_peer.append(code)


def alone(size: Size | None = None, *more: NegotiatedOption) -> Alone[Negotiator]:
    return Alone(Negotiator(size, *more))


def opened(*more: NegotiatedOption) -> Alone[Negotiator]:
    driven = alone(None, *more)
    driven.open((SIZE, b"\x00\x05"), *((option.type, b"yes") for option in more))
    return driven


def codes(packets: list[ControlPacket]) -> list[int]:
    return [packet.code for packet in packets]


class TestTwoSides:
    def test_they_open_without_a_timer(self) -> None:
        pair = Pair(Negotiator(Size(10, 100)), Negotiator(Size(20, 100)))
        pair.start()
        pair.run(0)
        assert [machine.opened for machine in pair.machines] == [True, True]
        assert pair.signals == ([Action.THIS_LAYER_UP], [Action.THIS_LAYER_UP])
        assert [machine.get_timer() for machine in pair.machines] == [None, None]
        left, right = (machine.options[SIZE] for machine in pair.machines)
        assert isinstance(left, Size)
        assert isinstance(right, Size)
        assert (left.got, left.gave) == (right.gave, right.got) == (b"\x00\x0a", b"\x00\x14")

    def test_a_nak_leads_to_the_suggested_value(self) -> None:
        pair = Pair(left := Negotiator(Size(500, 100)), Negotiator(Size(20, 100)))
        pair.start()
        pair.run(0)
        assert left.opened
        assert left.size.got == b"\x00\x64"

    @pytest.mark.parametrize("first", [10, 500], ids=["acknowledged", "naked"])
    @pytest.mark.parametrize("number", range(3))
    @pytest.mark.parametrize("side", [0, 1])
    def test_any_one_packet_may_be_lost(self, side: int, number: int, first: int) -> None:
        """Every packet is repeated or asked for again within one or two restart intervals."""
        pair = Pair(
            Negotiator(Size(first, 100)),
            Negotiator(Size(20, 100)),
            drop=lambda sender, index, _: (sender, index) == (side, number),
        )
        pair.start()
        pair.run(2 * LIMITS.restart_interval)
        assert [machine.opened for machine in pair.machines] == [True, True]
        assert pair.signals[0][-1] == pair.signals[1][-1] == Action.THIS_LAYER_UP

    @pytest.mark.parametrize("number", range(2))
    @pytest.mark.parametrize("side", [0, 1])
    def test_the_end_survives_a_lost_packet(self, side: int, number: int) -> None:
        pair = Pair(left := Negotiator(), right := Negotiator())
        pair.start()
        pair.run(0)
        before = [len(pair.sent(0)), len(pair.sent(1))]
        pair.drop = lambda sender, index, _: (sender, index) == (side, before[side] + number)
        left.close(pair.now, b"enough")
        pair.run(10)
        assert (left.state, right.state) == (State.CLOSED, State.STOPPED)
        assert pair.signals[0][-1] == pair.signals[1][-1] == Action.THIS_LAYER_FINISHED
        assert pair.sent(0)[before[0]].data == b"enough"

    @pytest.mark.parametrize("side", [0, 1])
    def test_either_side_may_negotiate_anew(self, side: int) -> None:
        pair = Pair(Negotiator(), Negotiator())
        pair.start()
        pair.run(0)
        pair.machines[side].renegotiate(pair.now)
        pair.run(0)
        again = [Action.THIS_LAYER_UP, Action.THIS_LAYER_DOWN, Action.THIS_LAYER_UP]
        assert pair.signals == (again, again)

    def test_two_that_insist_come_to_an_end(self) -> None:
        """Each asks for what the other never takes, and does not listen: RFC 1661 alone would go on for ever."""
        pair = Pair(*(Negotiator(Size(500, 100, stubborn=True)) for _ in range(2)))
        pair.start()
        pair.run(120)
        assert {machine.state for machine in pair.machines} == {State.STOPPED}
        assert any("refuses every value" in machine.failure for machine in pair.machines)
        assert len(pair.trace) < 100

    def test_a_silent_peer_is_asked_ten_times_every_three_seconds(self) -> None:
        pair = Pair(left := Negotiator(), Negotiator(), drop=lambda *_: True)
        left.open(pair.now)
        left.up(pair.now)
        pair.run(100)
        assert [when - 1000.0 for when, _, _ in pair.trace] == [3.0 * count for count in range(10)]
        assert len({packet.build() for packet in pair.sent(0)}) == 1, "a retransmission is the same packet"
        assert left.state is State.STOPPED
        assert pair.signals[0] == [Action.THIS_LAYER_FINISHED]
        assert left.failure == "IPCP: no answer to 10 Configure-Requests"

    def test_the_limits_are_settings(self) -> None:
        limits = NegotiationLimits(restart_interval=0.5, max_configure=3, max_terminate=4)
        pair = Pair(left := Negotiator(limits=limits), Negotiator(), drop=lambda *_: True)
        left.open(pair.now)
        left.up(pair.now)
        pair.run(0.9)
        left.close(pair.now)
        pair.run(100)
        assert codes(pair.sent(0)) == [1, 1, 5, 5, 5, 5]
        assert [round(when - 1000.0, 3) for when, _, _ in pair.trace] == [0, 0.5, 0.9, 1.4, 1.9, 2.4]
        assert left.state is State.CLOSED

    def test_a_peer_that_is_gone_at_the_end_gets_two_terminate_requests(self) -> None:
        driven = opened()
        driven.machine.close(driven.now, b"bye")
        assert codes(driven.taken()) == [Code.TERMINATE_REQUEST]
        assert codes(driven.wait()) == [Code.TERMINATE_REQUEST]
        assert driven.now == 1003.0
        assert driven.wait() == []
        assert (driven.now, driven.machine.state) == (1006.0, State.CLOSED)
        assert list(driven.machine.signals)[-1] == Action.THIS_LAYER_FINISHED


class TestAnswersThatAreNone:
    """RFC 1661 sections 5.2 to 5.4: "Invalid packets are silently discarded"."""

    @pytest.mark.parametrize("code", [Code.CONFIGURE_ACK, Code.CONFIGURE_NAK, Code.CONFIGURE_REJECT])
    def test_another_identifier(self, code: int) -> None:
        driven = alone()
        identifier = driven.request.identifier + 1 & 0xFF
        assert driven.give(ControlPacket(code, identifier, driven.request.data)) == []
        assert driven.is_in(State.REQUEST_SENT)

    @pytest.mark.parametrize(
        "options",
        [
            [(SIZE, b"\x00\x0b"), (FLAG, b"")],
            [(FLAG, b""), (SIZE, b"\x00\x0a")],
            [(SIZE, b"\x00\x0a")],
            [(SIZE, b"\x00\x0a"), (FLAG, b""), (9, b"")],
            [],
        ],
        ids=["changed", "reordered", "missing", "added", "empty"],
    )
    def test_an_ack_that_is_not_the_request(self, options: list[tuple[int, bytes]]) -> None:
        class Flag(NegotiatedOption):
            type = FLAG

            def request(self) -> bytes | None:
                return b""

        driven = alone(None, Flag())
        assert options_of(driven.request) == [(SIZE, b"\x00\x0a"), (FLAG, b"")]
        assert driven.answer(Code.CONFIGURE_ACK, *options) == []
        assert driven.is_in(State.REQUEST_SENT)
        assert driven.machine.size.got is None
        driven.acknowledge()
        assert driven.is_in(State.ACK_RECEIVED)

    @pytest.mark.parametrize(
        "options", [[(9, b"x")], [(SIZE, b"\x00\x0b")], []], ids=["never asked", "changed", "empty"]
    )
    def test_a_reject_of_what_was_not_asked(self, options: list[tuple[int, bytes]]) -> None:
        driven = alone()
        assert driven.answer(Code.CONFIGURE_REJECT, *options) == []
        assert driven.is_in(State.REQUEST_SENT)

    def test_a_nak_of_an_option_never_asked_brings_a_new_request_without_it(self) -> None:
        driven = alone()
        driven.answer(Code.CONFIGURE_NAK, (9, b"x"))
        assert options_of(driven.request) == [(SIZE, b"\x00\x0a")]

    def test_the_same_answer_twice_counts_once(self) -> None:
        driven = alone()
        answer = configure(Code.CONFIGURE_NAK, driven.request.identifier, [(SIZE, b"\x00\x05")])
        assert codes(driven.give(answer, answer, answer)) == [Code.CONFIGURE_REQUEST]

    @pytest.mark.parametrize("data", ["0104000a00", "0100", "01ff", "01"])
    @pytest.mark.parametrize("code", [1, 3, 4])
    def test_a_broken_option_list(self, code: int, data: str) -> None:
        driven = alone()
        assert driven.give(ControlPacket(code, driven.request.identifier, bytes.fromhex(data))) == []
        assert driven.is_in(State.REQUEST_SENT)

    def test_a_reject_takes_the_option_out(self) -> None:
        driven = alone()
        driven.answer(Code.CONFIGURE_REJECT, (SIZE, b"\x00\x0a"))
        assert driven.request.data == b""


class TestRequestsOfThePeer:
    def test_the_answer_has_the_requests_identifier_and_every_new_request_a_new_one(self) -> None:
        driven = alone()
        assert driven.ask((SIZE, b"\x00\x05"), identifier=0).code == Code.CONFIGURE_ACK
        identifiers = {driven.request.identifier}
        for value in range(5):
            driven.answer(Code.CONFIGURE_NAK, (SIZE, bytes((0, value))))
            identifiers.add(driven.request.identifier)
        assert len(identifiers) == 6

    def test_rejects_keep_order_and_octets_and_leave_the_good_out(self) -> None:
        driven = alone()
        answer = driven.ask((0x77, b"abc"), (SIZE, b"\x00\x05"), (0x13, b""), (0x78, b"\x00"))
        assert answer.code == Code.CONFIGURE_REJECT
        assert options_of(answer) == [(0x77, b"abc"), (0x13, b""), (0x78, b"\x00")]

    def test_a_reject_goes_before_a_nak(self) -> None:
        driven = alone()
        assert driven.ask((SIZE, b"\xff\xff"), (0x77, b"")).code == Code.CONFIGURE_REJECT

    def test_an_option_twice_is_rejected_the_second_time(self) -> None:
        answer = alone().ask((SIZE, b"\x00\x05"), (SIZE, b"\x00\x06"))
        assert answer.code == Code.CONFIGURE_REJECT
        assert options_of(answer) == [(SIZE, b"\x00\x06")]

    def test_one_option_two_hundred_times_gets_one_answer_that_fits(self) -> None:
        driven = alone()
        answer = driven.ask(*[(0x77, b"12345")] * 200)
        assert len(answer.build()) <= DEFAULT_MRU
        assert len(options_of(answer)) == 200
        assert driven.is_in(State.REQUEST_SENT)

    def test_what_must_be_there_is_added_to_the_nak(self) -> None:
        driven = alone(None, Demand())
        assert options_of(driven.ask((SIZE, b"\xff\xff"))) == [(SIZE, b"\x00\x64"), (DEMAND, b"yes")]

    def test_after_max_failure_naks_become_rejects_and_nothing_is_added(self) -> None:
        driven = alone(None, Demand())
        answers = [driven.ask((SIZE, b"\xff\xff")) for _ in range(7)]
        assert codes(answers) == [Code.CONFIGURE_NAK] * 5 + [Code.CONFIGURE_REJECT] * 2
        assert options_of(answers[-1]) == [(SIZE, b"\xff\xff")]
        assert driven.ask().code == Code.CONFIGURE_ACK

    def test_an_ack_gives_the_peer_its_patience_back(self) -> None:
        driven = alone()
        for _ in range(3):
            assert codes([driven.ask((SIZE, b"\xff\xff")) for _ in range(4)]) == [Code.CONFIGURE_NAK] * 4
            assert driven.ask((SIZE, b"\x00\x01")).code == Code.CONFIGURE_ACK

    def test_a_repeated_request_in_opened_starts_anew_and_ends_opened(self) -> None:
        """The peer did not get our Ack: its request comes again when we are open already."""
        driven = opened()
        packets = driven.give(configure(Code.CONFIGURE_REQUEST, 77, [(SIZE, b"\x00\x05")]))
        assert codes(packets) == [Code.CONFIGURE_REQUEST, Code.CONFIGURE_ACK]
        driven.request = packets[0]
        driven.acknowledge()
        assert driven.machine.opened
        up, down = Action.THIS_LAYER_UP, Action.THIS_LAYER_DOWN
        assert list(driven.machine.signals) == [up, down, up]

    def test_the_restart_counter_is_full_again_after_opened(self) -> None:
        driven = opened()
        driven.give(configure(Code.CONFIGURE_REQUEST, 78, [(SIZE, b"\x00\x05")]))
        sent = 1
        while driven.machine.get_timer() is not None:
            sent += len(driven.wait())
        assert sent == LIMITS.max_configure

    def test_closed_answers_with_a_terminate_ack(self) -> None:
        driven = opened()
        driven.machine.close(driven.now)
        driven.give(ControlPacket(Code.TERMINATE_ACK, 1))
        assert driven.is_in(State.CLOSED)
        assert driven.give(ControlPacket(Code.CONFIGURE_REQUEST, 5)) == [ControlPacket(Code.TERMINATE_ACK, 5)]

    def test_before_up_everything_is_discarded(self) -> None:
        machine = Negotiator()
        for code in range(16):
            machine.receive(ControlPacket(code, 1).build(), 0.0)
        machine.protocol_rejected(0.0)
        machine.open(0.0)
        machine.receive(ControlPacket(Code.CONFIGURE_REQUEST, 1).build(), 0.0)
        assert (machine.state, machine.packets) == (State.STARTING, [])


class TestTheEnd:
    def test_a_terminate_request_is_acknowledged_and_waited_out(self) -> None:
        driven = opened()
        assert driven.give(ControlPacket(Code.TERMINATE_REQUEST, 9, b"bye")) == [ControlPacket(Code.TERMINATE_ACK, 9)]
        assert driven.is_in(State.STOPPING)
        assert driven.give(ControlPacket(Code.TERMINATE_REQUEST, 9)) == [ControlPacket(Code.TERMINATE_ACK, 9)]
        assert driven.wait() == []
        assert driven.now == 1000.0 + LIMITS.terminate_wait
        assert driven.is_in(State.STOPPED)
        down, finished = Action.THIS_LAYER_DOWN, Action.THIS_LAYER_FINISHED
        assert list(driven.machine.signals)[1:] == [down, finished]

    def test_a_terminate_request_while_negotiating_starts_over(self) -> None:
        driven = alone()
        driven.acknowledge()
        driven.give(ControlPacket(Code.TERMINATE_REQUEST, 9))
        assert driven.is_in(State.REQUEST_SENT)

    def test_a_terminate_ack_out_of_nothing_negotiates_anew(self) -> None:
        driven = opened()
        assert codes(driven.give(ControlPacket(Code.TERMINATE_ACK, 200))) == [Code.CONFIGURE_REQUEST]
        assert driven.is_in(State.REQUEST_SENT)

    def test_down_forgets_the_timer(self) -> None:
        driven = alone()
        driven.machine.down(driven.now)
        assert driven.machine.get_timer() is None
        assert driven.is_in(State.STARTING)


class TestRejects:
    def test_an_unknown_code_is_rejected_under_new_identifiers(self) -> None:
        driven = opened()
        unknown = ControlPacket(200, 3, b"what")
        rejects = driven.give(unknown, unknown)
        assert codes(rejects) == [Code.CODE_REJECT] * 2
        assert rejects[0].identifier != rejects[1].identifier
        assert {packet.data for packet in rejects} == {unknown.build()}
        assert driven.machine.opened

    def test_a_code_reject_is_cut_to_what_the_peer_can_receive(self) -> None:
        driven = opened()
        driven.machine.peer_mru = 300
        (reject,) = driven.give(ControlPacket(200, 3, bytes(1000)))
        assert len(reject.build()) == 300
        assert reject.data == ControlPacket(200, 3, bytes(1000)).build()[: 300 - HEADER_LENGTH]

    @pytest.mark.parametrize("code", range(1, 8))
    def test_a_code_reject_of_the_common_seven_is_the_end(self, code: int) -> None:
        driven = opened()
        assert codes(driven.give(ControlPacket(Code.CODE_REJECT, 1, bytes((code, 1, 0, 4))))) == [5]
        assert driven.is_in(State.STOPPING)
        while driven.machine.get_timer() is not None:
            driven.wait()
        assert driven.is_in(State.STOPPED)
        assert "does not know" in driven.machine.failure

    def test_a_code_reject_of_another_code_is_noted(self) -> None:
        driven = opened()
        assert driven.give(ControlPacket(Code.CODE_REJECT, 1, bytes((12, 1, 0, 4)))) == []
        assert driven.machine.opened
        assert driven.machine.unknown_to_peer == [12]

    def test_an_empty_code_reject_is_discarded(self) -> None:
        driven = opened()
        assert driven.give(ControlPacket(Code.CODE_REJECT, 1)) == []
        assert driven.machine.opened

    def test_a_protocol_reject_while_negotiating_is_the_end_at_once(self) -> None:
        driven = alone()
        driven.machine.protocol_rejected(driven.now)
        assert driven.is_in(State.STOPPED)
        assert driven.machine.failure == "IPCP: rejected by the peer"
        assert list(driven.machine.signals) == [Action.THIS_LAYER_FINISHED]

    def test_the_peer_refusing_every_value_is_bounded(self) -> None:
        driven = alone(Size(500, 100, stubborn=True))
        for _ in range(100):
            if driven.is_in(State.STOPPED):
                break
            driven.answer(Code.CONFIGURE_NAK, (SIZE, b"\x00\x01"))
        assert driven.is_in(State.STOPPED)
        assert driven.machine.failure == "IPCP: the peer refuses every value offered"
        assert driven.request.identifier <= 2 * LIMITS.max_failure + 1


class AnyPeer(RuleBasedStateMachine):
    """Whatever comes in whatever state: nothing is raised, the answer is bounded, the timer runs where it must."""

    @initialize()
    def start(self) -> None:
        self.now = 0.0
        self.machine = Negotiator(Size(500, 100), Demand())
        self.requests: list[ControlPacket] = []
        self.machine.open(self.now)
        self.machine.up(self.now)
        self.take()

    def take(self) -> None:
        assert len(self.machine.packets) <= 3
        assert sum(len(packet.build()) for packet in self.machine.packets) <= 3 * DEFAULT_MRU
        self.requests += [packet for packet in self.machine.packets if packet.code == Code.CONFIGURE_REQUEST]
        self.machine.packets.clear()
        assert len(self.machine.signals) <= 2
        self.machine.signals.clear()

    @rule(octets=st.binary(max_size=40))
    def octets(self, octets: bytes) -> None:
        self.machine.receive(octets, self.now)
        self.take()

    @rule(code=st.integers(0, 20), identifier=st.integers(0, 255), data=st.binary(max_size=20))
    def packet(self, code: int, identifier: int, data: bytes) -> None:
        self.machine.receive(ControlPacket(code, identifier, data).build(), self.now)
        self.take()

    @rule(size=st.integers(0, 200), demand=st.booleans())
    def request(self, size: int, demand: bool) -> None:
        options = [(SIZE, size.to_bytes(2, "big"))] + [(DEMAND, b"yes")] * demand
        self.machine.receive(configure(Code.CONFIGURE_REQUEST, 7, options).build(), self.now)
        self.take()

    @rule(code=st.sampled_from([Code.CONFIGURE_ACK, Code.CONFIGURE_NAK, Code.CONFIGURE_REJECT]))
    def answer(self, code: Code) -> None:
        if self.requests:
            request = self.requests[-1]
            self.machine.receive(ControlPacket(code, request.identifier, request.data).build(), self.now)
            self.take()

    @rule()
    def time(self) -> None:
        self.now = self.machine.get_timer() or self.now + 1
        self.machine.handle_timer(self.now)
        self.take()

    @rule(what=st.sampled_from(["open", "close", "up", "down", "renegotiate", "protocol_rejected"]))
    def owner(self, what: str) -> None:
        getattr(self.machine, what)(self.now)
        self.take()

    @invariant()
    def the_timer_runs_where_it_must(self) -> None:
        if hasattr(self, "machine"):
            assert (self.machine.get_timer() is not None) == (self.machine.state in TIMER_RUNS)


AnyPeer.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestAnyPeer = AnyPeer.TestCase


@given(st.lists(st.sampled_from("RNAJ"), max_size=40))
def test_a_negotiation_left_alone_always_ends(answers: list[str]) -> None:
    """Whatever the peer answered so far: when it falls silent, the machine is through within its own limits."""
    driven = alone(Size(500, 100), Demand())
    for answer in answers:
        if answer == "R":
            driven.give(configure(Code.CONFIGURE_REQUEST, 7, [(SIZE, b"\xff\xff")]))
        elif driven.request.data:
            code = {"N": Code.CONFIGURE_NAK, "A": Code.CONFIGURE_ACK, "J": Code.CONFIGURE_REJECT}[answer]
            driven.answer(code, *options_of(driven.request))
    start, sent = driven.now, 0
    while driven.machine.get_timer() is not None:
        sent += len(driven.wait())
    assert driven.machine.state in (State.OPENED, State.STOPPED)
    assert sent <= LIMITS.max_configure
    assert driven.now - start <= (LIMITS.max_configure + 1) * LIMITS.restart_interval
