"""The server's settings from pptpd's and pppd's files, as they are.

``pptpd.conf`` names an option file for pppd; pppd reads /etc/ppp/options before it in any case, and so is it here. What
a word becomes stands in the tables of pptpd_conf.py and pppd_words.py. A word that is not supported never stops the
server; one whose value nobody can read does, as it stops pptpd.

Where the two differ in what silence means, pppd's meaning is kept if an option file was read at all: without a
``require-mppe`` word pppd lets data pass in clear, so encryption is preferred and not required; without ``name`` it is
known by the host's name. Only who is let in is narrower: without a ``require`` word pppd asks for any proof it has a
secret for, here it is MS-CHAPv2.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from pypptp.auth.address_pool import AddressPool
from pypptp.auth.secret_file import read_secret_file
from pypptp.errors import ConfigurationError
from pypptp.ppp.config import MPPE_OVERHEAD
from pypptp.service.findings import Finding, Level
from pypptp.service.kinds import shown
from pypptp.service.meanings import Effect
from pypptp.service.options import options_of
from pypptp.service.pppd_options import ADDRESSES, Given, ReadFile, parse_options, read_number
from pypptp.service.pppd_words import PPPD_WORDS
from pypptp.service.pptpd_conf import (
    DEFAULT_LOCAL,
    DEFAULT_REMOTE,
    ConfLine,
    duplicates,
    expand_addresses,
    parse_pptpd_conf,
    ranges_text,
)
from pypptp.service.settings import MOST_CONNECTIONS, CommonSettings, ServerSettings

SYSTEM_OPTIONS = Path("/etc/ppp/options")
"""What pppd reads before any other file."""

SYSTEM_SECRETS = Path("/etc/ppp/chap-secrets")

SYSTEM_SCRIPTS = Path("/etc/ppp")
"""Where pppd looks for ip-up and ip-down."""

DEFAULT_CONNECTIONS = 100

_METHODS = {
    "require-mschap-v2": "mschap-v2",
    "require-mschap": "mschap",
    "require-chap": "chap",
    "require-pap": "pap",
}
"""Those words, in the order in which pppd asks for what several of them allow."""

_TEXTS = {"ip-up-script": "ip_up", "ip-down-script": "ip_down", "ipparam": "ipparam", "linkname": "linkname"}

_NUMBERS = ("mru", "lcp-echo-interval", "lcp-echo-failure", "idle", "maxconnect", "chap-interval")


@dataclass(slots=True)
class Legacy:
    """What old files say.

    Attributes:
        kind: the settings they are read for.
        values: typed, by field of ``kind``, for ``make_settings``.
        origins: where each of them comes from, ``file:line word``.
        findings: what is not taken over, once for each word, and what else there is to say.
        files: those that were read, by name, in order.
    """

    kind: type[CommonSettings] = ServerSettings
    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    def set(self, name: str, text: str, origin: str, where: str) -> None:
        """Set a field from a text, as if it had stood on a command line; ``where`` is for the error."""
        option = next(option for option in options_of(self.kind) if option.field == name)
        try:
            self.values[name] = option.kind.from_text(text)
        except ValueError as error:
            raise ConfigurationError(f"{where}: {error}") from None
        self.origins[name] = origin

    def say(self, source: str, line: int, level: Level, message: str) -> None:
        """Note a finding."""
        self.findings.append(Finding(source, line, level, message))


def read_pptpd_conf(
    path: Path,
    *,
    system_options: Path | None = SYSTEM_OPTIONS,
    secrets: Path | None = SYSTEM_SECRETS,
    scripts: Path | None = SYSTEM_SCRIPTS,
    host_name: str | None = None,
) -> Legacy:
    """Read pptpd's file at ``path``, and those it stands for.

    Args:
        path: the file.
        system_options: what pppd reads first, if it is there; None for nothing.
        secrets: the secrets, if there are any there; None for none.
        scripts: the folder with pppd's ip-up and ip-down, which are run if they are there; None for none.
        host_name: the host's; asked for where left out.

    Raises:
        ConfigurationError: a file that is named cannot be read, or holds a value nobody can read; names ``file:line``.
    """
    read = interpret_pptpd_conf(
        read_bounded(path),
        str(path),
        read_file=read_bounded,
        system_options=system_options if system_options is not None and is_there(system_options) else None,
        host_name=socket.gethostname() if host_name is None else host_name,
    )
    if secrets is not None and is_there(secrets):
        read.values["secrets"] = secrets
        read.origins["secrets"] = "where pppd looks for it"
        read.files.append(str(secrets))
    if scripts is not None:
        set_scripts(read, scripts)
    return read


def set_scripts(read: Legacy, folder: Path) -> None:
    """Have the scripts run that pppd runs where no word names others, if they are in ``folder`` and executable."""
    for name, script in (("ip_up", folder / "ip-up"), ("ip_down", folder / "ip-down")):
        if name not in read.values and script.is_file() and os.access(script, os.X_OK):
            read.set(name, str(script), "where pppd looks for it", str(script))


def interpret_pptpd_conf(
    data: bytes, source: str, *, read_file: ReadFile, system_options: Path | None = None, host_name: str = "localhost"
) -> Legacy:
    """Say what the content of a pptpd.conf means; see ``read_pptpd_conf``.

    Args:
        data: the file, whole.
        source: its name.
        read_file: reads the option files.
        system_options: the option file that comes before the one it names, or None.
        host_name: the host's name.

    Raises:
        ConfigurationError: as ``read_pptpd_conf``.
    """
    lines, remarks = parse_pptpd_conf(data, source)
    read = Legacy(findings=remarks, files=[source])
    given: list[Given] = []
    named = [(system_options, "")] if system_options is not None else []
    if "option" in lines:
        named.append((Path(lines["option"].value), f"{source}:{lines['option'].line}: option: "))
    for path, where in named:
        if str(path) in read.files:
            continue
        try:
            content = read_file(path)
        except ConfigurationError as error:
            raise ConfigurationError(f"{where}{error}") from None
        words, remarks = parse_options(content, str(path), read_file=read_file)
        given += words
        read.findings += remarks
        read.files.append(str(path))
    if "debug" in lines:
        read.set("log_level", "debug", f"{source}:{lines['debug'].line} debug", source)
    if "listen" in lines:
        line = lines["listen"]
        read.set("listen", line.value, f"{source}:{line.line} listen", f"{source}:{line.line}: listen")
    _set_addresses(read, lines, source, [word for word in given if word.word == ADDRESSES])
    if "connections" in lines:
        most = _connections(read, lines["connections"], source)
        origin = f"{source}:{lines['connections'].line} connections"
        read.set("connections", str(min(most or 0, MOST_CONNECTIONS)), origin, source)
    if len(read.files) > 1:
        _set_options(read, given, host_name)
    _set_ipparam(read, lines, source, [word for word in given if word.word == "ipparam"])
    return read


def _set_ipparam(read: Legacy, lines: dict[str, ConfLine], source: str, given: list[Given]) -> None:
    """Leave the client's outer address as pptpd gives it to pppd, behind the files' words; not with noipparam."""
    if "noipparam" in lines:
        read.values.setdefault("ipparam", "")
        read.origins.setdefault("ipparam", f"{source}:{lines['noipparam'].line} noipparam")
    elif given:
        word = given[-1]
        message = (
            "'ipparam' has no effect, which does not matter: pptpd gives the client's address instead, "
            f"unless noipparam stands in {source}"
        )
        read.say(word.source, word.line, Level.INFO, message)
        read.values.pop("ipparam", None)
        read.origins.pop("ipparam", None)


def interpret_options(data: bytes, source: str, *, read_file: ReadFile, host_name: str = "localhost") -> Legacy:
    """Say what the content of a pppd option file means for a server. Raises ConfigurationError."""
    read = Legacy(files=[source])
    given, read.findings = parse_options(data, source, read_file=read_file)
    _set_options(read, given, host_name)
    return read


def is_there(path: Path) -> bool:
    """Say whether there is a file; one behind a folder that is closed to us is, and reading it says what is wrong."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass
    return True


def read_bounded(path: Path) -> bytes:
    """Return a file's content; it may hold secrets. Raises ConfigurationError."""
    return read_secret_file(path)[0]


# Addresses.


def _set_addresses(read: Legacy, lines: dict[str, ConfLine], source: str, given: list[Given]) -> None:
    delegate = "delegate" in lines
    for word in given:
        local = word.value.partition(":")[0]
        if delegate and local:
            read.set("local", local, f"{word.where} {word.written}", word.where)
        else:
            message = f"'{word.written}' has no effect, which does not matter: the addresses are those of {source}"
            read.say(word.source, word.line, Level.INFO, message)
    if "local" not in read.values:
        _set_local(read, lines.get("localip"), source, delegate)
    _set_remote(read, lines, source, delegate)


def _set_local(read: Legacy, line: ConfLine | None, source: str, delegate: bool) -> None:
    if line is None:
        if delegate:
            return
        first = DEFAULT_LOCAL.partition("-")[0]
        read.say(source, 0, Level.WARNING, f"there is no localip, so it is pptpd's own, {first}")
        read.set("local", first, "pptpd's own, since there is no localip", source)
        return
    where = f"{source}:{line.line}: localip"
    addresses = _expand(line, where)
    if len(addresses) > 1:
        message = (
            f"'localip' names {len(addresses)} addresses, one for each connection with pptpd; "
            f"here all of them have the first, {addresses[0]}"
        )
        read.say(source, line.line, Level.WARNING, message)
    read.set("local", str(addresses[0]), f"{source}:{line.line} localip", where)


def _set_remote(read: Legacy, lines: dict[str, ConfLine], source: str, delegate: bool) -> None:
    line = lines.get("remoteip")
    if delegate:
        return
    if line is None:
        read.say(source, 0, Level.WARNING, f"there is no remoteip, so it is pptpd's own, {DEFAULT_REMOTE}")
        read.set("remote", DEFAULT_REMOTE, "pptpd's own, since there is no remoteip", source)
        return
    where = f"{source}:{line.line}: remoteip"
    addresses = _expand(line, where)
    twice = duplicates(line.value)
    if twice:
        named = f"{twice[0]} and {len(twice) - 1} more" if len(twice) > 1 else str(twice[0])
        read.say(source, line.line, Level.WARNING, f"'remoteip' names {named} twice, it counts once")
    origin = f"{source}:{line.line} remoteip"
    most = _connections(read, lines.get("connections"), source)
    text = ",".join(item.strip() for item in line.value.split(","))
    # Where pptpd means more than our own lists can say (192.168.0-3.7), or fewer, it is written out.
    if most is not None and most < len(addresses):
        addresses = addresses[:most]
        text = ranges_text(addresses)
        origin += f", of which {source}:{lines['connections'].line} connections leaves {most}"
    elif not _reads_alike(text, addresses):
        text = ranges_text(addresses)
    read.set("remote", text, origin, where)


def _connections(read: Legacy, line: ConfLine | None, source: str) -> int | None:
    """How many clients there may be; None where the file does not say. ``atoi`` reads what pptpd makes a limit of."""
    if line is None:
        return None
    try:
        most = int(line.value[:9]) if line.value.isascii() and line.value.isdigit() else read_number(line.value)
    except ValueError:
        most = 0
    if most > 0:
        return most
    message = f"'connections' {shown(line.value)} is no number of clients, so it is {DEFAULT_CONNECTIONS} as with pptpd"
    read.say(source, line.line, Level.WARNING, message)
    return DEFAULT_CONNECTIONS


def _expand(line: ConfLine, where: str) -> list[IPv4Address]:
    try:
        return expand_addresses(line.value)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from None


def _reads_alike(text: str, addresses: list[IPv4Address]) -> bool:
    try:
        return list(AddressPool.from_text(text).addresses) == addresses
    except ConfigurationError:
        return False


# pppd's words.


@dataclass(slots=True)
class Encryption:
    """What the mppe words add up to.

    Attributes:
        wanted: require, prefer or deny; "" where no word says.
        strengths: the key lengths that were named, in bits.
        without: those that were refused.
        origins: ``file:line word`` of each word.
    """

    wanted: str = ""
    strengths: set[int] = field(default_factory=set)
    without: set[int] = field(default_factory=set)
    origins: list[str] = field(default_factory=list)

    def take(self, word: Given) -> bool:
        """Take the word in, if it is one of these; say whether it is. Raises ConfigurationError."""
        match word.word:
            case "require-mppe":
                self._require({128, 40})
            case "require-mppe-128":
                self._require({128})
            case "require-mppe-40":
                self._require({40})
            case "nomppe" | "noccp":
                self.wanted = "deny"
            case "nomppe-40":
                self.without.add(40)
            case "nomppe-128":
                self.without.add(128)
            case "mppe":
                self._patched(word)
            case _:
                return False
        self.origins.append(f"{word.where} {word.written}")
        return True

    def _require(self, strengths: set[int]) -> None:
        self.wanted = "require"
        self.strengths |= strengths

    def _patched(self, word: Given) -> None:
        """``mppe required,no40,no56,stateless``: the option of pppd with the MPPE-MPPC patch."""
        self.strengths |= {128, 56, 40}
        self.wanted = self.wanted or "prefer"
        for part in word.value.split(","):
            match part:
                case "required":
                    self.wanted = "require"
                case "no40" | "no56" | "no128":
                    self.without.add(int(part[2:]))
                case "stateless" | "optional" | "":
                    pass
                case _:
                    raise ConfigurationError(
                        f"{word.where}: mppe: {shown(part)} is not one of required, no40, no56, no128, stateless"
                    )


def _set_options(read: Legacy, given: list[Given], host_name: str) -> None:
    said: set[str] = set()
    methods: dict[str, str] = {}
    servers: dict[str, list[Given]] = {"ms-dns": [], "ms-wins": []}
    last: dict[str, Given] = {}
    encryption = Encryption()
    for word in given:
        if word.word == ADDRESSES:
            continue
        meaning = PPPD_WORDS[word.word]
        if meaning.level is not None and word.word not in said:
            said.add(word.word)
            read.say(word.source, word.line, meaning.level, meaning.sentence(word.written))
        if meaning.effect is not Effect.SETTING or encryption.take(word):
            continue
        if word.word in _METHODS:
            methods.setdefault(word.word, f"{word.where} {word.written}")
        elif word.word in servers:
            servers[word.word].append(word)
        elif word.word == "noproxyarp":
            last["proxyarp"] = word
        else:
            last[word.word] = word
    source = read.files[-1]
    _set_methods(read, methods, source)
    set_encryption(
        read,
        encryption,
        source,
        "there is no require-mppe word, and so clients may leave encryption out, as with pppd; "
        "write require-mppe-128 to have it from all",
    )
    _set_name(read, last, host_name)
    set_numbers(read, last, _NUMBERS)
    for name, words in servers.items():
        _set_servers(read, name, words)
    for name, field_name in (("nopcomp", "pcomp"), ("noaccomp", "accomp")):
        if name in last:
            read.set(field_name, "false", f"{last[name].where} {name}", source)
    if "proxyarp" in last:
        word = last["proxyarp"]
        read.set("proxy_arp", str(word.word == "proxyarp").lower(), f"{word.where} {word.written}", source)
    for name, field_name in _TEXTS.items():
        if name in last:
            word = last[name]
            read.set(field_name, word.value, f"{word.where} {name}", f"{word.where}: {name}")
    if "debug" in last:
        read.set("log_level", "debug", f"{last['debug'].where} debug", source)


def _set_methods(read: Legacy, methods: dict[str, str], source: str) -> None:
    if methods:
        found = [word for word in _METHODS if word in methods]
        read.set("auth", ",".join(_METHODS[word] for word in found), ", ".join(methods[word] for word in found), source)
        return
    message = (
        "there is no require- word for a way of logging in: pppd takes any it has a secret for, here it is mschap-v2; "
        "write require-mschap too for a client that has nothing better"
    )
    read.say(source, 0, Level.WARNING, message)


def set_encryption(read: Legacy, encryption: Encryption, source: str, without: str) -> None:
    """Set ``mppe`` and ``mppe_strength``; ``without`` is what to say where no word asks for encryption.

    Raises:
        ConfigurationError: the words leave no key length over.
    """
    origin = named = ", ".join(encryption.origins)
    wanted = encryption.wanted
    if not wanted:
        wanted, origin = "prefer", "no require-mppe word, so that pppd lets data pass in clear"
        read.say(source, 0, Level.WARNING, without)
    read.set("mppe", wanted, origin, source)
    strengths = [bits for bits in (128, 56, 40) if bits in (encryption.strengths or {128, 40}) - encryption.without]
    if wanted == "deny" or not (encryption.strengths or encryption.without):
        return
    if not strengths:
        raise ConfigurationError(f"{named}: no key length is left for MPPE; write nomppe to do without")
    read.set("mppe_strength", ",".join(map(str, strengths)), named, source)


def _set_name(read: Legacy, last: dict[str, Given], host_name: str) -> None:
    word = last.get("name")
    if word is not None and "usehostname" not in last:
        read.set("name", word.value, f"{word.where} name", f"{word.where}: name")
        return
    origin = (
        "the host's name, since there is no name word" if word is None else f"{last['usehostname'].where} usehostname"
    )
    read.set("name", name_of_host(last, host_name), origin, "the host's name")


def name_of_host(last: dict[str, Given], host_name: str) -> str:
    """Return what pppd calls the host where nothing says its name."""
    domain = last["domain"].value if "domain" in last else ""
    return f"{host_name}.{domain.lstrip('.')}" if domain else host_name


def set_numbers(read: Legacy, last: dict[str, Given], names: Iterable[str]) -> None:
    """Set the fields of words that are numbers, and of mtu. Raises ConfigurationError."""
    for name in names:
        if name in last:
            word = last[name]
            read.set(name.replace("-", "_"), str(number_of(word)), f"{word.where} {name}", f"{word.where}: {name}")
    if "mtu" in last:
        word = last["mtu"]
        less = 0 if read.values.get("mppe") == "deny" else MPPE_OVERHEAD
        origin = f"{word.where} mtu" + (f", less the {less} octets of MPPE" if less else "")
        read.set("mtu", str(number_of(word) - less), origin, f"{word.where}: mtu")


def number_of(word: Given) -> int:
    """Return the number that is a word's value. Raises ConfigurationError, which names file and line."""
    try:
        return read_number(word.value)
    except ValueError as error:
        raise ConfigurationError(f"{word.where}: {word.word}: {error}") from None


def _set_servers(read: Legacy, name: str, words: list[Given]) -> None:
    """Take the last two, the earlier of them first, as ``setdnsaddr`` in pppd's ipcp.c does."""
    if len(words) > 2:
        message = f"'{name}' is given {len(words)} times, and the last two count"
        read.say(words[-1].source, words[-1].line, Level.WARNING, message)
    for word in words:
        # Each by itself, so that the error has its line.
        read.set(_FIELDS[name], word.value, "", f"{word.where}: {name}")
    if words:
        two = words[-2:]
        origin = ", ".join(f"{word.where} {name}" for word in two)
        read.set(_FIELDS[name], ",".join(word.value for word in two), origin, words[-1].where)


_FIELDS = {"ms-dns": "dns", "ms-wins": "wins"}
