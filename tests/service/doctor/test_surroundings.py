from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from pypptp.errors import NetworkError
from pypptp.net.edge import Recovery, RouteTaken
from pypptp.net.records import KillSwitchOn
from pypptp.service.doctor import surroundings
from pypptp.service.doctor.finding import Mark
from pypptp.service.doctor.machine import Listener, Machine, WideRoute
from pypptp.service.doctor.surroundings import (
    check_default_routes,
    check_forwarding,
    check_left_behind,
    check_port,
    check_reverse_path,
    check_rights,
)

ALL, HALF = IPv4Network("0.0.0.0/0"), IPv4Network("0.0.0.0/1")
ETH0 = WideRoute(ALL, "eth0", 100, tunnel=False)
WLAN0 = WideRoute(ALL, "wlan0", 600, tunnel=False)
TUNNEL = WideRoute(ALL, "ppp0", 50, tunnel=True)


def machine(*wide: WideRoute, taken: str = "eth0", **others: object) -> Machine:
    return Machine(wide_routes=wide, way_out=RouteTaken(taken) if taken else None, **others)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seen", "mark", "words"),
    [
        (machine(taken=""), Mark.NOTE, "there is no default route"),
        (machine(ETH0), Mark.GOOD, "packets to everywhere leave by eth0"),
        (machine(ETH0, WLAN0), Mark.NOTE, "eth0 (metric 100) is taken, wlan0 (metric 600) is not"),
        (machine(ETH0, WideRoute(ALL, "wlan0", 100, tunnel=False)), Mark.WRONG, "left to chance"),
        (machine(ETH0, TUNNEL), Mark.WRONG, "packets leave by eth0, not by the tunnel ppp0, whose default route"),
        (machine(ETH0, TUNNEL, taken="ppp0"), Mark.GOOD, "leave by ppp0"),
        (
            machine(ETH0, WideRoute(HALF, "ppp0", 0, tunnel=True), taken="wg0"),
            Mark.WRONG,
            "not by the tunnel ppp0, whose half of the default route",
        ),
        # Several gateways by one interface are no two ways out.
        (machine(ETH0, ETH0), Mark.GOOD, "leave by eth0"),
    ],
)
def test_default_routes(seen: Machine, mark: Mark, words: str) -> None:
    (found,) = check_default_routes(seen)
    assert found.mark is mark
    assert words in found.sentence


@pytest.mark.parametrize(
    ("listeners", "mark", "words"),
    [
        ((), Mark.GOOD, "port 1723 is free for a server"),
        ((Listener(7, "pypptp", ours=True),), Mark.GOOD, "a pypptp server (process 7) listens"),
        ((Listener(7, "pptpd"),), Mark.WRONG, "in use by pptpd (process 7)"),
        ((Listener(0, "?"),), Mark.WRONG, "in use by another program"),
    ],
)
def test_the_port(listeners: tuple[Listener, ...], mark: Mark, words: str) -> None:
    found = check_port(Machine(listeners=listeners))
    assert found.mark is mark
    assert words in found.sentence
    if listeners and listeners[0].program == "pptpd":
        assert found.cure == "systemctl disable --now pptpd"


@pytest.mark.parametrize(
    ("seen", "mark", "words"),
    [
        (Machine(forwarding=True), Mark.GOOD, "is on"),
        (Machine(), Mark.GOOD, "switches it on while it runs"),
        (Machine(forwarding_settable=False), Mark.WRONG, "/proc/sys is read-only"),
        (Machine(listeners=(Listener(7, "pypptp", ours=True),)), Mark.WRONG, "a server runs here"),
        (Machine(listeners=(Listener(7, "pptpd"),)), Mark.GOOD, "switches it on while it runs"),
    ],
)
def test_forwarding(seen: Machine, mark: Mark, words: str) -> None:
    found = check_forwarding(seen)
    assert found.mark is mark
    assert words in found.sentence


@pytest.mark.parametrize(
    ("seen", "mark"),
    [
        (machine(ETH0, reverse_path={"eth0": 1}), Mark.GOOD),
        (machine(ETH0, WLAN0, reverse_path={"eth0": 1, "wlan0": 2}), Mark.WRONG),
        (machine(ETH0, WLAN0, reverse_path={"eth0": 2, "wlan0": 2, "docker0": 1}), Mark.GOOD),
        (machine(ETH0, TUNNEL, reverse_path={"eth0": 1}), Mark.GOOD),
        (machine(ETH0, WLAN0), Mark.GOOD),
    ],
)
def test_the_reverse_path_filter(seen: Machine, mark: Mark) -> None:
    found = check_reverse_path(seen)
    assert found.mark is mark
    if mark is Mark.WRONG:
        assert found.cure == "sysctl -w net.ipv4.conf.eth0.rp_filter=2"


def test_what_killed_processes_left_behind() -> None:
    route, switch = "route 10.0.0.1/32 dev eth0, of pid 7 (client)", "kill switch (nftables table x), of pid 7 (client)"
    assert check_left_behind(Recovery(left=["1 change of pid 8 (server), which is running"])) == []
    (found,) = check_left_behind(Recovery(taken_back=[route]))
    assert (found.mark, found.sentence, found.cure) == (
        Mark.NOTE, f"a killed process left behind: {route}", "pypptp undo"
    )  # fmt: skip
    (found,) = check_left_behind(Recovery(taken_back=[route, switch]))
    assert found.mark is Mark.WRONG
    assert switch in found.sentence
    assert "'pypptp undo'" in found.cure
    (found,) = check_left_behind(Recovery(taken_back=[route, route]))
    assert found.sentence.endswith(f"{route} and 1 more")


def test_the_words_of_a_kill_switch_are_known() -> None:
    assert str(KillSwitchOn("pypptp-kill-switch-7")).startswith("kill switch")


def test_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "raw_socket_trouble", lambda: "no raw sockets: run as root")
    monkeypatch.setattr(surroundings, "device_trouble", lambda: "")
    monkeypatch.setattr(surroundings, "rights_trouble", lambda: "")

    def refuse(name: str | None) -> None:
        raise NetworkError("no TUN: modprobe tun")

    monkeypatch.setattr("pypptp.net.tun.LinuxTun", refuse)
    raw, tun, admin = check_rights()
    assert (raw.mark, raw.sentence, raw.cure) == (Mark.WRONG, "no raw sockets", "run as root")
    assert (tun.mark, tun.sentence, tun.cure) == (Mark.WRONG, "no TUN", "modprobe tun")
    assert admin.mark is Mark.GOOD
