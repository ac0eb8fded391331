import asyncio
import os
import socket
import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from pypptp.errors import LocalProtocolError, NetworkError
from pypptp.net import forwarding, kill_switch, links, linux, name_servers, nat, recovery, resolv_conf, routes
from pypptp.net.edge import Hold, NetworkEdge, Recovery, Route, RouteTaken
from pypptp.net.journal import Journal
from pypptp.net.linux import LinuxEdge
from pypptp.net.name_servers import means_for
from pypptp.net.namespaces import Namespace
from pypptp.net.netlink import NetlinkSocket
from pypptp.net.records import ForwardingOn, NatMade, RouteAdded
from pypptp.net.snapshot import left_behind, take_snapshot
from pypptp.net.tun import LinuxTun

from .test_journal import on_disk

LOCAL, PEER = IPv4Address("192.168.0.1"), IPv4Address("192.168.0.234")
SERVER, GATEWAY, HOST = IPv4Address("198.51.100.7"), IPv4Address("10.9.0.1"), IPv4Address("10.9.0.2")
EVERYTHING = IPv4Address("8.8.8.8")

pytestmark = pytest.mark.netns


def _check(host: Namespace, act: Callable[[LinuxEdge], None]) -> None:
    """Run ``act`` with an edge inside ``host``, and see that undo() leaves the namespace as it was."""

    def inside() -> None:
        before = take_snapshot()
        edge = LinuxEdge()
        try:
            act(edge)
        finally:
            errors = edge.undo()
        assert errors == []
        assert edge.changes() == []
        assert left_behind(before, take_snapshot()) == []

    host.run(inside, own_sysfs=True)


def test_a_client_with_a_default_route(host: Namespace) -> None:
    def act(edge: LinuxEdge) -> None:
        checked: NetworkEdge = edge
        pinned = checked.pin_route(SERVER)
        assert pinned == RouteTaken("eth0", GATEWAY, HOST)
        tun = edge.open_tun(mtu=1396)
        edge.configure(tun, local=LOCAL, peer=PEER)
        edge.add_default_route(tun)
        assert edge.add_route(IPv4Network("10.0.0.0/8"), via=pinned, session=tun)
        assert edge.add_route(IPv4Network("172.16.0.0/12"), via=tun)
        assert edge.route_to(SERVER) == pinned
        assert edge.route_to(EVERYTHING) == RouteTaken("ppp0", None, LOCAL)
        assert edge.route_to(IPv4Address("10.1.1.1")) == pinned
        assert edge.default_route() == RouteTaken("eth0", GATEWAY)
        assert edge.changes()[0] == "route 198.51.100.7/32 via 10.9.0.1 dev eth0"
        assert edge.undo_for(tun) == []
        assert tun.fd == -1
        assert edge.changes() == ["route 198.51.100.7/32 via 10.9.0.1 dev eth0"]
        assert edge.route_to(EVERYTHING) == pinned

    _check(host, act)


def test_packets_go_both_ways(host: Namespace) -> None:
    def act(edge: LinuxEdge) -> None:
        tun = edge.open_tun()
        edge.configure(tun, local=LOCAL, peer=PEER)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"hello", (str(PEER), 9))
            port = sender.getsockname()[1]
            packet = os.read(tun.fd, 2048)
            assert packet[12:20] == LOCAL.packed + PEER.packed
            assert packet[28:] == b"hello"
            header = bytearray(packet[:20])
            header[12:20] = PEER.packed + LOCAL.packed
            os.write(tun.fd, bytes(header) + struct.pack("!HHHH", 9, port, 13, 0) + b"olleh")
            sender.settimeout(2)
            assert sender.recv(2048) == b"olleh"

    _check(host, act)


def test_a_server_for_two_sessions(host: Namespace) -> None:
    def act(edge: LinuxEdge) -> None:
        assert edge.enable_forwarding()
        assert not edge.enable_forwarding()
        assert edge.add_nat(None, [IPv4Network("192.168.0.234/31")]) == "eth0"
        first, second = edge.open_tun(), edge.open_tun()
        edge.configure(first, local=LOCAL, peer=PEER)
        edge.configure(second, local=LOCAL, peer=IPv4Address("192.168.0.235"))
        assert edge.route_to(PEER).interface == "ppp0"
        assert edge.route_to(IPv4Address("192.168.0.235")).interface == "ppp1"
        assert edge.undo_for(first) == []
        assert edge.open_tun().name == "ppp0"
        assert edge.route_to(IPv4Address("192.168.0.235")).interface == "ppp1"

    _check(host, act)


def test_addresses_and_mtu_can_change(host: Namespace) -> None:
    def act(edge: LinuxEdge) -> None:
        tun = edge.open_tun()
        edge.configure(tun, local=LOCAL, peer=PEER)
        edge.configure(tun, local=LOCAL, peer=PEER, mtu=1300)
        edge.configure(tun, local=LOCAL, peer=IPv4Address("192.168.0.235"))
        assert edge.route_to(PEER).interface == "eth0"
        assert edge.route_to(IPv4Address("192.168.0.235")).interface == "ppp0"
        assert "interface ppp0 mtu 1300" in take_snapshot()
        assert edge.changes() == ["interface ppp0", "address 192.168.0.1 peer 192.168.0.235 dev ppp0"]

    _check(host, act)


def test_the_server_whose_inner_address_is_its_outer_one(host: Namespace) -> None:
    """pptpd with "localip" left at the public address: the pinned route must come before the TUN's host route."""

    def act(edge: LinuxEdge) -> None:
        edge.pin_route(SERVER)
        tun = edge.open_tun()
        edge.configure(tun, local=LOCAL, peer=SERVER)
        assert edge.route_to(SERVER).interface == "eth0"

    _check(host, act)


def test_a_server_on_this_machine_is_not_pinned(host: Namespace) -> None:
    def act(edge: LinuxEdge) -> None:
        assert edge.pin_route(IPv4Address("127.0.0.1")).local
        assert edge.pin_route(HOST).local
        assert edge.changes() == []

    _check(host, act)


def test_pinning_again_keeps_one_route_and_restores_a_lost_one(host: Namespace) -> None:
    def act(edge: LinuxEdge) -> None:
        pinned = edge.pin_route(SERVER)
        with_pin = take_snapshot()
        for _ in range(20):
            assert edge.pin_route(SERVER) == pinned
        assert take_snapshot() == with_pin
        with NetlinkSocket() as netlink:
            routes.remove(netlink, Route(IPv4Network(SERVER), "eth0", pinned.gateway, pinned.source))
        assert take_snapshot() != with_pin
        edge.pin_route(SERVER)
        assert take_snapshot() == with_pin
        assert len(edge.changes()) == 1

    _check(host, act)


def test_pinning_again_by_an_interface_that_was_taken_out_and_put_in_again(host: Namespace) -> None:
    def act(edge: LinuxEdge) -> None:
        tun = LinuxTun("uplink")
        way = RouteTaken("uplink")
        for _ in range(2):
            with NetlinkSocket() as netlink:
                links.set_up(netlink, "uplink")
            assert edge.add_route(IPv4Network(SERVER), via=way)
            assert not edge.add_route(IPv4Network(SERVER), via=way)
            assert edge.route_to(SERVER).interface == "uplink"
            assert edge.changes() == ["route 198.51.100.7/32 dev uplink"]
            tun.close()
            tun = LinuxTun("uplink")
        with NetlinkSocket() as netlink:
            links.set_up(netlink, "uplink")
        edge.add_route(IPv4Network(SERVER), via=way)
        assert edge.undo() == []
        assert edge.route_to(SERVER).interface == "eth0"
        tun.close()

    _check(host, act)


def test_a_pin_of_a_session_goes_with_it(host: Namespace) -> None:
    def act(edge: LinuxEdge) -> None:
        tun = edge.open_tun()
        edge.pin_route(SERVER, session=tun)
        assert len(edge.changes()) == 2
        assert edge.undo_for(tun) == []
        assert edge.changes() == []

    _check(host, act)


def test_a_route_that_is_there_stays_there(host: Namespace) -> None:
    def act(edge: LinuxEdge) -> None:
        assert not edge.add_route(IPv4Network("10.9.0.0/24"), via=edge.route_to(GATEWAY))
        assert edge.changes() == []

    _check(host, act)


def test_napi_settings(host: Namespace) -> None:
    def act(edge: LinuxEdge) -> None:
        name = edge.open_tun().name
        for setting, value in (("napi_defer_hard_irqs", "2"), ("gro_flush_timeout", "50000"), ("tx_queue_len", "1000")):
            assert Path(f"/sys/class/net/{name}/{setting}").read_text().strip() == value
        assert Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").read_text().strip() == "1"

    _check(host, act)


def test_a_change_that_fails_leaves_nothing(host: Namespace) -> None:
    def act(edge: LinuxEdge) -> None:
        with pytest.raises(NetworkError, match="MTU"):
            edge.open_tun(mtu=1)
        with pytest.raises(NetworkError, match="no interface eth7"):
            edge.add_nat("eth7", [])
        with pytest.raises(NetworkError, match="no interface eth7"):
            edge.add_route(IPv4Network("10.0.0.0/8"), via=RouteTaken("eth7"))
        tun = edge.open_tun()
        edge.undo_for(tun)
        with pytest.raises(LocalProtocolError, match="ppp0 is closed"):
            edge.configure(tun, local=LOCAL, peer=PEER)
        assert edge.changes() == []

    _check(host, act)


def test_nat_without_a_default_route() -> None:
    def act(edge: LinuxEdge) -> None:
        assert edge.default_route() is None
        with pytest.raises(NetworkError, match="--nat none"):
            edge.add_nat(None, [IPv4Network("192.168.0.0/24")])

    with Namespace("alone") as alone:
        _check(alone, act)


def test_forwarding_stays_on_for_another_instance(host: Namespace) -> None:
    def act(edge: LinuxEdge) -> None:
        edge.enable_forwarding()
        edge.add_nat("eth0", [IPv4Network("192.168.0.0/24")])
        other = LinuxEdge()
        other.add_nat("eth0", [IPv4Network("192.168.1.0/24")])
        assert edge.undo() == [
            "could not take back IPv4 forwarding on: another pypptp still needs it "
            f"(nftables table pypptp-{os.getpid()}), it is left on"
        ]
        assert "ip_forward 1" in take_snapshot()
        assert other.undo() == []
        Path("/proc/sys/net/ipv4/ip_forward").write_text("0")
        Path("/proc/sys/net/ipv4/conf/all/accept_redirects").write_text("1")

    _check(host, act)


def test_what_somebody_took_away_already_is_no_error(host: Namespace) -> None:
    def act(edge: LinuxEdge) -> None:
        pinned = edge.pin_route(SERVER)
        tun = edge.open_tun()
        edge.configure(tun, local=LOCAL, peer=PEER)
        edge.add_default_route(tun)
        with NetlinkSocket() as netlink:
            routes.remove(netlink, Route(IPv4Network(SERVER), "eth0", pinned.gateway, pinned.source))
            links.remove_address(netlink, tun.name, LOCAL, peer=PEER)
        tun.close()

    _check(host, act)


def test_in_an_executor_thread_while_a_loop_runs(host: Namespace) -> None:
    """As the shell does it: one worker thread, the loop elsewhere, undo() after both."""

    def inside() -> None:
        before = take_snapshot()
        edge = LinuxEdge()

        async def main() -> None:
            loop = asyncio.get_running_loop()
            with ThreadPoolExecutor(1) as executor:
                tun = await loop.run_in_executor(executor, edge.open_tun)
                await loop.run_in_executor(executor, lambda: edge.configure(tun, local=LOCAL, peer=PEER))
                await loop.run_in_executor(executor, edge.add_nat, None, [IPv4Network("192.168.0.0/24")])
                # On the loop's own thread it works as well, it only blocks.
                assert edge.route_to(PEER).interface == tun.name
                ready = loop.create_future()
                loop.add_reader(tun.fd, ready.set_result, None)
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                    sender.sendto(b"x", (str(PEER), 9))
                await asyncio.wait_for(ready, 2)
                loop.remove_reader(tun.fd)

        asyncio.run(main())
        assert edge.undo() == []
        assert left_behind(before, take_snapshot()) == []

    host.run(inside)


@pytest.mark.parametrize("threads", [True, False])
def test_everything_at_once(host: Namespace, monkeypatch: pytest.MonkeyPatch, threads: bool) -> None:
    def no_threads(*args: object) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    def act(edge: LinuxEdge) -> None:
        edge.pin_route(SERVER)
        edge.enable_forwarding()
        edge.add_nat(None, [IPv4Network("192.168.0.0/24")])
        for number in range(12):
            tun = edge.open_tun()
            edge.configure(tun, local=LOCAL, peer=PEER + number)
            edge.pin_route(SERVER + number, session=tun)
        if not threads:
            monkeypatch.setattr(ThreadPoolExecutor, "submit", no_threads)

    _check(host, act)


def test_many_sessions_opened_and_closed_from_several_threads(host: Namespace) -> None:
    def act(edge: LinuxEdge) -> None:
        # Threads made here inherit the namespace.
        with ThreadPoolExecutor(4) as executor:
            tuns = list(executor.map(lambda _: edge.open_tun(), range(16)))
            assert sorted(tun.name for tun in tuns) == sorted(f"ppp{unit}" for unit in range(16))
            assert list(executor.map(edge.undo_for, tuns)) == [[]] * 16
        assert edge.changes() == []
        assert nat.other_tables() == []

    _check(host, act)


def test_what_would_outlive_the_process_is_on_disk(host: Namespace, tmp_path: Path) -> None:
    folder = tmp_path / "pypptp" / "journal"

    def act(edge: LinuxEdge) -> None:
        edge = LinuxEdge(Journal("client", folder=folder))
        assert edge.recover() == Recovery()
        pinned = edge.pin_route(SERVER)
        tun = edge.open_tun()
        edge.configure(tun, local=LOCAL, peer=PEER)
        edge.add_default_route(tun)
        edge.add_route(IPv4Network("10.0.0.0/8"), via=pinned, session=tun)
        edge.enable_forwarding()
        edge.add_nat(None, [IPv4Network("192.168.0.0/24")])
        with pytest.raises(NetworkError):
            edge.add_route(IPv4Network("10.0.0.0/8"), via=RouteTaken("eth0", IPv4Address("192.0.2.1"), SERVER))
        assert [str(record) for record in on_disk(folder)] == [
            "route 198.51.100.7/32 via 10.9.0.1 dev eth0",
            "route 10.0.0.0/8 via 10.9.0.1 dev eth0",
            "IPv4 forwarding on",
            "NAT of 192.168.0.0/24 out of eth0",
        ]
        assert edge.undo_for(tun) == []
        assert [type(record) for record in on_disk(folder)] == [RouteAdded, ForwardingOn, NatMade]
        assert edge.undo() == []
        assert list(folder.iterdir()) == []

    _check(host, act)


def test_the_route_of_another_instance_is_not_in_our_journal(host: Namespace, tmp_path: Path) -> None:
    """Killed before it is made, it would be taken back, and the other's with it."""

    def act(edge: LinuxEdge) -> None:
        edge.pin_route(SERVER)
        second = LinuxEdge(Journal("client", folder=tmp_path / "pypptp" / "journal"))
        second.pin_route(SERVER)
        (record,) = on_disk(tmp_path / "pypptp" / "journal")
        assert isinstance(record, RouteAdded)
        assert record.route.metric == 1
        assert second.undo() == []

    _check(host, act)


def test_another_one_is_quicker_with_the_same_route(
    host: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pypptp" / "journal"

    def act(edge: LinuxEdge) -> None:
        second = LinuxEdge(Journal("client", folder=folder))
        add_exactly, tried = routes.add_exactly, []

        def too_late(netlink: NetlinkSocket, route: Route) -> bool:
            tried.append(route.metric)
            if len(tried) == 1:
                add_exactly(netlink, route)  # by the other
                assert len(on_disk(folder)) == 1
            return add_exactly(netlink, route)

        with monkeypatch.context() as patch:
            patch.setattr(routes, "add_exactly", too_late)
            second.pin_route(SERVER)
        assert tried == [0, 1]
        (record,) = on_disk(folder)
        assert isinstance(record, RouteAdded)
        assert record.route.metric == 1
        assert second.undo() == []
        with NetlinkSocket() as netlink:
            routes.remove(netlink, Route(IPv4Network(SERVER), "eth0", GATEWAY, HOST))

    _check(host, act)


@pytest.mark.parametrize("first_to_go", [0, 1])
def test_of_two_that_need_forwarding_the_last_one_switches_it_off(
    host: Namespace, tmp_path: Path, first_to_go: int
) -> None:
    def act(edge: LinuxEdge) -> None:
        before = take_snapshot()
        edges = [LinuxEdge(Journal(name, folder=tmp_path / "pypptp" / "journal")) for name in ("one", "two")]
        for found in edges:
            assert found.enable_forwarding()
            assert not found.enable_forwarding()
            found.add_nat("eth0", [])
        assert edges[first_to_go].undo() == []
        assert "ip_forward 1" in take_snapshot()
        assert edges[1 - first_to_go].undo() == []
        assert left_behind(before, take_snapshot()) == []

    _check(host, act)


def test_forwarding_that_another_one_switched_on_is_shared_where_proc_is_read_only(
    host: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def act(edge: LinuxEdge) -> None:
        one, two = (LinuxEdge(Journal(name, folder=tmp_path / "pypptp" / "journal")) for name in ("one", "two"))
        one.enable_forwarding()
        with monkeypatch.context() as patch:
            patch.setattr(forwarding, "enable", lambda: pytest.fail("it is on"))
            assert two.enable_forwarding()
        assert [*two.undo(), *one.undo()] == []

    _check(host, act)


def test_without_a_place_for_a_journal_it_works_all_the_same(
    host: Namespace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()

    def act(edge: LinuxEdge) -> None:
        edge = LinuxEdge(Journal("server", folder=tmp_path / "file" / "journal"))
        (error,) = edge.recover().errors
        assert "Not a directory" in error
        assert edge.enable_forwarding()
        edge.add_nat(None, [])
        edge.pin_route(SERVER)
        assert edge.undo() == []

    _check(host, act)
    assert len([record for record in caplog.records if "no journal" in record.getMessage()]) == 1


def test_a_way_that_is_held(host: Namespace) -> None:
    def act(edge: LinuxEdge) -> None:
        hold = Hold()
        way = edge.route_to(SERVER, by="eth0")
        assert edge.pin_route(SERVER, via=way, session=hold) == way
        tun = edge.open_tun()
        edge.configure(tun, local=LOCAL, peer=PEER)
        edge.add_default_route(tun)
        assert edge.route_to(EVERYTHING).interface == "ppp0"
        around = edge.route_to(EVERYTHING, around=tun)
        assert (around.interface, around.gateway) == ("eth0", GATEWAY)
        assert edge.release(hold) == []
        assert edge.release(hold) == []
        assert edge.route_to(SERVER).interface == "ppp0"

    _check(host, act)


def test_a_default_route_with_a_metric_is_one_among_others(host: Namespace) -> None:
    def act(edge: LinuxEdge) -> None:
        tun = edge.open_tun()
        edge.configure(tun, local=LOCAL, peer=PEER)
        edge.add_default_route(tun, metric=100)
        assert edge.route_to(EVERYTHING).interface == "eth0"
        with NetlinkSocket() as netlink:
            routes.remove(netlink, Route(IPv4Network("0.0.0.0/0"), "eth0", GATEWAY))
        assert edge.route_to(EVERYTHING).interface == "ppp0"
        with NetlinkSocket() as netlink:
            routes.add(netlink, Route(IPv4Network("0.0.0.0/0"), "eth0", GATEWAY))

    _check(host, act)


def test_sockets_are_held_on_an_interface_and_marked_for_the_kill_switch(host: Namespace) -> None:
    def act(edge: LinuxEdge) -> None:
        with socket.socket() as sock:
            edge.bind_socket(sock, "eth0")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0") == b"eth0"
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_MARK) == 0
            edge.add_kill_switch(SERVER, 1723)
            edge.bind_socket(sock, None)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_MARK) == kill_switch.MARK
            with pytest.raises(NetworkError, match="cannot bind a socket to the interface eth9"):
                edge.bind_socket(sock, "eth9")

    _check(host, act)


def test_a_kill_switch_that_is_left_is_the_next_ones_to_take_back(
    host: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "_DYING_SECONDS", 0.1)
    folder = tmp_path / "pypptp" / "journal"

    def act() -> None:
        before = take_snapshot()
        journal = Journal("client", folder=folder)
        edge = LinuxEdge(journal)
        assert not edge.leave_kill_switch()
        hold = Hold()
        edge.add_kill_switch(SERVER, 1723, session=hold)
        edge.add_kill_switch(HOST, 1723, session=hold)
        assert edge.release(hold) == []
        assert take_snapshot() == before
        edge.add_kill_switch(SERVER, 1723, session=hold)
        assert edge.leave_kill_switch()
        assert edge.undo() == []
        journal.close()
        assert [line for line in left_behind(before, take_snapshot()) if "nftables table pypptp-kill-switch-" in line]
        next_one = LinuxEdge(Journal("client", folder=folder))
        assert next_one.recover(keep_kill_switch=True).taken_back == []
        # A lock that nobody has is what tells; the process number is this one's still, and so it is left alone.
        assert len(next_one.recover().left) == 1
        assert len(list(folder.iterdir())) == 1

    host.run(act, own_sysfs=True)


def test_name_servers_go_with_the_tun(host: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolv_conf, "RESOLV_CONF", tmp_path / "resolv.conf")
    monkeypatch.setattr(resolv_conf, "STATE_FOLDER", tmp_path / "state")
    monkeypatch.setattr(linux, "means_for", lambda name, *, instance: [Refusing(), *means_for(name, instance=instance)])
    monkeypatch.setattr(name_servers, "_which", lambda _: None)
    (tmp_path / "resolv.conf").write_text("nameserver 192.0.2.53\n")

    def act(edge: LinuxEdge) -> None:
        tun = edge.open_tun()
        for servers in ([PEER], [PEER, LOCAL]):
            assert edge.set_name_servers(tun, servers) == str(tmp_path / "resolv.conf")
        assert [line for line in edge.changes() if "name servers" in line] == ["name servers 192.168.0.234 for ppp0"]
        assert (tmp_path / "resolv.conf").read_text().count("nameserver") == 2
        assert edge.undo_for(tun) == []
        assert (tmp_path / "resolv.conf").read_text() == "nameserver 192.0.2.53\n"
        with pytest.raises(LocalProtocolError):
            edge.set_name_servers(tun, [PEER])

    _check(host, act)


class Refusing:
    words = "a means that is down"
    record = None

    def set(self, servers: Sequence[IPv4Address]) -> None:
        raise NetworkError("it is down")

    def take_back(self) -> None:
        raise AssertionError("it was never set")
