"""NAT and MSS clamping as one nftables table of our own, by netlink; no ``nft`` or ``iptables`` program is called.

The table, as ``nft list ruleset`` would show it::

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

The owner flag (Linux 5.12) ties the table to this process: nobody else changes or flushes it, and the kernel removes
it when the socket closes, after kill -9 too. Where the kernel has no such flag the comment says whose table it is,
and one whose process is dead is replaced.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network
from typing import Any

from pypptp.errors import NetworkError
from pypptp.net.netlink import (
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    NetlinkSocket,
    genex,
    nfgen_msg,
    nft_chain_msg,
    nft_rule_msg,
    nft_table_msg,
    refused,
)
from pypptp.net.owner import process_start

TABLE = "pypptp"
NETLINK_NETFILTER = 12
NFPROTO_IPV4 = 2
_NFNL_SUBSYS_NFTABLES = 10
_NFNL_MSG_BATCH_BEGIN = 0x10
_NFNL_MSG_BATCH_END = 0x11
NFT_MSG_NEWTABLE = _NFNL_SUBSYS_NFTABLES << 8 | 0
NFT_MSG_GETTABLE = _NFNL_SUBSYS_NFTABLES << 8 | 1
NFT_MSG_DELTABLE = _NFNL_SUBSYS_NFTABLES << 8 | 2
NFT_MSG_NEWCHAIN = _NFNL_SUBSYS_NFTABLES << 8 | 3
NFT_MSG_NEWRULE = _NFNL_SUBSYS_NFTABLES << 8 | 6
NFT_MSG_GETRULE = _NFNL_SUBSYS_NFTABLES << 8 | 7
NFT_TABLE_F_OWNER = 2

NF_INET_FORWARD = 2
NF_INET_POST_ROUTING = 4
PRIORITY_MANGLE = -150
PRIORITY_SOURCE_NAT = 100
NF_ACCEPT = 1

_REGISTER = 1
_NETWORK_HEADER = 1
_TRANSPORT_HEADER = 2
_META_IIFNAME = 6
_META_OIFNAME = 7
_META_L4PROTO = 16
_RT_TCPMSS = 3
_EXTHDR_TCP_OPTION = 1
_TCPOPT_MAXSEG = 2
_TCP = 6
_TCP_FLAGS_OFFSET = 13
_TCP_SYN = 0x02
_TCP_RST = 0x04
_IFNAMSIZ = 16
_NAMES_TRIED = 32


class NatTable:
    """One table, from its making to :meth:`remove`.

    Args:
        interface: masquerade what leaves by it.
        sources: and comes from these networks.
        tunnels: name of the TUN, or pattern with ``%d``, whose TCP connections are clamped.

    Raises:
        NetworkError: no right, or no nftables or no NAT in this kernel.
    """

    def __init__(self, interface: str, sources: Iterable[IPv4Network], *, tunnels: str) -> None:
        try:
            self._netlink = NetlinkSocket(NETLINK_NETFILTER)
        except OSError as error:
            raise _refused("open the netlink socket of nftables", error) from error
        try:
            self.name = self._create(interface, list(sources), tunnels)
        except OSError as error:
            self._netlink.close()
            raise _refused("make the nftables table", error) from error
        except BaseException:
            self._netlink.close()
            raise

    def remove(self) -> None:
        """Delete the table, chains and rules with it. One that is gone already is no error."""
        try:
            _transact(self._netlink, [_delete_table(self.name)])
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EBADF):
                raise _refused(f"delete the nftables table {self.name}", error) from error
        finally:
            self._netlink.close()

    def _create(self, interface: str, sources: Sequence[IPv4Network], tunnels: str) -> str:
        owner = NFT_TABLE_F_OWNER
        names = [TABLE, f"{TABLE}-{os.getpid()}"]
        names += [f"{TABLE}-{os.getpid()}-{number}" for number in range(2, _NAMES_TRIED)]
        while names:
            name = names[0]
            messages = _table(name, interface, sources, tunnels, owner)
            try:
                _transact(self._netlink, messages)
            except OSError as error:
                if owner and error.errno in (errno.EINVAL, errno.EOPNOTSUPP):
                    owner = 0
                elif error.errno in (errno.EEXIST, errno.EPERM, errno.EBUSY) and self._taken(name):
                    if self._stale(name):
                        try:
                            _transact(
                                self._netlink, [_delete_table(name), *_table(name, interface, sources, tunnels, owner)]
                            )
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

    def _taken(self, name: str) -> bool:
        return any(table.get_attr("NFTA_TABLE_NAME") == name for table in _tables(self._netlink))

    def _stale(self, name: str) -> bool:
        """Whether the table says that it is pypptp's, of a process that is no more."""
        for table in _tables(self._netlink):
            if (
                table.get_attr("NFTA_TABLE_NAME") == name
                and not (table.get_attr("NFTA_TABLE_FLAGS") or 0) & NFT_TABLE_F_OWNER
            ):
                words = (table.get_attr("NFTA_TABLE_USERDATA") or "").split()
                if len(words) == 3 and words[0] == TABLE and words[1].isdigit():
                    return process_start(int(words[1])) != words[2]
        return False


def own_comment() -> str:
    """Return what this process's tables say of their owner."""
    return f"{TABLE} {os.getpid()} {process_start(os.getpid()) or 0}"


def remove_tables(comment: str) -> None:
    """Delete the tables of this namespace that bear ``comment``, of a process that is no more.

    There are such only where the kernel knows no owner flag. Raises NetworkError where it refuses.
    """
    try:
        with NetlinkSocket(NETLINK_NETFILTER) as netlink:
            for table in _tables(netlink):
                name = table.get_attr("NFTA_TABLE_NAME")
                if (name == TABLE or name.startswith(f"{TABLE}-")) and (
                    table.get_attr("NFTA_TABLE_USERDATA") or ""
                ) == comment:
                    _transact(netlink, [_delete_table(name)])
    except OSError as error:
        if error.errno not in (errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.ENOENT):
            raise _refused("delete an nftables table", error) from error


def other_tables(own: Iterable[str] = ()) -> list[str]:
    """List the tables of other running pypptp processes in this namespace; empty where nftables cannot be asked."""
    mine = set(own)
    try:
        with NetlinkSocket(NETLINK_NETFILTER) as netlink:
            names = [table.get_attr("NFTA_TABLE_NAME") for table in _tables(netlink)]
    except OSError:
        return []
    return [name for name in names if (name == TABLE or name.startswith(f"{TABLE}-")) and name not in mine]


def masquerade_rule(interface: str, source: IPv4Network) -> list[Any]:
    """Build the expressions that masquerade ``source`` out of ``interface``.

    pyroute2's own ``ipv4addr()`` packs its mask in host order and is right only where the prefix length is a multiple
    of 8.
    """
    return [
        genex("meta", {"dreg": _REGISTER, "key": _META_OIFNAME}),
        _compare(_interface(interface)),
        genex("payload", {"dreg": _REGISTER, "base": _NETWORK_HEADER, "offset": 12, "len": 4}),
        _mask(source.netmask.packed),
        _compare(source.network_address.packed),
        genex("masq", {}),
    ]


def clamp_rule(tunnels: str, *, outgoing: bool) -> list[Any]:
    """Build the expressions that clamp the MSS of TCP SYNs going into (``outgoing``) or coming out of the tunnels."""
    return [
        genex("meta", {"dreg": _REGISTER, "key": _META_OIFNAME if outgoing else _META_IIFNAME}),
        _compare(_interface(tunnels)),
        genex("meta", {"dreg": _REGISTER, "key": _META_L4PROTO}),
        _compare(bytes([_TCP])),
        genex("payload", {"dreg": _REGISTER, "base": _TRANSPORT_HEADER, "offset": _TCP_FLAGS_OFFSET, "len": 1}),
        _mask(bytes([_TCP_SYN | _TCP_RST])),
        _compare(bytes([_TCP_SYN])),
        genex("rt", {"dreg": _REGISTER, "key": _RT_TCPMSS}),
        genex("byteorder", {"sreg": _REGISTER, "dreg": _REGISTER, "op": 1, "len": 2, "size": 2}),
        genex("exthdr", {"sreg": _REGISTER, "type": _TCPOPT_MAXSEG, "offset": 2, "len": 2, "op": _EXTHDR_TCP_OPTION}),
    ]


def _table(
    name: str, interface: str, sources: Sequence[IPv4Network], tunnels: str, flags: int
) -> list[tuple[Any, int, int]]:
    table = _message(nft_table_msg, name, "NFTA_TABLE_NAME")
    table["attrs"].append(("NFTA_TABLE_USERDATA", own_comment()))
    if flags:
        table["attrs"].append(("NFTA_TABLE_FLAGS", flags))
    messages = [
        # EXCL: adding to a table that is there would join somebody else's.
        (table, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL),
        _chain(name, "postrouting", "nat", NF_INET_POST_ROUTING, PRIORITY_SOURCE_NAT),
        _chain(name, "forward", "filter", NF_INET_FORWARD, PRIORITY_MANGLE),
    ]
    messages += [_rule(name, "postrouting", masquerade_rule(interface, source)) for source in sources]
    messages += [_rule(name, "forward", clamp_rule(tunnels, outgoing=outgoing)) for outgoing in (True, False)]
    return messages


def _transact(netlink: NetlinkSocket, messages: Sequence[tuple[Any, int, int]]) -> None:
    netlink.transaction((_batch_edge(), _NFNL_MSG_BATCH_BEGIN), messages, (_batch_edge(), _NFNL_MSG_BATCH_END))


def _chain(table: str, name: str, kind: str, hook: int, priority: int) -> tuple[Any, int, int]:
    message = _message(nft_chain_msg, table, "NFTA_CHAIN_TABLE")
    message["attrs"] += [
        ("NFTA_CHAIN_NAME", name),
        ("NFTA_CHAIN_HOOK", {"attrs": [("NFTA_HOOK_HOOKNUM", hook), ("NFTA_HOOK_PRIORITY", priority)]}),
        ("NFTA_CHAIN_TYPE", kind),
        ("NFTA_CHAIN_POLICY", NF_ACCEPT),
    ]
    return message, NFT_MSG_NEWCHAIN, NLM_F_CREATE


def _rule(table: str, chain: str, expressions: list[Any]) -> tuple[Any, int, int]:
    message = _message(nft_rule_msg, table, "NFTA_RULE_TABLE")
    message["attrs"] += [("NFTA_RULE_CHAIN", chain), ("NFTA_RULE_EXPRESSIONS", expressions)]
    return message, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND


def _delete_table(name: str) -> tuple[Any, int, int]:
    return _message(nft_table_msg, name, "NFTA_TABLE_NAME"), NFT_MSG_DELTABLE, 0


def _message(kind: Any, table: str, attribute: str) -> Any:
    message = kind()
    message["nfgen_family"] = NFPROTO_IPV4
    message["attrs"] = [(attribute, table)]
    return message


def _batch_edge() -> Any:
    message = nfgen_msg()
    message["res_id"] = _NFNL_SUBSYS_NFTABLES
    return message


def _interface(pattern: str) -> bytes:
    """Return what an interface name is compared with: all 16 octets, or those before ``%d`` alone."""
    before, number, _ = pattern.partition("%d")
    name = before.encode()
    return name if number and name else name.ljust(_IFNAMSIZ, b"\0")


def _compare(data: bytes) -> Any:
    return genex("cmp", {"sreg": _REGISTER, "op": 0, "data": {"attrs": [("NFTA_DATA_VALUE", data)]}})


def _mask(mask: bytes) -> Any:
    return genex(
        "bitwise",
        {
            "sreg": _REGISTER,
            "dreg": _REGISTER,
            "len": len(mask),
            "mask": {"attrs": [("NFTA_DATA_VALUE", mask)]},
            "xor": {"attrs": [("NFTA_DATA_VALUE", bytes(len(mask)))]},
        },
    )


def _tables(netlink: NetlinkSocket) -> list[Any]:
    message = nft_table_msg()
    message["nfgen_family"] = NFPROTO_IPV4
    return netlink.request(message, NFT_MSG_GETTABLE, NLM_F_DUMP)


def _refused(what: str, error: OSError) -> NetworkError:
    if error.errno in (errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.EOPNOTSUPP, errno.EINVAL):
        return NetworkError(f"cannot {what}: this kernel has no nftables (modprobe nf_tables); --nat none goes without")
    if error.errno == errno.ENOENT:
        return NetworkError(
            f"cannot {what}: this kernel has no NAT for nftables (modprobe -a nft_chain_nat nft_masq); "
            "--nat none goes without"
        )
    return refused(what, error)
