"""The table of a client's words: it has every word of the server's, and each setting it names is one."""

from __future__ import annotations

import pytest

from pypptp.service.meanings import Effect
from pypptp.service.peers.words import PEER_WORDS, PLUGIN_WORDS
from pypptp.service.pppd_words import PPPD_WORDS


@pytest.mark.parametrize("word", list(PEER_WORDS))
def test_every_word(word: str) -> None:
    meaning = PEER_WORDS[word]
    assert meaning.arguments == (1 if word in PLUGIN_WORDS else PPPD_WORDS[word].arguments)
    assert bool(meaning.text) == (meaning.effect is not Effect.FULFILLED)
    # What is said of a server would lead a client's owner astray.
    if meaning.level is not None:
        for astray in ("clients", "secrets file", "this is for the end that dials", "the server leaves"):
            assert astray not in meaning.text


def test_no_word_is_lost_or_made_up() -> None:
    assert set(PEER_WORDS) == set(PPPD_WORDS) | set(PLUGIN_WORDS)
