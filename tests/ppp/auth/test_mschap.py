from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.ppp.auth.mschap import (
    authenticator_response,
    challenge_hash,
    challenge_response,
    des_encrypt,
    des_key,
    hash_nt_password_hash,
    hashed_name,
    lm_password_hash,
    nt_password_hash,
    nt_response_v2,
)

h = bytes.fromhex


def test_des(vectors: dict[str, Any]) -> None:
    assert len(vectors["des"]) == 2
    for vector in vectors["des"]:
        bits = "".join(f"{octet >> 1:07b}" for octet in h(vector["key"]))
        seven = int(bits, 2).to_bytes(7, "big")
        assert des_encrypt(h(vector["pt"]), seven).hex() == vector["ct"]


def test_des_key_expansion(vectors: dict[str, Any]) -> None:
    assert len(vectors["des_key_expansion"]) == 2
    for vector in vectors["des_key_expansion"]:
        assert des_key(h(vector["raw7"])).hex() == vector["key8"]


@given(st.binary(min_size=7, max_size=7))
def test_des_keys_have_odd_parity_and_all_the_bits(seven: bytes) -> None:
    key = des_key(seven)
    assert all(octet.bit_count() % 2 == 1 for octet in key)
    assert "".join(f"{octet >> 1:07b}" for octet in key) == f"{int.from_bytes(seven, 'big'):056b}"


def test_nt_password_hash(vectors: dict[str, Any]) -> None:
    assert len(vectors["nt_password_hash"]) == 6
    for vector in vectors["nt_password_hash"]:
        assert nt_password_hash(vector["password"]).hex() == vector["hash"]


def test_lm_password_hash(vectors: dict[str, Any]) -> None:
    assert len(vectors["lm_password_hash"]) == 2
    for vector in vectors["lm_password_hash"]:
        hashed = lm_password_hash(vector["password"])
        assert hashed is not None
        assert hashed.hex() == vector["hash"]


@pytest.mark.parametrize("password", ["fifteen letters", "\u4e2d\u6587", "stra\u00dfe" * 3])
def test_passwords_without_lm_hash(password: str) -> None:
    assert lm_password_hash(password) is None


def test_lm_hash_knows_no_case() -> None:
    assert lm_password_hash("clientPass") == lm_password_hash("CLIENTpass") != lm_password_hash("clientPast")


def test_version_1_responses(vectors: dict[str, Any]) -> None:
    assert len(vectors["mschap_v1"]) == 7
    for vector in vectors["mschap_v1"]:
        challenge = h(vector["challenge"])
        if "nt_response" in vector:
            nt_hash = nt_password_hash(vector["password"])
            assert challenge_response(challenge, nt_hash).hex() == vector["nt_response"]
        else:
            lm_hash = lm_password_hash(vector["password"])
            assert lm_hash is not None
            assert challenge_response(challenge, lm_hash).hex() == vector["lm_response"]


def test_radius_key_material(vectors: dict[str, Any]) -> None:
    # MS-CHAP-MPPE-Keys (RFC 2548 section 2.4.1): the LM hash's first 8 octets, MD4 of the NT hash, zeros.
    (vector,) = [vector for vector in vectors["mschap_v1"] if "ms_chap_mppe_keys" in vector]
    lm_hash = lm_password_hash(vector["password"])
    assert lm_hash is not None
    keys = lm_hash[:8] + hash_nt_password_hash(nt_password_hash(vector["password"])) + bytes(8)
    assert keys.hex() == vector["ms_chap_mppe_keys"]


@pytest.mark.parametrize("index", range(12))
def test_version_2(vectors: dict[str, Any], index: int) -> None:
    assert len(vectors["mschap_v2"]) == 12
    vector = vectors["mschap_v2"][index]
    name = vector["user_on_wire"].encode()
    ours, peers = h(vector["authenticator_challenge"]), h(vector["peer_challenge"])
    nt_hash = nt_password_hash(vector["password"])
    assert hashed_name(name) == vector["user_in_challenge_hash"].encode()
    assert challenge_hash(peers, ours, name).hex() == vector["challenge_hash8"]
    response = nt_response_v2(ours, peers, name, nt_hash)
    assert response.hex() == vector["nt_response"]
    assert authenticator_response(nt_hash, response, peers, ours, name) == vector["authenticator_response"]


def test_extended_session_security(vectors: dict[str, Any]) -> None:
    # NTLM hashes its challenges with MD5 instead; from there on the response is the same.
    from hashlib import md5

    vector = vectors["netntlmv1_ess_hashcat5500"]
    challenge = md5(h(vector["server_challenge"]) + h(vector["lm_field"])[:8]).digest()[:8]
    assert challenge_response(challenge, nt_password_hash(vector["password"])).hex() == vector["nt_response"]


@pytest.mark.parametrize(
    ("name", "hashed"),
    [(b"bob", b"bob"), (b"D\\bob", b"bob"), (b"A\\B\\bob", b"bob"), (b"bob\\", b""), (b"", b""), (b"b/ob", b"b/ob")],
)
def test_the_name_behind_the_last_backslash_is_hashed(name: bytes, hashed: bytes) -> None:
    assert hashed_name(name) == hashed


@given(st.text(max_size=40))
def test_any_password_has_an_nt_hash(password: str) -> None:
    assert len(nt_password_hash(password)) == 16
    assert lm_password_hash(password) is None or len(password) <= 14
