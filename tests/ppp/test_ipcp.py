"""IPCP: who gives which address to whom, and the name servers of RFC 1877."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.ppp.automaton import State
from pypptp.ppp.control_protocol import NegotiationLimits
from pypptp.ppp.ipcp import UNSPECIFIED, Ipcp, OptionType
from pypptp.ppp.packet import Code
from tests.ppp.driving import Alone, Pair, options_of

GATEWAY = IPv4Address("192.168.0.1")
POOL = IPv4Address("192.168.0.234")
DNS = (IPv4Address("192.168.0.53"), IPv4Address("192.168.0.54"))
NBNS = (IPv4Address("192.168.0.137"),)
PRIMARY_DNS, SECONDARY_DNS = OptionType.PRIMARY_DNS, OptionType.SECONDARY_DNS
PRIMARY_NBNS, SECONDARY_NBNS = OptionType.PRIMARY_NBNS, OptionType.SECONDARY_NBNS


def server(dns: tuple[IPv4Address, ...] = (), nbns: tuple[IPv4Address, ...] = ()) -> Ipcp:
    return Ipcp(ours=GATEWAY, peer=POOL, dns=dns, nbns=nbns, ask_dns=False, limits=NegotiationLimits())


def client(*, ask_dns: bool = True, ours: IPv4Address = UNSPECIFIED) -> Ipcp:
    return Ipcp(ours=ours, peer=None, dns=(), nbns=(), ask_dns=ask_dns, limits=NegotiationLimits())


def address(value: IPv4Address | str) -> tuple[int, bytes]:
    return OptionType.IP_ADDRESS, IPv4Address(value).packed


@pytest.mark.parametrize("dns", [(), DNS[:1], DNS])
@pytest.mark.parametrize("ask_dns", [True, False])
def test_a_client_gets_its_address_and_what_name_servers_there_are(dns: tuple[IPv4Address, ...], ask_dns: bool) -> None:
    ours, theirs = client(ask_dns=ask_dns), server(dns)
    pair = Pair(ours, theirs)
    pair.start()
    pair.run(0)
    assert ours.opened
    assert theirs.opened
    assert (ours.address.ours, ours.address.peer_accepted) == (POOL, GATEWAY)
    assert (theirs.address.ours, theirs.address.peer_accepted) == (GATEWAY, POOL)
    assert ours.dns_received == (dns if ask_dns else ())


class TestServer:
    def test_zero_is_naked_with_the_address_and_that_is_acknowledged(self) -> None:
        driven = Alone(server())
        answer = driven.ask(address(UNSPECIFIED))
        assert answer.code == Code.CONFIGURE_NAK
        assert options_of(answer) == [address(POOL)]
        assert driven.ask(address(POOL)).code == Code.CONFIGURE_ACK
        assert driven.machine.address.peer_accepted == POOL

    @pytest.mark.parametrize(
        "wanted",
        ["192.168.0.1", "192.168.0.235", "192.168.0.255", "255.255.255.255", "127.0.0.1", "224.0.0.1", "8.8.8.8"],
    )
    def test_any_other_is_never_acknowledged(self, wanted: str) -> None:
        driven = Alone(server())
        answers = [driven.ask(address(wanted)) for _ in range(8)]
        assert [answer.code for answer in answers] == [Code.CONFIGURE_NAK] * 5 + [Code.CONFIGURE_REJECT] * 3
        assert options_of(answers[0]) == [address(POOL)]
        assert driven.machine.address.peer_accepted is None

    @pytest.mark.parametrize("value", [b"", b"\x00", bytes(5)])
    def test_a_wrong_length_is_naked(self, value: bytes) -> None:
        assert options_of(Alone(server()).ask((OptionType.IP_ADDRESS, value))) == [address(POOL)]

    def test_a_peer_that_names_none_is_given_its_own(self) -> None:
        answer = Alone(server()).ask()
        assert answer.code == Code.CONFIGURE_NAK
        assert options_of(answer) == [address(POOL)]

    def test_name_servers_are_given_by_nak(self) -> None:
        driven = Alone(server(DNS, NBNS))
        zero = bytes(4)
        answer = driven.ask(address(POOL), (PRIMARY_DNS, zero), (SECONDARY_DNS, zero), (PRIMARY_NBNS, zero))
        assert answer.code == Code.CONFIGURE_NAK
        given = [(PRIMARY_DNS, DNS[0].packed), (SECONDARY_DNS, DNS[1].packed), (PRIMARY_NBNS, NBNS[0].packed)]
        assert options_of(answer) == given
        assert driven.ask(address(POOL), *given).code == Code.CONFIGURE_ACK

    def test_those_there_are_none_of_are_rejected_not_naked_with_zero(self) -> None:
        driven = Alone(server(DNS[:1]))
        missing = [(SECONDARY_DNS, bytes(4)), (PRIMARY_NBNS, bytes(4)), (SECONDARY_NBNS, bytes(4))]
        answer = driven.ask(address(POOL), (PRIMARY_DNS, bytes(4)), *missing)
        assert answer.code == Code.CONFIGURE_REJECT
        assert options_of(answer) == missing

    @pytest.mark.parametrize(
        "option",
        [
            (OptionType.IP_COMPRESSION, bytes.fromhex("002d0f01")),
            (OptionType.IP_ADDRESSES, bytes(8)),
            (OptionType.MOBILE_IPV4, bytes(4)),
            (144, bytes(4)),
        ],
        ids=["VJ", "IP-Addresses", "mobile IPv4", "144"],
    )
    def test_what_else_there_is_is_rejected(self, option: tuple[int, bytes]) -> None:
        answer = Alone(server()).ask(address(POOL), option)
        assert answer.code == Code.CONFIGURE_REJECT
        assert options_of(answer) == [option]

    def test_a_nak_does_not_move_the_server(self) -> None:
        driven = Alone(server())
        driven.answer(Code.CONFIGURE_NAK, address("10.0.0.1"))
        assert options_of(driven.request) == [address(GATEWAY)]

    def test_a_peer_that_does_not_want_to_know_ours_may_leave_it_out(self) -> None:
        driven = Alone(server())
        driven.answer(Code.CONFIGURE_REJECT, address(GATEWAY))
        assert driven.request.data == b""
        driven.open(address(POOL))

    @given(st.binary(min_size=4, max_size=4))
    def test_one_address_and_no_other(self, value: bytes) -> None:
        got = Alone(server()).ask((OptionType.IP_ADDRESS, value))
        assert (got.code == Code.CONFIGURE_ACK) == (value == POOL.packed)


class TestClient:
    def test_it_asks_for_an_address_and_two_name_servers(self) -> None:
        zero = bytes(4)
        assert options_of(Alone(client()).request) == [address("0.0.0.0"), (PRIMARY_DNS, zero), (SECONDARY_DNS, zero)]
        assert options_of(Alone(client(ask_dns=False)).request) == [address("0.0.0.0")]

    def test_it_takes_what_it_is_given(self) -> None:
        driven = Alone(client())
        driven.answer(Code.CONFIGURE_NAK, address(POOL), (PRIMARY_DNS, DNS[0].packed))
        assert options_of(driven.request) == [address(POOL), (PRIMARY_DNS, DNS[0].packed), (SECONDARY_DNS, bytes(4))]

    @pytest.mark.parametrize("bad", ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"])
    def test_it_does_not_take_what_is_no_address_of_a_host(self, bad: str) -> None:
        driven = Alone(client(ask_dns=False))
        driven.answer(Code.CONFIGURE_NAK, address(bad))
        assert options_of(driven.request) == [address("0.0.0.0")]

    def test_a_peer_without_an_address_is_let_be(self) -> None:
        driven = Alone(client(ask_dns=False))
        assert driven.ask().code == Code.CONFIGURE_ACK
        assert driven.machine.address.peer_accepted is None

    @pytest.mark.parametrize("bad", ["0.0.0.0", "127.0.0.1", "239.1.1.1", "255.255.255.255"])
    def test_a_peer_with_none_of_its_own_is_told_to_leave_it_out(self, bad: str) -> None:
        driven = Alone(client())
        answer = driven.ask(address(bad))
        assert answer.code == Code.CONFIGURE_REJECT
        assert options_of(answer) == [address(bad)]
        assert driven.ask().code == Code.CONFIGURE_ACK

    def test_it_gives_no_name_servers(self) -> None:
        assert Alone(client()).ask((PRIMARY_DNS, bytes(4))).code == Code.CONFIGURE_REJECT

    def test_rejected_name_servers_are_none(self) -> None:
        driven = Alone(client())
        driven.answer(Code.CONFIGURE_NAK, (PRIMARY_DNS, DNS[0].packed))
        driven.answer(Code.CONFIGURE_REJECT, (PRIMARY_DNS, DNS[0].packed), (SECONDARY_DNS, bytes(4)))
        assert options_of(driven.request) == [address("0.0.0.0")]
        assert driven.machine.dns_received == ()

    def test_an_acknowledged_zero_is_no_name_server(self) -> None:
        driven = Alone(client())
        driven.open(address(GATEWAY))
        assert driven.machine.dns_received == ()

    def test_it_keeps_an_address_of_its_own(self) -> None:
        driven = Alone(client(ask_dns=False, ours=POOL))
        driven.answer(Code.CONFIGURE_NAK, address("10.0.0.1"))
        assert options_of(driven.request) == [address(POOL)]

    def test_a_server_that_never_gives_in_is_given_up(self) -> None:
        driven = Alone(client())
        for _ in range(50):
            driven.answer(Code.CONFIGURE_NAK, address("0.0.0.0"))
        assert driven.is_in(State.STOPPED)
        assert driven.machine.failure == "IPCP: the peer refuses every value offered"

    def test_a_new_negotiation_asks_for_everything_again(self) -> None:
        pair = Pair(ours := client(), server(DNS))
        pair.start()
        pair.run(0)
        ours.renegotiate(pair.now)
        assert options_of(ours.packets[-1])[0] == address("0.0.0.0")
        pair.run(0)
        assert ours.opened
        assert (ours.address.ours, ours.dns_received) == (POOL, DNS)


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=6)), max_size=6))
def test_whatever_a_client_acknowledges_its_server_is_a_host_or_nameless(options: list[tuple[int, bytes]]) -> None:
    machine = client()
    answer = Alone(machine).ask(*options)
    if answer.code == Code.CONFIGURE_ACK:
        assert options_of(answer) == options
        peer = machine.address.peer_accepted
        assert peer is None or not (peer.is_unspecified or peer.is_loopback or peer.is_multicast or peer.is_reserved)
