"""nftables by netlink: the messages and expressions that our tables are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

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
)

NETLINK_NETFILTER = 12
NFPROTO_INET = 1
NFPROTO_IPV4 = 2
NFPROTO_IPV6 = 10
_NFNL_SUBSYS_NFTABLES = 10
_NFNL_MSG_BATCH_BEGIN = 0x10
_NFNL_MSG_BATCH_END = 0x11
NFT_MSG_NEWTABLE = _NFNL_SUBSYS_NFTABLES << 8 | 0
NFT_MSG_GETTABLE = _NFNL_SUBSYS_NFTABLES << 8 | 1
NFT_MSG_DELTABLE = _NFNL_SUBSYS_NFTABLES << 8 | 2
NFT_MSG_NEWCHAIN = _NFNL_SUBSYS_NFTABLES << 8 | 3
NFT_MSG_GETCHAIN = _NFNL_SUBSYS_NFTABLES << 8 | 4
NFT_MSG_NEWRULE = _NFNL_SUBSYS_NFTABLES << 8 | 6
NFT_MSG_GETRULE = _NFNL_SUBSYS_NFTABLES << 8 | 7
NFT_TABLE_F_OWNER = 2
NFT_TABLE_F_PERSIST = 4

NF_INET_FORWARD = 2
NF_INET_LOCAL_OUT = 3
NF_INET_POST_ROUTING = 4
PRIORITY_MANGLE = -150
PRIORITY_FILTER = 0
PRIORITY_SOURCE_NAT = 100
NF_DROP = 0
NF_ACCEPT = 1

NETWORK_HEADER = 1
TRANSPORT_HEADER = 2
META_MARK = 3
META_IIFNAME = 6
META_OIFNAME = 7
META_NFPROTO = 15
META_L4PROTO = 16
META_IIFGROUP = 21
META_OIFGROUP = 22
_REGISTER = 1
_VERDICT_REGISTER = 0
_IFNAMSIZ = 16

Message: TypeAlias = tuple[Any, int, int]
"""A netlink message, its type, and the flags of its request."""


def transact(netlink: NetlinkSocket, messages: Sequence[Message]) -> None:
    """Send messages as one transaction: all of it comes into force in one moment, or nothing. Raises OSError."""
    netlink.transaction((_batch_edge(), _NFNL_MSG_BATCH_BEGIN), messages, (_batch_edge(), _NFNL_MSG_BATCH_END))


def new_table(family: int, name: str, *, comment: str, flags: int = 0) -> Message:
    """Make a table that must not be there: adding to one that is would join somebody else's."""
    table = _message(nft_table_msg, family, ("NFTA_TABLE_NAME", name), ("NFTA_TABLE_USERDATA", comment))
    if flags:
        table["attrs"].append(("NFTA_TABLE_FLAGS", flags))
    return table, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL


def new_chain(
    family: int, table: str, name: str, kind: str, hook: int, priority: int, policy: int = NF_ACCEPT
) -> Message:
    """Make a base chain: ``kind`` is ``filter`` or ``nat``, ``policy`` what becomes of what no rule decides."""
    message = _message(
        nft_chain_msg,
        family,
        ("NFTA_CHAIN_TABLE", table),
        ("NFTA_CHAIN_NAME", name),
        ("NFTA_CHAIN_HOOK", {"attrs": [("NFTA_HOOK_HOOKNUM", hook), ("NFTA_HOOK_PRIORITY", priority)]}),
        ("NFTA_CHAIN_TYPE", kind),
        ("NFTA_CHAIN_POLICY", policy),
    )
    return message, NFT_MSG_NEWCHAIN, NLM_F_CREATE


def new_rule(family: int, table: str, chain: str, expressions: list[Any]) -> Message:
    """Append a rule to a chain."""
    message = _message(
        nft_rule_msg,
        family,
        ("NFTA_RULE_TABLE", table),
        ("NFTA_RULE_CHAIN", chain),
        ("NFTA_RULE_EXPRESSIONS", expressions),
    )
    return message, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND


def delete_table(family: int, name: str) -> Message:
    """Delete a table, its chains and rules with it."""
    return _message(nft_table_msg, family, ("NFTA_TABLE_NAME", name)), NFT_MSG_DELTABLE, 0


def list_tables(netlink: NetlinkSocket, family: int) -> list[Any]:
    """List the tables of one family, 0 for all. Raises OSError."""
    message = nft_table_msg()
    message["nfgen_family"] = family
    return netlink.request(message, NFT_MSG_GETTABLE, NLM_F_DUMP)


def load_meta(key: int) -> Any:
    """Load what the kernel knows of the packet besides its octets."""
    return genex("meta", {"dreg": _REGISTER, "key": key})


def load_octets(header: int, offset: int, length: int) -> Any:
    """Load octets of the network or the transport header."""
    return genex("payload", {"dreg": _REGISTER, "base": header, "offset": offset, "len": length})


def mask(octets: bytes) -> Any:
    """Mask what is loaded.

    pyroute2's own ``ipv4addr()`` packs its mask in host order and is right only where the prefix length is a multiple
    of 8.
    """
    return genex(
        "bitwise",
        {
            "sreg": _REGISTER,
            "dreg": _REGISTER,
            "len": len(octets),
            "mask": {"attrs": [("NFTA_DATA_VALUE", octets)]},
            "xor": {"attrs": [("NFTA_DATA_VALUE", bytes(len(octets)))]},
        },
    )


def compare(octets: bytes) -> Any:
    """Go on with the rule only where that is what is loaded."""
    return genex("cmp", {"sreg": _REGISTER, "op": 0, "data": {"attrs": [("NFTA_DATA_VALUE", octets)]}})


def verdict(code: int) -> Any:
    """Decide: ``NF_ACCEPT`` or ``NF_DROP``."""
    data = {"attrs": [("NFTA_DATA_VERDICT", {"attrs": [("NFTA_VERDICT_CODE", code)]})]}
    return genex("immediate", {"dreg": _VERDICT_REGISTER, "data": data})


def interface_octets(pattern: str) -> bytes:
    """Return what an interface name is compared with: all 16 octets, or those before ``%d`` alone."""
    before, number, _ = pattern.partition("%d")
    name = before.encode()
    return name if number and name else name.ljust(_IFNAMSIZ, b"\0")


def _message(kind: Any, family: int, *attributes: tuple[str, Any]) -> Any:
    message = kind()
    message["nfgen_family"] = family
    message["attrs"] = list(attributes)
    return message


def _batch_edge() -> Any:
    message = nfgen_msg()
    message["res_id"] = _NFNL_SUBSYS_NFTABLES
    return message
