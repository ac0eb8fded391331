import socket

import pytest

from pypptp.net import nftables
from pypptp.net.namespaces import Namespace
from pypptp.net.netlink import NetlinkSocket
from pypptp.net.nftables import NFPROTO_INET, NFPROTO_IPV4


@pytest.mark.parametrize(
    ("pattern", "octets"),
    [
        ("eth0", b"eth0".ljust(16, b"\0")),
        ("ppp%d", b"ppp"),
        ("vpn%dx", b"vpn"),
        ("a" * 15, b"a" * 15 + b"\0"),
    ],
)
def test_interface_octets(pattern: str, octets: bytes) -> None:
    assert nftables.interface_octets(pattern) == octets


@pytest.mark.netns
def test_all_or_nothing_and_families_apart(host: Namespace) -> None:
    def act() -> None:
        with NetlinkSocket(nftables.NETLINK_NETFILTER) as netlink:
            made = nftables.new_table(NFPROTO_INET, "one", comment="a test")
            wrong = nftables.new_chain(NFPROTO_INET, "two", "output", "filter", nftables.NF_INET_LOCAL_OUT, 0)
            with pytest.raises(OSError, match=r"."):
                nftables.transact(netlink, [made, wrong])
            assert names(netlink, 0) == []
            nftables.transact(netlink, [nftables.new_table(NFPROTO_INET, "one", comment="a test")])
            assert (names(netlink, 0), names(netlink, NFPROTO_INET), names(netlink, NFPROTO_IPV4)) == (
                ["one"],
                ["one"],
                [],
            )
            with pytest.raises(FileExistsError):
                nftables.transact(netlink, [nftables.new_table(NFPROTO_INET, "one", comment="a test")])
            nftables.transact(netlink, [nftables.delete_table(NFPROTO_INET, "one")])
            assert names(netlink, 0) == []

    host.run(act)


@pytest.mark.netns
def test_a_verdict_decides(host: Namespace) -> None:
    def act() -> None:
        rule = [nftables.load_meta(nftables.META_L4PROTO), nftables.compare(b"\x11"), nftables.verdict(0)]
        chain = (NFPROTO_INET, "one", "output")
        with NetlinkSocket(nftables.NETLINK_NETFILTER) as netlink:
            nftables.transact(
                netlink,
                [
                    nftables.new_table(NFPROTO_INET, "one", comment="a test"),
                    nftables.new_chain(*chain, "filter", nftables.NF_INET_LOCAL_OUT, nftables.PRIORITY_FILTER),
                    nftables.new_rule(*chain, rule),
                ],
            )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, pytest.raises(PermissionError):
            sender.sendto(b"x", ("10.9.0.1", 9))

    host.run(act)


def names(netlink: NetlinkSocket, family: int) -> list[str]:
    return [table.get_attr("NFTA_TABLE_NAME") for table in nftables.list_tables(netlink, family)]
