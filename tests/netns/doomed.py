"""``pypptp`` with /run of its own and a moment to die at: ``doomed.py RUN POINT ARGUMENTS...``.

RUN is a folder that this process, in a mount namespace of its own, sees as /run; with ``:ro`` behind it read-only.
Folders ``etc`` and ``var_lib`` beside it are seen as /etc and /var/lib.
POINT is ``never``, or one of these, counted from 1, at which the process sends SIGKILL to itself:

``write:N:before``, ``write:N:after``
    the Nth change is to be written down, or is and has not been made yet
``strike:N:before``, ``strike:N:after``
    the Nth change is taken back, and not struck out yet, or is
``keep:N:before``, ``keep:N:after``
    what was in /etc/resolv.conf, or what is to be there, is to be written down, or is
``put:N:before``, ``put:N:after``
    /etc/resolv.conf is to be replaced, or is
``restore:1:middle``
    forwarding is off again, the settings that the kernel changed along are not back yet
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from pypptp.net import forwarding, resolv_conf
from pypptp.net.journal import Journal, JournalFile

CLONE_NEWNS = 0x00020000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 0x1, 0x20, 0x1000, 0x4000, 0x40000


def mount_run(folder: str) -> None:
    folder, _, mode = folder.partition(":")
    libc = ctypes.CDLL(None, use_errno=True)
    steps: list[Callable[[], int]] = [
        lambda: libc.unshare(CLONE_NEWNS),
        lambda: libc.mount(b"", b"/", None, MS_REC | MS_PRIVATE, None),
        lambda: libc.mount(folder.encode(), b"/run", None, MS_BIND, None),
    ]
    for name, target in (("etc", b"/etc"), ("var_lib", b"/var/lib")):
        beside = Path(folder).with_name(name)
        if beside.is_dir():
            steps.append(partial(libc.mount, str(beside).encode(), target, None, MS_BIND, None))
    if mode == "ro":
        steps.append(lambda: libc.mount(b"", b"/run", None, MS_BIND | MS_REMOUNT | MS_RDONLY, None))
    for step in steps:
        if step() != 0:
            raise OSError(ctypes.get_errno(), "cannot have a /run of its own")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def doom(kind: type[Any], method: str, number: int, moment: str) -> None:
    original: Callable[..., Any] = getattr(kind, method)
    calls = 0

    def counted(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number and moment == "before":
            die()
        result = original(*arguments)
        if calls == number:
            die()
        return result

    setattr(kind, method, counted)


def half_restored(state: forwarding.ForwardingState) -> None:
    (forwarding.IPV4 / "ip_forward").write_text(state.forwarding)
    die()


def main() -> None:
    _, run, point, *arguments = sys.argv
    mount_run(run)
    if point != "never":
        what, number, moment = point.split(":")
        if what == "restore":
            forwarding.restore = half_restored
        elif what in ("keep", "put"):
            doom(resolv_conf._Stack, f"_{what}", int(number), moment)
        else:
            for kind in (Journal, JournalFile):
                if hasattr(kind, what):
                    doom(kind, what, int(number), moment)
    sys.argv = ["pypptp", *arguments]
    from pypptp_cli.main import main as pypptp

    pypptp()


if __name__ == "__main__":
    main()
