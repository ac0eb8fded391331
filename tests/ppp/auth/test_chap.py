"""What every CHAP method does, whatever its values mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.causes import Cause
from pypptp.ppp.auth import AuthMachine, AuthMethod, Failure, Secret, Success, authenticator, peer
from pypptp.ppp.auth.chap import build_value, parse_value
from pypptp.ppp.auth.method import RETRANSMIT_INTERVAL, RETRY_WAIT, SILENCE, TRANSMISSIONS

from .joined import PASSWORD, USER, Joined, packet, seeded

CHALLENGE, RESPONSE, SUCCESS, FAILURE = 1, 2, 3, 4
METHODS = [AuthMethod.MSCHAPV2, AuthMethod.MSCHAP, AuthMethod.CHAP]
VALUE_LENGTH = {AuthMethod.MSCHAPV2: 49, AuthMethod.MSCHAP: 49, AuthMethod.CHAP: 16}

pytestmark = pytest.mark.parametrize("method", METHODS)


def server_of(method: AuthMethod, seed: int = 1) -> AuthMachine:
    return authenticator(method, name="pptpd", random=seeded(seed))


def client_of(method: AuthMethod, seed: int = 2, password: str = PASSWORD) -> AuthMachine:
    return peer(method, name=USER, secret=Secret(password), random=seeded(seed))


def started(machine: AuthMachine) -> bytes:
    machine.start(0.0)
    (sent,) = machine.packets_to_send()
    return sent


def answered(method: AuthMethod, challenge: bytes, password: str = PASSWORD) -> bytes:
    client = client_of(method, password=password)
    client.start(0.0)
    client.receive(challenge, 0.0)
    (response,) = client.packets_to_send()
    return response


def test_a_login(method: AuthMethod) -> None:
    joined = Joined(method).run()
    assert [octets[0] for _, octets in joined.wire] == [CHALLENGE, RESPONSE, SUCCESS]
    assert len({octets[1] for _, octets in joined.wire}) == 1
    assert joined.asked == [USER]
    assert isinstance(joined.server.outcome, Success)
    assert isinstance(joined.client.outcome, Success)
    assert joined.server.outcome.name == joined.client.outcome.name == USER
    assert joined.client.outcome.message == "Access granted"
    assert joined.server.get_timer() is joined.client.get_timer() is None
    assert joined.now == 0.0


@pytest.mark.parametrize("lost", [{0}, {1}, {2}, {0, 1}, {1, 3}, {2, 3}, set(range(9))])
def test_any_packet_may_get_lost(method: AuthMethod, lost: set[int]) -> None:
    joined = Joined(method, lost=lost).run()
    assert isinstance(joined.server.outcome, Success)
    assert isinstance(joined.client.outcome, Success)
    assert joined.asked == [USER]
    # Every packet sent again is the one sent before, so whichever copy arrives fits.
    assert len({octets for _, octets in joined.wire}) == 3


def test_a_slow_lookup_is_waited_for(method: AuthMethod) -> None:
    joined = Joined(method, slow_lookup=20.0).run()
    assert isinstance(joined.client.outcome, Success)
    assert joined.asked == [USER]
    assert joined.now == 20.0


def test_nobody_answers_the_challenge(method: AuthMethod) -> None:
    server = server_of(method)
    challenge = started(server)
    for transmission in range(1, TRANSMISSIONS):
        due = transmission * RETRANSMIT_INTERVAL
        assert server.get_timer() == due
        server.handle_timer(due - 0.001)
        assert server.packets_to_send() == []
        server.handle_timer(due)
        assert server.packets_to_send() == [challenge]
    server.handle_timer(30.0)
    assert server.packets_to_send() == []
    assert server.outcome == Failure("no answer to 10 CHAP Challenges")
    assert server.get_timer() is None


def test_nobody_answers_the_response(method: AuthMethod) -> None:
    client = client_of(method)
    client.start(0.0)
    assert client.get_timer() == SILENCE
    client.receive(started(server_of(method)), 5.0)
    assert client.get_timer() == 8.0
    sent = client.packets_to_send()
    for transmission in range(1, TRANSMISSIONS + 1):
        client.handle_timer(5.0 + transmission * RETRANSMIT_INTERVAL)
        sent += client.packets_to_send()
    assert len(sent) == TRANSMISSIONS
    assert len(set(sent)) == 1
    assert client.outcome == Failure("no answer to 10 CHAP Responses", cause=Cause.TIMED_OUT)


def test_no_challenge_comes(method: AuthMethod) -> None:
    client = client_of(method)
    client.start(1.0)
    client.handle_timer(1.0 + SILENCE)
    assert client.outcome == Failure("no CHAP Challenge within 30 s", cause=Cause.TIMED_OUT)


def test_challenges_are_all_different(method: AuthMethod) -> None:
    values = set()
    source = seeded(7)
    for _ in range(1000):
        challenge = started(authenticator(method, name="pptpd", random=source))
        value = parse_value(challenge[4:])
        assert value is not None
        assert value[1] == b"pptpd"
        assert len(value[0]) == (8 if method is AuthMethod.MSCHAP else 16)
        values.add(value[0])
    assert len(values) == 1000


def test_a_response_with_another_identifier_is_discarded(method: AuthMethod) -> None:
    server = server_of(method)
    response = answered(method, started(server))
    for other in range(256):
        if other != response[1]:
            server.receive(response[:1] + bytes((other,)) + response[2:], 0.0)
    assert server.discarded == 255
    assert server.take_wanted() is None
    server.receive(response, 0.0)
    assert server.take_wanted() == USER


def test_the_same_response_gets_the_same_verdict(method: AuthMethod) -> None:
    server = server_of(method)
    response = answered(method, started(server))
    server.receive(response, 0.0)
    server.receive(response, 0.0)
    assert server.take_wanted() == USER
    assert server.take_wanted() is None
    server.provide(Secret(PASSWORD), 0.0)
    (verdict,) = server.packets_to_send()
    assert verdict[0] == SUCCESS
    outcome = server.outcome
    for _ in range(3):
        server.receive(response, 1.0)
        assert server.packets_to_send() == [verdict]
    # Another answer under the same identifier cannot turn it: RFC 1994 section 4.1.
    server.receive(response[:5] + bytes(16) + response[21:], 1.0)
    assert server.packets_to_send() == [verdict]
    assert server.outcome is outcome
    assert server.take_wanted() is None


def test_a_wrong_password_repeated_is_one_failure(method: AuthMethod) -> None:
    server = server_of(method)
    response = answered(method, started(server), "wrong")
    server.receive(response, 0.0)
    server.provide(Secret(PASSWORD), 0.0)
    (verdict,) = server.packets_to_send()
    assert verdict[0] == FAILURE
    for _ in range(5):
        server.receive(response, 0.0)
        assert server.packets_to_send() == [verdict]
    assert server.take_wanted() is None


def test_unknown_user_and_wrong_password_look_alike(method: AuthMethod, monkeypatch: pytest.MonkeyPatch) -> None:
    from pypptp.ppp.auth import chap_md5, mschap

    work: list[str] = []
    for module, name in ((mschap, "des_encrypt"), (mschap, "md4"), (chap_md5, "md5_response")):
        original = getattr(module, name)

        def counting(*arguments: object, original: object = original, name: str = name) -> object:
            work.append(name)
            return original(*arguments)  # type: ignore[operator]

        monkeypatch.setattr(module, name, counting)
    seen = []
    been_here, by_hash = Secret(PASSWORD), Secret(nt_hash=Secret(PASSWORD).nt_hash)
    been_here.nt_hash  # noqa: B018 - as after a log-in before
    for given_secret in (Secret(PASSWORD), None, been_here, by_hash):
        server = server_of(method)
        challenge = started(server)
        server.receive(answered(method, challenge, "wrong"), 0.0)
        work.clear()
        server.provide(given_secret, 0.0)
        (verdict,) = server.packets_to_send()
        # The challenge for another try is random, and so is what stood in for the missing password.
        fixed = b" ".join(word for word in verdict.split() if not word.startswith(b"C="))
        seen.append((fixed, server.outcome, tuple(work)))
    assert seen[0] == seen[1] == seen[2] == seen[3]
    assert seen[0][2]


def test_the_whole_response_is_compared_in_constant_time(method: AuthMethod, monkeypatch: pytest.MonkeyPatch) -> None:
    from pypptp.ppp.auth import chap_md5, mschap_v1, mschap_v2

    compared: list[tuple[int, int]] = []

    def comparing(left: bytes, right: bytes) -> bool:
        compared.append((len(left), len(right)))
        return False

    for module in (chap_md5, mschap_v1, mschap_v2):
        monkeypatch.setattr(module, "compare_digest", comparing)
    server = server_of(method)
    server.receive(answered(method, started(server)), 0.0)
    server.provide(Secret(PASSWORD), 0.0)
    # The right one, and nothing else but this comparison decides.
    assert server.packets_to_send()[0][0] == FAILURE
    length = 16 if method is AuthMethod.CHAP else 24
    assert compared == [(length, length)]


def test_a_user_who_does_not_exist_has_no_password_at_all(method: AuthMethod) -> None:
    # Even who guesses what stands in for the missing password is not let in.
    for password in (seeded(1)(6).hex(), ""):
        joined = Joined(method, password=password, accounts={}).run()
        assert isinstance(joined.client.outcome, Failure)
        assert not isinstance(joined.server.outcome, Success)
    server = authenticator(method, name="pptpd", random=lambda n: b"\x42" * n)
    server.receive(answered(method, started(server), (b"\x42" * 6).hex()), 0.0)
    server.provide(None, 0.0)
    assert server.packets_to_send()[0][0] == FAILURE


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00name", b"\x31" + bytes(48), b"\xff" + bytes(49)])
def test_responses_that_are_none_are_discarded(method: AuthMethod, data: bytes) -> None:
    server = server_of(method)
    challenge = started(server)
    server.receive(packet(RESPONSE, challenge[1], data), 0.0)
    assert server.discarded == 1
    assert server.packets_to_send() == []
    server.receive(answered(method, challenge), 0.0)
    assert server.take_wanted() == USER


@pytest.mark.parametrize("off", [-1, +1])
def test_responses_of_the_wrong_size_fail_without_a_lookup(method: AuthMethod, off: int) -> None:
    server = server_of(method)
    challenge = started(server)
    value = bytes(VALUE_LENGTH[method] + off)
    server.receive(packet(RESPONSE, challenge[1], build_value(value, b"bob")), 0.0)
    assert server.take_wanted() is None
    assert server.packets_to_send()[0][0] == FAILURE


def test_names_beyond_all_measure_fail_without_a_lookup(method: AuthMethod) -> None:
    for name, looked_up in ((b"", True), (b"n" * 256, True), (b"n" * 257, False), (b"n" * 1400, False)):
        server = server_of(method)
        challenge = started(server)
        server.receive(packet(RESPONSE, challenge[1], build_value(bytes(VALUE_LENGTH[method]), name)), 0.0)
        assert (server.take_wanted() is not None) is looked_up


def test_names_with_control_characters_stay_on_one_line(method: AuthMethod) -> None:
    server = server_of(method)
    challenge = started(server)
    server.receive(packet(RESPONSE, challenge[1], build_value(bytes(VALUE_LENGTH[method]), b"a\r\n\0\x1bb")), 0.0)
    assert server.take_wanted() == "a\r\n\0\x1bb"
    for _ in range(3):
        server.provide(None, 0.0)
        (verdict,) = server.packets_to_send()
        if isinstance(server.outcome, Failure):
            break
        server.receive(packet(RESPONSE, verdict[1] + 1, build_value(bytes(VALUE_LENGTH[method]), b"a\r\n\0\x1bb")), 0.0)
    assert server.outcome == Failure("wrong user name or password", name="a\\r\\n\\x00\\x1bb")


def test_a_rechallenge_answered_rightly_changes_nothing(method: AuthMethod) -> None:
    joined = Joined(method).run()
    outcomes = (joined.server.outcome, joined.client.outcome)
    first = joined.wire[0][1]
    for _ in range(3):
        sent = len(joined.wire)
        joined.now += 100
        joined.server.rechallenge(joined.now)
        joined.run(until=joined.now + 30)
        assert [octets[0] for _, octets in joined.wire[sent:]] == [CHALLENGE, RESPONSE, SUCCESS]
        assert joined.wire[sent][1][1] != first[1]
        assert joined.wire[sent][1][5:] != first[5:]
        assert (joined.server.outcome, joined.client.outcome) == outcomes
        assert joined.server.outcome is outcomes[0]
        assert joined.client.outcome is outcomes[1]


@pytest.mark.parametrize("lost", [3, 4, 5])
def test_a_rechallenge_survives_loss(method: AuthMethod, lost: int) -> None:
    joined = Joined(method, lost={lost}).run()
    joined.server.rechallenge(10.0)
    joined.now = 10.0
    joined.run()
    assert isinstance(joined.server.outcome, Success)
    assert isinstance(joined.client.outcome, Success)
    assert joined.server.get_timer() is joined.client.get_timer() is None


def test_a_rechallenge_answered_wrongly_ends_it(method: AuthMethod) -> None:
    joined = Joined(method).run()
    joined.accounts[USER] = Secret("changed meanwhile")
    joined.server.rechallenge(joined.now)
    joined.run(until=1.0)
    # At once: a second try is for who is not in yet.
    assert joined.server.outcome == Failure("wrong user name or password", name=USER)
    assert isinstance(joined.client.outcome, Failure)


def test_a_rechallenge_nobody_answers_ends_it(method: AuthMethod) -> None:
    joined = Joined(method, lost=range(3, 100)).run()
    joined.server.rechallenge(joined.now)
    joined.run()
    assert joined.server.outcome == Failure("no answer to 10 CHAP Challenges")


def test_nobody_becomes_somebody_else_by_a_rechallenge(method: AuthMethod) -> None:
    joined = Joined(method, accounts={USER: Secret(PASSWORD), "root": Secret(PASSWORD)}).run()
    joined.client = peer(method, name="root", secret=Secret(PASSWORD), random=seeded(9))
    joined.client.start(joined.now)
    joined.server.rechallenge(joined.now)
    joined.run()
    assert isinstance(joined.server.outcome, Failure)
    assert joined.asked == [USER]


def test_rechallenge_before_the_first_success_or_during_another_does_nothing(method: AuthMethod) -> None:
    server = server_of(method)
    challenge = started(server)
    server.rechallenge(0.0)
    assert server.packets_to_send() == []
    server.receive(answered(method, challenge), 0.0)
    server.rechallenge(0.0)
    server.provide(Secret(PASSWORD), 0.0)
    assert len(server.packets_to_send()) == 1
    server.rechallenge(0.0)
    server.rechallenge(0.0)
    assert len(server.packets_to_send()) == 1


def test_a_secret_nobody_asked_for_is_ignored(method: AuthMethod) -> None:
    server = server_of(method)
    challenge = started(server)
    server.provide(Secret(PASSWORD), 0.0)
    assert server.outcome is None
    server.receive(answered(method, challenge), 0.0)
    server.provide(Secret(PASSWORD), 0.0)
    server.packets_to_send()
    outcome = server.outcome
    server.provide(None, 0.0)
    assert server.outcome is outcome
    assert server.packets_to_send() == []


def test_verdicts_nobody_waits_for_are_discarded(method: AuthMethod) -> None:
    joined = Joined(method).run()
    _, (_, success) = joined.wire[1], joined.wire[2]
    client = client_of(method)
    client.start(0.0)
    client.receive(success, 0.0)
    client.receive(packet(FAILURE, success[1], b"E=691 R=0"), 0.0)
    assert client.outcome is None
    assert client.discarded == 2
    # And after the Success a forged Failure no longer ends anything.
    joined.client.receive(packet(FAILURE, success[1], b"E=691 R=0"), 0.0)
    assert isinstance(joined.client.outcome, Success)


def test_a_verdict_with_another_identifier_is_discarded(method: AuthMethod) -> None:
    client = client_of(method)
    client.start(0.0)
    challenge = started(server_of(method))
    client.receive(challenge, 0.0)
    client.receive(packet(FAILURE, challenge[1] ^ 1, b"E=691 R=0"), 0.0)
    assert client.outcome is None


def test_a_repeated_challenge_gets_the_same_response_a_new_one_another(method: AuthMethod) -> None:
    client = client_of(method)
    client.start(0.0)
    server = server_of(method)
    challenge = started(server)
    client.receive(challenge, 0.0)
    client.receive(challenge, 1.0)
    first, again = client.packets_to_send()
    assert first == again
    client.receive(packet(CHALLENGE, challenge[1] ^ 1, challenge[4:]), 2.0)
    (other,) = client.packets_to_send()
    assert other[1] == challenge[1] ^ 1
    if method is not AuthMethod.MSCHAP:  # whose response depends on nothing but the challenge
        assert other[4:] != first[4:]


def test_padding_behind_the_length_is_ignored(method: AuthMethod) -> None:
    server = server_of(method)
    server.receive(answered(method, started(server)) + b"padding", 0.0)
    assert server.take_wanted() == USER


@given(
    octets=st.lists(st.binary(max_size=80) | st.binary(max_size=60).map(lambda data: packet(2, 0x22, data)), max_size=6)
)
def test_the_authenticator_takes_anything(method: AuthMethod, octets: list[bytes]) -> None:
    server = server_of(method)
    challenge = started(server)
    for number, received in enumerate(octets):
        if received[1:2] == b"\x22":
            received = received[:1] + challenge[1:2] + received[2:]
        server.receive(received, float(number))
        if server.take_wanted() is not None:
            server.provide(None, float(number))
    assert not isinstance(server.outcome, Success)
    for sent in server.packets_to_send():
        assert sent[0] == FAILURE


@given(
    octets=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.binary(max_size=60)), max_size=8),
    raw=st.binary(),
)
def test_the_peer_takes_anything(method: AuthMethod, octets: list[tuple[int, int, bytes]], raw: bytes) -> None:
    client = client_of(method)
    client.start(0.0)
    client.receive(raw, 0.0)
    for code, identifier, data in octets:
        client.receive(packet(code, identifier, data), 0.0)
        client.receive(packet(code, identifier, data)[:-1], 0.0)
    if method is AuthMethod.MSCHAPV2:
        assert not isinstance(client.outcome, Success)
    for sent in client.packets_to_send():
        assert sent[0] == RESPONSE
        assert int.from_bytes(sent[2:4], "big") == len(sent)


def test_values_at_every_length(method: AuthMethod) -> None:
    whole = build_value(b"value", b"name")
    assert parse_value(whole) == (b"value", b"name")
    for cut in range(len(whole)):
        assert parse_value(whole[:cut]) == ((b"value", b"name"[: cut - 6]) if cut >= 6 else None)
    assert RETRY_WAIT > RETRANSMIT_INTERVAL


def test_who_has_the_right_proof_and_cannot_come_in(method: AuthMethod) -> None:
    server, client = server_of(method), client_of(method)
    client.start(0.0)
    client.receive(started(server), 0.0)
    (response,) = client.packets_to_send()
    server.receive(response, 0.0)
    server.provide(Secret(PASSWORD), 0.0, "already connected")
    assert server.outcome == Failure("already connected", name=USER, cause=Cause.NO_PERMISSION)
    # It was no wrong password: nobody is slowed for it.
    assert server.refused == []
    (failure,) = server.packets_to_send()
    client.receive(failure, 0.0)
    assert isinstance(client.outcome, Failure)
    assert "already connected" in client.outcome.reason
    if method is not AuthMethod.CHAP:
        assert client.outcome.code == 649
        assert b"E=649 R=0 C=" in failure
    # The same Response again gets the same verdict.
    server.receive(response, 0.0)
    assert server.packets_to_send() == [failure]


def test_an_objection_is_not_for_who_has_a_wrong_proof(method: AuthMethod) -> None:
    plain, objecting = server_of(method), server_of(method)
    verdicts = []
    for machine, objection in ((plain, ""), (objecting, "already connected")):
        machine.receive(answered(method, started(machine), "wrong"), 0.0)
        machine.provide(Secret(PASSWORD), 0.0, objection)
        verdicts.append(machine.packets_to_send())
        assert machine.refused == ["DOMAIN\\bob"]
    assert verdicts[0] == verdicts[1]


def test_an_objection_is_not_for_who_is_in_already(method: AuthMethod) -> None:
    joined = Joined(method).run()
    joined.server.rechallenge(joined.now)
    (challenge,) = joined.server.packets_to_send()
    joined.client.receive(challenge, joined.now)
    joined.server.receive(joined.client.packets_to_send()[0], joined.now)
    joined.server.provide(Secret(PASSWORD), joined.now, "already connected")
    assert isinstance(joined.server.outcome, Success)
