"""IPv4 routes, by rtnetlink.

How the default route moves: two halves, 0.0.0.0/1 and 128.0.0.0/1, through the tunnel. They are more specific than
any default route and leave the old one where it is, so that a DHCP client may renew or replace it meanwhile, one with
metric 0 (which nothing can undercut) is beaten too, and even after kill -9 nothing is lost: the kernel drops both
with the TUN. Replacing the default route would fight the DHCP client and lose it for good after a crash; a lower
metric does not exist below 0. Where the user names a metric, it is one route 0.0.0.0/0 with it, as pppd's
``defaultroute-metric`` makes, and whichever metric is lowest wins.

Our routes carry a protocol number of their own, and go in before equal ones (same network, same metric) of others:
lookups take the first. So a wish is obeyed though the network is routed elsewhere already, and exactly our route is
found again to be taken away.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Any

from pypptp.causes import Cause
from pypptp.errors import NetworkError
from pypptp.net.edge import Route, RouteTaken
from pypptp.net.links import interface_index, interface_name
from pypptp.net.netlink import NLM_F_CREATE, NLM_F_DUMP, NetlinkSocket, refused, rtmsg

RTM_NEWROUTE = 24
RTM_DELROUTE = 25
RTM_GETROUTE = 26
RT_TABLE_MAIN = 254
RT_SCOPE_UNIVERSE = 0
RT_SCOPE_LINK = 253
RTN_UNICAST = 1
RTN_LOCAL = 2
RTNH_F_ONLINK = 4
RTM_F_FIB_MATCH = 0x2000
RTPROT_PYPPTP = 80
"""'P': free in iproute2's rt_protos, and not one that a routing daemon or a network manager takes for its own."""

_METRICS_TRIED = 16


def look_up(netlink: NetlinkSocket, address: IPv4Address, *, by: str | None = None) -> RouteTaken:
    """Ask the kernel which way packets to ``address`` go, ``by`` one interface. Raises NetworkError where none does."""
    return _taken(_look_up(netlink, address, by))


def look_up_around(netlink: NetlinkSocket, address: IPv4Address, interface: str) -> RouteTaken:
    """Ask which way packets to ``address`` would go without the routes by ``interface``.

    Raises:
        NetworkError: nowhere.
    """
    best = _look_up(netlink, address, None)
    if best.get_attr("RTA_OIF") != interface_index(interface):
        return _taken(best)
    found = []
    for _, name in socket.if_nameindex():
        if name not in (interface, "lo"):
            try:
                found.append(_look_up(netlink, address, name))
            except NetworkError:
                continue
    if not found:
        raise NetworkError(
            f"there is no route to {address} besides the one by {interface}: check the uplink", cause=Cause.UNREACHABLE
        )
    return _taken(min(found, key=lambda reply: (-reply["dst_len"], reply.get_attr("RTA_PRIORITY") or 0)))


def _look_up(netlink: NetlinkSocket, address: IPv4Address, by: str | None) -> rtmsg:
    message = _message(IPv4Network(address), table=0)
    where = ""
    if by is not None:
        # Without FIB_MATCH the kernel takes any address for one on the link where an interface has no route to it.
        message["flags"] = RTM_F_FIB_MATCH
        message["attrs"].append(("RTA_OIF", interface_index(by)))
        where = f" by {by}"
    try:
        replies = netlink.request(message, RTM_GETROUTE)
    except OSError as error:
        if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EINVAL, errno.EACCES):
            raise NetworkError(
                f"there is no route to {address}{where}: check the address and the default route",
                cause=Cause.UNREACHABLE,
            ) from error
        raise refused(f"look up the route to {address}", error) from error
    if not replies:
        raise NetworkError(f"there is no route to {address}: the kernel gave no answer", cause=Cause.UNREACHABLE)
    return replies[0]


def _taken(reply: rtmsg) -> RouteTaken:
    interface, gateway, source = _hop(reply)
    return RouteTaken(interface, gateway, source, local=reply["type"] == RTN_LOCAL)


def find_default(netlink: NetlinkSocket) -> RouteTaken | None:
    """Return the default route with the lowest metric, or None."""
    message = rtmsg()
    message["family"] = socket.AF_INET
    message["table"] = RT_TABLE_MAIN
    try:
        replies = netlink.request(message, RTM_GETROUTE, NLM_F_DUMP, wanted=lambda body: body[1] == 0)
    except OSError as error:
        raise refused("read the routes", error) from error
    found = [reply for reply in replies if reply["type"] == RTN_UNICAST and _table(reply) == RT_TABLE_MAIN]
    if not found:
        return None
    interface, gateway, source = _hop(min(found, key=lambda reply: reply.get_attr("RTA_PRIORITY") or 0))
    return RouteTaken(interface, gateway, source)


def add(netlink: NetlinkSocket, route: Route) -> Route | None:
    """Add a route and return it as it was added; None where the same one was there already.

    Where another pypptp holds the same route, ours goes beside it with the next higher metric: each takes its own away.
    """
    for candidate in candidates(netlink, route):
        if add_exactly(netlink, candidate):
            return candidate
    return None


def candidates(netlink: NetlinkSocket, route: Route) -> Iterator[Route]:
    """Yield ``route`` with each metric it may get, for :func:`add_exactly`; none where the same one is there already.

    It is worked out before anything is done, so that what is done can be written down first: the entry of a route that
    was never added must not name another pypptp's.

    Raises:
        NetworkError: too many others hold the same one.
    """
    metrics = set()
    for reply in _same(netlink, route, interface_index(route.interface)):
        metric = reply.get_attr("RTA_PRIORITY") or 0
        if reply["proto"] != RTPROT_PYPPTP and metric == route.metric:
            return
        metrics.add(metric)
    for metric in range(route.metric, route.metric + _METRICS_TRIED):
        if metric not in metrics:
            yield Route(route.network, route.interface, route.gateway, route.source, metric)
    raise NetworkError(f"cannot add {route}: {_METRICS_TRIED} other processes hold the same one")


def add_exactly(netlink: NetlinkSocket, route: Route) -> bool:
    """Add a route with just this metric; False where the very same, ours or another pypptp's, is there."""
    try:
        _add(netlink, route, interface_index(route.interface))
    except OSError as error:
        if error.errno == errno.EEXIST:
            return False
        raise refused(f"add {route}", error) from error
    return True


def remove(netlink: NetlinkSocket, route: Route, index: int | None = None) -> None:
    """Take away a route that :func:`add` returned; one that is gone already is no error.

    Args:
        netlink: the socket.
        route: as it was added.
        index: number of the interface it was added to, which may have got another name since.
    """
    try:
        if index is None:
            index = interface_index(route.interface)
        else:
            interface_name(index)
    except NetworkError:
        return  # the interface is gone, and its routes with it
    try:
        # The kernel takes metric 0 in a request to delete for "any metric", which may be another instance's: look
        # first.
        if not any(
            reply["proto"] == RTPROT_PYPPTP and (reply.get_attr("RTA_PRIORITY") or 0) == route.metric
            for reply in _same(netlink, route, index)
        ):
            return
        netlink.request(_full(route, index), RTM_DELROUTE)
    except OSError as error:
        if error.errno not in (errno.ESRCH, errno.ENODEV):
            raise refused(f"remove {route}", error) from error


def _add(netlink: NetlinkSocket, route: Route, index: int) -> None:
    # CREATE without EXCL or APPEND goes in before equal ones; EEXIST means the very same, protocol and all.
    try:
        netlink.request(_full(route, index), RTM_NEWROUTE, NLM_F_CREATE)
    except OSError as error:
        if route.gateway is None or error.errno not in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EINVAL):
            raise
        # Clouds give a /32 and a gateway outside of it ("onlink"); the lookup that named the gateway does not say so.
        message = _full(route, index)
        message["flags"] = RTNH_F_ONLINK
        netlink.request(message, RTM_NEWROUTE, NLM_F_CREATE)


def _same(netlink: NetlinkSocket, route: Route, index: int) -> list[Any]:
    """Read the main table's routes to the same network by the same interface and gateway, whatever their metric."""
    message = rtmsg()
    message["family"] = socket.AF_INET
    message["table"] = RT_TABLE_MAIN
    message["attrs"] = [("RTA_OIF", index)]
    length = route.network.prefixlen
    replies = netlink.request(message, RTM_GETROUTE, NLM_F_DUMP, wanted=lambda body: body[1] == length)
    return [
        reply
        for reply in replies
        if _table(reply) == RT_TABLE_MAIN
        and reply["type"] == RTN_UNICAST
        and reply.get_attr("RTA_OIF") == index
        and IPv4Address(reply.get_attr("RTA_DST") or 0) == route.network.network_address
        and _gateway(reply) == route.gateway
    ]


def _full(route: Route, index: int) -> rtmsg:
    message = _message(route.network, table=RT_TABLE_MAIN)
    message["proto"] = RTPROT_PYPPTP
    message["type"] = RTN_UNICAST
    message["scope"] = RT_SCOPE_LINK if route.gateway is None else RT_SCOPE_UNIVERSE
    attributes = message["attrs"]
    attributes.append(("RTA_OIF", index))
    if isinstance(route.gateway, IPv6Address):
        attributes.append(("RTA_VIA", {"family": socket.AF_INET6, "addr": str(route.gateway)}))
    elif route.gateway is not None:
        attributes.append(("RTA_GATEWAY", str(route.gateway)))
    if route.source is not None:
        attributes.append(("RTA_PREFSRC", str(route.source)))
    if route.metric:
        attributes.append(("RTA_PRIORITY", route.metric))
    return message


def _message(network: IPv4Network, *, table: int) -> rtmsg:
    message = rtmsg()
    message["family"] = socket.AF_INET
    message["dst_len"] = network.prefixlen
    message["table"] = table
    message["attrs"] = [("RTA_DST", str(network.network_address))]
    return message


def _table(reply: Any) -> int:
    table: int | None = reply.get_attr("RTA_TABLE")
    return int(reply["table"]) if table is None else table


def _gateway(reply: Any) -> IPv4Address | IPv6Address | None:
    gateway = reply.get_attr("RTA_GATEWAY")
    if gateway is not None:
        return IPv4Address(gateway)
    via = reply.get_attr("RTA_VIA")
    return IPv6Address(via["addr"]) if via is not None and via["family"] == socket.AF_INET6 else None


def _hop(reply: Any) -> tuple[str, IPv4Address | IPv6Address | None, IPv4Address | None]:
    source = reply.get_attr("RTA_PREFSRC")
    index = reply.get_attr("RTA_OIF")
    gateway = _gateway(reply)
    if index is None:  # several next hops (RTA_MULTIPATH): the first will do
        hop = reply.get_attr("RTA_MULTIPATH")[0]
        index, gateway = hop["oif"], _gateway(hop)
    return interface_name(index), gateway, IPv4Address(source) if source is not None else None
