"""pptp-linux's command line, as it stands behind ``pty`` in a peers file: which server, and what of the rest matters.

pppd has the shell run it, so it is a line of sh: ``/usr/sbin/pptp 10.0.0.1 --nolaunchpppd --loglevel 1``. See pptp(8).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pypptp.errors import ConfigurationError
from pypptp.service.findings import Level
from pypptp.service.kinds import HostName, did_you_mean, shown
from pypptp.service.meanings import Effect, Meaning


def _table() -> dict[str, Meaning]:
    fulfilled, without, missing = Effect.FULFILLED, Effect.WITHOUT, Effect.MISSING
    reorder = "how long a late packet is waited for is worked out from the tunnel itself"
    return {
        "--nolaunchpppd": Meaning(fulfilled, ""),
        "--nohostroute": Meaning(without, "a route to the server is pinned where one is needed, and taken back"),
        "--loglevel": Meaning(Effect.SETTING, "log-level, debug for 2", 1),
        "--idle-wait": Meaning(Effect.SETTING, "echo-interval", 1),
        "--debug": Meaning(without, "there is no pptp process"),
        "--sync": Meaning(without, "there is no serial line"),
        "--nobuffer": Meaning(without, reorder),
        "--timeout": Meaning(without, reorder, 1),
        "--max-echo-wait": Meaning(without, "an echo reply is waited for as long as RFC 2637 says, 60 s", 1),
        "--logstring": Meaning(without, "the log names the connection in any case", 1),
        "--version": Meaning(without, "there is no pptp process"),
        "--help": Meaning(without, "there is no pptp process"),
        "--phone": Meaning(missing, "no phone number is sent with the call", 1),
        "--quirks": Meaning(missing, "there is no special case for any modem", 1),
        "--localbind": Meaning(
            missing, "the kernel chooses the address the tunnel begins at; --uplink names an interface", 1
        ),
        "--rtmark": Meaning(missing, "packets are not marked; --uplink names the interface they leave by", 1),
        "--test-type": Meaning(missing, "packets are never put out of order on purpose", 1),
        "--test-rate": Meaning(missing, "packets are never put out of order on purpose", 1),
    }


PPTP_OPTIONS: Mapping[str, Meaning] = _table()
"""Every option of pptp-linux 1.10."""


@dataclass(slots=True)
class PptpCommand:
    """A pptp command line.

    Attributes:
        server: host name or address.
        values: what stands behind the options that become a setting.
        remarks: what there is to say of the rest.
    """

    server: str
    values: dict[str, str]
    remarks: list[tuple[Level, str]]


def parse_pptp_command(command: str) -> PptpCommand:
    """Read a command line.

    Raises:
        ConfigurationError: the shell could not read it, it is not pptp's, or no server stands in it.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ConfigurationError(f"pty: {shown(command)} is no command line: {str(error).lower()}") from None
    place = next((place for place, word in enumerate(words) if word.rpartition("/")[2] == "pptp"), None)
    if place is None:
        raise ConfigurationError(f"pty: {shown(command)} does not run pptp, so this is no PPTP connection")
    remarks: list[tuple[Level, str]] = []
    if place and words[:place] != ["exec"]:
        remarks.append((Level.WARNING, f"'{' '.join(words[:place])[:64]}' in front of pptp is not run"))
    values: dict[str, str] = {}
    servers: list[str] = []
    rest = iter(words[place + 1 :])
    for word in rest:
        if word == "--":
            servers += rest
        elif word.startswith("-") and len(word) > 1:
            _take_option(word, rest, values, remarks)
        else:
            servers.append(word)
    if not servers:
        raise ConfigurationError(f"pty: no server stands in {shown(command)}")
    try:
        server = HostName().from_text(servers[0])
    except ValueError as error:
        raise ConfigurationError(f"pty: {error}") from None
    if servers[1:]:
        remarks.append(
            (Level.WARNING, f"{shown(servers[1])} behind the server has no effect; pppd's words have the file")
        )
    return PptpCommand(server, values, remarks)


def _take_option(word: str, rest: Iterator[str], values: dict[str, str], remarks: list[tuple[Level, str]]) -> None:
    """Read one option, with its value behind it or behind ``=``; getopt_long takes any beginning that is one's own."""
    given, equals, value = word.partition("=")
    full = [given] if given in PPTP_OPTIONS else [name for name in PPTP_OPTIONS if name.startswith(given)]
    if len(full) != 1 or not given.startswith("--"):
        near = did_you_mean(given, tuple(PPTP_OPTIONS))
        remarks.append((Level.WARNING, f"{shown(given)} is no option of pptp's{near}"))
        return
    meaning = PPTP_OPTIONS[full[0]]
    if meaning.arguments and not equals:
        value = next(rest, "")
        if not value:
            raise ConfigurationError(f"pty: '{full[0]}' has no value behind it")
    if meaning.effect is Effect.SETTING:
        values[full[0]] = value
    elif meaning.level is not None:
        remarks.append((meaning.level, meaning.sentence(full[0])))
