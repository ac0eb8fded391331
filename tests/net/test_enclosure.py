from __future__ import annotations

import os
import socket
import subprocess
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from pypptp.net import enclosure as module
from pypptp.net.edge import RouteTaken
from pypptp.net.enclosure import Enclosure, enclose, outer_name_servers, resolv_conf, without_other_resolvers
from pypptp.net.linux import LinuxEdge
from pypptp.net.memory import MemoryEdge
from pypptp.net.namespaces import Namespace
from pypptp.net.snapshot import take_snapshot

LOCAL, PEER, SERVER = IPv4Address("192.168.0.234"), IPv4Address("192.168.0.1"), IPv4Address("203.0.113.1")


def test_resolv_conf() -> None:
    assert resolv_conf([]) == b"# of a pypptp client with --exec\n"
    servers = [IPv4Address(f"192.0.2.{number}") for number in range(4)]
    assert resolv_conf(servers).decode().splitlines()[1:] == [f"nameserver 192.0.2.{number}" for number in range(3)]


def test_whom_the_machine_asks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    monkeypatch.setattr(module, "RESOLV_CONF", file)
    assert outer_name_servers() == ()
    file.write_text("nameserver 127.0.0.53\nnameserver ::1\n# nameserver 192.0.2.1\nsearch a\nnameserver 192.0.2.2\n")
    assert outer_name_servers() == (IPv4Address("192.0.2.2"),)


def test_other_resolvers() -> None:
    text = "passwd: files\n hosts:  files resolve [!UNAVAIL=return] dns\n# hosts: x\nnetworks: files\n"
    assert without_other_resolvers(text) == "passwd: files\nhosts: files dns\n# hosts: x\nnetworks: files\n"


@pytest.mark.netns
def test_the_tunnels_end_is_inside() -> None:
    def act() -> None:
        before = take_snapshot()
        enclosure = Enclosure()
        edge = enclose(LinuxEdge(), enclosure)
        tun = edge.open_tun(mtu=1400)
        edge.configure(tun, local=LOCAL, peer=PEER)
        edge.configure(tun, local=LOCAL, peer=PEER, mtu=1300)
        assert take_snapshot() == before
        inside = enclosure.run(take_snapshot)
        assert any(line.startswith("interface ppp0 mtu 1300") for line in inside)
        assert sum(line.startswith("route 128.0.0.0/1 dev ppp0") for line in inside) == 1
        assert edge.changes()
        assert edge.undo_for(tun) == []
        assert not [line for line in enclosure.run(take_snapshot) if "ppp0" in line]
        # A session after a lost one gets its way out again.
        again = edge.open_tun()
        edge.configure(again, local=LOCAL, peer=PEER)
        assert any(line.startswith("route 128.0.0.0/1") for line in enclosure.run(take_snapshot))
        assert edge.undo() == []
        assert again.fd == -1
        enclosure.close()
        enclosure.close()

    with Namespace("machine") as machine:
        machine.run(act)


@pytest.mark.netns
def test_the_way_to_the_server_is_the_machines_and_stays_as_it_is() -> None:
    outer = MemoryEdge()
    enclosure = Enclosure()
    edge = enclose(outer, enclosure)
    try:
        way = edge.pin_route(SERVER)
        assert way == outer.route_to(SERVER)
        assert not edge.add_route(IPv4Network("10.0.0.0/8"), via=way)
        assert edge.pin_route(SERVER, via=RouteTaken("eth7")).interface == "eth7"
        assert outer.changes() == []
        # What it does not have itself is the machine's.
        assert edge.default_route() == outer.default_route()
    finally:
        enclosure.close()


@pytest.mark.netns
def test_a_program_inside_has_its_own_files() -> None:
    before = Path("/etc/resolv.conf").read_text()
    enclosure = Enclosure()
    enclosure.name_servers = (IPv4Address("192.0.2.1"),)
    script = (
        "cat /etc/resolv.conf; grep ^hosts: /etc/nsswitch.conf; ls /sys/class/net; read line; cat /etc/resolv.conf; "
        "echo $WORD"
    )
    try:
        with enclosure.popen(
            ["sh", "-c", script],
            environment={"WORD": "seen", "PATH": os.environ["PATH"]},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            first = [process.stdout.readline().decode().strip() for _ in range(4)]
            assert first == ["# of a pypptp client with --exec", "nameserver 192.0.2.1", "hosts: files dns", "lo"]
            enclosure.name_servers = (IPv4Address("192.0.2.2"),)
            rest = process.communicate(b"\n")[0].decode().split("\n")
        assert rest[1:3] == ["nameserver 192.0.2.2", "seen"]
        assert Path("/etc/resolv.conf").read_text() == before
        # /proc/mounts is the process's own: nothing of it shows here.
        assert "resolv.conf" not in Path("/proc/self/mounts").read_text()
    finally:
        enclosure.close()


@pytest.mark.netns
def test_without_a_tunnel_nothing_leaves() -> None:
    enclosure = Enclosure()
    try:
        with enclosure.run(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sending:
            assert sending.connect_ex((str(SERVER), 53)) != 0
    finally:
        enclosure.close()
