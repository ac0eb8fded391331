"""What ``pypptp client`` can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, ClassVar

from pypptp.errors import ConfigurationError
from pypptp.service.kinds import (
    Address,
    CommandLine,
    File,
    Flag,
    HostName,
    Integer,
    Interface,
    ListenAt,
    ListOf,
    Network,
    Seconds,
    Text,
)
from pypptp.service.options import Described
from pypptp.service.settings.common import CommonSettings

PRIVATE_NETWORKS = tuple(
    IPv4Network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "9.0.0.0/8", "100.64.0.0/10")
)
"""``--bypass private``: what stays on a cloud host's own interface when the default route moves into the tunnel."""


STAND_IN_LOCAL = IPv4Address("10.64.64.64")
STAND_IN_REMOTE = IPv4Address("10.112.112.112")
"""What the two ends of a tunnel are called as long as nobody has given them addresses; so in pppd."""

LONGEST_TIME = 31 * 86_400.0
"""Seconds that a limit of a session's time may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings(CommonSettings):
    """What ``pypptp client`` can be told."""

    command: ClassVar[str] = "client"

    server: Annotated[str, Described("Server to connect to", HostName())]
    user: Annotated[
        str | None, Described("Name to log in with, DOMAIN\\user included", Text("NAME"), default_text="asked for")
    ] = None
    password: Annotated[
        str | None,
        Described(
            "Password; visible to every user of this machine while the command runs",
            Text("PASSWORD", maximum=256),
            secret=True,
            default_text="PYPPTP_PASSWORD from the environment, or asked for",
        ),
    ] = field(default=None, repr=False)
    password_file: Annotated[Path | None, Described("File whose first line is the password", File())] = None
    default_route: Annotated[bool, Described("Send everything through the tunnel", Flag())] = False
    bypass: Annotated[
        tuple[IPv4Network, ...],
        Described(
            "Network that keeps going the way the server is reached; may be repeated; private is 10.0.0.0/8, "
            "172.16.0.0/12, 192.168.0.0/16, 169.254.0.0/16, 100.64.0.0/10 and, as in the old recipes, the public "
            "9.0.0.0/8",
            ListOf(Network(), repeatable=True, words={"private": PRIVATE_NETWORKS}),
        ),
    ] = ()
    route: Annotated[
        tuple[IPv4Network, ...],
        Described("Network reached through the tunnel; may be repeated", ListOf(Network(), repeatable=True)),
    ] = ()
    metric: Annotated[
        int | None,
        Described(
            "Priority of the routes through the tunnel; the lower wins. A default route with one gives way to others "
            "that are lower",
            Integer(0, 0xFFFF_FFFF),
            default_text="0, and a default route that wins over any other",
        ),
    ] = None
    uplink: Annotated[
        tuple[str, ...],
        Described(
            "Interface to reach the server by; may be repeated: the next is taken where one fails",
            ListOf(Interface(), repeatable=True),
            default_text="the way the kernel takes",
        ),
    ] = ()
    kill_switch: Annotated[
        bool,
        Described(
            "Let nothing leave in clear while there is no tunnel, from before the first connection until told to stop",
            Flag(),
        ),
    ] = False
    use_peer_dns: Annotated[
        bool, Described("Ask the name servers that the server gives, through the tunnel", Flag())
    ] = False

    exec: Annotated[
        str | None,
        Described(
            "Command to run in a network namespace of its own whose only way out is the tunnel; the client ends with "
            "it, and with its exit status",
            CommandLine(),
            default_text="none; the machine itself uses the tunnel",
        ),
    ] = None
    socks: Annotated[
        str | None,
        Described(
            "Where to listen as a SOCKS5 proxy whose connections go through the tunnel, and nothing else does; a port "
            "alone is on 127.0.0.1",
            ListenAt(),
            default_text="none",
        ),
    ] = None

    persist: Annotated[
        bool,
        Described(
            "Connect again when the session is lost, each time after a longer wait; not when the log-in was refused",
            Flag(),
        ),
    ] = False
    max_fail: Annotated[
        int,
        Described("Failures to connect in a row after which --persist gives up; 0 never does", Integer(0, 1_000_000)),
    ] = 0
    holdoff: Annotated[
        float, Described("Time before the first new try; it doubles with each failure, to 5 minutes", Seconds())
    ] = 1.0
    demand: Annotated[
        bool, Described("Connect when a packet for the tunnel comes, and again with the next after a loss", Flag())
    ] = False
    demand_local: Annotated[
        IPv4Address,
        Described("Address of the tunnel's interface until --demand has connected for the first time", Address()),
    ] = STAND_IN_LOCAL
    demand_remote: Annotated[
        IPv4Address, Described("Address of the other end until --demand has connected for the first time", Address())
    ] = STAND_IN_REMOTE
    idle: Annotated[
        float, Described("Time without a packet after which the session ends; 0 never ends it", Seconds(LONGEST_TIME))
    ] = 0.0
    maxconnect: Annotated[
        float, Described("Time after which the session ends in any case; 0 never ends it", Seconds(LONGEST_TIME))
    ] = 0.0

    def warnings(self) -> list[str]:
        """Say in sentences what of these settings is allowed but unwise."""
        # Named in full: a dataclass with slots is made anew, and super() would look for the first.
        found = CommonSettings.warnings(self)
        if self.idle and self.persist and not self.demand:
            found.append("idle: with persist alone the client connects again at once; use demand")
        if self.socks is not None and not IPv4Address(self.socks.rpartition(":")[0]).is_loopback:
            found.append(f"socks: whoever reaches {self.socks} uses the tunnel, without a password")
        if self.kill_switch and not (self.persist or self.demand):
            found.append(
                "kill-switch: without persist, a lost session leaves this machine cut off until the next start"
            )
        return found

    @property
    def is_enclosed(self) -> bool:
        """Whether the tunnel leads into a namespace of its own, and the machine's routes stay as they are."""
        return self.exec is not None or self.socks is not None

    def _check_together(self) -> None:
        if self.demand_local == self.demand_remote:
            raise ConfigurationError("demand-remote: the two ends of a tunnel cannot have the same address")
        if self.is_enclosed:
            beside = "exec" if self.exec is not None else "socks"
            for name in ("default_route", "bypass", "route", "metric", "kill_switch", "demand"):
                if getattr(self, name) not in (None, False, ()):
                    option = name.replace("_", "-")
                    raise ConfigurationError(f"{option}: has no place beside {beside}, which leaves the machine alone")
        if self.password is not None and self.password_file is not None:
            raise ConfigurationError("password: give either password or password-file, not both")
        both = set(self.bypass).intersection(self.route)
        if both:
            raise ConfigurationError(f"route: {min(both)} cannot go through the tunnel and, by bypass, past it")
