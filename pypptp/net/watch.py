"""News of the network: rtnetlink's multicast groups.

What has changed is not read: an event may be lost (ENOBUFS), and what counts in the end is how things are. Whoever is
told looks for himself.
"""

from __future__ import annotations

import errno
import os
import socket

from pypptp.errors import NetworkError

_RTMGRP_LINK = 0x1
_RTMGRP_IPV4_IFADDR = 0x10
_RTMGRP_IPV4_ROUTE = 0x40
_RECEIVE_OCTETS = 1 << 16
_MOST_MESSAGES = 1000


class LinuxWatch:
    """Hears of links, IPv4 addresses and IPv4 routes that come and go in the network namespace of this thread.

    Attributes:
        fd: readable when there is news; non-blocking, -1 once closed.

    Raises:
        NetworkError: the system gives no such socket.
    """

    def __init__(self) -> None:
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
            try:
                self._socket.setblocking(False)
                self._socket.bind((0, _RTMGRP_LINK | _RTMGRP_IPV4_IFADDR | _RTMGRP_IPV4_ROUTE))
            except BaseException:
                self._socket.close()
                raise
        except OSError as error:
            raise NetworkError(f"cannot watch the network: {os.strerror(error.errno or 0)}") from error
        self.fd = self._socket.fileno()

    def drain(self) -> bool:
        """Forget the news. Returns whether there was any."""
        news = False
        for _ in range(_MOST_MESSAGES):
            try:
                self._socket.recv(_RECEIVE_OCTETS)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    break
            news = True
        return news

    def close(self) -> None:
        """Listen no more. Twice is no error."""
        self.fd = -1
        self._socket.close()


__all__ = ["LinuxWatch"]
