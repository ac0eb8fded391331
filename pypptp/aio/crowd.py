"""When the GRE socket is crowded: who has to give way.

All sessions share one raw socket and its queue. One peer that sends more than can be decrypted would fill it, and what
the kernel then drops is whatever comes next, the log-in of a newcomer among it. So once a quarter of it is full, each
flow has a share of every batch, and its data beyond that is let go before it costs a decryption; what negotiates a link
or keeps it alive is never let go. Reading and dropping is an order of magnitude cheaper than decrypting, so the queue
empties within milliseconds, and nobody has waited long.
"""

from __future__ import annotations

import socket
from struct import Struct
from typing import Final

# SO_MEMINFO (Linux 4.12): nine numbers, the first two the octets in the receive queue and the most there may be.
_SO_MEMINFO: Final = 55
_MEMINFO: Final = Struct("=9I")

LARGEST_SHARE: Final = 16
"""Data packets a flow may have of the first batch of 64 in a crowded queue; each further batch halves it."""

_SEQUENCE_PRESENT: Final = 0x10
_ACKNOWLEDGEMENT_PRESENT: Final = 0x80
_FIRST_CONTROL_OCTET: Final = 0x80


class Crowd:
    """Watches the queue of one socket.

    Attributes:
        share: data packets each flow may have of the batch that was just read.
    """

    __slots__ = ("_crowded", "_socket", "share")

    def __init__(self, gre: socket.socket) -> None:
        self._socket = gre
        self._crowded = False
        self.share = LARGEST_SHARE

    def look(self, *, full: bool) -> bool:
        """Say whether the flows must share. A batch that was not full has emptied the queue and asks for nothing."""
        if not full:
            self._crowded = False
            return False
        try:
            queued, limit, *_ = _MEMINFO.unpack(self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))
        except OSError:
            return False
        if not self._crowded:
            self._crowded = queued > limit // 4
            self.share = LARGEST_SHARE
        elif queued < limit // 16:
            self._crowded = False
        else:
            self.share = max(1, self.share // 2)
        return self._crowded


def carries_control(buffer: bytearray, start: int, end: int) -> bool:
    """Say whether the GRE packet at ``buffer[start:end]`` carries LCP, authentication, CCP or IPCP rather than data.

    Their protocol numbers begin with an even octet from 0x80 on, which no data protocol does (RFC 1661 section 2).
    """
    if end - start < 8 or not buffer[start] & _SEQUENCE_PRESENT:
        return False
    payload = start + (16 if buffer[start + 1] & _ACKNOWLEDGEMENT_PRESENT else 12)
    if end - payload >= 3 and buffer[payload] == 0xFF and buffer[payload + 1] == 0x03:
        payload += 2
    return payload < end and buffer[payload] >= _FIRST_CONTROL_OCTET and not buffer[payload] & 1
