import errno
import fcntl
import json
import logging
import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.errors import NetworkError
from pypptp.net import journal as module
from pypptp.net.journal import Entry, Journal, JournalFile, entry_line, parse, strike_line
from pypptp.net.journal_folder import open_folder
from pypptp.net.owner import NamespaceId, Owner, this_owner
from pypptp.net.records import Record

from .test_records import FORWARDING, NAT, ROUTE, records

numbers = st.integers(0, 2**64 - 1)
owners = st.builds(
    Owner,
    boot=st.uuids().map(str),
    namespace=st.builds(NamespaceId, numbers, numbers, numbers),
    pid=st.integers(1, 2**31 - 1),
    start=numbers.map(str),
    instance=st.sampled_from(["client", "server", "server 'lab'"]),
)


def entries_of(owner: Owner, changes: list[Record]) -> list[Entry]:
    return [Entry(number=n, at=n * 10, owner=owner, record=record) for n, record in enumerate(changes, 1)]


entry_lists = st.builds(entries_of, owners, st.lists(records, max_size=6))


@given(st.binary())
def test_any_octets_are_read(data: bytes) -> None:
    parse(data)


@given(entry_lists, st.binary(max_size=40))
def test_written_and_read_whole_and_with_garbage_behind(entries: list[Entry], garbage: bytes) -> None:
    data = b"".join(map(entry_line, entries))
    assert parse(data) == entries
    read = parse(data + garbage)
    assert read == entries or b"struck" in garbage


@given(st.builds(entries_of, owners, st.lists(records, max_size=2)))
def test_cut_off_anywhere_the_whole_lines_stay(entries: list[Entry]) -> None:
    data = b"".join(map(entry_line, entries))
    ends = [0]
    for entry in entries:
        ends.append(ends[-1] + len(entry_line(entry)))
    for position in range(len(data) + 1):
        # A line that lacks its newline alone is whole.
        whole = sum(end - 1 <= position for end in ends[1:])
        assert parse(data[:position]) == entries[:whole]


@given(entry_lists, st.data())
def test_struck_out(entries: list[Entry], data: st.DataObject) -> None:
    struck = data.draw(st.sets(st.sampled_from([entry.number for entry in entries]))) if entries else set()
    lines = [entry_line(entry) for entry in entries] + [strike_line(number) for number in struck]
    assert parse(b"\n".join(lines)) == [entry for entry in entries if entry.number not in struck]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[" * 100_000,
        b"9" * 10_000,
        b"null",
        b'{"struck":"1"}',
        b'{"struck":true}',
        b'{"entry":1}',
        b"\xff\xfe",
        b"\0" * 4096,
    ],
)
def test_lines_that_make_no_sense_are_skipped(line: bytes) -> None:
    entries = entries_of(this_owner("client"), [ROUTE, NAT])
    lines = [entry_line(entries[0]), line, b"\n", entry_line(entries[1]), line]
    assert parse(b"".join(lines)) == entries


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("boot", 1),
        ("namespace", [1, 2]),
        ("namespace", [1, 2, -3]),
        ("namespace", None),
        ("pid", 0),
        ("pid", True),
        ("start", "1x"),
        ("start", 5),
        ("instance", "\x1b[2J"),
        ("at", -1),
        ("change", {}),
    ],
)
def test_an_entry_with_a_value_out_of_range_is_none(field: str, value: Any) -> None:
    entry = entries_of(this_owner("client"), [ROUTE])[0]
    fields = json.loads(entry_line(entry))
    assert field in fields
    assert parse(json.dumps(fields | {field: value}).encode()) == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "pypptp" / "journal"


@pytest.fixture
def journal(folder: Path) -> Iterator[Journal]:
    journal = Journal("client", folder=folder)
    yield journal
    journal.close()


def on_disk(folder: Path) -> list[Record]:
    return [entry.record for path in folder.glob("*.journal") for entry in parse(path.read_bytes())]


def test_written_before_and_gone_with_the_last_change(journal: Journal, folder: Path) -> None:
    assert not folder.exists()
    first, second = journal.write(FORWARDING), journal.write(NAT)
    assert first is not None
    assert second is not None
    assert on_disk(folder) == [FORWARDING, NAT]
    path = next(folder.iterdir())
    assert path.name.startswith(f"{os.getpid()}-")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    journal.strike(second)
    journal.strike(second)
    assert on_disk(folder) == [FORWARDING]
    journal.strike(first)
    assert list(folder.iterdir()) == []
    assert journal.write(NAT) is not None
    assert on_disk(folder) == [NAT]


def test_every_entry_says_whose_it_is(journal: Journal, folder: Path) -> None:
    journal.write(FORWARDING)
    journal.write(NAT)
    entries = parse(next(folder.iterdir()).read_bytes())
    assert [entry.owner for entry in entries] == [this_owner("client")] * 2
    assert entries[0].at < entries[1].at


def test_the_owner_holds_a_lock_as_long_as_it_lives(journal: Journal, folder: Path) -> None:
    journal.write(NAT)
    descriptor = open_folder(folder, create=False)
    name = next(folder.iterdir()).name
    with JournalFile(descriptor, name) as file:
        assert file.owner_lives
    journal.close()
    with JournalFile(descriptor, name) as file, JournalFile(descriptor, name) as other:
        assert not file.owner_lives
        assert other.owner_lives  # the first reader has it now
    os.close(descriptor)


def test_it_is_flushed(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    journal.write(NAT)
    assert len(flushed) == 2  # the file and its folder
    number = journal.write(FORWARDING)
    assert len(flushed) == 3
    assert number is not None
    journal.strike(number)
    assert len(flushed) == 4


def test_a_long_one_is_begun_anew(journal: Journal, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REWRITE_OCTETS", 2000)
    journal = Journal("client", folder=folder)
    lasting = journal.write(FORWARDING)
    names = set()
    for _ in range(50):
        number = journal.write(ROUTE)
        assert number is not None
        assert on_disk(folder) == [FORWARDING, ROUTE]
        journal.strike(number)
        assert on_disk(folder) == [FORWARDING]
        (path,) = folder.iterdir()
        assert path.stat().st_size < 3000
        names.add(path.name)
    assert len(names) > 5
    assert lasting is not None
    journal.strike(lasting)
    assert list(folder.iterdir()) == []
    journal.close()


def test_a_full_disk_is_said_once(
    journal: Journal, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = journal.write(FORWARDING)
    assert first is not None
    with monkeypatch.context() as full:
        write = os.write
        full.setattr(os, "write", lambda file, data: write(file, data[:20]))
        assert journal.write(NAT) is None
        assert journal.write(NAT) is None
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "No space left on device" in record.getMessage()
    # Nothing half written stays behind, and with room again it goes on.
    assert next(folder.iterdir()).read_bytes().count(b"\n") == 1
    assert journal.write(ROUTE) is not None
    assert on_disk(folder) == [FORWARDING, ROUTE]
    assert len(caplog.records) == 1


def test_a_disk_that_is_full_from_the_start_leaves_no_file(
    journal: Journal, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(file: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    assert journal.write(NAT) is None
    assert list(folder.iterdir()) == []
    assert len(caplog.records) == 1


@pytest.mark.parametrize("mode", [0o777, 0o755])
def test_a_folder_that_others_can_enter_is_not_used(
    journal: Journal, folder: Path, caplog: pytest.LogCaptureFixture, mode: int
) -> None:
    os.close(open_folder(folder, create=True))
    folder.chmod(mode)
    with journal.exclusive():
        assert journal.others() == []
        assert journal.write(NAT) is None
    assert list(folder.iterdir()) == []
    (record,) = caplog.records
    assert "is open to others" in record.getMessage()
    assert "pypptp undo" in record.getMessage()


def test_a_user_without_a_place_for_it(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    journal = Journal("client")
    journal.prepare()
    with journal.exclusive():
        assert journal.write(NAT) is None
    journal.strike(1)
    (record,) = caplog.records
    assert "XDG_RUNTIME_DIR is not set" in record.getMessage()


def test_somebody_who_tidies_up_takes_the_new_file_away(
    journal: Journal, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename
    taken: list[str] = []

    def rename_late(source: str, target: str, **folders: int) -> None:
        if not taken:
            taken.append(source)
            (folder / source).unlink()
        rename(source, target, **folders)

    monkeypatch.setattr(os, "rename", rename_late)
    assert journal.write(NAT) is not None
    assert taken
    assert on_disk(folder) == [NAT]
    assert len(list(folder.iterdir())) == 1


def test_others_are_those_who_live_here(folder: Path) -> None:
    mine, other, closed = (Journal(name, folder=folder) for name in ("mine", "other", "closed"))
    for journal in (mine, other, closed):
        journal.write(FORWARDING)
    closed.close()
    here = this_owner("elsewhere")
    elsewhere = Owner(boot=here.boot, namespace=NamespaceId(4, 1, 1), pid=1, start="1", instance="elsewhere")
    foreign = folder / "1-elsewhere.journal"
    foreign.write_bytes(entry_line(Entry(number=1, at=1, owner=elsewhere, record=NAT)))
    (folder / "2-open.journal").write_bytes(b"")
    (folder / "2-open.journal").chmod(0o666)
    with foreign.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with mine.exclusive():
            assert [entry.owner.instance for entry in mine.others()] == ["other"]
    for journal in (mine, other):
        journal.close()


def test_exclusive_between_processes_and_threads(folder: Path) -> None:
    """Two journals stand for two processes: flock(2) tells open files apart, not processes."""
    inside, most, lock = 0, 0, threading.Lock()
    journals = [Journal("one", folder=folder), Journal("two", folder=folder)]
    journals[0].prepare()

    def act(journal: Journal) -> None:
        nonlocal inside, most
        for _ in range(20):
            with journal.exclusive(), journal.exclusive():
                with lock:
                    inside += 1
                    most = max(most, inside)
                with lock:
                    inside -= 1

    threads = [threading.Thread(target=act, args=(journal,)) for journal in journals * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    for journal in journals:
        journal.close()


def test_a_lock_that_is_never_let_go_of_is_waited_for_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 0.2)
    stopped, waiting = (Journal(name, folder=folder) for name in ("stopped", "waiting"))
    stopped.prepare()
    with stopped.exclusive():
        begin = time.monotonic()
        for _ in range(10):
            with waiting.exclusive():
                pass
        assert 0.2 <= time.monotonic() - begin < 1
    for journal in (stopped, waiting):
        journal.close()


def test_what_is_no_journal_of_ours(folder: Path) -> None:
    descriptor = open_folder(folder, create=True)
    try:
        (folder / "writable.journal").touch()
        (folder / "writable.journal").chmod(0o622)
        (folder / "folder.journal").mkdir()
        os.mkfifo(folder / "fifo.journal")
        with (folder / "large.journal").open("wb") as large:
            large.truncate(5 << 20)
        (folder / "link.journal").symlink_to("/dev/null")
        for name in ("writable", "folder", "fifo", "large", "link"):
            with pytest.raises((OSError, NetworkError)):
                JournalFile(descriptor, f"{name}.journal")
        if os.geteuid() == 0:
            (folder / "given.journal").touch()
            os.chown(folder / "given.journal", 12345, -1)
            with pytest.raises(NetworkError, match="no journal of user 0's own"):
                JournalFile(descriptor, "given.journal")
    finally:
        os.close(descriptor)


def test_a_file_that_its_owner_removes_while_it_is_opened(
    journal: Journal, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = journal.write(NAT)
    assert number is not None
    descriptor = open_folder(folder, create=False)
    name = next(folder.iterdir()).name

    def lock_late(file: int) -> bool:
        journal.strike(number)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True

    monkeypatch.setattr(module, "try_lock", lock_late)
    with pytest.raises(FileNotFoundError):
        JournalFile(descriptor, name)
    os.close(descriptor)


def test_a_strike_behind_a_line_that_was_cut_off(folder: Path) -> None:
    descriptor = open_folder(folder, create=True)
    entries = entries_of(this_owner("client"), [ROUTE, NAT])
    path = folder / "1-cut.journal"
    path.write_bytes(b"".join(map(entry_line, entries)) + b'{"entry":3,"at":')
    with JournalFile(descriptor, path.name) as file:
        assert file.entries == entries
        file.strike(entries[1])
        assert parse(path.read_bytes()) == entries[:1]
        file.strike(entries[0])
    assert not path.exists()
    os.close(descriptor)
