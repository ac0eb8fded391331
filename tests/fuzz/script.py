"""A fuzzer's octets as a script: what comes to a machine, in which pieces, and how much later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

LONGEST_SCRIPT = 200
"""Steps: the machines are to be bounded, and so is the time that a try takes."""
_HEADER = 3
TENTHS = 0.1
SLOW = 0x80
"""From here on a delay counts in seconds, not tenths."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens.

    Attributes:
        delay: seconds since the one before.
        octets: what comes.
    """

    delay: float
    octets: bytes


def read_script(data: bytes) -> Iterator[Step]:
    """Read steps: an octet of delay, two of length, and what comes; the last may be short."""
    position = 0
    for _ in range(LONGEST_SCRIPT):
        if position + _HEADER > len(data):
            return
        delay = data[position]
        length = int.from_bytes(data[position + 1 : position + _HEADER], "big")
        position += _HEADER
        yield Step((delay - SLOW) * 1.0 if delay >= SLOW else delay * TENTHS, data[position : position + length])
        position += length


def write_script(steps: list[tuple[float, bytes]]) -> bytes:
    """Write steps as ``read_script`` reads them; delays are rounded to what fits."""
    written = b""
    for delay, octets in steps[:LONGEST_SCRIPT]:
        coded = SLOW + min(round(delay), 0x7F) if delay * 10 >= SLOW else round(delay * 10)
        written += bytes((coded,)) + len(octets).to_bytes(2, "big") + octets
    return written
