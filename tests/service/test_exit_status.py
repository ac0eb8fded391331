"""Every cause has its exit status, and every number its meaning."""

from __future__ import annotations

import pytest

from pypptp.aio.client import SessionLost
from pypptp.causes import Cause
from pypptp.errors import LocalProtocolError, NetworkError
from pypptp.service.exit_status import MEANINGS, exit_status

GENERAL = {1}


@pytest.mark.parametrize("cause", Cause)
def test_each_cause_has_a_status_that_is_explained(cause: Cause) -> None:
    status = exit_status(SessionLost("over", cause))
    assert status in GENERAL | MEANINGS.keys()
    assert exit_status(NetworkError("over", cause=cause)) == status
    assert 2 not in MEANINGS


@pytest.mark.parametrize(
    ("cause", "status"),
    [
        (Cause.AUTHENTICATION, 19),
        (Cause.PASSWORD_EXPIRED, 19),
        (Cause.REFUSED, 8),
        (Cause.BUSY, 8),
        (Cause.ENCRYPTION, 10),
        (Cause.PEER_DEAD, 15),
        (Cause.HUNG_UP, 16),
        (Cause.IDLE, 12),
        (Cause.TIME_IS_UP, 13),
        (Cause.SYSTEM, 1),
    ],
)
def test_the_numbers_are_pppds(cause: Cause, status: int) -> None:
    assert exit_status(SessionLost("over", cause)) == status


def test_an_error_without_a_cause() -> None:
    assert exit_status(LocalProtocolError("no")) == 1
    assert exit_status(NetworkError("no TUN")) == 1
