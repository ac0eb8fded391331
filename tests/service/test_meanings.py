from __future__ import annotations

import pytest

from pypptp.service.findings import Level
from pypptp.service.meanings import Effect, Meaning


@pytest.mark.parametrize(
    ("effect", "level"),
    [
        (Effect.SETTING, None),
        (Effect.FULFILLED, None),
        (Effect.WITHOUT, Level.INFO),
        (Effect.MISSING, Level.WARNING),
    ],
)
def test_only_what_is_not_heeded_is_spoken_of(effect: Effect, level: Level | None) -> None:
    assert Meaning(effect, "").level is level


def test_a_sentence_says_whether_it_matters() -> None:
    assert Meaning(Effect.WITHOUT, "why").sentence("lock") == "'lock' has no effect, which does not matter: why"
    assert Meaning(Effect.MISSING, "why").sentence("proxyarp") == "'proxyarp' is not supported: why"
