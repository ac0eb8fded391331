"""Start a worker process; see pypptp.service.worker for what it does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

NOT_FOR_WORKERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""A terminal's Ctrl-C goes to the whole process group, systemd's SIGTERM to the whole service. Only the parent is to
act on them: it tells the workers, in order. So they are born with these blocked."""


def launch_worker(end: socket.socket, gre: socket.socket, edge: socket.socket | None = None) -> subprocess.Popen[bytes]:
    """Start a worker; call it from the main thread.

    Args:
        end: its end of the channel.
        gre: its raw GRE socket.
        edge: its channel to the process that holds the network; None where it has the rights itself. It inherits these
            and stderr, nothing else.

    Raises:
        OSError: no process could be started.
    """
    descriptors = [given.fileno() for given in (end, gre, edge) if given is not None]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, NOT_FOR_WORKERS)
    try:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-P", "-m", "pypptp.service.worker", *map(str, descriptors)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=descriptors,
            # Modules are found where the parent found them, in the same order.
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
