from collections.abc import Callable

import pytest

from pypptp.errors import NetworkError
from pypptp.net.books import Books, Change
from pypptp.net.memory import MemoryTun


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
