from __future__ import annotations

import resource

import pytest

from pypptp.service.descriptors import BESIDES, raise_descriptor_limit, sessions_for


class System:
    """Limits as the system keeps them."""

    def __init__(self, soft: int, hard: int, *, refuses: bool = False) -> None:
        self.limits = soft, hard
        self._refuses = refuses

    def getrlimit(self, what: int) -> tuple[int, int]:
        assert what == resource.RLIMIT_NOFILE
        return self.limits

    def setrlimit(self, what: int, limits: tuple[int, int]) -> None:
        if self._refuses:
            raise ValueError("not allowed to raise maximum limit")
        self.limits = limits


@pytest.mark.parametrize(
    ("soft", "hard", "refuses", "expected"),
    [(1024, 524_288, False, 524_288), (1024, 1024, False, 1024), (1024, 4096, True, 1024)],
)
def test_the_soft_limit_goes_up_to_the_hard_one(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, refuses: bool, expected: int
) -> None:
    system = System(soft, hard, refuses=refuses)
    monkeypatch.setattr(resource, "getrlimit", system.getrlimit)
    monkeypatch.setattr(resource, "setrlimit", system.setrlimit)
    assert raise_descriptor_limit() == expected
    assert system.limits == (expected, hard)


def test_sessions() -> None:
    assert sessions_for(BESIDES + 20) == 10
    assert sessions_for(BESIDES + 20, workers=4) == 40
    assert sessions_for(10) == 0
