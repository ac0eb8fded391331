"""Cuts the TCP stream into messages (RFC 2637 section 1.4), however the segments fell."""

from __future__ import annotations

from pypptp.control.codes import HEADER_LENGTH, MAGIC_COOKIE, GeneralError
from pypptp.control.messages import LONGEST_MESSAGE
from pypptp.errors import RemoteProtocolError

MAXIMUM_MESSAGE_LENGTH = 1024
"""Longest length field believed. The longest message is 220 octets; a later revision may append fields, whose octets
are then skipped. What a peer can make us hold between two calls is less than this."""

assert MAXIMUM_MESSAGE_LENGTH > LONGEST_MESSAGE

_COOKIE = MAGIC_COOKIE.to_bytes(4, "big")
_COOKIE_END = 8


class FramingError(RemoteProtocolError):
    """The stream is out of step, for good: the connection must be closed at once (1.4)."""

    code = GeneralError.BAD_FORMAT
    section = "RFC 2637 1.4"


class MessageBuffer:
    """Feed it what TCP delivers; take whole messages out until there are none.

    A bad length or cookie is found as soon as its octets are there, not when the message is complete: a peer that
    announces 65535 octets and then falls silent holds nothing. After a FramingError every further call raises it again,
    because the cookie must not be used to find the way back (1.4).
    """

    __slots__ = ("_buffer", "_error")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._error: str | None = None

    def __len__(self) -> int:
        """Octets held."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Add what was received; then call ``next_message`` until it returns None."""
        if self._error is None:
            self._buffer += data

    def next_message(self) -> bytes | None:
        """Return the next whole message, of at least 12 octets, or None when more must be fed.

        Raises:
            FramingError: the length field or the magic cookie cannot be right.
        """
        if self._error is not None:
            raise FramingError(self._error)
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        length = (buffer[0] << 8) | buffer[1]
        if not HEADER_LENGTH <= length <= MAXIMUM_MESSAGE_LENGTH:
            self._fail(f"length field is {length}")
        cookie = buffer[4:_COOKIE_END]
        if not _COOKIE.startswith(cookie):
            self._fail(f"magic cookie is 0x{cookie.hex()}")
        if len(buffer) < length:
            return None
        message = bytes(buffer[:length])
        del buffer[:length]
        return message

    def _fail(self, reason: str) -> None:
        self._error = reason
        self._buffer.clear()
        raise FramingError(reason)
