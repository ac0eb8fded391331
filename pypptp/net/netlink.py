"""A blocking netlink socket for pyroute2's messages.

pyroute2 builds and reads the messages; its own synchronous sockets are not used, for four reasons seen in 0.9.7: each
call drives an event loop of its own, so it raises RuntimeError in a thread whose loop runs and fails under uvloop; a
socket opened in one thread and closed in another leaves that loop open; ``NFTables`` sends every command as a
transaction of its own, where a table with its chains and rules should come whole or not at all; and a table may be
owned by one socket (see :mod:`pypptp.net.nat`). This one works in any thread and belongs to the network namespace of
the thread that opened it.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from pyroute2.netlink.nfnetlink import nfgen_msg  # type: ignore[import-untyped]
from pyroute2.netlink.nfnetlink.nftsocket import (  # type: ignore[import-untyped]
    nft_chain_msg,
    nft_rule_msg,
    nft_table_msg,
)
from pyroute2.netlink.rtnl.fibmsg import fibmsg  # type: ignore[import-untyped]
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg  # type: ignore[import-untyped]
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg  # type: ignore[import-untyped]
from pyroute2.netlink.rtnl.ndmsg import ndmsg  # type: ignore[import-untyped]
from pyroute2.netlink.rtnl.rtmsg import rtmsg  # type: ignore[import-untyped]
from pyroute2.nftables.expressions import genex  # type: ignore[import-untyped]

from pypptp.errors import NetworkError

__all__ = [
    "NLM_F_APPEND",
    "NLM_F_CREATE",
    "NLM_F_DUMP",
    "NLM_F_EXCL",
    "NetlinkSocket",
    "fibmsg",
    "genex",
    "ifaddrmsg",
    "ifinfmsg",
    "ndmsg",
    "nfgen_msg",
    "nft_chain_msg",
    "nft_rule_msg",
    "nft_table_msg",
    "refused",
    "rtmsg",
    "rtnetlink",
]

NLM_F_REQUEST = 0x001
NLM_F_ACK = 0x004
NLM_F_DUMP = 0x300
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_APPEND = 0x800
_NLM_F_CAPPED = 0x100
_NLM_F_ACK_TLVS = 0x200
_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_NLMSGERR_ATTR_MSG = 1

_SOL_NETLINK = 270
_NETLINK_CAP_ACK = 10
_NETLINK_EXT_ACK = 11
_NETLINK_GET_STRICT_CHK = 12

_HEADER = struct.Struct("=IHHII")
_RECEIVE_OCTETS = 1 << 18
_TIMEOUT_SECONDS = 5.0


class NetlinkSocket:
    """One netlink socket. Requests raise OSError with the kernel's errno, and its own words where it has some.

    Args:
        protocol: ``socket.NETLINK_ROUTE`` or ``socket.NETLINK_NETFILTER``.
    """

    def __init__(self, protocol: int = socket.NETLINK_ROUTE) -> None:
        self._sequence = 0
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        try:
            self._socket.bind((0, 0))
            self._socket.settimeout(_TIMEOUT_SECONDS)
            for option in (_NETLINK_CAP_ACK, _NETLINK_EXT_ACK, _NETLINK_GET_STRICT_CHK):
                try:
                    self._socket.setsockopt(_SOL_NETLINK, option, 1)
                except OSError:
                    pass  # strict checking came with Linux 4.20, the others with 4.12; all three are comforts
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> NetlinkSocket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket; an nftables table it owns goes with it."""
        self._socket.close()

    def request(
        self, message: Any, kind: int, flags: int = 0, *, wanted: Callable[[bytes], bool] | None = None
    ) -> list[Any]:
        """Send one request and return the replies, decoded by the request's own class.

        Args:
            message: a pyroute2 message, fields and ``attrs`` set.
            kind: the message type, for example RTM_GETROUTE.
            flags: NLM_F flags beyond REQUEST and ACK.
            wanted: looks at a reply's octets after the netlink header and says whether it is worth decoding: a full
                routing table holds a million routes, and pyroute2 takes about 50 us for each.
        """
        sequence = self._encode(message, kind, flags | (0 if flags & NLM_F_DUMP == NLM_F_DUMP else NLM_F_ACK))
        self._socket.send(message.data)
        return self._replies({sequence}, type(message), wanted)

    def transaction(
        self, begin: tuple[Any, int], messages: Sequence[tuple[Any, int, int]], end: tuple[Any, int]
    ) -> None:
        """Send several requests between a begin and an end message, all or nothing (nfnetlink's batch)."""
        data = bytearray()
        self._encode(*begin, 0)
        data += begin[0].data
        pending = set()
        for message, kind, flags in messages:
            pending.add(self._encode(message, kind, flags | NLM_F_ACK))
            data += message.data
        self._encode(*end, 0)
        data += end[0].data
        self._socket.send(data)
        self._replies(pending, type(messages[0][0]), None)

    def _encode(self, message: Any, kind: int, flags: int) -> int:
        self._sequence += 1
        message["header"]["type"] = kind
        message["header"]["flags"] = flags | NLM_F_REQUEST
        message["header"]["sequence_number"] = self._sequence
        message["header"]["pid"] = 0
        message.encode()
        return self._sequence

    def _replies(self, pending: set[int], decoder: type[Any], wanted: Callable[[bytes], bool] | None) -> list[Any]:
        """Read until each pending request is acknowledged; raise the first refusal and throw away what follows it."""
        first = min(pending) - 1  # a batch's begin message may be refused as well
        replies: list[Any] = []
        while pending:
            data = self._socket.recv(_RECEIVE_OCTETS)
            position = 0
            while position + _HEADER.size <= len(data):
                length, kind, flags, sequence, _ = _HEADER.unpack_from(data, position)
                body = data[position + _HEADER.size : position + length]
                if sequence >= first:
                    if kind in (_NLMSG_ERROR, _NLMSG_DONE):
                        code = -struct.unpack_from("=i", body)[0] if len(body) >= 4 else 0
                        if code > 0:
                            self._drain()
                            raise OSError(code, _kernels_words(body, kind, flags) or os.strerror(code))
                        pending.discard(sequence)
                    elif wanted is None or wanted(body):
                        reply = decoder(data[position : position + length])
                        reply.decode()
                        replies.append(reply)
                position += max(_HEADER.size, (length + 3) & ~3)
        return replies

    def _drain(self) -> None:
        self._socket.setblocking(False)
        try:
            for _ in range(10_000):
                self._socket.recv(_RECEIVE_OCTETS)
        except OSError:
            pass
        finally:
            self._socket.settimeout(_TIMEOUT_SECONDS)


@contextmanager
def rtnetlink() -> Iterator[NetlinkSocket]:
    """Open a socket for interfaces, addresses and routes. Raises NetworkError where there is none to be had."""
    try:
        netlink = NetlinkSocket(socket.NETLINK_ROUTE)
    except OSError as error:
        raise NetworkError(f"cannot open a netlink socket: {error.strerror or error}") from error
    with netlink:
        yield netlink


def _kernels_words(body: bytes, kind: int, flags: int) -> str:
    """Find the sentence that extended acknowledgements (Linux 4.12) carry after the error code."""
    if kind != _NLMSG_ERROR or not flags & _NLM_F_ACK_TLVS:
        return ""
    position = 4 + _HEADER.size
    if not flags & _NLM_F_CAPPED and len(body) >= 8:
        position = 4 + ((struct.unpack_from("=I", body, 4)[0] + 3) & ~3)
    while position + 4 <= len(body):
        length, attribute = struct.unpack_from("=HH", body, position)
        if length < 4:
            break
        if attribute == _NLMSGERR_ATTR_MSG:
            return body[position + 4 : position + length].rstrip(b"\0").decode("utf-8", "replace")
        position += (length + 3) & ~3
    return ""


def refused(what: str, error: OSError) -> NetworkError:
    """Put an OSError of netlink into one sentence with its cure."""
    if error.errno in (errno.EPERM, errno.EACCES):
        return NetworkError(f"not allowed to {what}: run as root or give the process CAP_NET_ADMIN")
    if error.errno in (errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT):
        return NetworkError(f"cannot {what}: this kernel offers no such netlink socket")
    return NetworkError(f"cannot {what}: {error.strerror or error}")
