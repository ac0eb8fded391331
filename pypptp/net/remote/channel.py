"""Messages, and descriptors with them, over a Unix stream: four octets of length, and JSON."""

from __future__ import annotations

import array
import json
import os
import socket
import struct
import threading
from typing import Any

from pypptp.errors import PptpError

LARGEST_MESSAGE = 64 << 20
"""Octets. A secrets file may have 16 MiB, a character of which takes six octets in JSON at worst."""
MOST_DESCRIPTORS = 1
_LENGTH = struct.Struct("!I")
_CHUNK = 1 << 20


class BadMessage(PptpError):
    """What came is no message of ours."""


class ChannelClosed(PptpError):
    """The other end is gone."""


def channel_pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends, blocking and close-on-exec."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)


class Channel:
    """One end. Any thread may send; one receives.

    Args:
        end: the socket; it becomes the channel's to close.
    """

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(True)
        self._end = end
        self._sending = threading.Lock()

    def fileno(self) -> int:
        """Return the descriptor, -1 once closed."""
        return self._end.fileno()

    def send(self, message: dict[str, Any], descriptor: int | None = None) -> None:
        """Send a message, and a descriptor with it, which stays the caller's to close.

        Raises:
            ChannelClosed: the other end is gone.
        """
        content = json.dumps(message, separators=(",", ":")).encode()
        data = memoryview(_LENGTH.pack(len(content)) + content)
        try:
            with self._sending:
                if descriptor is not None:
                    data = data[socket.send_fds(self._end, [data], [descriptor]) :]
                self._end.sendall(data)
        except OSError as error:
            raise ChannelClosed("the other end of the channel is gone") from error

    def receive(self) -> tuple[dict[str, Any], int | None]:
        """Wait for a message.

        Returns:
            The message, and the descriptor that came with it, close-on-exec and the caller's to close.

        Raises:
            ChannelClosed: there will be none any more.
            BadMessage: what came is none; nothing can be received after it.
        """
        descriptors: list[int] = []
        try:
            (length,) = _LENGTH.unpack(self._read(_LENGTH.size, descriptors))
            if length > LARGEST_MESSAGE:
                raise BadMessage("a message is too long")
            content = self._read(length, descriptors)
            if len(descriptors) > MOST_DESCRIPTORS:
                raise BadMessage("a message brought too many descriptors")
            try:
                message = json.loads(content)
            except (ValueError, RecursionError):
                raise BadMessage("a message is not JSON") from None
            if not isinstance(message, dict):
                raise BadMessage("a message is no object")
        except BaseException:
            for descriptor in descriptors:
                os.close(descriptor)
            raise
        return message, descriptors[0] if descriptors else None

    def close(self) -> None:
        """Close this end; whoever waits in ``receive`` is woken. Twice is no error."""
        try:
            self._end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._end.close()

    def _read(self, size: int, descriptors: list[int]) -> bytes:
        """Read exactly so much: descriptors come with the first octet of their message, and only with that."""
        read = bytearray()
        while len(read) < size:
            try:
                # Without a free descriptor here the message comes alone (MSG_CTRUNC): whoever asked says so.
                data, ancillary, _, _ = self._end.recvmsg(
                    min(size - len(read), _CHUNK), socket.CMSG_SPACE(4 * MOST_DESCRIPTORS), socket.MSG_CMSG_CLOEXEC
                )
            except OSError as error:
                raise ChannelClosed("the channel is closed") from error
            for level, kind, content in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    descriptors += array.array("i", content[: len(content) - len(content) % 4])
            if not data:
                raise ChannelClosed("the other end of the channel is gone")
            read += data
        return bytes(read)
