import pytest

from pypptp.errors import LocalProtocolError
from pypptp.ppp.auth import AuthMethod, Secret, authenticator, method_of, option_of, peer, protocol_of

from .joined import seeded


def test_the_options_of_lcp() -> None:
    assert {method.name: option_of(method).hex() for method in AuthMethod} == {
        "MSCHAPV2": "c22381",
        "MSCHAP": "c22380",
        "CHAP": "c22305",
        "PAP": "c023",
    }


@pytest.mark.parametrize("method", AuthMethod)
def test_options_and_machines_belong_together(method: AuthMethod) -> None:
    assert method_of(option_of(method)) is method
    assert option_of(method)[:2] == protocol_of(method).to_bytes(2, "big")
    asks = authenticator(method, name="server", random=seeded())
    answers = peer(method, name="user", secret=Secret("password"), random=seeded())
    assert asks.protocol == answers.protocol == protocol_of(method)
    assert asks.outcome is answers.outcome is None


@pytest.mark.parametrize(
    "option", [b"", b"\xc2", b"\xc2\x23", b"\xc2\x23\x06", b"\xc2\x27", b"\xc0\x23\x00", b"\xc2\x23\x81\x00"]
)
def test_other_options_stand_for_nothing(option: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        method_of(option)


def test_methods_read_well() -> None:
    assert [f"{method}" for method in AuthMethod] == ["MS-CHAPv2", "MS-CHAP", "CHAP-MD5", "PAP"]
