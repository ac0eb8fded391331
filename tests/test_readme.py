"""What the README shows is what happens."""

from __future__ import annotations

import doctest
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_examples_of_the_readme() -> None:
    failed, tried = doctest.testfile(str(README), module_relative=False)
    assert tried >= 8
    assert failed == 0


def test_it_opens_with_what_it_is_and_what_it_cannot_do() -> None:
    opening, _, rest = README.read_text(encoding="utf-8").partition("## Try it")
    assert "PPTP in pure Python" in opening
    assert "broken" in opening
    assert "make demo" in rest.split("##")[0]
    assert "make test" in rest.split("##")[0]
