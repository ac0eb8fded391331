"""The data plane with either kind of input and output, between sockets anybody may open."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Iterator
from functools import partial
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.aio import batch_io, dataplane
from pypptp.aio.batch_io import BATCH, MmsgIo, SocketIo
from pypptp.aio.rates import TokenBucket
from pypptp.errors import LocalProtocolError
from pypptp.ppp.config import MppePolicy
from tests.aio.plane import FAR, OURS, Bench, Tun, bench, ip_packet, numbers, outer_header, to_client
from tests.peers import CLIENT_ADDRESS, SERVER_ADDRESS

ELSEWHERE = IPv4Address("127.0.0.9")


@pytest.fixture(params=["mmsg", "socket"])
def kind(request: pytest.FixtureRequest) -> type[MmsgIo] | type[SocketIo]:
    try:
        return batch_io.load(request.param)
    except LocalProtocolError as error:
        pytest.skip(str(error))


@pytest.fixture
def plane(kind: type[MmsgIo] | type[SocketIo]) -> Iterator[Bench]:
    with bench(kind) as made:
        yield made


def test_packets_of_the_tun_reach_the_peer_in_order(plane: Bench) -> None:
    call = plane.call()
    packets = [to_client(number) for number in range(5)]
    for packet in packets:
        call.tun.put(packet)
    plane.turn()
    assert call.from_plane() == packets
    assert (plane.plane.batches_out, plane.plane.datagrams_out) == (1, 5)


def test_packets_of_the_peer_reach_the_tun_in_order(plane: Bench) -> None:
    call = plane.call()
    plane.receive(*(call.to_plane(number) for number in range(5)))
    assert call.tun.take() == [ip_packet(b"x" * 60, number=number) for number in range(5)]
    assert (plane.plane.batches_in, plane.plane.datagrams_in) == (1, 5)


@pytest.mark.parametrize("settings", [{"mppe": MppePolicy.DENY}, {"stateless": False}, {"pfc": False, "acfc": False}])
def test_every_kind_of_link_passes(plane: Bench, settings: dict[str, object]) -> None:
    call = plane.call(client=settings, server=settings)
    for number in range(3):
        call.tun.put(to_client(number))
    plane.receive(*(call.to_plane(number) for number in range(3)))
    assert numbers(call.tun.take()) == numbers(call.from_plane()) == [0, 1, 2]


@pytest.mark.parametrize("octets", [20, 64, 1400])
def test_every_length_passes_unchanged(plane: Bench, octets: int) -> None:
    call = plane.call()
    payload = os.urandom(octets - 20)
    call.tun.put(to_client(payload=payload))
    plane.receive(call.to_plane(payload=payload))
    assert call.tun.take() == [ip_packet(payload)]
    assert call.from_plane() == [to_client(payload=payload)]


def test_frames_out_of_order_reach_the_tun_in_order(plane: Bench) -> None:
    call = plane.call()
    first, second, third = (call.to_plane(number) for number in range(3))
    plane.receive(second, third)
    assert call.tun.take() == []
    plane.receive(first)
    assert numbers(call.tun.take()) == [0, 1, 2]


def test_what_a_timer_frees_is_delivered_by_hand(plane: Bench) -> None:
    call = plane.call()
    call.flow.deliver([ip_packet(number=7), ip_packet(number=8)])
    assert numbers(call.tun.take()) == [7, 8]


def test_a_flow_is_settled_once_for_each_wake_up(plane: Bench) -> None:
    call, other = plane.call(), plane.call()
    for number in range(BATCH // 4):
        plane.far.sendto(outer_header() + call.to_plane(number), plane.gre.getsockname())
    for number in range(5):
        call.tun.put(to_client(number))
    plane.now += 1
    plane.turn()
    assert plane.plane.batches_in == plane.plane.batches_out == 1
    assert call.settled == [plane.now]
    assert other.settled == []


def test_control_frames_follow_the_data_of_their_batch(plane: Bench) -> None:
    call = plane.call()
    call.on_settle = lambda: call.flow.send([b"control"])
    call.tun.put(to_client(1))
    call.tun.put(to_client(2))
    plane.turn()
    sent = plane.sent()
    assert len(sent) == 3
    assert sent[-1] == b"control"


def test_a_settling_that_fails_leaves_the_others_alone(kind: type[MmsgIo] | type[SocketIo]) -> None:
    with bench(kind) as plane:
        broken, sound = plane.call(), plane.call()

        def fail() -> None:
            raise LookupError

        broken.on_settle = fail
        plane.receive(broken.to_plane(), sound.to_plane())
        assert len(sound.settled) == 1
        assert isinstance(plane.trouble.pop()["exception"], LookupError)
        plane.receive(broken.to_plane(2))
        assert plane.trouble.pop()
        assert numbers(broken.tun.take()) == [0, 2]


def test_nobody_elses_packets_count(plane: Bench) -> None:
    call = plane.call()
    genuine = call.to_plane()
    plane.receive(genuine, header=outer_header(ELSEWHERE))
    assert plane.plane.wrong_address == 1
    plane.receive(genuine[:6] + b"\x00\x00" + genuine[8:])
    assert plane.plane.unknown_call == 1
    assert call.settled == []
    plane.receive(genuine)
    assert numbers(call.tun.take()) == [0]


def test_one_clients_address_is_no_key_to_anothers_call(plane: Bench) -> None:
    near, far = plane.call(), plane.call()
    plane.plane.detach(far.flow)
    plane.plane.attach(far.server, local=None, peer=ELSEWHERE, settle=far._settle).open_tun(far.tun.fd)
    # Each is somebody here, and so is not the other.
    ours, theirs = near.to_plane(1), far.to_plane(2)
    plane.receive(ours, header=outer_header(ELSEWHERE))
    plane.receive(theirs)
    assert plane.plane.wrong_address == 2
    assert near.settled == far.settled == []
    assert near.tun.take() == far.tun.take() == []
    plane.receive(ours)
    plane.receive(theirs, header=outer_header(ELSEWHERE))
    assert (numbers(near.tun.take()), numbers(far.tun.take())) == ([1], [2])
    assert plane.plane.wrong_address == 2


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\x45",
        outer_header(),
        outer_header() + bytes(7),
        outer_header() + bytes(8),
        outer_header(protocol=17) + bytes.fromhex("3001880b00000000"),
        b"\x65" + bytes(60),
        b"\x41" + bytes(60),
        b"\x4f" + bytes(27),
    ],
)
def test_what_is_no_enhanced_gre_is_counted(plane: Bench, datagram: bytes) -> None:
    plane.call()
    plane.receive(datagram, header=b"")
    counters = plane.plane.counters()
    assert counters["not_gre"] == 1
    assert counters["datagrams_in"] == 1


def test_a_stump_in_the_place_of_a_whole_packet_is_refused(plane: Bench) -> None:
    # The octets behind the stump are those of the packet that had the slot before it.
    call = plane.call()
    whole = outer_header() + call.to_plane()
    plane.receive(whole, header=b"")
    for length in range(len(outer_header()) + 16):
        plane.receive(whole[:length], header=b"")
    assert numbers(call.tun.take()) == [0]
    assert call.server.counters.packets_in == 1


def test_ip_options_are_skipped(plane: Bench) -> None:
    call = plane.call()
    plane.receive(call.to_plane(3), header=outer_header(options=bytes(8)))
    assert numbers(call.tun.take()) == [3]
    plane.receive(call.to_plane(4), header=outer_header(ELSEWHERE, options=bytes(8)))
    assert plane.plane.wrong_address == 1


def test_a_datagram_longer_than_a_slot_is_counted_and_spoils_nothing(plane: Bench) -> None:
    call = plane.call()
    plane.receive(call.to_plane()[:16] + bytes(4000), call.to_plane(2), call.to_plane(3))
    assert plane.plane.too_long == 1
    call.server.handle_timer(plane.now + 1)
    assert call.server.tunnel.received >= 2


def test_the_first_frames_of_an_expected_peer_are_handed_over(plane: Bench) -> None:
    taken: list[tuple[int, bytes]] = []

    def take(call_id: int, datagram: bytes) -> None:
        taken.append((call_id, datagram))

    def take_too(call_id: int, datagram: bytes) -> None:
        taken.append((-call_id, datagram))

    early = bytes.fromhex("3001880b0001002a00000000ff")
    plane.plane.expect(FAR, take)
    plane.plane.expect(FAR, take_too)
    plane.receive(early)
    plane.receive(early, header=outer_header(ELSEWHERE))
    assert taken == [(42, early), (-42, early)]
    plane.plane.expect_no_more(FAR, take)
    plane.receive(early)
    assert taken[2:] == [(-42, early)]
    plane.plane.expect_no_more(FAR)
    plane.plane.expect_no_more(FAR)
    plane.receive(early)
    assert len(taken) == 3
    assert plane.plane.unknown_call == 2


def test_a_full_tun_drops_and_counts(plane: Bench) -> None:
    call = plane.call()
    count = 3 * BATCH
    # A pair of local sockets holds a few datagrams, as a TUN's queue does.
    while True:
        try:
            os.write(call.tun.fd, b"x")
        except BlockingIOError:
            break
    plane.receive(*(call.to_plane(number) for number in range(count)))
    assert call.flow.tun_full == count
    assert call.server.counters.packets_in == count
    call.tun.take()
    plane.receive(call.to_plane(number=9))
    assert numbers(call.tun.take()) == [9]


def test_the_first_packets_wait_for_the_tun(plane: Bench) -> None:
    call = plane.call(tun_open=False)
    plane.receive(*(call.to_plane(number) for number in range(dataplane.EARLY_PACKETS + 4)))
    assert call.flow.no_tun == 4
    call.flow.open_tun(call.tun.fd)
    assert numbers(call.tun.take()) == list(range(dataplane.EARLY_PACKETS))
    plane.receive(call.to_plane(number=99))
    assert numbers(call.tun.take()) == [99]


def test_without_a_tun_packets_are_counted(plane: Bench) -> None:
    call = plane.call()
    call.flow.close_tun()
    call.flow.close_tun()
    plane.receive(call.to_plane())
    assert call.flow.no_tun == 1
    assert call.settled
    call.flow.open_tun(call.tun.fd)
    with pytest.raises(LocalProtocolError):
        call.flow.open_tun(call.tun.fd)
    plane.receive(call.to_plane(2))
    assert numbers(call.tun.take()) == [2]


def test_a_tun_that_breaks_is_let_go_and_its_owner_told(plane: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    call, other = plane.call(), plane.call()

    def broken(fd: int, targets: object) -> int:
        raise OSError(errno.EIO, "gone")

    call.tun.put(to_client())
    with monkeypatch.context() as patched:
        patched.setattr(os, "readv", broken)
        plane.turn()
    assert call.flow.tun_error == errno.EIO
    assert call.settled
    assert other.flow.tun_error is None
    other.tun.put(to_client(5))
    plane.turn()
    assert numbers(other.from_plane()) == [5]


def test_a_tun_that_hangs_up_is_let_go_and_does_not_keep_the_loop_busy(plane: Bench) -> None:
    call = plane.call()
    call.flow.close_tun()
    reading, writing = os.pipe()
    try:
        call.flow.open_tun(reading)
        os.close(writing)
        plane.turn()
        assert call.flow.tun_error
        assert call.settled
        before = plane.plane.wake_ups
        plane.turn()
        assert plane.plane.wake_ups == before
    finally:
        os.close(reading)


def test_what_the_tun_refuses_for_another_reason_is_counted(plane: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    call = plane.call()
    for code in (errno.EIO, errno.EINVAL):

        def refuse(fd: int, packet: object, code: int = code) -> int:
            raise OSError(code, "refused")

        with monkeypatch.context() as patched:
            patched.setattr(os, "write", refuse)
            plane.receive(call.to_plane())
    assert (call.flow.tun_refused, call.flow.tun_error) == (2, None)
    plane.receive(call.to_plane(2))
    assert numbers(call.tun.take()) == [2]


def test_what_the_network_refuses_is_counted_and_the_flow_goes_on(plane: Bench) -> None:
    call = plane.call()
    plane.far.close()
    # A broadcast address is refused to a socket that did not ask for the right.
    refused = plane.plane.attach(
        plane.call().client, local=None, peer=IPv4Address("255.255.255.255"), settle=lambda now: None
    )
    tun = Tun()
    refused.open_tun(tun.fd)
    tun.put(to_client())
    tun.put(to_client())
    plane.turn()
    refused.send([b"one more"])
    refused.close_tun()
    tun.close()
    assert refused.send_dropped == 3
    assert plane.plane.errors == {"EACCES": 3}
    call.tun.put(to_client())
    plane.turn()
    assert plane.plane.datagrams_out == 1


def test_a_packet_the_session_refuses_is_counted_there(plane: Bench) -> None:
    call = plane.call()
    for packet in (b"", bytes(1), b"\x60" + bytes(60), bytes(2000), to_client(payload=bytes(1381)), to_client(3)):
        call.tun.put(packet)
    plane.turn()
    assert numbers(call.from_plane()) == [3]
    counters = call.server.counters
    assert (counters.not_ipv4, counters.too_long, counters.packets_out) == (3, 2, 1)


def test_descriptors_are_served_in_turn(plane: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    # With no time to spare, each wake-up serves one batch of one descriptor.
    monkeypatch.setattr(dataplane, "SLICE", 0.0)
    calls = [plane.call(), plane.call(), plane.call()]
    for number in range(8):
        for call in calls:
            call.tun.put(to_client(number))
    for call in calls:
        plane.far.sendto(outer_header() + call.to_plane(), plane.gre.getsockname())
    served = []
    for _ in range(4):
        before = [call.server.counters.packets_out for call in calls]
        plane.plane._serve()
        served.append([call.server.counters.packets_out - was for call, was in zip(calls, before, strict=True)])
    assert sorted(served, reverse=True) == [[8, 0, 0], [0, 8, 0], [0, 0, 8], [0, 0, 0]]
    assert plane.plane.batches_in == 1


def test_a_flood_lets_the_loop_have_its_turn(plane: Bench) -> None:
    call = plane.call()
    flood = [outer_header() + call.to_plane(number) for number in range(10 * BATCH)]
    for datagram in flood:
        plane.far.sendto(datagram, plane.gre.getsockname())
    # Every look at the clock takes as long as a slice: one batch for each wake-up.
    ticks = iter(range(1_000_000))
    plane.plane._clock = lambda: next(ticks) * dataplane.SLICE
    turns = 0

    def somebody_else() -> None:
        nonlocal turns
        turns += 1
        if plane.plane.datagrams_in < len(flood) and turns < 1000:
            plane.loop.call_soon(somebody_else)

    somebody_else()
    plane.turn(40)
    assert turns >= plane.plane.batches_in >= 10
    assert plane.plane.datagrams_in == len(flood)


def test_many_sessions_are_settled_in_slices(plane: Bench) -> None:
    calls = [plane.call() for _ in range(6)]
    datagrams = [call.to_plane() for call in calls]
    order: list[int] = []

    def settle(number: int) -> None:
        # Each takes as long as a slice, and somebody else is waiting.
        plane.now += dataplane.SLICE
        order.append(number)
        plane.loop.call_soon(order.append, -1)

    for number, call in enumerate(calls):
        call.on_settle = partial(settle, number)
    plane.receive(*datagrams)
    plane.turn(20)
    # Everyone once, in order, and never two without somebody else between.
    assert order == [number for index in range(6) for number in (index, -1)]


def test_the_same_call_id_is_not_attached_twice(plane: Bench) -> None:
    call = plane.call()
    with pytest.raises(LocalProtocolError, match="attached"):
        plane.plane.attach(call.server, local=None, peer=FAR, settle=lambda now: None)
    plane.plane.detach(call.flow)
    plane.plane.detach(call.flow)
    plane.receive(call.to_plane())
    assert plane.plane.unknown_call == 1
    call.flow = plane.plane.attach(call.server, local=OURS, peer=FAR, settle=lambda now: None)
    call.flow.open_tun(call.tun.fd)
    call.tun.put(to_client(4))
    plane.turn()
    assert numbers(call.from_plane()) == [4]


def test_after_closing_nothing_moves(plane: Bench) -> None:
    call = plane.call()
    plane.plane.close()
    plane.plane.close()
    plane.receive(call.to_plane())
    call.tun.put(to_client())
    plane.turn()
    assert call.tun.take() == []
    assert plane.sent() == []
    assert plane.loop.run_until_complete(_nothing()) is None


async def _nothing() -> None:
    return None


def test_slots_grow_with_the_largest_mtu(kind: type[MmsgIo] | type[SocketIo]) -> None:
    settings = {"mtu": 9000, "mru": 9004}
    with bench(kind, largest_mtu=9000) as plane:
        call = plane.call(client=settings, server=settings)
        payload = os.urandom(8980)
        call.tun.put(to_client(payload=payload))
        plane.receive(call.to_plane(payload=payload))
        assert call.tun.take() == [ip_packet(payload)]
        assert call.from_plane() == [to_client(payload=payload)]


def test_what_the_kernel_had_no_room_for_is_known(plane: Bench) -> None:
    if plane.plane.kernel_drops is None:
        pytest.skip("this kernel does not say")
    assert plane.plane.kernel_drops == 0
    plane.gre.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    for _ in range(50):
        plane.far.sendto(bytes(1400), plane.gre.getsockname())
    assert plane.plane.kernel_drops > 0
    assert plane.plane.counters()["kernel_drops"] == plane.plane.kernel_drops


ANY_DATAGRAM = st.one_of(
    st.binary(max_size=120),
    st.builds(lambda header, rest: header + rest, st.just(outer_header()), st.binary(max_size=60)),
    st.builds(
        lambda call_id, rest: outer_header() + b"\x30\x01\x88\x0b\x00\x10" + call_id.to_bytes(2, "big") + rest,
        st.integers(0, 0xFFFF),
        st.binary(max_size=60),
    ),
)


@given(st.lists(ANY_DATAGRAM, min_size=1, max_size=10))
def test_whatever_comes_is_counted_once_and_raises_nothing(datagrams: list[bytes]) -> None:
    with bench(SocketIo) as plane:
        call = plane.call()
        before = sum(call.server.tunnel.counters().values()) + call.server.link.discarded
        plane.receive(*datagrams, header=b"")
        counted = plane.plane.counters()
        dropped = counted["not_gre"] + counted["unknown_call"] + counted["wrong_address"] + counted["too_long"]
        assert counted["datagrams_in"] == len(datagrams)
        after = sum(call.server.tunnel.counters().values()) + call.server.link.discarded
        assert dropped == len(datagrams) or after > before


# How fast packets may pass.


def wait(plane: Bench, seconds: float = 0.01) -> None:
    """Let the loop's own clock go on, so that a flow that was left alone is looked at again."""
    plane.loop.run_until_complete(asyncio.sleep(seconds))


def test_to_the_peer_packets_wait_in_the_tun_until_there_are_tokens(plane: Bench) -> None:
    call = plane.call()
    call.flow.limit(down=TokenBucket(8000.0, 160.0, plane.now), up=None)
    packets = [to_client(number) for number in range(8)]
    for packet in packets:
        call.tun.put(packet)
    plane.turn()
    # Two of 80 octets have tokens, and while the clock stands no more come.
    assert call.from_plane() == packets[:2]
    wait(plane)
    assert call.from_plane() == []
    wake_ups = plane.plane.wake_ups
    plane.turn(20)
    assert plane.plane.wake_ups == wake_ups, "a flow without tokens is not to be looked at all the time"
    plane.now += 0.02
    wait(plane)
    assert call.from_plane() == packets[2:4]
    plane.now += 10
    wait(plane)
    plane.now += 10
    wait(plane)
    assert call.from_plane() == packets[4:8]
    assert call.flow.counters()["over_rate"] == 0


def test_from_the_peer_what_has_no_tokens_is_dropped(plane: Bench) -> None:
    call = plane.call()
    call.flow.limit(down=None, up=TokenBucket(8000.0, 160.0, plane.now))
    plane.receive(*(call.to_plane(number) for number in range(5)))
    assert numbers(call.tun.take()) == [0, 1]
    assert call.flow.over_rate == 3
    plane.now += 0.005
    plane.receive(call.to_plane(5), call.to_plane(6))
    assert numbers(call.tun.take()) == [5]
    assert call.flow.counters()["over_rate"] == 4
    # They have arrived, and the peer is told so: only what the host gets of them is less.
    assert call.server.counters.packets_in == 7


def test_what_had_waited_for_its_turn_has_no_other_rate(plane: Bench) -> None:
    call = plane.call()
    call.flow.limit(down=None, up=TokenBucket(8000.0, 160.0, plane.now))
    first, *rest = (call.to_plane(number) for number in range(5))
    plane.receive(*rest)
    plane.receive(first)
    assert numbers(call.tun.take()) == [0, 1]
    assert call.flow.over_rate == 3


def test_others_are_not_held_up(plane: Bench) -> None:
    slow, fast = plane.call(), plane.call()
    slow.flow.limit(down=TokenBucket(8.0, 80.0, plane.now), up=TokenBucket(8.0, 80.0, plane.now))
    datagrams = []
    for number in range(4):
        slow.tun.put(to_client(number))
        fast.tun.put(to_client(number))
        datagrams += [slow.to_plane(number), fast.to_plane(number)]
    plane.receive(*datagrams)
    wait(plane)
    assert numbers(slow.tun.take()) == [0]
    assert numbers(fast.tun.take()) == [0, 1, 2, 3]
    assert plane.plane.datagrams_out == 5


@pytest.mark.parametrize("ends_by", ["close_tun", "detach", "close"])
def test_a_flow_that_ends_while_it_waits(plane: Bench, ends_by: str) -> None:
    call = plane.call()
    call.flow.limit(down=TokenBucket(8.0, 80.0, plane.now), up=None)
    for number in range(4):
        call.tun.put(to_client(number))
    plane.turn()
    assert plane.plane.datagrams_out == 1
    if ends_by == "close_tun":
        call.flow.close_tun()
    elif ends_by == "detach":
        plane.plane.detach(call.flow)
    else:
        plane.plane.close()
    plane.now += 100
    wait(plane)
    assert plane.plane.datagrams_out == 1
    if ends_by == "close_tun":
        call.flow.open_tun(call.tun.fd)
        wait(plane)
        assert plane.plane.datagrams_out == 2


def test_a_packet_over_the_mru_is_answered_through_the_tun(plane: Bench) -> None:
    call = plane.call()
    mtu = call.server.link.mtu
    long = bytearray(to_client(payload=bytes(mtu - 19)))
    long[6] = 0x40
    call.tun.put(bytes(long))
    call.tun.put(to_client(1))
    plane.turn()
    (answer,) = call.tun.take()
    assert answer[12:20] == IPv4Address(CLIENT_ADDRESS).packed + IPv4Address(SERVER_ADDRESS).packed
    assert (answer[9], answer[20], answer[21], int.from_bytes(answer[26:28], "big")) == (1, 3, 4, mtu)
    assert numbers(call.from_plane()) == [1]
    assert call.server.counters.too_long == 1
