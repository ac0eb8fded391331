"""A client that goes to the background once it is connected: as ``pppd updetach`` does.

The process is divided before there is an event loop, a thread or a socket. The first half stays until the second is
connected, or has failed, and then ends with its exit status; what the second says until then goes to the same terminal.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pypptp.errors import NetworkError, PptpError
from pypptp.net.journal_folder import runtime_folder

log = logging.getLogger("pypptp")

SYSLOG = Path("/dev/log")
"""Where the journal, or another syslog, listens."""

_CONNECTED = b"1"


def run_in_background(name: str, work: Callable[[Callable[[], None]], object]) -> int:
    """Divide the process: one half does the work, the other waits until that is connected.

    Args:
        name: what the log calls it.
        work: runs to its end; calls its argument once it is connected, which returns at once.

    Returns:
        In the half that waits: 0 where it is connected, else the exit status of the other. In the half that works: 0,
        once the work is done.

    Raises:
        PptpError: in the half that works, what the work raises.
    """
    reader, writer = os.pipe()
    _flush()
    child = os.fork()
    if child:
        os.close(writer)
        return _wait(child, reader)
    os.close(reader)
    # No longer of the terminal: neither its Ctrl-C nor its end reaches this half.
    os.setsid()
    _lead_to_nothing(0, 1)
    leaving = _Leaving(name, writer)
    try:
        work(leaving.connected)
    except PptpError as error:
        if leaving.gone:
            log.error("%s", error)
        raise
    return 0


class _Leaving:
    """The step into the background.

    Attributes:
        gone: it is done.
    """

    def __init__(self, name: str, writer: int) -> None:
        self.gone = False
        self._name = name
        self._writer = writer

    def connected(self) -> None:
        if self.gone:
            return
        self.gone = True
        _log_without_terminal(self._name)
        _flush()
        _lead_to_nothing(2)
        os.chdir("/")
        # Somebody who was tired of waiting is not there any more.
        with suppress(OSError):
            os.write(self._writer, _CONNECTED)
        os.close(self._writer)


def _wait(child: int, reader: int) -> int:
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        connected = os.read(reader, 1) == _CONNECTED
    except BaseException:
        # Whoever is interrupted takes the other half along.
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
        raise
    finally:
        os.close(reader)
    if connected:
        return 0
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    # It can be told to end before it is connected; then it is not connected, however well it ended.
    return 128 - code if code < 0 else code or 1


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        # None where it was closed.
        if stream is not None:
            stream.flush()


def _lead_to_nothing(*descriptors: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in descriptors:
        os.dup2(nothing, descriptor)
    os.close(nothing)


def _log_without_terminal(name: str) -> None:
    """Send the log to syslog; where there is none, to a file beside the journals."""
    root = logging.getLogger()
    handler = _syslog(name) or _file(name)
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler or logging.NullHandler())


def _syslog(name: str) -> logging.Handler | None:
    if not SYSLOG.exists():
        return None
    try:
        handler = logging.handlers.SysLogHandler(str(SYSLOG), logging.handlers.SysLogHandler.LOG_DAEMON)
    except OSError:
        return None
    handler.ident = f"pypptp-{name}[{os.getpid()}]: "
    handler.append_nul = False
    return handler


def _file(name: str) -> logging.Handler | None:
    try:
        path = log_file(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except (OSError, NetworkError) as error:
        log.warning("no syslog, and no log file either: %s", error)
        return None
    handler = logging.StreamHandler(os.fdopen(descriptor, "w"))
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    log.info("the log goes to %s", path)
    return handler


def log_file(name: str) -> Path:
    """Return where the log of a connection goes on a machine without syslog. Raises NetworkError."""
    return runtime_folder() / "log" / f"{name}.log"
