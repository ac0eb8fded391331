"""Keep the memory of a process that knows passwords to itself: no core dump, and no other process that looks in."""

from __future__ import annotations

import ctypes
import logging
import os
import resource

log = logging.getLogger("pypptp")

_PR_SET_DUMPABLE = 4


def guard_memory() -> None:
    """Let nobody read this process's memory, after its death neither.

    A limit of 0 forbids the file ``core``; where ``kernel.core_pattern`` names a program (systemd-coredump, apport)
    the kernel does not look at that limit, and only a process that is not dumpable is left out. Not dumpable also means
    that no other process of the same user can attach to this one or open its ``/proc/PID/mem``, and that swap is the
    only place left for what it knows. A program it starts begins dumpable again.
    """
    try:
        _close_to_others()
    except (OSError, ValueError) as error:
        log.warning("a crash may leave passwords in a core dump: %s", error)


def _close_to_others() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
