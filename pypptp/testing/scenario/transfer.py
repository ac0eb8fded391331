"""A TCP transfer for a given time, without the ``iperf3`` program; the far end notes who came."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from types import TracebackType

from pypptp.errors import NetworkError
from pypptp.net.namespaces import Namespace

Progress = Callable[[float, int], None]
"""``progress(seconds, octets)``: since the first octet went out, and taken by the kernel so far."""

_CHUNK = 256 * 1024
_CONNECT_SECONDS = 5.0
_TICK_SECONDS = 0.1
_DRAIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Transfer:
    """What arrived at the far end.

    Attributes:
        source: the address the connection came from, as the far end saw it.
        octets: received.
        seconds: from the connection to its end.
    """

    source: IPv4Address
    octets: int
    seconds: float

    @property
    def mbit_per_s(self) -> float:
        """Million bits a second of TCP payload."""
        return self.octets * 8 / self.seconds / 1e6 if self.seconds > 0 else 0.0


class Sink:
    """A little server that reads, counts and throws away what one client after the other sends.

    Args:
        host: where it listens.
        address: on which address; the port is the kernel's choice.
    """

    def __init__(self, host: Namespace, address: IPv4Address) -> None:
        self._listener = host.run(lambda: socket.create_server((str(address), 0)))
        self.port: int = self._listener.getsockname()[1]
        self._done: list[Transfer] = []
        self._news = threading.Condition()
        self._closed = False
        self._waker, self._wake = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="sink", daemon=True)
        self._thread.start()

    def __enter__(self) -> Sink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def take(self, patience: float = _DRAIN_SECONDS) -> Transfer | None:
        """Wait for a transfer to end and return it; None where none did in time."""
        with self._news:
            self._news.wait_for(lambda: self._done, patience)
            return self._done.pop(0) if self._done else None

    def close(self) -> None:
        """Stop listening and drop a connection that is open. Closing twice is no error."""
        if not self._closed:
            self._closed = True
            self._wake.close()
            self._thread.join()
            self._waker.close()
            self._listener.close()

    def _serve(self) -> None:
        buffer = bytearray(_CHUNK)
        while self._ready(self._listener):
            connection, (source, _) = self._listener.accept()
            with connection:
                began = ended = time.monotonic()
                octets = 0
                try:
                    while self._ready(connection) and (count := connection.recv_into(buffer)) > 0:
                        octets += count
                        ended = time.monotonic()
                except OSError:
                    pass  # the sender's tunnel went away: what has come, has come
            with self._news:
                self._done.append(Transfer(IPv4Address(source), octets, ended - began))
                self._news.notify_all()

    def _ready(self, sock: socket.socket) -> bool:
        return self._waker not in select.select([sock, self._waker], [], [])[0]


def send(host: Namespace, address: IPv4Address, port: int, *, seconds: float, progress: Progress | None = None) -> None:
    """Send zeros to a :class:`Sink` for a time.

    Args:
        host: where to send from.
        address: the sink's.
        port: the sink's.
        seconds: how long.
        progress: called ten times a second.

    Raises:
        NetworkError: there is no way to the sink, or the connection broke.
    """
    sock = host.run(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    chunk = memoryview(bytes(_CHUNK))
    with sock:
        try:
            sock.settimeout(_CONNECT_SECONDS)
            sock.connect((str(address), port))
            sock.setblocking(False)
            began = time.monotonic()
            octets, tick, now = 0, began, began
            while now - began < seconds:
                if select.select([], [sock], [], _TICK_SECONDS)[1]:
                    octets += sock.send(chunk)
                now = time.monotonic()
                if now - tick >= _TICK_SECONDS:
                    tick = now
                    if progress is not None:
                        progress(now - began, octets)
            sock.setblocking(True)
            sock.settimeout(_DRAIN_SECONDS)
            sock.shutdown(socket.SHUT_WR)
            # Until the far end has read everything and closes, too.
            sock.recv(1)
        except OSError as error:
            raise NetworkError(f"the transfer to {address} failed: {error.strerror or error}") from error
