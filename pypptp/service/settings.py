"""What a server and a client can be told, with every default, and how flags and a file make it.

Each field is an option: ``lcp_echo_interval`` is ``--lcp-echo-interval`` on the command line and
``lcp-echo-interval`` (or with underscores) in TOML. Words are pptpd's and pppd's where they have one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pypptp.auth.address_pool import AddressPool
from pypptp.errors import ConfigurationError
from pypptp.service.kinds import (
    Address,
    Choice,
    File,
    Flag,
    HostName,
    Integer,
    Interface,
    ListOf,
    Network,
    NumberChoice,
    Processes,
    Seconds,
    Text,
)
from pypptp.service.options import Described, options_of

PRIVATE_NETWORKS = tuple(
    IPv4Network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "9.0.0.0/8", "100.64.0.0/10")
)
"""``--bypass private``: what stays on a cloud host's own interface when the default route moves into the tunnel."""

EVERY_ADDRESS = IPv4Address("0.0.0.0")
"""To listen on all of the host's addresses."""

MPPE_METHODS = frozenset({"mschap-v2", "mschap"})
"""The only ways of logging in that yield MPPE keys (RFC 3079)."""

LONGEST_TIME = 31 * 86_400.0
"""Seconds that a limit of a session's time may have."""

MOST_WORKERS = 32
"""Processes of a server. They share the 65,535 call ids: 2,047 calls for each of so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonSettings:
    """What both ends of a tunnel can be told.

    Raises:
        ConfigurationError: a value out of range, or two that contradict each other; names the option.
    """

    command: ClassVar[str] = ""

    port: Annotated[int, Described("TCP port of the control connection", Integer(1, 65_535))] = 1723
    auth: Annotated[
        tuple[str, ...],
        Described(
            "Ways of logging in that are accepted, the preferred one first",
            ListOf(Choice("mschap-v2", "mschap", "chap", "pap"), least=1),
        ),
    ] = ("mschap-v2",)
    mppe: Annotated[
        str,
        Described(
            "Encryption: require it, prefer it but go on without, or deny it", Choice("require", "prefer", "deny")
        ),
    ] = "require"
    mppe_strength: Annotated[
        tuple[int, ...],
        Described("Key lengths that are accepted, in bits", ListOf(NumberChoice(128, 56, 40), least=1)),
    ] = (128,)
    mppe_stateful: Annotated[
        bool, Described("Change the MPPE key every 256 packets instead of with each; loss then costs more", Flag())
    ] = False
    pcomp: Annotated[bool, Described("Offer and grant one-octet protocol fields (LCP PFC)", Flag())] = True
    accomp: Annotated[bool, Described("Offer and grant leaving out address and control (LCP ACFC)", Flag())] = True
    mtu: Annotated[int, Described("Largest packet sent through the tunnel, in octets", Integer(68, 65_535))] = 1400
    mru: Annotated[
        int | None,
        Described(
            "Largest PPP payload the peer is asked to send, in octets, 4 of which MPPE takes",
            Integer(68, 65_535),
            default_text="mtu + 4",
        ),
    ] = None
    echo_interval: Annotated[
        float, Described("Silence on the control connection after which the peer is probed; 0 never probes", Seconds())
    ] = 60.0
    lcp_echo_interval: Annotated[
        float, Described("Time between LCP echo requests through the tunnel; 0 sends none", Seconds())
    ] = 30.0
    lcp_echo_failure: Annotated[
        int, Described("Unanswered LCP echo requests after which the session ends; 0 never ends it", Integer(0, 1000))
    ] = 4
    ifname: Annotated[
        str | None,
        Described(
            "Name of the tunnel's interface; %d is the next free unit",
            Interface(pattern=True),
            default_text="ppp%d: ppp0, ppp1, ...",
        ),
    ] = None
    log_level: Annotated[
        str, Described("Least important messages that are logged", Choice("debug", "info", "warning", "error"))
    ] = "info"

    def __post_init__(self) -> None:
        for option in options_of(type(self)):
            option.check(getattr(self, option.field))
        if self.mppe == "require" and not MPPE_METHODS.intersection(self.auth):
            methods = ",".join(self.auth)
            raise ConfigurationError(
                f"auth: {methods} yields no keys for MPPE; add mschap-v2, or set mppe to prefer or deny"
            )
        self._check_together()

    def _check_together(self) -> None:
        """Look at what values of one command mean for each other."""

    def warnings(self) -> list[str]:
        """Say in sentences what of these settings is allowed but unwise."""
        found = []
        if self.mppe != "require":
            found.append(f"mppe: {self.mppe} lets data pass without encryption")
        if "pap" in self.auth:
            found.append("auth: pap sends the password in clear")
        if self.mppe != "deny" and min(self.mppe_strength) < 128:
            found.append(f"mppe-strength: {min(self.mppe_strength)}-bit keys are found by trying them all")
        return found


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


Settings = TypeVar("Settings", bound=CommonSettings)
Flags = Mapping[str, bool | str | Sequence[str] | None]

COMMANDS: Mapping[str, type[CommonSettings]] = {"server": ServerSettings, "client": ClientSettings}
"""Every command that has settings, by name; the tables a TOML file may have."""

_ALTERNATIVES = ({"password", "password_file"},)
"""Options of which a flag for one also sets aside a file's line for the other."""


def make_settings(kind: type[Settings], flags: Flags, file: Mapping[str, Any] | None = None) -> Settings:
    """Put settings together: flags win over the file, the file over the defaults.

    Args:
        kind: ``ServerSettings`` or ``ClientSettings``.
        flags: what the command line gave, by field name and unconverted; None and ``()`` mean not given, other names
            are ignored.
        file: what ``load_toml`` returned, typed.

    Raises:
        ConfigurationError: a bad value, a contradiction, or a required option that nobody gave.
    """
    options = options_of(kind)
    given: dict[str, Any] = {}
    for option in options:
        raw = flags.get(option.field)
        if raw is not None and raw != ():
            given[option.field] = option.from_flag(raw)
    values = dict(file or {})
    for group in _ALTERNATIVES:
        if group.intersection(given):
            values = {name: value for name, value in values.items() if name not in group}
    values.update(given)
    missing = next((option for option in options if option.required and option.field not in values), None)
    if missing is not None:
        raise ConfigurationError(
            f"{missing.name}: not given; use {missing.flag} {missing.kind.metavar} or a config file"
        )
    return kind(**values)


def as_flags(settings: CommonSettings) -> dict[str, str]:
    """Write settings as the flags that ``make_settings`` makes them of again, by field name; no secret among them."""
    flags: dict[str, str] = {}
    for option in options_of(type(settings)):
        value = getattr(settings, option.field)
        if value is not None and not option.secret:
            flags[option.field] = option.kind.to_text(value)
    return flags
