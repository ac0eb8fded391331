"""The kill switch: nothing leaves this machine in clear, whether there is a tunnel or not.

One nftables table, as ``nft list ruleset`` would show it::

    table inet pypptp-kill-switch-<pid>-<random> {
        flags owner,persist
        chain output {
            type filter hook output priority filter; policy drop;
            oifname "lo" accept
            meta oifgroup 0x70707470 accept                        (tunnels of clients with a kill switch)
            meta mark 0x70707470 accept                            (their sockets towards their servers)
            ip daddr 198.51.100.7 tcp dport 1723 accept            (the server)
            ip daddr 198.51.100.7 meta l4proto gre accept
            ip protocol udp udp sport 68 udp dport 67 accept       (DHCP)
            ip daddr 192.168.0.0/16 accept                         (one rule for each network of --bypass)
        }
        chain forward {
            type filter hook forward priority filter; policy drop;
            meta oifgroup 0x70707470 accept
            meta iifgroup 0x70707470 accept
            ip daddr 192.168.0.0/16 accept
        }
    }

The table is there before the first connection, when the tunnel has neither a name nor an address: so its device is
known by its group, which no other client shares but one with a kill switch of its own. With names each of two would
close the way of the other. IPv6, which the tunnel does not carry, has no rule, and is dropped.

It outlives its process, after kill -9 too, and that is what it is for. The journal knows it, so that ``pypptp undo``
and the next start find it. While the process lives the table is its own (Linux 6.9, "persist"), and a firewall that is
started again does not flush it; an older kernel has a table without an owner, which anybody may delete.

What it cannot hold: what goes out by a packet socket, below the firewall, as DHCP clients and sniffers do; and what an
earlier chain accepts makes no difference, a verdict "accept" ends its own table alone.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from pypptp.errors import NetworkError
from pypptp.net import nftables
from pypptp.net.netlink import NetlinkSocket, refused
from pypptp.net.nftables import NETLINK_NETFILTER, NFPROTO_INET, Message, compare, load_meta, load_octets

MARK = 0x70707470
"""``pptp``: the group of a tunnel's device, and the mark of the sockets that lead to its server."""
PREFIX = "pypptp-kill-switch-"

_TCP = 6
_UDP = 17
_GRE = 47
_DESTINATION_OFFSET = 16
_DHCP_PORTS = struct.pack("!HH", 68, 67)
_NATIVE = struct.Struct("=I")


def new_name() -> str:
    """Return a name that no other kill switch has or had."""
    return f"{PREFIX}{os.getpid()}-{os.urandom(4).hex()}"


class KillSwitch:
    """One kill switch. Making the object changes nothing.

    Args:
        name: of its table, from :func:`new_name`.
        bypass: networks that may be reached in clear.
    """

    def __init__(self, name: str, *, bypass: Iterable[IPv4Network] = ()) -> None:
        self.name = name
        self._bypass = tuple(bypass)
        self._flags = nftables.NFT_TABLE_F_OWNER | nftables.NFT_TABLE_F_PERSIST
        self._netlink: NetlinkSocket | None = None

    def close_around(self, server: IPv4Address, port: int) -> None:
        """Let nothing through but what leads to ``server``; called again, for another server, without a gap.

        Raises:
            NetworkError: no right, or no nftables in this kernel.
        """
        first = self._netlink is None
        try:
            if self._netlink is None:
                self._netlink = NetlinkSocket(NETLINK_NETFILTER)
            try:
                self._make(self._netlink, server, port)
            except OSError as error:
                if not self._flags or error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                    raise
                self._flags = 0
                self._make(self._netlink, server, port)
        except OSError as error:
            if first:
                self.leave()
            raise _refused("make the kill switch", error) from error

    def remove(self) -> None:
        """Delete the table; one that is gone already is no error. Raises NetworkError where it is refused."""
        netlink, self._netlink = self._netlink, None
        if netlink is not None:
            with netlink:
                _remove(netlink, self.name)

    def leave(self) -> None:
        """Let go of the table, which stays."""
        netlink, self._netlink = self._netlink, None
        if netlink is not None:
            netlink.close()

    def _make(self, netlink: NetlinkSocket, server: IPv4Address, port: int) -> None:
        messages = _table(self.name, server, port, self._bypass, self._flags)
        if _is_there(netlink, self.name):
            messages.insert(0, nftables.delete_table(NFPROTO_INET, self.name))
        nftables.transact(netlink, messages)


def remove(name: str) -> None:
    """Delete the table of a kill switch whose process is no more, likewise."""
    if not name.startswith(PREFIX):
        raise NetworkError(f"{name} is no kill switch")
    try:
        netlink = NetlinkSocket(NETLINK_NETFILTER)
    except OSError:
        return  # a kernel without nftables has no table either
    with netlink:
        _remove(netlink, name)


def _remove(netlink: NetlinkSocket, name: str) -> None:
    try:
        if _is_there(netlink, name):
            nftables.transact(netlink, [nftables.delete_table(NFPROTO_INET, name)])
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise _refused("take the kill switch away", error) from error


def _table(name: str, server: IPv4Address, port: int, bypass: Sequence[IPv4Network], flags: int) -> list[Message]:
    group = compare(_NATIVE.pack(MARK))
    past = [[*_to(network), _ACCEPT] for network in bypass]
    output = [
        [load_meta(nftables.META_OIFNAME), compare(nftables.interface_octets("lo")), _ACCEPT],
        [load_meta(nftables.META_OIFGROUP), group, _ACCEPT],
        [load_meta(nftables.META_MARK), group, _ACCEPT],
        [*_to(IPv4Network(server)), *_protocol(_TCP), *_ports(2, struct.pack("!H", port)), _ACCEPT],
        [*_to(IPv4Network(server)), *_protocol(_GRE), _ACCEPT],
        [*_IPV4, *_protocol(_UDP), *_ports(0, _DHCP_PORTS), _ACCEPT],
        *past,
    ]
    forward = [
        [load_meta(nftables.META_OIFGROUP), group, _ACCEPT],
        [load_meta(nftables.META_IIFGROUP), group, _ACCEPT],
        *past,
    ]
    drop = (nftables.PRIORITY_FILTER, nftables.NF_DROP)
    messages = [
        nftables.new_table(NFPROTO_INET, name, comment=f"pypptp {os.getpid()}", flags=flags),
        nftables.new_chain(NFPROTO_INET, name, "output", "filter", nftables.NF_INET_LOCAL_OUT, *drop),
        nftables.new_chain(NFPROTO_INET, name, "forward", "filter", nftables.NF_INET_FORWARD, *drop),
    ]
    messages += [nftables.new_rule(NFPROTO_INET, name, "output", rule) for rule in output]
    messages += [nftables.new_rule(NFPROTO_INET, name, "forward", rule) for rule in forward]
    return messages


_ACCEPT = nftables.verdict(nftables.NF_ACCEPT)
_IPV4 = (load_meta(nftables.META_NFPROTO), compare(bytes([nftables.NFPROTO_IPV4])))


def _to(network: IPv4Network) -> list[Any]:
    return [
        *_IPV4,
        load_octets(nftables.NETWORK_HEADER, _DESTINATION_OFFSET, 4),
        nftables.mask(network.netmask.packed),
        compare(network.network_address.packed),
    ]


def _protocol(number: int) -> list[Any]:
    return [load_meta(nftables.META_L4PROTO), compare(bytes([number]))]


def _ports(offset: int, octets: bytes) -> list[Any]:
    return [load_octets(nftables.TRANSPORT_HEADER, offset, len(octets)), compare(octets)]


def _is_there(netlink: NetlinkSocket, name: str) -> bool:
    return any(table.get_attr("NFTA_TABLE_NAME") == name for table in nftables.list_tables(netlink, NFPROTO_INET))


def _refused(what: str, error: OSError) -> NetworkError:
    if error.errno in (errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.EOPNOTSUPP, errno.ENOENT):
        return NetworkError(f"cannot {what}: this kernel has no nftables (modprobe nf_tables)")
    return refused(what, error)
