from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.capture.following import MAXIMUM_CALLS, CallFollower
from pypptp.capture.link_layers import find_network_layer
from pypptp.capture.pcap_file import read_capture
from pypptp.control.messages import OutgoingCallReply
from pypptp.gre import build_header

CAPTURES = Path(__file__).resolve().parents[1] / "vectors" / "captures"
A, B = IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2")


def datagrams(name: str) -> list[tuple[IPv4Address, IPv4Address, bytes]]:
    """The GRE packets of a capture that came in one piece."""
    found = []
    for packet in read_capture(CAPTURES / name):
        layer = find_network_layer(packet.link_type, packet.data)
        if layer is None:  # ARP
            continue
        data = layer[1]
        if data[9] == 47 and int.from_bytes(data[6:8], "big") & 0x3FFF == 0:
            end = int.from_bytes(data[2:4], "big")
            found.append((IPv4Address(data[12:16]), IPv4Address(data[16:20]), data[20:end]))
    return found


@pytest.mark.parametrize("name", ["lab/mppe40-stateless.pcap", "lab/mschapv1-mppe128.pcap", "interop/stateful-40.pcap"])
def test_without_the_control_connection_everything_is_decrypted(name: str) -> None:
    follower = CallFollower(lambda user: {"root": "123456", "vpnuser": "Pa55-wort"}.get(user))
    followed = [follower.receive(*datagram) for datagram in datagrams(name)]
    assert follower.decrypted >= 8
    assert follower.undecrypted == 0
    known = [frame.from_client for frame in followed if frame is not None and frame.plaintext is not None]
    assert set(known) == {True, False}


def test_an_unknown_user_is_followed_all_the_same() -> None:
    follower = CallFollower(lambda user: None)
    for datagram in datagrams("lab/mppe40-stateless.pcap"):
        follower.receive(*datagram)
    assert (follower.decrypted, follower.undecrypted) == (0, 12)


def test_the_reply_pairs_the_call_ids() -> None:
    follower = CallFollower(lambda user: None)
    reply = OutgoingCallReply(call_id=7, peer_call_id=9, result_code=1, connect_speed=1, packet_receive_window_size=1)
    follower.learn(A, B, reply)
    frame = b"\xff\x03\xc0\x21\x09\1\0\4"
    assert [
        follower.receive(source, destination, build_header(len(frame), call_id, 0, None) + frame)
        for source, destination, call_id in ((B, A, 7), (A, B, 9))
    ] == [
        type(first)(0, 0xC021, frame[4:], from_client, None)
        for from_client in (True, False)
        if (first := follower.receive(B, A, build_header(len(frame), 7, 1, None) + frame)) is not None
    ]


def test_no_more_calls_than_it_can_hold() -> None:
    follower = CallFollower(lambda user: None)
    frame = b"\xc0\x21\x09\1\0\4"
    for number in range(MAXIMUM_CALLS + 100):
        follower.receive(A, IPv4Address(number + (1 << 24)), build_header(len(frame), 1, 0, None) + frame)
    assert len(follower._calls) == MAXIMUM_CALLS


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.binary(max_size=60)), max_size=30))
def test_nothing_that_goes_by_is_an_error(packets: list[tuple[bool, int, bytes]]) -> None:
    follower = CallFollower(lambda user: "password")
    for number, (forward, call_id, frame) in enumerate(packets):
        ends = (A, B) if forward else (B, A)
        follower.receive(*ends, build_header(len(frame), call_id, number, None) + frame)
        follower.receive(*ends, frame)
