"""NAT, MSS clamping and isolation as nftables tables of our own, by netlink; no ``nft`` or ``iptables`` is called.

The table of NAT, as ``nft list ruleset`` would show it; without NAT it has the second chain alone::

    table ip pypptp {
        comment "pypptp <pid> <start time>"
        flags owner
        chain postrouting {
            type nat hook postrouting priority srcnat; policy accept;
            oifname "eth0" ip saddr 192.168.0.234/31 masquerade      (one rule for each source network)
        }
        chain forward {
            type filter hook forward priority mangle; policy accept;
            oifname "ppp*" tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
            iifname "ppp*" tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
        }
    }

``rt mtu`` is the smaller of the MTUs of the routes to the destination and back to the source (Linux ``nft_rt``), less
40 octets, and the kernel never raises an MSS with it: so each session is clamped to its own TUN's MTU in both
directions by rules that do not name one, and an uplink with a smaller MTU than the tunnel's counts too. A fixed MTU -
40 could do neither.

Isolation is a table too, which holds whether this host forwards or not and whoever made it so. It knows our clients'
interfaces by their group, not by name: the uplink may be a ``ppp0`` as well. ``ip`` alone, since tunnels carry IPv4::

    chain forward {
        type filter hook forward priority filter; policy accept;
        meta iifgroup 1723 meta oifgroup 1723 drop
    }

The owner flag (Linux 5.12) ties the table to this process: nobody else changes or flushes it, and the kernel removes
it when the socket closes, after kill -9 too. Where the kernel has no such flag the comment says whose table it is,
and one whose process is dead is replaced.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network
from typing import Any

from pypptp.errors import NetworkError
from pypptp.net import nftables
from pypptp.net.links import ISOLATED_GROUP
from pypptp.net.netlink import NetlinkSocket, genex, refused
from pypptp.net.nftables import NETLINK_NETFILTER, NFPROTO_IPV4, NFT_TABLE_F_OWNER, Message, compare, transact
from pypptp.net.owner import process_start

TABLE = "pypptp"
_REGISTER = 1
_RT_TCPMSS = 3
_EXTHDR_TCP_OPTION = 1
_TCPOPT_MAXSEG = 2
_TCP = 6
_TCP_FLAGS_OFFSET = 13
_TCP_SYN = 0x02
_TCP_RST = 0x04
_NAMES_TRIED = 32


class OwnTable:
    """One table, from its making to :meth:`remove`.

    Args:
        content: makes its chains and rules, given its name.

    Raises:
        NetworkError: no right, or no nftables in this kernel.
    """

    cure = "go without"
    """What to do where there is no nftables."""

    def __init__(self, content: Callable[[str], list[Message]]) -> None:
        self._content = content
        try:
            self._netlink = NetlinkSocket(NETLINK_NETFILTER)
        except OSError as error:
            raise _refused("open the netlink socket of nftables", error, self.cure) from error
        try:
            self.name = self._create()
        except OSError as error:
            self._netlink.close()
            raise _refused("make the nftables table", error, self.cure) from error
        except BaseException:
            self._netlink.close()
            raise

    def remove(self) -> None:
        """Delete the table, chains and rules with it. One that is gone already is no error."""
        try:
            transact(self._netlink, [nftables.delete_table(NFPROTO_IPV4, self.name)])
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EBADF):
                raise _refused(f"delete the nftables table {self.name}", error, self.cure) from error
        finally:
            self._netlink.close()

    def _create(self) -> str:
        owner = NFT_TABLE_F_OWNER
        names = [TABLE, f"{TABLE}-{os.getpid()}"]
        names += [f"{TABLE}-{os.getpid()}-{number}" for number in range(2, _NAMES_TRIED)]
        while names:
            name = names[0]
            try:
                transact(self._netlink, self._messages(name, owner))
            except OSError as error:
                if owner and error.errno in (errno.EINVAL, errno.EOPNOTSUPP):
                    owner = 0
                elif error.errno in (errno.EEXIST, errno.EPERM, errno.EBUSY) and self._taken(name):
                    if self._stale(name):
                        try:
                            delete = nftables.delete_table(NFPROTO_IPV4, name)
                            transact(self._netlink, [delete, *self._messages(name, owner)])
                        except OSError:
                            names.pop(0)  # somebody was quicker; his table is his
                        else:
                            return name
                    else:
                        names.pop(0)
                else:
                    raise
            else:
                return name
        raise NetworkError(
            f"all names for an nftables table from {TABLE} on are taken: delete those that are left over"
        )

    def _messages(self, name: str, flags: int) -> list[Message]:
        return [nftables.new_table(NFPROTO_IPV4, name, comment=own_comment(), flags=flags), *self._content(name)]

    def _taken(self, name: str) -> bool:
        return any(
            table.get_attr("NFTA_TABLE_NAME") == name for table in nftables.list_tables(self._netlink, NFPROTO_IPV4)
        )

    def _stale(self, name: str) -> bool:
        """Whether the table says that it is pypptp's, of a process that is no more."""
        for table in nftables.list_tables(self._netlink, NFPROTO_IPV4):
            if (
                table.get_attr("NFTA_TABLE_NAME") == name
                and not (table.get_attr("NFTA_TABLE_FLAGS") or 0) & NFT_TABLE_F_OWNER
            ):
                words = (table.get_attr("NFTA_TABLE_USERDATA") or "").split()
                if len(words) == 3 and words[0] == TABLE and words[1].isdigit():
                    return process_start(int(words[1])) != words[2]
        return False


class NatTable(OwnTable):
    """Masquerading, and the clamping of what passes the tunnels.

    Args:
        interface: masquerade what leaves by it.
        sources: and comes from these networks.
        tunnels: name of the TUN, or pattern with ``%d``, whose TCP connections are clamped.

    Raises:
        NetworkError: no right, or no nftables or no NAT in this kernel.
    """

    cure = "--nat none goes without"

    def __init__(self, interface: str, sources: Iterable[IPv4Network], *, tunnels: str) -> None:
        networks = list(sources)
        super().__init__(
            lambda name: [*_masquerading(name, interface, networks), *_clamping(name, tunnels)],
        )


class ClampTable(OwnTable):
    """The clamping alone.

    Args:
        tunnels: name of the TUN, or pattern with ``%d``, whose TCP connections are clamped.
    """

    def __init__(self, tunnels: str) -> None:
        super().__init__(lambda name: _clamping(name, tunnels))


class IsolationTable(OwnTable):
    """Nothing passes from one interface of ISOLATED_GROUP to another, or back by the one it came from."""

    cure = "--isolate needs it"

    def __init__(self) -> None:
        super().__init__(_isolation)


def own_comment() -> str:
    """Return what this process's tables say of their owner."""
    return f"{TABLE} {os.getpid()} {process_start(os.getpid()) or 0}"


def remove_tables(comment: str) -> None:
    """Delete the tables of this namespace that bear ``comment``, of a process that is no more.

    There are such only where the kernel knows no owner flag. Raises NetworkError where it refuses.
    """
    try:
        with NetlinkSocket(NETLINK_NETFILTER) as netlink:
            for table in nftables.list_tables(netlink, NFPROTO_IPV4):
                name = table.get_attr("NFTA_TABLE_NAME")
                if (name == TABLE or name.startswith(f"{TABLE}-")) and (
                    table.get_attr("NFTA_TABLE_USERDATA") or ""
                ) == comment:
                    transact(netlink, [nftables.delete_table(NFPROTO_IPV4, name)])
    except OSError as error:
        if error.errno not in (errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.ENOENT):
            raise _refused("delete an nftables table", error, OwnTable.cure) from error


def other_tables(own: Iterable[str] = ()) -> list[str]:
    """List the tables of other running pypptp processes in this namespace; empty where nftables cannot be asked."""
    mine = set(own)
    try:
        with NetlinkSocket(NETLINK_NETFILTER) as netlink:
            names = [table.get_attr("NFTA_TABLE_NAME") for table in nftables.list_tables(netlink, NFPROTO_IPV4)]
    except OSError:
        return []
    return [name for name in names if (name == TABLE or name.startswith(f"{TABLE}-")) and name not in mine]


def masquerade_rule(interface: str, source: IPv4Network) -> list[Any]:
    """Build the expressions that masquerade ``source`` out of ``interface``."""
    return [
        nftables.load_meta(nftables.META_OIFNAME),
        compare(nftables.interface_octets(interface)),
        nftables.load_octets(nftables.NETWORK_HEADER, 12, 4),
        nftables.mask(source.netmask.packed),
        compare(source.network_address.packed),
        genex("masq", {}),
    ]


def clamp_rule(tunnels: str, *, outgoing: bool) -> list[Any]:
    """Build the expressions that clamp the MSS of TCP SYNs going into (``outgoing``) or coming out of the tunnels."""
    return [
        nftables.load_meta(nftables.META_OIFNAME if outgoing else nftables.META_IIFNAME),
        compare(nftables.interface_octets(tunnels)),
        nftables.load_meta(nftables.META_L4PROTO),
        compare(bytes([_TCP])),
        nftables.load_octets(nftables.TRANSPORT_HEADER, _TCP_FLAGS_OFFSET, 1),
        nftables.mask(bytes([_TCP_SYN | _TCP_RST])),
        compare(bytes([_TCP_SYN])),
        genex("rt", {"dreg": _REGISTER, "key": _RT_TCPMSS}),
        genex("byteorder", {"sreg": _REGISTER, "dreg": _REGISTER, "op": 1, "len": 2, "size": 2}),
        genex("exthdr", {"sreg": _REGISTER, "type": _TCPOPT_MAXSEG, "offset": 2, "len": 2, "op": _EXTHDR_TCP_OPTION}),
    ]


def isolation_rule() -> list[Any]:
    """Build the expressions that drop what goes from one isolated interface to another."""
    group = compare(ISOLATED_GROUP.to_bytes(4, sys.byteorder))
    return [
        nftables.load_meta(nftables.META_IIFGROUP),
        group,
        nftables.load_meta(nftables.META_OIFGROUP),
        group,
        nftables.verdict(nftables.NF_DROP),
    ]


def _masquerading(name: str, interface: str, sources: list[IPv4Network]) -> list[Message]:
    hook, priority = nftables.NF_INET_POST_ROUTING, nftables.PRIORITY_SOURCE_NAT
    return [
        nftables.new_chain(NFPROTO_IPV4, name, "postrouting", "nat", hook, priority),
        *(
            nftables.new_rule(NFPROTO_IPV4, name, "postrouting", masquerade_rule(interface, source))
            for source in sources
        ),
    ]


def _clamping(name: str, tunnels: str) -> list[Message]:
    rules = [clamp_rule(tunnels, outgoing=outgoing) for outgoing in (True, False)]
    return [
        nftables.new_chain(NFPROTO_IPV4, name, "forward", "filter", nftables.NF_INET_FORWARD, nftables.PRIORITY_MANGLE),
        *(nftables.new_rule(NFPROTO_IPV4, name, "forward", rule) for rule in rules),
    ]


def _isolation(name: str) -> list[Message]:
    return [
        nftables.new_chain(NFPROTO_IPV4, name, "forward", "filter", nftables.NF_INET_FORWARD, nftables.PRIORITY_FILTER),
        nftables.new_rule(NFPROTO_IPV4, name, "forward", isolation_rule()),
    ]


def _refused(what: str, error: OSError, cure: str) -> NetworkError:
    if error.errno in (errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.EOPNOTSUPP, errno.EINVAL):
        return NetworkError(f"cannot {what}: this kernel has no nftables (modprobe nf_tables); {cure}")
    if error.errno == errno.ENOENT:
        return NetworkError(
            f"cannot {what}: this kernel has no NAT for nftables (modprobe -a nft_chain_nat nft_masq); {cure}"
        )
    return refused(what, error)
