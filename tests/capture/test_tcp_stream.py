"""Control messages out of segments that come split, glued, twice, late, or not at all."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from pypptp.capture.tcp_stream import LONGEST_WAIT, ControlStream, Segment, parse_segment
from pypptp.control.messages import CallClearRequest, EchoRequest, OutgoingCallReply
from tests.capture.tape import tcp

MESSAGES = [
    EchoRequest(identifier=7).build(),
    OutgoingCallReply(call_id=1, peer_call_id=2, result_code=1).build(),
    CallClearRequest(call_id=2).build(),
    EchoRequest(identifier=8).build(),
]
STREAM = b"".join(MESSAGES)
START = 0xFFFFFFF0


def segment(sequence: int, data: bytes, *, syn: bool = False, end: bool = False) -> Segment:
    return Segment(40000, 1723, sequence & 0xFFFFFFFF, data, syn, end)


def pieces(size: int) -> list[Segment]:
    return [segment(START + start, STREAM[start : start + size]) for start in range(0, len(STREAM), size)]


def read(segments: list[Segment], stream: ControlStream | None = None) -> list[bytes]:
    stream = stream or ControlStream()
    messages = [message for item in segments for message in stream.feed(item, 0)]
    return messages + list(stream.finish())


def test_a_segment_is_parsed() -> None:
    parsed = parse_segment(tcp(40000, 1723, 5, b"data", 0x12))
    assert parsed == Segment(40000, 1723, 5, b"data", True, False)
    assert parse_segment(tcp(40000, 1723, 5, b"data", 0x11), missing=2) == Segment(
        40000, 1723, 5, b"data\0\0", False, True
    )
    assert parse_segment(bytes(19)) is None
    assert parse_segment(bytes(12) + b"\xf0" + bytes(7)) is None


def test_split_everywhere_and_glued() -> None:
    for size in range(1, len(STREAM) + 1):
        assert read(pieces(size)) == MESSAGES


def test_every_segment_twice_and_out_of_order() -> None:
    opening = segment(START - 1, b"", syn=True)
    for seed in range(20):
        segments = pieces(9) * 2
        random.Random(seed).shuffle(segments)
        assert read([opening, *segments]) == MESSAGES


def test_a_repeated_syn_changes_nothing_and_a_new_one_starts_over() -> None:
    opening = segment(START - 1, b"", syn=True)
    again = [segment(77, b"", syn=True), segment(78, STREAM)]
    assert read([opening, *pieces(30)[:2], opening, *pieces(30)[2:], *again]) == MESSAGES * 2


def test_behind_a_gap_reading_goes_on_with_the_next_message() -> None:
    stream = ControlStream()
    segments = [segment(START + STREAM.find(message), message) for message in MESSAGES]
    assert read([segments[0], *segments[2:]], stream) == [MESSAGES[0], *MESSAGES[2:]]
    assert stream.gaps == 1


def test_a_gap_is_not_waited_for_for_ever() -> None:
    stream = ControlStream()
    assert list(stream.feed(segment(0, MESSAGES[0]), 0)) == MESSAGES[:1]
    assert list(stream.feed(segment(500, MESSAGES[1]), 1)) == []
    assert list(stream.feed(segment(500 + len(MESSAGES[1]), MESSAGES[2]), LONGEST_WAIT + 2)) == MESSAGES[1:3]


def test_a_capture_may_begin_inside_a_message() -> None:
    for cut in range(1, len(MESSAGES[0])):
        stream = ControlStream()
        assert read([segment(START, STREAM[cut:])], stream) == MESSAGES[1:]
        assert stream.skipped == len(MESSAGES[0]) - cut


def test_rubbish_between_messages_is_skipped() -> None:
    rubbish = bytes(range(50))
    assert read([segment(0, MESSAGES[0] + rubbish + MESSAGES[1])]) == MESSAGES[:2]


@given(st.lists(st.tuples(st.integers(0, 300), st.binary(max_size=60), st.booleans(), st.booleans()), max_size=40))
def test_any_segments_give_framed_messages(items: list[tuple[int, bytes, bool, bool]]) -> None:
    for message in read([segment(sequence, data, syn=syn, end=end) for sequence, data, syn, end in items]):
        assert int.from_bytes(message[:2], "big") == len(message)
        assert message[4:8] == b"\x1a\x2b\x3c\x4d"


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_any_cut_and_order_give_the_same_messages(sizes: list[int], source: random.Random) -> None:
    segments: list[Segment] = []
    start = 0
    while start < len(STREAM):
        size = sizes[len(segments) % len(sizes)]
        segments.append(segment(START + start, STREAM[start : start + size]))
        start += size
    source.shuffle(segments)
    assert read([segment(START - 1, b"", syn=True), *segments]) == MESSAGES
