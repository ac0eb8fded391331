from typing import Any

import pytest

from pypptp.errors import LocalProtocolError
from pypptp.mppe.keys import (
    MppeKeys,
    Strength,
    asymmetric_start_key,
    initial_session_key,
    keys_for_mschap_v1,
    keys_for_mschap_v2,
    master_key,
    new_key_from_sha,
    start_key_mschap_v1,
)
from pypptp.mppe.md4 import md4
from pypptp.mppe.rc4 import rc4

LM_HASH = bytes.fromhex("76a152936096d7830e2390227404afd2")


def test_mschap_v2_keys_of_rfc_3079(vectors: dict[str, Any]) -> None:
    vector = vectors["mppe_keys_mschapv2"]
    hash_hash = bytes.fromhex(vector["password_hash_hash"])
    response = bytes.fromhex(vector["nt_response"])
    nt_hash = bytes.fromhex(vectors["nt_password_hash"][0]["hash"])
    assert md4(nt_hash) == hash_hash
    master = master_key(hash_hash, response)
    assert master.hex() == vector["master_key"]
    send = vector["server_send_start_key128 (Magic3 = client receive)"]
    receive = vector["server_recv_start_key128 (Magic2 = client send; not printed in RFC)"]
    assert asymmetric_start_key(master, 16, True, True).hex() == send
    assert asymmetric_start_key(master, 16, False, False).hex() == send
    assert asymmetric_start_key(master, 16, False, True).hex() == receive
    assert asymmetric_start_key(master, 16, True, False).hex() == receive
    assert asymmetric_start_key(master, 8, True, True).hex() == send[:16]
    client_send = initial_session_key(asymmetric_start_key(master, 16, True, False), Strength.BITS_128)
    assert client_send.hex() == vector["client_send_session_key128 (not printed in RFC)"]

    server = keys_for_mschap_v2(nt_hash, response, is_server=True)
    client = keys_for_mschap_v2(nt_hash, response, is_server=False)
    assert (server.send_start.hex(), server.receive_start.hex()) == (send, receive)
    assert (client.send_start, client.receive_start) == (server.receive_start, server.send_start)


def test_mschap_v2_samples_of_rfc_3079(vectors: dict[str, Any]) -> None:
    samples = vectors["mppe_keys_mschapv2"]["samples"]
    assert [sample["bits"] for sample in samples] == [40, 56, 128]
    for sample in samples:
        strength = Strength(sample["bits"])
        session = initial_session_key(bytes.fromhex(sample["start"]), strength)
        assert session.hex() == sample["session"]
        assert rc4(session, b"test message").hex() == sample['rc4("test message")']


def test_mschap_v1_samples_of_rfc_3079(vectors: dict[str, Any]) -> None:
    samples = {sample["bits"]: sample for sample in vectors["mppe_keys_mschapv1"]}
    for bits in (40, 56):
        start = bytes.fromhex(samples[bits]["lm_hash"])[:8]
        assert new_key_from_sha(start, start).hex() == samples[bits]["getkey"]
        assert initial_session_key(start, Strength(bits)).hex() == samples[bits]["session"]
    strong = samples[128]
    hash_hash, challenge = bytes.fromhex(strong["nt_hash_hash"]), bytes.fromhex(strong["challenge"])
    start = start_key_mschap_v1(challenge, hash_hash)
    assert start.hex() == strong["initial_session_key"]
    assert initial_session_key(start, Strength.BITS_128).hex() == strong["session"]


def test_mschap_v1_keys_for_every_strength(vectors: dict[str, Any]) -> None:
    nt_hash = bytes.fromhex(vectors["nt_password_hash"][0]["hash"])
    challenge = bytes.fromhex("102db5df085d3041")
    keys = keys_for_mschap_v1(LM_HASH, nt_hash, challenge)
    for sample in vectors["mppe_keys_mschapv1"]:
        strength = Strength(sample["bits"])
        send, receive = keys.start_keys(strength)
        assert send == receive
        assert initial_session_key(send, strength).hex() == sample["session"]


def test_mschap_v1_without_lm_hash_has_only_128_bits() -> None:
    keys = keys_for_mschap_v1(None, bytes(16), bytes(8))
    assert keys.strengths == (Strength.BITS_128,)
    with pytest.raises(LocalProtocolError, match="40 bits"):
        keys.start_keys(Strength.BITS_40)


def test_mschap_v2_start_keys_are_cut_for_the_weak_strengths() -> None:
    keys = MppeKeys(bytes(range(16)), bytes(range(16, 32)))
    assert keys.start_keys(Strength.BITS_128) == (bytes(range(16)), bytes(range(16, 32)))
    for strength in (Strength.BITS_56, Strength.BITS_40):
        assert keys.start_keys(strength) == (bytes(range(8)), bytes(range(16, 24)))


def test_other_users_and_other_sessions_have_other_keys() -> None:
    sets = [
        keys_for_mschap_v2(nt_hash, response, is_server)
        for nt_hash in (bytes(16), b"\1" * 16)
        for response in (bytes(24), b"\1" * 24)
        for is_server in (True,)
    ]
    assert len({key for keys in sets for key in (keys.send_start, keys.receive_start)}) == 8


def test_repr_shows_no_key() -> None:
    keys = keys_for_mschap_v1(LM_HASH, bytes(16), bytes(8))
    shown = repr(keys)
    assert "send_start" not in shown
    assert "lm_start" not in shown
    assert repr(LM_HASH[:8]) not in shown


def test_a_start_key_too_short_is_the_callers_mistake() -> None:
    with pytest.raises(LocalProtocolError, match="16 octets, not 8"):
        initial_session_key(bytes(8), Strength.BITS_128)


def test_the_keys_of_a_recorded_session(shared_dir: Any) -> None:
    import json

    expected = json.loads((shared_dir / "captures" / "expected.json").read_text())
    tried = 0
    for capture in expected.values():
        values = capture.get("mschapv2", {})
        if "client_to_server_start_key128" not in values:
            continue
        nt_hash, response = bytes.fromhex(values["nt_hash"]), bytes.fromhex(values["nt_response"])
        client = keys_for_mschap_v2(nt_hash, response, is_server=False)
        assert client.send_start.hex() == values["client_to_server_start_key128"]
        assert client.receive_start.hex() == values["server_to_client_start_key128"]
        tried += 1
    assert tried == 2
