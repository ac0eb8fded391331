from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.errors import LocalProtocolError
from pypptp.ppp.packet import Code, Option, parse_packet
from pypptp.ppp.protocols import Protocol
from pypptp.testing.playbook.lines import ANY, Frame, Gre, Heard, Ip, Packet, ccp, chap, ipcp, lcp, pap


def heard(line: Packet, identifier: int = 1) -> Heard:
    """What the other side hears of a line."""
    packet = parse_packet(line.build(identifier).build())
    assert packet is not None
    return Heard(line.protocol, packet.code, packet.identifier, packet.data, 0, 0.0)


LINES = [
    lcp.configure_request(
        mru=1400, accm=0, authentication="mschap-v2", magic_number=7, pfc=True, acfc=True, callback=6
    ),
    lcp.configure_request(Option(99, b"?"), mrru=1500, endpoint_discriminator=b"\1abc"),
    lcp.terminate_request(b"bye"),
    lcp.terminate_ack(),
    lcp.code_reject(b"\x2a\1\0\4"),
    lcp.protocol_reject(0x8057),
    lcp.echo_request(bytes(4)),
    lcp.echo_reply(bytes(4), identifier=200),
    ccp.configure_request(mppe=0x01000040, stac=b"\0\1\3", bsd_compress=0x2F, deflate=0x7800),
    ccp.reset_request(),
    ccp.reset_ack(identifier=9),
    ipcp.configure_request(ip_address="0.0.0.0", ip_compression=0x2D, primary_dns="192.0.2.53"),
    chap.challenge(bytes(16), b"pptpd"),
    chap.response(bytes(49), b"alice"),
    chap.success(b"S=0"),
    chap.failure(b"E=691 R=0"),
    pap.request("alice", "wonderland"),
    pap.ack(),
    pap.nak(),
]


@pytest.mark.parametrize("line", LINES, ids=str)
def test_a_line_matches_itself_when_it_is_heard(line: Packet) -> None:
    assert line.matches(heard(line))
    assert sum(other.matches(heard(line)) for other in LINES) == 1


def test_what_is_not_given_does_not_matter() -> None:
    request = heard(lcp.configure_request(mru=1400, magic_number=7), identifier=3)
    for line in (
        lcp.configure_request(),
        lcp.configure_request(mru=1400),
        lcp.configure_request(mru=ANY, identifier=3),
    ):
        assert line.matches(request)
    for line in (
        lcp.configure_request(mru=1401),
        lcp.configure_request(pfc=ANY),
        lcp.configure_request(identifier=4),
        lcp.configure_ack(),
        ipcp.configure_request(),
    ):
        assert not line.matches(request)


def test_answers_take_identifier_and_options_of_the_request() -> None:
    request = heard(lcp.configure_request(mru=1400, magic_number=7, callback=6), identifier=33)
    acknowledged = lcp.configure_ack(request).build(1)
    assert (acknowledged.code, acknowledged.identifier, acknowledged.data) == (2, 33, request.data)
    rejected = lcp.configure_reject(request, "callback").build(1)
    assert (rejected.code, rejected.identifier, rejected.data) == (4, 33, b"\x0d\3\6")
    naked = lcp.configure_nak(request, mru=1500).build(1)
    assert (naked.code, naked.identifier, naked.data) == (3, 33, b"\1\4\5\xdc")
    assert lcp.configure_ack(request, mru=1400, identifier=7).build(1).identifier == 7
    assert lcp.terminate_ack(request).build(1).identifier == 33


def test_what_was_heard_is_read_by_name() -> None:
    challenge = heard(chap.challenge(bytes(range(16)), b"pptpd"))
    assert (challenge.challenge, challenge.name) == (bytes(range(16)), b"pptpd")
    request = heard(ipcp.configure_request(ip_address="192.0.2.1"))
    assert request["ip_address"] == bytes((192, 0, 2, 1))
    assert (request.challenge, request.name, challenge.values) == (b"", b"", {})
    with pytest.raises(KeyError):
        request["primary_dns"]
    with pytest.raises(KeyError):
        challenge["mru"]


def test_words_that_are_none() -> None:
    with pytest.raises(LocalProtocolError, match=r"LCP has no option mtu, but mru"):
        lcp.configure_request(mtu=1400)
    with pytest.raises(LocalProtocolError, match="without the request"):
        lcp.configure_reject(None, "callback")
    with pytest.raises(ValueError, match="Octet"):
        ipcp.configure_request(ip_address="192.0.2.999")


def test_a_line_in_words() -> None:
    assert str(lcp.configure_request(mru=ANY, pfc=True)) == "LCP Configure-Request mru=ANY pfc=True"
    assert str(chap.failure(b"E=691", identifier=2)) == "CHAP Failure id 2 data b'E=691'"
    assert str(lcp.configure_request(Option(99, b"\1"))) == "LCP Configure-Request option 99=01"
    assert str(chap.success()) == "CHAP Success"
    assert str(Packet(Protocol.CHAP, 9)) == "CHAP code 9"
    assert str(Gre(sequence=4)) == "GRE packet sequence 4"
    assert str(Gre()) == "GRE packet"
    assert str(Ip(b"\1")) == "IPv4 packet 01"
    assert str(Frame(0x8057, b"\2")) == "IPV6CP frame 02"


@given(code=st.integers(0, 255), data=st.binary(max_size=60), identifier=st.integers(0, 255))
def test_whatever_comes_can_be_looked_at(code: int, data: bytes, identifier: int) -> None:
    for protocol in (Protocol.LCP, Protocol.CCP, Protocol.IPCP, Protocol.CHAP, Protocol.PAP, 0x4021):
        came = Heard(protocol, code, identifier, data, 0, 0.0)
        assert isinstance(came.values, dict)
        assert isinstance(came.challenge + came.name, bytes)
        assert Packet(protocol, code, identifier, None, data).matches(came)
        assert lcp.packet(Code.CONFIGURE_REQUEST).matches(came) == (protocol == Protocol.LCP and code == 1)
