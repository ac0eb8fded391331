"""What ``pypptp client`` can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, ClassVar

from pypptp.errors import ConfigurationError
from pypptp.service.kinds import (
    File,
    Flag,
    HostName,
    ListOf,
    Network,
    Text,
)
from pypptp.service.options import Described
from pypptp.service.settings.common import CommonSettings

PRIVATE_NETWORKS = tuple(
    IPv4Network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "9.0.0.0/8", "100.64.0.0/10")
)
"""``--bypass private``: what stays on a cloud host's own interface when the default route moves into the tunnel."""


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
            "Network that keeps going the way the server is reached; may be repeated; private is six of them",
            ListOf(Network(), repeatable=True, words={"private": PRIVATE_NETWORKS}),
        ),
    ] = ()
    route: Annotated[
        tuple[IPv4Network, ...],
        Described("Network reached through the tunnel; may be repeated", ListOf(Network(), repeatable=True)),
    ] = ()

    def _check_together(self) -> None:
        if self.password is not None and self.password_file is not None:
            raise ConfigurationError("password: give either password or password-file, not both")
        both = set(self.bypass).intersection(self.route)
        if both:
            raise ConfigurationError(f"route: {min(both)} cannot go through the tunnel and, by bypass, past it")
