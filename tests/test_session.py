"""One call's fast path: what passes, in what shape, and what is refused, with a counter for each reason."""

from __future__ import annotations

import random
from dataclasses import fields
from ipaddress import IPv4Address
from itertools import pairwise
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp import session as session_module
from pypptp.gre import build_header, parse_header
from pypptp.inner_traffic import InnerPolicy
from pypptp.mppe import Encryptor, Strength
from pypptp.mppe.rc4 import bind
from pypptp.ppp.config import LinkConfig, MppePolicy
from pypptp.ppp.encryption import RESET_INTERVAL
from pypptp.ppp.events import NetworkDown, NetworkUp
from pypptp.ppp.link import Phase
from pypptp.roles import Role
from pypptp.session import ANSWER_INTERVAL, CLEAR_LIMIT, IMPLAUSIBLE_LIMIT, Session, SessionCounters
from pypptp.testing import Direction, SimulatedNetwork, seeded
from tests.peers import CLIENT_ADDRESS, SERVER_ADDRESS, connected, ip_packet, make_network

DENY = {"mppe": MppePolicy.DENY}


class Pair:
    """Both sessions of a call that is up, and the network they came up on."""

    def __init__(self, **settings: Any) -> None:
        self.network = connected(**settings)
        (self.client,) = self.network.client.sessions.values()
        (self.server,) = self.network.server.sessions.values()

    @property
    def now(self) -> float:
        return self.network.now

    def send(self, packet: bytes) -> bytes:
        """The client's GRE packet around an IP packet."""
        buffer = bytearray(Session.HEADROOM) + packet
        start = self.client.encapsulate(bind(buffer), buffer, Session.HEADROOM, len(buffer), self.now)
        assert start, self.client.counters
        return bytes(buffer[start:])

    def send_frame(self, frame: bytes) -> bytes:
        """A GRE packet of the client's around any PPP frame, with its next number."""
        buffer = bytearray(Session.HEADROOM) + frame
        start = self.client.tunnel.write_header(buffer, Session.HEADROOM, len(buffer), self.now)
        return bytes(buffer[start:])

    def encrypt(self, plaintext: bytes) -> bytes:
        """A PPP frame of the client's with this inside MPPE."""
        assert self.client.link.encryptor is not None
        return b"\xfd" + self.client.link.encryptor.encrypt_frame(plaintext)

    def forge(self, payload: bytes, *, ahead: int = 0) -> bytes:
        """A GRE packet of somebody who saw the numbers and has no key."""
        sequence = self.client.tunnel.next_sequence + ahead
        return build_header(len(payload), self.server.call_id, sequence=sequence) + payload

    def receive(self, datagram: bytes) -> bytes | None:
        return received(self.server, datagram, self.now)

    def back(self, packet: bytes) -> bytes | None:
        """What the client finds in the server's GRE packet around an IP packet."""
        buffer = bytearray(Session.HEADROOM) + packet
        start = self.server.encapsulate(bind(buffer), buffer, Session.HEADROOM, len(buffer), self.now)
        assert start, self.server.counters
        return received(self.client, bytes(buffer[start:]), self.now)

    def refused(self, end: str = "server") -> dict[str, int]:
        """What an end has refused, by reason."""
        counters = self.server.counters if end == "server" else self.client.counters
        passed = ("packets_in", "octets_in", "packets_out", "octets_out")
        named = {field.name: getattr(counters, field.name) for field in fields(SessionCounters)}
        return {name: count for name, count in named.items() if count and name not in passed}


def received(session: Session, datagram: bytes, now: float) -> bytes | None:
    buffer = bytearray(datagram)
    start = session.receive(bind(buffer), buffer, 0, len(buffer), now)
    return bytes(buffer[start : session.packet_end]) if start else None


def pending(session: Session, now: float) -> list[bytes]:
    found = []
    while session.pending:
        packet = session.next_packet(now)
        if packet is not None:
            found.append(packet)
    return found


# What passes.


@pytest.mark.parametrize("size", [20, 21, 1399, 1400])
def test_a_packet_comes_out_as_it_went_in(size: int) -> None:
    pair = Pair()
    packet = ip_packet(bytes(range(256)) * 6)[:size]
    packet = ip_packet(packet[20:])
    assert len(packet) == size
    assert pair.receive(pair.send(packet)) == packet
    assert (pair.client.counters.packets_out, pair.client.counters.octets_out) == (1, size)
    assert (pair.server.counters.packets_in, pair.server.counters.octets_in) == (1, size)
    assert pair.refused() == {}


def test_the_headroom_is_enough_and_nothing_before_it_is_touched() -> None:
    pair = Pair(client={"pfc": False, "acfc": False}, server={"pfc": False, "acfc": False})
    # An acknowledgement is due, so that the GRE header has its full length.
    back = bytearray(Session.HEADROOM) + ip_packet(source=SERVER_ADDRESS, destination=CLIENT_ADDRESS)
    start = pair.server.encapsulate(bind(back), back, Session.HEADROOM, len(back), pair.now)
    assert received(pair.client, bytes(back[start:]), pair.now)
    before = b"\xa5" * 50
    buffer = bytearray(before) + bytearray(Session.HEADROOM) + ip_packet(b"x")
    end = len(buffer)
    start = pair.client.encapsulate(bind(buffer), buffer, 50 + Session.HEADROOM, end, pair.now)
    assert start == 50 + Session.HEADROOM - 24
    assert buffer[:50] == before
    assert len(buffer) == end


@pytest.mark.parametrize("acfc", [True, False])
@pytest.mark.parametrize("pfc", [True, False])
@pytest.mark.parametrize("mppe", [True, False])
def test_the_header_is_as_short_as_was_agreed(pfc: bool, acfc: bool, mppe: bool) -> None:
    settings = {"pfc": pfc, "acfc": acfc} | ({} if mppe else DENY)
    pair = Pair(client=settings, server=settings)
    packet = ip_packet(b"x")
    datagram = pair.send(packet)
    header = parse_header(datagram)
    assert header is not None
    frame = datagram[header.header_length :]
    protocol = 0xFD if mppe else 0x21
    expected = (b"" if acfc else b"\xff\x03") + (b"" if pfc else b"\x00") + bytes([protocol])
    assert frame.startswith(expected)
    assert len(frame) == len(expected) + (4 if mppe else 0) + len(packet)
    assert pair.receive(datagram) == packet


@pytest.mark.parametrize("mppe", [True, False])
@pytest.mark.parametrize("shape", [b"\xff\x03\x00", b"\xff\x03", b"\x00", b""])
def test_every_shape_is_taken_whatever_was_agreed(shape: bytes, mppe: bool) -> None:
    settings = {"pfc": False, "acfc": False} | ({} if mppe else DENY)
    pair = Pair(client=settings, server=settings)
    for number, inner in enumerate((b"\x00\x21", b"\x21") if mppe else (b"",)):
        packet = ip_packet(b"whatever", number=number)
        frame = pair.encrypt(inner + packet) if mppe else b"\x21" + packet
        assert pair.receive(pair.send_frame(shape + frame)) == packet
    assert pair.refused() == {}


def test_frames_out_of_order_come_out_in_order() -> None:
    pair = Pair()
    packets = [ip_packet(b"x" * number, number=number) for number in range(5)]
    first, second, third, fourth, fifth = map(pair.send, packets)
    assert pair.receive(first) == packets[0]
    assert pair.receive(third) is None
    assert pair.receive(second) == packets[1]
    assert pending(pair.server, pair.now) == [packets[2]]
    assert pair.receive(fifth) is None
    # The fourth does not come in time.
    deadline = pair.server.get_timer()
    assert deadline is not None
    assert deadline < pair.now + 0.2
    pair.server.handle_timer(deadline)
    assert pending(pair.server, deadline) == [packets[4]]
    assert received(pair.server, fourth, deadline) is None
    assert pair.refused() == {}


def test_an_acknowledgement_goes_out_alone_when_nothing_carries_it() -> None:
    pair = Pair()
    pair.network.run(1)
    pair.receive(pair.send(ip_packet()))
    assert pair.server.datagrams_to_send(pair.now) == []
    deadline = pair.server.get_timer()
    assert deadline is not None
    assert pair.now < deadline < pair.now + 0.5
    pair.server.handle_timer(deadline)
    (ack,) = pair.server.datagrams_to_send(deadline)
    header = parse_header(ack)
    assert header is not None
    assert (header.payload_length, header.sequence) == (0, None)
    assert header.acknowledgement == pair.client.tunnel.next_sequence - 1
    assert pair.server.datagrams_to_send(deadline) == []


# What does not, on its way out.


def out(session: Session, packet: bytes) -> int:
    buffer = bytearray(Session.HEADROOM) + packet
    return session.encapsulate(bind(buffer), buffer, Session.HEADROOM, len(buffer), 0.0)


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (ip_packet(bytes(1381)), "too_long"),
        (b"\x60" + bytes(39), "not_ipv4"),
        (b"\x45" + bytes(18), "not_ipv4"),
        (b"", "not_ipv4"),
    ],
)
def test_packets_that_are_not_sent(packet: bytes, reason: str) -> None:
    pair = Pair()
    assert out(pair.client, packet) == 0
    assert getattr(pair.client.counters, reason) == 1
    assert pair.client.counters.packets_out == 0
    assert pair.receive(pair.send(ip_packet(b"the next"))) == ip_packet(b"the next")


def test_nothing_is_sent_or_taken_before_and_after() -> None:
    fresh = Session(Role.CLIENT, LinkConfig(name="alice"), call_id=1, peer_call_id=2, random=seeded(1))
    assert out(fresh, ip_packet()) == 0
    assert fresh.counters.not_up == 1
    assert (fresh.get_timer(), fresh.next_event(), fresh.pending) == (None, None, False)
    pair = Pair()
    late = pair.send(ip_packet())
    pair.server.close("enough", pair.now)
    assert out(pair.server, ip_packet()) == 0
    assert pair.server.counters.not_up == 1
    assert pair.receive(late) is None
    assert pair.server.counters.packets_in == 0


# What does not, on its way in.


def test_clear_packets_are_refused_under_mppe() -> None:
    pair = Pair()
    for frame in (b"\x21", b"\x00\x21", b"\xff\x03\x00\x21"):
        assert pair.receive(pair.send_frame(frame + ip_packet())) is None
    assert pair.refused() == {"clear_refused": 3}
    assert pair.receive(pair.send(ip_packet())) == ip_packet()


@pytest.mark.parametrize("end", ["server", "client"])
@pytest.mark.parametrize("mppe", [MppePolicy.REQUIRE, MppePolicy.PREFER])
def test_who_goes_on_in_clear_is_ended_with_the_reason(end: Literal["server", "client"], mppe: MppePolicy) -> None:
    pair = Pair(client={"mppe": mppe}, server={"mppe": mppe})
    near, far = (pair.server, pair.client) if end == "server" else (pair.client, pair.server)
    addresses: dict[str, Any] = {"source": CLIENT_ADDRESS, "destination": SERVER_ADDRESS}
    if end == "client":
        addresses = {"source": SERVER_ADDRESS, "destination": CLIENT_ADDRESS}

    def send(frame: bytes) -> bytes | None:
        buffer = bytearray(Session.HEADROOM) + frame
        start = far.tunnel.write_header(buffer, Session.HEADROOM, len(buffer), pair.now)
        return received(near, bytes(buffer[start:]), pair.now)

    assert far.link.encryptor is not None
    for number in range(3 * CLEAR_LIMIT):
        assert send(b"\x21" + ip_packet(number=number, **addresses)) is None
        if number % (CLEAR_LIMIT - 1) == 0:
            genuine = ip_packet(number=number, **addresses)
            assert send(b"\xfd" + far.link.encryptor.encrypt_frame(b"\x00\x21" + genuine)) == genuine
    assert near.link.phase is Phase.NETWORK
    for number in range(CLEAR_LIMIT):
        assert send(b"\x21" + ip_packet(number=number, **addresses)) is None
    pair.network.server.settle(pair.now)
    pair.network.client.settle(pair.now)
    assert pair.network.run_until(lambda: pair.network.closed, 10)
    assert pair.network.reasons(end) == ["the peer sends packets in clear that must be encrypted"]


def test_refused_clear_packets_are_no_mppe_frames_that_were_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "CLEAR_LIMIT", 1 << 20)
    pair = Pair()
    assert pair.receive(pair.send(ip_packet())) == ip_packet()
    for number in range(4_200):
        assert pair.receive(pair.send_frame(b"\x21" + ip_packet(number=number))) is None
    # The 12-bit count has gone round in the GRE numbers alone; the key has not changed once.
    assert pair.receive(pair.send(ip_packet(b"next"))) == ip_packet(b"next")
    assert pair.refused() == {"clear_refused": 4_200}


def test_encrypted_packets_without_mppe() -> None:
    pair = Pair(client=DENY, server=DENY)
    assert pair.receive(pair.send_frame(b"\xfd\x90\x00" + ip_packet())) is None
    assert pair.receive(pair.send_frame(b"\xfd")) is None
    assert pair.refused() == {"not_encrypted_data": 2}
    assert pair.receive(pair.send(ip_packet())) == ip_packet()


@pytest.mark.parametrize("mppe", [True, False])
def test_a_source_that_is_not_the_clients(mppe: bool) -> None:
    pair = Pair(server={} if mppe else DENY, client={} if mppe else DENY)
    stranger = ip_packet(source="192.168.0.235")
    assert pair.receive(pair.send(stranger)) is None
    assert pair.refused() == {"wrong_source": 1}
    free = Pair(check_source=False)
    assert free.receive(free.send(stranger)) == stranger


def test_a_client_takes_every_source_but_itself() -> None:
    pair = Pair()
    anybody = ip_packet(source="198.51.100.7", destination=CLIENT_ADDRESS)
    ourselves = ip_packet(source=CLIENT_ADDRESS, destination=CLIENT_ADDRESS)
    assert pair.back(anybody) == anybody
    assert pair.back(ourselves) is None
    assert pair.refused("client") == {"wrong_source": 1}
    free = Pair(check_source=False)
    assert free.back(ourselves) == ourselves


@pytest.mark.parametrize(
    ("destination", "counter"),
    [
        ("127.0.0.1", "to_loopback"),
        ("127.255.255.254", "to_loopback"),
        ("0.0.0.0", "to_loopback"),
        ("224.0.0.251", "to_multicast"),
        ("239.255.255.250", "to_multicast"),
        ("255.255.255.255", "to_multicast"),
    ],
)
@pytest.mark.parametrize("to", ["server", "client"])
def test_destinations_nobody_may_send_to(to: str, destination: str, counter: str) -> None:
    pair, source = Pair(), CLIENT_ADDRESS if to == "server" else SERVER_ADDRESS
    packet = ip_packet(source=source, destination=destination)
    assert (pair.receive(pair.send(packet)) if to == "server" else pair.back(packet)) is None
    assert pair.refused(to) == {counter: 1}


def test_multicast_where_it_is_allowed() -> None:
    pair = Pair(policy=InnerPolicy(multicast=True))
    for destination in ("224.0.0.251", "255.255.255.255"):
        packet = ip_packet(destination=destination)
        assert pair.receive(pair.send(packet)) == packet
    assert pair.receive(pair.send(ip_packet(destination="127.0.0.1"))) is None
    assert pair.refused() == {"to_loopback": 1}


def test_a_tunnel_inside_the_tunnel() -> None:
    own = {int(IPv4Address(SERVER_ADDRESS))}
    pair = Pair(policy=InnerPolicy(guarded=own))
    control = b"\x80\x00\x06\xbb" + bytes(16)
    refused = [ip_packet(control, protocol=6), ip_packet(bytes(20), protocol=47)]
    for packet in refused:
        assert pair.receive(pair.send(packet)) is None
    assert pair.refused() == {"nested": 2}
    elsewhere = ip_packet(control, protocol=6, destination="198.51.100.7")
    web = ip_packet(b"\x80\x00\x00\x50" + bytes(16), protocol=6)
    for packet in (elsewhere, web):
        assert pair.receive(pair.send(packet)) == packet
    # The addresses are looked at as they are now.
    own.add(int(IPv4Address("198.51.100.7")))
    assert pair.receive(pair.send(elsewhere)) is None
    own.clear()
    assert pair.receive(pair.send(refused[0])) == refused[0]


def test_a_packet_over_the_mru_is_answered_once_in_a_while() -> None:
    pair = Pair()
    mtu = pair.client.link.mtu
    long = ip_packet(bytes(mtu - 19), fragment=0x4000)
    buffer = bytearray(Session.HEADROOM) + long
    at, end, now = Session.HEADROOM, len(buffer), pair.now
    assert pair.client.encapsulate(bind(buffer), buffer, at, end, now) == 0
    assert pair.client.counters.too_long == 1
    answer = pair.client.answer_refused(buffer, at, end, now)
    assert answer is not None
    assert answer[9] == 1
    assert answer[12:20] == IPv4Address(SERVER_ADDRESS).packed + IPv4Address(CLIENT_ADDRESS).packed
    assert answer[20:22] == bytes([3, 4])
    assert int.from_bytes(answer[26:28], "big") == mtu
    assert pair.client.answer_refused(buffer, at, end, now) is None
    assert pair.client.answer_refused(buffer, at, end, now + ANSWER_INTERVAL) == answer
    later = now + 1.0
    assert pair.client.answer_refused(buffer, at, end - 1, later) is None  # it fits
    buffer[at + 6] = 0  # may be fragmented
    assert pair.client.answer_refused(buffer, at, end, later) is None


@pytest.mark.parametrize("frame", [b"\x21", b"\x21\x45", b"\x00\x21" + bytes(40), b"\x21\x60" + bytes(40)])
def test_clear_frames_that_hold_no_ipv4(frame: bytes) -> None:
    pair = Pair(client=DENY, server=DENY)
    assert pair.receive(pair.send_frame(frame)) is None
    assert pair.refused() == {"not_ipv4": 1}


@pytest.mark.parametrize("plaintext", [b"\x00\x57\x60" + bytes(3) + bytes(2) + bytes(34), b"\x00\x2d" + bytes(40)])
def test_other_protocols_inside_mppe(plaintext: bytes) -> None:
    pair = Pair()
    assert pair.receive(pair.send_frame(pair.encrypt(plaintext))) is None
    assert pair.refused() == {"not_ipv4": 1}
    assert pair.receive(pair.send(ip_packet())) == ip_packet()


@pytest.mark.parametrize("frame", [b"\xfd", b"\xfd\x90", b"\xfd\x90\x00", b"\xfd\x10\x00" + bytes(30)])
def test_mppe_frames_that_are_none(frame: bytes) -> None:
    pair = Pair()
    assert pair.receive(pair.send_frame(frame)) is None
    assert pair.refused() == {"undecryptable": 1}
    assert pair.receive(pair.send(ip_packet())) == ip_packet()


@pytest.mark.parametrize(
    "plaintext", ["c021 0907 0008 00000000", "c021 0507 0004", "ff03 c021 0507 0004", "80fd 0507 0004"]
)
def test_negotiation_inside_mppe_is_dropped(plaintext: str) -> None:
    pair = Pair()
    assert pair.receive(pair.send_frame(pair.encrypt(bytes.fromhex(plaintext)))) is None
    assert pair.server.datagrams_to_send(pair.now) == []
    assert pair.server.link.phase is Phase.NETWORK
    assert pair.refused() == {"undecryptable": 1}
    # As if it had been lost: what comes behind it passes as soon as nobody waits for it any more.
    packet = ip_packet(b"the next")
    assert pair.receive(pair.send(packet)) is None
    deadline = pair.server.get_timer()
    assert deadline is not None
    pair.server.handle_timer(deadline)
    assert pending(pair.server, deadline) == [packet]


# Forged frames: MPPE has no integrity, and may not be led astray.


def test_a_forged_frame_does_not_take_the_place_of_the_genuine_one() -> None:
    pair = Pair()
    forged = pair.forge(b"\xfd\x90" + bytes(60))
    packet = ip_packet(b"genuine")
    genuine = pair.send(packet)
    assert parse_header(forged) is not None
    assert pair.receive(forged) is None
    assert pair.receive(genuine) == packet
    assert pair.receive(genuine) is None
    assert pair.refused() == {"undecryptable": 1}


def test_ten_thousand_forged_frames_keep_nobody_out() -> None:
    pair = Pair()
    draw = random.Random(5)
    passed = 0
    for number in range(200):
        for _ in range(50):
            count = draw.randrange(0x1000)
            forged = pair.forge(b"\xfd" + (0x9000 | count).to_bytes(2, "big") + draw.randbytes(40))
            assert pair.receive(forged) is None
        packet = ip_packet(b"genuine", number=number)
        found = pair.receive(pair.send(packet))
        passed += found == packet or packet in pending(pair.server, pair.now)
    assert passed == 200
    assert pair.server.link.phase is Phase.NETWORK
    assert pair.refused() == {"undecryptable": 10_000}


@pytest.mark.parametrize("ahead", [1, 64, 1000, 1 << 20], ids="{} ahead at most".format)
def test_every_count_in_a_row_ends_and_stalls_nothing(ahead: int) -> None:
    """Nobody else sends anything meanwhile; and what the genuine end sends afterwards passes."""
    pair = Pair()
    network = pair.network
    packet = ip_packet(b"genuine")
    assert pair.receive(pair.send(packet)) == packet
    draw = random.Random(7)
    ups = network_ups(network)
    now = pair.now
    for number in range(10_000):
        payload = b"\xfd" + (0x9000 | number & 0xFFF).to_bytes(2, "big") + bytes(1)
        forged = pair.forge(payload, ahead=draw.randrange(ahead))
        assert len(forged) <= 20
        now += 0.0002
        assert received(pair.server, forged, now) is None
        timer = pair.server.get_timer()
        if timer is not None and timer <= now:
            pair.server.handle_timer(now)
        assert pending(pair.server, now) == []
    network.server.settle(now)
    assert pair.server.closed is None
    assert (pair.server.link.phase, network_ups(network)) == (Phase.NETWORK, ups)
    passed = []
    for number in range(100):
        found = received(pair.server, pair.send(ip_packet(number=number)), now)
        passed += ([found] if found else []) + pending(pair.server, now)
    # A number that a forged frame holds in the queue is lost to the genuine one: a window's worth at most.
    assert len(passed) >= (100 if ahead == 1 else 36)
    assert passed[-1] == ip_packet(number=99)


def break_cipher(pair: Pair) -> None:
    """Have the client encrypt with another key, until the server has had enough."""
    encryptor = pair.client.link.encryptor
    assert encryptor is not None
    stranger = Encryptor(bytes(16), Strength.BITS_128, stateless=True)
    stranger._count = encryptor._count
    now = pair.now
    for number in range(IMPLAUSIBLE_LIMIT):
        assert pair.server.link.encryption.ccp.opened
        assert pair.server.closed is None, number
        frame = b"\xfd" + stranger.encrypt_frame(b"\x00\x21" + ip_packet(number=number))
        assert received(pair.server, pair.send_frame(frame), now) is None
        # Each is taken back, so the next one waits as if it had been lost.
        timer = pair.server.get_timer()
        if timer is not None and timer < now + 1.0:
            now = timer
            pair.server.handle_timer(now)
        assert pending(pair.server, now) == []
    network = pair.network
    network.now = now


def test_a_cipher_out_of_step_is_negotiated_anew_once_and_then_given_up() -> None:
    pair = Pair()
    network = pair.network
    ups = network_ups(network)
    break_cipher(pair)
    assert pair.server.closed is None
    network.server.settle(pair.now)
    assert network.run_until(lambda: network.network_up and network_ups(network) > ups, 10)
    assert len([1 for _, _, event in network.events if isinstance(getattr(event, "event", None), NetworkDown)]) >= 1
    packet = ip_packet(b"it goes on")
    assert network.client.send_packet(packet, network.now)
    network.run(0.5)
    assert network.server.packets_received() == [packet]
    break_cipher(pair)
    network.server.settle(pair.now)
    assert network.run_until(lambda: network.closed, 30)
    (reason,) = network.reasons("server")
    assert reason == f"{IMPLAUSIBLE_LIMIT} frames in a row decrypted to nothing sensible, twice"


def network_ups(network: SimulatedNetwork) -> int:
    return sum(isinstance(getattr(event, "event", None), NetworkUp) for _, side, event in network.events)


# Stateful MPPE.


def test_a_reset_request_is_repeated_until_it_helps() -> None:
    dropping = False
    resets: list[float] = []

    def drop(side: Direction, datagram: bytes) -> bool:
        header = parse_header(datagram)
        assert header is not None
        # CCP Reset-Request, code 14.
        is_reset = side == "server" and b"\x80\xfd\x0e" in datagram[header.header_length :][:6]
        if is_reset:
            resets.append(network.now)
        return (is_reset and len(resets) < 3) or dropping

    network = connected(client={"stateless": False}, server={"stateless": False}, drop=drop)
    send(network, 3)
    assert len(network.server.packets_received()) == 3
    dropping = True
    send(network, 1)
    dropping = False
    send(network, 20, interval=0.1)
    # Lost twice, so it was said three times; and one loss is said no more often than it has to.
    assert len(resets) == 3
    assert [round(later - earlier, 3) for earlier, later in pairwise(resets)] == [RESET_INTERVAL] * 2
    network.server.packets_received()
    send(network, 5)
    assert len(network.server.packets_received()) == 5


def send(network: SimulatedNetwork, count: int, *, interval: float = 0.02) -> None:
    for number in range(count):
        assert network.client.send_packet(ip_packet(b"y" * 50, number=number), network.now)
        network.run(interval)


# Whatever comes, in whatever state.

protocols = st.sampled_from(
    [b"\xfd", b"\x00\xfd", b"\x21", b"\xff\x03\xc0\x21", b"\xc2\x23", b"\x80\xfd", b"\x80\x21", b""]
)
payloads = st.builds(bytes.__add__, protocols, st.binary(max_size=60))


@st.composite
def datagrams(draw: st.DrawFn) -> bytes | tuple[int, int | None, bytes]:
    """Any octets, or a GRE packet of the right call: how far ahead its number is, its ack, any frame."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=80))
    return draw(st.integers(-70, 70)), draw(st.none() | st.integers(0, 2**32 - 1)), draw(payloads)


@given(
    st.floats(0, 0.4),
    st.booleans(),
    st.sampled_from([{}, DENY, {"mppe": MppePolicy.PREFER}]),
    st.lists(datagrams(), max_size=12),
)
def test_nothing_that_comes_raises(
    seconds: float, closing: bool, policy: dict[str, Any], arriving: list[bytes | tuple[int, int | None, bytes]]
) -> None:
    network = make_network(client=policy, server=policy)
    network.client.connect(network.now)
    network.run(seconds)
    sessions = [session for end in (network.client, network.server) for session in end.sessions.values()]
    if not sessions:
        sessions = [Session(Role.SERVER, LinkConfig(name="x"), call_id=7, peer_call_id=8, random=seeded(1))]
    for session in sessions:
        now = network.now
        if closing:
            session.close("enough", now)
        for item in arriving:
            if isinstance(item, bytes):
                datagram = item
            else:
                ahead, ack, payload = item
                sequence = ((session.tunnel.highest_received or 0) + ahead) % 2**32
                header = build_header(len(payload), session.call_id, sequence=sequence, acknowledgement=ack)
                datagram = header + payload
            before = session.counters.packets_in
            found = received(session, datagram, now)
            taken = pending(session, now)
            assert session.counters.packets_in - before == len(taken) + (found is not None)
            out(session, ip_packet(b"z"))
            deadline = session.get_timer()
            if deadline is not None:
                now = max(now, deadline)
                session.handle_timer(now)
                pending(session, now)
            session.datagrams_to_send(now)
            while session.next_event() is not None:
                pass


def test_answers_to_a_link_that_has_ended_are_ignored() -> None:
    pair = Pair()
    pair.server.close("enough", pair.now)
    pair.network.run(10)
    assert pair.server.closed is not None
    pair.server.provide_secret(None, pair.now)
    pair.server.assign_address(IPv4Address(SERVER_ADDRESS), IPv4Address(CLIENT_ADDRESS), pair.now)
    pair.server.close("again", pair.now)
    assert pair.server.closed.reason == "enough"
