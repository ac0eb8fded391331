from __future__ import annotations

import io
import logging
import os
import sys
from pathlib import Path

import pytest

from pypptp.service.journald import JournalFormatter, formatter, read_by_journal
from pypptp.service.run import set_up_logging


def stream_of(path: Path) -> str:
    found = path.stat()
    return f"{found.st_dev}:{found.st_ino}"


def test_the_journal_is_told_by_its_device_and_inode(tmp_path: Path) -> None:
    with (tmp_path / "journal").open("w") as journal, (tmp_path / "else").open("w") as another:
        environment = {"JOURNAL_STREAM": stream_of(tmp_path / "journal")}
        assert read_by_journal(journal, environment)
        assert not read_by_journal(another, environment)
        assert not read_by_journal(journal, {})
    assert not read_by_journal(journal, environment)
    assert not read_by_journal(io.StringIO(), environment)
    assert not read_by_journal(None, environment)


def record(level: int, message: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord("pypptp", level, "", 0, message, values, None)


@pytest.mark.parametrize(
    ("level", "number"),
    [(logging.CRITICAL, 3), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7)],
)
def test_each_line_has_its_priority(level: int, number: int) -> None:
    assert JournalFormatter("%(message)s").format(record(level, "user '%s'\n  down", "alice")) == (
        f"<{number}>user 'alice'\n<{number}>  down"
    )


def test_the_log_as_the_journal_and_as_a_terminal_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        with path.open("w") as stream:
            monkeypatch.setattr(sys, "stderr", stream)
            monkeypatch.setenv("JOURNAL_STREAM", stream_of(path))
            set_up_logging("info")
            logging.getLogger("pypptp").warning("no NAT")
            monkeypatch.setenv("JOURNAL_STREAM", "1:1")
            set_up_logging("warning")
            logging.getLogger("pypptp").info("left out")
            logging.getLogger("pypptp").error("no TUN")
    finally:
        root.handlers, root.level = handlers, level
    first, second = path.read_text().splitlines()
    assert first == "<4>no NAT"
    assert second.endswith(" ERROR   no TUN")
    assert second[2] == ":"
    assert type(formatter()) is logging.Formatter
    assert os.environ["JOURNAL_STREAM"] == "1:1"
