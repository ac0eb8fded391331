import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.gre import (
    ACK_ONLY,
    DELIVER,
    HEADROOM,
    MALFORMED,
    WRONG_CALL,
    GreHeader,
    Tunnel,
    TunnelConfig,
    build_header,
    parse_header,
)
from tests.gre.driving import (
    LOCAL,
    PEER,
    bare_ack,
    frame,
    new_tunnel,
    numbers,
    payload_of,
    receive,
    receive_numbers,
    run_timers,
    send,
)

MASK = 0xFFFFFFFF


def judge(tunnel: Tunnel, packet: bytes, now: float = 0.0) -> int:
    return tunnel.receive(packet, 0, len(packet), now)


# -- frames out


def test_frame_out_octet_for_octet() -> None:  # gre/4.1/1
    tunnel = new_tunnel()
    assert send(tunnel, payload=b"\xff\x03\xc0\x21") == bytes.fromhex("3001880b0004abcd00000000ff03c021")
    receive_numbers(tunnel, [0, 1])
    assert send(tunnel, payload=b"\xff\x03") == bytes.fromhex("3081880b0002abcd0000000100000001ff03")


def test_numbers_start_at_0_and_acks_take_none() -> None:  # gre/4.1/2
    tunnel = new_tunnel()
    sequences = []
    for received in range(5):
        header = parse_header(send(tunnel))
        assert header is not None
        sequences.append(header.sequence)
        receive_numbers(tunnel, [received])
        packet = tunnel.bare_ack(0.0)
        assert packet is not None
        assert parse_header(packet) == GreHeader(0, PEER, None, received, 12)
    assert sequences == [0, 1, 2, 3, 4]


def test_numbers_wrap() -> None:
    tunnel = new_tunnel(first_sequence=0xFFFFFFFE)
    headers = [parse_header(send(tunnel)) for _ in range(4)]
    assert [header.sequence for header in headers if header] == [0xFFFFFFFE, 0xFFFFFFFF, 0, 1]
    assert tunnel.in_flight == 4
    judge(tunnel, bare_ack(0))
    assert tunnel.in_flight == 1


def test_headroom_suffices_and_nothing_else_is_touched() -> None:
    tunnel = new_tunnel()
    receive_numbers(tunnel, [0])
    buffer = bytearray(b"\xee" * (HEADROOM + 10))
    assert tunnel.write_header(buffer, HEADROOM, HEADROOM + 6, 0.0) == 0
    assert buffer[HEADROOM:] == b"\xee" * 10
    assert tunnel.write_header(buffer, HEADROOM, HEADROOM + 6, 0.0) == 4


# -- packets refused


@pytest.mark.parametrize(
    ("first_word", "counter"),
    [
        ("3000880b", "wrong_version"),
        ("30010800", "wrong_protocol"),
        ("1001880b", "key_missing"),
        ("b001880b", "checksum_or_routing"),
        ("7001880b", "checksum_or_routing"),
        ("3801880b", "reserved_bits"),
        ("3101880b", "reserved_bits"),
        ("3009880b", "reserved_bits"),
    ],
)
def test_wrong_first_word_is_dropped_and_counted(first_word: str, counter: str) -> None:  # gre/4.1/3
    tunnel = new_tunnel()
    packet = frame(0)
    assert judge(tunnel, bytes.fromhex(first_word) + packet[4:]) == MALFORMED
    assert tunnel.counters()[counter] == 1
    assert sum(tunnel.counters().values()) == 1
    assert receive_numbers(tunnel, [0]) == [0]


@pytest.mark.parametrize("length", range(16))
def test_truncated_header_is_dropped(length: int) -> None:  # gre/4.1/4
    tunnel = new_tunnel()
    assert judge(tunnel, frame(0, ack=0)[:length]) == MALFORMED
    assert tunnel.counters()["truncated"] == 1
    assert tunnel.received == 0


def test_every_cut_of_a_packet_is_dropped_whatever_follows_in_the_buffer() -> None:
    packet = frame(0, ack=0)
    for end in range(len(packet)):
        tunnel = new_tunnel()
        assert tunnel.receive(bytearray(packet + bytes(32)), 0, end, 0.0) == MALFORMED


def test_payload_beyond_the_packet_is_dropped() -> None:  # gre/4.1/5
    tunnel = new_tunnel()
    assert judge(tunnel, frame(0)[:-1]) == MALFORMED
    assert judge(tunnel, frame(0, b"x")[:-1] + b"") == MALFORMED
    assert tunnel.counters()["payload_beyond_packet"] == 2
    assert tunnel.received == 0


@pytest.mark.parametrize("payload", [b"x", b"xyz", bytes(100)])
def test_padding_is_cut(payload: bytes) -> None:  # gre/4.1/5
    assert receive(new_tunnel(), frame(0, payload) + b"padding") == [(0, payload)]


@pytest.mark.parametrize("payload", [b"x", b"xyz", b"four"])
def test_frames_shorter_than_the_longest_header(payload: bytes) -> None:
    tunnel = new_tunnel()
    assert receive(tunnel, frame(0, payload)) == [(0, payload)]
    assert receive(tunnel, frame(1, payload)) == [(1, payload)]


def test_frame_without_payload_is_no_delivery() -> None:  # gre/4.1/6
    tunnel = new_tunnel()
    receive_numbers(tunnel, [0])
    for packet in (frame(1, b""), frame(1, b"", ack=0), frame(1, b"") + bytes(20), build_header(0, LOCAL)):
        assert judge(tunnel, packet) == ACK_ONLY
    assert tunnel.counters()["empty"] == 4
    assert tunnel.highest_received == 0


@pytest.mark.parametrize("following", [[1, 2], [2, 3]])
def test_frame_without_payload_may_or_may_not_take_a_number(following: list[int]) -> None:
    tunnel = new_tunnel()
    receive_numbers(tunnel, [0])
    judge(tunnel, frame(1, b""))
    assert receive_numbers(tunnel, following) == following


def test_bare_ack_is_no_delivery() -> None:  # gre/4.1/6
    tunnel = new_tunnel()
    send(tunnel)
    assert judge(tunnel, bare_ack(0)) == ACK_ONLY
    assert judge(tunnel, bare_ack(0) + bytes(34)) == ACK_ONLY
    assert tunnel.counters()["acks_received"] == 2
    assert tunnel.bare_ack(0.0) is None


def test_payload_without_a_number_is_dropped() -> None:
    tunnel = new_tunnel()
    assert judge(tunnel, build_header(4, LOCAL, None, 0) + b"data") == MALFORMED
    assert tunnel.counters()["payload_without_sequence"] == 1


def test_all_other_call_ids_are_refused() -> None:  # gre/4.1/8, the tunnel's half
    tunnel = new_tunnel()
    receive_numbers(tunnel, [0])
    send(tunnel)
    for call_id in range(65536):
        if call_id != LOCAL:
            assert judge(tunnel, frame(1, b"forged", ack=0, call_id=call_id)) == WRONG_CALL
    assert tunnel.counters()["wrong_call"] == 65535
    assert tunnel.in_flight == 1
    assert receive_numbers(tunnel, [1]) == [1]


@given(st.binary(max_size=64), st.integers(0, 70), st.integers(0, 70))
def test_any_octets_never_raise(data: bytes, start: int, end: int) -> None:
    end = min(end, len(data))
    tunnel = new_tunnel()
    verdict = tunnel.receive(data, start, end, 0.0)
    if verdict == DELIVER:
        assert start < tunnel.payload_start < tunnel.payload_end <= end
    run_timers(tunnel, 1.0)


first_words = st.sampled_from([0x3001880B, 0x3081880B, 0x2081880B, 0x2001880B])
edges = st.sampled_from([0, 1, 2, 63, 64, 65, 5000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF])
packets = st.builds(
    lambda word, length, sequence, ack, rest: (
        word.to_bytes(4, "big")
        + length.to_bytes(2, "big")
        + LOCAL.to_bytes(2, "big")
        + sequence.to_bytes(4, "big")
        + ack.to_bytes(4, "big")
        + rest
    ),
    first_words,
    st.integers(0, 24),
    edges,
    edges,
    st.binary(max_size=24),
)


@given(
    st.lists(st.tuples(packets, st.booleans(), st.floats(0, 0.3)), max_size=60),
    st.sampled_from([1, 2, 64, 65, 100_000, 0x7FFFFFFF]),
)
def test_after_any_well_formed_packets_a_flow_gets_through(steps: list[tuple[bytes, bool, float]], jump: int) -> None:
    tunnel = new_tunnel(reorder_window=64)
    now = 0.0
    for packet, forged, pause in steps:
        now += pause
        run_timers(tunnel, now)
        if receive(tunnel, packet, now) and forged:
            tunnel.take_back()
        send(tunnel, now)
        assert tunnel.in_flight <= tunnel.sent
    now += 20
    run_timers(tunnel, now)
    flow = [((tunnel.highest_received or 0) + jump + offset) & MASK for offset in range(3)]
    taken = receive_numbers(tunnel, flow[:2], now) + numbers(run_timers(tunnel, now + 0.2))
    assert flow[1] in taken
    assert receive_numbers(tunnel, flow[2:], now + 1) == flow[2:]


# -- acknowledgements out


def test_twenty_frames_without_data_are_acknowledged_in_time() -> None:  # gre/4.2/2
    tunnel = new_tunnel()
    for sequence in range(20):
        receive_numbers(tunnel, [sequence], now=10.0 + sequence / 1000)
    assert not tunnel.ack_ready
    deadline = tunnel.get_timer()
    assert deadline is not None
    assert deadline == pytest.approx(10.1)
    tunnel.handle_timer(deadline)
    assert tunnel.ack_ready
    assert tunnel.get_timer() is None
    assert tunnel.bare_ack(deadline) == bytes.fromhex("2081880b0000abcd00000013")
    assert not tunnel.ack_ready
    assert tunnel.bare_ack(deadline) is None
    assert tunnel.get_timer() is None


def test_data_carries_the_ack_and_no_bare_one_follows() -> None:
    tunnel = new_tunnel()
    receive_numbers(tunnel, [0, 1], now=0.0)
    header = parse_header(send(tunnel, 0.05))
    assert header is not None
    assert header.acknowledgement == 1
    tunnel.handle_timer(1.0)
    assert not tunnel.ack_ready
    assert tunnel.bare_ack(1.0) is None
    header = parse_header(send(tunnel, 1.0))
    assert header is not None
    assert header.acknowledgement is None
    assert tunnel.counters()["acks_piggybacked"] == 1
    assert tunnel.counters()["acks_sent"] == 0


def test_highest_number_is_acknowledged_not_the_highest_in_order() -> None:
    tunnel = new_tunnel()
    receive_numbers(tunnel, [0, 4, 2])
    assert tunnel.bare_ack(0.0) == build_header(0, PEER, None, 4)


def test_far_frame_is_acknowledged_only_once_it_is_accepted() -> None:
    tunnel = new_tunnel()
    receive_numbers(tunnel, [0, 1 << 20])
    assert tunnel.highest_received == 0
    receive_numbers(tunnel, [(1 << 20) + 1])
    assert tunnel.highest_received == (1 << 20) + 1


def test_half_a_receive_window_makes_an_ack_ready_at_once() -> None:
    tunnel = new_tunnel(receive_window=16)
    receive_numbers(tunnel, list(range(7)))
    assert not tunnel.ack_ready
    receive_numbers(tunnel, [7])
    assert tunnel.ack_ready


def test_queued_frames_count_towards_half_a_receive_window() -> None:
    tunnel = new_tunnel(receive_window=16)
    receive_numbers(tunnel, list(range(1, 8)))
    receive_numbers(tunnel, [9])
    assert tunnel.ack_ready


def test_frames_refused_are_not_acknowledged() -> None:
    tunnel = new_tunnel()
    receive_numbers(tunnel, [0])
    tunnel.bare_ack(0.0)
    receive_numbers(tunnel, [0, 0])
    assert tunnel.bare_ack(0.0) is None
    assert tunnel.get_timer() is None


# -- acknowledgements in, window, time-out


def test_acks_beyond_what_was_sent_and_backwards_are_ignored() -> None:  # gre/4.2/3
    tunnel = new_tunnel(peer_window=64)
    judge(tunnel, bare_ack(0))
    for _ in range(10):
        send(tunnel)
    judge(tunnel, bare_ack(5))
    assert tunnel.in_flight == 4
    window = tunnel.window
    for number in (10, 1 << 20, 4, 0, 0xFFFFFFFF, 5):
        judge(tunnel, bare_ack(number))
        assert (tunnel.in_flight, tunnel.window) == (4, window)
    assert tunnel.counters()["acks_beyond_sent"] == 3
    assert tunnel.counters()["acks_backwards"] == 3
    judge(tunnel, frame(0, ack=9))
    assert tunnel.in_flight == 0


def test_sending_never_stops_without_acks() -> None:  # gre/4.2/1
    tunnel = new_tunnel(peer_window=4)
    payloads = [b"frame %d" % number for number in range(200)]
    sent = []
    for number, payload in enumerate(payloads):
        now = number / 10
        run_timers(tunnel, now)
        packet = send(tunnel, now, payload)
        sent.append(packet[12:])
    assert sent == payloads
    assert tunnel.window == 1
    assert tunnel.counters()["ack_timeouts"] > 3
    assert tunnel.adaptive_timeout == 10.0


@pytest.mark.parametrize("round_trip", [0.010, 0.500])
def test_time_out_adapts_to_the_round_trip(round_trip: float) -> None:  # gre/4.4/1
    tunnel = new_tunnel(peer_window=8, peer_processing_delay=0.1)
    now = 0.0
    for sequence in range(100):
        send(tunnel, now)
        now += round_trip
        judge(tunnel, bare_ack(sequence), now)
        run_timers(tunnel, now)
    assert tunnel.round_trip_time == pytest.approx(round_trip, rel=0.01)
    assert round_trip <= tunnel.adaptive_timeout <= max(0.05, 1.1 * round_trip)
    assert tunnel.window == 8
    before = tunnel.adaptive_timeout
    send(tunnel, now)
    assert tunnel.get_timer() == pytest.approx(now + before)
    run_timers(tunnel, now + before)
    assert tunnel.adaptive_timeout >= 2 * round_trip
    assert tunnel.window == 4


def test_one_ack_for_many_frames_measures_the_timed_one() -> None:
    tunnel = new_tunnel(peer_processing_delay=1.0)
    for number in range(5):
        send(tunnel, number / 100)
    judge(tunnel, bare_ack(4), 1.0)
    assert tunnel.round_trip.samples == 1
    assert tunnel.round_trip_time == pytest.approx(1.0)
    assert tunnel.get_timer() is None


# -- both ends


def test_two_tunnels_in_both_directions() -> None:
    near = Tunnel(1, 2)
    far = Tunnel(2, 1, config=TunnelConfig(first_sequence=1))
    for number in range(50):
        assert receive(far, send(near, payload=payload_of(number))) == [(number, payload_of(number))]
        assert receive(near, send(far, payload=payload_of(number))) == [(number + 1, payload_of(number))]
    assert near.counters()["acks_piggybacked"] == 49
    assert near.in_flight == 0
    assert far.in_flight == 1
