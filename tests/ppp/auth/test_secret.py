import pytest

from pypptp.errors import LocalProtocolError
from pypptp.ppp.auth import Secret, secret
from pypptp.ppp.auth.mschap import lm_password_hash, nt_password_hash


def test_a_password_yields_everything() -> None:
    known = Secret("clientPass")
    assert known.nt_hash == nt_password_hash("clientPass")
    assert known.lm_hash == lm_password_hash("clientPass")
    assert known.octets == b"clientPass"
    assert Secret("pässword").octets == "pässword".encode()


def test_a_hash_yields_only_itself() -> None:
    known = Secret(nt_hash=bytes(range(16)))
    assert known.nt_hash == bytes(range(16))
    assert known.lm_hash is None
    assert known.octets is None
    assert Secret(nt_hash=bytes(16), lm_hash=b"\1" * 16).lm_hash == b"\1" * 16


def test_the_empty_password_is_one() -> None:
    assert Secret("").nt_hash.hex() == "31d6cfe0d16ae931b73c59d7e0c089c0"


def test_each_hash_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    worked: list[str] = []

    def hashing(password: str) -> bytes:
        worked.append(password)
        return bytes(16)

    monkeypatch.setattr(secret, "nt_password_hash", hashing)
    known = Secret("once")
    assert worked == []
    assert [known.nt_hash for _ in range(3)] == [bytes(16)] * 3
    assert worked == ["once"]


def test_repr_hides_it() -> None:
    for known in (
        Secret("hunter2"),
        Secret("hunter2", nt_hash=b"hunter2hunter2!!"),
        Secret(nt_hash=b"hunter2hunter2!!"),
    ):
        _ = known.nt_hash
        assert "hunter2" not in repr(known)
        assert "hunter2" not in f"{[known]}"


def test_nothing_or_nonsense_is_the_callers_mistake() -> None:
    with pytest.raises(LocalProtocolError, match="neither"):
        Secret()
    with pytest.raises(LocalProtocolError, match="16 octets"):
        Secret(nt_hash=b"short")
    with pytest.raises(LocalProtocolError, match="16 octets"):
        Secret("password", lm_hash=b"short")
