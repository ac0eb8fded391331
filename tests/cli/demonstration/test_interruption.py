import signal
import time

import pytest

from pypptp_cli.demonstration.interruption import Interrupted, Interruption


def test_a_signal_waits_until_it_is_allowed() -> None:
    interruption = Interruption()
    with interruption.installed():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted) as caught, interruption.allowed():
            raise AssertionError("not reached")
        assert caught.value.number == signal.SIGTERM


def test_within_it_comes_at_once() -> None:
    interruption = Interruption()
    steps: list[str] = []
    with interruption.installed():
        with pytest.raises(Interrupted, match="interrupted by SIGINT"):
            wait_for_it(interruption, steps)
        # What is taken back now is not torn in half by an impatient user.
        signal.raise_signal(signal.SIGINT)
        time.sleep(0)
    assert steps == ["before"]


def wait_for_it(interruption: Interruption, steps: list[str]) -> None:
    with interruption.allowed():
        steps.append("before")
        signal.raise_signal(signal.SIGINT)
        steps.append("after")


def test_the_old_handlers_come_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with Interruption().installed():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before
