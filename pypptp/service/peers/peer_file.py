"""A peers file of pppd's, as pptpsetup writes it: which server, which user, and which settings it stands for.

pppd reads /etc/ppp/options before it, so that comes first here too. Where nothing is said pppd's meaning is kept:
without a ``require-mppe`` word the server may leave encryption out.

pptpsetup has two faults that keep people out, and what it means is plain: ``--domain`` is written with one backslash,
which pppd takes for an escape; and a password it asks for is written with the line's end behind it.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pypptp.auth.account import Account
from pypptp.auth.chap_secrets import Secrets, read_chap_secrets
from pypptp.errors import ConfigurationError
from pypptp.service.findings import Finding, Level
from pypptp.service.kinds import shown
from pypptp.service.legacy import (
    SYSTEM_OPTIONS,
    SYSTEM_SECRETS,
    Encryption,
    Legacy,
    is_there,
    name_of_host,
    number_of,
    read_bounded,
    set_encryption,
    set_numbers,
    set_scripts,
)
from pypptp.service.meanings import Effect
from pypptp.service.peers.connection import NOTHING_ASKED, Connection, chosen_password, set_methods
from pypptp.service.peers.pptp_command import parse_pptp_command
from pypptp.service.peers.words import PEER_WORDS, REFUSALS
from pypptp.service.pppd_options import ADDRESSES, Given, ReadFile, parse_options
from pypptp.service.settings import ClientSettings

WRITTEN_BY_PPTPSETUP = b"# written by pptpsetup\n"
"""The first line of every file that pptpsetup writes."""

_NUMBERS = ("mru", "lcp-echo-interval", "lcp-echo-failure", "holdoff", "idle", "maxconnect")
_TEXTS = {"ip-up-script": "ip_up", "ip-down-script": "ip_down", "ipparam": "ipparam", "linkname": "linkname"}
_MAXFAIL = 10
"""pppd's own, where the file has persist and no maxfail."""

_SWITCHES = {
    "nopcomp": ("pcomp", "false"),
    "noaccomp": ("accomp", "false"),
    "defaultroute": ("default_route", "true"),
    "replacedefaultroute": ("default_route", "true"),
    "nodefaultroute": ("default_route", "false"),
    "usepeerdns": ("use_peer_dns", "true"),
    "persist": ("persist", "true"),
    "nopersist": ("persist", "false"),
    "demand": ("demand", "true"),
    "debug": ("log_level", "debug"),
}
"""Words without a value, and the setting each of them is."""

_ONE_BACKSLASH = re.compile(rb"^name ([^\s\"'\\]+\\[^\s\"'\\]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Peer:
    """What a peers file says.

    Attributes:
        read: the settings, and what there is to say.
        account: that of a ``password`` word, or None.
        client: the first column of the line with the password, as pppd reads it; mostly the user.
        remote: the second column; "" where only the server will say who it is.
    """

    read: Legacy
    account: Account | None
    client: str
    remote: str


def read_peer(
    name: str,
    path: Path,
    *,
    system_options: Path | None = SYSTEM_OPTIONS,
    secrets: Path = SYSTEM_SECRETS,
    scripts: Path | None = SYSTEM_SECRETS.parent,
    host_name: str | None = None,
) -> Connection:
    """Read the peers file at ``path``, and those it names.

    Args:
        name: what the connection is called by.
        path: the file.
        system_options: what pppd reads first, if it is there; None for nothing.
        secrets: where the password is looked for.
        scripts: the folder with pppd's ip-up and ip-down, which are run if they are there; None for none.
        host_name: the host's; asked for where left out.

    Raises:
        ConfigurationError: a file cannot be read, is not for PPTP, or holds a value nobody can read.
    """
    options = system_options if system_options is not None and is_there(system_options) else None
    peer = interpret_peer(
        read_bounded(path),
        str(path),
        read_file=read_bounded,
        folder=path.parent,
        system_options=options,
        host_name=socket.gethostname() if host_name is None else host_name,
    )
    read = peer.read
    if scripts is not None:
        set_scripts(read, scripts)

    def find(user: str) -> Account | None:
        if peer.account is not None:
            return peer.account
        known = read_chap_secrets(secrets) if is_there(secrets) else Secrets(source=str(secrets))
        read.findings += [Finding("", 0, Level.WARNING, warning) for warning in known.warnings]
        found = find_account(known, peer.client if user == read.values["user"] else user, peer.remote)
        if found is None:
            server = shown(peer.remote) if peer.remote else "any server"
            read.say(str(secrets), 0, Level.WARNING, f"there is no line for {shown(user)} and {server}")
            return None
        return _without_line_end(read, found)

    return Connection(name, path, "pppd", read, find)


def interpret_peer(
    data: bytes,
    source: str,
    *,
    read_file: ReadFile,
    folder: Path = Path("/etc/ppp/peers"),
    system_options: Path | None = None,
    host_name: str = "localhost",
) -> Peer:
    """Say what the content of a peers file means; see ``read_peer``.

    Args:
        data: the file, whole.
        source: its name.
        read_file: reads the option files.
        folder: where ``call`` looks.
        system_options: the option file that comes before it, or None.
        host_name: the host's name.

    Raises:
        ConfigurationError: as ``read_peer``.
    """
    read = Legacy(ClientSettings)
    given: list[Given] = []
    contents = [] if system_options is None else [(read_file(system_options), str(system_options))]
    for content, origin in [*contents, (data, source)]:
        words, remarks = parse_options(content, origin, read_file=read_file, peers=folder, table=PEER_WORDS)
        given += words
        read.findings += remarks
        read.files.append(origin)
    last, encryption = _look_through(read, given)
    _set_server(read, last, source)
    client = _set_user(read, last, data, source, host_name)
    refused = [word for word in REFUSALS if word in last]
    set_methods(read, (REFUSALS[word] for word in refused), ", ".join(f"{last[word].where} {word}" for word in refused))
    set_encryption(read, encryption, source, NOTHING_ASKED)
    set_numbers(read, last, _NUMBERS)
    _set_interface(read, last)
    _set_addresses(read, [word for word in given if word.word == ADDRESSES], demand="demand" in last)
    for name, field in _TEXTS.items():
        if name in last:
            read.set(field, last[name].value, f"{last[name].where} {name}", f"{last[name].where}: {name}")
    for name, field in (("maxfail", "max_fail"), ("defaultroute-metric", "metric")):
        if name in last:
            word = last[name]
            read.set(field, str(number_of(word)), f"{word.where} {name}", f"{word.where}: {name}")
    for word in (word for word in given if word.word in _SWITCHES and last[word.word] is word):
        name, value = _SWITCHES[word.word]
        # pppd's nodefaultroute holds wherever it stands.
        if word.word == "nodefaultroute" or not (name == "default_route" and "nodefaultroute" in last):
            read.set(name, value, f"{word.where} {word.written}", word.where)
        if word.word == "demand":
            read.set("persist", "true", f"{word.where} demand, which brings persist along", word.where)
    if read.values.get("persist"):
        read.values.setdefault("max_fail", _MAXFAIL)
        read.origins.setdefault("max_fail", "pppd's own, since there is no maxfail")
    account = chosen_password(last["password"].value, last["password"].where) if "password" in last else None
    return Peer(read, account, client, last["remotename"].value if "remotename" in last else "")


def find_account(secrets: Secrets, user: str, remote: str) -> Account | None:
    """Find what proves ``user`` to the server known as ``remote``.

    Without ``remotename`` pppd goes by the name in the server's challenge. That is not known beforehand, so there must
    be no choice.

    Raises:
        ConfigurationError: lines for several servers, and nothing that says which.
    """
    if remote:
        return secrets.lookup(user, remote)
    servers = list(dict.fromkeys(entry.server for entry in secrets.entries if entry.client == user))
    if len(servers) > 1:
        named = ", ".join(map(shown, servers[:5]))
        raise ConfigurationError(
            f"{secrets.source}: {shown(user)} has lines for several servers, {named}; remotename says which is meant"
        )
    return secrets.lookup(user, servers[0] if servers else "*")


def _look_through(read: Legacy, given: list[Given]) -> tuple[dict[str, Given], Encryption]:
    """Say of each word once what does not become of it; return the last of every other, and what the mppe words say."""
    said: set[str] = set()
    last: dict[str, Given] = {}
    encryption = Encryption()
    for word in given:
        if word.word == ADDRESSES:
            continue
        meaning = PEER_WORDS[word.word]
        level = meaning.level
        if word.word == "plugin" and word.value.rpartition("/")[2] == "pptp.so":
            level = None  # which is what this is in place of
        if level is not None and word.word not in said:
            said.add(word.word)
            read.say(word.source, word.line, level, meaning.sentence(word.written))
        if meaning.effect is Effect.SETTING and not encryption.take(word):
            last[word.word] = word
    return last, encryption


def _set_server(read: Legacy, last: Mapping[str, Given], source: str) -> None:
    if "pptp_server" in last and "pty" not in last:
        word = last["pptp_server"]
        read.set("server", word.value, f"{word.where} pptp_server", f"{word.where}: pptp_server")
        return
    if "pty" not in last:
        raise ConfigurationError(
            f"{source}: there is neither a pty word with a pptp command nor pptp_server, so this is no PPTP connection"
        )
    word = last["pty"]
    try:
        command = parse_pptp_command(word.value)
    except ConfigurationError as error:
        raise ConfigurationError(f"{word.where}: {error}") from None
    for level, remark in command.remarks:
        read.say(word.source, word.line, level, remark)
    read.set("server", command.server, f"{word.where} pty", f"{word.where}: pty")
    if command.values.get("--loglevel", "").strip() == "2":
        read.set("log_level", "debug", f"{word.where} pty --loglevel", word.where)
    if "--idle-wait" in command.values:
        where = f"{word.where}: pty: --idle-wait"
        read.set("echo_interval", command.values["--idle-wait"], f"{word.where} pty --idle-wait", where)


def _set_user(read: Legacy, last: dict[str, Given], data: bytes, source: str, host_name: str) -> str:
    """Set ``user``; return what pppd would log in as."""
    word = last.get("user", last.get("name"))
    if word is None or (word.word == "name" and "usehostname" in last):
        name = name_of_host(last, host_name)
        read.set("user", name, "the host's name, since there is no name word", source)
        return name
    meant = _ONE_BACKSLASH.search(data) if data.startswith(WRITTEN_BY_PPTPSETUP) and word.source == source else None
    if meant is not None and word.word == "name":
        user = meant[1].decode("utf-8", "replace")
        doubled = user.replace("\\", "\\\\")
        message = (
            f"pppd takes the backslash of {shown(user)} away; here it stays, since pptpsetup wrote the line. "
            f"Write {doubled} for both"
        )
        read.say(source, word.line, Level.WARNING, message)
    else:
        user = word.value
    where = f"{word.where}: {word.written}"
    if not user.isprintable():
        raise ConfigurationError(f"{where}: {shown(user)} holds a control character; two backslashes stand for one")
    read.set("user", user, f"{word.where} {word.written}", where)
    return word.value


def _set_interface(read: Legacy, last: Mapping[str, Given]) -> None:
    if "unit" in last:
        word = last["unit"]
        read.set("ifname", f"ppp{number_of(word)}", f"{word.where} unit", f"{word.where}: unit")
    if "ifname" in last:
        word = last["ifname"]
        read.set("ifname", word.value, f"{word.where} ifname", f"{word.where}: ifname")


def _set_addresses(read: Legacy, given: list[Given], *, demand: bool) -> None:
    """``local:remote`` is what the interface has until demand connects; the server chooses what it has then."""
    for word in given:
        for field, address in zip(("demand_local", "demand_remote"), word.value.split(":"), strict=False):
            if address in ("", "0.0.0.0"):
                continue
            if demand:
                read.set(field, address, f"{word.where} {word.written}", word.where)
            else:
                message = f"'{word.written}' is not supported: the server chooses the addresses"
                read.say(word.source, word.line, Level.WARNING, message)
                break


def _without_line_end(read: Legacy, account: Account) -> Account:
    if account.password is None or not account.password.endswith("\n"):
        return account
    message = (
        "the secret ends with a line end, which pptpsetup puts behind a password it asks for; it is left out here. "
        "Take the \\x0a away for pppd"
    )
    read.findings.append(Finding("", 0, Level.WARNING, f"{account.source}: {message}"))
    return replace(account, password=account.password.rstrip("\r\n"))


def names_pptp(data: bytes) -> bool:
    """Say at a glance whether a file is a peers file for PPTP, and not one for a modem."""
    return re.search(rb"^\s*(pty\s.*\bpptp\b|(call|file|plugin)\s.*pptp|pptp_server\s)", data, re.MULTILINE) is not None
