from __future__ import annotations

import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.errors import NetworkError
from pypptp.net import legacy_tables
from pypptp.net.firewall import ACCEPT, DROP, HOOK_FORWARD, HOOK_POSTROUTING, nested
from pypptp.net.legacy_tables import NAMES, parse_entries, parse_info, read_legacy_tables
from tests.service.doctor.recorded import load, ruleset


def test_chains_of_a_recording() -> None:
    chains = {(chain.table, chain.name): chain for chain in ruleset("docker-legacy").chains}
    forward = chains["legacy:filter", "FORWARD"]
    assert (forward.hook, forward.policy, len(forward.rules)) == (HOOK_FORWARD, DROP, 6)
    assert forward.title == "chain FORWARD of the iptables-legacy table filter"
    assert chains["legacy:filter", "INPUT"].policy == ACCEPT
    user = chains["legacy:filter", "DOCKER-USER"]
    # Its own RETURN, and the one every chain ends with.
    assert (user.hook, len(user.rules)) == (None, 2)
    postrouting = chains["legacy:nat", "POSTROUTING"]
    assert (postrouting.hook, postrouting.kind) == (HOOK_POSTROUTING, "nat")
    assert [expression.name for expression in postrouting.rules[0]] == ["ipt", "target"]


def test_a_jump_has_the_chains_name() -> None:
    forward = next(chain for chain in ruleset("docker-legacy").chains if chain.name == "FORWARD")
    verdict = nested(nested(forward.rules[0][-1].attributes[2])[2])
    assert verdict[2] == b"DOCKER-USER\0"
    assert int.from_bytes(verdict[1], "big", signed=True) == -3


@given(st.data())
def test_damaged_entries_raise_nothing(data: st.DataObject) -> None:
    table = load("ufw-legacy")["legacy"][0]
    info, entries = parse_info(bytes.fromhex(table["info"])), bytearray.fromhex(table["entries"])
    for _ in range(3):
        entries[data.draw(st.integers(0, len(entries) - 1))] = data.draw(st.integers(0, 255))
    parse_entries(info, bytes(entries[: data.draw(st.integers(0, len(entries)))]))


@pytest.mark.netns
def test_to_look_registers_no_table() -> None:
    before = NAMES.read_text() if NAMES.exists() else ""
    read_legacy_tables()
    assert (NAMES.read_text() if NAMES.exists() else "") == before


def test_not_allowed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = tmp_path / "names"
    names.write_text("filter\n")
    monkeypatch.setattr(legacy_tables, "NAMES", names)

    def refuse(*_: object) -> socket.socket:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(NetworkError, match="run as root"):
        read_legacy_tables()
