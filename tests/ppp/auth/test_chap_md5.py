from typing import Any

from pypptp.causes import Cause
from pypptp.ppp.auth import AuthMethod, Failure, Secret, Success, authenticator, peer
from pypptp.ppp.auth.chap_md5 import md5_response

from .joined import Joined, seeded


def test_published_values(vectors: dict[str, Any]) -> None:
    assert len(vectors["chap_md5"]) == 2
    for vector in vectors["chap_md5"]:
        response = md5_response(vector["id"], vector["secret"].encode(), bytes.fromhex(vector["challenge"]))
        assert response.hex() == vector["response"]


def test_it_leaves_no_keys() -> None:
    joined = Joined(AuthMethod.CHAP).run()
    assert isinstance(joined.server.outcome, Success)
    assert isinstance(joined.client.outcome, Success)
    assert joined.server.outcome.keys is joined.client.outcome.keys is None


def test_the_first_wrong_answer_ends_it() -> None:
    joined = Joined(AuthMethod.CHAP, password="wrong").run()
    assert [octets[0] for _, octets in joined.wire] == [1, 2, 4]
    assert joined.server.outcome == Failure("wrong user name or password", name="DOMAIN\\bob")
    assert joined.client.outcome == Failure("authentication failed: Access denied", message="Access denied")


def test_a_hash_is_not_enough_for_either_side() -> None:
    only_hash = Secret(nt_hash=bytes(16))
    joined = Joined(AuthMethod.CHAP, accounts={"DOMAIN\\bob": only_hash}).run()
    assert isinstance(joined.server.outcome, Failure)
    client = peer(AuthMethod.CHAP, name="bob", secret=only_hash, random=seeded())
    client.start(0.0)
    reason = "CHAP with MD5 needs the password itself, not its NT hash"
    assert client.outcome == Failure(reason, cause=Cause.METHOD)
    server = authenticator(AuthMethod.CHAP, name="", random=seeded())
    server.start(0.0)
    for challenge in server.packets_to_send():
        client.receive(challenge, 0.0)
    assert client.packets_to_send() == []


def test_an_empty_secret_lets_nobody_in() -> None:
    joined = Joined(AuthMethod.CHAP, password="", accounts={"DOMAIN\\bob": Secret("")}).run()
    assert isinstance(joined.server.outcome, Failure)
