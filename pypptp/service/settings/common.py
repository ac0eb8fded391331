"""What both ends of a tunnel can be told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from pypptp.errors import ConfigurationError
from pypptp.service.kinds import (
    Choice,
    File,
    Flag,
    InstanceName,
    Integer,
    Interface,
    ListOf,
    NumberChoice,
    Seconds,
    Text,
)
from pypptp.service.options import Described, options_of

LONGEST_HOOK = 3600.0
"""Seconds that a program may be given to run in; the server waits for it when it ends."""

MPPE_METHODS = frozenset({"mschap-v2", "mschap"})
"""The only ways of logging in that yield MPPE keys (RFC 3079)."""


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
    allow_multicast: Annotated[
        bool, Described("Let packets to multicast and broadcast addresses out of the tunnel", Flag())
    ] = False
    ifname: Annotated[
        str | None,
        Described(
            "Name of the tunnel's interface; %d is the next free unit",
            Interface(pattern=True),
            default_text="ppp%d: ppp0, ppp1, ...",
        ),
    ] = None
    ip_up: Annotated[
        Path | None,
        Described("Program to run when a tunnel is up, with pppd's arguments and environment", File()),
    ] = None
    ip_down: Annotated[
        Path | None, Described("Program to run when a tunnel that was up has gone; the same, and why it went", File())
    ] = None
    hook_timeout: Annotated[
        float,
        Described(
            "Time these programs have until they are killed, with what they have started",
            Seconds(LONGEST_HOOK, off=False),
        ),
    ] = 30.0
    ipparam: Annotated[
        str | None,
        Described(
            "Sixth argument of these programs",
            Text("TEXT", empty=True),
            default_text="on a server the address the client comes from",
        ),
    ] = None
    linkname: Annotated[str | None, Described("What they are told as LINKNAME", Text("NAME"))] = None
    instance: Annotated[
        str | None,
        Described(
            "Name to ask this process by, see pypptp status; also in the journal of changes",
            InstanceName(),
            default_text="server or client",
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
