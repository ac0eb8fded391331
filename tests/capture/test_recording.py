"""What one pass over a capture keeps."""

from __future__ import annotations

from pypptp.capture.pcap_file import Capture
from pypptp.capture.recording import MAXIMUM_CONTROL_STREAMS, Recording, record
from pypptp.control.messages import EchoRequest
from pypptp.gre.header import build_header
from tests.capture.tape import CLIENT, SERVER, Tape, ipv4, pcap, tcp


def gre(payload: bytes, sequence: int | None = None, acknowledgement: int | None = None) -> bytes:
    return ipv4(CLIENT, SERVER, 47, build_header(len(payload), 22, sequence, acknowledgement) + payload)


def read(packets: list[bytes]) -> Recording:
    return record(Capture(pcap(packets)))


def test_gre_packets_are_counted_by_kind() -> None:
    packets = [gre(b"", None, 1), gre(b"\x21E", 1, 1), gre(b"\x21E", 2, 2), gre(b"\x21E", 3), gre(b"")]
    counts = read(packets).gre
    assert (counts.total, counts.ack_only, counts.seq_and_ack, counts.seq_only) == (5, 1, 2, 1)


def test_other_gre_is_not_counted() -> None:
    plain = ipv4(CLIENT, SERVER, 47, b"\x00\x00\x08\x00" + bytes(20))
    short = ipv4(CLIENT, SERVER, 47, b"\x30\x01\x88\x0b\x00\x04")
    assert read([plain, short]).gre.total == 0


def test_the_protocol_field_has_one_or_two_octets_with_and_without_address_and_control() -> None:
    heads = [
        b"\xff\x03\xc0\x21",
        b"\xc0\x21",
        b"\xff\x03\x00\xfd",
        b"\x00\xfd",
        b"\xfd",
        b"\xff\x03\x00\x20",
        b"\x00\x20",
    ]
    recording = read([gre(head + b"data", number) for number, head in enumerate(heads)])
    assert recording.ppp == {0xC021: 2, 0xFD: 3, 0x20: 2}
    (stream,) = recording.streams.values()
    assert {frame.information for frame in stream.frames} == {b"data"}


def test_the_payload_ends_where_gre_says() -> None:
    packet = ipv4(CLIENT, SERVER, 47, build_header(3, 22, 0) + b"\x21ab" + b"padding")
    more = ipv4(CLIENT, SERVER, 47, build_header(9, 22, 1) + b"\x21ab")
    (stream,) = read([packet, more]).streams.values()
    assert [(frame.information, frame.missing) for frame in stream.frames] == [(b"ab", 0), (b"ab", 6)]


def test_sequence_numbers_count_on_over_the_wrap() -> None:
    numbers = [0xFFFFFFFE, 0, 0xFFFFFFFF, 5]
    (stream,) = read([gre(b"\x21E", number) for number in numbers]).streams.values()
    assert [frame.sequence for frame in stream.frames] == [0xFFFFFFFE, 1 << 32, 0xFFFFFFFF, (1 << 32) + 5]


def test_control_messages_know_who_sent_them() -> None:
    message = EchoRequest(identifier=1).build()
    packets = [
        ipv4(CLIENT, SERVER, 6, tcp(40000, 1723, 1, message[:5])),
        ipv4(SERVER, CLIENT, 6, tcp(1723, 40000, 1, message)),
        ipv4(CLIENT, SERVER, 6, tcp(40000, 1723, 6, message[5:])),
        ipv4(CLIENT, SERVER, 6, tcp(40000, 80, 1, message)),
    ]
    control = read(packets).control
    assert [(item.number, item.from_client) for item in control] == [(2, False), (3, True)]
    assert {item.client for item in control} == {(CLIENT, 40000)}
    assert {item.data for item in control} == {message}


def test_many_connections_hold_no_memory_for_ever() -> None:
    message = EchoRequest(identifier=1).build()
    packets = [
        ipv4(CLIENT, SERVER, 6, tcp(1024 + port, 1723, 1, message)) for port in range(MAXIMUM_CONTROL_STREAMS + 50)
    ]
    assert len(read(packets).control) == len(packets)


def test_fragments_are_put_together_first() -> None:
    tape = Tape()
    whole = tape.gre(True, b"\x00\x21" + bytes(range(200)))
    payload = whole[20:]
    first = ipv4(CLIENT, SERVER, 47, payload[:104], fragment=0x2000)
    rest = ipv4(CLIENT, SERVER, 47, payload[104:], fragment=13)
    assert read([whole]).gre == read([rest, first]).gre
    (stream,) = read([rest, first]).streams.values()
    assert stream.frames[0].information == bytes(range(200))
    assert stream.frames[0].number == 2


def test_ppp_frames_of_a_link_capture_are_not_counted_as_gre() -> None:
    recording = record(Capture(pcap([b"\xff\x03\xc0\x21\x09\x00\x00\x08" + bytes(4)], 9)))
    assert not recording.ppp
    assert [frame.protocol for frame in recording.link_frames] == [0xC021]
