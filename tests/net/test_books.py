from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from pypptp.errors import NetworkError
from pypptp.net.books import Books, Change
from pypptp.net.edge import Hold
from pypptp.net.memory import MemoryTun
from pypptp.net.records import ForwardingOn, NatMade, Record

from .test_records import FORWARDING, NAT, ROUTE


class Diary:
    """Writes down what is taken back, in order."""

    def __init__(self) -> None:
        self.entries: list[str] = []

    def note(self, text: str) -> Callable[[], None]:
        return lambda: self.entries.append(text)


def test_undo_is_newest_first_and_only_once() -> None:
    books, diary = Books(), Diary()
    for text in ("a", "b", "c"):
        with books.entry(Change(text, diary.note(text))):
            pass
    assert books.texts() == ["a", "b", "c"]
    assert books.undo() == []
    assert diary.entries == ["c", "b", "a"]
    assert books.undo() == []
    assert diary.entries == ["c", "b", "a"]


def test_a_change_is_written_down_before_it_is_made_and_struck_out_when_it_fails() -> None:
    books, diary = Books(), Diary()
    seen = []

    def refused() -> None:
        with books.entry(Change("a", diary.note("a"))):
            seen.extend(books.texts())
            raise NetworkError("no")

    with pytest.raises(NetworkError):
        refused()
    assert seen == ["a"]
    assert books.texts() == []
    assert books.undo() == []
    assert diary.entries == []


def test_an_interrupt_leaves_the_entry() -> None:
    books, diary = Books(), Diary()
    with pytest.raises(KeyboardInterrupt), books.entry(Change("a", diary.note("a"))):
        raise KeyboardInterrupt
    books.undo()
    assert diary.entries == ["a"]


def test_errors_are_collected_and_the_rest_goes_on() -> None:
    def refuse() -> None:
        raise NetworkError("not today")

    def break_down() -> None:
        raise OSError(5, "Input/output error")

    books, diary = Books(), Diary()
    for change in (
        Change("a", diary.note("a")),
        Change("b", refuse),
        Change("c", break_down),
        Change("d", diary.note("d")),
    ):
        with books.entry(change):
            pass
    assert books.undo() == [
        "could not take back c: Input/output error",
        "could not take back b: not today",
    ]
    assert diary.entries == ["d", "a"]


def test_undo_for_one_session() -> None:
    books, diary = Books(), Diary()
    first, second = MemoryTun("ppp0"), MemoryTun("ppp1")
    try:
        for text, session in (("pin", None), ("one", first), ("two", second), ("one more", first)):
            with books.entry(Change(text, diary.note(text), session=session)):
                pass
        assert books.undo_for(first) == []
        assert diary.entries == ["one more", "one"]
        assert books.sessions() == [second]
        assert books.texts() == ["pin", "two"]
    finally:
        first.close()
        second.close()


def test_what_goes_with_the_tun_is_not_taken_back_by_hand() -> None:
    books, diary = Books(), Diary()
    with books.entry(Change("a", diary.note("a"), goes_with_tun=True)):
        pass
    assert books.undo() == []
    assert diary.entries == []
    assert books.texts() == []


class Paper:
    """A ledger that notes what is done with it, and how deep inside ``exclusive``."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.depth = 0

    def write(self, record: Record) -> int | None:
        self.notes.append(f"write {type(record).__name__}")
        return None if isinstance(record, NatMade) else len(self.notes)

    def strike(self, entry_number: int) -> None:
        self.notes.append(f"strike {entry_number} at depth {self.depth}")

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1


def test_a_record_is_written_before_the_change_and_struck_out_after_it_is_taken_back() -> None:
    paper = Paper()
    books = Books(paper)
    for record in (ROUTE, FORWARDING):
        change = Change(str(record), lambda: paper.notes.append(f"back at depth {paper.depth}"), record=record)
        with books.entry(change):
            paper.notes.append("made")
    assert books.holds(ForwardingOn)
    assert books.undo() == []
    assert not books.holds(ForwardingOn)
    assert paper.notes == [
        *("write RouteAdded", "made", "write ForwardingOn", "made"),
        *("back at depth 1", "strike 3 at depth 1", "back at depth 1", "strike 1 at depth 1"),
    ]


def test_what_was_refused_is_struck_out_and_what_has_no_record_is_not_written() -> None:
    def refused() -> None:
        with books.entry(Change("a", lambda: None, record=ROUTE)):
            raise NetworkError("no")

    paper = Paper()
    books = Books(paper)
    with pytest.raises(NetworkError):
        refused()
    with books.entry(Change("b", lambda: None)):
        pass
    books.undo()
    assert paper.notes == ["write RouteAdded", "strike 1 at depth 0"]


def test_what_could_not_be_taken_back_stays_written() -> None:
    def refuse() -> None:
        raise NetworkError("not today")

    paper = Paper()
    books = Books(paper)
    with books.entry(Change("a", refuse, record=ROUTE)):
        pass
    assert books.undo() == ["could not take back a: not today"]
    assert paper.notes == ["write RouteAdded"]
    assert paper.depth == 0


def test_a_change_that_could_not_be_written_is_taken_back_all_the_same() -> None:
    paper, diary = Paper(), Diary()
    books = Books(paper)
    with books.entry(Change("a", diary.note("a"), record=NAT)):
        pass
    assert books.undo() == []
    assert diary.entries == ["a"]
    assert paper.notes == ["write NatMade"]


def test_a_hold_is_a_session_of_its_own_and_no_tun() -> None:
    books, diary = Books(), Diary()
    hold = Hold()
    for text, session in (("pin", hold), ("one", None), ("past", hold)):
        with books.entry(Change(text, diary.note(text), session=session)):
            pass
    assert books.sessions() == []
    assert books.undo_for(hold) == []
    assert diary.entries == ["past", "pin"]
    assert books.texts() == ["one"]


def test_what_is_left_is_forgotten_and_stays_written() -> None:
    paper, diary = Paper(), Diary()
    books = Books(paper)
    change = Change("a", diary.note("a"), record=ROUTE)
    with books.entry(change):
        pass
    assert books.leave(change)
    assert not books.leave(change)
    assert books.undo() == []
    assert diary.entries == []
    assert paper.notes == ["write RouteAdded"]
