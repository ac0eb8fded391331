"""The data plane: packets between TUN devices and one raw GRE socket, in batches, for all sessions of a process.

    TUN --readv--> slot [headroom | packet] --Session.encapsulate--> sendmmsg --> network
    network --recvmmsg--> slot [IP header | GRE] --Session.receive--> write --> TUN

An epoll of its own holds the GRE socket and every TUN; asyncio's loop watches only that one. So one wake-up of the
loop serves many descriptors and several rounds, for SLICE seconds at most: then everybody else has a turn, the
handshakes and keep-alive messages on TCP too. Nobody starves inside either: descriptors are served in turn, one batch
each.

A packet costs no object, no exception and no line in a log. What is refused is counted: here, in the flow, in the
session, in its tunnel or in the decryptor.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address
from struct import Struct
from typing import Any, Final, TypeAlias

from pypptp.aio.batch_io import BATCH, BatchIo, Route, default
from pypptp.aio.crowd import Crowd, carries_control
from pypptp.aio.fair_loop import FairLoop
from pypptp.aio.rates import TokenBucket
from pypptp.errors import LocalProtocolError
from pypptp.gre.header import FIXED_LENGTH, PROTOCOL_TYPE
from pypptp.mppe.rc4 import bind
from pypptp.session import Session

SLICE: Final = 0.001
"""Seconds one wake-up may take before the loop has its turn; a batch that has begun is finished."""

LARGEST_MTU: Final = 1900
"""Octets of the largest packet, where nothing else is said: slots are then 2 KiB."""

EARLY_PACKETS: Final = 16
"""Packets kept for a TUN that is not there yet; it takes a millisecond or two to make one."""

SHORTEST_PAUSE: Final = 0.001
"""Seconds a flow over its rate is left alone at least."""

_OUTER_HEADER_LENGTH: Final = 20
_LONGEST_OUTER_HEADER: Final = 60
_SLOT_MULTIPLE: Final = 128
_NO_OPTIONS: Final = 0x45
_outer: Final = Struct("!B11xI10xH").unpack_from
"""Of an IPv4 header without options, and the GRE header behind it: version and length, source address, call id."""
_ip_header: Final = Struct("!B8xB2xI").unpack_from
"""Version and length, protocol, source address."""
_gre_header: Final = Struct("!2xH2xH").unpack_from
"""Protocol type, call id."""

# SO_MEMINFO (Linux 4.12) answers with nine numbers; the last counts what the receive buffer had no room for.
_SO_MEMINFO: Final = 55
_MEMINFO: Final = Struct("=9I")

_EBADFD: Final = int(getattr(errno, "EBADFD", errno.EBADF))
_TUN_FULL: Final = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS, errno.ENOMEM})
_TUN_GONE: Final = frozenset({_EBADFD, errno.EBADF, errno.ENODEV, errno.ENXIO})

_TROUBLE: Final = getattr(select, "EPOLLERR", 0) | getattr(select, "EPOLLHUP", 0)

Take: TypeAlias = Callable[[int, bytes], None]


class Flow:
    """One session's place in the data plane.

    Attributes:
        session: whose packets these are.
        peer: the outer address they come from and go to.
        tun_error: why the plane stopped reading the TUN by itself, None while it has not.
        tun_full: packets from the peer dropped because the TUN's queue was full.
        tun_refused: packets from the peer the TUN did not take for another reason, its interface being down above all.
        no_tun: packets from the peer dropped because there was no TUN, or not yet and too many of them.
        send_dropped: datagrams the kernel did not take; the plane's ``errors`` say why.
        surplus: data packets from the peer let go undecrypted, because they crowded everybody else out.
        over_rate: packets from the peer dropped because they came faster than its user may send.
    """

    __slots__ = (
        "_early",
        "_pace",
        "_paused",
        "_plane",
        "_police",
        "_route",
        "_settle",
        "_source",
        "_tun",
        "no_tun",
        "over_rate",
        "peer",
        "send_dropped",
        "session",
        "surplus",
        "tun_error",
        "tun_full",
        "tun_refused",
    )

    def __init__(
        self, plane: DataPlane, session: Session, peer: IPv4Address, route: Route, settle: Callable[[float], None]
    ) -> None:
        self.session = session
        self.peer = peer
        self.tun_error: int | None = None
        self.tun_full = 0
        self.tun_refused = 0
        self.no_tun = 0
        self.send_dropped = 0
        self.surplus = 0
        self.over_rate = 0
        # The peer may have finished before us, and its first packets come while our TUN is still being made.
        self._early: list[bytes] | None = []
        self._plane = plane
        self._route = route
        self._settle = settle
        self._source = int(peer)
        self._tun = -1
        self._pace: TokenBucket | None = None
        self._police: TokenBucket | None = None
        self._paused: asyncio.TimerHandle | None = None

    def limit(self, *, down: TokenBucket | None, up: TokenBucket | None) -> None:
        """Let packets pass no faster than these buckets fill; one without a bucket is not limited.

        Args:
            down: for packets from the TUN to the peer, which wait in the TUN's queue.
            up: for packets from the peer, which are dropped.
        """
        self._pace, self._police = down, up

    def open_tun(self, fd: int) -> None:
        """Begin to read packets from ``fd`` and to write those of the peer there.

        Args:
            fd: a TUN without packet information; it becomes non-blocking, and stays the caller's to close.

        Raises:
            LocalProtocolError: there is a TUN already.
        """
        if self._tun >= 0:
            raise LocalProtocolError("the flow has a TUN already")
        os.set_blocking(fd, False)
        self._plane._watch(fd, self)
        self._tun = fd
        self.tun_error = None
        early, self._early = self._early, None
        self.deliver(early or [])

    def close_tun(self) -> None:
        """Have nothing more to do with the TUN; call it before closing the descriptor. Twice is no error."""
        if self._tun >= 0:
            fd, self._tun = self._tun, -1
            self._plane._unwatch(fd)
            if self._paused is not None:
                self._paused.cancel()
                self._paused = None

    def send(self, datagrams: list[bytes]) -> None:
        """Send GRE packets that are no data: control frames and acknowledgements."""
        send_one, route = self._plane._io.send_one, self._route
        for datagram in datagrams:
            if not send_one(route, datagram):
                self.send_dropped += 1

    def deliver(self, packets: list[bytes]) -> None:
        """Write packets of the peer to the TUN that did not come by the fast path: a timer ended their wait."""
        for packet in packets:
            if self._police is None or self._passes(self._police, len(packet), self._plane._clock()):
                self._write(packet)

    def counters(self) -> dict[str, int]:
        """Everything counted between the session and its TUN, by name."""
        return {
            "tun_full": self.tun_full,
            "tun_refused": self.tun_refused,
            "no_tun": self.no_tun,
            "send_dropped": self.send_dropped,
            "surplus": self.surplus,
            "over_rate": self.over_rate,
        }

    def _drain(self, now: float) -> None:
        session = self.session
        while session.pending:
            packet = session.next_packet(now)
            if packet is not None:
                self.deliver([packet])

    def _write(self, packet: bytes) -> None:
        try:
            os.write(self._tun, packet)
        except OSError as error:
            self._not_written(packet, error)

    def _passes(self, police: TokenBucket, octets: int, now: float) -> bool:
        if police.left(now):
            police.spend(octets)
            return True
        self.over_rate += 1
        return False

    def _pause(self, fd: int, seconds: float) -> None:
        self._plane._epoll.modify(fd, 0)
        self._paused = self._plane._loop.call_later(max(seconds, SHORTEST_PAUSE), self._go_on, fd)

    def _go_on(self, fd: int) -> None:
        self._paused = None
        self._plane._epoll.modify(fd, select.EPOLLIN)

    def _not_written(self, packet: bytes | memoryview, error: OSError) -> None:
        if self._tun < 0:
            if self._early is not None and len(self._early) < EARLY_PACKETS:
                self._early.append(bytes(packet))
            else:
                self.no_tun += 1
        elif error.errno in _TUN_FULL:
            self.tun_full += 1
        else:
            self.tun_refused += 1
            if error.errno in _TUN_GONE:
                self._lose_tun(error.errno)

    def _lose_tun(self, code: int | None) -> None:
        self.tun_error = code or errno.EIO
        self.close_tun()
        self._plane._touched[self] = None


class DataPlane:
    """The packet path of all sessions behind one raw GRE socket.

    Attributes:
        wake_ups: times asyncio's loop called.
        batches_in, datagrams_in: from the GRE socket.
        batches_out, datagrams_out: data packets to the GRE socket; what the kernel refused is not among them.
        unknown_call: GRE packets whose call id no flow has.
        wrong_address: GRE packets of a flow's call id that came from elsewhere.
        not_gre: what was no enhanced GRE in IPv4, or too short for its header.
        too_long: datagrams longer than a slot.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        gre: socket.socket,
        *,
        clock: Callable[[], float] = time.monotonic,
        largest_mtu: int = LARGEST_MTU,
        batch_io: Callable[[socket.socket, int], BatchIo] | None = None,
    ) -> None:
        """Begin to serve the socket.

        Args:
            loop: who wakes us up.
            gre: a raw socket for GRE, non-blocking; it stays the caller's to close, after ``close``.
            clock: the time.
            largest_mtu: octets of the largest packet through any tunnel; sets the size of the slots.
            batch_io: the kind of input and output; the fastest that works where left out.
        """
        slot = -(-(largest_mtu + _LONGEST_OUTER_HEADER + Session.HEADROOM) // _SLOT_MULTIPLE) * _SLOT_MULTIPLE
        self._loop = loop
        self._gre = gre
        self._gre_fd = gre.fileno()
        self._clock = clock
        self._slot = slot
        self._io = io = (batch_io or default())(gre, slot)
        self._received = io.received
        self._received_handle: Any = bind(io.received)
        self._received_view = memoryview(io.received)
        self._sending = io.sending
        self._sending_handle: Any = bind(io.sending)
        sending_view = memoryview(io.sending)
        self._starts = range(Session.HEADROOM, BATCH * slot, slot)
        self._targets = [[sending_view[start : start - Session.HEADROOM + slot]] for start in self._starts]
        self._read_lengths = [0] * BATCH
        self._packets, self._ends = [0] * BATCH, [0] * BATCH
        self._flows: dict[int, Flow] = {}
        self._by_tun: dict[int, Flow] = {}
        self._expected: dict[int, list[Take]] = {}
        self._touched: dict[Flow, None] = {}
        self._settling = False
        self._ready: deque[int] = deque()
        # The port of a raw socket is its protocol number, and as a destination ignored.
        self._port: int = gre.getsockname()[1]
        self.wake_ups = 0
        self.batches_in = self.datagrams_in = 0
        self.batches_out = self.datagrams_out = 0
        self.unknown_call = self.wrong_address = self.not_gre = self.too_long = 0
        self._crowd = Crowd(gre)
        self._epoll = select.epoll()
        self._epoll.register(self._gre_fd, select.EPOLLIN)
        if isinstance(loop, FairLoop):
            loop.serve_always(self._epoll.fileno())
        loop.add_reader(self._epoll.fileno(), self._serve)

    # Who takes part.

    def attach(
        self, session: Session, *, local: IPv4Address | None, peer: IPv4Address, settle: Callable[[float], None]
    ) -> Flow:
        """Serve a session from now on.

        Args:
            session: its packets are found by ``session.call_id``.
            local: the outer address to send from; None for the kernel's choice.
            peer: the outer address of the other end; packets from elsewhere do not count.
            settle: called with the time, once for each wake-up in which packets of the flow passed or its TUN was lost.

        Raises:
            LocalProtocolError: the call id is taken.
        """
        if session.call_id in self._flows:
            raise LocalProtocolError(f"call {session.call_id} is attached already")
        flow = Flow(self, session, peer, self._io.route((str(peer), self._port), local), settle)
        self._flows[session.call_id] = flow
        return flow

    def detach(self, flow: Flow) -> None:
        """Serve a session no longer. Twice is no error."""
        flow.close_tun()
        self._touched.pop(flow, None)
        if self._flows.get(flow.session.call_id) is flow:
            del self._flows[flow.session.call_id]

    def expect(self, peer: IPv4Address, take: Take) -> None:
        """Hand GRE packets from ``peer`` with an unknown call id to ``take(call_id, datagram)``.

        A server's first frames overtake its Outgoing-Call-Reply: TCP and GRE race.
        """
        self._expected.setdefault(int(peer), []).append(take)

    def expect_no_more(self, peer: IPv4Address, take: Take | None = None) -> None:
        """Take ``expect`` back: for one receiver, or for all of them. What was never expected is no error."""
        takes = self._expected.get(int(peer), [])
        kept = [] if take is None else [other for other in takes if other != take]
        if kept:
            self._expected[int(peer)] = kept
        else:
            self._expected.pop(int(peer), None)

    def close(self) -> None:
        """Serve nobody any more. Twice is no error."""
        if self._epoll.closed:
            return
        if isinstance(self._loop, FairLoop):
            self._loop.serve_in_turn(self._epoll.fileno())
        self._loop.remove_reader(self._epoll.fileno())
        for flow in list(self._flows.values()):
            self.detach(flow)
        self._expected.clear()
        self._ready.clear()
        self._epoll.close()

    # The books.

    @property
    def io_name(self) -> str:
        """Which kind of input and output this is: "mmsg" or "socket"."""
        return self._io.name

    @property
    def errors(self) -> dict[str, int]:
        """Datagrams the kernel refused to send, and failed attempts to receive, by errno name."""
        return self._io.errors

    @property
    def kernel_drops(self) -> int | None:
        """Datagrams the socket's receive buffer had no room for; None where the kernel does not say."""
        try:
            memory = self._gre.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
            drops: int = _MEMINFO.unpack(memory)[-1]
        except Exception:
            return None
        return drops

    def counters(self) -> dict[str, int]:
        """Everything counted for the plane as a whole, by name. Each flow, session and tunnel has its own books."""
        counted = {
            "wake_ups": self.wake_ups,
            "batches_in": self.batches_in,
            "datagrams_in": self.datagrams_in,
            "batches_out": self.batches_out,
            "datagrams_out": self.datagrams_out,
            "unknown_call": self.unknown_call,
            "wrong_address": self.wrong_address,
            "not_gre": self.not_gre,
            "too_long": self.too_long,
            "kernel_drops": self.kernel_drops or 0,
        }
        return counted | {f"error_{name}": count for name, count in self._io.errors.items()}

    # One wake-up.

    def _serve(self) -> None:
        self.wake_ups += 1
        clock, poll, ready, by_tun = self._clock, self._epoll.poll, self._ready, self._by_tun
        end = clock() + SLICE
        while True:
            if not ready:
                for fd, events in poll(0):
                    ready.append(fd)
                    if events & _TROUBLE and fd in by_tun:
                        by_tun[fd]._lose_tun(_EBADFD)
                if not ready:
                    break
            fd = ready.popleft()
            if fd == self._gre_fd:
                self._receive_batch()
            else:
                flow = by_tun.get(fd)
                if flow is not None:
                    self._send_batch(flow, fd)
            if clock() >= end:
                break
        if self._touched:
            self._settle_touched()

    def _settle_touched(self) -> None:
        # A hundred sessions that end at once take 50 ms to settle: for them, too, everybody else has a turn between.
        touched, clock = self._touched, self._clock
        end = clock() + SLICE
        while touched:
            flow = next(iter(touched))
            del touched[flow]
            try:
                flow._settle(clock())
            except Exception as error:
                # One session's shell must not take the others down.
                self._loop.call_exception_handler({"message": "settling a session failed", "exception": error})
            if clock() >= end:
                break
        if touched and not self._settling:
            self._settling = True
            self._loop.call_soon(self._settle_rest)

    def _settle_rest(self) -> None:
        self._settling = False
        self._settle_touched()

    # TUN to GRE.

    def _send_batch(self, flow: Flow, fd: int) -> None:
        self._touched[flow] = None
        # First read them all, then encrypt them all: switching between kernel and cipher for each packet would cost
        # more than either, in cold caches.
        readv, lengths = os.readv, self._read_lengths
        count = 0
        pace = flow._pace
        try:
            if pace is None:
                for target in self._targets:
                    lengths[count] = readv(fd, target)
                    count += 1
            else:
                now = self._clock()
                for target in self._targets:
                    if not pace.left(now):
                        flow._pause(fd, pace.wait())
                        break
                    lengths[count] = readv(fd, target)
                    pace.spend(lengths[count])
                    count += 1
        except BlockingIOError:
            pass
        except OSError as error:
            flow._lose_tun(error.errno)
        encapsulate = flow.session.encapsulate
        handle, buffer, spans, base = self._sending_handle, self._sending, self._io.spans, self._io.base
        now = self._clock()
        position = 0
        for start, length in zip(self._starts[:count], lengths, strict=False):
            end = start + length
            first = encapsulate(handle, buffer, start, end, now)
            if first:
                spans[position] = base + first
                spans[position + 1] = end - first
                position += 2
            elif (answer := flow.session.answer_refused(buffer, start, end, now)) is not None:
                flow._write(answer)
        if position:
            count = position >> 1
            sent = self._io.send(flow._route, count)
            self.batches_out += 1
            self.datagrams_out += sent
            if sent != count:
                flow.send_dropped += count - sent

    # GRE to TUN.

    def _receive_batch(self) -> None:
        io = self._io
        count = io.receive()
        if not count:
            return
        self.batches_in += 1
        self.datagrams_in += count
        flows, touched = self._flows, self._touched
        handle, buffer, slot = self._received_handle, self._received, self._slot
        unpack_outer = _outer
        # Decrypt them all, then write them all: see _send_batch.
        takers: list[Flow] = []
        packets, ends = self._packets, self._ends
        last = police = None
        now = self._clock()
        slots: Iterable[tuple[int, int]] = zip(range(0, count * slot, slot), io.lengths, strict=False)
        if self._crowd.look(full=count == BATCH):
            slots = self._thin_out(slots)
        for start, length in slots:
            version, source, call_id = unpack_outer(buffer, start)
            flow = flows.get(call_id)
            end = start + length
            if flow is None or source != flow._source or version != _NO_OPTIONS or length > slot:
                flow, start = self._look_closer(start, length)
                if flow is None:
                    continue
            else:
                start += _OUTER_HEADER_LENGTH
            if flow is not last:
                last = flow
                police = flow._police
                touched[flow] = None
            session = flow.session
            packet = session.receive(handle, buffer, start, end, now)
            if packet and (police is None or flow._passes(police, session.packet_end - packet, now)):
                packets[len(takers)] = packet
                ends[len(takers)] = session.packet_end
                takers.append(flow)
            if session.tunnel.ready:
                # What had waited for this one comes behind it, and so behind what is not written yet.
                self._write(takers)
                takers.clear()
                flow._drain(now)
        self._write(takers)

    def _thin_out(self, slots: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Leave each flow its share of the batch, and all that negotiates or keeps alive."""
        buffer, share = self._received, self._crowd.share
        taken: dict[int, int] = {}
        kept = []
        for start, length in slots:
            version, _, call_id = _outer(buffer, start)
            number = taken[call_id] = taken.get(call_id, 0) + 1
            gre_start = start + (version & 0x0F) * 4
            if number <= share or carries_control(buffer, gre_start, start + length):
                kept.append((start, length))
            elif (flow := self._flows.get(call_id)) is not None:
                flow.surplus += 1
        return kept

    def _write(self, takers: list[Flow]) -> None:
        write, view = os.write, self._received_view
        for flow, start, end in zip(takers, self._packets, self._ends, strict=False):
            try:
                write(flow._tun, view[start:end])
            except OSError as error:
                flow._not_written(view[start:end], error)

    def _look_closer(self, offset: int, length: int) -> tuple[Flow | None, int]:
        """Find the flow of a datagram with IP options, and where its GRE packet begins; or count why it has none."""
        if length > self._slot:
            self.too_long += 1
            return None, 0
        if length < _OUTER_HEADER_LENGTH + FIXED_LENGTH:
            self.not_gre += 1
            return None, 0
        version, protocol, source = _ip_header(self._received, offset)
        start = offset + (version & 0x0F) * 4
        end = offset + length
        if version >> 4 != 4 or start < offset + _OUTER_HEADER_LENGTH or start + FIXED_LENGTH > end:
            self.not_gre += 1
            return None, 0
        protocol_type, call_id = _gre_header(self._received, start)
        if protocol != socket.IPPROTO_GRE or protocol_type != PROTOCOL_TYPE:
            self.not_gre += 1
            return None, 0
        flow = self._flows.get(call_id)
        if flow is None:
            takes = self._expected.get(source)
            if takes is None:
                self.unknown_call += 1
            else:
                datagram = bytes(self._received_view[start:end])
                for take in takes:
                    take(call_id, datagram)
            return None, 0
        if source != flow._source:
            self.wrong_address += 1
            return None, 0
        return flow, start

    # Descriptors, for flows.

    def _watch(self, fd: int, flow: Flow) -> None:
        self._epoll.register(fd, select.EPOLLIN)
        self._by_tun[fd] = flow

    def _unwatch(self, fd: int) -> None:
        self._by_tun.pop(fd, None)
        with contextlib.suppress(OSError, ValueError):
            self._epoll.unregister(fd)
