from __future__ import annotations

import pytest

from pypptp.net.firewall import HOOK_POSTROUTING, NFPROTO_IPV4, OBJECT_CT_HELPER, Chain, Expression, Ruleset
from pypptp.service.doctor.finding import Mark
from pypptp.service.doctor.firewall import check_forward, check_helper, check_input, stopping_input
from pypptp.service.doctor.packet_filter import GRE, Packet
from pypptp.service.doctor.trial import Trial

from .recorded import ruleset

NOT_TRIED = Trial(None)


@pytest.mark.parametrize(
    ("name", "cures"),
    [
        ("ufw", ["ufw allow 1723/tcp", "ufw allow proto gre from any"]),
        ("ufw-legacy", ["ufw allow 1723/tcp", "ufw allow proto gre from any"]),
        ("firewalld", ["", "firewall-cmd --permanent --add-protocol=gre && firewall-cmd --reload"]),
        ("docker", ["", ""]),
    ],
)
def test_each_firewall_has_its_own_cure_for_the_input(name: str, cures: list[str]) -> None:
    found = check_input(ruleset(name), uplink="eth0", address=None)
    assert [finding.cure for finding in found] == cures
    assert [finding.mark for finding in found] == [Mark.WRONG if cure else Mark.GOOD for cure in cures]


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("ufw", 'set DEFAULT_FORWARD_POLICY="ACCEPT" in /etc/default/ufw, then ufw reload'),
        ("firewalld", "firewall-cmd --permanent --zone=trusted --add-interface=ppp+ && firewall-cmd --reload"),
        ("docker", "iptables -I DOCKER-USER -i ppp+ -j ACCEPT; iptables -I DOCKER-USER -o ppp+ -j ACCEPT"),
        (
            "docker-legacy",
            "iptables-legacy -I DOCKER-USER -i ppp+ -j ACCEPT; iptables-legacy -I DOCKER-USER -o ppp+ -j ACCEPT",
        ),
    ],
)
def test_each_firewall_has_its_own_cure_for_forwarding(name: str, cure: str) -> None:
    found = check_forward(ruleset(name), uplink="eth0", trial=NOT_TRIED)
    assert (found.mark, found.cure) == (Mark.WRONG, cure)


def test_what_was_tried_is_not_enough_where_the_way_back_is_closed() -> None:
    # Docker accepts what is established towards its own bridge alone.
    assert check_forward(ruleset("docker"), uplink="eth0", trial=Trial(True)).mark is Mark.WRONG


def test_a_packet_that_does_not_come_out_though_the_rules_let_it() -> None:
    found = check_forward(Ruleset(), uplink="eth0", trial=Trial(False))
    assert found.mark is Mark.NOTE
    assert "sent on trial did not come out" in found.sentence
    assert check_forward(Ruleset(), uplink="eth0", trial=NOT_TRIED).mark is Mark.GOOD


def postrouting(*rules: tuple[Expression, ...], table: str = "nat") -> Chain:
    return Chain(NFPROTO_IPV4, table, "POSTROUTING", rules, HOOK_POSTROUTING, 100, "nat")


MASQUERADE = (Expression("masq", {}),)
HELPER = (Expression("objref", {1: OBJECT_CT_HELPER.to_bytes(4, "big"), 2: b"standard\0"}),)


def test_masquerading_for_others() -> None:
    assert check_helper(Ruleset(), forwarding=True) is None
    assert check_helper(Ruleset((postrouting(),)), forwarding=True) is None
    assert check_helper(Ruleset((postrouting(MASQUERADE),)), forwarding=False) is None
    assert check_helper(Ruleset((postrouting(MASQUERADE, table="pypptp"),)), forwarding=True) is None
    found = check_helper(Ruleset((postrouting(MASQUERADE),)), forwarding=True)
    assert found is not None
    assert found.mark is Mark.NOTE
    with_helper = Ruleset((postrouting(MASQUERADE, HELPER),), helpers={(NFPROTO_IPV4, "nat", "standard"): "pptp"})
    found = check_helper(with_helper, forwarding=True)
    assert found is not None
    assert found.mark is Mark.GOOD


def test_with_the_helper_gre_is_related() -> None:
    rules = ruleset("ufw")
    raw = Chain(NFPROTO_IPV4, "raw", "PREROUTING", (HELPER,), 0, -300, "filter")
    helped = Ruleset((*rules.chains, raw), rules.sets, {(NFPROTO_IPV4, "raw", "standard"): "pptp"})
    marks = [finding.mark for finding in check_input(helped, uplink="eth0", address=None)]
    assert marks == [Mark.WRONG, Mark.GOOD]
    other = Ruleset(helped.chains, rules.sets, {(NFPROTO_IPV4, "raw", "standard"): "ftp"})
    assert check_input(other, uplink="eth0", address=None)[1].mark is Mark.WRONG


def test_who_stops_what_arrives() -> None:
    gre = Packet(hook=1, protocol=GRE, incoming="eth0")
    assert stopping_input(ruleset("ufw"), [gre]) == ("chain INPUT of table ip filter", "ufw allow proto gre from any")
    assert stopping_input(ruleset("docker"), [gre]) == ("", "")
