from __future__ import annotations

import os
import pty
import sys
import termios

import pytest

from pypptp_cli.live.keyboard import TerminalKeyboard, terminal_keyboard


def test_keys_come_one_at_a_time_and_the_terminal_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    with os.fdopen(theirs, "r") as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        with terminal_keyboard() as keyboard:
            assert keyboard is not None
            assert keyboard.key(0.01) is None
            os.write(ours, b"i")
            assert keyboard.key(5) == "i"
            os.write(ours, b"\x1b[A")
            assert keyboard.key(5) == "\x1b"
            assert not termios.tcgetattr(theirs)[3] & (termios.ICANON | termios.ECHO)
        assert termios.tcgetattr(theirs) == before
    os.close(ours)


def test_a_keyboard_that_is_gone() -> None:
    reader, writer = os.pipe()
    os.close(writer)
    assert TerminalKeyboard(reader).key(5) == ""
    os.close(reader)


def test_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        with terminal_keyboard() as keyboard:
            assert keyboard is None
    os.close(writer)
    monkeypatch.setattr(sys, "stdin", None)
    with terminal_keyboard() as keyboard:
        assert keyboard is None
