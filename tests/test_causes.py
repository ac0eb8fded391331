"""The causes are words, each its own, and their cures are halves of sentences."""

from __future__ import annotations

import pytest

from pypptp.causes import Cause, cause_of_code
from pypptp.errors import NetworkError


def test_each_word_is_one_cause() -> None:
    assert len({cause.value for cause in Cause}) == len(Cause.__members__) == len(Cause)
    assert Cause("busy") is Cause.BUSY


@pytest.mark.parametrize("cause", Cause)
def test_a_cure_goes_on_from_a_reason(cause: Cause) -> None:
    assert cause.value == cause.name.lower().replace("_", "-")
    assert not cause.cure.endswith(".")
    assert cause.cure[:1] == cause.cure[:1].lower()


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (646, Cause.LOGON_HOURS),
        (647, Cause.ACCOUNT_DISABLED),
        (648, Cause.PASSWORD_EXPIRED),
        (649, Cause.NO_PERMISSION),
        (691, Cause.AUTHENTICATION),
        (709, Cause.AUTHENTICATION),
        (None, Cause.AUTHENTICATION),
        (0, Cause.AUTHENTICATION),
    ],
)
def test_error_codes(code: int | None, cause: Cause) -> None:
    assert cause_of_code(code) is cause


def test_who_is_connected_already_may_try_again_later() -> None:
    assert cause_of_code(649, "already connected: one session at a time") is Cause.BUSY
    assert cause_of_code(649, "No dial-in permission") is Cause.NO_PERMISSION
    assert cause_of_code(691, "already connected") is Cause.AUTHENTICATION


def test_what_the_system_refuses_is_the_systems_unless_said() -> None:
    assert NetworkError("no").cause is Cause.SYSTEM
    assert NetworkError("no", cause=Cause.NAME).cause is Cause.NAME
