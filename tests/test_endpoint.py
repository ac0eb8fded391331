"""Two whole ends joined by a simulated network: from the first control message to packets, and to the end again."""

from __future__ import annotations

from collections import Counter

import pytest

from pypptp.control import CallIdAllocator, CallRefused, ConnectionClosed
from pypptp.control.messages import OutgoingCallRequest, StartControlConnectionRequest
from pypptp.endpoint import Endpoint, EndpointConfig, SessionEnded, SessionEvent
from pypptp.gre import parse_header
from pypptp.mppe import Strength
from pypptp.ppp.auth import AuthMethod
from pypptp.ppp.config import LinkConfig, MppePolicy
from pypptp.ppp.events import NetworkUp, Refused, SecretWanted
from pypptp.roles import Role
from pypptp.testing import Direction, Impairment, SimulatedNetwork, seeded
from tests.peers import CLIENT_ADDRESS, SERVER_ADDRESS, connected, ip_packet, make_network


def network_up(network: SimulatedNetwork, side: Direction) -> NetworkUp:
    """What one end said when the network came up."""
    found = [
        event.event
        for _, who, event in network.events
        if who == side and isinstance(event, SessionEvent) and isinstance(event.event, NetworkUp)
    ]
    return found[-1]


def exchange(network: SimulatedNetwork, count: int, *, interval: float = 0.001, payload: bytes = b"x" * 100) -> None:
    """Send packets both ways, one each per interval."""
    for number in range(count):
        network.client.send_packet(ip_packet(payload, number=number), network.now)
        packet = ip_packet(payload, source=SERVER_ADDRESS, destination=CLIENT_ADDRESS, number=number)
        network.server.send_packet(packet, network.now)
        network.run(interval)


def numbers(packets: list[bytes]) -> list[int]:
    return [int.from_bytes(packet[4:6], "big") for packet in packets]


def test_a_client_connects_as_it_does_by_default() -> None:
    network = connected()
    up = network_up(network, "client")
    assert (str(up.local), str(up.peer)) == (CLIENT_ADDRESS, SERVER_ADDRESS)
    assert up.method is AuthMethod.MSCHAPV2
    assert up.encryption is not None
    assert (up.encryption.strength, up.encryption.stateless) == (Strength.BITS_128, True)
    assert up.mtu == 1400
    other = network_up(network, "server")
    assert (other.local, other.peer, other.user) == (up.peer, up.local, "alice")
    assert network.now < 0.5, "nothing waited for a time-out"


def test_a_packet_passes_each_way() -> None:
    network = connected()
    there = ip_packet(b"there")
    back = ip_packet(b"back", source=SERVER_ADDRESS, destination=CLIENT_ADDRESS)
    assert network.client.send_packet(there, network.now)
    assert network.server.send_packet(back, network.now)
    network.run(0.1)
    assert network.server.packets_received() == [there]
    assert network.client.packets_received() == [back]


def test_nothing_of_a_packet_is_seen_on_the_path() -> None:
    network = connected()
    secret = b"the quick brown fox jumps over the lazy dog"
    network.client.send_packet(ip_packet(secret), network.now)
    network.run(0.1)
    assert network.server.packets_received()
    assert all(secret not in octets for _, _, _, octets in network.trace)


@pytest.mark.parametrize("stateless", [True, False])
@pytest.mark.parametrize("strength", Strength)
def test_every_strength_and_mode(strength: Strength, stateless: bool) -> None:
    network = connected(client={"strengths": (strength,), "stateless": stateless}, server={"strengths": (strength,)})
    for side in ("client", "server"):
        encryption = network_up(network, side).encryption
        assert encryption is not None
        assert (encryption.strength, encryption.stateless) == (strength, stateless)
    exchange(network, 600)
    network.run(1)
    assert numbers(network.server.packets_received()) == list(range(600))
    assert numbers(network.client.packets_received()) == list(range(600))


@pytest.mark.parametrize("method", AuthMethod)
def test_every_authentication_method(method: AuthMethod) -> None:
    keyed = method in (AuthMethod.MSCHAPV2, AuthMethod.MSCHAP)
    policy = MppePolicy.REQUIRE if keyed else MppePolicy.PREFER
    settings = {"auth": (method,), "mppe": policy}
    network = connected(client=settings, server=settings)
    up = network_up(network, "server")
    assert up.method is method
    assert (up.encryption is not None) is keyed
    exchange(network, 5)
    network.run(0.2)
    assert numbers(network.server.packets_received()) == list(range(5))


def test_a_user_is_asked_again() -> None:
    network = connected()
    (call_id,) = network.server.sessions
    network.server.rechallenge(call_id, network.now)
    exchange(network, 5)
    network.run(1)
    asked = [who for _, who, event in network.events if isinstance(event, SessionEvent) and _is_question(event)]
    assert asked == ["server", "server"]
    assert not any(isinstance(event, SessionEnded) for _, _, event in network.events)
    assert numbers(network.server.packets_received()) == list(range(5))
    network.server.rechallenge(0, network.now)


def _is_question(event: SessionEvent) -> bool:
    return isinstance(event.event, SecretWanted)


def test_each_handshake_packet_may_be_lost_once() -> None:
    """One run for each GRE packet of the handshake, in which just that one is lost."""
    undisturbed = connected()
    handshake = sum(1 for _, _, kind, _ in undisturbed.trace if kind == "gre")
    assert handshake > 15
    for victim in range(handshake):
        seen = Counter[str]()

        def drop(_side: Direction, _octets: bytes, victim: int = victim, seen: Counter[str] = seen) -> bool:
            seen["gre"] += 1
            return seen["gre"] == victim + 1

        network = make_network(drop=drop)
        network.client.connect(network.now)
        assert network.run_until(lambda network=network: network.network_up, 30), f"packet {victim}"  # type: ignore[misc]
        network.run(0.1)
        exchange(network, 3)
        network.run(0.5)
        assert numbers(network.server.packets_received()) == [0, 1, 2], f"packet {victim}"
        assert numbers(network.client.packets_received()) == [0, 1, 2], f"packet {victim}"


@pytest.mark.parametrize("stateless", [True, False])
def test_data_under_loss_duplication_and_reordering(stateless: bool) -> None:
    network = connected(client={"stateless": stateless}, server={"stateless": stateless})
    network.impairment = Impairment(latency=0.005, loss=0.01, duplication=0.01, reordering=0.01)
    before = network.counters.lost
    exchange(network, 3000)
    network.impairment = Impairment()
    network.run(2)
    lost = network.counters.lost - before
    for received in (network.server.packets_received(), network.client.packets_received()):
        found = numbers(received)
        assert len(set(found)) == len(found), "no duplicates"
        assert found == sorted(found), "in order"
        # Stateful MPPE loses what is on its way until the Reset-Request is answered; stateless only what the path lost.
        allowed = lost if stateless else 40 * lost
        assert len(found) >= 3000 - allowed
    assert network.network_up


@pytest.mark.parametrize("burst", [1, 100, 2049, 4096, 10_000])
def test_the_next_frame_decrypts_after_a_burst_of_losses(burst: int) -> None:
    network = connected()
    exchange(network, 10)
    network.run(0.5)
    network.server.packets_received()
    network.drop = lambda side, octets: side == "client" and len(octets) > 100
    for number in range(burst):
        network.client.send_packet(ip_packet(b"x" * 100, number=number), network.now)
        if number % 100 == 0:
            network.run(0.002)
    network.run(0.5)
    assert network.server.packets_received() == []
    network.drop = None
    network.client.send_packet(ip_packet(b"the next", number=7), network.now)
    network.run(0.5)
    assert numbers(network.server.packets_received()) == [7]
    exchange(network, 5)
    network.run(0.5)
    assert numbers(network.server.packets_received()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("frames", [1, 4095, 4096, 10_000])
def test_the_next_frame_decrypts_after_many_frames_in_clear(frames: int) -> None:
    """LCP echoes take GRE numbers but no MPPE count: an idle session must not lose its way over them."""
    network = connected()
    exchange(network, 3)
    network.run(0.5)
    network.server.packets_received()
    (session,) = network.client.sessions.values()
    for number in range(frames):
        session.link.lcp.send_echo_request(network.now)
        session.link.handle_timer(network.now)
        session._follow_link(network.now)
        if number % 50 == 0:
            network.run(0.02)
    network.run(1)
    exchange(network, 3)
    network.run(0.5)
    assert numbers(network.server.packets_received()) == [0, 1, 2]


def test_the_client_ends_it() -> None:
    network = connected()
    network.client.close("enough", network.now)
    assert network.run_until(lambda: network.closed, 10)
    assert network.now < 2
    assert network.reasons("client") == ["enough"]
    assert "enough" in network.reasons("server")[0]
    assert not network.client.sessions
    assert not network.server.sessions


def test_the_server_ends_it() -> None:
    network = connected()
    network.server.close("maintenance", network.now)
    assert network.run_until(lambda: network.closed, 10)
    assert network.reasons("server") == ["maintenance"]
    assert "maintenance" in network.reasons("client")[0]


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_close_nobody_answers_ends_too(side: Direction) -> None:
    network = connected()
    network.drop = lambda sender, _octets: sender != side
    end = network.client if side == "client" else network.server
    end.close("enough", network.now)
    assert network.run_until(lambda: network.closed, 30)
    assert not network.client.sessions
    assert not network.server.sessions


def test_a_lost_control_connection_ends_the_session() -> None:
    network = connected()
    network.server.receive_eof(network.now)
    network.run(0.1)
    assert network.reasons("server") == ["the peer closed the connection"]
    assert not network.server.sessions
    assert any(isinstance(event, ConnectionClosed) for _, who, event in network.events if who == "server")


def test_a_silent_peer_is_noticed_by_lcp_echo() -> None:
    network = connected(server={"echo_interval": 3.0, "echo_failure": 3})
    network.drop = lambda _side, _octets: True
    assert network.run_until(lambda: not network.server.sessions, 60)
    assert network.reasons("server") == ["no answer to 3 LCP Echo-Requests"]


def test_a_wrong_password_is_refused_in_the_servers_words() -> None:
    network = make_network(password="looking-glass")
    network.client.connect(network.now)
    assert network.run_until(lambda: network.closed, 30)
    assert not any(
        isinstance(event, SessionEvent) and isinstance(event.event, NetworkUp) for *_, event in network.events
    )
    assert "Access denied" in network.reasons("client")[0]
    refused = [event.event for *_, event in network.events if isinstance(event, SessionEvent)]
    assert Refused("alice", AuthMethod.MSCHAPV2) in refused


def test_a_wrong_password_costs_no_time_out() -> None:
    network = make_network(password="looking-glass")
    network.client.connect(network.now)
    assert network.run_until(lambda: network.closed, 30)
    assert network.now < 1.0
    told = [octets for _, side, _, octets in network.trace if side == "client" and b"E=691" in octets]
    assert len(told) == 1, "one Terminate-Request with the reason"


def test_a_client_that_may_not_do_what_the_server_wants_says_so() -> None:
    network = make_network(client={"auth": (AuthMethod.PAP,), "mppe": MppePolicy.PREFER})
    network.client.connect(network.now)
    assert network.run_until(lambda: network.closed, 30)
    assert network.now < 2.0
    assert "authentication" in network.reasons("client")[0]


def test_an_unknown_user_hears_the_same() -> None:
    known, unknown = make_network(password="looking-glass"), make_network(user="mallory")
    for network in (known, unknown):
        network.client.connect(network.now)
        assert network.run_until(lambda network=network: network.closed, 30)  # type: ignore[misc]
    assert known.reasons("client") == unknown.reasons("client")


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_peer_that_will_not_encrypt_is_ended(side: Direction) -> None:
    deny = {"mppe": MppePolicy.DENY}
    network = make_network(client=deny if side == "client" else None, server=deny if side == "server" else None)
    network.client.connect(network.now)
    assert network.run_until(lambda: network.closed, 60)
    assert not any(
        isinstance(event, SessionEvent) and isinstance(event.event, NetworkUp) for *_, event in network.events
    )
    assert any("MPPE" in reason for reason in network.reasons("client") + network.reasons("server"))


def test_an_exhausted_pool_is_said_plainly() -> None:
    network = make_network(addresses=())
    network.client.connect(network.now)
    assert network.run_until(lambda: network.closed, 30)
    assert "no address left in the pool" in network.reasons("client")[0]


def test_packets_with_a_foreign_source_are_dropped_and_counted() -> None:
    network = connected()
    network.client.send_packet(ip_packet(b"spoofed", source="192.0.2.1"), network.now)
    network.run(0.1)
    assert network.server.packets_received() == []
    (session,) = network.server.sessions.values()
    assert session.counters.wrong_source == 1


def test_gre_that_overtakes_the_call_reply_is_kept() -> None:
    """The server's first Configure-Request often arrives before the Outgoing-Call-Reply; losing it costs 3 s."""
    network = make_network()
    network.client.connect(network.now)
    assert network.run_until(lambda: bool(network.server.sessions), 5)
    # The reply is on its way in TCP; deliver the GRE first.
    for datagram in network.server.datagrams_to_send(network.now):
        network.client.receive_datagram(datagram, network.now)
    assert network.run_until(lambda: network.network_up, 10)
    assert network.now < 1.0
    assert network.client.unknown_call == 0


def test_datagrams_for_no_call_are_counted() -> None:
    network = connected()
    network.client.receive_datagram(b"\x30\x01\x88\x0b\x00\x01\xff\xff\x00\x00\x00\x00\xc0", network.now)
    network.client.receive_datagram(b"\x00", network.now)
    assert network.client.unknown_call == 2


def test_several_calls_on_one_connection() -> None:
    network = connected()
    second = network.client.control.place_call(network.now)
    network.client.settle(network.now)
    network.run(1)
    assert len(network.client.sessions) == len(network.server.sessions) == 2
    packet = ip_packet(b"second", source="192.168.0.235")
    network.client.send_packet(packet, network.now, call_id=second)
    network.run(0.1)
    assert network.server.packets_received() == [packet]
    network.client.close_session(second, "one is enough", network.now)
    network.run(5)
    assert len(network.server.sessions) == 1


def test_the_same_seed_replays_octet_for_octet() -> None:
    def scenario(seed: int) -> list[tuple[float, Direction, str, bytes]]:
        network = connected(seed=seed)
        network.impairment = Impairment(loss=0.05, duplication=0.05, reordering=0.05, corruption=0.01)
        exchange(network, 200)
        return network.trace

    assert scenario(3) == scenario(3)
    assert scenario(3) != scenario(4)


def test_every_datagram_carries_the_receivers_call_id() -> None:
    network = connected()
    exchange(network, 3)
    (client,) = network.client.sessions.values()
    (server,) = network.server.sessions.values()
    expected = {"client": server.call_id, "server": client.call_id}
    for _, side, kind, octets in network.trace:
        if kind == "gre":
            header = parse_header(octets)
            assert header is not None
            assert header.call_id == expected[side]


def test_a_refused_call_is_told_by_name() -> None:
    network = make_network()
    network.server.refuse_calls = True
    network.client.connect(network.now)
    assert network.run_until(lambda: network.closed, 10)
    refusals = [event for _, _, event in network.events if isinstance(event, CallRefused)]
    assert [refusal.result for refusal in refusals] == [7]


def test_session_ended_is_said_once_per_session() -> None:
    network = connected()
    network.client.close("enough", network.now)
    network.run(30)
    for side in ("client", "server"):
        assert sum(1 for _, who, event in network.events if who == side and isinstance(event, SessionEnded)) == 1


def test_ends_that_share_an_allocator_never_share_a_call_id() -> None:
    call_ids = CallIdAllocator(seeded(1))
    config = EndpointConfig(link=LinkConfig(name="pptpd"))
    ends = [Endpoint(Role.SERVER, config, random=seeded(2), call_ids=call_ids, now=0.0) for _ in range(3)]
    for end in ends:
        end.receive_data(StartControlConnectionRequest(framing_capabilities=3, bearer_capabilities=3).build(), 0.0)
        request = OutgoingCallRequest(
            call_id=1,
            call_serial_number=1,
            minimum_bps=2400,
            maximum_bps=10_000_000,
            bearer_type=3,
            framing_type=3,
            packet_receive_window_size=64,
        )
        end.receive_data(request.build(), 0.0)
    assert len({call_id for end in ends for call_id in end.sessions}) == 3


def test_an_end_that_closes_takes_no_more_calls() -> None:
    network = connected()
    network.server.close("closing time", network.now)
    network.client.control.place_call(network.now)
    network.client.settle(network.now)
    assert network.run_until(lambda: network.closed, 20)
    assert sum(isinstance(event, CallRefused) for _, side, event in network.events if side == "client") <= 1
    assert len(network.reasons("server")) == 1


def test_an_end_without_a_call_closes_its_connection() -> None:
    server = Endpoint(Role.SERVER, EndpointConfig(link=LinkConfig(name="pptpd")), random=seeded(1), now=0.0)
    server.receive_data(StartControlConnectionRequest(framing_capabilities=3, bearer_capabilities=3).build(), 0.0)
    assert server.data_to_send()
    server.close("closing time", 1.0)
    stop = server.data_to_send()
    assert stop[8:10] == b"\x00\x03"
    server.close("closing time", 1.0)
    assert server.data_to_send() == b""
