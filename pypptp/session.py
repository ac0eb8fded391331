"""One call: its GRE tunnel, its PPP link and MPPE, and the fast path of packets through the three.

    IP packet -> [mtu, policy] -> MPPE -> PPP header -> GRE header -> datagram          (encapsulate)
    datagram -> GRE order -> PPP header -> MPPE -> [plausible, policy] -> IP packet     (receive)

Both work in the caller's buffer, in place, and refuse with a counter. Frames that are no data leave the fast path for
the link. Nothing here opens a socket or reads a clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, Final

from pypptp.causes import Cause
from pypptp.gre import DELIVER, HEADROOM, Tunnel, TunnelConfig
from pypptp.inner_traffic import (
    SPECIAL,
    TO_LOOPBACK,
    TO_MULTICAST,
    InnerPolicy,
    fragmentation_needed,
    unpack_addresses,
)
from pypptp.mppe.cipher import IMPLAUSIBLE, NEEDS_RESET, OK
from pypptp.mppe.rc4 import bind
from pypptp.ppp.auth import Secret
from pypptp.ppp.config import LinkConfig
from pypptp.ppp.events import LinkClosed, LinkEvent, NetworkUp
from pypptp.ppp.link import Link
from pypptp.ppp.protocols import Protocol
from pypptp.roles import RandomBytes, Role

IMPLAUSIBLE_LIMIT: Final = 64
"""Implausible frames in a row after which CCP is negotiated anew, once, and then the session ended."""

CLEAR_LIMIT: Final = 64
"""Packets in clear in a row, where they have to be encrypted, after which the session is ended: it is no accident, and
not one forged packet either."""

ANSWER_INTERVAL: Final = 0.1
"""Seconds at least between two answers to packets that are too long (RFC 1812 section 4.3.2.8)."""

# Plain numbers: to find a member of an enumeration takes longer than to compare with it.
_COMPRESSED: Final = int(Protocol.COMPRESSED)
_IPV4: Final = int(Protocol.IPV4)
_VERSION_4: Final = 0x40
_SMALLEST_PACKET: Final = 20  # an IPv4 header without options
_MPPE_OVERHEAD: Final = 4  # the MPPE header, and the protocol field behind it


@dataclass(slots=True)
class SessionCounters:
    """What passed and what was refused. Packets and octets are IP, without any header of ours.

    Attributes:
        packets_in: packets received from the peer and handed on.
        octets_in: their octets.
        packets_out: packets sent to the peer.
        octets_out: their octets.
        not_up: packets to the peer while the network was not up.
        too_long: packets to the peer longer than the MTU.
        not_ipv4: packets of another kind, either way.
        clear_refused: packets from the peer in clear that had to be encrypted.
        not_encrypted_data: encrypted frames without MPPE, or before it.
        undecryptable: encrypted frames the cipher refused, negotiation inside MPPE among them (RFC 3078 section 3 has
            none); the decryptor says why.
        wrong_source: packets from the peer with a source address it cannot have (RFC 2827): on a server any but the one
            it was given, on a client our own.
        to_loopback: packets from the peer to this host's loop-back.
        to_multicast: packets from the peer to multicast or broadcast.
        nested: packets from the peer that would make a tunnel inside the tunnel.
    """

    packets_in: int = 0
    octets_in: int = 0
    packets_out: int = 0
    octets_out: int = 0
    not_up: int = 0
    too_long: int = 0
    not_ipv4: int = 0
    clear_refused: int = 0
    not_encrypted_data: int = 0
    undecryptable: int = 0
    wrong_source: int = 0
    to_loopback: int = 0
    to_multicast: int = 0
    nested: int = 0


class Session:
    """One call, from the first LCP packet to the last.

    The data path: ``encapsulate`` and ``receive``, with ``next_packet`` for what had waited for its turn. Everything
    else: ``datagrams_to_send``, ``next_event``, ``get_timer`` and ``handle_timer``, to be looked at after each batch.

    Attributes:
        call_id: our call id; peers put it into the GRE key.
        peer_call_id: the peer's.
        link: the PPP link, to look at and to answer.
        tunnel: the GRE tunnel, to look at.
        counters: what passed and what was refused.
        packet_end: where the packet found by the last ``receive`` ends in its buffer.
    """

    HEADROOM: Final = 32
    """Octets ``encapsulate`` needs free in front of the packet: all headers take 24 at most, and with some to spare no
    GRE packet begins at 0, which means refused."""

    def __init__(
        self,
        role: Role,
        config: LinkConfig,
        *,
        call_id: int,
        peer_call_id: int,
        random: RandomBytes,
        secret: Secret | None = None,
        tunnel: TunnelConfig | None = None,
        check_source: bool = False,
        policy: InnerPolicy | None = None,
    ) -> None:
        """Make a session that waits for ``up``.

        Args:
            role: which end this is.
            config: what the link may agree to.
            call_id: our call id.
            peer_call_id: the peer's call id.
            random: source of random octets.
            secret: the user's own, on a client.
            tunnel: limits of the GRE tunnel.
            check_source: drop packets with a source address the peer cannot have: on a server any but the one it was
                given, on a client our own.
            policy: where the peer's packets may go.
        """
        self.call_id = call_id
        self.peer_call_id = peer_call_id
        self.link = Link(role, config, random=random, secret=secret)
        self.tunnel = Tunnel(call_id, peer_call_id, config=tunnel)
        self.counters = SessionCounters()
        self.packet_end = 0
        self.closed: LinkClosed | None = None
        self._check_source = check_source
        self._role = role
        self._policy = InnerPolicy() if policy is None else policy
        self._guarded = self._policy.guarded
        # One comparison for either end: a server knows what the source is, a client what it is not.
        self._known_source = -1
        self._source_is_known = False
        self._peer_address = b""
        self._next_answer = 0.0
        self._datagrams: list[bytes] = []
        self._events: deque[LinkEvent] = deque()
        self._network_up = False
        self._encryption_renegotiated = False
        self._clear_run = 0
        self._packets_before_clear = -1
        self._now = 0.0
        self._load_path()

    # The fast path.

    def encapsulate(self, handle: Any, buffer: bytearray, start: int, end: int, now: float) -> int:
        """Turn the IP packet at ``buffer[start:end]`` into a GRE packet around it.

        Args:
            handle: what ``pypptp.mppe.rc4.bind(buffer)`` returned.
            buffer: holds the packet, with ``Session.HEADROOM`` octets free in front of it.
            start: where the packet begins.
            end: where it ends; the GRE packet ends there too.
            now: the time.

        Returns:
            Where the GRE packet begins, or 0 where the packet was refused and counted.
        """
        length = end - start
        if not _SMALLEST_PACKET <= length <= self._longest_packet or buffer[start] & 0xF0 != _VERSION_4:
            return self._refuse_packet(length)
        counters = self.counters
        counters.packets_out += 1
        counters.octets_out += length
        encrypt = self._encrypt
        if encrypt is not None:
            # Inside MPPE the protocol field is sent in full, as the kernels of real peers send it.
            buffer[start - 2] = 0
            buffer[start - 1] = _IPV4
            start -= _MPPE_OVERHEAD
            encrypt(handle, buffer, start, end)
        octet = self._data_header_octet
        if octet:
            start -= 1
            buffer[start] = octet
        else:
            header_start = start - self._data_header_length
            buffer[header_start:start] = self._data_header
            start = header_start
        return self._write_header(buffer, start, end, now)

    def receive(self, handle: Any, buffer: bytearray, start: int, end: int, now: float) -> int:
        """Take the GRE packet at ``buffer[start:end]``, without its IP header.

        Returns:
            Where an IP packet begins in the buffer, ``packet_end`` where it ends; or 0 where there is none. After each
            call take ``next_packet`` as long as ``pending`` is true.
        """
        tunnel = self.tunnel
        if tunnel.receive(buffer, start, end, now) != DELIVER:
            return 0
        start = tunnel.payload_start
        if buffer[start] == _COMPRESSED:
            return self._take_encrypted(handle, buffer, start + 1, tunnel.payload_end, tunnel.sequence, now)
        return self._take_frame(handle, buffer, start, tunnel.payload_end, tunnel.sequence, now)

    def _take_encrypted(self, handle: Any, buffer: bytearray, start: int, end: int, sequence: int, now: float) -> int:
        """Take the MPPE frame at ``buffer[start:end]``, behind the PPP protocol field."""
        decrypt = self._decrypt
        if decrypt is None:
            self.counters.not_encrypted_data += 1
            return 0
        verdict = decrypt(handle, buffer, start, end, sequence, now)
        if verdict != OK:
            return self._refuse_frame(verdict, now)
        start += 3 if buffer[start + 2] else _MPPE_OVERHEAD
        if buffer[start - 1] != _IPV4:
            self.counters.not_ipv4 += 1
            return 0
        # The decryptor found no fault with the IPv4 header, or it would not have kept the key.
        return self._hand_on(buffer, start, end)

    def _take_frame(self, handle: Any, buffer: bytearray, start: int, end: int, sequence: int, now: float) -> int:
        """Take the PPP frame at ``buffer[start:end]`` in any of its shapes."""
        frame_start = start
        # Address and control, and the first octet of the protocol, may be left out at any time (RFC 1661 section 6.5).
        if end - start > 2 and buffer[start] == 0xFF and buffer[start + 1] == 0x03:
            start += 2
        if end - start > 2 and buffer[start] == 0:
            start += 1
        protocol = buffer[start]
        start += 1
        if protocol == _COMPRESSED:
            return self._take_encrypted(handle, buffer, start, end, sequence, now)
        if protocol != _IPV4:
            self._leave_fast_path(bytes(memoryview(buffer)[frame_start:end]), sequence, now)
            return 0
        if not self._receives_clear:
            self._refuse_clear(now)
            return 0
        if end - start < _SMALLEST_PACKET or buffer[start] & 0xF0 != _VERSION_4:
            self.counters.not_ipv4 += 1
            return 0
        return self._hand_on(buffer, start, end)

    def _hand_on(self, buffer: bytearray, start: int, end: int) -> int:
        counters = self.counters
        if not self._network_up:
            counters.not_up += 1
            return 0
        source, destination = unpack_addresses(buffer, start)
        if (source == self._known_source) is not self._source_is_known:
            counters.wrong_source += 1
            return 0
        if (SPECIAL[buffer[start + 16]] or destination in self._guarded) and self._refuse_destination(
            buffer, start, end, destination
        ):
            return 0
        counters.packets_in += 1
        counters.octets_in += end - start
        self.packet_end = end
        return start

    @property
    def pending(self) -> bool:
        """Whether ``next_packet`` may have a packet: frames that came out of order and whose turn it is now."""
        return self.tunnel.ready

    def next_packet(self, now: float) -> bytes | None:
        """Return the next IP packet that had waited in the reorder queue, or None."""
        while self.tunnel.ready:
            frame = self.tunnel.next_queued()
            if frame is None:
                return None
            buffer = bytearray(frame)
            start = self._take_frame(bind(buffer), buffer, 0, len(buffer), self.tunnel.sequence, now)
            if start:
                return bytes(memoryview(buffer)[start : self.packet_end])
        return None

    # What is too rare to be fast.

    def _refuse_destination(self, buffer: bytearray, start: int, end: int, destination: int) -> bool:
        verdict = self._policy.judge(buffer, start, end, destination)
        if not verdict:
            return False
        if verdict == TO_LOOPBACK:
            self.counters.to_loopback += 1
        elif verdict == TO_MULTICAST:
            self.counters.to_multicast += 1
        else:
            self.counters.nested += 1
        return True

    def answer_refused(self, buffer: bytearray, start: int, end: int, now: float) -> bytes | None:
        """Return what is to be told the sender of a packet that ``encapsulate`` refused, as if the peer had sent it.

        A TUN has the MTU that was agreed, so the kernel fragments, or answers itself. A packet that is longer had been
        queued when the link was negotiated anew, with a smaller one, or somebody has changed the interface's MTU.

        Args:
            buffer: as in ``encapsulate``.
            start: as in ``encapsulate``.
            end: as in ``encapsulate``.
            now: the time.

        Returns:
            An IP packet with ICMP's "fragmentation needed" (RFC 1191), or None; not more than one in ANSWER_INTERVAL.
        """
        if not self._network_up or end - start <= self._longest_packet or now < self._next_answer:
            return None
        answer = fragmentation_needed(buffer, start, end, source=self._peer_address, mtu=self._longest_packet)
        if answer is not None:
            self._next_answer = now + ANSWER_INTERVAL
        return answer

    def _refuse_clear(self, now: float) -> None:
        counters = self.counters
        counters.clear_refused += 1
        self._pass_over()
        if not self._network_up:
            return
        if counters.packets_in != self._packets_before_clear:
            self._packets_before_clear = counters.packets_in
            self._clear_run = 0
        self._clear_run += 1
        if self._clear_run == CLEAR_LIMIT:
            self.link.close("the peer sends packets in clear that must be encrypted", now, Cause.ENCRYPTION)
            self._follow_link(now)

    def _refuse_packet(self, length: int) -> int:
        if not self._network_up:
            self.counters.not_up += 1
        elif length > self._longest_packet:
            self.counters.too_long += 1
        else:
            self.counters.not_ipv4 += 1
        return 0

    def _refuse_frame(self, verdict: int, now: float) -> int:
        self.counters.undecryptable += 1
        if verdict == NEEDS_RESET:
            self.link.request_reset(now)
            self._follow_link(now)
        elif verdict == IMPLAUSIBLE:
            self.tunnel.take_back()
            decryptor = self.link.decryptor
            if decryptor is not None and decryptor.implausible_in_a_row >= IMPLAUSIBLE_LIMIT:
                self._despair(now)
        return 0

    def _despair(self, now: float) -> None:
        if self._encryption_renegotiated:
            reason = f"{IMPLAUSIBLE_LIMIT} frames in a row decrypted to nothing sensible, twice"
            self.link.close(reason, now, Cause.ENCRYPTION)
        else:
            self._encryption_renegotiated = True
            self.link.renegotiate_encryption(now)
        self._follow_link(now)

    def _leave_fast_path(self, frame: bytes, sequence: int, now: float) -> None:
        self._pass_over()
        self.link.receive(frame, now, sequence)
        self._follow_link(now)

    def _pass_over(self) -> None:
        """Tell the decryptor of a frame in clear, refused or not: its GRE number is no MPPE frame that was lost."""
        decryptor = self.link.decryptor
        if decryptor is not None:
            decryptor.pass_over()

    def _follow_link(self, now: float) -> None:
        """Take from the link what it has to send and to say, and load the fast path with its new state."""
        for frame in self.link.frames_to_send():
            buffer = bytearray(HEADROOM) + frame
            start = self.tunnel.write_header(buffer, HEADROOM, len(buffer), now)
            self._datagrams.append(bytes(memoryview(buffer)[start:]))
        while (event := self.link.next_event()) is not None:
            if isinstance(event, NetworkUp):
                self._know_addresses(event)
            elif isinstance(event, LinkClosed):
                self.closed = event
            self._events.append(event)
        self._load_path()

    def _know_addresses(self, network: NetworkUp) -> None:
        self._peer_address = network.peer.packed
        if self._check_source:
            self._source_is_known = self._role is Role.SERVER
            self._known_source = int(network.peer if self._source_is_known else network.local)

    def _load_path(self) -> None:
        link = self.link
        # Asked for after every batch, and moved only by what leads here.
        self._link_deadline = link.get_timer()
        self._network_up = link.network_up
        self._longest_packet = link.mtu if link.network_up else 0
        header = self._data_header = link.data_header
        self._data_header_length = len(header)
        # With both fields compressed, as nearly everybody has them, the header is one octet; 0 says that it is not.
        self._data_header_octet = header[0] if len(header) == 1 else 0
        self._encrypt = link.encryptor.encrypt if link.encryptor is not None else None
        self._decrypt = link.decryptor.decrypt if link.decryptor is not None else None
        self._receives_clear = link.network_up and link.decryptor is None
        self._write_header = self.tunnel.write_header

    # The slow path, for the shell.

    def up(self, now: float) -> None:
        """The call is connected: begin to negotiate."""
        self.link.up(now)
        self._follow_link(now)

    def provide_secret(self, secret: Secret | None, now: float, objection: str = "") -> None:
        """Answer SecretWanted; see ``Link.provide_secret``."""
        self.link.provide_secret(secret, now, objection)
        self._follow_link(now)

    def assign_address(
        self,
        local: IPv4Address,
        peer: IPv4Address | None,
        now: float,
        *,
        dns: tuple[IPv4Address, ...] = (),
        nbns: tuple[IPv4Address, ...] = (),
    ) -> None:
        """Answer AddressWanted."""
        self.link.assign_address(local, peer, now, dns=dns, nbns=nbns)
        self._follow_link(now)

    def rechallenge(self, now: float) -> None:
        """Ask the peer to prove itself once more; nothing happens unless the network is up."""
        self.link.rechallenge(now)
        self._follow_link(now)

    def close(self, reason: str, now: float) -> None:
        """End the session; LinkClosed follows when the peer has acknowledged or stayed silent."""
        self.link.close(reason, now)
        self._follow_link(now)

    def datagrams_to_send(self, now: float) -> list[bytes]:
        """Return the GRE packets to send that are no data, in order, and forget them.

        A delayed acknowledgement is among them when its time has come and no data packet has carried it meanwhile.
        """
        if self.tunnel.ack_ready:
            ack = self.tunnel.bare_ack(now)
            if ack is not None:
                self._datagrams.append(ack)
        datagrams, self._datagrams = self._datagrams, []
        return datagrams

    def next_event(self) -> LinkEvent | None:
        """Return the next event, None when there is none."""
        return self._events.popleft() if self._events else None

    def get_timer(self) -> float | None:
        """Return when ``handle_timer`` is due."""
        tunnel, link = self.tunnel.get_timer(), self._link_deadline
        if tunnel is None or link is None:
            return link if tunnel is None else tunnel
        return min(tunnel, link)

    def handle_timer(self, now: float) -> None:
        """Do what is due; afterwards ``pending`` may be true, and there may be datagrams and events."""
        self.tunnel.handle_timer(now)
        deadline = self._link_deadline
        if deadline is not None and now >= deadline:
            self.link.handle_timer(now)
            self._follow_link(now)
