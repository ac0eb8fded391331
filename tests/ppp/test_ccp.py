"""CCP: which MPPE is agreed to, and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.mppe.keys import Strength
from pypptp.ppp.automaton import State
from pypptp.ppp.ccp import RESET_BURST, STRENGTH_MASK, Ccp, MppeOption, OptionType, SupportedBits, strength_of
from pypptp.ppp.control_protocol import NegotiationLimits
from pypptp.ppp.packet import Code, ControlPacket
from tests.ppp.driving import Alone, Pair, configure, options_of

ALL = tuple(Strength)
STRONG = (Strength.BITS_128,)
H128 = "01000040"


def make(strengths: tuple[Strength, ...] = STRONG, *, stateless: bool = True, required: bool = True) -> Ccp:
    return Ccp(MppeOption(strengths, stateless=stateless, required=required), NegotiationLimits())


def mppe(value: str) -> tuple[int, bytes]:
    return OptionType.MPPE, bytes.fromhex(value)


def asked(driven: Alone[Ccp]) -> str | None:
    value = dict(options_of(driven.request)).get(OptionType.MPPE)
    return None if value is None else value.hex()


def opened(*, required: bool = True) -> Alone[Ccp]:
    driven = Alone(make(required=required))
    driven.open(mppe(H128))
    return driven


def test_one_strength_is_asked_for_never_more() -> None:
    assert asked(Alone(make(ALL))) == H128
    assert asked(Alone(make((Strength.BITS_40,), stateless=False))) == "00000020"
    assert Alone(make(())).request.data == b""


@pytest.mark.parametrize("theirs", [True, False])
@pytest.mark.parametrize("ours", [True, False])
def test_two_sides_agree(ours: bool, theirs: bool) -> None:
    """Where one side wants no history, neither direction has it: the one that insists wins, or the one that asks."""
    left, right = make(ALL, stateless=ours), make(ALL, stateless=theirs)
    pair = Pair(left, right)
    pair.start()
    pair.run(0)
    assert left.opened
    assert right.opened
    assert left.mppe.transmit == right.mppe.receive
    assert left.mppe.receive == right.mppe.transmit
    bits = SupportedBits.BITS_128 | (SupportedBits.STATELESS if ours and theirs else 0)
    assert left.mppe.transmit == left.mppe.receive == bits


@pytest.mark.parametrize(
    ("offer", "strengths", "stateless", "answer"),
    [
        ("010000e1", STRONG, True, H128),
        ("010000e0", STRONG, True, H128),
        ("01000041", STRONG, True, H128),
        ("01000060", ALL, True, H128),
        ("010000a0", ALL, True, "01000080"),
        ("01000020", STRONG, True, H128),
        ("01000020", ALL, True, None),
        ("01000080", (Strength.BITS_40, Strength.BITS_56), True, None),
        (H128, STRONG, True, None),
        ("00000040", STRONG, True, H128),
        (H128, STRONG, False, "00000040"),
        ("00000040", STRONG, False, None),
        ("01000050", STRONG, True, H128),
        ("ff000040", STRONG, True, H128),
        ("01000000", STRONG, True, H128),
        ("00000000", STRONG, True, H128),
        ("010040", STRONG, True, H128),
        ("0100004000", STRONG, True, H128),
    ],
)
def test_what_an_offer_gets_where_mppe_is_required(
    offer: str, strengths: tuple[Strength, ...], stateless: bool, answer: str | None
) -> None:
    got = Alone(make(strengths, stateless=stateless)).ask(mppe(offer))
    if answer is None:
        assert got.code == Code.CONFIGURE_ACK
    else:
        assert got.code == Code.CONFIGURE_NAK
        assert options_of(got) == [mppe(answer)]


@given(st.binary(max_size=6), st.booleans(), st.booleans(), st.sets(st.sampled_from(ALL)))
def test_an_ack_always_names_one_allowed_strength(
    value: bytes, stateless: bool, required: bool, strengths: set[Strength]
) -> None:
    driven = Alone(make(tuple(strengths), stateless=stateless, required=required))
    for _ in range(8):
        if driven.ask((OptionType.MPPE, value)).code == Code.CONFIGURE_ACK:
            assert driven.machine.mppe.transmit is not None
            assert strength_of(driven.machine.mppe.transmit) in strengths
            assert (int.from_bytes(value, "big") & STRENGTH_MASK).bit_count() == 1
            assert not value[3] & SupportedBits.COMPRESSION


def test_what_is_left_out_is_asked_for_where_it_is_required() -> None:
    assert options_of(Alone(make()).ask()) == [mppe(H128)]
    assert Alone(make(required=False)).ask().code == Code.CONFIGURE_ACK


@pytest.mark.parametrize("offer", ["00000000", "01000000", "000000", "0000000000"])
def test_an_offer_of_nothing_does_not_go_round(offer: str) -> None:
    driven = Alone(make())
    answers = [driven.ask(mppe(offer)).code for _ in range(7)]
    assert answers == [Code.CONFIGURE_NAK] * 5 + [Code.CONFIGURE_REJECT] * 2
    assert Alone(make(required=False)).ask(mppe(offer)).code == Code.CONFIGURE_REJECT


def test_stateless_is_asked_for_once_then_the_peer_has_its_way() -> None:
    driven = Alone(make())
    assert options_of(driven.ask(mppe("00000040"))) == [mppe(H128)]
    assert driven.ask(mppe("00000040")).code == Code.CONFIGURE_ACK
    assert driven.machine.mppe.transmit == SupportedBits.BITS_128


def test_a_link_that_negotiates_anew_asks_once_more() -> None:
    driven = Alone(make())
    driven.ask(mppe("00000040"))
    driven.open(mppe("00000040"))
    (_, answer) = driven.give(configure(Code.CONFIGURE_REQUEST, 9, [mppe("00000040")]))
    assert answer.code == Code.CONFIGURE_NAK


@pytest.mark.parametrize(
    ("option", "value"),
    [
        (OptionType.BSD_COMPRESS, b"\x2f"),
        (OptionType.DEFLATE, b"\x78\x00"),
        (OptionType.STAC, b"\x00\x01\x03"),
        (0, b""),
    ],
)
@pytest.mark.parametrize("required", [True, False])
def test_compression_is_rejected(option: int, value: bytes, required: bool) -> None:
    answer = Alone(make(required=required)).ask(mppe(H128), (option, value))
    assert answer.code == Code.CONFIGURE_REJECT
    assert options_of(answer) == [(option, value)]


def test_without_strengths_mppe_itself_is_rejected() -> None:
    answer = Alone(make((), required=False)).ask(mppe(H128))
    assert answer.code == Code.CONFIGURE_REJECT
    assert options_of(answer) == [mppe(H128)]


class TestAnswersToOurs:
    @pytest.mark.parametrize(
        ("nak", "then"),
        [
            ("01000020", "01000020"),
            ("01000060", H128),
            ("00000040", "00000040"),
            ("010000a1", "01000080"),
            ("010040", H128),
        ],
    )
    def test_a_nak_is_followed_within_the_settings(self, nak: str, then: str) -> None:
        driven = Alone(make(ALL))
        driven.answer(Code.CONFIGURE_NAK, mppe(nak))
        assert asked(driven) == then

    def test_a_nak_never_turns_history_off_where_it_was_not_asked_for(self) -> None:
        driven = Alone(make(stateless=False))
        driven.answer(Code.CONFIGURE_NAK, mppe(H128))
        assert asked(driven) == "00000040"

    def test_a_nak_to_less_than_is_required_changes_nothing(self) -> None:
        driven = Alone(make())
        driven.answer(Code.CONFIGURE_NAK, mppe("01000020"))
        assert asked(driven) == H128

    def test_a_nak_to_nothing_is_accepted_where_mppe_is_not_required(self) -> None:
        driven = Alone(make(required=False))
        driven.answer(Code.CONFIGURE_NAK, mppe("00000000"))
        assert asked(driven) is None

    def test_a_reject_is_noted_and_ends_our_asking(self) -> None:
        driven = Alone(make())
        driven.answer(Code.CONFIGURE_REJECT, mppe(H128))
        assert asked(driven) is None
        assert driven.machine.mppe.rejected_by_peer

    def test_a_new_negotiation_forgets_the_reject(self) -> None:
        driven = Alone(make(required=False))
        driven.answer(Code.CONFIGURE_REJECT, mppe(H128))
        driven.open()
        driven.give(ControlPacket(Code.CONFIGURE_REQUEST, 9))
        assert not driven.machine.mppe.rejected_by_peer

    def test_two_strengths_in_an_ack_are_not_what_was_asked(self) -> None:
        driven = Alone(make())
        driven.answer(Code.CONFIGURE_ACK, mppe("01000060"))
        assert driven.is_in(State.REQUEST_SENT)
        assert driven.machine.mppe.receive is None


class TestReset:
    def test_a_request_is_acknowledged_and_passed_on(self) -> None:
        driven = opened()
        assert driven.give(ControlPacket(Code.RESET_REQUEST, 9)) == [ControlPacket(Code.RESET_ACK, 9)]
        assert driven.machine.reset_requested

    def test_before_opened_it_is_discarded(self) -> None:
        driven = Alone(make())
        assert driven.give(ControlPacket(Code.RESET_REQUEST, 9)) == []
        assert not driven.machine.reset_requested

    def test_an_ack_nobody_asked_for_changes_nothing(self) -> None:
        driven = opened()
        assert driven.give(ControlPacket(Code.RESET_ACK, 9)) == []
        assert driven.machine.opened
        assert not driven.machine.reset_requested

    def test_a_flood_is_answered_sparingly(self) -> None:
        driven = opened()
        answers = [packet for count in range(10_000) for packet in driven.give(ControlPacket(14, count & 0xFF))]
        assert len(answers) == RESET_BURST
        assert driven.machine.resets_ignored == 10_000 - RESET_BURST
        driven.now += 1.0
        assert len(driven.give(ControlPacket(14, 1))) == 1

    def test_ours_have_new_identifiers(self) -> None:
        driven = opened()
        driven.machine.send_reset_request()
        driven.machine.send_reset_request()
        first, second = driven.taken()
        assert first.code == second.code == Code.RESET_REQUEST
        assert first.identifier != second.identifier


def test_the_peers_end_is_noted_until_it_begins_anew() -> None:
    driven = opened(required=False)
    driven.give(ControlPacket(Code.TERMINATE_REQUEST, 9))
    assert driven.machine.terminated_by_peer
    driven.wait()
    driven.give(configure(Code.CONFIGURE_REQUEST, 10, [mppe(H128)]))
    assert not driven.machine.terminated_by_peer


@pytest.mark.parametrize("strength", Strength)
def test_strength_of_an_agreement(strength: Strength) -> None:
    assert strength_of(SupportedBits[strength.name] | SupportedBits.STATELESS) is strength
