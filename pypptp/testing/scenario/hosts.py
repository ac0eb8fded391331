"""The three hosts: network namespaces joined by virtual Ethernet, and what they look like before and after."""

from __future__ import annotations

import os
import time
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from types import TracebackType
from typing import Final

from pypptp.net import forwarding, routes
from pypptp.net.edge import Route
from pypptp.net.namespaces import Namespace, connect
from pypptp.net.netlink import NetlinkSocket
from pypptp.net.snapshot import left_behind, take_snapshot

PRIVATE: Final = IPv4Address("10.100.100.2")
GATEWAY_PRIVATE: Final = IPv4Address("10.100.100.1")
GATEWAY_PUBLIC: Final = IPv4Address("203.0.113.1")
PUBLIC: Final = IPv4Address("203.0.113.2")
"""203.0.113.0/24 is set aside for documentation (RFC 5737): nobody's real address is used up."""

_SETTLING_SECONDS = 2.0
_EVERYWHERE = IPv4Network("0.0.0.0/0")


class Hosts:
    """A private host without any way out, a gateway, and a public host; they exist until ``close``.

    The private host knows its own link alone. The gateway reaches the public link, where the public host is its
    default route; it does not forward. The public host knows its own link alone: what comes from an address that is
    not on it is never answered.

    Attributes:
        resolv: what the programs see as /etc/resolv.conf, where they have one of their own.

    Raises:
        NetworkError: the system lets us make no namespaces or no virtual Ethernet, or no gateway of one.
    """

    def __init__(self) -> None:
        self.resolv: Path | None = None
        self.private = Namespace("private")
        self.gateway = self.public = self.private
        try:
            self.gateway = Namespace("gateway")
            self.public = Namespace("public")
            connect(self.private, "eth0", self.gateway, "eth0")
            connect(self.gateway, "eth1", self.public, "eth0")
            self.private.add_address("eth0", f"{PRIVATE}/24")
            self.gateway.add_address("eth0", f"{GATEWAY_PRIVATE}/24")
            self.gateway.add_address("eth1", f"{GATEWAY_PUBLIC}/24")
            self.public.add_address("eth0", f"{PUBLIC}/24")
            set_default_route(self.gateway, PUBLIC, "eth1")
            self.gateway.run(_stop_forwarding)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Hosts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def all(self) -> tuple[Namespace, Namespace, Namespace]:
        """The private host, the gateway and the public host."""
        return self.private, self.gateway, self.public

    def inodes(self) -> dict[int, str]:
        """Return each namespace's number and name; the number still names it once it is closed."""
        return {os.fstat(host.fileno()).st_ino: host.label for host in self.all}

    def snapshot(self) -> dict[str, list[str]]:
        """Describe interfaces, addresses, routes, rules, forwarding and name servers of each host."""
        return {host.label: host.run(lambda: take_snapshot(self.resolv)) for host in self.all}

    def changes_since(self, before: dict[str, list[str]], patience: float = _SETTLING_SECONDS) -> list[str]:
        """List what differs from an earlier snapshot, for example ``gateway: + interface ppp0 mtu 1400``.

        The kernel takes some things away a moment after their owner ended; it is given ``patience`` seconds for that.
        """
        deadline = time.monotonic() + patience
        while True:
            now = self.snapshot()
            changes = [f"{name}: {line}" for name in now for line in left_behind(before[name], now[name])]
            if not changes or time.monotonic() >= deadline:
                return changes
            time.sleep(0.05)

    def close(self) -> None:
        """Let go of the namespaces; links, routes and tables go with them. Closing twice is no error."""
        for host in self.all:
            host.close()


def _stop_forwarding() -> None:
    # A new namespace takes the setting from its host. Where /proc/sys is read-only it is either on already, which does
    # for a server, or "enable" says what to do.
    if forwarding.read_state().forwarding == "0":
        forwarding.enable()
    try:
        (forwarding.IPV4 / "ip_forward").write_text("0", encoding="ascii")
    except OSError:
        pass


def set_default_route(host: Namespace, gateway: IPv4Address, interface: str) -> None:
    """Give a host a default route."""

    def act() -> None:
        with NetlinkSocket() as netlink:
            routes.add(netlink, Route(_EVERYWHERE, interface, gateway))

    host.run(act)
