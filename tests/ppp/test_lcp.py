"""LCP's options and codes, against RFC 1661, RFC 1570 and what Windows sends."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.ppp.automaton import State
from pypptp.ppp.control_protocol import NegotiationLimits
from pypptp.ppp.lcp import LOOPBACK_LIMIT, Lcp, OptionType
from pypptp.ppp.packet import HEADER_LENGTH, Code, ControlPacket
from pypptp.roles import RandomBytes
from tests.ppp.driving import Alone, Pair, configure, options_of, seeded

MSCHAPV2 = b"\xc2\x23\x81"
MSCHAP = b"\xc2\x23\x80"
CHAP = b"\xc2\x23\x05"
PAP = b"\xc0\x23"
EAP = b"\xc2\x27"
PEER_MAGIC = (OptionType.MAGIC_NUMBER, b"peer")


def make(
    *,
    mru: int = 1404,
    demanded: tuple[bytes, ...] = (),
    willing: tuple[bytes, ...] = (),
    compressed: bool = True,
    random: RandomBytes | None = None,
) -> Lcp:
    return Lcp(
        mru=mru,
        demanded=demanded,
        willing=willing,
        pfc=compressed,
        acfc=compressed,
        limits=NegotiationLimits(),
        random=random or seeded(),
    )


def opened(*options: tuple[int, bytes]) -> Alone[Lcp]:
    driven = Alone(make())
    driven.open(*options)
    return driven


def magic(driven: Alone[Lcp]) -> bytes:
    return driven.machine.magic.ours.to_bytes(4, "big")


def test_the_first_request_comes_at_once_with_a_magic_number() -> None:
    driven = Alone(make(demanded=(MSCHAPV2,)))
    options = dict(options_of(driven.request))
    assert options[OptionType.MRU] == (1404).to_bytes(2, "big")
    assert options[OptionType.AUTHENTICATION] == MSCHAPV2
    assert any(options[OptionType.MAGIC_NUMBER])
    assert options[OptionType.PFC] == options[OptionType.ACFC] == b""
    assert OptionType.ACCM not in options


def test_a_magic_number_is_never_zero() -> None:
    draws = iter([bytes(4), bytes(4), b"\x00\x00\x00\x07"])
    assert make(random=lambda _: next(draws)).magic.ours == 7


def test_two_sides_open_and_know_what_the_other_receives() -> None:
    left, right = make(mru=1000, demanded=(MSCHAPV2,)), make(compressed=False, willing=(MSCHAPV2,), random=seeded(2))
    pair = Pair(left, right)
    pair.start()
    pair.run(0)
    assert left.opened
    assert right.opened
    assert (left.mru.peer, right.mru.peer) == (1404, 1000)
    assert left.authentication.chosen_for_peer == right.authentication.chosen_for_us == MSCHAPV2
    assert not left.pfc.peer_receives, "the other side asked for none"
    assert not right.pfc.peer_receives, "what it does not grant it does not use"
    assert left.magic.peer == right.magic.ours != left.magic.ours


class TestMru:
    @pytest.mark.parametrize("mru", [128, 1400, 1500, 4091, 65535])
    def test_what_a_packet_fits_into_is_acknowledged(self, mru: int) -> None:
        driven = Alone(make())
        assert driven.ask((OptionType.MRU, mru.to_bytes(2, "big"))).code == Code.CONFIGURE_ACK
        assert driven.machine.mru.peer == mru

    @pytest.mark.parametrize("mru", [0, 3, 64])
    def test_less_is_naked_with_the_least(self, mru: int) -> None:
        answer = Alone(make()).ask((OptionType.MRU, mru.to_bytes(2, "big")))
        assert answer.code == Code.CONFIGURE_NAK
        assert options_of(answer) == [(OptionType.MRU, b"\x00\x80")]

    @pytest.mark.parametrize("value", [b"", b"\x05", b"\x00\x05\x78"])
    def test_a_wrong_length_is_naked(self, value: bytes) -> None:
        assert options_of(Alone(make()).ask((OptionType.MRU, value))) == [(OptionType.MRU, b"\x05\xdc")]

    def test_a_peer_that_asks_for_none_has_the_default(self) -> None:
        driven = opened((OptionType.MRU, b"\x02\x00"))
        driven.ask()
        assert driven.machine.mru.peer == 1500

    def test_the_default_is_not_asked_for(self) -> None:
        assert OptionType.MRU not in dict(options_of(Alone(make(mru=1500)).request))

    @pytest.mark.parametrize(("naked", "then"), [(1000, 1000), (1500, None), (64, 1404), (9000, 1404)])
    def test_a_nak_is_followed_within_reason(self, naked: int, then: int | None) -> None:
        driven = Alone(make())
        driven.answer(Code.CONFIGURE_NAK, (OptionType.MRU, naked.to_bytes(2, "big")))
        expected = None if then is None else then.to_bytes(2, "big")
        assert dict(options_of(driven.request)).get(OptionType.MRU) == expected


class TestMagicNumber:
    def test_zero_is_naked_with_another(self) -> None:
        answer = Alone(make()).ask((OptionType.MAGIC_NUMBER, bytes(4)))
        assert answer.code == Code.CONFIGURE_NAK
        assert any(dict(options_of(answer))[OptionType.MAGIC_NUMBER])

    def test_a_loop_is_found_before_max_failure_takes_the_number_away(self) -> None:
        driven = Alone(make())
        for _ in range(LOOPBACK_LIMIT):
            assert not driven.machine.magic.looped_back
            answer = driven.ask((OptionType.MAGIC_NUMBER, magic(driven)))
            assert answer.code == Code.CONFIGURE_NAK
            assert dict(options_of(answer))[OptionType.MAGIC_NUMBER] != magic(driven)
        assert driven.machine.magic.looped_back

    def test_our_own_packets_come_back(self) -> None:
        """The whole loop: requests, Naks and all."""
        driven = Alone(make(demanded=(MSCHAPV2,)))
        packets = [driven.request]
        for _ in range(100):
            if driven.machine.magic.looped_back:
                break
            packets = driven.give(*packets)
        assert driven.machine.magic.looped_back
        assert not driven.machine.opened

    def test_one_collision_is_chance(self) -> None:
        driven = Alone(make())
        driven.ask((OptionType.MAGIC_NUMBER, magic(driven)))
        assert driven.ask(PEER_MAGIC).code == Code.CONFIGURE_ACK
        assert driven.machine.magic.collisions == 0

    def test_after_a_reject_it_is_gone_and_zero_stands_in_for_it(self) -> None:
        driven = Alone(make())
        driven.answer(Code.CONFIGURE_REJECT, (OptionType.MAGIC_NUMBER, magic(driven)))
        assert OptionType.MAGIC_NUMBER not in dict(options_of(driven.request))
        driven.open()
        driven.machine.send_echo_request(driven.now)
        assert driven.only(Code.ECHO_REQUEST).data == bytes(4)

    def test_a_nak_brings_a_new_one(self) -> None:
        driven = Alone(make())
        before = magic(driven)
        driven.answer(Code.CONFIGURE_NAK, (OptionType.MAGIC_NUMBER, b"good"))
        assert dict(options_of(driven.request))[OptionType.MAGIC_NUMBER] == magic(driven) != before


class TestFieldCompression:
    @pytest.mark.parametrize("option", [OptionType.PFC, OptionType.ACFC])
    def test_a_reject_leaves_it_out(self, option: OptionType) -> None:
        driven = Alone(make())
        driven.answer(Code.CONFIGURE_REJECT, (option, b""))
        assert option not in dict(options_of(driven.request))

    def test_granted_where_it_is_on_and_rejected_where_it_is_off(self) -> None:
        asked = [(OptionType.PFC, b""), (OptionType.ACFC, b"")]
        driven = Alone(make())
        assert driven.ask(*asked).code == Code.CONFIGURE_ACK
        assert driven.machine.pfc.peer_receives
        assert driven.machine.acfc.peer_receives
        answer = Alone(make(compressed=False)).ask(*asked)
        assert answer.code == Code.CONFIGURE_REJECT
        assert options_of(answer) == asked

    def test_a_value_where_none_belongs_is_naked(self) -> None:
        assert options_of(Alone(make()).ask((OptionType.PFC, b"x"))) == [(OptionType.PFC, b"")]


@pytest.mark.parametrize("accm", [b"\x00\x00\x00\x00", b"\xff\xff\xff\xff"])
def test_any_character_map_will_do(accm: bytes) -> None:
    assert Alone(make()).ask((OptionType.ACCM, accm)).code == Code.CONFIGURE_ACK


def test_what_windows_sends_is_rejected_in_its_order_and_the_rest_goes_on() -> None:
    driven = Alone(make())
    mru, pfc, acfc = (OptionType.MRU, b"\x05\x78"), (OptionType.PFC, b""), (OptionType.ACFC, b"")
    callback = (OptionType.CALLBACK, b"\x06")
    mrru = (OptionType.MRRU, b"\x06\x4e")
    endpoint = (OptionType.ENDPOINT_DISCRIMINATOR, b"\x01" + bytes(20))
    answer = driven.ask(mru, PEER_MAGIC, pfc, acfc, callback, mrru, endpoint)
    assert answer.code == Code.CONFIGURE_REJECT
    assert options_of(answer) == [callback, mrru, endpoint]
    assert driven.ask(mru, PEER_MAGIC, pfc, acfc).code == Code.CONFIGURE_ACK


class TestAuthentication:
    def test_a_nak_to_what_is_not_allowed_is_a_refusal(self) -> None:
        driven = Alone(make(demanded=(MSCHAPV2,)))
        for value in (PAP, MSCHAP, CHAP, EAP):
            driven.answer(Code.CONFIGURE_NAK, (OptionType.AUTHENTICATION, value))
            assert driven.machine.authentication.refused_by_peer
            assert dict(options_of(driven.request))[OptionType.AUTHENTICATION] == MSCHAPV2

    def test_a_nak_to_what_is_allowed_is_followed(self) -> None:
        driven = Alone(make(demanded=(MSCHAPV2, MSCHAP, CHAP)))
        driven.answer(Code.CONFIGURE_NAK, (OptionType.AUTHENTICATION, CHAP))
        assert dict(options_of(driven.request))[OptionType.AUTHENTICATION] == CHAP
        driven.acknowledge()
        assert driven.machine.authentication.chosen_for_peer == CHAP

    def test_a_nak_to_something_else_goes_down_the_list_once(self) -> None:
        driven = Alone(make(demanded=(MSCHAPV2, MSCHAP)))
        driven.answer(Code.CONFIGURE_NAK, (OptionType.AUTHENTICATION, EAP))
        assert dict(options_of(driven.request))[OptionType.AUTHENTICATION] == MSCHAP
        assert not driven.machine.authentication.refused_by_peer
        driven.answer(Code.CONFIGURE_NAK, (OptionType.AUTHENTICATION, EAP))
        assert driven.machine.authentication.refused_by_peer

    def test_a_reject_is_a_refusal(self) -> None:
        driven = Alone(make(demanded=(MSCHAPV2, PAP)))
        driven.answer(Code.CONFIGURE_REJECT, (OptionType.AUTHENTICATION, MSCHAPV2))
        assert driven.machine.authentication.refused_by_peer

    def test_a_peer_that_never_answers_the_demand_does_not_open(self) -> None:
        driven = Alone(make(demanded=(MSCHAPV2,)))
        for _ in range(30):
            value = dict(options_of(driven.request))[OptionType.AUTHENTICATION]
            driven.answer(Code.CONFIGURE_REJECT, (OptionType.AUTHENTICATION, value))
        assert driven.is_in(State.STOPPED)

    @pytest.mark.parametrize("value", [MSCHAP, CHAP, PAP, EAP, b"", b"\xc2\x23"])
    def test_a_client_agrees_to_its_own_methods_only(self, value: bytes) -> None:
        driven = Alone(make(willing=(MSCHAPV2,)))
        answer = driven.ask((OptionType.AUTHENTICATION, value))
        assert answer.code == Code.CONFIGURE_NAK
        assert options_of(answer) == [(OptionType.AUTHENTICATION, MSCHAPV2)]
        assert driven.ask((OptionType.AUTHENTICATION, MSCHAPV2)).code == Code.CONFIGURE_ACK
        assert driven.machine.authentication.chosen_for_us == MSCHAPV2

    def test_one_who_proves_nothing_rejects_the_demand(self) -> None:
        asked = (OptionType.AUTHENTICATION, MSCHAPV2)
        answer = Alone(make(demanded=(MSCHAPV2,))).ask(asked)
        assert answer.code == Code.CONFIGURE_REJECT
        assert options_of(answer) == [asked]


class TestEcho:
    def test_the_reply_has_the_identifier_our_magic_and_the_data(self) -> None:
        driven = opened(PEER_MAGIC)
        (reply,) = driven.give(ControlPacket(Code.ECHO_REQUEST, 9, b"peer" + b"are you there"))
        assert reply == ControlPacket(Code.ECHO_REPLY, 9, magic(driven) + b"are you there")

    def test_the_reply_is_cut_to_the_peers_mru(self) -> None:
        driven = opened((OptionType.MRU, b"\x00\x80"), PEER_MAGIC)
        (reply,) = driven.give(ControlPacket(Code.ECHO_REQUEST, 9, b"peer" + bytes(1000)))
        assert len(reply.build()) == 128

    @pytest.mark.parametrize("acknowledged", [False, True])
    def test_before_opened_there_is_no_reply(self, acknowledged: bool) -> None:
        driven = Alone(make())
        if acknowledged:
            driven.acknowledge()
        assert driven.give(ControlPacket(Code.ECHO_REQUEST, 9, b"peer")) == []

    def test_a_request_without_a_magic_number_is_discarded(self) -> None:
        assert opened().give(ControlPacket(Code.ECHO_REQUEST, 9, b"pee")) == []

    def test_a_reply_ends_the_count(self) -> None:
        driven = opened(PEER_MAGIC)
        driven.machine.send_echo_request(driven.now)
        driven.machine.send_echo_request(driven.now)
        identifier = driven.taken()[-1].identifier
        assert driven.machine.echoes_unanswered == 2
        driven.give(ControlPacket(Code.ECHO_REPLY, identifier, b"peer"))
        assert driven.machine.echoes_unanswered == 0

    def test_the_time_an_answer_takes(self) -> None:
        driven = opened(PEER_MAGIC)
        assert driven.machine.echo_round_trip is None
        driven.machine.send_echo_request(driven.now)
        request = driven.only(Code.ECHO_REQUEST)
        driven.now += 0.25
        driven.give(ControlPacket(Code.ECHO_REPLY, request.identifier, b"peer"))
        assert driven.machine.echo_round_trip == 0.25
        # The same again answers nothing.
        driven.now += 5
        driven.give(ControlPacket(Code.ECHO_REPLY, request.identifier, b"peer"))
        assert driven.machine.echo_round_trip == 0.25

    def test_our_own_request_come_back_is_no_sign_of_life(self) -> None:
        driven = opened(PEER_MAGIC)
        driven.machine.send_echo_request(driven.now)
        request = driven.only(Code.ECHO_REQUEST)
        driven.give(ControlPacket(Code.ECHO_REPLY, request.identifier, magic(driven)))
        assert driven.machine.echoes_unanswered == 1
        assert driven.machine.echo_round_trip is None

    def test_a_reply_to_nothing_is_discarded(self) -> None:
        driven = opened(PEER_MAGIC)
        driven.machine.send_echo_request(driven.now)
        request = driven.only(Code.ECHO_REQUEST)
        driven.give(ControlPacket(Code.ECHO_REPLY, request.identifier + 1 & 0xFF, b"peer"))
        assert driven.machine.echoes_unanswered == 1

    def test_a_peer_that_knows_no_echo_is_not_counted_as_gone(self) -> None:
        driven = opened(PEER_MAGIC)
        driven.machine.send_echo_request(driven.now)
        driven.give(ControlPacket(Code.CODE_REJECT, 1, driven.only(Code.ECHO_REQUEST).build()))
        assert driven.machine.opened
        assert driven.machine.echo_rejected
        assert driven.machine.echoes_unanswered == 0


class TestOtherCodes:
    def test_identification_is_swallowed(self) -> None:
        driven = opened()
        packet = ControlPacket(Code.IDENTIFICATION, 2, b"peerMSRASV5.20")
        assert driven.give(packet) == []
        assert driven.machine.peer_identification == b"MSRASV5.20"

    @pytest.mark.parametrize("code", [Code.DISCARD_REQUEST, Code.TIME_REMAINING])
    def test_so_are_discard_request_and_time_remaining(self, code: Code) -> None:
        assert opened().give(ControlPacket(code, 2, b"peer" + bytes(4))) == []

    def test_ours_says_who_we_are(self) -> None:
        driven = opened((OptionType.MRU, b"\x00\x80"))
        driven.machine.send_identification(b"x" * 500)
        packet = driven.only(Code.IDENTIFICATION)
        assert packet.data[:4] == magic(driven)
        assert len(packet.build()) == 128

    def test_a_code_reject_is_cut_to_the_peers_mru(self) -> None:
        driven = opened((OptionType.MRU, b"\x00\x80"))
        (reject,) = driven.give(ControlPacket(200, 1, bytes(1400)))
        assert len(reject.build()) == 128

    def test_protocol_rejects_fit_the_peer_and_have_new_identifiers(self) -> None:
        driven = opened((OptionType.MRU, b"\x00\x80"))
        for _ in range(2):
            driven.machine.send_protocol_reject(0x8057, bytes(range(200)))
        first, second = driven.taken()
        assert first.identifier != second.identifier
        assert first.data == (b"\x80\x57" + bytes(range(200)))[: 128 - HEADER_LENGTH]

    def test_a_protocol_reject_counts_in_opened_only(self) -> None:
        reject = ControlPacket(Code.PROTOCOL_REJECT, 1, b"\x80\xfd" + bytes(4))
        driven = Alone(make())
        driven.give(reject)
        assert driven.machine.rejected_protocols == []
        driven.open()
        driven.give(reject, ControlPacket(Code.PROTOCOL_REJECT, 2, b"\x80"))
        assert driven.machine.rejected_protocols == [0x80FD]

    def test_the_peers_last_words_are_kept(self) -> None:
        driven = opened()
        driven.give(ControlPacket(Code.TERMINATE_REQUEST, 3, b"good night"))
        assert driven.machine.terminate_text == b"good night"


@given(st.lists(st.tuples(st.integers(0, 20), st.binary(max_size=8)), max_size=8))
def test_any_request_gets_one_answer_made_of_its_own_options(options: list[tuple[int, bytes]]) -> None:
    driven = Alone(make(willing=(MSCHAPV2,)))
    answer = driven.ask(*options)
    if answer.code == Code.CONFIGURE_ACK:
        assert options_of(answer) == options
    elif answer.code == Code.CONFIGURE_REJECT:
        remaining = iter(options)
        assert all(option in remaining for option in options_of(answer)), "in the order received"
    else:
        assert {kind for kind, _ in options_of(answer)} <= {kind for kind, _ in options}


def test_a_request_full_of_options_is_answered_within_the_mru() -> None:
    driven = Alone(make())
    request = configure(Code.CONFIGURE_REQUEST, 1, [(0x77, bytes(72))] * 20)
    assert len(request.build()) > 1480
    (answer,) = driven.give(request)
    assert answer.code == Code.CONFIGURE_REJECT
    assert len(answer.build()) <= 1500


def work_for(data: bytes) -> int:
    """Calls of Python functions that a Configure-Request with this data sets off."""
    driven = Alone(make())
    packet = ControlPacket(Code.CONFIGURE_REQUEST, 1, data).build()
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        driven.machine.receive(packet, 0.0)
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize(
    "option", [b"\x77\x02", b"\x05\x06peer", b"\x01\x02", b"\x03\x05\xc2\x23\x81", b"\x01\x04\x00\x01"]
)
def test_a_flood_of_options_costs_a_few_calls_for_each(option: bytes) -> None:
    few, many = work_for(option * 10), work_for(option * 300)
    assert (many - few) / 290 < 8


@pytest.mark.parametrize("bad", [b"\x05\x00", b"\x05\x01", b"\x00\x00"])
def test_an_option_of_no_length_costs_the_same_whatever_follows(bad: bytes) -> None:
    alone = work_for(bad)
    assert work_for(bad + bytes(1900)) == work_for(bad * 900) == alone
    # Nor does it stop a packet from being looked at once only.
    assert work_for(b"\x77\x02" * 300 + bad) < 300 * 8
