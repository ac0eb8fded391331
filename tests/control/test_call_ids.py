import random
from collections import deque
from itertools import pairwise

import pytest

from pypptp.control.call_ids import RESTING_IDS, CallIdAllocator, CallIdsExhausted
from pypptp.errors import LocalProtocolError


def allocator(seed: int = 1, ids: range = range(1, 65536)) -> CallIdAllocator:
    return CallIdAllocator(random.Random(seed).randbytes, ids)


def test_ids_are_neither_sequential_nor_repeated() -> None:
    # cc/2.7/7
    ids = allocator()
    given = [ids.allocate() for _ in range(1000)]
    assert len(set(given)) == 1000
    assert all(1 <= call_id <= 65535 for call_id in given)
    steps = [(after - before) % 65536 for before, after in pairwise(given)]
    assert len(set(steps)) > 900


def test_all_ids_can_be_live_at_once_and_then_no_more() -> None:
    ids = allocator()
    assert {ids.allocate() for _ in range(65535)} == set(range(1, 65536))
    with pytest.raises(CallIdsExhausted):
        ids.allocate()
    ids.release(17)
    assert ids.allocate() == 17


def test_a_released_id_rests_while_others_are_free() -> None:
    ids = allocator()
    last: deque[int] = deque(maxlen=RESTING_IDS)
    for _ in range(65536):  # cc/2.7/7: the churn passes
        call_id = ids.allocate()
        assert call_id not in last
        ids.release(call_id)
        last.append(call_id)
    assert len(ids) == 0


def test_releasing_what_is_not_in_use_is_refused() -> None:
    ids = allocator()
    call_id = ids.allocate()
    ids.release(call_id)
    with pytest.raises(LocalProtocolError):
        ids.release(call_id)


def test_a_share_of_the_numbers() -> None:
    ids = allocator(ids=range(3, 100, 8))
    assert {ids.allocate() for _ in range(13)} == set(range(3, 100, 8))
    with pytest.raises(CallIdsExhausted):
        ids.allocate()


def test_a_stuck_source_of_randomness_does_not_hang() -> None:
    ids = CallIdAllocator(lambda count: bytes(count))
    assert len({ids.allocate() for _ in range(100)}) == 100


@pytest.mark.parametrize("ids", [range(0), range(1, 65537), range(-1, 5)])
def test_ids_that_do_not_fit_the_wire_are_refused(ids: range) -> None:
    with pytest.raises(LocalProtocolError):
        allocator(ids=ids)


def test_serial_numbers_follow_each_other_and_wrap() -> None:
    ids = allocator()
    assert [ids.next_serial_number() for _ in range(65537)][-3:] == [65535, 0, 1]
