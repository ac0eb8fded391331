from typing import Any

import pytest

from pypptp.causes import Cause
from pypptp.mppe.keys import keys_for_mschap_v2
from pypptp.ppp.auth import AuthMachine, AuthMethod, Failure, Secret, Success, authenticator, peer
from pypptp.ppp.auth.chap import build_value
from pypptp.ppp.auth.mschap import nt_response_v2

from .joined import PASSWORD, USER, Joined, packet, seeded

CHALLENGE = bytes(range(16))


def script(*values: bytes) -> Any:
    """Return a source of randomness that gives these octets in turn."""
    queue = list(values)

    def random(length: int) -> bytes:
        value = queue.pop(0)
        assert len(value) == length
        return value

    return random


def answer(challenge: bytes, identifier: int, name: bytes, password: str, tail: bytes = bytes(1)) -> bytes:
    own = b"\x55" * 16
    response = nt_response_v2(challenge, own, name, Secret(password).nt_hash)
    return packet(2, identifier, build_value(own + bytes(8) + response + tail, name))


@pytest.mark.parametrize("index", range(12))
def test_published_logins_on_both_sides(vectors: dict[str, Any], index: int) -> None:
    vector = vectors["mschap_v2"][index]
    name, secret = vector["user_on_wire"], Secret(vector["password"])
    ours, peers = bytes.fromhex(vector["authenticator_challenge"]), bytes.fromhex(vector["peer_challenge"])
    server = authenticator(AuthMethod.MSCHAPV2, name="pptpd", random=script(b"\x10", ours))
    client = peer(AuthMethod.MSCHAPV2, name=name, secret=secret, random=script(peers))
    server.start(0.0)
    client.start(0.0)
    challenge = packet(1, 0x11, build_value(ours, b"pptpd"))
    assert server.packets_to_send() == [challenge]
    client.receive(challenge, 0.0)
    value = peers + bytes(8) + bytes.fromhex(vector["nt_response"]) + bytes(1)
    response = packet(2, 0x11, build_value(value, name.encode()))
    assert client.packets_to_send() == [response]
    server.receive(response, 0.0)
    assert server.take_wanted() == name
    server.provide(secret, 0.0)
    expected = vector["authenticator_response"] + " M=Access granted"
    success = packet(3, 0x11, expected.encode())
    assert server.packets_to_send() == [success]
    client.receive(success, 0.0)
    nt_response = bytes.fromhex(vector["nt_response"])
    assert server.outcome == Success(name, keys_for_mschap_v2(secret.nt_hash, nt_response, True))
    assert client.outcome == Success(name, keys_for_mschap_v2(secret.nt_hash, nt_response, False), "Access granted")


def test_each_side_receives_with_what_the_other_sends_with() -> None:
    joined = Joined(AuthMethod.MSCHAPV2).run()
    assert isinstance(joined.server.outcome, Success)
    assert isinstance(joined.client.outcome, Success)
    server, client = joined.server.outcome.keys, joined.client.outcome.keys
    assert server is not None
    assert client is not None
    assert (server.send_start, server.receive_start) == (client.receive_start, client.send_start)
    assert server.send_start != server.receive_start


def test_an_nt_hash_is_enough() -> None:
    nt_hash = Secret(PASSWORD).nt_hash
    joined = Joined(AuthMethod.MSCHAPV2, accounts={USER: Secret(nt_hash=nt_hash)}).run()
    assert isinstance(joined.client.outcome, Success)


def test_what_must_be_zero_is_ignored() -> None:
    server = authenticator(AuthMethod.MSCHAPV2, name="", random=seeded())
    server.start(0.0)
    (asked,) = server.packets_to_send()
    own = b"\x55" * 16
    response = nt_response_v2(asked[5:21], own, b"bob", Secret(PASSWORD).nt_hash)
    server.receive(packet(2, asked[1], build_value(own + b"reserved" + response + b"\xff", b"bob")), 0.0)
    server.provide(Secret(PASSWORD), 0.0)
    assert isinstance(server.outcome, Success)


# --- the authenticator: two more tries, then the end ---


class Tries:
    """A server, and a client that answers as it is told."""

    def __init__(self) -> None:
        self.server: AuthMachine = authenticator(AuthMethod.MSCHAPV2, name="pptpd", random=seeded(3))
        self.server.start(0.0)
        (asked,) = self.server.packets_to_send()
        self.identifier, self.challenge = asked[1], asked[5:21]

    def give(self, password: str, name: bytes = b"bob", now: float = 0.0) -> str:
        """Answer the challenge that is due and return the verdict's message."""
        self.server.receive(answer(self.challenge, self.identifier, name, password), now)
        assert self.server.take_wanted() == name.decode()
        self.server.provide(Secret(PASSWORD), now)
        (verdict,) = self.server.packets_to_send()
        assert verdict[1] == self.identifier
        message = verdict[4:].decode()
        if verdict[0] == 4:
            fields = dict(word.split("=", 1) for word in message.split(" ", 4))
            assert fields["E"] == "691"
            assert fields["V"] == "3"
            assert fields["M"] == "Access denied"
            assert len(fields["C"]) == 32
            assert bytes.fromhex(fields["C"]) != self.challenge
            self.challenge = bytes.fromhex(fields["C"])
            self.identifier = self.identifier + 1 & 0xFF
        return message


def test_two_retries_and_then_no_more() -> None:
    tries = Tries()
    assert tries.give("wrong").startswith("E=691 R=1 C=")
    assert tries.server.outcome is None
    assert tries.give("wrong again").startswith("E=691 R=1 C=")
    assert tries.server.outcome is None
    assert tries.give("and again").startswith("E=691 R=0 C=")
    assert tries.server.outcome == Failure("wrong user name or password", name="bob")
    # What comes now is too late, even if it is right.
    tries.server.receive(answer(tries.challenge, tries.identifier, b"bob", PASSWORD), 0.0)
    assert tries.server.take_wanted() is None
    assert tries.server.packets_to_send() == []


@pytest.mark.parametrize("wrong", [1, 2])
def test_a_retry_with_the_new_challenge_succeeds(wrong: int) -> None:
    tries = Tries()
    for _ in range(wrong):
        tries.give("wrong")
    assert tries.give(PASSWORD).startswith("S=")
    assert isinstance(tries.server.outcome, Success)
    assert tries.server.get_timer() is None


def test_a_retry_under_another_name_is_allowed() -> None:
    tries = Tries()
    tries.give("wrong", b"bbo")
    assert tries.give(PASSWORD, b"bob").startswith("S=")


def test_the_old_challenge_is_of_no_use_for_a_retry() -> None:
    tries = Tries()
    old = tries.challenge
    tries.give("wrong")
    tries.challenge = old
    assert tries.give(PASSWORD).startswith("E=691")


def test_a_retry_has_a_minute() -> None:
    tries = Tries()
    tries.give("wrong", now=7.0)
    assert tries.server.get_timer() == 67.0
    tries.server.handle_timer(67.0)
    assert isinstance(tries.server.outcome, Failure)
    assert tries.server.outcome.reason == "the peer did not try again"
    tries.server.receive(answer(tries.challenge, tries.identifier, b"bob", PASSWORD), 68.0)
    assert tries.server.take_wanted() is None


def test_our_own_client_does_not_try_a_wrong_password_again() -> None:
    joined = Joined(AuthMethod.MSCHAPV2, password="wrong").run(until=10.0)
    assert [octets[0] for _, octets in joined.wire] == [1, 2, 4]
    assert joined.client.outcome == Failure(
        "authentication failed: Access denied (E=691, wrong user name or password)", 691, "Access denied"
    )


# --- the client: it asks for proof too ---


def waiting_client(secret: str = "clientPass") -> tuple[AuthMachine, str]:
    """Return the client of RFC 2759 section 9.2 behind its Response, and the Success message it waits for."""
    client = peer(
        AuthMethod.MSCHAPV2,
        name="User",
        secret=Secret(secret),
        random=script(bytes.fromhex("21402324255e262a28295f2b3a337c7e"), b"\x66" * 16),
    )
    client.start(0.0)
    challenge = bytes.fromhex("5b5d7c7d7b3f2f3e3c2c602132262628")
    client.receive(packet(1, 1, build_value(challenge, b"")), 0.0)
    assert len(client.packets_to_send()) == 1
    return client, "S=407A5589115FD0D6209F510FE9C04566932CDA56"


@pytest.mark.parametrize("form", ["{}", "{} M=Welcome", "M=Welcome {}", "{}\r\n", "{} M="])
def test_the_proof_in_every_form(form: str) -> None:
    client, proof = waiting_client()
    client.receive(packet(3, 1, form.format(proof).encode()), 0.0)
    assert isinstance(client.outcome, Success)
    client, proof = waiting_client()
    client.receive(packet(3, 1, form.format("S=" + proof[2:].lower()).encode()), 0.0)
    assert isinstance(client.outcome, Success)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"M=Welcome",
        b"Welcome",
        b"S=",
        b"S=407A5589115FD0D6209F510FE9C04566932CDA5",
        b"S=407A5589115FD0D6209F510FE9C04566932CDA57",
        b"S=0000000000000000000000000000000000000000 M=Access granted",
        b"S=0000000000000000000000000000000000000000 S=407A5589115FD0D6209F510FE9C04566932CDA56",
        # Its own NT-Response reflected, cut to size.
        b"S=82309ECD8D708B5EA08FAA3981CD83544233114A",
    ],
)
def test_a_server_that_does_not_prove_itself_is_left(message: bytes) -> None:
    client, _ = waiting_client()
    client.receive(packet(3, 1, message), 0.0)
    assert isinstance(client.outcome, Failure)
    assert "the server d" in client.outcome.reason
    assert client.get_timer() is None


def test_a_wrong_proof_at_a_rechallenge_ends_an_open_link() -> None:
    client, proof = waiting_client()
    client.receive(packet(3, 1, proof.encode()), 0.0)
    client.receive(packet(1, 2, build_value(CHALLENGE, b"")), 60.0)
    assert len(client.packets_to_send()) == 1
    client.receive(packet(3, 2, proof.encode()), 60.0)
    assert isinstance(client.outcome, Failure)


@pytest.mark.parametrize(
    ("message", "why", "code", "words", "cause"),
    [
        (b"", "the server gave no reason", None, "", Cause.AUTHENTICATION),
        (
            b"E=691 R=1 C=00112233445566778899AABBCCDDEEFF V=0 M=Access denied",
            "Access denied (E=691, wrong user name or password)",
            691,
            "Access denied",
            Cause.AUTHENTICATION,
        ),
        (
            b"M=Try on Monday V=3 R=0 E=646",
            "Try on Monday (E=646, the account may not log on at this hour)",
            646,
            "Try on Monday",
            Cause.LOGON_HOURS,
        ),
        (b"E=647", "E=647, the account is disabled", 647, "", Cause.ACCOUNT_DISABLED),
        (b"E=648", "E=648, the password has expired", 648, "", Cause.PASSWORD_EXPIRED),
        (b"E=649", "E=649, the account has no permission to dial in", 649, "", Cause.NO_PERMISSION),
        (b"no\nway", "no\\nway", None, "no\\nway", Cause.AUTHENTICATION),
    ],
)
def test_the_servers_own_words_are_passed_on(
    message: bytes, why: str, code: int | None, words: str, cause: Cause
) -> None:
    client, _ = waiting_client()
    client.receive(packet(4, 1, message), 0.0)
    assert client.outcome == Failure(f"authentication failed: {why}", code, words, cause=cause)


def test_the_client_answers_none_of_its_own_challenges() -> None:
    client = peer(AuthMethod.MSCHAPV2, name="User", secret=Secret("pw"), random=seeded())
    client.start(0.0)
    own = []
    for number in range(40):
        client.receive(packet(1, number, build_value(bytes((number,)) * 16, b"")), 0.0)
        (response,) = client.packets_to_send()
        own.append(response[5:21])
    assert len(set(own)) == 40
    for number, challenge in enumerate(own):
        client.receive(packet(1, 100 + number, build_value(challenge, b"")), 0.0)
    assert client.packets_to_send() == []
    assert client.discarded == 40


@pytest.mark.parametrize("length", [1, 8, 15, 17, 255])
def test_challenges_of_another_length_are_not_answered(length: int) -> None:
    client = peer(AuthMethod.MSCHAPV2, name="User", secret=Secret("pw"), random=seeded())
    client.receive(packet(1, 1, build_value(bytes(length), b"")), 0.0)
    assert client.packets_to_send() == []


def test_names_beyond_ascii_are_hashed_as_they_stand_on_the_wire() -> None:
    for name in ("DOMÄNE\\jürgen", "用户"):
        joined = Joined(AuthMethod.MSCHAPV2, name=name, accounts={name: Secret(PASSWORD)}).run()
        assert isinstance(joined.client.outcome, Success)
        assert joined.asked == [name]
    # An old Windows sends its code page.
    tries = Tries()
    tries.server.receive(answer(tries.challenge, tries.identifier, "jürgen".encode("latin-1"), PASSWORD), 0.0)
    assert tries.server.take_wanted() == "jürgen"
    tries.server.provide(Secret(PASSWORD), 0.0)
    assert isinstance(tries.server.outcome, Success)


def test_the_recorded_login_of_a_windows_client(shared_dir: Any) -> None:
    import json

    expected = json.loads((shared_dir / "captures" / "expected.json").read_text())
    tried = 0
    for capture in expected.values():
        values = capture.get("mschapv2", {})
        if "password" not in values:
            continue
        client = peer(
            AuthMethod.MSCHAPV2,
            name=values["user"],
            secret=Secret(values["password"]),
            random=script(bytes.fromhex(values["peer_challenge"])),
        )
        client.receive(packet(1, 0, build_value(bytes.fromhex(values["authenticator_challenge"]), b"")), 0.0)
        (response,) = client.packets_to_send()
        assert response[29:53].hex() == values["nt_response"]
        client.receive(packet(3, 0, values["success_message"].encode()), 0.0)
        assert isinstance(client.outcome, Success)
        tried += 1
    assert tried == 2
