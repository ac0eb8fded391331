import json

import pytest

from pypptp.testing.spec.catalogue import CATALOGUE, Level
from tests.conftest import VECTORS

CORRECTED = {
    "cc/2.1/2": {"level", "reference", "expected"},
    "cc/2.1/3": {"reference"},
    "cc/2.3/1": {"level", "reference"},
    "cc/2.3/3": {"level"},
    "cc/2.7/6": {"stimulus"},
    "cc/2.12/1": {"reference"},
    "lcp/4.6/1": {"reference"},
    "lcp/5.6/1": {"reference"},
    "lcp/5.8/2": {"level"},
    "auth/chap/3": {"reference"},
    "ipcp/7/1": {"level", "reference"},
}
"""What the module's docstring says was wrong in the list; cc/2.7/6 is a matter of spelling."""

LIST = json.loads((VECTORS / "conformance-checks.json").read_text(encoding="utf-8"))


def _bare(text: str) -> str:
    return "".join(text.split())


def test_the_whole_list_in_its_order() -> None:
    assert list(CATALOGUE) == [given["id"] for given in LIST]
    assert len(CATALOGUE) == 144


@pytest.mark.parametrize("given", LIST, ids=lambda given: given["id"])
def test_an_entry_is_as_in_the_list_but_for_what_was_corrected(given: dict[str, str]) -> None:
    entry = CATALOGUE[given["id"]]
    pairs = {
        "reference": (entry.reference, given["ref"]),
        "level": (entry.level, given["level"]),
        "stimulus": (entry.stimulus, given["stimulus"]),
        "expected": (entry.expected, given["expected"]),
    }
    differing = {name for name, (ours, theirs) in pairs.items() if _bare(ours) != _bare(theirs)}
    assert differing == CORRECTED.get(given["id"], set())


def test_levels() -> None:
    assert {entry.level for entry in CATALOGUE.values()} == set(Level)
