"""Messages in words: one printable line whatever came."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.capture.descriptions import describe_control, describe_ppp, is_message
from pypptp.control.messages import CallDisconnectNotify, SetLinkInfo, StopControlConnectionRequest
from pypptp.ppp.packet import ControlPacket
from tests.capture.tape import option

PROTOCOLS = [0xC021, 0xC023, 0xC223, 0xC227, 0xC029, 0x80FD, 0x8021, 0x8057, 0xC025]


@pytest.mark.parametrize(
    ("protocol", "packet", "words"),
    [
        (
            0xC021,
            ControlPacket(1, 1, option(1, b"\x05\x78") + option(3, b"\xc2\x23\x81") + option(7, b"")),
            "Configure-Request id 1, MRU 1400, AUTHENTICATION MS-CHAPv2, PFC",
        ),
        (
            0xC021,
            ControlPacket(5, 2, b"MPPE required but peer refused"),
            'Terminate-Request id 2, "MPPE required but peer refused"',
        ),
        (0xC021, ControlPacket(8, 3, b"\x80\x57"), "Protocol-Reject id 3, IPV6CP"),
        (0xC021, ControlPacket(1, 4, b"\x01\x01"), "Configure-Request id 4, malformed options"),
        (0xC021, ControlPacket(99, 5), "code 99 id 5"),
        (0xC023, ControlPacket(1, 6, b"\x04root\x06secret"), 'Authenticate-Request id 6, name "root"'),
        (0xC223, ControlPacket(1, 7, b"\x02\xab\xcdpptpd"), 'Challenge id 7, value abcd, name "pptpd"'),
        (0xC223, ControlPacket(4, 8, b"E=691 R=0"), 'Failure id 8, "E=691 R=0"'),
        (0x80FD, ControlPacket(3, 9, option(18, b"\x01\x00\x00\x40")), "Configure-Nak id 9, MPPE 128+stateless"),
        (0x80FD, ControlPacket(1, 9, option(18, bytes(4))), "Configure-Request id 9, MPPE nothing"),
        (0x80FD, ControlPacket(14, 10), "Reset-Request id 10"),
        (
            0x8021,
            ControlPacket(2, 11, option(3, b"\xc0\xa8\x00\xea") + option(129, b"\x01")),
            "Configure-Ack id 11, IP-ADDRESS 192.168.0.234, PRIMARY-DNS 01",
        ),
    ],
)
def test_ppp(protocol: int, packet: ControlPacket, words: str) -> None:
    assert describe_ppp(protocol, packet.build()) == words


def test_control() -> None:
    assert describe_control(SetLinkInfo(peer_call_id=3).build()).startswith(
        "Set-Link-Info, peer_call_id 3, send_accm 0xff"
    )
    assert "Lost Carrier (1)" in describe_control(CallDisconnectNotify(call_id=9, result_code=1).build())
    assert "None (1)" in describe_control(StopControlConnectionRequest().build())
    assert describe_control(SetLinkInfo(peer_call_id=3).build()[:12]).startswith("malformed")


def test_passwords_are_not_shown() -> None:
    assert "secret" not in describe_ppp(0xC023, ControlPacket(1, 6, b"\x04root\x06secret").build())


def test_data_are_no_messages() -> None:
    assert [is_message(protocol) for protocol in (0x21, 0xFD, 0x57, 0x8021, 0xC021, 0xC223)] == [False] * 3 + [True] * 3


@given(st.sampled_from(PROTOCOLS), st.binary(max_size=100))
def test_any_information_field_becomes_one_printable_line(protocol: int, information: bytes) -> None:
    assert describe_ppp(protocol, information).isprintable()


@given(st.sampled_from(PROTOCOLS), st.integers(0, 20), st.binary(max_size=100))
def test_any_data_becomes_one_printable_line(protocol: int, code: int, data: bytes) -> None:
    assert describe_ppp(protocol, ControlPacket(code, 1, data).build()).isprintable()


@given(st.integers(0, 20), st.binary(max_size=300))
def test_any_control_message_becomes_one_printable_line(kind: int, body: bytes) -> None:
    header = (12 + len(body)).to_bytes(2, "big") + b"\x00\x01\x1a\x2b\x3c\x4d" + kind.to_bytes(2, "big") + b"\0\0"
    assert describe_control(header + body).isprintable()
