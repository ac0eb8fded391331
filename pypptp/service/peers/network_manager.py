"""NetworkManager's connections of the type PPTP: keyfiles in /etc/NetworkManager/system-connections.

NetworkManager reads such a file only where it is root's and nobody else can read it, and so is it here. A key that is
not there means what NetworkManager's PPTP plugin makes of it; a password it keeps elsewhere (``password-flags``) is
asked for. See nm-settings-keyfile(5).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Interface
from pathlib import Path

from pypptp.auth.account import Account
from pypptp.auth.secret_file import read_secret_file
from pypptp.errors import ConfigurationError
from pypptp.service.findings import Level
from pypptp.service.kinds import did_you_mean, shown
from pypptp.service.legacy import Encryption, Legacy, set_encryption, set_numbers
from pypptp.service.meanings import Effect, Meaning
from pypptp.service.peers.connection import NOTHING_ASKED, Connection, set_methods
from pypptp.service.peers.words import REFUSALS
from pypptp.service.pppd_options import Given
from pypptp.service.settings import ClientSettings

SERVICE = "org.freedesktop.NetworkManager.pptp"

_ESCAPES = {"s": " ", "n": "\n", "t": "\t", "r": "\r"}
_SYSTEM_OWNED = 0
"""``password-flags`` of a password that stands in the file."""

_REFUSALS = {word.replace("-v2", "v2"): method for word, method in REFUSALS.items()}
_NUMBERS = ("mru", "lcp-echo-interval", "lcp-echo-failure")
_ENCRYPTION = ("require-mppe", "require-mppe-40", "require-mppe-128")

VPN_KEYS = {
    "service-type": Meaning(Effect.FULFILLED, ""),
    "gateway": Meaning(Effect.SETTING, "server"),
    "user": Meaning(Effect.SETTING, "user"),
    "domain": Meaning(Effect.SETTING, "user, in front of it"),
    "password-flags": Meaning(Effect.SETTING, "the password, or that somebody is asked for it"),
    **{key: Meaning(Effect.SETTING, "auth, the ways that are left") for key in _REFUSALS},
    **{key: Meaning(Effect.SETTING, "mppe and mppe-strength") for key in _ENCRYPTION},
    **{key: Meaning(Effect.SETTING, key) for key in _NUMBERS},
    "mtu": Meaning(Effect.SETTING, "mtu, less MPPE's 4 octets"),
    "unit": Meaning(Effect.SETTING, "ifname"),
    "persistent": Meaning(Effect.SETTING, "persist"),
    "refuse-eap": Meaning(Effect.FULFILLED, ""),
    "nobsdcomp": Meaning(Effect.FULFILLED, ""),
    "nodeflate": Meaning(Effect.FULFILLED, ""),
    "no-vj-comp": Meaning(Effect.FULFILLED, ""),
    "mppe-stateful": Meaning(Effect.WITHOUT, "MPPE without state is always asked for, since it survives loss"),
    "timeout": Meaning(Effect.WITHOUT, "what is waited for has its time in the standards"),
    "user-name": Meaning(Effect.WITHOUT, "it says who may use the connection in a desktop"),
}
"""The keys of the group ``[vpn]``."""

_IPV4_KEYS = {
    "method": Meaning(Effect.FULFILLED, ""),
    "may-fail": Meaning(Effect.FULFILLED, ""),
    "never-default": Meaning(Effect.SETTING, "default-route"),
    "ignore-auto-dns": Meaning(Effect.SETTING, "use-peer-dns"),
    "route-metric": Meaning(Effect.SETTING, "metric"),
    "ignore-auto-routes": Meaning(Effect.WITHOUT, "a PPTP server gives no routes"),
    "dns": Meaning(Effect.MISSING, "only the name servers that the server gives can be used"),
    "dns-search": Meaning(Effect.MISSING, "no domain is added to names"),
    "dns-priority": Meaning(Effect.MISSING, "the name servers of the tunnel are asked for every name"),
    "addresses": Meaning(Effect.MISSING, "the server chooses the addresses"),
    "address1": Meaning(Effect.MISSING, "the server chooses the addresses"),
    "gateway": Meaning(Effect.MISSING, "the server chooses the addresses"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A key of a keyfile. ``value`` may be a password, so ``repr`` leaves it out."""

    group: str
    key: str
    value: str
    number: int

    def __repr__(self) -> str:
        return f"Line([{self.group}] {self.key}, line {self.number})"


def parse_keyfile(data: bytes, source: str) -> list[Line]:
    """Read GLib's key files: groups, keys, escapes in values; a key given again in its group counts again.

    Raises:
        ConfigurationError: not UTF-8, or a line that is none; names ``source:line``.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{source}: is not UTF-8, which every keyfile is") from None
    lines: list[Line] = []
    group = ""
    for number, row in enumerate(text.split("\n"), 1):
        stripped = row.strip()
        if not stripped or stripped.startswith("#"):
            continue
        header = re.fullmatch(r"\[([^][]+)\]", stripped)
        if header is not None:
            group = header[1]
            continue
        key, equals, value = row.partition("=")
        if not equals or not group or not key.strip():
            raise ConfigurationError(f"{source}:{number}: is neither [group] nor key=value")
        lines.append(Line(group, key.strip(), _unescape(value.strip()), number))
    return lines


def _unescape(value: str) -> str:
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), value)


@dataclass(frozen=True, slots=True)
class Keyfile:
    """A keyfile of a PPTP connection.

    Attributes:
        name: the connection's id.
        path: the file.
        lines: what it says.
    """

    name: str
    path: Path
    lines: tuple[Line, ...] = field(repr=False)


def read_keyfile(path: Path) -> Keyfile | None:
    """Read the keyfile at ``path``; None where it is no PPTP connection's.

    Raises:
        ConfigurationError: it cannot be read, or NetworkManager itself would not.
    """
    data, _ = read_secret_file(path)
    if SERVICE.encode() not in data:
        return None
    lines = parse_keyfile(data, str(path))
    if not any((line.group, line.key, line.value) == ("vpn", "service-type", SERVICE) for line in lines):
        return None
    status = path.stat()
    if status.st_uid not in (0, os.geteuid()) or stat.S_IMODE(status.st_mode) & 0o077:
        raise ConfigurationError(
            f"{path} is not read, nor does NetworkManager read it: it may hold a password and must be root's alone; "
            f"chown root {path} && chmod 600 {path}"
        )
    names = [line.value for line in lines if (line.group, line.key) == ("connection", "id")]
    return Keyfile(names[-1] if names else path.name.removesuffix(".nmconnection"), path, tuple(lines))


def connection_of(keyfile: Keyfile) -> Connection:
    """Say what a keyfile means.

    Raises:
        ConfigurationError: no gateway, or a value nobody can read; names file, line and key.
    """
    lines, source = keyfile.lines, str(keyfile.path)
    read = Legacy(ClientSettings, files=[source])
    vpn = {line.key: line for line in lines if line.group == "vpn"}
    ipv4 = {line.key: line for line in lines if line.group == "ipv4"}
    _say_of_keys(read, vpn, VPN_KEYS, source)
    _say_of_keys(read, {key: ipv4[key] for key in ipv4 if not _is_route(key)}, _IPV4_KEYS, source)

    def put(field: str, line: Line, value: str) -> None:
        where = f"{source}:{line.number}"
        read.set(field, value, f"{where} {line.key}", f"{where}: {line.key}")

    if "gateway" not in vpn:
        raise ConfigurationError(f"{source}: there is no gateway in [vpn]")
    put("server", vpn["gateway"], vpn["gateway"].value)
    if vpn.get("user") is not None and vpn["user"].value:
        domain = vpn["domain"].value if "domain" in vpn else ""
        user = vpn["user"].value
        put("user", vpn["user"], f"{domain}\\{user}" if domain else user)
    refused = [key for key in _REFUSALS if _yes(vpn, key, source)]
    origin = ", ".join(f"{source}:{vpn[key].number} {key}" for key in refused)
    set_methods(read, (_REFUSALS[key] for key in refused), origin)
    _set_encryption(read, vpn, source)
    as_words = {line.key: Given(line.key, line.key, line.value, source, line.number) for line in vpn.values()}
    set_numbers(read, {name: word for name, word in as_words.items() if word.value}, _NUMBERS)
    if "unit" in vpn and vpn["unit"].value:
        put("ifname", vpn["unit"], f"ppp{vpn['unit'].value}")
    if _yes(vpn, "persistent", source):
        put("persist", vpn["persistent"], "true")
    _set_routes(read, ipv4, source)
    return Connection(
        keyfile.name, keyfile.path, "NetworkManager", read, lambda user: _account(lines, vpn, source, user)
    )


def _say_of_keys(read: Legacy, given: dict[str, Line], table: dict[str, Meaning], source: str) -> None:
    for key, line in given.items():
        meaning = table.get(key)
        if meaning is None:
            message = f"{shown(key)} in [{line.group}] is not known{did_you_mean(key, tuple(table))}"
            read.say(source, line.number, Level.WARNING, message)
        elif meaning.level is not None and line.value.strip(";") not in ("", "no", "false"):
            read.say(source, line.number, meaning.level, meaning.sentence(key))


def _yes(given: dict[str, Line], key: str, source: str) -> bool:
    """Read ``yes`` or ``no`` of a VPN plugin, ``true`` or ``false`` of NetworkManager's own keys."""
    line = given.get(key)
    if line is None or not line.value:
        return False
    if line.value not in ("yes", "no", "true", "false"):
        raise ConfigurationError(f"{source}:{line.number}: {key}: {shown(line.value)} is not yes or no")
    return line.value in ("yes", "true")


def _set_encryption(read: Legacy, vpn: dict[str, Line], source: str) -> None:
    encryption = Encryption()
    for key in _ENCRYPTION:
        if _yes(vpn, key, source):
            encryption.take(Given(key, key, "", source, vpn[key].number))
    named = [key for key in _ENCRYPTION[1:] if _yes(vpn, key, source)]
    if named:
        # The plain word, which a desktop writes beside the exact one, would let the other in again.
        encryption.strengths = {int(key.rpartition("-")[2]) for key in named}
    set_encryption(read, encryption, source, NOTHING_ASKED)


def _set_routes(read: Legacy, ipv4: dict[str, Line], source: str) -> None:
    where = {key: f"{source}:{line.number}" for key, line in ipv4.items()}
    everything = not _yes(ipv4, "never-default", source)
    origin = "since there is no never-default" if everything else f"{where['never-default']} never-default"
    read.set("default_route", "true" if everything else "false", origin, source)
    own_names = _yes(ipv4, "ignore-auto-dns", source)
    origin = f"{where['ignore-auto-dns']} ignore-auto-dns" if own_names else "since there is no ignore-auto-dns"
    read.set("use_peer_dns", "false" if own_names else "true", origin, source)
    if "route-metric" in ipv4 and ipv4["route-metric"].value != "-1":
        at = where["route-metric"]
        read.set("metric", ipv4["route-metric"].value, f"{at} route-metric", f"{at}: route-metric")
    networks = []
    for key in (key for key in ipv4 if _is_route(key)):
        parts = re.split(r"[,;\s]+", ipv4[key].value.strip("; "))
        try:
            networks.append(str(IPv4Interface(parts[0]).network))
        except ValueError:
            raise ConfigurationError(f"{where[key]}: {key}: {shown(parts[0])} is no network") from None
        if any(part not in ("", "0.0.0.0", "0") for part in parts[1:]):
            message = f"what stands behind the network in {key} has no effect: the way is the tunnel"
            read.say(source, ipv4[key].number, Level.INFO, message)
    if networks:
        read.set("route", ",".join(networks), ", ".join(where[key] for key in ipv4 if _is_route(key)), source)


def _is_route(key: str) -> bool:
    return re.fullmatch(r"routes?[0-9]+", key) is not None


def _account(lines: tuple[Line, ...], vpn: dict[str, Line], source: str, user: str) -> Account | None:
    for line in lines:
        if (line.group, line.key) == ("vpn-secrets", "password") and line.value:
            return Account(user, line.value, source=f"{source}:{line.number}")
    return None


def keyfiles(folders: tuple[Path, ...]) -> Iterator[Path]:
    """Yield what may be a keyfile, in the folders that are there.

    Raises:
        ConfigurationError: a folder is closed to us.
    """
    for folder in folders:
        try:
            found = sorted(folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise ConfigurationError(f"{folder} cannot be read: {error.strerror}") from None
        # Older versions write no suffix; editors leave their own files beside the real ones.
        yield from (path for path in found if path.is_file() and not path.name.startswith(".") and path.name[-1] != "~")
