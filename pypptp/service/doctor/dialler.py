"""A client that looks instead of working: it places a call and writes down what comes back, and what does not.

No TUN, no route, nothing of the system is changed. It blocks, with a deadline for everything. Beside its TCP and GRE
sockets it reads two more: a raw one for the ICMP errors that routers answer GRE with, and a packet socket, which sees
what arrives at the network card before this machine's own packet filter throws it away.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from types import TracebackType
from typing import Final

from pypptp.causes import Cause
from pypptp.control import CallIdAllocator
from pypptp.endpoint import Endpoint, EndpointConfig, EndpointEvent
from pypptp.errors import NetworkError
from pypptp.gre.header import parse_header
from pypptp.net.raw_gre import IPPROTO_GRE, open_gre_socket
from pypptp.ppp.auth import Secret
from pypptp.ppp.protocols import Protocol, split_frame
from pypptp.roles import Role
from pypptp.service.doctor.inner_packets import dns_question, echo_request, is_dns_answer, is_echo_reply, udp_packet

CONNECT_PATIENCE = 5.0
"""Seconds for TCP: three SYNs."""
_CLOSE_PATIENCE: Final = 0.5
_ALL_PROTOCOLS: Final = 0x0003
_IPV4: Final = 0x0800
_PACKET_OUTGOING: Final = 4
_IP_MTU_DISCOVER: Final = 10
_IP_PMTUDISC_PROBE: Final = 3
"""Do not fragment, and do not go by what was learned of the path before: the point is to learn it."""
_LARGEST_DATAGRAM: Final = 65_535
_GREETING_OCTETS: Final = 64
_TCP: Final = 6
_ECHO_REQUEST, _ECHO_REPLY = 9, 10
LCP_ECHO_OVERHEAD: Final = 20 + 12 + 4 + 8
"""Octets of an outer packet around an LCP Echo-Request's data: IP, GRE, PPP, and LCP with its Magic-Number."""
_DNS_PORT: Final = 49_153


@dataclass(frozen=True, slots=True)
class Complaint:
    """An ICMP error about a GRE packet of ours.

    Attributes:
        sender: who sent it.
        kind: the ICMP type.
        code: the ICMP code.
        mtu: of "fragmentation needed", the MTU it named; 0 otherwise.
    """

    sender: IPv4Address
    kind: int
    code: int
    mtu: int = 0


@dataclass(slots=True)
class Books:
    """What was seen.

    Attributes:
        greeting: the first octets that came by TCP.
        events: what happened, in order.
        gre_sent: GRE packets given to the kernel, gre_refused: those it did not take, by errno.
        gre_received: GRE packets that reached us.
        gre_left: GRE packets that were seen leaving by a network card, gre_arrived: and arriving.
        tcp_left: the same of TCP to the port, tcp_arrived: and from it.
        arrived_by: interfaces at which the server's packets arrived.
        complaints: ICMP errors about GRE.
        reverse_path: packets the reverse path filter threw away meanwhile, those of others included.
    """

    greeting: bytes = b""
    events: list[EndpointEvent] = field(default_factory=list)
    gre_sent: int = 0
    gre_refused: dict[int, int] = field(default_factory=dict)
    gre_received: int = 0
    gre_left: int = 0
    gre_arrived: int = 0
    tcp_left: int = 0
    tcp_arrived: int = 0
    arrived_by: set[str] = field(default_factory=set)
    complaints: list[Complaint] = field(default_factory=list)
    reverse_path: int = 0


class Dialler:
    """One connection with one call.

    Args:
        server: whom to call.
        port: its TCP port.
        config: what the call may agree to.
        secret: the user's own, or None to go no further than to the authentication: nothing of it is sent then, so
            that no failed log-in is written down anywhere.

    Raises:
        NetworkError: no right to raw sockets.
    """

    def __init__(self, server: IPv4Address, port: int, config: EndpointConfig, secret: Secret | None) -> None:
        self.books = Books()
        self.local: IPv4Address | None = None
        self.interface = ""
        self._server, self._port = server, port
        self._keeps_silent = secret is None
        self._endpoint = Endpoint(
            Role.CLIENT,
            config,
            random=os.urandom,
            call_ids=CallIdAllocator(os.urandom),
            now=time.monotonic(),
            # Without one the link would not even say that it can authenticate.
            secret=Secret(password="") if secret is None else secret,
        )
        self._packets: list[bytes] = []
        self._echoes: set[int] = set()
        self._identifier = 0
        self._eof = False
        self._sockets: list[socket.socket] = []
        self._reverse_path_before = read_reverse_path_counter()
        try:
            self._gre = self._keep(open_gre_socket())
            self._gre.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE)
            self._icmp = self._keep(socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
            self._card = self._keep(socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ALL_PROTOCOLS)))
            self._tcp = self._keep(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        except OSError as error:
            self._close_sockets()
            raise NetworkError(f"cannot open what is needed to look at packets: {error.strerror}") from error
        except BaseException:
            self._close_sockets()
            raise
        for each in self._sockets:
            each.setblocking(False)

    def _keep(self, opened: socket.socket) -> socket.socket:
        self._sockets.append(opened)
        return opened

    def __enter__(self) -> Dialler:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def endpoint(self) -> Endpoint:
        """The machine behind it, to look at."""
        return self._endpoint

    def connect(self) -> None:
        """Open TCP and say who we are.

        Raises:
            NetworkError: its cause is REFUSED, TIMED_OUT or UNREACHABLE.
        """
        code = self._tcp.connect_ex((str(self._server), self._port))
        deadline = time.monotonic() + CONNECT_PATIENCE
        while code in (errno.EINPROGRESS, errno.EALREADY):
            left = deadline - time.monotonic()
            if left <= 0:
                self.note_reverse_path()
                raise NetworkError("no answer", cause=Cause.TIMED_OUT)
            _, writable, _ = select.select([self._card], [self._tcp], [], left)
            self._look_at_card()
            if writable:
                code = self._tcp.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                break
        if code == errno.ECONNREFUSED:
            raise NetworkError("refused", cause=Cause.REFUSED)
        if code == errno.ETIMEDOUT:
            raise NetworkError("no answer", cause=Cause.TIMED_OUT)
        if code:
            raise NetworkError(os.strerror(code), cause=Cause.UNREACHABLE)
        self.local = IPv4Address(self._tcp.getsockname()[0])
        self._endpoint.connect(time.monotonic())
        self._settle()

    def pump(self, done: Callable[[], bool], patience: float) -> bool:
        """Carry octets until something is the case, the connection is gone, or time is up.

        Returns:
            Whether it is the case.
        """
        deadline = time.monotonic() + patience
        while not done():
            now = time.monotonic()
            if now >= deadline or (self._eof and not self._endpoint.sessions):
                return done()
            timer = self._endpoint.get_timer()
            wait = max(0.0, min(deadline, deadline if timer is None else timer) - now)
            reading = [each for each in self._sockets if each is not self._tcp or not self._eof]
            readable, _, _ = select.select(reading, [], [], wait)
            if self._tcp in readable:
                self._read_tcp()
            if self._gre in readable:
                self._read_gre()
            if self._icmp in readable:
                self._read_icmp()
            if self._card in readable:
                self._look_at_card()
            now = time.monotonic()
            timer = self._endpoint.get_timer()
            if timer is not None and now >= timer:
                self._endpoint.handle_timer(now)
            self._settle()
        return True

    def echo(self, size: int, patience: float) -> bool:
        """Send an LCP Echo-Request in an outer packet of ``size`` octets, and say whether it was answered.

        It needs no log-in and no address: an open LCP answers with the same octets (RFC 1661 section 5.8).
        """
        session = next(iter(self._endpoint.sessions.values()), None)
        if session is None or size < LCP_ECHO_OVERHEAD:
            return False
        self._identifier = self._identifier % 200 + 1
        # Far from those the link itself uses, which begin at 1.
        identifier = 255 - self._identifier
        self._echoes.discard(identifier)
        length = size - LCP_ECHO_OVERHEAD + 8
        magic = session.link.lcp.magic.ours
        frame = struct.pack("!BBHBBHI", 0xFF, 0x03, Protocol.LCP, _ECHO_REQUEST, identifier, length, magic)
        room = bytearray(16) + frame + bytes(length - 8)
        # An acknowledgement that is due would make the packet longer by four octets.
        bare = session.tunnel.bare_ack(time.monotonic())
        if bare is not None:
            self._send_gre(bare)
        start = session.tunnel.write_header(room, 16, len(room), time.monotonic())
        if not self._send_gre(bytes(room[start:])):
            return False
        return self.pump(lambda: identifier in self._echoes, patience)

    def ping(self, source: IPv4Address, destination: IPv4Address, size: int, patience: float) -> bool:
        """Send an ICMP echo request of ``size`` octets through the tunnel, and say whether it was answered."""
        self._identifier += 1
        sequence = self._identifier
        packet = echo_request(source, destination, os.getpid() & 0xFFFF, sequence, size)
        return self._ask(packet, lambda answer: is_echo_reply(answer, os.getpid() & 0xFFFF, sequence), patience)

    def ask_name_server(self, source: IPv4Address, server: IPv4Address, patience: float) -> bool:
        """Ask a name server through the tunnel for the root's servers, and say whether it answered."""
        self._identifier += 1
        number = self._identifier
        packet = udp_packet(source, server, _DNS_PORT, 53, dns_question(number))
        return self._ask(packet, lambda answer: is_dns_answer(answer, server, _DNS_PORT, number), patience)

    def _ask(self, packet: bytes, is_answer: Callable[[bytes], bool], patience: float) -> bool:
        if not self._endpoint.sessions:
            return False
        self._packets.clear()
        self._endpoint.send_packet(packet, time.monotonic())
        self._settle()
        return self.pump(lambda: any(is_answer(answer) for answer in self._packets), patience)

    def close(self) -> None:
        """Hang up in order, if it goes quickly. Closing twice is no error."""
        if not self._sockets:
            return
        if self.local is not None and not self._endpoint.control.closed:
            self._endpoint.close("the doctor has seen enough", time.monotonic())
            self._settle()
            self.pump(lambda: self._endpoint.control.closed, _CLOSE_PATIENCE)
            self._endpoint.abort("the doctor has seen enough", time.monotonic())
            self._settle()
        self._close_sockets()

    def _close_sockets(self) -> None:
        for each in self._sockets:
            each.close()
        self._sockets.clear()

    # Inside.

    def _settle(self) -> None:
        now = time.monotonic()
        self._endpoint.settle(now)
        data = self._endpoint.data_to_send()
        if data:
            try:
                self._tcp.send(data)
            except OSError:
                self._eof = True
        for datagram in self._endpoint.datagrams_to_send(now):
            if not (self._keeps_silent and _is_log_in(datagram)):
                self._send_gre(datagram)
        self._packets += self._endpoint.packets_received()
        while (event := self._endpoint.next_event()) is not None:
            self.books.events.append(event)

    def _send_gre(self, datagram: bytes) -> bool:
        self.books.gre_sent += 1
        try:
            self._gre.sendto(datagram, (str(self._server), 0))
        except OSError as error:
            code = error.errno or 0
            self.books.gre_refused[code] = self.books.gre_refused.get(code, 0) + 1
            return False
        return True

    def _read_tcp(self) -> None:
        try:
            data = self._tcp.recv(_LARGEST_DATAGRAM)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        now = time.monotonic()
        if not data:
            self._eof = True
            self._endpoint.receive_eof(now)
            return
        self.books.greeting = (self.books.greeting + data)[:_GREETING_OCTETS]
        self._endpoint.receive_data(data, now)

    def _read_gre(self) -> None:
        for _ in range(64):
            try:
                packet, sender = self._gre.recvfrom(_LARGEST_DATAGRAM)
            except OSError:
                return
            if sender[0] != str(self._server):
                continue
            datagram = packet[(packet[0] & 0x0F) * 4 :]
            self.books.gre_received += 1
            self._take_echo(datagram)
            if not (self._keeps_silent and _is_log_in(datagram)):
                self._endpoint.receive_datagram(datagram, time.monotonic())

    def _take_echo(self, datagram: bytes) -> None:
        parts = _frame_of(datagram)
        if parts is not None and parts[0] == Protocol.LCP and parts[1][:1] == bytes([_ECHO_REPLY]):
            self._echoes.add(parts[1][1])

    def _read_icmp(self) -> None:
        try:
            packet, sender = self._icmp.recvfrom(_LARGEST_DATAGRAM)
        except OSError:
            return
        complaint = parse_complaint(packet, IPv4Address(sender[0]), self._server)
        if complaint is not None and complaint not in self.books.complaints:
            self.books.complaints.append(complaint)

    def _look_at_card(self) -> None:
        server = self._server.packed
        for _ in range(256):
            try:
                packet, sender = self._card.recvfrom(64)
            except OSError:
                return
            if sender[1] != _IPV4 or len(packet) < 20 or sender[0] == "lo":
                continue
            leaves = sender[2] == _PACKET_OUTGOING
            if packet[16:20] != server if leaves else packet[12:16] != server:
                continue
            books = self.books
            if not leaves:
                books.arrived_by.add(sender[0])
            if packet[9] == IPPROTO_GRE:
                if leaves:
                    books.gre_left += 1
                else:
                    books.gre_arrived += 1
            elif packet[9] == _TCP:
                if leaves:
                    books.tcp_left += 1
                else:
                    books.tcp_arrived += 1

    def note_reverse_path(self) -> None:
        """Look how many packets the reverse path filter has thrown away since the beginning."""
        self.books.reverse_path = read_reverse_path_counter() - self._reverse_path_before


def parse_complaint(packet: bytes, sender: IPv4Address, server: IPv4Address) -> Complaint | None:
    """Read an ICMP error (RFC 792), with its IP header, about GRE to ``server``; None for anything else."""
    start = (packet[0] & 0x0F) * 4 if packet else 0
    inner = packet[start + 8 :]
    if start < 20 or len(inner) < 20 or packet[start] not in (3, 11):
        return None
    if inner[9] != IPPROTO_GRE or inner[16:20] != server.packed:
        return None
    kind, code = packet[start], packet[start + 1]
    mtu = int.from_bytes(packet[start + 6 : start + 8], "big") if (kind, code) == (3, 4) else 0
    return Complaint(sender, kind, code, mtu)


def read_reverse_path_counter() -> int:
    """Read how many packets this namespace's reverse path filter has thrown away (TcpExt IPReversePathFilter)."""
    try:
        with open("/proc/thread-self/net/netstat", encoding="ascii") as file:  # noqa: PTH123 - no path of ours
            lines = [line.split() for line in file]
    except OSError:
        return 0
    for names, values in zip(lines[::2], lines[1::2], strict=False):
        if "IPReversePathFilter" in names:
            return int(values[names.index("IPReversePathFilter")])
    return 0


def _frame_of(datagram: bytes) -> tuple[int, bytes] | None:
    header = parse_header(datagram)
    return None if header is None or not header.payload_length else split_frame(datagram[header.header_length :])


def _is_log_in(datagram: bytes) -> bool:
    parts = _frame_of(datagram)
    return parts is not None and parts[0] in (Protocol.PAP, Protocol.CHAP)
