"""Messages, and descriptors with them, between parent and worker.

A pair of Unix sockets of the kind SEQPACKET: the kernel keeps messages whole and in order, carries descriptors
(SCM_RIGHTS), and tells each end when the other is gone.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import logging
import socket
from collections import deque
from collections.abc import Callable

from pypptp.aio.workers.messages import LARGEST_MESSAGE, BadMessage, Message, decode, encode

log = logging.getLogger("pypptp.workers")

MESSAGES_PER_WAKE_UP = 64
_DESCRIPTOR = array.array("i", [0]).itemsize

Receive = Callable[[Message, socket.socket | None], None]
"""Takes a message, and the connection that came with it, which is now the receiver's to close."""


def channel_pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends, blocking and close-on-exec."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def receive_message(end: socket.socket) -> tuple[Message, socket.socket | None] | None:
    """Receive one message from one end; None where the other is gone.

    Raises:
        BadMessage: what came is none.
        BlockingIOError: nothing has come, and the socket does not wait.
    """
    try:
        data, ancillary, flags, _ = end.recvmsg(LARGEST_MESSAGE, socket.CMSG_SPACE(_DESCRIPTOR), _CLOSE_ON_EXEC)
    except ConnectionError:
        return None
    connection = None
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS and len(content) >= _DESCRIPTOR:
            descriptor = array.array("i", content[:_DESCRIPTOR])[0]
            connection = socket.socket(fileno=descriptor)
    if data and not flags & socket.MSG_TRUNC:
        with contextlib.suppress(BadMessage):
            return decode(data), connection
    if connection is not None:
        connection.close()
    if data:
        raise BadMessage("what came is no message between parent and worker")
    return None


_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Channel:
    """One end, served by an event loop.

    Args:
        end: this end's socket; it becomes the channel's to close.
        receive: takes what comes.
        lost: called once when the other end is gone; not after ``close``.
    """

    def __init__(self, end: socket.socket, *, receive: Receive, lost: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = end
        self._receive = receive
        self._lost = lost
        self._waiting: deque[tuple[bytes, socket.socket | None]] = deque()
        end.setblocking(False)
        self._loop.add_reader(end.fileno(), self._read)

    @property
    def waiting(self) -> int:
        """Messages the other end has had no room for yet."""
        return len(self._waiting)

    @property
    def closed(self) -> bool:
        """Whether it is closed, or the other end is gone."""
        return self._end.fileno() < 0

    def send(self, message: Message, connection: socket.socket | None = None) -> None:
        """Send a message, now or when there is room. To an end that is gone it is no error.

        Args:
            message: what to say.
            connection: a socket to hand over; this process's own descriptor of it is closed.

        Raises:
            BadMessage: the message is too long.
        """
        try:
            data = encode(message)
        except BadMessage:
            if connection is not None:
                connection.close()
            raise
        if self.closed:
            if connection is not None:
                connection.close()
            return
        self._waiting.append((data, connection))
        if len(self._waiting) == 1:
            self._write()

    def close(self) -> None:
        """Close this end, and what was not handed over yet. Twice is no error."""
        if self.closed:
            return
        self._loop.remove_reader(self._end.fileno())
        self._loop.remove_writer(self._end.fileno())
        self._end.close()
        for _, connection in self._waiting:
            if connection is not None:
                connection.close()
        self._waiting.clear()

    def _write(self) -> None:
        waiting = self._waiting
        while waiting:
            data, connection = waiting[0]
            try:
                if connection is None:
                    self._end.send(data)
                else:
                    socket.send_fds(self._end, [data], [connection.fileno()])
            except BlockingIOError:
                self._loop.add_writer(self._end.fileno(), self._write)
                return
            except ConnectionError:
                # Whoever reads has said so, or is about to: the last words of the other end come first.
                pass
            except OSError as error:
                log.error("cannot pass a message on: %s", error.strerror or error)
            waiting.popleft()
            if connection is not None:
                connection.close()
        self._loop.remove_writer(self._end.fileno())

    def _read(self) -> None:
        for _ in range(MESSAGES_PER_WAKE_UP):
            if self.closed:
                return
            try:
                received = receive_message(self._end)
            except BlockingIOError:
                return
            except BadMessage as error:
                log.error("%s", error)
                received = None
            except OSError as error:
                log.error("cannot receive a message: %s", error.strerror or error)
                received = None
            if received is None:
                self.close()
                self._lost()
                return
            self._receive(*received)
