"""The two directions of a call found, with and without its control connection."""

from __future__ import annotations

from pypptp.capture.calls import find_calls, read_calls
from pypptp.capture.pcap_file import Capture
from pypptp.capture.recording import record
from tests.capture.tape import CLIENT, SERVER, Tape, ip_frame, pcap


def pairs(packets: list[bytes]) -> list[set[int]]:
    return [{leg.call_id for leg in call.legs} for call in find_calls(record(Capture(pcap(packets))))]


def interleave(*tapes: Tape) -> list[bytes]:
    return [packet for packets in zip(*(tape.packets for tape in tapes), strict=True) for packet in packets]


def test_the_control_connection_names_both_ids() -> None:
    tape = Tape()
    tape.control()
    (call,) = read_calls(record(Capture(pcap(tape.packets))).control)
    assert (call.client, call.server) == (CLIENT, SERVER)
    assert (call.client_call_id, call.server_call_id, call.start) == (11, 22, 1)


def test_calls_at_the_same_time_are_told_apart_by_the_control_connection() -> None:
    tapes = Tape(1, 2), Tape(3, 4), Tape(5, 6)
    for port, tape in enumerate(tapes):
        tape.control(40000 + port)
        for number in range(4):
            tape.data(number % 2 > 0, ip_frame(number))
    assert pairs(interleave(*tapes)) == [{1, 2}, {3, 4}, {5, 6}]


def test_calls_at_the_same_time_are_told_apart_by_what_they_acknowledge() -> None:
    tapes = Tape(1, 2), Tape(3, 4), Tape(5, 6)
    for magic, tape in enumerate(tapes):
        tape.lcp(magic)
    assert pairs(interleave(*tapes)) == [{1, 2}, {3, 4}, {5, 6}]


def test_a_call_recorded_one_way_only() -> None:
    tape = Tape()
    tape.data(True, ip_frame(0))
    assert pairs(tape.packets) == [{22}]


def test_a_repeated_request_is_no_new_call() -> None:
    tape = Tape()
    tape.lcp()
    opening = list(tape.packets)
    for number in range(50):
        tape.data(number % 2 > 0, ip_frame(number))
    assert pairs(tape.packets + opening) == [{11, 22}]
    tape.next_to_server = tape.next_to_client = 0
    tape.lcp(magic=99)
    assert pairs(tape.packets) == [{11, 22}, {11, 22}]
