"""What became of a received GRE packet: plain ints, since one is returned for every packet."""

from __future__ import annotations

from typing import Final

DELIVER: Final = 0
"""A PPP frame, next in order: it lies in the caller's buffer between payload_start and payload_end."""
ACK_ONLY: Final = 1
"""No PPP frame: an acknowledgement alone, or a frame whose payload length is 0."""
QUEUED: Final = 2
"""Copied into the reorder queue; ``ready`` tells whether frames can be taken from there now."""
DUPLICATE: Final = 3
"""This number was delivered, or is queued, already."""
LATE: Final = 4
"""This number was given up before it came (RFC 2637 section 4.3: never passed to PPP out of sequence)."""
FAR: Final = 5
"""Further ahead than the reorder window: held back until a neighbour or the time-out speaks for it."""
MALFORMED: Final = 6
"""Not an enhanced GRE packet as RFC 2637 section 4.1 has it."""
WRONG_CALL: Final = 7
"""The call id is another call's."""
QUEUE_FULL: Final = 8
"""The caller has not taken the ready frames; nothing more is queued until it does."""
