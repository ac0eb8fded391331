"""User and password against the logins of RFC 2759 and RFC 2433."""

from __future__ import annotations

import pytest

from pypptp.capture.credentials import Credentials
from pypptp.capture.sessions import Handshake
from pypptp.mppe.keys import Strength
from tests.capture.tape import CHALLENGE, CREDENTIALS, RESPONSE

V2 = Handshake(CHALLENGE, RESPONSE, b"User", 1)
# RFC 2433 appendix B: the challenge and NT-Response for the password "MyPw".
V1_CHALLENGE = bytes.fromhex("102db5df085d3041")
V1_NT_RESPONSE = bytes.fromhex("4e9d3c8f9cfd385d5bf4d3246791956ca4c351ab409a3d61")
V1 = Handshake(V1_CHALLENGE, bytes(24) + V1_NT_RESPONSE + b"\x01", b"User", 1)


def test_the_proofs_of_the_standards_fit() -> None:
    assert (V2.version, V1.version) == (2, 1)
    assert CREDENTIALS.fits(V2)
    assert Credentials("User", "MyPw").fits(V1)


@pytest.mark.parametrize("credentials", [Credentials("User", "clientpass"), Credentials("Use", "clientPass")])
def test_anything_else_does_not(credentials: Credentials) -> None:
    assert not credentials.fits(V2)
    assert credentials.start_key(V2, Strength.BITS_128, True) is None


def test_keys_are_those_of_rfc_3079() -> None:
    # RFC 3079 section 3.5.3: the same login, the server's send key.
    assert CREDENTIALS.start_key(V2, Strength.BITS_128, False) == bytes.fromhex("8b7cdc149b993a1ba118cb153f56dccb")
    assert CREDENTIALS.start_key(V2, Strength.BITS_40, False) == bytes.fromhex("8b7cdc149b993a1b")


def test_mschap_has_one_key_for_both_ways() -> None:
    known = Credentials("User", "MyPw")
    assert known.start_key(V1, Strength.BITS_128, True) == known.start_key(V1, Strength.BITS_128, False)
    # RFC 2433 appendix B: the LM hash of "MyPw" begins so; 40 bits start from it.
    assert known.start_key(V1, Strength.BITS_40, True) == bytes.fromhex("75ba30198e6d1975")
    assert Credentials("User", "пароль").start_key(V1, Strength.BITS_40, True) is None


def test_without_a_challenge_the_name_decides() -> None:
    assert CREDENTIALS.fits(Handshake(None, RESPONSE, b"User", 1))
    assert not CREDENTIALS.fits(Handshake(None, RESPONSE, b"other", 1))


def test_any_octets_of_a_command_line_can_be_tried() -> None:
    assert not Credentials("User\udcff", "clientPass\udcff").fits(V2)
    assert not Credentials("User", "clientPass\udcff").fits(V2)


def test_the_password_is_not_shown() -> None:
    assert "clientPass" not in repr(CREDENTIALS)
