"""How many file descriptors a server may have, and how many sessions that makes."""

from __future__ import annotations

import contextlib
import resource
from typing import Final

PER_SESSION: Final = 2
"""The TCP connection and the TUN."""

BESIDES: Final = 64
"""What a process has open anyway: the log, the event loop, GRE, channels to the workers, programs that are run."""


def raise_descriptor_limit() -> int:
    """Raise this process' soft limit of descriptors to the hard one, which its children inherit; return what it is.

    The soft limit is 1,024 on most systems for the sake of programs that call ``select``, which no part of this does.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        # A hard limit beyond what the kernel allows by now is refused; then it stays as it was.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def sessions_for(descriptors: int, workers: int = 1) -> int:
    """Return how many sessions processes with so many descriptors each can have."""
    return max(0, (descriptors - BESIDES) // PER_SESSION) * workers
