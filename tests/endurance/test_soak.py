"""The soak's short form: hundreds of sessions instead of thousands, seconds instead of half an hour."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.endurance.ground import Footprint, ground
from tests.endurance.soak import Soak, soak

BEFORE = Footprint(descriptors=10, threads=3, children=0, resident_kib=50_000, tuns=0, routes=1)


@pytest.mark.netns
@pytest.mark.timeout(120)
def test_everything_is_given_back(tmp_path: Path) -> None:
    with ground(tmp_path, pool="192.168.3.0-255") as site:
        done = soak(site, cycles=400, held=20, seconds=4.0, batch=100)
    assert done.cycles == 400
    assert done.held == 20
    assert done.pings["sent"] >= 20 * 15
    assert done.footprints["while sessions are held"].tuns == 20
    # Memory is the long form's to judge: in so short a time the allocator still finds its size.
    assert [complaint for complaint in done.complaints() if "memory" not in complaint] == []


@pytest.mark.parametrize(
    ("after", "complaint"),
    [
        (Footprint(11, 3, 0, 50_000, 0, 1), "after all: descriptors 10 -> 11"),
        (Footprint(10, 3, 0, 50_000, 1, 1), "after all: tuns 0 -> 1"),
        (Footprint(10, 3, 0, 52_600, 0, 1), "after all: memory 50000 -> 52600 KiB"),
    ],
)
def test_what_is_kept_is_complained_of(after: Footprint, complaint: str) -> None:
    assert Soak(footprints={"warmed up": BEFORE, "after all": after}).complaints() == [complaint]


def test_who_was_failed_is_complained_of() -> None:
    done = Soak(
        failed={"busy: full": 2}, pings={"sent": 1000, "received": 998, "lost": 2}, footprints={"warmed up": BEFORE}
    )
    assert done.complaints() == ["2 sessions failed: busy: full", "2 of 1000 pings lost"]
    assert Soak(footprints={"warmed up": BEFORE, "after all": Footprint(9, 3, 0, 52_400, 0, 1)}).complaints() == []
