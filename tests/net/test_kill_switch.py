"""What a kill switch lets pass and what not, by asking the kernel: a packet that is dropped on its way out is EPERM.

host 10.9.0.2 (eth0) --- 10.9.0.1 router
"""

import socket
import struct
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network

import pytest

from pypptp.errors import NetworkError
from pypptp.net import kill_switch, links, nftables
from pypptp.net.kill_switch import MARK, KillSwitch, new_name, remove
from pypptp.net.linux import LinuxEdge
from pypptp.net.namespaces import Namespace
from pypptp.net.netlink import NetlinkSocket, ifaddrmsg, nft_table_msg
from pypptp.net.snapshot import take_snapshot

SERVER, OTHER, NEAR = IPv4Address("10.9.0.1"), IPv4Address("10.9.0.7"), IPv4Network("10.9.0.64/26")

pytestmark = pytest.mark.netns


@pytest.fixture
def closed(host: Namespace) -> Iterator[Namespace]:
    """A host whose kill switch is on."""
    switch = KillSwitch(new_name(), bypass=[NEAR])
    host.run(lambda: switch.close_around(SERVER, 1723))
    yield host
    switch.remove()


def passes(sock: socket.socket, address: str, port: int, data: bytes = b"hello") -> bool:
    with sock:
        try:
            sock.sendto(data, (address, port))
        except PermissionError:
            return False
        return True


def udp(source: int = 0, mark: int = 0) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if mark:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
    made.bind(("", source))
    return made


def raw(protocol: int) -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)


def syn(port: int) -> bytes:
    return struct.pack("!HHIIHHHH", 50_000, port, 1, 0, 0x5002, 65_535, 0, 0)


@pytest.mark.parametrize(
    ("words", "attempt", "expected"),
    [
        ("anything", lambda: passes(udp(), str(OTHER), 9), False),
        ("a name server", lambda: passes(udp(), str(SERVER), 53), False),
        ("ping", lambda: passes(raw(1), str(SERVER), 0, b"\x08\0\xf7\xff\0\0\0\0"), False),
        ("the server's port", lambda: passes(raw(6), str(SERVER), 0, syn(1723)), True),
        ("another port of the server's", lambda: passes(raw(6), str(SERVER), 0, syn(1724)), False),
        ("that port elsewhere", lambda: passes(raw(6), str(OTHER), 0, syn(1723)), False),
        ("GRE to the server", lambda: passes(raw(47), str(SERVER), 0), True),
        ("GRE elsewhere", lambda: passes(raw(47), str(OTHER), 0), False),
        ("another kill switch's client", lambda: passes(udp(mark=MARK), str(OTHER), 9), True),
        ("DHCP", lambda: passes(udp(68), str(SERVER), 67), True),
        ("from DHCP's port alone", lambda: passes(udp(68), str(SERVER), 68), False),
        ("the first address past it", lambda: passes(udp(), "10.9.0.64", 9), True),
        ("the last address past it", lambda: passes(udp(), "10.9.0.127", 9), True),
        ("one before", lambda: passes(udp(), "10.9.0.63", 9), False),
        ("one behind", lambda: passes(udp(), "10.9.0.128", 9), False),
        ("this machine itself", lambda: passes(udp(), "10.9.0.2", 9), True),
        ("loopback", lambda: passes(udp(), "127.0.0.1", 9), True),
    ],
)
def test_what_passes(closed: Namespace, words: str, attempt: Callable[[], bool], expected: bool) -> None:
    assert closed.run(attempt) is expected, words


def test_ipv6_does_not_pass(closed: Namespace) -> None:
    def act() -> bool:
        message = ifaddrmsg()
        message["family"], message["prefixlen"] = socket.AF_INET6, 64
        message["index"], message["flags"] = links.interface_index("eth0"), 0x02
        message["attrs"] = [("IFA_ADDRESS", "fd00::2")]
        with NetlinkSocket() as netlink:
            netlink.request(message, links.RTM_NEWADDR, 0x600)
        return passes(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM), "fd00::1", 9)

    assert closed.run(act) is False


@pytest.mark.parametrize("own", [True, False])
def test_tunnels_pass_that_were_opened_behind_it(host: Namespace, own: bool) -> None:
    def act() -> bool:
        edge = LinuxEdge()
        if own:
            edge.add_kill_switch(SERVER, 1723)
        tun = edge.open_tun()
        edge.configure(tun, local=IPv4Address("192.168.0.234"), peer=IPv4Address("192.168.0.1"))
        if not own:
            edge.add_kill_switch(SERVER, 1723)
        try:
            return passes(udp(), "192.168.0.1", 9)
        finally:
            edge.undo()

    assert host.run(act, own_sysfs=True) is own


def test_the_server_can_change_without_two_tables(host: Namespace) -> None:
    def act() -> list[bool]:
        switch = KillSwitch(new_name())
        found = []
        for server in (SERVER, OTHER):
            switch.close_around(server, 1723)
            found += [passes(raw(47), str(address), 0) for address in (SERVER, OTHER)]
        assert len([line for line in take_snapshot() if line.startswith("nftables table")]) == 1
        switch.remove()
        return [*found, passes(udp(), str(OTHER), 9)]

    assert host.run(act) == [True, False, False, True, True]


def test_taken_away_twice_and_never_made(host: Namespace) -> None:
    def act() -> None:
        before = take_snapshot()
        remove(new_name())
        switch = KillSwitch(new_name())
        switch.close_around(SERVER, 1723)
        switch.remove()
        switch.remove()
        assert take_snapshot() == before

    host.run(act)


def flush(family: int) -> None:
    """What ``nft flush ruleset`` does."""
    message = nft_table_msg()
    message["nfgen_family"] = family
    with NetlinkSocket(nftables.NETLINK_NETFILTER) as netlink:
        nftables.transact(netlink, [(message, nftables.NFT_MSG_DELTABLE, 0)])


@pytest.mark.parametrize("flags", ["owner and persist", "none"])
def test_what_is_left_stays_and_is_the_next_ones_to_take(host: Namespace, flags: str) -> None:
    def act() -> None:
        before = take_snapshot()
        switch = KillSwitch(new_name())
        if flags == "none":
            switch._flags = 0
        switch.close_around(SERVER, 1723)
        switch.leave()
        assert not passes(udp(), str(OTHER), 9)
        remove(switch.name)
        assert take_snapshot() == before

    host.run(act)


def test_a_firewall_that_starts_again_does_not_flush_it(host: Namespace) -> None:
    def act() -> None:
        switch = KillSwitch(new_name())
        switch.close_around(SERVER, 1723)
        if not switch._flags:
            pytest.skip("this kernel's tables cannot be owned and stay (Linux 6.9)")
        flush(nftables.NFPROTO_INET)
        assert not passes(udp(), str(OTHER), 9)
        with pytest.raises(NetworkError, match="not allowed to take the kill switch away"):
            remove(switch.name)
        switch.close_around(OTHER, 1723)
        assert passes(raw(47), str(OTHER), 0)
        switch.remove()

    host.run(act)


def test_a_kernel_that_knows_no_such_flag(host: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nftables, "NFT_TABLE_F_PERSIST", 1 << 7)

    def act() -> None:
        switch = KillSwitch(new_name())
        switch.close_around(SERVER, 1723)
        assert switch._flags == 0
        assert not passes(udp(), str(OTHER), 9)
        switch.remove()

    host.run(act)


def test_no_other_table_is_taken_away() -> None:
    with pytest.raises(NetworkError, match="firewalld is no kill switch"):
        remove("firewalld")


def test_a_kernel_without_nftables_is_a_sentence(host: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> NetlinkSocket:
        raise OSError(93, "Protocol not supported")

    monkeypatch.setattr(kill_switch, "NetlinkSocket", refuse)
    with pytest.raises(NetworkError, match="this kernel has no nftables"):
        KillSwitch(new_name()).close_around(SERVER, 1723)
    remove(new_name())
