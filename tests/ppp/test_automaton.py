"""The table against RFC 1661 itself, and against the RFC's own rules for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pypptp.errors import LocalProtocolError
from pypptp.ppp.automaton import TIMER_RUNS, TRANSITIONS, Action, Automaton, Event, State

ROW = re.compile(r"^ *(Up|Down|Open|Close|TO[+-]|RCR[+-]|RCA|RCN|RTR|RTA|RUC|RXJ[+-]|RXR) *\|(.*)$")


def table_of_the_rfc(text: str) -> dict[tuple[int, str], str]:
    """Section 4.1 as printed: two blocks of rows, states 0 to 5 and 6 to 9, footnote letters taken off."""
    section = text[text.index("\n4.1.  State Transition Table") : text.index("\n4.2.  States")]
    cells: dict[tuple[int, str], str] = {}
    first, last = 0, 5
    for line in section.splitlines():
        if re.match(r"^Events\| Req-Sent", line):
            first, last = 6, 9
        match = ROW.match(line)
        if match:
            words = match[2].split()
            assert len(words) == last - first + 1, line
            for state, word in zip(range(first, last + 1), words, strict=True):
                cells[state, match[1]] = re.sub(r"(?<=\d)[prx]$", "", word)
    return cells


@pytest.fixture(scope="module")
def rfc_table() -> dict[tuple[int, str], str]:
    path = Path(__file__).parents[2].parent / "shared" / "rfc" / "rfc1661.txt"
    if not path.exists():
        pytest.skip("RFC 1661 is not beside the project (../shared/rfc)")
    return table_of_the_rfc(path.read_text(errors="replace"))


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("state", State)
def test_every_cell_is_the_rfcs(state: State, event: Event, rfc_table: dict[tuple[int, str], str]) -> None:
    cell = rfc_table[state, event.value]
    automaton = Automaton()
    automaton.state = state
    if cell == "-":
        with pytest.raises(LocalProtocolError, match=r"cannot happen"):
            automaton.feed(event)
        assert automaton.state is state
        return
    actions, _, new_state = cell.rpartition("/")
    assert [action.value for action in automaton.feed(event)] == [word for word in actions.split(",") if word]
    assert automaton.state == int(new_state)


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("state", State)
def test_every_pair_has_one_outcome(state: State, event: Event) -> None:
    """Holds without the RFC at hand: opened means tlu, leaving it means tld, and nothing else says either."""
    if (state, event) not in TRANSITIONS:
        return
    actions, new_state = TRANSITIONS[state, event]
    assert (Action.THIS_LAYER_UP in actions) == (new_state is State.OPENED and state is not State.OPENED)
    assert (Action.THIS_LAYER_DOWN in actions) == (state is State.OPENED and new_state is not State.OPENED)


def test_the_restart_timer_runs_where_there_is_a_time_out() -> None:
    assert {
        State.CLOSING,
        State.STOPPING,
        State.REQUEST_SENT,
        State.ACK_RECEIVED,
        State.ACK_SENT,
    } == TIMER_RUNS
    for state in TIMER_RUNS:
        assert (state, Event.TIMEOUT_EXPIRED) in TRANSITIONS


def test_there_are_120_cells_and_40_dashes() -> None:
    assert len(TRANSITIONS) == 120
    assert len(State) * len(Event) - len(TRANSITIONS) == 40
