from __future__ import annotations

import io

import pytest
from rich.console import Console

from pypptp_cli.live.rows import rows_of
from pypptp_cli.live.table import draw
from tests.cli.answers import session, sessions


def drawn(*listed: dict[str, object], width: int = 140, room: int | None = None, keys: bool = False) -> list[str]:
    after = sessions(*listed, at=102.0)
    console = Console(width=width, file=io.StringIO())
    before = sessions(*(each | {"octets_in": 0, "gre_received": 50} for each in listed))
    console.print(draw("pypptp server", rows_of(after, before), order="since", room=room, keys=keys))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_a_table() -> None:
    lines = drawn(session(gre_lost=5), session(2, encryption="not encrypted", echo_round_trip=None, user=""))
    assert lines[0] == "pypptp server"
    assert lines[1] == "2 sessions, in 8.0 kbit/s, out 0 bit/s"
    assert " ".join(lines[2].split()) == "user from address interface encryption in out loss rtt since v"
    assert " ".join(lines[4].split()) == (
        "alice 203.0.113.9 192.168.0.234 ppp0 128-bit stateless 4.0 kbit/s 0 bit/s 0.0% 12.3 ms 1 min 15 s"
    )
    assert " ".join(lines[5].split()) == (
        "- 203.0.113.9 192.168.0.235 ppp1 not encrypted 4.0 kbit/s 0 bit/s 0.0% <100 ms 1 min 15 s"
    )


@pytest.mark.parametrize(
    ("lost", "words"), [(0, "0.0%"), (1, "<0.1%"), (60, "0.1%"), (1000, "2.0%"), (50_000, "50.0%")]
)
def test_how_much_is_lost(lost: int, words: str) -> None:
    before = sessions(session(gre_received=1, gre_lost=0), at=100.0)
    after = sessions(session(gre_received=50_001, gre_lost=lost), at=102.0)
    console = Console(width=140, file=io.StringIO())
    console.print(draw("", rows_of(after, before), order="loss"))
    assert isinstance(console.file, io.StringIO)
    assert f" {words} " in console.file.getvalue()


@pytest.mark.parametrize(
    ("width", "head"),
    [
        (140, "user from address interface encryption in out loss rtt since v"),
        (100, "user from address in out loss rtt since v"),
        (80, "user address in out loss since v"),
        (70, "user address in out since v"),
    ],
)
def test_a_narrow_terminal_does_without_columns_and_cuts_none(width: int, head: str) -> None:
    lines = drawn(session(), session(2, user="a.longer.name"), width=width)
    assert " ".join(lines[2].split()) == head
    assert all(len(line) <= width for line in lines)
    assert not any("\N{HORIZONTAL ELLIPSIS}" in line for line in lines)
    assert "192.168.0.234" in lines[4] + lines[5]


def test_what_has_no_room_is_counted() -> None:
    listed = [session(number, user=f"user{number}") for number in range(1, 21)]
    lines = drawn(*listed, room=12, keys=True)
    assert len(lines) <= 12
    assert [line for line in lines if line.startswith("and ")] == ["and 14 more"]
    assert lines[-1].startswith("q quit   sort: user  from  address  in  out  loss  rtt  since")
    assert len(drawn(*listed, room=3)) >= 3


def test_a_name_is_no_markup_and_no_command() -> None:
    (line,) = [line for line in drawn(session(user="[red]\x1b[2J\nx")) if "203.0.113.9" in line]
    assert r"[red]\x1b[2J x" in line
