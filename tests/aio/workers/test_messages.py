from ipaddress import IPv4Address
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.aio.figures import SessionFigures
from pypptp.aio.register import SessionEntry
from pypptp.aio.workers.messages import (
    LARGEST_MESSAGE,
    AccountAnswer,
    AccountQuestion,
    BadMessage,
    End,
    LeaseQuestion,
    Message,
    SessionUp,
    decode,
    encode,
)
from pypptp.auth.account import Account, AddressRule
from pypptp.auth.leases import LeaseRequest
from tests.aio.entries import session_entry

# Names and passwords that are no UTF-8 come as lone surrogates.
texts = st.text(st.characters(codec=None), max_size=40)
rules = st.builds(
    AddressRule,
    st.lists(st.tuples(st.booleans(), st.ip_addresses(v=4).map(lambda address: f"{address}/32"))).map(
        lambda terms: tuple(
            (permitted, AddressRule.from_words([network])[0].terms[0][1]) for permitted, network in terms
        )
    ),
)
accounts = st.builds(
    Account,
    texts,
    st.none() | texts,
    st.none() | st.binary(min_size=16, max_size=16),
    rules,
    texts,
)
entries = st.builds(
    SessionEntry,
    call_id=st.integers(1, 65_535),
    user=texts,
    peer=st.ip_addresses(v=4),
    local=st.ip_addresses(v=4),
    address=st.ip_addresses(v=4),
    interface=texts,
    since=st.floats(0, 1e9),
    method=texts,
    encryption=texts,
    mtu=st.integers(68, 65_535),
    dns=st.lists(st.ip_addresses(v=4), max_size=2).map(tuple),
)
seconds = st.none() | st.floats(0, 1e9)
figures = st.builds(SessionFigures, echo_round_trip=seconds, ack_round_trip=seconds)
for kind, strategy in (
    (AddressRule, rules),
    (Account, accounts),
    (SessionEntry, entries),
    (SessionFigures, figures),
):
    st.register_type_strategy(kind, strategy)
st.register_type_strategy(IPv4Address, st.ip_addresses(v=4))

messages = st.one_of([st.from_type(kind) for kind in get_args(Message)])


@given(messages)
def test_what_was_written_is_read_back(message: Message) -> None:
    try:
        data = encode(message)
    except BadMessage:
        return
    assert decode(data) == message
    assert data.isascii()


@given(st.binary(max_size=60))
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(BadMessage):
        decode(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'["Serve",1]',
        b'["End"]',
        b'["End",5]',
        b'["Disconnect",true,"enough"]',
        b'["Disconnect","7","enough"]',
        b'["SessionDown",7]',
        b'["SessionDown",[7,"enough",2,1,1,1]]',
        b'["Account","a","b",null,[],""]',
        b'["GiveBack","10.0.0.256"]',
        b'["GiveBack",167772161]',
        b'["LeaseQuestion",1,["alice",[[[true,"10.0.0.1/33"]]],"",7]]',
        b'["AccountAnswer",1,["alice","secret",null,[[]]],""]',
        b"[" * 50_000,
    ],
)
def test_what_is_almost_a_message(data: bytes) -> None:
    with pytest.raises(BadMessage):
        decode(data)


def test_one_that_is_too_long() -> None:
    assert len(encode(End("x" * (LARGEST_MESSAGE - 10)))) == LARGEST_MESSAGE
    with pytest.raises(BadMessage, match="more than 61440"):
        encode(End("x" * (LARGEST_MESSAGE - 9)))


def test_the_form_on_the_wire() -> None:
    rule, _ = AddressRule.from_words(["!10.0.0.1", "10.0.0.0/8"])
    assert encode(LeaseQuestion(3, LeaseRequest(user="alice", rule=rule, pool="staff", call_id=7))) == (
        b'["LeaseQuestion",3,["alice",[[[false,"10.0.0.1/32"],[true,"10.0.0.0/8"]]],"staff",7]]'
    )
    assert encode(AccountQuestion(4, "d\\\udcff", "pptpd")) == b'["AccountQuestion",4,"d\\\\\\udcff","pptpd"]'
    assert encode(AccountAnswer(4, None, "")) == b'["AccountAnswer",4,null,""]'


def test_a_password_is_not_in_the_messages_repr() -> None:
    account = Account("alice", "wonderland", bytes(16))
    assert "wonderland" not in repr(AccountAnswer(1, account, ""))


def test_a_whole_number_of_seconds() -> None:
    entry = session_entry(since=5)
    assert decode(encode(SessionUp(entry))) == SessionUp(entry)
