from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.script import LONGEST_SCRIPT, read_script, write_script


@given(st.lists(st.tuples(st.integers(0, 127).map(lambda tenths: tenths / 10), st.binary(max_size=30)), max_size=8))
def test_there_and_back(steps: list[tuple[float, bytes]]) -> None:
    assert [(step.delay, step.octets) for step in read_script(write_script(steps))] == [
        (round(delay * 10) * 0.1, octets) for delay, octets in steps
    ]


@given(st.binary(max_size=200))
def test_any_octets_are_a_script(data: bytes) -> None:
    steps = list(read_script(data))
    assert sum(3 + len(step.octets) for step in steps) <= len(data)
    assert all(0 <= step.delay <= 127 for step in steps)


def test_long_scripts_end() -> None:
    assert len(list(read_script(bytes(10_000)))) == LONGEST_SCRIPT
    assert [step.delay for step in read_script(write_script([(60.0, b"")]))] == [60.0]
