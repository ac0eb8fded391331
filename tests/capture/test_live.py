from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.capture.credentials import Credentials
from pypptp.capture.decoding import InnerPacket, MessageLine, decode
from pypptp.capture.link_layers import find_network_layer
from pypptp.capture.live import LiveDecoder, sniff
from pypptp.capture.pcap_file import read_capture
from pypptp.errors import NetworkError

CAPTURES = Path(__file__).resolve().parents[1] / "vectors" / "captures"
LOGINS = {"lab": Credentials("root", "123456"), "interop": Credentials("VPNUSER", "Pa55-wort")}
NAMES = [
    "lab/mppe128-stateless.pcap",
    "lab/mppe40-stateless.pcap",
    "lab/chap-md5.pcap",
    "lab/pap.pcap",
    "interop/stateful-128.pcap",
    "interop/two-clients.pcap",
    "interop/fragments.pcap",
]


@pytest.mark.parametrize("name", NAMES)
def test_live_shows_what_the_whole_file_shows(name: str) -> None:
    credentials = LOGINS[name.partition("/")[0]]
    decoder = LiveDecoder(credentials)
    found: list[MessageLine | InnerPacket] = []
    for packet in read_capture(CAPTURES / name):
        layer = find_network_layer(packet.link_type, packet.data)
        if layer is not None:  # ARP is none
            found += decoder.feed(layer[1], packet.time)
    whole = decode(read_capture(CAPTURES / name), credentials)
    lines = [(line.layer, line.text) for line in found if isinstance(line, MessageLine)]
    assert lines == [(line.layer, line.text) for line in whole.messages()]
    inner = [packet.packet for packet in found if isinstance(packet, InnerPacket)]
    assert sorted(inner) == sorted(packet.packet for packet in whole.inner)
    assert decoder.packets > 10


def test_another_user_is_not_decrypted() -> None:
    decoder = LiveDecoder(Credentials("somebody", "123456"))
    for packet in read_capture(CAPTURES / "lab/mppe40-stateless.pcap"):
        layer = find_network_layer(packet.link_type, packet.data)
        if layer is not None:
            decoder.feed(layer[1], packet.time)
    assert decoder.follower.decrypted == 0
    assert decoder.follower.undecrypted == 12


@given(st.lists(st.binary(max_size=80), max_size=20))
def test_nothing_on_the_wire_is_an_error(packets: list[bytes]) -> None:
    decoder = LiveDecoder(Credentials("a", "b"))
    for number, packet in enumerate(packets):
        decoder.feed(packet, number)
        decoder.feed(b"\x45\0" + bytes((0, 20 + len(packet))) + bytes(5) + b"\x2f" + bytes(10) + packet, number)


@pytest.mark.netns  # for the socket
def test_an_interface_that_is_not_there() -> None:
    with pytest.raises(NetworkError, match="there is no interface nosuch0 here"):
        next(sniff("nosuch0"))
