from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from pypptp.control import ControlConfig
from pypptp.endpoint import EndpointConfig
from pypptp.mppe import Strength
from pypptp.ppp.auth import AuthMethod
from pypptp.ppp.config import LinkConfig, MppePolicy
from pypptp.roles import Role
from pypptp.testing.dialogue.memory import FAR, MemoryNetwork, Peers, target_of
from pypptp.testing.dialogue.virtual_time import run
from pypptp.testing.probe import Findings, probe


def ask(peers: Peers, *, with_password: bool = True) -> Findings:
    return run(probe(target_of(peers), lambda: MemoryNetwork(peers), FAR, 1723, with_password=with_password))


def server(**link: object) -> Peers:
    config = EndpointConfig(link=LinkConfig(name="pptpd", **link))  # type: ignore[arg-type]
    return Peers(Role.SERVER, config=config)


def test_a_strict_server() -> None:
    found = ask(Peers(Role.SERVER))
    assert found.control is not None
    assert (found.control.vendor_name, found.control.answers_echo) == ("pypptp", True)
    assert found.call is not None
    assert len(set(found.call.call_ids)) == 3
    assert found.link is not None
    assert (found.link.authentication, found.link.agrees_to) == ("mschap-v2", ["mschap-v2"])
    assert set(found.link.refuses) == {"pap", "chap-md5", "mschap", "eap"}
    assert "MRU 1404" in found.link.options
    assert (found.link.challenge_name, found.link.challenge_length, found.link.first_sequence) == ("pptpd", 16, 0)
    assert found.encryption is not None
    assert found.encryption.answers["128 stateless"] == "acknowledged"
    assert found.encryption.answers["40 stateless"] == "wants MPPE 128+stateless"
    assert found.network is not None
    assert (found.network.address, found.network.gateway) == ("192.168.0.235", "192.168.0.1")
    assert found.network.dns == ["192.168.0.53"]
    assert found.remarks == []
    assert found.quirks == ["its Challenge names it 'pptpd'"]


def test_without_a_password_nobody_logs_in() -> None:
    peers = Peers(Role.SERVER)
    found = ask(peers, with_password=False)
    assert (found.encryption, found.network) == (None, None)
    assert "give a user and a password" in found.remarks[0]
    assert len(peers.free) == 12


def test_a_lenient_server_is_told_so() -> None:
    methods = (AuthMethod.MSCHAPV2, AuthMethod.PAP, AuthMethod.CHAP)
    strengths = (Strength.BITS_128, Strength.BITS_40)
    found = ask(server(auth=methods, strengths=strengths, mppe=MppePolicy.PREFER))
    assert found.link is not None
    assert sorted(found.link.agrees_to) == ["chap-md5", "mschap-v2", "pap"]
    assert "agrees to pap, after which there are no keys for MPPE" in found.quirks
    assert "takes MPPE 40 stateless" in found.quirks


def test_a_server_that_does_not_encrypt() -> None:
    found = ask(server(mppe=MppePolicy.DENY))
    assert found.encryption is not None
    assert found.encryption.asks_for == []
    assert "acknowledged" not in found.encryption.answers.values()
    assert found.network is None
    assert len(found.remarks) == 1


def test_a_wrong_password() -> None:
    peers = Peers(Role.SERVER)
    target = target_of(peers)
    peers.users["alice"] = "another"
    found = run(probe(target, lambda: MemoryNetwork(peers), IPv4Address(FAR), 1723, with_password=True))
    assert any("E=691" in remark for remark in found.remarks)
    assert found.network is None


def test_what_is_no_pptp_server() -> None:
    peers = Peers(Role.SERVER)
    peers.wire.control_out = lambda octets: [b"SSH-2.0-OpenSSH_9.2\r\n"]
    found = ask(peers)
    assert found.control is None
    assert "no Start-Control-Connection-Reply" in found.remarks[0]
    assert "it may be no PPTP server" in found.remarks[0]


@pytest.mark.parametrize(
    ("ids", "quirk"),
    [([1, 2, 3], "counts its call ids (1, 2, ...): they can be guessed"), ([7, 7, 7], "gives every call the id 7")],
)
def test_call_ids_that_can_be_guessed(monkeypatch: pytest.MonkeyPatch, ids: list[int], quirk: str) -> None:
    given = iter(ids + [ids[-1] + number for number in range(1, 40)])
    monkeypatch.setattr("pypptp.control.CallIdAllocator.allocate", lambda self: next(given))
    monkeypatch.setattr("pypptp.control.CallIdAllocator.release", lambda self, call_id: None)
    assert quirk in ask(Peers(Role.SERVER), with_password=False).quirks


def test_a_server_that_speaks_like_another_looks_like_it() -> None:
    told = ControlConfig(
        host_name=b"edge-7",
        vendor_name=b"MikroTik",
        framing_capabilities=2,
        bearer_capabilities=0,
        firmware_revision=1,
    )
    found = ask(Peers(Role.SERVER, config=EndpointConfig(link=LinkConfig(name="pptpd"), control=told)))
    assert found.control is not None
    assert found.control.looks_like == ["RouterOS"]
    own = ask(Peers(Role.SERVER), with_password=False)
    assert own.control is not None
    assert own.control.looks_like == []
