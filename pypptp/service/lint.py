"""Looking through the files of a server, or of a client's connection, without starting it."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

from pypptp.auth.account import AddressRule
from pypptp.auth.address_pool import AddressPool
from pypptp.auth.chap_secrets import Secrets, parse_chap_secrets
from pypptp.auth.secret_file import read_secret_file
from pypptp.errors import ConfigurationError
from pypptp.service.findings import Finding, Level
from pypptp.service.hooks import HookSettings, is_program
from pypptp.service.legacy import SYSTEM_OPTIONS, SYSTEM_SCRIPTS, SYSTEM_SECRETS, interpret_options, read_pptpd_conf
from pypptp.service.options import options_of
from pypptp.service.peers.network_manager import SERVICE, connection_of, read_keyfile
from pypptp.service.peers.peer_file import read_peer
from pypptp.service.pppd_words import ALIASES, PPPD_WORDS
from pypptp.service.pptpd_conf import PPTPD_WORDS, parse_pptpd_conf, ranges_text
from pypptp.service.settings import ClientSettings, CommonSettings, ServerSettings, make_settings
from pypptp.service.toml_file import load_toml

if TYPE_CHECKING:
    # At run time it would bring pyroute2 along, which only Linux has; files are looked through anywhere.
    from pypptp.net.addresses import LocalAddress

SHORTEST_PASSWORD = 10
"""Characters. MS-CHAPv2 falls to a search through DES keys in any case; a short password falls to one's own machine."""

COMMON_PASSWORDS = frozenset(
    ("password", "passw0rd", "letmein", "changeme", "qwertyuiop", "administrator", "1q2w3e4r5t", "secretsecret")
)
"""Beside what is short, all digits, or the user's name."""


class FileKind(Enum):
    """What a file is."""

    TOML = "a settings file"
    PPTPD_CONF = "a pptpd.conf"
    OPTIONS = "an option file of pppd"
    SECRETS = "a chap-secrets file"
    PEER = "a peers file of pppd"
    KEYFILE = "a connection of NetworkManager"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a file is looked at together with.

    Attributes:
        system_options: what pppd reads before any other file, or None.
        secrets: where the secrets are if nothing says so, or None.
        scripts: where pppd looks for ip-up and ip-down, or None.
        host_name: the host's name, None to ask for it.
        addresses: the machine's addresses.
    """

    system_options: Path | None = SYSTEM_OPTIONS
    secrets: Path | None = SYSTEM_SECRETS
    scripts: Path | None = SYSTEM_SCRIPTS
    host_name: str | None = None
    addresses: Sequence[LocalAddress] = field(default=())


def kind_of(path: Path, data: bytes) -> FileKind:
    """Tell a file's kind by its name, and by its content where the name says nothing.

    Raises:
        ConfigurationError: neither tells.
    """
    name = path.name.lower()
    if name.endswith(".toml"):
        return FileKind.TOML
    if path.parent.name == "peers":
        return FileKind.PEER
    if name.endswith(".nmconnection"):
        return FileKind.KEYFILE
    for part, kind in (
        ("pptpd.conf", FileKind.PPTPD_CONF),
        ("secrets", FileKind.SECRETS),
        ("options", FileKind.OPTIONS),
    ):
        if part in name:
            return kind
    rows = [
        line.split()
        for line in data.decode("utf-8", "replace").splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    firsts = {row[0] for row in rows}
    if firsts & {"pty", "pptp_server"}:
        return FileKind.PEER
    if SERVICE.encode() in data:
        return FileKind.KEYFILE
    try:
        if tomllib.loads(data.decode()):
            return FileKind.TOML
    except (ValueError, RecursionError):
        pass
    if firsts & {"localip", "remoteip", "option"} or (firsts and firsts <= set(PPTPD_WORDS)):
        return FileKind.PPTPD_CONF
    if firsts and all(ALIASES.get(word, word) in PPPD_WORDS for word in firsts):
        return FileKind.OPTIONS
    if rows and all(len(row) >= 3 for row in rows):
        return FileKind.SECRETS
    raise ConfigurationError(
        f"{path}: cannot tell what this is: a name with .toml, pptpd.conf, options or secrets in it says so"
    )


def lint_file(path: Path, around: Surroundings) -> list[Finding]:
    """Look through one file, and those it names.

    Raises:
        ConfigurationError: the file itself cannot be read.
    """
    data, warnings = read_secret_file(path)
    match kind_of(path, data):
        case FileKind.TOML:
            return _lint_toml(path, data, around)
        case FileKind.PPTPD_CONF:
            return _lint_pptpd_conf(path, data, around)
        case FileKind.OPTIONS:
            try:
                read = interpret_options(
                    data,
                    str(path),
                    read_file=lambda named: read_secret_file(named)[0],
                    host_name=around.host_name or "localhost",
                )
            except ConfigurationError as error:
                return [_from_error(error, str(path))]
            return read.findings
        case FileKind.PEER | FileKind.KEYFILE as kind:
            return _lint_connection(path, kind, around)
        case FileKind.SECRETS:
            findings = [Finding(str(path), 0, Level.ERROR, warning) for warning in warnings]
            return findings + lint_secrets(data, str(path))


def lint_secrets(data: bytes, source: str, *, settings: ServerSettings | None = None) -> list[Finding]:
    """Look through the content of a chap-secrets file.

    Args:
        data: the file, whole.
        source: its name.
        settings: those of the server that uses it, where they are known.
    """
    try:
        secrets = parse_chap_secrets(data, source)
    except ConfigurationError as error:
        return [_from_error(error, source)]
    findings = [_located(warning, source, Level.WARNING) for warning in secrets.warnings]

    def say(line: int, level: Level, message: str) -> None:
        findings.append(Finding(source, line, level, message))

    if not secrets.entries:
        say(0, Level.WARNING, "there is no user, so nobody can log in; 'pypptp user add NAME' makes one")
    if settings is not None:
        names = settings.address_pool().names
        findings += [_located(sentence, source, Level.ERROR) for sentence in secrets.without_pool(names)]
    holders: dict[IPv4Address, str] = {}
    for entry in secrets.entries:
        who = _name(entry.client)
        if entry.client == "*":
            say(entry.line, Level.WARNING, "whoever knows this secret logs in under any name at all")
        if entry.password is not None:
            weakness = weakness_of(entry.password, entry.client)
            if weakness:
                message = f"the password of {who} {weakness}; 'pypptp user passwd' changes it"
                say(entry.line, Level.WARNING, message)
        if settings is not None and entry.server not in ("*", settings.name):
            message = f"never used: it is for the server {_name(entry.server)}, and this one is {_name(settings.name)}"
            say(entry.line, Level.WARNING, message)
        for address in entry.addresses.single_addresses:
            if settings is not None and address == settings.local:
                say(entry.line, Level.ERROR, f"{address} of {who} is the server's own, so it cannot be given out")
            other = holders.setdefault(address, entry.client)
            if other != entry.client:
                message = f"{address} belongs to {_name(other)} already: only one of the two can be connected"
                say(entry.line, Level.WARNING, message)
        if entry.addresses == AddressRule() and not _warned_of(secrets, entry.line):
            say(entry.line, Level.WARNING, f"{who} may use no address, and so not connect")
    return findings


def weakness_of(password: str, user: str) -> str:
    """Say what is weak about a password, in words that fit behind it; "" for nothing."""
    lowered = password.lower()
    if lowered == user.lower():
        return "is the user's name"
    if lowered in COMMON_PASSWORDS:
        return "is one that everybody tries"
    if password.isdigit():
        return "is a number, and soon found"
    if len(password) < SHORTEST_PASSWORD:
        return f"has fewer than {SHORTEST_PASSWORD} characters, and is soon found"
    if len(set(password)) < 5:
        return "is made of the same few characters, and soon found"
    return ""


def _lint_pptpd_conf(path: Path, data: bytes, around: Surroundings) -> list[Finding]:
    source = str(path)
    try:
        read = read_pptpd_conf(
            path,
            system_options=around.system_options,
            secrets=around.secrets,
            scripts=around.scripts,
            host_name=around.host_name,
        )
    except ConfigurationError as error:
        return [_from_error(error, source)]
    try:
        settings = make_settings(ServerSettings, {}, read.values)
    except ConfigurationError as error:
        return [*read.findings, _from_error(error, source)]
    lines, _ = parse_pptpd_conf(data, source)
    line = lines["remoteip"].line if "remoteip" in lines else 0
    return [
        *read.findings,
        *_lint_settings(settings, source),
        *_lint_pool(settings, source, line, around),
        *_lint_named_secrets(settings),
    ]


def _lint_connection(path: Path, kind: FileKind, around: Surroundings) -> list[Finding]:
    """Look through a client's connection, and at the password it would log in with."""
    source = str(path)
    try:
        if kind is FileKind.KEYFILE:
            keyfile = read_keyfile(path)
            if keyfile is None:
                return [Finding(source, 0, Level.ERROR, "this is no PPTP connection")]
            connection = connection_of(keyfile)
        else:
            connection = read_peer(
                path.name,
                path,
                system_options=around.system_options,
                secrets=around.secrets or SYSTEM_SECRETS,
                scripts=around.scripts,
                host_name=around.host_name,
            )
        settings = make_settings(ClientSettings, {}, connection.read.values)
        looked_for = connection.user and (kind is FileKind.KEYFILE or around.secrets is not None)
        known = connection.credentials(connection.user) if looked_for else None
    except ConfigurationError as error:
        return [_from_error(error, source)]
    findings = [*connection.findings, *_lint_settings(settings, source)]
    weakness = weakness_of(known.password, known.user) if known is not None and known.nt_hash is None else ""
    if weakness:
        findings.append(Finding(source, 0, Level.WARNING, f"the password of {_name(connection.user)} {weakness}"))
    return findings


def _lint_toml(path: Path, data: bytes, around: Surroundings) -> list[Finding]:
    source = str(path)
    findings: list[Finding] = []
    for kind in _commands_in(data):
        try:
            file = load_toml(path, kind)
            settings = make_settings(kind, {}, file.values)
        except ConfigurationError as error:
            finding = _from_error(error, source)
            named = re.match(r"(?:\[\w+\] )?(?:unknown key '([^']+)'|([\w-]+)(?:: | is an option))", finding.message)
            line = finding.line or (_line_of(data, named[1] or named[2]) if named else 0)
            findings.append(Finding(finding.source, line, Level.ERROR, finding.message))
            continue
        findings += [Finding("", 0, Level.WARNING, warning) for warning in file.warnings]
        findings += _lint_settings(settings, source)
        if isinstance(settings, ServerSettings):
            findings += _lint_pool(settings, source, _line_of(data, "remote"), around)
            findings += _lint_named_secrets(settings)
    return list(dict.fromkeys(findings))


def _commands_in(data: bytes) -> list[type[CommonSettings]]:
    """Tell which commands a settings file is for."""
    try:
        document = tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return [ServerSettings]  # which says what is wrong
    kinds: tuple[type[CommonSettings], ...] = (ServerSettings, ClientSettings)
    tables = [kind for kind in kinds if isinstance(document.get(kind.command), dict)]
    if tables:
        return tables
    own = {option.name for option in options_of(ClientSettings)} - {
        option.name for option in options_of(ServerSettings)
    }
    return [ClientSettings] if own & {key.replace("_", "-") for key in document} else [ServerSettings]


def _line_of(data: bytes, key: str) -> int:
    """Find the line of a key; 0 where it is in none."""
    pattern = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*=""".replace("\\-", "[-_]"))
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        if key and pattern.match(line):
            return number
    return 0


def _lint_settings(settings: CommonSettings, source: str) -> list[Finding]:
    findings = [Finding(source, 0, Level.WARNING, warning) for warning in settings.warnings()]
    findings += [
        Finding(source, 0, Level.ERROR, problem)
        for problem in HookSettings(ip_up=settings.ip_up, ip_down=settings.ip_down).problems()
    ]
    for path in (settings.ip_up, settings.ip_down):
        if path is not None and is_program(path) and path.stat().st_mode & 0o022:
            message = f"{path} can be changed by others than its owner, and runs with the server's rights"
            findings.append(Finding(source, 0, Level.WARNING, message))
    return findings


def _lint_pool(settings: ServerSettings, source: str, line: int, around: Surroundings) -> list[Finding]:
    findings = []
    pool = settings.address_pool()
    if settings.remote is not None and _names(settings, settings.local):
        message = f"{settings.local} is the server's own address, so it is left out of the addresses for clients"
        findings.append(Finding(source, line, Level.WARNING, message))
    for known in around.addresses:
        if known.address in pool:
            message = f"{known.address} is this machine's own, on {known.interface}; take it out of the clients'"
            findings.append(Finding(source, line, Level.ERROR, message))
        inside = [address for address in pool.addresses if address in known.network]
        if inside and known.network.prefixlen < 31 and known.interface != "lo" and not settings.proxy_arp:
            message = (
                f"{ranges_text(inside)} is in {known.network}, the network at {known.interface}: machines there do not "
                "find a client by its address without proxy-arp, and one of them may have it; "
                "take addresses of another network"
            )
            findings.append(Finding(source, line, Level.WARNING, message))
    return findings


def _names(settings: ServerSettings, address: IPv4Address) -> bool:
    """Say whether the addresses for clients, as they are written, hold this one."""
    assert settings.remote is not None
    return address in AddressPool.from_text(settings.remote)


def _lint_named_secrets(settings: ServerSettings) -> list[Finding]:
    if settings.secrets is None:
        return []
    source = str(settings.secrets)
    try:
        data, warnings = read_secret_file(settings.secrets)
    except ConfigurationError as error:
        return [Finding("", 0, Level.ERROR, str(error))]
    # What is refused at the start.
    level = Level.WARNING if settings.allow_readable_secrets else Level.ERROR
    findings = [Finding(source, 0, level, warning) for warning in warnings]
    return findings + lint_secrets(data, source, settings=settings)


def lint_system(missing: Sequence[str]) -> list[Finding]:
    """Make findings of what ``pypptp.net.probe`` misses; an ordinary user lacks rights the server will have."""
    level = Level.ERROR if os.geteuid() == 0 else Level.WARNING
    return [Finding("this machine", 0, level, sentence) for sentence in missing]


def _from_error(error: ConfigurationError, source: str) -> Finding:
    return _located(str(error), source, Level.ERROR)


def _located(sentence: str, source: str, level: Level) -> Finding:
    """Take ``file:line: what`` apart."""
    match = re.match(r"(/?[^:\n]*):(\d+): (.*)", sentence, re.DOTALL)
    if match is not None:
        return Finding(match[1], int(match[2]), level, match[3])
    in_toml = re.search(r" \(at line (\d+), column \d+\)", sentence)
    return Finding(source, int(in_toml[1]) if in_toml else 0, level, sentence.removeprefix(f"{source}: "))


def _warned_of(secrets: Secrets, line: int) -> bool:
    return any(
        warning.startswith(f"{secrets.source}:{line}: ") and "no address" in warning for warning in secrets.warnings
    )


def _name(text: str) -> str:
    printable = text if text.isprintable() else ascii(text)[1:-1]
    return f"'{printable[:64]}'"


__all__ = ["FileKind", "Surroundings", "kind_of", "lint_file", "lint_secrets", "lint_system", "weakness_of"]
