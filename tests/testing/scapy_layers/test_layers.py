from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP
from scapy.layers.l2 import GRE_PPTP
from scapy.layers.ppp import HDLC, PPP, PPP_CHAP, PPP_LCP, PPP_CHAP_ChallengeResponse, PPP_LCP_Configure, PPP_LCP_Echo
from scapy.packet import Packet, Raw

from pypptp.ppp.auth.chap import build_value
from pypptp.ppp.packet import ControlPacket, Option, build_options
from pypptp.testing.scapy_layers import (
    MPPE,
    PPP_CCP,
    PPP_IPV6CP,
    PPP_CCP_BSD_Option,
    PPP_CCP_Configure,
    PPP_CCP_Deflate_Option,
    PPP_CCP_MPPE_Option,
    PPP_CCP_Option,
    PPP_CCP_Stac_Option,
    PPP_IPV6CP_Interface_Identifier_Option,
    PPP_IPV6CP_Option,
    PPP_LCP_Identification,
    PPP_MSCHAP_Response,
    PPP_MSCHAPv2_Response,
)

RESPONSE_V2 = bytes(range(16)) + bytes(8) + bytes(range(100, 124)) + b"\0"
RESPONSE_V1 = bytes(range(1, 25)) + bytes(range(100, 124)) + b"\1"


def frame(protocol: int, packet: ControlPacket) -> bytes:
    return protocol.to_bytes(2, "big") + packet.build()


def configure(*options: Option, code: int = 1) -> ControlPacket:
    return ControlPacket(code, 7, build_options(options))


BUILT = [
    (PPP_CCP_Configure(id=7, options=[PPP_CCP_MPPE_Option()]), 0x80FD, configure(Option(18, b"\1\0\0\x40"))),
    (
        PPP_CCP_Configure(
            id=7, code=4, options=[PPP_CCP_Deflate_Option(), PPP_CCP_BSD_Option(), PPP_CCP_Stac_Option()]
        ),
        0x80FD,
        configure(Option(26, b"\x78\0"), Option(21, b"\x2f"), Option(17, b"\0\1\3"), code=4),
    ),
    (PPP_CCP_Configure(id=7, options=[PPP_CCP_Option(type=1)]), 0x80FD, configure(Option(1))),
    (PPP_CCP_Configure(id=7, options=[PPP_CCP_Option(type=18, data=b"?")]), 0x80FD, configure(Option(18, b"?"))),
    (PPP_CCP(code=14, id=7), 0x80FD, ControlPacket(14, 7)),
    (PPP_CCP(code=5, id=7, data=b"bye"), 0x80FD, ControlPacket(5, 7, b"bye")),
    (
        PPP_IPV6CP(id=7, options=[PPP_IPV6CP_Interface_Identifier_Option(interface_identifier=bytes(range(8)))]),
        0x8057,
        configure(Option(1, bytes(range(8)))),
    ),
    (PPP_IPV6CP(id=7, options=[PPP_IPV6CP_Option(type=2, data=b"\0\x61")]), 0x8057, configure(Option(2, b"\0\x61"))),
    (
        PPP_LCP_Identification(id=7, magic_number=5, message=b"MSRASV5.20"),
        0xC021,
        ControlPacket(12, 7, b"\0\0\0\5MSRASV5.20"),
    ),
    (
        PPP_MSCHAPv2_Response(
            id=7, peer_challenge=RESPONSE_V2[:16], nt_response=RESPONSE_V2[24:48], optional_name=b"alice"
        ),
        0xC223,
        ControlPacket(2, 7, build_value(RESPONSE_V2, b"alice")),
    ),
    (
        PPP_MSCHAP_Response(id=7, lm_response=RESPONSE_V1[:24], nt_response=RESPONSE_V1[24:48], optional_name=b"alice"),
        0xC223,
        ControlPacket(2, 7, build_value(RESPONSE_V1, b"alice")),
    ),
]


@pytest.mark.parametrize(("layer", "protocol", "packet"), BUILT, ids=lambda value: getattr(value, "name", ""))
def test_there_and_back(layer: Packet, protocol: int, packet: ControlPacket) -> None:
    octets = frame(protocol, packet)
    assert bytes(PPP() / layer) == octets
    read = PPP(octets)
    assert type(read.payload) is type(layer)
    assert [type(option) for option in read.payload.fields.get("options", [])] == [
        type(option) for option in layer.fields.get("options", [])
    ]
    assert bytes(read) == octets


@pytest.mark.parametrize(
    ("octets", "kind"),
    [
        (frame(0xC021, configure(Option(5, bytes(4)))), PPP_LCP_Configure),
        (frame(0xC021, ControlPacket(9, 1, bytes(4))), PPP_LCP_Echo),
        (frame(0xC021, ControlPacket(13, 1, bytes(8))), PPP_LCP),
        (frame(0xC223, ControlPacket(1, 1, build_value(bytes(16), b"pptpd"))), PPP_CHAP_ChallengeResponse),
        (frame(0xC223, ControlPacket(2, 1, build_value(bytes(16), b"alice"))), PPP_CHAP_ChallengeResponse),
        (frame(0xC223, ControlPacket(3, 1, b"S=1")), PPP_CHAP),
    ],
)
def test_scapys_own_layers_still_come_out(octets: bytes, kind: type[Packet]) -> None:
    assert kind in PPP(octets)
    assert bytes(PPP(octets)) == octets


def test_the_mppe_header() -> None:
    read = GRE_PPTP(
        bytes(GRE_PPTP(seqnum_present=1, call_id=1, sequence_number=0) / HDLC() / PPP(b"\xfd\x9f\xffsecret"))
    )
    assert (read[MPPE].flushed, read[MPPE].encrypted, read[MPPE].coherency_count) == (1, 1, 0xFFF)
    assert read[Raw].load == b"secret"
    assert bytes(PPP(b"\0\xfd") / Raw(b"")) == b"\0\xfd"
    assert bytes(PPP() / MPPE(coherency_count=5) / b"x") == b"\0\xfd\x90\5x"


def test_bits_by_name() -> None:
    option = PPP_CCP_MPPE_Option(bits="stateless+56+40")
    assert bytes(option) == b"\x12\6\1\0\0\xa0"
    assert PPP_CCP_MPPE_Option(bytes(option)).bits == "40+56+stateless"


@given(st.binary(max_size=80), st.sampled_from([0x80FD, 0x8057, 0xC021, 0xC223, 0x00FD]))
def test_any_octets_can_be_dissected(octets: bytes, protocol: int) -> None:
    whole = protocol.to_bytes(2, "big") + octets
    read = PPP(whole)
    assert isinstance(read.summary(), str)
    assert IP not in read
