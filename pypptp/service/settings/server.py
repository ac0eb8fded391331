"""What ``pypptp server`` can be told."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, ClassVar

from pypptp.auth.address_pool import AddressPool
from pypptp.errors import ConfigurationError
from pypptp.service.kinds import (
    Address,
    File,
    Interface,
    ListOf,
    Processes,
    Seconds,
    Text,
)
from pypptp.service.options import Described
from pypptp.service.settings.common import CommonSettings

EVERY_ADDRESS = IPv4Address("0.0.0.0")
"""To listen on all of the host's addresses."""

LONGEST_TIME = 31 * 86_400.0
"""Seconds that a limit of a session's time may have."""

MOST_WORKERS = 32
"""Processes of a server. They share the 65,535 call ids: 2,047 calls for each of so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings(CommonSettings):
    """What ``pypptp server`` can be told."""

    command: ClassVar[str] = "server"

    local: Annotated[IPv4Address, Described("Address of the server's end of every tunnel", Address())]
    remote: Annotated[
        str | None,
        Described(
            "Addresses for clients: 192.168.0.234-238,192.168.0.245 or 10.0.0.0/24",
            Text("RANGES", maximum=65_536),
            default_text=".234 to .245 in the /24 of --local",
        ),
    ] = None
    secrets: Annotated[
        Path | None,
        Described(
            "File with users, in chap-secrets format", File(), default_text="one user, made up and printed at start"
        ),
    ] = None
    name: Annotated[
        str, Described("Name of this server: the second column of the secrets, and sent in CHAP", Text("NAME"))
    ] = "pptpd"
    listen: Annotated[
        IPv4Address, Described("Address to accept connections on", Address(unspecified=True, loopback=True))
    ] = EVERY_ADDRESS
    nat: Annotated[
        str,
        Described(
            "Interface behind whose address clients appear; auto is the default route's, none changes nothing",
            Interface(words=("auto", "none")),
        ),
    ] = "auto"
    dns: Annotated[
        tuple[IPv4Address, ...],
        Described("Name server clients are told of; twice at most", ListOf(Address(), most=2, repeatable=True)),
    ] = ()
    wins: Annotated[
        tuple[IPv4Address, ...],
        Described("WINS server clients are told of; twice at most", ListOf(Address(), most=2, repeatable=True)),
    ] = ()
    idle: Annotated[
        float, Described("Time without a packet after which a session ends; 0 never ends it", Seconds(LONGEST_TIME))
    ] = 0.0
    maxconnect: Annotated[
        float, Described("Time after which a session ends in any case; 0 never ends it", Seconds(LONGEST_TIME))
    ] = 0.0
    chap_interval: Annotated[
        float,
        Described("Time after which a client is asked to prove itself again, and again; 0 asks once", Seconds()),
    ] = 0.0

    workers: Annotated[
        int,
        Described("Processes that carry the sessions; auto is one for each core", Processes(1, MOST_WORKERS)),
    ] = 1

    def _check_together(self) -> None:
        self.pool()

    def pool(self) -> AddressPool:
        """Make the address pool. Never holds ``local``.

        Raises:
            ConfigurationError: names ``remote`` and what is wrong with it.
        """
        if self.remote is None:
            return AddressPool.default_for(self.local)
        try:
            return AddressPool.from_text(self.remote, exclude={self.local})
        except ConfigurationError as error:
            raise ConfigurationError(f"remote: {error}") from None
