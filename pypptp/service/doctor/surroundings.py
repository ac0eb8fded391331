"""What of this machine helps a tunnel, or stands in its way: rights, port, routes, forwarding, reverse path filter."""

from __future__ import annotations

from itertools import pairwise

from pypptp.errors import NetworkError
from pypptp.net.edge import Recovery
from pypptp.net.probe import device_trouble, raw_socket_trouble, rights_trouble
from pypptp.service.doctor.finding import Finding, good, note, wrong
from pypptp.service.doctor.machine import Machine

STRICT = 1


def check_rights() -> list[Finding]:
    """Try what a tunnel needs of the system: a raw socket, a TUN device, the right to set up interfaces."""
    return [
        _trouble("raw-socket", raw_socket_trouble(), "raw GRE sockets can be opened"),
        _trouble("tun", device_trouble() or _tun_trouble(), "TUN devices can be made"),
        _trouble("net-admin", rights_trouble(), "interfaces and routes can be set up"),
    ]


def _tun_trouble() -> str:
    if rights_trouble():
        return ""  # said by itself
    from pypptp.net.tun import LinuxTun  # not before: python-pytun is installed on Linux alone

    try:
        LinuxTun(None).close()
    except NetworkError as error:
        return str(error)
    return ""


def _trouble(check: str, trouble: str, otherwise: str) -> Finding:
    sentence, _, cure = trouble.partition(": ")
    return wrong(check, sentence, cure) if trouble else good(check, otherwise)


def check_left_behind(recovery: Recovery) -> list[Finding]:
    """Say what killed processes have left in the way.

    Args:
        recovery: what :func:`pypptp.net.recovery.recover` would do.
    """
    check = "left-behind"
    shut = [change for change in recovery.taken_back if change.startswith("kill switch")]
    if shut:
        return [
            wrong(
                check,
                f"a client that was killed left its way shut, so nothing leaves this machine: {shut[0]}",
                "start the client again, or 'pypptp undo' to let packets leave in clear",
            )
        ]
    if recovery.taken_back:
        others = f" and {len(recovery.taken_back) - 1} more" if len(recovery.taken_back) > 1 else ""
        return [note(check, f"a killed process left behind: {recovery.taken_back[0]}{others}", "pypptp undo")]
    return []


def check_port(machine: Machine, port: int = 1723) -> Finding:
    """Say whether a server could have its port."""
    others = [listener for listener in machine.listeners if not listener.ours]
    if others:
        other = others[0]
        who = f"{other.program} (process {other.pid})" if other.pid else "another program"
        if other.program == "pptpd":
            cure = "systemctl disable --now pptpd"
        elif other.pid:
            cure = f"stop it, or take another port with --port; 'ps {other.pid}' says what it is"
        else:
            cure = f"find it as root with 'ss -ltnp sport = :{port}' and stop it, or take another port with --port"
        return wrong("port-free", f"port {port} is in use by {who}, so no server can listen there", cure)
    if machine.listeners:
        return good("port-free", f"a pypptp server (process {machine.listeners[0].pid}) listens on port {port}")
    return good("port-free", f"port {port} is free for a server")


def check_forwarding(machine: Machine) -> Finding:
    """Say whether packets of a server's clients would be forwarded at all."""
    if machine.forwarding:
        return good("forwarding", "IPv4 forwarding is on")
    if not machine.forwarding_settable:
        return wrong(
            "forwarding",
            "IPv4 forwarding is off and /proc/sys is read-only, so that a server cannot switch it on",
            "start the container with '--sysctl net.ipv4.ip_forward=1'",
        )
    if any(listener.ours for listener in machine.listeners):
        return wrong(
            "forwarding",
            "a server runs here and IPv4 forwarding is off: its clients reach this machine and nothing behind it",
            "sysctl -w net.ipv4.ip_forward=1, and find what switched it off, in /etc/sysctl.d for example",
        )
    return good("forwarding", "IPv4 forwarding is off; a server switches it on while it runs")


def check_default_routes(machine: Machine) -> list[Finding]:
    """Say where packets to everywhere go, and whether that is what somebody wanted."""
    check = "default-route"
    defaults = sorted((route for route in machine.wide_routes if route.network.prefixlen == 0), key=lambda r: r.metric)
    halves = [route for route in machine.wide_routes if route.network.prefixlen == 1]
    taken = "" if machine.way_out is None else machine.way_out.interface
    if not taken:
        return [
            note(
                check,
                "there is no default route: only networks with a route of their own can be reached",
                "ip route add default via GATEWAY, unless that is meant",
            )
        ]
    found = [
        wrong(
            check,
            f"another default route wins: packets leave by {taken}, not by the tunnel {route.interface}, "
            f"whose {_words(route.network.prefixlen)} has metric {route.metric}",
            f"'pypptp client --default-route' is not beaten by any; or 'ip route del default dev {taken}', or give the "
            "tunnel's a lower metric",
        )
        for route in dict.fromkeys([*defaults, *halves])
        if route.tunnel and route.interface != taken
    ][:1]
    uplinks = [route for route in defaults if not route.tunnel]
    for first, second in pairwise(uplinks):
        if first.metric == second.metric and first.interface != second.interface:
            found.append(
                wrong(
                    check,
                    f"two default routes, by {first.interface} and by {second.interface}, have the same metric "
                    f"{first.metric}: which one packets take is left to chance",
                    f"give one of them a higher metric, for example 'ip route change default dev {second.interface} "
                    "metric 200' with its gateway",
                )
            )
    if found:
        return found
    others = [route for route in uplinks if route.interface != taken]
    if others and any(route.interface == taken for route in uplinks):
        first = next(route for route in uplinks if route.interface == taken)
        return [
            note(
                check,
                f"there are two ways out: {taken} (metric {first.metric}) is taken, {others[0].interface} (metric "
                f"{others[0].metric}) is not",
            )
        ]
    return [good(check, f"packets to everywhere leave by {taken}")]


def _words(prefix: int) -> str:
    return "half of the default route" if prefix else "default route"


def check_reverse_path(machine: Machine) -> Finding:
    """Say whether the kernel drops packets for the interface they come by."""
    check = "rp-filter"
    uplinks = {route.interface for route in machine.wide_routes if not route.tunnel}
    strict = sorted(name for name, value in machine.reverse_path.items() if value == STRICT)
    risky = [name for name in strict if name in uplinks]
    if len(uplinks) > 1 and risky:
        return wrong(
            check,
            f"with {len(uplinks)} ways out, the strict reverse path filter of {', '.join(risky)} drops what comes by "
            "the one that is not the way back: clients and servers reached there get no answer",
            f"sysctl -w {' '.join(f'net.ipv4.conf.{name}.rp_filter=2' for name in risky)}",
        )
    if strict:
        return good(check, f"the reverse path filter is strict ({', '.join(strict[:4])}), which does no harm here")
    return good(check, "the reverse path filter is not strict")
