"""Every target with its whole corpus, with every crash there ever was, and with what hypothesis makes of both."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS

MORE = settings(max_examples=6 * settings().max_examples)
"""About a minute for all of them, in CI."""
HERE = Path(__file__).parent
KEPT = [
    pytest.param(target, path, id=f"{target}/{path.name}")
    for target in TARGETS
    for folder in ("corpus", "crashes")
    for path in sorted((HERE / folder / target).glob("*"))
]


@pytest.mark.parametrize(("target", "path"), KEPT)
def test_what_is_kept(target: str, path: Path) -> None:
    TARGETS[target](path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_has_a_corpus(target: str) -> None:
    assert any((HERE / "corpus" / target).iterdir())


@pytest.mark.parametrize("target", TARGETS)
def test_any_octets(target: str) -> None:
    @MORE
    @given(st.binary(max_size=400))
    def run(data: bytes) -> None:
        TARGETS[target](data)

    run()


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_kept_with_changes(target: str) -> None:
    kept = [path.read_bytes() for path in sorted((HERE / "corpus" / target).glob("*"))[:40]]

    @MORE
    @given(st.data())
    def run(data: st.DataObject) -> None:
        octets = bytearray(data.draw(st.sampled_from(kept))[:2000])
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, max(len(octets) - 1, 0)))
            match data.draw(st.sampled_from(["change", "cut", "repeat", "insert"])):
                case "change" if octets:
                    octets[at] = data.draw(st.integers(0, 255))
                case "cut":
                    del octets[at : at + data.draw(st.integers(1, 40))]
                case "repeat":
                    octets[at:at] = octets[at : at + data.draw(st.integers(1, 100))]
                case _:
                    octets[at:at] = data.draw(st.binary(max_size=20))
        TARGETS[target](bytes(octets))

    run()
