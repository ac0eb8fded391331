"""What it takes before the first packet: parsers, authentication, a whole session."""

from __future__ import annotations

from pytest_benchmark.fixture import BenchmarkFixture

from bench.cores import PASSWORD, USER, Pair
from bench.limits import handshake_rates
from pypptp.control import parse_message
from pypptp.control.messages import OutgoingCallRequest
from pypptp.mppe.keys import keys_for_mschap_v2
from pypptp.ppp.auth.mschap import authenticator_response, nt_password_hash, nt_response_v2
from pypptp.ppp.packet import ControlPacket, Option, build_options, parse_options, parse_packet

LEAST_SESSIONS_PER_SECOND = 400
CHALLENGE = bytes(range(16))


def test_lcp_parse(benchmark: BenchmarkFixture) -> None:
    options = [Option(1, b"\x05\x78"), Option(3, b"\xc2\x23\x81"), Option(5, b"\x01\x02\x03\x04"), Option(7, b"")]
    request = ControlPacket(1, 1, build_options(options)).build()

    def parse() -> list[Option] | None:
        packet = parse_packet(request)
        return None if packet is None else parse_options(packet.data)

    assert benchmark(parse) == options


def test_control_message_parse(benchmark: BenchmarkFixture) -> None:
    message = OutgoingCallRequest(
        call_id=1,
        call_serial_number=1,
        minimum_bps=2400,
        maximum_bps=10_000_000,
        bearer_type=3,
        framing_type=3,
        packet_receive_window_size=64,
        packet_processing_delay=0,
        phone_number=b"",
        subaddress=b"",
    )
    assert benchmark(parse_message, message.build()) == message


def test_nt_password_hash(benchmark: BenchmarkFixture) -> None:
    assert len(benchmark(nt_password_hash, PASSWORD)) == 16


def test_mschap_v2(benchmark: BenchmarkFixture) -> None:
    """What the server works out for one user whose NT hash it has: both responses, and the MPPE keys."""
    nt_hash = nt_password_hash(PASSWORD)
    name = USER.encode()

    def authenticate() -> bytes:
        response = nt_response_v2(CHALLENGE, CHALLENGE, name, nt_hash)
        authenticator_response(nt_hash, response, CHALLENGE, CHALLENGE, name)
        return keys_for_mschap_v2(nt_hash, response, is_server=True).send_start

    assert len(benchmark(authenticate)) == 16


def test_a_whole_handshake_in_memory(benchmark: BenchmarkFixture) -> None:
    pair = benchmark(lambda: Pair().connect())
    assert pair.server.up[0].encryption is not None


def test_each_side_sets_up_enough_sessions_a_second() -> None:
    rates = handshake_rates()
    print(", ".join(f"{name} {rate:.0f}" for name, rate in rates.items()))
    assert min(rates.values()) >= LEAST_SESSIONS_PER_SECOND
