"""Datagrams in batches, in and out of fixed buffers, on one raw socket.

Two implementations stand behind one shape, as with RC4:

``mmsg``
    recvmmsg and sendmmsg through cffi's ABI mode: one system call for up to 64 datagrams.
``socket``
    One call of the socket module for each datagram: there wherever Python is.

The choice is made once for each process, by a self-test over a pair of sockets. Both drop what the kernel does not
take, and count why; neither ever waits.
"""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Sequence
from functools import cache
from ipaddress import IPv4Address
from struct import Struct
from typing import Any, ClassVar, Final, Protocol, TypeAlias, cast

from pypptp.errors import LocalProtocolError

BATCH: Final = 64
"""Datagrams in one batch."""

_DONTWAIT: Final = int(getattr(socket, "MSG_DONTWAIT", 0))
_TRUNC: Final = int(getattr(socket, "MSG_TRUNC", 0))
# What says "no room now": the packets behind would be refused too.
_NO_ROOM: Final = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS, errno.ENOMEM})

_IP_PKTINFO: Final = 8
_PACKET_INFO: Final = Struct("=i4s4s")
"""struct in_pktinfo: interface (0: by route), source address, and a field that only matters for reception."""

Address: TypeAlias = tuple[str, int]
AncillaryData: TypeAlias = list[tuple[int, int, bytes]]


class Spans(Protocol):
    """Numbers by position, as a list and a memoryview have them."""

    def __getitem__(self, index: int, /) -> int: ...
    def __setitem__(self, index: int, value: int, /) -> None: ...


class Route:
    """Where one flow's datagrams go, and which address they come from.

    Attributes:
        address: the destination; the port means nothing to a raw socket.
        ancillary: what makes the kernel use the source address asked for; empty for the kernel's own choice.
    """

    __slots__ = ("address", "ancillary")

    def __init__(self, address: Address, source: IPv4Address | None) -> None:
        self.address = address
        self.ancillary: AncillaryData = []
        if source is not None:
            info = _PACKET_INFO.pack(0, source.packed, bytes(4))
            self.ancillary.append((socket.IPPROTO_IP, _IP_PKTINFO, info))


class BatchIo(Protocol):
    """One socket's buffers: ``BATCH`` slots of ``slot`` octets for what comes, as many for what goes.

    Attributes:
        slot: octets of a slot.
        received: the slots of what comes: datagram i begins at ``i * slot``.
        lengths: how long each was on the wire; longer than ``slot`` means the rest is lost.
        sending: the slots of what goes.
        spans: where in ``sending`` a batch's datagrams are, two numbers for each: ``base`` plus its start, its length.
        base: what to add to a start in ``spans``.
        errors: datagrams, or attempts to receive some, that the kernel refused, by errno name.
    """

    name: ClassVar[str]
    slot: int
    received: bytearray
    sending: bytearray
    lengths: Sequence[int]
    spans: Spans
    base: int
    errors: dict[str, int]

    def receive(self) -> int:
        """Fill the slots with what has come; returns how many there are, 0 for none."""

    def route(self, address: Address, source: IPv4Address | None) -> Route:
        """Prepare a destination."""

    def send(self, route: Route, count: int) -> int:
        """Send the first ``count`` spans; returns how many the kernel took."""

    def send_one(self, route: Route, datagram: bytes) -> bool:
        """Send one datagram of the caller's; returns whether the kernel took it."""


class _Slots:
    """What both implementations have in common."""

    name: ClassVar[str]

    def __init__(self, sock: socket.socket, slot: int) -> None:
        self._socket = sock
        self.slot = slot
        self.received = bytearray(BATCH * slot)
        self.sending = bytearray(BATCH * slot)
        self.errors: dict[str, int] = {}

    def send_one(self, route: Route, datagram: bytes) -> bool:
        try:
            self._socket.sendmsg([datagram], route.ancillary, _DONTWAIT, route.address)
        except OSError as error:
            self._count_error(error.errno or 0)
            return False
        return True

    def _count_error(self, code: int, datagrams: int = 1) -> None:
        name = errno.errorcode.get(code, str(code))
        self.errors[name] = self.errors.get(name, 0) + datagrams


class SocketIo(_Slots):
    """Batches on the socket module."""

    name = "socket"

    def __init__(self, sock: socket.socket, slot: int) -> None:
        super().__init__(sock, slot)
        view = memoryview(self.received)
        self._targets = [[view[at : at + slot]] for at in range(0, BATCH * slot, slot)]
        self._sending_view = memoryview(self.sending)
        self._lengths = [0] * BATCH
        self.lengths: Sequence[int] = self._lengths
        self.spans: Spans = [0] * (2 * BATCH)
        self.base = 0

    def receive(self) -> int:
        receive, lengths = self._socket.recvmsg_into, self._lengths
        count = 0
        try:
            for target in self._targets:
                # Linux gives the true length only in exchange for MSG_TRUNC.
                lengths[count] = receive(target, 0, _DONTWAIT | _TRUNC)[0]
                count += 1
        except BlockingIOError:
            pass
        except OSError as error:
            self._count_error(error.errno or 0)
        return count

    def route(self, address: Address, source: IPv4Address | None) -> Route:
        return Route(address, source)

    def send(self, route: Route, count: int) -> int:
        view, spans, send = self._sending_view, self.spans, self._socket.sendmsg
        taken = 0
        for index in range(count):
            start = spans[2 * index]
            try:
                send([view[start : start + spans[2 * index + 1]]], route.ancillary, _DONTWAIT, route.address)
                taken += 1
            except OSError as error:
                code = error.errno or 0
                if code in _NO_ROOM:
                    self._count_error(code, count - index)
                    break
                self._count_error(code)
        return taken


_DECLARATIONS = """
struct iovec { void *iov_base; size_t iov_len; };
struct msghdr { void *msg_name; unsigned msg_namelen; struct iovec *msg_iov; size_t msg_iovlen;
                void *msg_control; size_t msg_controllen; int msg_flags; };
struct mmsghdr { struct msghdr msg_hdr; unsigned msg_len; };
struct sockaddr_in { unsigned short sin_family; unsigned char sin_port[2]; unsigned char sin_addr[4];
                     char sin_zero[8]; };
struct cmsghdr { size_t cmsg_len; int cmsg_level; int cmsg_type; };
int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags);
int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, void *timeout);
"""


class _Mmsg:
    """The C library's two calls, and cffi's view of their structures; raises where they cannot be had."""

    def __init__(self) -> None:
        import cffi

        if not sys.platform.startswith("linux"):
            raise OSError("sendmmsg is known to work as declared here on Linux only")
        self.ffi: Any = cast("Any", cffi.FFI())
        self.ffi.cdef(_DECLARATIONS)
        self._library: Any = self.ffi.dlopen(None)
        self.sendmmsg: Any = self._library.sendmmsg
        self.recvmmsg: Any = self._library.recvmmsg


@cache
def _mmsg() -> _Mmsg:
    return _Mmsg()


class _MmsgRoute(Route):
    """A route with a batch of message headers of its own that name it: 4 KiB, and nothing to fill in for each batch."""

    __slots__ = ("_keep", "messages")

    def __init__(self, c: _Mmsg, address: Address, source: IPv4Address | None, iovecs: Any) -> None:
        super().__init__(address, source)
        name = c.ffi.new("struct sockaddr_in *")
        name.sin_family = socket.AF_INET
        name.sin_port = address[1].to_bytes(2, "big")
        name.sin_addr = socket.inet_aton(address[0])
        control = c.ffi.NULL
        control_length = 0
        for level, kind, data in self.ancillary:
            header_length = c.ffi.sizeof("struct cmsghdr")
            control_length = socket.CMSG_SPACE(len(data))
            control = c.ffi.new("size_t[]", -(-control_length // c.ffi.sizeof("size_t")))
            header = c.ffi.cast("struct cmsghdr *", control)
            header.cmsg_len = header_length + len(data)
            header.cmsg_level, header.cmsg_type = level, kind
            c.ffi.memmove(c.ffi.cast("char *", control) + header_length, data, len(data))
        self.messages: Any = c.ffi.new("struct mmsghdr[]", BATCH)
        for index in range(BATCH):
            header = self.messages[index].msg_hdr
            header.msg_name, header.msg_namelen = name, c.ffi.sizeof("struct sockaddr_in")
            header.msg_iov, header.msg_iovlen = iovecs + index, 1
            header.msg_control, header.msg_controllen = control, control_length
        self._keep = (name, control)


class MmsgIo(_Slots):
    """Batches through recvmmsg and sendmmsg."""

    name = "mmsg"

    def __init__(self, sock: socket.socket, slot: int) -> None:
        super().__init__(sock, slot)
        self._c = c = _mmsg()
        ffi = c.ffi
        self._fd = sock.fileno()
        self._null = ffi.NULL
        self._ffi = ffi
        self._receive = c.recvmmsg
        self._send = c.sendmmsg
        self._received_at: Any = ffi.from_buffer("unsigned char[]", self.received)
        self._sending_at: Any = ffi.from_buffer("unsigned char[]", self.sending)
        self._incoming: Any = ffi.new("struct mmsghdr[]", BATCH)
        self._incoming_iovecs: Any = ffi.new("struct iovec[]", BATCH)
        for index in range(BATCH):
            self._incoming_iovecs[index].iov_base = self._received_at + index * slot
            self._incoming_iovecs[index].iov_len = slot
            self._incoming[index].msg_hdr.msg_iov = self._incoming_iovecs + index
            self._incoming[index].msg_hdr.msg_iovlen = 1
        # Plain numbers seen through a memoryview: several times cheaper than a field access through cffi.
        words = memoryview(ffi.buffer(self._incoming)).cast("B").cast("I")
        step = ffi.sizeof("struct mmsghdr") // words.itemsize
        self.lengths: Sequence[int] = words[ffi.offsetof("struct mmsghdr", "msg_len") // words.itemsize :: step]
        self._outgoing_iovecs: Any = ffi.new("struct iovec[]", BATCH)
        # "L" is as wide as a pointer and a size_t wherever Linux runs.
        self.spans: Spans = memoryview(ffi.buffer(self._outgoing_iovecs)).cast("B").cast("L")
        self.base = int(ffi.cast("uintptr_t", self._sending_at))

    def receive(self) -> int:
        count: int = self._receive(self._fd, self._incoming, BATCH, _DONTWAIT | _TRUNC, self._null)
        if count > 0:
            return count
        if count < 0 and self._ffi.errno not in (errno.EAGAIN, errno.EWOULDBLOCK):
            self._count_error(self._ffi.errno)
        return 0

    def route(self, address: Address, source: IPv4Address | None) -> Route:
        return _MmsgRoute(self._c, address, source, self._outgoing_iovecs)

    def send(self, route: Route, count: int) -> int:
        messages: Any = cast("_MmsgRoute", route).messages
        sent: int = self._send(self._fd, messages, count, _DONTWAIT)
        if sent == count:
            return count
        return self._send_rest(messages, sent, count)

    def _send_rest(self, messages: Any, sent: int, count: int) -> int:
        """Go on behind what stopped sendmmsg; it says why only when that comes first."""
        taken = max(sent, 0)
        at = taken
        while at < count:
            if sent < 0:
                code = self._ffi.errno
                if code in _NO_ROOM:
                    self._count_error(code, count - at)
                    break
                self._count_error(code)
                at += 1
                if at == count:
                    break
            sent = self._send(self._fd, messages + at, count - at, _DONTWAIT)
            if sent == 0:
                break
            if sent > 0:
                taken += sent
                at += sent
        return taken


_KINDS: Final[dict[str, type[MmsgIo] | type[SocketIo]]] = {"mmsg": MmsgIo, "socket": SocketIo}


def self_test(kind: type[MmsgIo] | type[SocketIo]) -> bool:
    """Return whether two datagrams sent as a batch arrive as one, whole and in order, over UDP on loopback."""
    udp = (socket.AF_INET, socket.SOCK_DGRAM)
    with socket.socket(*udp) as ours, socket.socket(*udp) as far:
        ours.bind(("127.0.0.1", 0))
        far.bind(("127.0.0.1", 0))
        far.setblocking(False)
        sender, receiver = kind(ours, 64), kind(far, 64)
        route = sender.route(far.getsockname(), IPv4Address("127.0.0.1"))
        expected = [b"first", b"and second"]
        for index, datagram in enumerate(expected):
            start = index * sender.slot + 7
            sender.sending[start : start + len(datagram)] = datagram
            sender.spans[2 * index] = sender.base + start
            sender.spans[2 * index + 1] = len(datagram)
        if sender.send(route, 2) != 2 or receiver.receive() != 2:
            return False
        starts = (0, receiver.slot)
        arrived = [bytes(receiver.received[at : at + n]) for at, n in zip(starts, receiver.lengths, strict=False)]
        return arrived == expected and not sender.errors and not receiver.errors


def load(name: str) -> type[MmsgIo] | type[SocketIo]:
    """Return the implementation "mmsg" or "socket", self-tested.

    Raises:
        LocalProtocolError: it cannot be had here, fails its self-test, or has another name.
    """
    if name not in _KINDS:
        raise LocalProtocolError(f"no batch input and output is called {name!r}")
    kind = _KINDS[name]
    # A C library that differs must cost speed, not the program.
    try:
        passed = self_test(kind)
    except Exception as error:
        raise LocalProtocolError(f"batches by {name} cannot be had here: {error}") from error
    if not passed:
        raise LocalProtocolError(f"batches by {name} do not arrive as they were sent")
    return kind


@cache
def default() -> type[MmsgIo] | type[SocketIo]:
    """Return the fastest implementation that works here."""
    try:
        return load("mmsg")
    except LocalProtocolError:
        return SocketIo
