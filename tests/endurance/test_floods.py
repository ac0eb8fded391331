"""Each flood for a few seconds: those who work do not notice, and newcomers get in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.endurance.floods import FLOODS, NEWCOMERS, Outcome, measure
from tests.endurance.ground import Ground, ground

SECONDS = 3.0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with ground(tmp_path_factory.mktemp("floods")) as made:
        yield made


@pytest.fixture(scope="module")
def calm(site: Ground) -> Outcome:
    return measure(site, None, SECONDS)


@pytest.mark.netns
@pytest.mark.timeout(120)
@pytest.mark.parametrize("flood", FLOODS)
def test_nobody_notices(site: Ground, calm: Outcome, flood: str) -> None:
    outcome = measure(site, flood, SECONDS)
    assert outcome.sent > 10, "it was no flood"
    assert outcome.complaints(calm) == []


def test_what_is_noticed_is_complained_of() -> None:
    calm = Outcome("none", 0, 1000, 0, 20.0, NEWCOMERS, 0)
    assert calm.complaints(calm) == []
    worse = Outcome("echo", 9, 1000, 2, 1100.0, NEWCOMERS - 1, 1)
    assert worse.complaints(calm) == [
        "echo: 2 of 1000 pings lost",
        "echo: a set-up took 1100 ms, 20 ms without it",
        "echo: 1 newcomers not in, 1 sessions lost",
    ]
