"""pppd's words: the table has them all, and each takes as many words with it as pppd gives it."""

from __future__ import annotations

import pytest

from pypptp.service.meanings import Effect
from pypptp.service.pppd_words import ALIASES, PPPD_WORDS
from tests.conftest import VECTORS

OF_OTHER_VERSIONS = {
    *("+chapms", "+chapms-v2", "-chapms", "-chapms-v2"),
    *("mppe", "mppe-40", "mppe-128", "mppe-stateless", "mppc", "nomppc"),
    *("srp-interval", "srp-pn-secret", "srp-use-pseudonym"),
}


def pppds_words() -> dict[str, int]:
    rows = (VECTORS / "pppd-words.txt").read_text().splitlines()
    return {word: int(count) for word, count in (row.split() for row in rows if not row.startswith("# "))}


@pytest.mark.parametrize(("word", "arguments"), pppds_words().items())
def test_every_word_of_pppd(word: str, arguments: int) -> None:
    meaning = PPPD_WORDS[ALIASES.get(word, word)]
    assert meaning.arguments == arguments
    if meaning.effect is Effect.FULFILLED:
        assert meaning.level is None
    else:
        assert meaning.text
        assert not meaning.text.endswith(".")


def test_no_word_is_made_up() -> None:
    assert set(PPPD_WORDS) | set(ALIASES) == set(pppds_words()) | OF_OTHER_VERSIONS


def test_second_names_lead_to_first_ones() -> None:
    assert not set(ALIASES) & set(PPPD_WORDS)
    assert set(ALIASES.values()) <= set(PPPD_WORDS)
