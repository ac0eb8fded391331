import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.causes import Cause
from pypptp.ppp.auth import AuthMachine, AuthMethod, Failure, Secret, Success, authenticator, pap, peer
from pypptp.ppp.auth.method import RETRANSMIT_INTERVAL, SILENCE, TRANSMISSIONS
from pypptp.ppp.auth.mschap import nt_password_hash
from pypptp.ppp.auth.pap import build_reply, build_request, parse_reply, parse_request

from .joined import PASSWORD, USER, Joined, packet, seeded

REQUEST, ACK, NAK = 1, 2, 3


def server() -> AuthMachine:
    machine = authenticator(AuthMethod.PAP, name="pptpd", random=seeded())
    machine.start(0.0)
    return machine


def client(password: str = PASSWORD, name: str = USER) -> AuthMachine:
    return peer(AuthMethod.PAP, name=name, secret=Secret(password), random=seeded(2))


def test_a_login() -> None:
    joined = Joined(AuthMethod.PAP).run()
    assert [octets[0] for _, octets in joined.wire] == [REQUEST, ACK]
    assert joined.server.outcome == Success(USER)
    assert joined.client.outcome == Success(USER, None, "Access granted")
    assert joined.server.get_timer() is joined.client.get_timer() is None


@pytest.mark.parametrize("lost", [{0}, {1}, {0, 1}, {1, 3}, set(range(9))])
def test_any_packet_may_get_lost(lost: set[int]) -> None:
    joined = Joined(AuthMethod.PAP, lost=lost).run()
    assert isinstance(joined.server.outcome, Success)
    assert isinstance(joined.client.outcome, Success)
    assert joined.asked == [USER]


def test_a_slow_lookup_is_answered_under_the_latest_identifier() -> None:
    joined = Joined(AuthMethod.PAP, slow_lookup=7.0).run()
    assert joined.client.outcome == Success(USER, None, "Access granted")
    requests = [octets for from_server, octets in joined.wire if not from_server]
    assert len({octets[1] for octets in requests}) == len(requests) == 3
    (ack,) = [octets for from_server, octets in joined.wire if from_server]
    assert ack[1] == requests[-1][1]


@pytest.mark.parametrize("password", ["wrong", PASSWORD[:-1], PASSWORD + "x", PASSWORD.upper(), PASSWORD + "\0", ""])
def test_a_wrong_password_ends_it(password: str) -> None:
    joined = Joined(AuthMethod.PAP, password=password).run()
    assert [octets[0] for _, octets in joined.wire] == [REQUEST, NAK]
    assert joined.server.outcome == Failure("wrong user name or password", name=USER)
    assert joined.client.outcome == Failure("authentication failed: Access denied", message="Access denied")


def test_an_unknown_user_looks_like_a_wrong_password() -> None:
    wrong = Joined(AuthMethod.PAP, password="wrong").run()
    unknown = Joined(AuthMethod.PAP, accounts={}).run()
    assert unknown.server.outcome == wrong.server.outcome
    assert unknown.wire[1] == wrong.wire[1]
    guess = seeded(1)(6).hex()
    assert isinstance(Joined(AuthMethod.PAP, password=guess, accounts={}).run().server.outcome, Failure)


def test_the_work_is_the_same_whatever_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    work: list[str] = []

    def counting(password: str) -> bytes:
        work.append(password)
        return nt_password_hash(password)

    monkeypatch.setattr(pap, "nt_password_hash", counting)
    for known in (Secret(PASSWORD), None, Secret(nt_hash=bytes(16))):
        machine = server()
        machine.receive(packet(REQUEST, 1, build_request(b"bob", b"wrong")), 0.0)
        machine.provide(known, 0.0)
    assert work == ["wrong"] * 3


@pytest.mark.parametrize(("name", "password"), [(b"", b""), (b"bob", b""), (b"", b"pw")])
@pytest.mark.parametrize("stored", ["", "pw"])
def test_nothing_is_no_password(name: bytes, password: bytes, stored: str) -> None:
    machine = server()
    machine.receive(packet(REQUEST, 1, build_request(name, password)), 0.0)
    assert machine.take_wanted() is None
    machine.provide(Secret(stored), 0.0)
    assert [octets[0] for octets in machine.packets_to_send()] == [NAK]
    assert isinstance(machine.outcome, Failure)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\x03bob",
        b"\x04bob",
        b"\x03bob\x03pw",
        b"\x03bob\x01pw",
        b"\x03bob\x00pw",
        b"\x03bob\xffpw",
        b"\xffbob\x02pw",
        b"\x00\x00pw",
    ],
)
def test_lengths_that_do_not_add_up_are_discarded(data: bytes) -> None:
    machine = server()
    machine.receive(packet(REQUEST, 1, data), 0.0)
    assert machine.discarded == 1
    assert machine.outcome is None
    machine.receive(packet(REQUEST, 2, build_request(b"bob", b"pw")), 0.0)
    assert machine.take_wanted() == "bob"


def test_a_length_beyond_the_packet_is_discarded() -> None:
    machine = server()
    whole = packet(REQUEST, 1, build_request(b"bob", b"pw"))
    for cut in range(len(whole)):
        machine.receive(whole[:cut], 0.0)
    assert machine.discarded == len(whole)
    machine.receive(whole + b"padding", 0.0)
    assert machine.take_wanted() == "bob"


def test_a_repeated_request_gets_the_same_verdict() -> None:
    for stored, code in ((PASSWORD, ACK), ("other", NAK)):
        machine = server()
        machine.receive(packet(REQUEST, 1, build_request(b"bob", PASSWORD.encode())), 0.0)
        assert machine.take_wanted() == "bob"
        machine.provide(Secret(stored), 0.0)
        outcome = machine.outcome
        machine.packets_to_send()
        for identifier, password in ((1, b"x"), (2, PASSWORD.encode())):
            machine.receive(packet(REQUEST, identifier, build_request(b"bob", password)), 0.0)
            (reply,) = machine.packets_to_send()
            assert reply[:2] == bytes((code, identifier))
        assert machine.take_wanted() is None
        assert machine.outcome is outcome


def test_another_request_during_the_lookup_is_discarded() -> None:
    machine = server()
    machine.receive(packet(REQUEST, 1, build_request(b"bob", b"pw")), 0.0)
    machine.receive(packet(REQUEST, 2, build_request(b"root", b"pw")), 0.0)
    assert machine.take_wanted() == "bob"
    machine.provide(Secret("pw"), 0.0)
    assert machine.outcome == Success("bob")
    assert machine.packets_to_send()[0][1] == 1


def test_an_nt_hash_is_enough_on_the_server() -> None:
    for password, let_in in ((PASSWORD, True), ("wrong", False)):
        joined = Joined(
            AuthMethod.PAP, password=password, accounts={USER: Secret(nt_hash=Secret(PASSWORD).nt_hash)}
        ).run()
        assert isinstance(joined.server.outcome, Success) is let_in


def test_nobody_asks() -> None:
    machine = server()
    assert machine.get_timer() == SILENCE
    machine.handle_timer(SILENCE)
    assert machine.outcome == Failure("no PAP Authenticate-Request within 30 s")


def test_nobody_answers() -> None:
    machine = client()
    machine.start(0.0)
    sent = machine.packets_to_send()
    for transmission in range(1, TRANSMISSIONS + 1):
        assert machine.get_timer() == transmission * RETRANSMIT_INTERVAL
        machine.handle_timer(transmission * RETRANSMIT_INTERVAL)
        sent += machine.packets_to_send()
    assert len({octets[1] for octets in sent}) == TRANSMISSIONS
    assert machine.outcome == Failure("no answer to 10 PAP Authenticate-Requests", cause=Cause.TIMED_OUT)


def test_what_pap_cannot_carry() -> None:
    for machine in (
        client("p" * 256),
        client(name="n" * 256),
        peer(AuthMethod.PAP, name="bob", secret=Secret(nt_hash=bytes(16)), random=seeded()),
    ):
        machine.start(0.0)
        assert isinstance(machine.outcome, Failure)
        assert machine.packets_to_send() == []


def test_replies_under_identifiers_never_used_are_discarded() -> None:
    machine = client()
    machine.start(0.0)
    (request,) = machine.packets_to_send()
    machine.receive(packet(ACK, request[1] ^ 1, b"\x00"), 0.0)
    assert machine.outcome is None
    machine.receive(packet(ACK, request[1], b"\x02hi"), 0.0)
    assert machine.outcome == Success(USER, None, "hi")


@pytest.mark.parametrize(
    ("data", "words"), [(b"", b""), (b"\x00", b""), (b"\x02hi", b"hi"), (b"\xffhi", b"hi"), (b"\x01hi", b"h")]
)
def test_messages_of_every_length(data: bytes, words: bytes) -> None:
    assert parse_reply(data) == words


def test_a_rechallenge_is_not_to_be_had() -> None:
    joined = Joined(AuthMethod.PAP).run()
    joined.server.rechallenge(1.0)
    assert joined.server.packets_to_send() == []


@given(name=st.binary(max_size=255), password=st.binary(max_size=255), extra=st.binary(max_size=4))
def test_requests_whole_cut_and_with_more_behind(name: bytes, password: bytes, extra: bytes) -> None:
    data = build_request(name, password)
    assert parse_request(data) == (name, password)
    for cut in range(0, len(data), 1 + len(data) // 40):
        assert parse_request(data[:cut]) is None
    if extra:
        assert parse_request(data + extra) is None


@given(
    octets=st.lists(st.binary(max_size=60) | st.binary(max_size=40).map(lambda data: packet(1, 1, data)), max_size=6)
)
def test_the_authenticator_takes_anything(octets: list[bytes]) -> None:
    machine = server()
    for received in octets:
        machine.receive(received, 0.0)
        if machine.take_wanted() is not None:
            machine.provide(None, 0.0)
    assert not isinstance(machine.outcome, Success)


@given(octets=st.lists(st.binary(max_size=40), max_size=6), message=st.binary(max_size=30))
def test_the_peer_takes_anything(octets: list[bytes], message: bytes) -> None:
    machine = client()
    machine.start(0.0)
    (request,) = machine.packets_to_send()
    for received in octets:
        machine.receive(received[:1] + request[1:2] + received[2:], 0.0)
        machine.receive(received, 0.0)
    machine.receive(packet(NAK, request[1], build_reply(message)), 0.0)
    assert machine.outcome is not None


@pytest.mark.parametrize(("password", "reason"), [(PASSWORD, "already connected"), ("wrong", "Access denied")])
def test_an_objection_is_for_who_has_the_right_password(password: str, reason: str) -> None:
    machine, other = server(), client(password)
    other.start(0.0)
    machine.receive(other.packets_to_send()[0], 0.0)
    machine.provide(Secret(PASSWORD), 0.0, "already connected")
    (nak,) = machine.packets_to_send()
    assert nak[0] == NAK
    assert bool(machine.refused) == (password != PASSWORD)
    other.receive(nak, 0.0)
    assert isinstance(machine.outcome, Failure)
    assert isinstance(other.outcome, Failure)
    assert reason in other.outcome.reason
