"""The suite proves itself: our own server and client pass, and each broken one fails the check it is broken for.

All in one process and in no time: the clock is a simulated one.
"""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from pypptp.roles import Role
from pypptp.testing.dialogue.memory import Channel, MemoryNetwork, Peers, target_of
from pypptp.testing.dialogue.virtual_time import run
from pypptp.testing.spec import CATALOGUE, REGISTRY, Level, Result, Run, Verdict, select

from .mutations import MUTATIONS
from .mutations.processes import FAULTS

NEEDS_A_PROCESS = set(FAULTS)
"""They look at a server's process from outside; test_processes.py has real ones, whole and broken."""
DETECTED_ON_THE_WAY = {"mppe/9/1"}
"""A wrong key derivation shows as a session in which nothing can be decrypted."""
BINDING = [check_id for check_id, entry in CATALOGUE.items() if entry.level in (Level.MUST, Level.POLICY)]


def role_for(check_id: str) -> Role:
    return Role.SERVER if Role.SERVER in REGISTRY[check_id].targets else Role.CLIENT


def run_one(check_id: str, peers: Peers) -> Result:
    outcome = run(Run(target_of(peers), lambda: MemoryNetwork(peers)).run([check_id], sanity=False))
    return outcome.results[0]


def test_every_binding_check_has_its_mutation() -> None:
    assert set(MUTATIONS) == set(BINDING) - NEEDS_A_PROCESS
    assert all(FAULTS.values())


@pytest.mark.parametrize("check_id", [one for one in select(Role.SERVER) if Role.SERVER in REGISTRY[one].targets])
def test_our_server(check_id: str) -> None:
    result = run_one(check_id, Peers(Role.SERVER))
    if check_id in NEEDS_A_PROCESS:
        assert result.verdict is Verdict.SKIP
    else:
        assert result.verdict in (Verdict.PASS, Verdict.INFO), result.actual


@pytest.mark.parametrize("check_id", select(Role.CLIENT))
def test_our_client(check_id: str) -> None:
    result = run_one(check_id, Peers(Role.CLIENT))
    assert result.verdict in (Verdict.PASS, Verdict.INFO), result.actual


@pytest.mark.parametrize("check_id", MUTATIONS)
def test_broken(check_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    peers = Peers(role_for(check_id))
    MUTATIONS[check_id](peers, monkeypatch)
    result = run_one(check_id, peers)
    assert result.verdict is Verdict.FAIL, f"{result.verdict}: {result.actual}"
    if check_id not in DETECTED_ON_THE_WAY:
        assert not result.actual.startswith("did not come that far"), result.actual


def test_a_limit_for_all_addresses_together_is_not_strict(monkeypatch: pytest.MonkeyPatch) -> None:
    peers = Peers(Role.SERVER)
    opened = peers.open

    def crowded(near: IPv4Address) -> Channel:
        channel = opened(near)
        if len(peers.connections) > 20 and channel.connection is not None:
            channel.connection.endpoint.control.refuse_start()
        return channel

    monkeypatch.setattr(peers, "open", crowded)
    result = run_one("cc/3.1/3", peers)
    assert result.verdict is Verdict.NONSTRICT, result.actual
    assert "so is the first connection from another address" in result.actual
