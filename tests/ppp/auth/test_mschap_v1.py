from typing import Any

from pypptp.mppe.keys import Strength, initial_session_key
from pypptp.ppp.auth import AuthMethod, Failure, Secret, Success, authenticator, peer
from pypptp.ppp.auth.chap import build_value

from .joined import USER, Joined, packet, seeded


def test_published_responses_are_sent_and_accepted(vectors: dict[str, Any]) -> None:
    tried = 0
    for vector in vectors["mschap_v1"]:
        if "nt_response" not in vector:
            continue
        challenge, response = bytes.fromhex(vector["challenge"]), bytes.fromhex(vector["nt_response"])
        client = peer(AuthMethod.MSCHAP, name="User", secret=Secret(vector["password"]), random=seeded())
        client.receive(packet(1, 7, build_value(challenge, b"server")), 0.0)
        value = bytes(24) + response + b"\x01"
        assert client.packets_to_send() == [packet(2, 7, build_value(value, b"User"))]
        server = authenticator(AuthMethod.MSCHAP, name="server", random=lambda n, c=challenge: c[:n].ljust(n, b"\0"))  # type: ignore[misc]
        server.start(0.0)
        (asked,) = server.packets_to_send()
        assert asked[5:13] == challenge
        server.receive(packet(2, asked[1], build_value(value, b"User")), 0.0)
        assert server.take_wanted() == "User"
        server.provide(Secret(vector["password"]), 0.0)
        assert isinstance(server.outcome, Success)
        tried += 1
    assert tried == 6


def test_keys_are_the_same_on_both_sides_and_both_ways() -> None:
    joined = Joined(AuthMethod.MSCHAP).run()
    assert isinstance(joined.server.outcome, Success)
    assert isinstance(joined.client.outcome, Success)
    keys = joined.server.outcome.keys
    assert keys is not None
    assert keys == joined.client.outcome.keys
    assert keys.strengths == (Strength.BITS_128, Strength.BITS_56, Strength.BITS_40)
    for strength in keys.strengths:
        send, receive = keys.start_keys(strength)
        assert send == receive
    assert keys.start_keys(Strength.BITS_40)[0] == Secret("correct horse").lm_hash[:8]  # type: ignore[index]


def test_keys_of_rfc_3079(vectors: dict[str, Any]) -> None:
    client = peer(AuthMethod.MSCHAP, name="User", secret=Secret("clientPass"), random=seeded())
    client.receive(packet(1, 1, build_value(bytes.fromhex("102db5df085d3041"), b"")), 0.0)
    client.receive(packet(3, 1, b""), 0.0)
    assert isinstance(client.outcome, Success)
    assert client.outcome.keys is not None
    for sample in vectors["mppe_keys_mschapv1"]:
        strength = Strength(sample["bits"])
        assert initial_session_key(client.outcome.keys.start_keys(strength)[0], strength).hex() == sample["session"]


def test_an_nt_hash_is_enough_but_only_for_128_bits() -> None:
    joined = Joined(AuthMethod.MSCHAP, accounts={USER: Secret(nt_hash=Secret("correct horse").nt_hash)}).run()
    assert isinstance(joined.server.outcome, Success)
    assert joined.server.outcome.keys is not None
    assert joined.server.outcome.keys.strengths == (Strength.BITS_128,)


def test_the_lm_response_alone_is_refused() -> None:
    joined = Joined(AuthMethod.MSCHAP, lost={1}).run(until=1.0)
    response = joined.wire[1][1]
    flag = response.index(USER.encode()) - 1
    assert response[flag] == 1
    joined.server.receive(response[:flag] + b"\0" + response[flag + 1 :], 0.0)
    joined.server.provide(Secret("correct horse"), 0.0)
    assert joined.server.packets_to_send()[0][0] == 4


def test_the_failure_says_so_in_the_words_of_rfc_2433() -> None:
    joined = Joined(AuthMethod.MSCHAP, password="wrong").run()
    message = joined.wire[2][1][4:].decode()
    words = message.split()
    assert words[:2] == ["E=691", "R=1"]
    assert words[2].startswith("C=")
    assert len(words[2]) == 2 + 16
    assert message.endswith(" V=2 M=Access denied")
    assert joined.client.outcome == Failure(
        "authentication failed: Access denied (E=691, wrong user name or password)", 691, "Access denied"
    )


def test_challenges_of_another_length_are_not_answered() -> None:
    client = peer(AuthMethod.MSCHAP, name="User", secret=Secret("pw"), random=seeded())
    for length in (1, 7, 9, 16):
        client.receive(packet(1, 1, build_value(bytes(length), b"")), 0.0)
    assert client.packets_to_send() == []
    assert client.discarded == 4
