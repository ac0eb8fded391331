"""What a word of an old file means here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pypptp.service.findings import Level

MOST_UNKNOWN = 100
"""Words nobody knows, after which a file is taken for one of another kind; each is compared with all that are known."""


class Effect(Enum):
    """What becomes of a word."""

    SETTING = "becomes a setting"
    FULFILLED = "is so in any case, nothing is to be said"
    WITHOUT = "has no effect, and that does not matter"
    MISSING = "is not supported, and that matters"


@dataclass(frozen=True, slots=True)
class Meaning:
    """An entry of a table of words.

    Attributes:
        effect: what becomes of it.
        text: the setting it becomes, or why it becomes none: a clause that fits behind "it has no effect: ".
        arguments: how many words behind it belong to it.
    """

    effect: Effect
    text: str
    arguments: int = 0

    @property
    def level(self) -> Level | None:
        """How much it matters that the word is not heeded; None where there is nothing to say."""
        return {Effect.WITHOUT: Level.INFO, Effect.MISSING: Level.WARNING}.get(self.effect)

    def sentence(self, word: str) -> str:
        """Say why nothing becomes of the word, and whether that matters."""
        if self.effect is Effect.MISSING:
            return f"'{word}' is not supported: {self.text}"
        return f"'{word}' has no effect, which does not matter: {self.text}"
