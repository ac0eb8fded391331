"""What ``pypptp server`` can be told."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, ClassVar

from pypptp.aio.admission import ConnectionLimits
from pypptp.aio.rates import Rate
from pypptp.auth.address_pool import AddressPool
from pypptp.auth.secret_file import ReadFile, read_private_file, read_secret_file
from pypptp.auth.session_limits import SessionPolicy, SingleSession
from pypptp.errors import ConfigurationError
from pypptp.service.kinds import (
    Address,
    Choice,
    File,
    Flag,
    Integer,
    Interface,
    ListOf,
    Processes,
    Seconds,
    Text,
)
from pypptp.service.options import Described
from pypptp.service.pool_kinds import NamedPools
from pypptp.service.rate_kinds import Bandwidth, UserRate, UserRates
from pypptp.service.settings.common import CommonSettings

EVERY_ADDRESS = IPv4Address("0.0.0.0")
"""To listen on all of the host's addresses."""

LONGEST_TIME = 31 * 86_400.0
"""Seconds that a limit of a session's time may have."""

MOST_CONNECTIONS = 65_535
"""Control connections; there are no more call ids than that."""

DEFAULT_LIMITS = ConnectionLimits()

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
    pool: Annotated[
        tuple[str, ...],
        Described(
            "Addresses for the users whose line in the secrets ends in '-- pool NAME'; may be repeated", NamedPools()
        ),
    ] = ()
    secrets: Annotated[
        Path | None,
        Described(
            "File with users, in chap-secrets format", File(), default_text="one user, made up and printed at start"
        ),
    ] = None
    allow_readable_secrets: Annotated[
        bool, Described("Use a secrets file that others than its owner can read; otherwise it is refused", Flag())
    ] = False
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
    proxy_arp: Annotated[
        bool,
        Described("Answer ARP for clients on the local network their addresses are of; it needs forwarding", Flag()),
    ] = False
    isolate: Annotated[bool, Described("Let no client reach another", Flag())] = False
    rate: Annotated[
        Rate | None,
        Described(
            "Most that passes to and from each user, 2mbit or 10mbit/2mbit", Bandwidth(), default_text="unlimited"
        ),
    ] = None
    user_rate: Annotated[
        tuple[UserRate, ...],
        Described("The same for one user, instead; may be repeated", UserRates()),
    ] = ()
    allow_nested: Annotated[
        bool, Described("Let clients open PPTP connections to this server inside their tunnel", Flag())
    ] = False
    single_session: Annotated[
        str,
        Described(
            "What happens where a user is connected already: deny refuses the newcomer, replace ends the older session",
            Choice(*SingleSession),
        ),
    ] = SingleSession.OFF.value
    max_sessions_per_user: Annotated[
        int, Described("Sessions of one user at a time; 0 is any number", Integer(0, MOST_CONNECTIONS))
    ] = 0
    connections: Annotated[
        int, Described("Control connections at a time; 0 is any number", Integer(0, MOST_CONNECTIONS))
    ] = 0
    max_starting: Annotated[
        int,
        Described(
            "Control connections at a time without a session that is up; beyond it who holds most of them, who has "
            "placed no call, or who takes more than 10 seconds gives way to a newcomer, else the newcomer is refused; "
            "0 is any number",
            Integer(0, MOST_CONNECTIONS),
        ),
    ] = DEFAULT_LIMITS.starting
    max_per_address: Annotated[
        int,
        Described(
            "Control connections at a time from one address; many clients may sit behind it; 0 is any number",
            Integer(0, MOST_CONNECTIONS),
        ),
    ] = DEFAULT_LIMITS.per_address
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

    run_as: Annotated[
        str | None,
        Described(
            "User to run as, while a process of root's holds the network for it; hooks run as that user, too",
            Text("USER"),
            default_text="whoever starts it",
        ),
    ] = None
    workers: Annotated[
        int,
        Described("Processes that carry the sessions; auto is one for each core", Processes(1, MOST_WORKERS)),
    ] = 1

    def _check_together(self) -> None:
        self.address_pool()
        if self.single_session != SingleSession.OFF and self.max_sessions_per_user > 1:
            raise ConfigurationError(
                f"max-sessions-per-user: {self.max_sessions_per_user} contradicts single-session {self.single_session}"
            )

    @property
    def read_secrets(self) -> ReadFile:
        """How the secrets file is read."""
        return read_secret_file if self.allow_readable_secrets else read_private_file

    def address_pool(self) -> AddressPool:
        """Make the address pool, those with a name too. Never holds ``local``.

        Raises:
            ConfigurationError: names ``remote`` or ``pool`` and what is wrong with it.
        """
        ranges, named = self.remote or AddressPool.default_ranges(self.local), dict[str, str]()
        for pool in self.pool:
            name, _, named[name] = pool.partition("=")
        try:
            AddressPool.from_text(ranges, exclude={self.local})
        except ConfigurationError as error:
            raise ConfigurationError(f"remote: {error}") from None
        try:
            return AddressPool.from_text(ranges, exclude={self.local}, named=named)
        except ConfigurationError as error:
            raise ConfigurationError(f"pool: {error}") from None

    def session_policy(self) -> SessionPolicy:
        """Return how many sessions a user may have."""
        return SessionPolicy(SingleSession(self.single_session), self.max_sessions_per_user)

    def connection_limits(self) -> ConnectionLimits:
        """Return how many control connections there may be."""
        return ConnectionLimits(self.connections, self.max_starting, self.max_per_address)
