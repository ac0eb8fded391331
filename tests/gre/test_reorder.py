import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pypptp.gre import (
    DELIVER,
    DUPLICATE,
    FAR,
    LATE,
    QUEUE_FULL,
    QUEUED,
)
from tests.gre.driving import drain, frame, new_tunnel, numbers, payload_of, receive, receive_numbers, run_timers

MASK = 0xFFFFFFFF


def test_reordered_frames_come_in_order() -> None:  # gre/4.3/1
    assert receive_numbers(new_tunnel(), [0, 2, 1, 3]) == [0, 1, 2, 3]


def test_verdicts_and_ready_around_a_gap() -> None:
    tunnel = new_tunnel()
    verdicts = []
    for sequence in (0, 2, 1):
        packet = frame(sequence)
        verdicts.append((tunnel.receive(packet, 0, len(packet), 0.0), tunnel.ready))
    assert verdicts == [(DELIVER, False), (QUEUED, False), (DELIVER, True)]
    assert drain(tunnel) == [(2, payload_of(2))]


@pytest.mark.parametrize("copy", [0, 1, 3])
def test_duplicate_is_dropped(copy: int) -> None:  # gre/4.3/2
    tunnel = new_tunnel()
    assert receive_numbers(tunnel, [0, 1, 3]) == [0, 1]
    packet = frame(copy)
    assert tunnel.receive(packet, 0, len(packet), 0.0) == DUPLICATE
    assert tunnel.counters()["duplicate"] == 1
    assert receive_numbers(tunnel, [2, 4]) == [2, 3, 4]


def test_gap_never_filled_is_given_up_at_the_time_out() -> None:  # gre/4.3/3
    tunnel = new_tunnel()
    assert receive_numbers(tunnel, [0, 2, 3], now=1.0) == [0]
    assert tunnel.get_timer() == pytest.approx(1.025)
    assert run_timers(tunnel, 1.0249) == []
    assert numbers(run_timers(tunnel, 1.025)) == [2, 3]
    assert tunnel.counters()["given_up"] == 1
    assert receive_numbers(tunnel, [4], now=1.03) == [4]
    assert receive_numbers(tunnel, [1], now=1.03) == []
    assert tunnel.counters()["late"] == 1


def test_each_gap_is_timed_from_when_it_was_noticed() -> None:
    tunnel = new_tunnel()
    assert receive_numbers(tunnel, [0, 2], now=0.0) == [0]
    assert receive_numbers(tunnel, [4], now=0.01) == []
    assert numbers(run_timers(tunnel, 0.0349)) == [2]
    assert numbers(run_timers(tunnel, 0.035)) == [4]


def test_missing_frame_is_in_time_until_the_caller_steps_over_it() -> None:
    tunnel = new_tunnel()
    assert receive_numbers(tunnel, [0, 2]) == [0]
    tunnel.handle_timer(0.025)
    assert tunnel.ready
    assert receive_numbers(tunnel, [1], now=0.025) == [1, 2]


def test_gap_in_a_fast_flow_waits_a_window_at_most() -> None:
    tunnel = new_tunnel(reorder_window=64)
    taken = receive_numbers(tunnel, [0, *range(2, 200)])
    assert taken == [0, *range(2, 200)]
    assert tunnel.counters()["queued"] == 64


def test_single_frame_far_ahead_then_normal_ones() -> None:  # gre/4.3/4
    tunnel = new_tunnel()
    assert receive_numbers(tunnel, [0, 1]) == [0, 1]
    packet = frame(1 << 20)
    assert tunnel.receive(packet, 0, len(packet), 0.0) == FAR
    assert receive_numbers(tunnel, [2, 3], now=0.01) == [2, 3]
    assert run_timers(tunnel, 0.5) == []
    assert tunnel.counters()["far_dropped"] == 1
    assert receive_numbers(tunnel, [4, 5], now=0.6) == [4, 5]
    assert tunnel.highest_received == 5


def test_single_frame_far_ahead_in_silence_then_normal_ones() -> None:  # gre/4.3/4
    tunnel = new_tunnel()
    assert receive_numbers(tunnel, [0, 1]) == [0, 1]
    assert receive_numbers(tunnel, [1 << 20]) == []
    assert numbers(run_timers(tunnel, 0.5)) == [1 << 20]
    assert receive_numbers(tunnel, list(range(2, 40)), now=1.0) == list(range(9, 40))
    assert tunnel.counters()["late"] == 7
    assert tunnel.counters()["resynchronised"] == 1


@pytest.mark.parametrize("lost", [65, 2049, 4096, 10_000, 1 << 20])
def test_burst_of_loss_then_two_frames(lost: int) -> None:
    tunnel = new_tunnel()
    assert receive_numbers(tunnel, [0, 1]) == [0, 1]
    assert receive_numbers(tunnel, [2 + lost, 3 + lost, 4 + lost]) == [2 + lost, 3 + lost, 4 + lost]
    assert tunnel.counters()["far_jumps"] == 1


@pytest.mark.parametrize("lost", [1, 63, 64, 2049, 4096, 10_000])
def test_burst_of_loss_then_a_single_frame(lost: int) -> None:
    tunnel = new_tunnel()
    assert receive_numbers(tunnel, [0, 1]) == [0, 1]
    assert numbers(receive(tunnel, frame(2 + lost), 1.0) + run_timers(tunnel, 1.025)) == [2 + lost]
    assert receive_numbers(tunnel, [3 + lost], now=2.0) == [3 + lost]


def test_burst_of_loss_with_the_first_two_frames_swapped() -> None:
    tunnel = new_tunnel()
    assert receive_numbers(tunnel, [0, 5001, 5000, 5002]) == [0, 5000, 5001, 5002]


def test_frames_queued_before_a_burst_of_loss_come_first() -> None:
    tunnel = new_tunnel()
    assert receive_numbers(tunnel, [0, 2, 5000, 5001]) == [0, 2, 5000, 5001]


def test_frame_in_order_between_two_far_ones_disproves_them() -> None:
    tunnel = new_tunnel()
    assert receive_numbers(tunnel, [0, 5000, 1, 5001, 2]) == [0, 1, 2]
    assert tunnel.counters()["far_jumps"] == 0


def test_wrap_in_the_flow() -> None:  # gre/4.3/5
    tunnel = new_tunnel()
    start = 0xFFFFFFFE
    assert receive_numbers(tunnel, [start, start + 1, 0, 1, 2]) == [start, start + 1, 0, 1, 2]
    assert tunnel.highest_received == 2


def test_wrap_reordered() -> None:
    tunnel = new_tunnel()
    taken = receive_numbers(tunnel, [0xFFFFFFFD, 0xFFFFFFFE, 1, 0, 0xFFFFFFFF, 3, 2])
    assert taken == [0xFFFFFFFD, 0xFFFFFFFE, 0xFFFFFFFF, 0, 1, 2, 3]


@pytest.mark.parametrize("first", [0, 1])
def test_first_number_0_or_1_is_taken_at_once(first: int) -> None:
    assert receive_numbers(new_tunnel(), [first, first + 1]) == [first, first + 1]


@pytest.mark.parametrize("first", [2, 63, 64, 65, 1000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_any_other_first_number_is_taken_at_the_time_out(first: int) -> None:
    tunnel = new_tunnel()
    assert numbers(receive(tunnel, frame(first), 0.0) + run_timers(tunnel, 0.025)) == [first]
    following = (first + 1) & MASK
    assert receive_numbers(tunnel, [following], now=0.03) == [following]


def test_frame_far_off_before_the_first_does_not_move_the_start() -> None:
    assert receive_numbers(new_tunnel(), [0x87654321, 0, 1]) == [0, 1]


@pytest.mark.parametrize("forged", [70, 5000, 0x7FFFFFFF, 0x80000001])
def test_forged_frame_in_silence_before_the_first_costs_seven_at_most(forged: int) -> None:
    tunnel = new_tunnel()
    receive(tunnel, frame(forged), 0.0)
    assert numbers(run_timers(tunnel, 0.1)) == [forged]
    taken = receive_numbers(tunnel, list(range(30)), now=1.0)
    assert taken == list(range(30 - len(taken), 30))
    assert len(taken) >= 23


def test_late_frames_lengthen_the_time_out_once_per_gap_and_loss_shortens_it() -> None:
    tunnel = new_tunnel(reorder_timeout=0.025, maximum_reorder_timeout=0.2)
    now, sequence, timeouts = 0.0, 0, []
    receive_numbers(tunnel, [0])
    for _ in range(4):
        receive_numbers(tunnel, [sequence + 3], now)
        run_timers(tunnel, now + 0.19)
        assert receive_numbers(tunnel, [sequence + 1, sequence + 2], now + 0.19) == []
        timeouts.append(tunnel.reorder_timeout)
        sequence, now = sequence + 3, now + 1
    assert timeouts == pytest.approx([0.05, 0.0875, 0.153125, 0.2])
    for _ in range(30):
        receive_numbers(tunnel, [sequence + 2], now)
        run_timers(tunnel, now + 0.5)
        sequence, now = sequence + 2, now + 1
    assert tunnel.reorder_timeout == 0.025


def test_frame_too_late_for_any_time_out_does_not_lengthen_it() -> None:
    tunnel = new_tunnel()
    receive_numbers(tunnel, [0, 2])
    run_timers(tunnel, 0.1)
    receive_numbers(tunnel, [1], now=0.3)
    assert tunnel.reorder_timeout == 0.025
    assert tunnel.counters()["late"] == 1


def test_copies_of_a_whole_flow_never_set_it_back() -> None:
    tunnel = new_tunnel()
    receive_numbers(tunnel, list(range(5000)))
    assert receive_numbers(tunnel, list(range(5000))) == []
    assert tunnel.counters()["duplicate"] == 5000
    assert receive_numbers(tunnel, [5000]) == [5000]


def test_late_frames_between_frames_in_order_never_set_the_flow_back() -> None:
    tunnel = new_tunnel()
    receive_numbers(tunnel, [0, 1000, 1001])
    for offset in range(20):
        assert receive_numbers(tunnel, [100 + offset, 1002 + offset]) == [1002 + offset]
    assert tunnel.counters()["resynchronised"] == 0


def test_seven_late_frames_in_a_row_are_not_enough() -> None:
    tunnel = new_tunnel()
    receive_numbers(tunnel, [0, 100_000, 100_001])
    verdicts = []
    for sequence in (*range(10, 17), 18):
        packet = frame(sequence)
        verdicts.append(tunnel.receive(packet, 0, len(packet), 0.0))
    assert verdicts == [LATE] * 8
    assert receive_numbers(tunnel, [100_002]) == [100_002]


def test_queue_stays_bounded_when_the_caller_never_takes() -> None:
    tunnel = new_tunnel(reorder_window=16)
    verdicts = set()
    for sequence in range(1000):
        packet = frame(2 * sequence)
        verdicts.add(tunnel.receive(packet, 0, len(packet), 0.0))
    assert QUEUE_FULL in verdicts
    assert tunnel.counters()["queued"] <= 34
    assert tunnel.counters()["queue_full"] > 0


# -- take_back


def test_take_back_lets_the_genuine_frame_in() -> None:
    tunnel = new_tunnel()
    receive_numbers(tunnel, [0])
    assert receive(tunnel, frame(1, b"forged")) == [(1, b"forged")]
    tunnel.take_back()
    assert tunnel.highest_received == 0
    assert receive_numbers(tunnel, [1, 2]) == [1, 2]
    assert tunnel.counters()["taken_back"] == 1


def test_take_back_of_the_very_first_frame() -> None:
    tunnel = new_tunnel()
    assert receive(tunnel, frame(1, b"forged")) == [(1, b"forged")]
    tunnel.take_back()
    assert tunnel.highest_received is None
    assert tunnel.bare_ack(0.0) is None
    assert receive_numbers(tunnel, [0, 1]) == [0, 1]


def test_take_back_counts_once() -> None:
    tunnel = new_tunnel()
    receive_numbers(tunnel, [0, 1])
    tunnel.take_back()
    tunnel.take_back()
    assert tunnel.counters()["taken_back"] == 1
    assert receive_numbers(tunnel, [1, 2]) == [1, 2]


def test_take_back_of_a_queued_frame() -> None:
    tunnel = new_tunnel()
    receive_numbers(tunnel, [0])
    assert receive(tunnel, frame(2, b"forged")) == []
    assert receive(tunnel, frame(1)) == [(1, payload_of(1)), (2, b"forged")]
    tunnel.take_back()
    assert receive_numbers(tunnel, [2, 3]) == [2, 3]


def test_take_back_undoes_the_gap_a_forged_frame_stepped_over() -> None:
    tunnel = new_tunnel()
    receive_numbers(tunnel, [0])
    assert receive(tunnel, frame(60, b"forged"), 0.0) == []
    assert numbers(run_timers(tunnel, 0.5)) == [60]
    tunnel.take_back()
    assert tunnel.counters()["given_up"] == 0
    assert receive_numbers(tunnel, list(range(1, 100)), now=1.0) == list(range(1, 100))


def test_take_back_undoes_a_far_jump() -> None:
    tunnel = new_tunnel()
    receive_numbers(tunnel, [0])
    packets = [frame(1 << 20, b"forged"), frame((1 << 20) + 1, b"forged")]
    for packet in packets:
        tunnel.receive(packet, 0, len(packet), 0.0)
    assert tunnel.next_queued() == b"forged"
    tunnel.take_back()
    assert not tunnel.ready
    assert tunnel.highest_received == 0
    assert receive_numbers(tunnel, [1, 2, 3]) == [1, 2, 3]


def test_take_back_undoes_being_set_back() -> None:
    tunnel = new_tunnel()
    receive_numbers(tunnel, [0, 100_000, 100_001])
    assert receive_numbers(tunnel, list(range(10, 18))) == [17]
    tunnel.take_back()
    assert receive_numbers(tunnel, [100_002, 100_003]) == [100_002, 100_003]


# -- any order


@given(st.randoms(use_true_random=False), st.integers(0, MASK), st.integers(1, 150), st.floats(0, 0.5))
def test_permutation_within_the_window_with_duplicates(
    source: random.Random, first: int, count: int, duplication: float
) -> None:
    tunnel = new_tunnel(reorder_window=64)
    receive_numbers(tunnel, [first])
    run_timers(tunnel, 0.025)
    assert tunnel.highest_received == first
    # Each frame is delayed by less than half a window of numbers, so none is further ahead than the window.
    arrivals = [(offset + source.uniform(0, 30), offset) for offset in range(count)]
    arrivals += [(when + source.uniform(0, 40), offset) for when, offset in arrivals if source.random() < duplication]
    sent = [first + 1 + offset for _, offset in sorted(arrivals)]
    assert receive_numbers(tunnel, sent, now=0.03) == [(first + 1 + offset) & MASK for offset in range(count)]


@given(st.lists(st.tuples(st.integers(0, 300), st.floats(0, 0.1)), max_size=200))
def test_numbers_in_any_order_come_rising_and_once(arrivals: list[tuple[int, float]]) -> None:
    # Below 300 nothing can be set back or be a duplicate of long ago, so what PPP sees must rise.
    tunnel = new_tunnel(reorder_window=300)
    now, taken = 0.0, receive_numbers(tunnel, [0])
    for sequence, pause in arrivals:
        now += pause
        taken += numbers(run_timers(tunnel, now))
        taken += receive_numbers(tunnel, [sequence], now)
    taken += numbers(run_timers(tunnel, now + 1))
    assert taken == sorted(set(taken))
    assert set(taken) <= {0, *(sequence for sequence, _ in arrivals)}


class LossyFlow(RuleBasedStateMachine):
    """A peer numbers frames, the path loses, delays and repeats them, forged numbers come in between."""

    def __init__(self) -> None:
        super().__init__()
        self.tunnel = new_tunnel(reorder_window=8)
        self.now = 0.0
        self.next = 0
        self.delayed: list[int] = []
        self.arrived: set[int] = set()
        self.taken: list[int] = []

    def arrive(self, sequence: int) -> None:
        self.arrived.add(sequence)
        self.taken += receive_numbers(self.tunnel, [sequence], self.now)

    @rule(lost=st.sampled_from([0, 0, 0, 1, 3, 20]), count=st.integers(1, 5))
    def frames(self, lost: int, count: int) -> None:
        self.next += lost
        for _ in range(count):
            self.arrive(self.next)
            self.next += 1

    @rule()
    def delay(self) -> None:
        self.delayed.append(self.next)
        self.next += 1

    @precondition(lambda self: self.delayed)
    @rule(data=st.data())
    def delayed_frame(self, data: st.DataObject) -> None:
        self.arrive(self.delayed.pop(data.draw(st.integers(0, len(self.delayed) - 1))))

    @precondition(lambda self: self.arrived)
    @rule(data=st.data())
    def copy(self, data: st.DataObject) -> None:
        self.arrive(data.draw(st.sampled_from(sorted(self.arrived))))

    @rule(pause=st.sampled_from([0.001, 0.01, 0.03, 0.3]))
    def wait(self, pause: float) -> None:
        self.now += pause
        self.taken += numbers(run_timers(self.tunnel, self.now))

    @rule()
    def settle(self) -> None:
        """Whatever happened: after the time-out a frame passes, and the next at once."""
        self.wait(0.5)
        self.arrive(self.next)
        self.wait(0.5)
        assert self.taken[-1] == self.next
        self.arrive(self.next + 1)
        assert self.taken[-1] == self.next + 1
        self.next += 2
        self.wait(0.5)
        assert self.tunnel.get_timer() is None

    @invariant()
    def rising_once_and_bounded(self) -> None:
        assert self.taken == sorted(set(self.taken))
        assert self.tunnel.counters()["resynchronised"] == 0
        timer = self.tunnel.get_timer()
        assert timer is None or timer <= self.now + 0.2


TestLossyFlow = LossyFlow.TestCase
