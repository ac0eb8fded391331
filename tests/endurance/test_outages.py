"""Two of the outages, for a second: what is measured there is measured rightly."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.endurance.outages import endure


@pytest.mark.netns
@pytest.mark.timeout(60)
def test_a_server_that_was_killed_is_dialled_again(tmp_path: Path) -> None:
    outage = endure("server killed and restarted", tmp_path / "lab", 1.0)
    assert outage.sessions == 2
    assert any("dialling again in" in line for line in outage.said)
    assert 0 < outage.flowing_after < 10


@pytest.mark.netns
@pytest.mark.timeout(60)
def test_a_client_that_slept_goes_on(tmp_path: Path) -> None:
    outage = endure("client asleep, its clock jumps", tmp_path / "lab", 1.0)
    assert (outage.sessions, outage.said) == (1, ())
    assert outage.flowing_after < 2
