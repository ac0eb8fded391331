"""What this machine's packet filters do to a server's clients."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address

from pypptp.net.firewall import (
    HOOK_FORWARD,
    HOOK_INPUT,
    HOOK_POSTROUTING,
    LEGACY,
    NFPROTO_INET,
    NFPROTO_IPV4,
    OBJECT_CT_HELPER,
    Chain,
    Ruleset,
)
from pypptp.service.doctor.finding import Finding, good, note, wrong
from pypptp.service.doctor.packet_filter import (
    GRE,
    STATE_ESTABLISHED,
    STATE_NEW,
    STATE_RELATED,
    TCP,
    Judgement,
    Packet,
    judge,
)
from pypptp.service.doctor.trial import Trial

TUNNEL = "ppp0"
"""Any name that matches ``ppp*``, as rules for tunnels say it."""
OWN_TABLE = "pypptp"


def check_input(ruleset: Ruleset, *, uplink: str, address: IPv4Address | None, port: int = 1723) -> list[Finding]:
    """Say whether clients reach a server here, by TCP and by GRE."""
    control = Packet(hook=HOOK_INPUT, protocol=TCP, incoming=uplink, destination=address, port=port)
    data = Packet(hook=HOOK_INPUT, protocol=GRE, incoming=uplink, destination=address)
    related = Packet(hook=HOOK_INPUT, protocol=GRE, incoming=uplink, destination=address, state=STATE_RELATED)
    judged = judge(ruleset, data)
    if judged.passes is not True and helper_assigned(ruleset) and judge(ruleset, related).passes:
        judged = Judgement(True)
    return [
        _input_finding("input-tcp", judge(ruleset, control), ruleset, f"TCP to port {port}", f"tcp dport {port}"),
        _input_finding("input-gre", judged, ruleset, "GRE (protocol 47)", "ip protocol gre"),
    ]


def _input_finding(check: str, judged: Judgement, ruleset: Ruleset, what: str, match: str) -> Finding:
    if judged.passes:
        return good(check, f"the packet filter lets {what} in")
    if judged.chain is None:
        return note(check, f"cannot tell whether {what} gets in, because {judged.why}")
    cure = _input_cure(judged.chain, ruleset, match)
    if judged.passes is None:
        return note(check, f"cannot tell whether {what} gets in, because {judged.why}", cure)
    suffers = "no client can connect to a server here" if "TCP" in what else "clients connect and no packet passes"
    return wrong(check, f"{judged.chain.title} {judged.how} {what}{_why(judged)}: {suffers}", cure)


def _why(judged: Judgement) -> str:
    return ", by its policy" if judged.by_policy else ""


def check_forward(ruleset: Ruleset, *, uplink: str, trial: Trial) -> Finding:
    """Say whether the packets of a server's clients pass between tunnel and uplink.

    What was tried counts more than what was worked out from the rules.
    """
    check = "forward-filter"
    out = judge(ruleset, Packet(hook=HOOK_FORWARD, protocol=TCP, incoming=TUNNEL, outgoing=uplink))
    back = judge(
        ruleset,
        Packet(hook=HOOK_FORWARD, protocol=TCP, incoming=uplink, outgoing=TUNNEL, state=STATE_ESTABLISHED),
    )
    ways = ((out, f"from the clients to {uplink}"), (back, "back to the clients"))
    for judged, way in ways:
        if judged.passes is False and judged.chain is not None and not (judged is out and trial.passed):
            sentence = f"{judged.chain.title} {judged.how} what is forwarded {way}{_why(judged)}"
            return wrong(check, sentence, _forward_cure(judged.chain, ruleset))
    if trial.passed and back.passes:
        return good(
            check, f"a packet sent through a TUN on trial was forwarded to {uplink}, and the answer would be too"
        )
    for judged, way in ways:
        if judged.passes is None and not (judged is out and trial.passed):
            sentence = f"cannot tell whether packets {way} are forwarded, because {judged.why}"
            cure = "" if judged.chain is None else _forward_cure(judged.chain, ruleset)
            return note(check, sentence, cure)
    if trial.passed is False:
        return note(
            check,
            f"the rules would forward a client's packet to {uplink}, but one sent on trial did not come out",
            "look for another filter (eBPF, tc) on the way, and whether the gateway answers ARP",
        )
    return good(check, f"no chain stops what is forwarded between clients and {uplink}")


def check_helper(ruleset: Ruleset, *, forwarding: bool) -> Finding | None:
    """Say what PPTP clients behind this machine miss where it masquerades; None where it does not."""
    check = "nat-helper"
    chain = masquerading_chain(ruleset)
    if chain is None or not forwarding:
        return None
    if helper_assigned(ruleset):
        return good(check, "this machine masquerades for others, and a rule gives their PPTP connections the helper")
    return note(
        check,
        f"this machine masquerades for others ({chain.title}), and no rule gives their PPTP connections the helper "
        "nf_conntrack_pptp: of those behind it only one at a time reaches a server",
        "if PPTP clients are behind this machine: 'modprobe nf_nat_pptp' and "
        "'iptables -t raw -A PREROUTING -p tcp --dport 1723 -j CT --helper pptp'",
    )


def masquerading_chain(ruleset: Ruleset) -> Chain | None:
    """Find a chain, of others than pypptp, that gives forwarded packets another source address."""
    nat = {id(chain): chain for chain in ruleset.chains if chain.hook == HOOK_POSTROUTING and chain.kind == "nat"}
    tables = {(chain.family, chain.table) for chain in nat.values()}
    for chain in ruleset.chains:
        if (chain.family, chain.table) not in tables or chain.table.split("-")[0] == OWN_TABLE:
            continue
        if chain.family not in (NFPROTO_INET, NFPROTO_IPV4) or (chain.hook not in (None, HOOK_POSTROUTING)):
            continue
        for rule in chain.rules:
            for expression in rule:
                source_nat = expression.name == "nat" and expression.number(1) == 0
                target = expression.name == "target" and expression.text(1) in ("MASQUERADE", "SNAT")
                if source_nat or target or expression.name == "masq":
                    return chain
    return None


def helper_assigned(ruleset: Ruleset) -> bool:
    """Say whether a rule gives connections the PPTP helper."""
    for chain in ruleset.chains:
        for rule in chain.rules:
            for expression in rule:
                if expression.name == "objref" and expression.number(1) == OBJECT_CT_HELPER:
                    named = ruleset.helpers.get((chain.family, chain.table, expression.text(2)), "")
                elif expression.name == "target" and expression.text(1) == "CT":
                    named = "pptp" if b"pptp\0" in expression.attributes.get(3, b"") else ""
                else:
                    continue
                if named == "pptp":
                    return True
    return False


# Whose rules they are decides what the cure is: a rule put beside those of a program is gone with its next start.


def _owner(chain: Chain, ruleset: Ruleset) -> str:
    if chain.table == "firewalld":
        return "firewalld"
    names = {other.name for other in ruleset.chains if (other.family, other.table) == (chain.family, chain.table)}
    if any(name.startswith("ufw-") for name in names):
        return "ufw"
    if "DOCKER-USER" in names:
        return "docker"
    is_iptables = chain.table.startswith(LEGACY) or (chain.family == NFPROTO_IPV4 and chain.table == "filter")
    return "iptables" if is_iptables and chain.name.isupper() else "nft"


def _input_cure(chain: Chain, ruleset: Ruleset, match: str) -> str:
    port = match.removeprefix("tcp dport ") if match.startswith("tcp") else ""
    match _owner(chain, ruleset):
        case "ufw":
            return f"ufw allow {port}/tcp" if port else "ufw allow proto gre from any"
        case "firewalld":
            what = f"--add-port={port}/tcp" if port else "--add-protocol=gre"
            return f"firewall-cmd --permanent {what} && firewall-cmd --reload"
        case "iptables" | "docker":
            what = f"-p tcp --dport {port}" if port else "-p gre"
            return f"{_iptables(chain)} -I INPUT {what} -j ACCEPT"
        case _:
            return f"nft insert rule {_place(chain)} {match} accept"


def _forward_cure(chain: Chain, ruleset: Ruleset) -> str:
    match _owner(chain, ruleset):
        case "ufw":
            return 'set DEFAULT_FORWARD_POLICY="ACCEPT" in /etc/default/ufw, then ufw reload'
        case "firewalld":
            return "firewall-cmd --permanent --zone=trusted --add-interface=ppp+ && firewall-cmd --reload"
        case "docker":
            program = _iptables(chain)
            return f"{program} -I DOCKER-USER -i ppp+ -j ACCEPT; {program} -I DOCKER-USER -o ppp+ -j ACCEPT"
        case "iptables":
            program = _iptables(chain)
            return f"{program} -I FORWARD -i ppp+ -j ACCEPT; {program} -I FORWARD -o ppp+ -j ACCEPT"
        case _:
            place = _place(chain)
            return f'nft \'insert rule {place} iifname "ppp*" accept; insert rule {place} oifname "ppp*" accept\''


def _iptables(chain: Chain) -> str:
    return "iptables-legacy" if chain.table.startswith(LEGACY) else "iptables"


def _place(chain: Chain) -> str:
    family = "inet" if chain.family == NFPROTO_INET else "ip"
    return f"{family} {chain.table} {chain.name}"


def stopping_input(ruleset: Ruleset, packets: Sequence[Packet]) -> tuple[str, str]:
    """Return the chain that stops one of these, or may, and the cure; empty where none is known to."""
    for packet in packets:
        judged = judge(ruleset, packet)
        if judged.passes is not True and judged.chain is not None:
            match = "ip protocol gre" if packet.protocol == GRE else f"tcp dport {packet.port}"
            return judged.chain.title, _input_cure(judged.chain, ruleset, match)
    return "", ""


__all__ = [
    "STATE_NEW",
    "check_forward",
    "check_helper",
    "check_input",
    "helper_assigned",
    "masquerading_chain",
    "stopping_input",
]
