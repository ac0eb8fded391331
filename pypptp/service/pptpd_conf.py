"""pptpd.conf, the file of pptpd (Poptop): its grammar and its words. See pptpd.conf(5).

A line is a keyword, blanks or tabs, and a value that goes to the end of the line; there are no quotes. A line that
begins with ``#`` is a comment, and of two lines with the same keyword pptpd takes the first (``read_config_file`` in
its configfile.c).

pptpd leaves out three kinds of lines in silence, or nearly: one that begins with a blank, the last one where it has no
line end, and one of more than 510 octets; a carriage return or a comment behind a value spoils the value. What such a
line is meant to say is plain, so here it is read and reported.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from pypptp.auth.address_pool import MAXIMUM_SIZE, AddressPool
from pypptp.errors import ConfigurationError
from pypptp.service.findings import Finding, Level
from pypptp.service.kinds import did_you_mean, shown
from pypptp.service.meanings import MOST_UNKNOWN, Effect, Meaning

DEFAULT_LOCAL = "192.168.0.1-100"
DEFAULT_REMOTE = "192.168.1.1-100"
"""pptpd's own, where the file names none (its defaults.h)."""

LONGEST_LINE = 510
"""Octets, line end included, that pptpd reads."""

PPTPD_WORDS: Mapping[str, Meaning] = {
    "localip": Meaning(Effect.SETTING, "local, the first of them", 1),
    "remoteip": Meaning(Effect.SETTING, "remote", 1),
    "connections": Meaning(Effect.SETTING, "connections, and remote, of which so many addresses are used", 1),
    "listen": Meaning(Effect.SETTING, "listen", 1),
    "option": Meaning(Effect.SETTING, "what the words of that options file become", 1),
    "debug": Meaning(Effect.SETTING, "log-level"),
    "delegate": Meaning(
        Effect.MISSING,
        "a user's address is the fourth column of the secrets, and where that names none it comes from --remote",
    ),
    "bcrelay": Meaning(
        Effect.MISSING, "broadcasts of the local network are not relayed; use names from a DNS or WINS server", 1
    ),
    "vrf": Meaning(Effect.MISSING, "start the server inside it, with 'ip vrf exec NAME pypptp server ...'", 1),
    "keep": Meaning(Effect.MISSING, "sessions end with the server"),
    "stimeout": Meaning(Effect.WITHOUT, "a client has 5 seconds to begin", 1),
    "ptimeout": Meaning(Effect.WITHOUT, "how long to wait for a late packet is measured", 1),
    "ppp": Meaning(Effect.WITHOUT, "no pppd is started", 1),
    "speed": Meaning(Effect.WITHOUT, "there is no serial line", 1),
    "pidfile": Meaning(Effect.WITHOUT, "the server stays in the foreground, for a service manager to watch", 1),
    "logwtmp": Meaning(Effect.WITHOUT, "the log says who came and went; 'last' does not show them"),
    "noipparam": Meaning(Effect.SETTING, "ipparam, empty unless the options file has it"),
}
"""Every keyword of pptpd 1.4 and accel-pptpd."""


@dataclass(frozen=True, slots=True)
class ConfLine:
    """A line in force.

    Attributes:
        keyword: its first word.
        value: what stands behind it, "" for nothing.
        line: where it is, from 1.
    """

    keyword: str
    value: str
    line: int


def parse_pptpd_conf(data: bytes, source: str = "pptpd.conf") -> tuple[dict[str, ConfLine], list[Finding]]:
    """Read the content of a pptpd.conf.

    Args:
        data: the file, whole.
        source: its name, for the findings.

    Returns:
        The line in force for each keyword of the table, in the file's order, and what there is to say.

    Raises:
        ConfigurationError: this is no text file, or no line or hardly one is pptpd's.
    """
    if b"\0" in data:
        raise ConfigurationError(f"{source}:{data[: data.index(0)].count(10) + 1}: not a text file, it holds a NUL")
    lines: dict[str, ConfLine] = {}
    findings: list[Finding] = []
    known = unknown = 0
    physical = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    for number, octets in enumerate(physical, 1):
        text = octets.decode("utf-8", "replace")
        stripped = text.strip(" \t\r\v\f")
        if not stripped or stripped.startswith("#"):
            continue
        value, remarks = _clean(stripped)
        if text[0] in " \t":
            remarks.append("begins with a blank")
        if len(octets) >= LONGEST_LINE:
            remarks.append(f"is longer than {LONGEST_LINE} octets")
        if "\r" in text:
            remarks.append("ends with a carriage return")
        if number == len(physical):
            remarks.append("has no line end")
        if remarks:
            said = " and ".join(remarks)
            message = f"the line {said}, which pptpd does not understand; it is read all the same"
            findings.append(Finding(source, number, Level.INFO, message))
        keyword, _, rest = value.partition(" ")
        line = ConfLine(keyword, rest.strip(), number)
        meaning = PPTPD_WORDS.get(keyword)
        if meaning is None:
            unknown += 1
            if unknown > MOST_UNKNOWN:
                raise ConfigurationError(
                    f"{source}:{number}: {unknown} words that are not pptpd's: this is another file"
                )
            near = did_you_mean(keyword, tuple(PPTPD_WORDS))
            findings.append(
                Finding(source, number, Level.WARNING, f"{shown(keyword)} is no word of pptpd's, it is left out{near}")
            )
            continue
        known += 1
        if keyword in lines:
            message = f"'{keyword}' stands in line {lines[keyword].line} already, and the first one counts"
            findings.append(Finding(source, number, Level.WARNING, message))
        else:
            lines[keyword] = line
            if meaning.level is not None:
                findings.append(Finding(source, number, meaning.level, meaning.sentence(keyword)))
            if meaning.arguments and not line.value:
                findings.append(Finding(source, number, Level.WARNING, f"'{keyword}' says nothing without a value"))
                if meaning.effect is Effect.SETTING:
                    del lines[keyword]
    if unknown > 1 and not known:
        # With pptpd's own addresses in place of those meant, a server of nobody's wish would start.
        raise ConfigurationError(f"{source}: no line of it is pptpd's: the name of a TOML file has to end in .toml")
    return lines, findings


def _clean(text: str) -> tuple[str, list[str]]:
    """Put one blank between keyword and value, and cut a comment off."""
    value = re.sub(r"[ \t]+", " ", text)
    without = re.sub(r" #.*", "", value)
    return without, (["has a comment behind the value"] if without != value else [])


_MIDDLE_RANGE = re.compile(r"(\d{1,3})(-\d{1,3})?\.(\d{1,3})(-\d{1,3})?\.(\d{1,3})(-\d{1,3})?\.(\d{1,3})", re.ASCII)


def expand_addresses(text: str) -> list[IPv4Address]:
    """Read a ``localip`` or ``remoteip`` list, in its order: addresses and ranges in any one of the four numbers.

    >>> [str(address) for address in expand_addresses("192.168.0.234-235,10.0.8-9.1")]
    ['192.168.0.234', '192.168.0.235', '10.0.8.1', '10.0.9.1']

    Raises:
        ConfigurationError: an item that is none of these, a range that runs backwards, or too many addresses.
    """
    found: list[IPv4Address] = []
    for item in text.split(","):
        for piece in _pieces(item.strip()):
            found.extend(AddressPool.from_text(piece).addresses)
        if len(found) > MAXIMUM_SIZE:
            raise ConfigurationError(f"{shown(text)} is more than {MAXIMUM_SIZE} addresses")
    return list(dict.fromkeys(found))


def duplicates(text: str) -> list[IPv4Address]:
    """Return the addresses a list names more than once. Raises ConfigurationError as ``expand_addresses`` does."""
    seen: set[IPv4Address] = set()
    twice: dict[IPv4Address, None] = {}
    for item in text.split(","):
        for address in expand_addresses(item):
            if address in seen:
                twice[address] = None
            seen.add(address)
    return list(twice)


def _pieces(item: str) -> list[str]:
    """Write out a range in the second or third number, ``192.168.0-255.2``; the pool reads one in the last itself."""
    match = _MIDDLE_RANGE.fullmatch(item)
    if match is None or not any(match.group(2, 4, 6)):
        return [item]
    numbers, ends = list(match.group(1, 3, 5, 7)), match.group(2, 4, 6)
    if sum(end is not None for end in ends) > 1:
        raise ConfigurationError(f"{shown(item)} has more than one range")
    place = next(place for place, end in enumerate(ends) if end)
    last = ends[place]
    assert last is not None
    lower, upper = int(numbers[place]), int(last[1:])
    if not lower <= upper <= 255:
        raise ConfigurationError(f"{shown(item)} is not a range: the numbers run from 0 to 255, the smaller one first")
    return [".".join([*numbers[:place], str(number), *numbers[place + 1 :]]) for number in range(lower, upper + 1)]


def ranges_text(addresses: list[IPv4Address]) -> str:
    """Write addresses as a list that ``expand_addresses`` and ``--remote`` read back.

    >>> ranges_text([IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2"), IPv4Address("10.0.9.9")])
    '10.0.0.1-2,10.0.9.9'
    """
    runs: list[tuple[IPv4Address, IPv4Address]] = []
    for address in addresses:
        if runs and int(address) == int(runs[-1][1]) + 1 and int(address) & 0xFF:
            runs[-1] = (runs[-1][0], address)
        else:
            runs.append((address, address))
    return ",".join(str(first) if first == last else f"{first}-{int(last) & 0xFF}" for first, last in runs)
