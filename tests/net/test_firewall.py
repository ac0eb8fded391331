from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.net.firewall import ACCEPT, HOOK_FORWARD, HOOK_INPUT, parse_nftables, read_nftables
from pypptp.net.namespaces import Namespace
from tests.netns.packet_filters import DROP, FORWARD, GRE, NF_DROP, chain, protocol
from tests.service.doctor.recorded import load, ruleset

KINDS = ("chains", "rules", "sets", "elements", "objects")


def test_chains_of_a_recording() -> None:
    chains = {chain.name: chain for chain in ruleset("firewalld").chains}
    assert len(chains) == 7
    first = chains["filter_INPUT"]
    assert (first.hook, first.priority, first.kind, first.policy) == (HOOK_INPUT, 10, "filter", ACCEPT)
    assert first.title == "chain filter_INPUT of table inet firewalld"
    assert chains["filter_IN_public"].hook is None
    assert [expression.name for expression in first.rules[1]] == ["ct", "bitwise", "cmp", "immediate"]


def test_sets_of_a_recording() -> None:
    sets = ruleset("firewalld").sets
    intervals = [found for found in sets.values() if found.interval]
    assert len(intervals) == 1
    edges = sorted((element.key.hex(), element.end) for element in intervals[0].elements)
    assert ("03e8", False) in edges  # 1000
    assert ("07d1", True) in edges  # behind 2000


@pytest.mark.netns
def test_the_kernels_own() -> None:
    with Namespace("a") as host:
        assert host.run(read_nftables).chains == ()
        with chain(host, FORWARD, [*protocol(GRE), *DROP], policy=NF_DROP):
            (found,) = host.run(read_nftables).chains
    assert (found.title, found.hook) == ("chain forward of table ip filter", HOOK_FORWARD)
    assert [expression.name for expression in found.rules[0]] == ["meta", "cmp", "immediate"]
    assert found.rules[0][1].attributes[3][4:5] == bytes([GRE])


@given(st.data())
def test_damaged_messages_raise_nothing(data: st.DataObject) -> None:
    recorded = load("firewalld")["nftables"]
    bodies = [[bytes.fromhex(body) for body in recorded[kind]] for kind in KINDS]
    kind = data.draw(st.sampled_from([number for number in range(5) if bodies[number]]))
    number = data.draw(st.integers(0, len(bodies[kind]) - 1))
    body = bytearray(bodies[kind][number])
    position = data.draw(st.integers(1, len(body) - 1))
    body[position] = data.draw(st.integers(0, 255))
    bodies[kind][number] = bytes(body[: data.draw(st.integers(4, len(body)))])
    assert len(parse_nftables(*bodies).chains) == 7
