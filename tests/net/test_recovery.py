"""Journals as dead processes leave them; kill -9 of real ones is in tests/netns/test_undo.py."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pypptp.errors import NetworkError
from pypptp.net import forwarding, name_servers, nat, recovery, resolv_conf, routes
from pypptp.net.edge import Recovery, Route
from pypptp.net.forwarding import IPV4
from pypptp.net.journal import Entry, Journal, entry_line, parse
from pypptp.net.journal_folder import open_folder
from pypptp.net.kill_switch import KillSwitch
from pypptp.net.links import interface_index
from pypptp.net.namespaces import Namespace
from pypptp.net.nat import NatTable
from pypptp.net.netlink import rtnetlink
from pypptp.net.owner import NamespaceId, Owner, process_start, this_owner
from pypptp.net.records import ForwardingOn, KillSwitchOn, NatMade, Record, RouteAdded
from pypptp.net.recovery import recover, take_back
from pypptp.net.snapshot import left_behind, take_snapshot

from .test_records import FILED, FORWARDING, NAT, ROUTE

DEAD = 2**22 + 1
"""Above the largest process number that Linux gives out."""


def owner(*, boot: str = "", pid: int = DEAD, instance: str = "client", **namespace: int) -> Owner:
    here = this_owner("")
    place = {"device": here.namespace.device, "inode": here.namespace.inode, "cookie": here.namespace.cookie}
    return Owner(
        boot=boot or here.boot, namespace=NamespaceId(**(place | namespace)), pid=pid, start="1", instance=instance
    )


class Journals:
    """A folder of journals."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.close(open_folder(path, create=True))

    def leave(self, whose: Owner, *records: Record, at: int = 0, name: str = "1-dead") -> Path:
        path = self.path / f"{name}.journal"
        entries = [Entry(number=n, at=at + 10 * n, owner=whose, record=record) for n, record in enumerate(records, 1)]
        path.write_bytes(b"".join(map(entry_line, entries)))
        path.chmod(0o600)
        return path

    @contextmanager
    def held(self, path: Path) -> Iterator[None]:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def names(self) -> list[str]:
        return sorted(path.name for path in self.path.iterdir())


@pytest.fixture
def journals(tmp_path: Path) -> Journals:
    return Journals(tmp_path / "pypptp" / "journal")


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    """What is taken back, in order; nothing is."""
    found: list[Record] = []
    monkeypatch.setattr(recovery, "take_back", found.append)
    return found


def test_nothing_there(tmp_path: Path, journals: Journals) -> None:
    assert recover(folder=tmp_path / "nowhere" / "journal") == Recovery()
    assert recover(folder=journals.path) == Recovery()


def test_the_last_change_first_whosever_it_was(journals: Journals, taken: list[Record]) -> None:
    journals.leave(owner(instance="server"), FORWARDING, NAT, name="1-first")
    journals.leave(owner(), ROUTE, at=5, name="2-second")
    found = recover(folder=journals.path)
    assert taken == [NAT, ROUTE, FORWARDING]
    assert f"IPv4 forwarding on, of pid {DEAD} (server)" in found.taken_back
    assert (found.left, found.dropped, found.errors) == ([], 0, [])
    assert journals.names() == []


def test_another_boot_and_a_namespace_that_is_gone_are_dropped(journals: Journals, taken: list[Record]) -> None:
    journals.leave(owner(boot="another"), ROUTE, NAT, name="1-boot")
    journals.leave(owner(cookie=2**60), ROUTE, name="2-namespace")
    found = recover(folder=journals.path)
    assert (found.dropped, found.taken_back, taken) == (3, [], [])
    assert journals.names() == []


def test_other_namespaces_and_living_owners_are_left_alone(journals: Journals, taken: list[Record]) -> None:
    journals.leave(owner(inode=1), ROUTE, NAT, name="1-elsewhere")
    alive = journals.leave(owner(instance="server"), ROUTE, name="2-alive")
    before = journals.names()
    with journals.held(alive):
        found = recover(folder=journals.path)
    assert taken == []
    assert found.left == [
        f"2 changes of pid {DEAD} (client), in another network namespace",
        f"1 change of pid {DEAD} (server), which is running",
    ]
    assert journals.names() == before


def test_one_without_its_lock_that_is_there_is_given_time_to_go(
    journals: Journals, taken: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as dying:
        start = process_start(dying.pid)
        assert start is not None
        whose = Owner(boot=owner().boot, namespace=owner().namespace, pid=dying.pid, start=start, instance="server")
        journals.leave(whose, NAT)
        monkeypatch.setattr(recovery, "_DYING_SECONDS", 0.1)
        assert recover(folder=journals.path).left == [f"1 change of {whose}, which is running"]
        monkeypatch.setattr(recovery, "_DYING_SECONDS", 20.0)
        sleep = time.sleep

        def kill(seconds: float) -> None:
            dying.kill()
            sleep(seconds)

        monkeypatch.setattr(time, "sleep", kill)
        assert recover(folder=journals.path).taken_back == [f"{NAT}, of {whose}"]
        assert taken == [NAT]


def test_its_number_given_to_another_process(journals: Journals, taken: list[Record]) -> None:
    journals.leave(owner(pid=os.getppid()), NAT)
    recover(folder=journals.path)
    assert taken == [NAT]


def test_our_own_is_left_alone_at_once(journals: Journals, taken: list[Record]) -> None:
    mine = Journal("client", folder=journals.path)
    mine.write(NAT)
    assert recover(folder=journals.path).left == [f"1 change of pid {os.getpid()} (client), which is running"]
    mine.close()
    begin = time.monotonic()
    assert recover(folder=journals.path).left == [f"1 change of pid {os.getpid()} (client), which is running"]
    assert time.monotonic() - begin < 2
    assert taken == []


@pytest.mark.parametrize("shared", [ROUTE, FORWARDING])
def test_what_a_living_one_has_written_down_too_is_left_to_it(
    journals: Journals, taken: list[Record], shared: Record
) -> None:
    journals.leave(owner(), shared, NAT, name="1-dead")
    other = ForwardingOn(forwarding.ForwardingState("0", {})) if isinstance(shared, ForwardingOn) else shared
    alive = journals.leave(owner(instance="server"), other, name="2-alive")
    with journals.held(alive):
        for dry_run in (True, False):
            found = recover(folder=journals.path, dry_run=dry_run)
            assert found.taken_back == [f"{NAT}, of pid {DEAD} (client)"]
            assert f"{shared}, of pid {DEAD} (client), to pid {DEAD} (server), which needs it too" in found.left, found
    assert taken == [NAT]
    assert journals.names() == ["2-alive.journal"]


def test_what_is_refused_stays_for_the_next_time(journals: Journals, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Record] = []

    def refuse(record: Record) -> None:
        if record == ROUTE:
            raise NetworkError("not allowed to remove it: run as root")
        if record == FORWARDING:
            raise OSError(30, "Read-only file system", "/proc/sys")
        taken.append(record)

    monkeypatch.setattr(recovery, "take_back", refuse)
    path = journals.leave(owner(), ROUTE, FORWARDING, NAT)
    found = recover(folder=journals.path)
    assert found.errors == [
        "could not take back IPv4 forwarding on: /proc/sys: Read-only file system",
        f"could not take back {ROUTE}: not allowed to remove it: run as root",
    ]
    assert taken == [NAT]
    assert [entry.record for entry in parse(path.read_bytes())] == [ROUTE, FORWARDING]


def test_a_journal_that_cannot_be_changed(
    journals: Journals, taken: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise OSError(30, "Read-only file system")

    journals.leave(owner(), ROUTE)
    monkeypatch.setattr(os, "unlink", refuse)
    found = recover(folder=journals.path)
    assert taken == [ROUTE]
    assert len(found.taken_back) == 1
    assert found.errors == [f"cannot strike {ROUTE} out in 1-dead.journal: Read-only file system"]


def test_a_dry_run_changes_no_file(journals: Journals, taken: list[Record]) -> None:
    path = journals.leave(owner(), ROUTE, NAT)
    journals.leave(owner(boot="another"), ROUTE, name="2-boot")
    (journals.path / "3-garbage.journal").write_bytes(b"garbage")
    before = {found.name: found.read_bytes() for found in journals.path.iterdir()}
    found = recover(folder=journals.path, dry_run=True)
    assert (len(found.taken_back), found.dropped, taken) == (2, 1, [])
    assert {found.name: found.read_bytes() for found in journals.path.iterdir()} == before
    assert path.exists()


def test_garbage_and_what_is_unfinished_is_removed(journals: Journals, taken: list[Record]) -> None:
    (journals.path / "1-garbage.journal").write_bytes(b"\0garbage\n{")
    (journals.path / "2-empty.journal").touch()
    (journals.path / "3-begun.journal.new").write_bytes(entry_line(Entry(number=1, at=1, owner=owner(), record=NAT)))
    (journals.path / "somebody's own").touch()
    assert recover(folder=journals.path) == Recovery()
    assert journals.names() == ["somebody's own"]
    assert taken == []


def test_a_file_that_is_not_ours_is_named_and_the_rest_goes_on(journals: Journals, taken: list[Record]) -> None:
    journals.leave(owner(), ROUTE, name="1-hostile").chmod(0o666)
    journals.leave(owner(), NAT, name="2-dead")
    found = recover(folder=journals.path)
    assert taken == [NAT]
    assert found.errors == [
        f"journal 1-hostile.journal is left alone: 1-hostile.journal is no journal of user {os.geteuid()}'s own"
    ]
    assert journals.names() == ["1-hostile.journal"]


def test_a_folder_that_is_not_ours(journals: Journals) -> None:
    journals.path.chmod(0o755)
    (error,) = recover(folder=journals.path).errors
    assert "is open to others" in error


def test_two_at_once(journals: Journals, taken: list[Record], monkeypatch: pytest.MonkeyPatch) -> None:
    journals.leave(owner(), NAT)
    monkeypatch.setattr(recovery, "_PATIENCE_SECONDS", 0.05)
    other = Journal("server", folder=journals.path)
    with other.exclusive():
        assert recover(folder=journals.path).errors == ["another pypptp is at work on the journals: try again later"]
    assert taken == []
    other.close()
    assert len(recover(folder=journals.path).taken_back) == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200), st.integers(0, 400))
def test_it_never_raises_whatever_is_in_the_file(
    journals: Journals, taken: list[Record], garbage: bytes, cut: int
) -> None:
    path = journals.leave(owner(), ROUTE, NAT)
    path.write_bytes(path.read_bytes()[:cut] + garbage)
    found = recover(folder=journals.path)
    assert found.errors == []
    assert journals.names() == []


# On a real system.


def in_host(host: Namespace, act: Callable[[], None]) -> None:
    def inside() -> None:
        before = take_snapshot()
        act()
        assert left_behind(before, take_snapshot()) == []

    host.run(inside)


TEN = Route(IPv4Network("10.0.0.0/8"), "eth0", IPv4Address("10.9.0.1"))


@pytest.mark.netns
def test_a_route_is_taken_back_exactly(host: Namespace) -> None:
    def act() -> None:
        index = interface_index("eth0")
        with rtnetlink() as netlink:
            both = [routes.add(netlink, TEN), routes.add(netlink, TEN)]
        assert None not in both
        with_both = take_snapshot()
        for never_made in (
            RouteAdded(Route(TEN.network, "eth0", TEN.gateway, metric=7), index),
            RouteAdded(Route(TEN.network, "eth0", IPv4Address("10.9.0.7")), index),
            RouteAdded(Route(IPv4Network("10.0.0.0/9"), "eth0", TEN.gateway), index),
            RouteAdded(TEN, 1),
            RouteAdded(TEN, 2**30),
        ):
            take_back(never_made)
        assert take_snapshot() == with_both
        for number, route in enumerate(both):
            assert route is not None
            take_back(RouteAdded(route, index))
            take_back(RouteAdded(route, index))
            assert len(left_behind(with_both, take_snapshot())) == number + 1

    in_host(host, act)


@pytest.mark.netns
def test_a_route_that_somebody_else_added_stays(host: Namespace) -> None:
    def act() -> None:
        message = routes._full(TEN, interface_index("eth0"))
        message["proto"] = 4
        with rtnetlink() as netlink:
            netlink.request(message, routes.RTM_NEWROUTE, 0x400)
        before = take_snapshot()
        take_back(RouteAdded(TEN, interface_index("eth0")))
        assert take_snapshot() == before

    host.run(act)


@pytest.mark.netns
def test_forwarding_that_was_written_down_and_never_switched_on(host: Namespace) -> None:
    def act() -> None:
        (IPV4 / "conf/eth0/forwarding").write_text("1")
        state = forwarding.read_state()
        (IPV4 / "conf/all/accept_redirects").write_text("0")  # since
        before = take_snapshot()
        take_back(ForwardingOn(state))
        assert take_snapshot() == before

    host.run(act)


@pytest.mark.netns
def test_forwarding_stays_while_a_table_says_that_somebody_needs_it(host: Namespace) -> None:
    def act() -> None:
        state = forwarding.read_state()
        forwarding.enable()
        table = NatTable("eth0", [], tunnels="ppp%d")
        with pytest.raises(NetworkError, match="another pypptp still needs it"):
            take_back(ForwardingOn(state))
        take_back(ForwardingOn(state), own_tables=[table.name])
        table.remove()

    in_host(host, act)


@pytest.mark.netns
def test_a_table_of_a_kernel_without_the_owner_flag(host: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    def act() -> None:
        monkeypatch.setattr(nat, "NFT_TABLE_F_OWNER", 0)
        living = NatTable("eth0", [], tunnels="ppp%d")
        with monkeypatch.context() as patch:
            patch.setattr(nat, "own_comment", lambda: f"pypptp {DEAD} 1")
            NatTable("eth0", [], tunnels="ppp%d")._netlink.close()
        assert len(nat.other_tables()) == 2
        for _ in range(2):
            take_back(NatMade("eth0", (), f"pypptp {DEAD} 1"))
        assert nat.other_tables() == [living.name]
        living.remove()

    in_host(host, act)


@pytest.mark.netns
def test_a_kill_switch_stays_until_its_heir_is_there(host: Namespace, journals: Journals) -> None:
    name = "pypptp-kill-switch-4711-0123abcd"

    def act() -> None:
        switch = KillSwitch(name)
        switch.close_around(IPv4Address("10.9.0.1"), 1723)
        switch.leave()
        journals.leave(owner(), KillSwitchOn(name))
        words = f"kill switch (nftables table {name}), of pid {DEAD} (client)"
        assert recover(folder=journals.path, keep_kill_switch=True) == Recovery(left=[words])
        assert f"nftables table {name}" in take_snapshot()
        for dry_run in (True, False):
            found = recover(folder=journals.path, dry_run=dry_run)
            assert found.taken_back == [words]
        assert journals.names() == []

    in_host(host, act)


def test_what_was_filed_with_resolvconf(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Record] = []
    monkeypatch.setattr(name_servers, "unfile", taken.append)
    take_back(FILED)
    assert taken == [FILED]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_name_servers_of_the_dead_are_taken_back_too(
    tmp_path: Path, journals: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolv_conf, "RESOLV_CONF", tmp_path / "resolv.conf")
    monkeypatch.setattr(resolv_conf, "STATE_FOLDER", tmp_path / "state")
    (tmp_path / "resolv.conf").write_text("nameserver 192.0.2.53\n")
    resolv_conf.push("ppp0", [IPv4Address("192.168.0.1")], instance="client").close()
    found = recover(folder=journals.path)
    assert [change.partition(" in ")[0] for change in found.taken_back] == ["name servers 192.168.0.1 for ppp0"]
    assert (tmp_path / "resolv.conf").read_text() == "nameserver 192.0.2.53\n"
