"""chap-secrets, the file pppd and pptpd keep their users in, read whole.

A line is ``client server secret address...``. ``*`` as client or server matches any name; of several lines that
match, the one with the fewest wildcards counts, the client's name before the server's, the first of equals
(``scan_authfile`` in pppd's auth.c). The secret may be ``@/path`` (the first word of that file) and here also ``nt:``
with 32 hex digits: the NT hash in the password's place. Without a fourth column no address is allowed, as in pppd(8).
Words behind ``--`` are options for this one client: pppd takes them as its own options, here ``pool NAME`` names the
address pool the client's address comes from. It stands there, and not in the fourth column, because pppd reads that
place as words: a word it does not know costs it a line in the log, where one in the address column would be looked up
in the DNS at every log-in.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

from pypptp.auth.account import Account, AddressRule
from pypptp.auth.secret_file import ReadFile, read_secret_file
from pypptp.auth.words import Word, split_words
from pypptp.errors import ConfigurationError

MAXIMUM_SECRET = 256
"""Octets in a secret, pppd's MAXSECRETLEN; RFC 2433 A.7 hashes at most 256 characters too."""

_NT_HASH = re.compile(r"[0-9a-f]{32}", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line.

    Attributes:
        client: who logs in; ``*`` for anyone.
        server: the server's name this is for; ``*`` for any.
        password: the secret, or None where the line gives a hash. Never in ``repr``.
        nt_hash: 16 octets, or None where the line gives a password.
        addresses: the addresses allowed.
        options: the words behind ``--``, which pppd would take as options for this peer.
        line: where it begins, from 1.
        pool: the address pool named there, "" for the one for everybody.
    """

    client: str
    server: str
    password: str | None = field(repr=False)
    nt_hash: bytes | None = field(repr=False)
    addresses: AddressRule
    options: tuple[str, ...] = ()
    line: int = 0
    pool: str = ""


class Secrets:
    """The lines of a chap-secrets file, and what there is to warn about.

    Attributes:
        entries: the lines, in order.
        source: the file's name.
        warnings: sentences for a person; none of them holds a secret.
    """

    __slots__ = ("_by_client", "entries", "source", "warnings")

    def __init__(self, entries: Iterable[Entry] = (), *, source: str = "", warnings: Iterable[str] = ()) -> None:
        self.entries = tuple(entries)
        self.source = source
        self.warnings = tuple(warnings)
        self._by_client: dict[str, list[Entry]] = {}
        for entry in self.entries:
            self._by_client.setdefault(entry.client, []).append(entry)

    def __repr__(self) -> str:
        return f"Secrets({len(self.entries)} entries from {self.source or 'memory'})"

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def fixed_addresses(self) -> frozenset[IPv4Address]:
        """Every address some line gives its user by name: what ``AddressPool.reserve`` keeps from the others."""
        return frozenset(address for entry in self.entries for address in entry.addresses.single_addresses)

    def without_pool(self, names: Container[str]) -> list[str]:
        """Say which lines name an address pool that is none of these: whoever they are for gets no address."""
        return [
            f"{self.source}:{entry.line}: there is no pool '{entry.pool}', so {_shown(entry.client)} gets no address"
            for entry in self.entries
            if entry.pool and entry.pool not in names
        ]

    def lookup(self, user: str, server_name: str) -> Account | None:
        r"""Find who ``user`` is when it logs in to ``server_name``.

        ``DOMAIN\user`` is looked for as it stands, then as ``user``, before ``*`` lines are: Windows sends a domain
        whenever it feels like it, and the MS-CHAP hash leaves it out anyway (RFC 2759 section 4). Names are compared
        octet for octet.

        Returns:
            The account under the name the peer gave, or None.
        """
        for client in dict.fromkeys((user, user.rpartition("\\")[2], "*")):
            entry = self._find(client, server_name)
            if entry is not None:
                identity = client if client != "*" else user.rpartition("\\")[2] or user
                return Account(
                    user,
                    entry.password,
                    entry.nt_hash,
                    entry.addresses,
                    f"{self.source}:{entry.line}",
                    identity=identity,
                    pool=entry.pool,
                )
        return None

    def _find(self, client: str, server_name: str) -> Entry | None:
        any_server = None
        for entry in self._by_client.get(client, ()):
            if entry.server != "*":
                if entry.server == server_name:
                    return entry
            elif any_server is None:
                any_server = entry
        return any_server


def read_chap_secrets(path: Path, *, read_file: ReadFile = read_secret_file) -> Secrets:
    """Read the file at ``path`` and those its ``@/path`` secrets name.

    Args:
        path: the file.
        read_file: how both are read: ``read_private_file`` refuses what others can read.

    Raises:
        ConfigurationError: it cannot be read, or a line is bad (``file:line: what``).
    """
    data, warnings = read_file(path)
    parsed = parse_chap_secrets(data, str(path), read_file=read_file)
    return Secrets(parsed.entries, source=parsed.source, warnings=[*warnings, *parsed.warnings])


def parse_chap_secrets(data: bytes, source: str = "chap-secrets", *, read_file: ReadFile = read_secret_file) -> Secrets:
    """Read the content of a chap-secrets file.

    Args:
        data: the file, whole.
        source: its name, for errors and warnings.
        read_file: how the file of an ``@/path`` secret is read.

    Raises:
        ConfigurationError: a bad line, named ``source:line``. Nothing of a secret is in the text.
    """
    entries: list[Entry] = []
    warnings: list[str] = []
    seen: dict[tuple[str, str], int] = {}
    for words in _lines(split_words(data, source)):
        where = f"{source}:{words[0].line}"
        try:
            entry, remarks = _parse_line(words, read_file)
        except ConfigurationError as error:
            raise ConfigurationError(f"{where}: {error}") from None
        entries.append(entry)
        warnings.extend(f"{where}: {remark}" for remark in remarks)
        first = seen.setdefault((entry.client, entry.server), entry.line)
        if first != entry.line:
            warnings.append(f"{where}: never used, line {first} has the same client and server")
    return Secrets(entries, source=source, warnings=warnings)


def _lines(words: Iterable[Word]) -> Iterable[list[Word]]:
    line: list[Word] = []
    for word in words:
        if word.starts_line and line:
            yield line
            line = []
        line.append(word)
    if line:
        yield line


def _parse_line(words: list[Word], read_file: ReadFile) -> tuple[Entry, list[str]]:
    if len(words) < 3:
        raise ConfigurationError("a line needs at least three words: client, server and secret")
    client, server = words[0].text, words[1].text
    warnings = ["a word in quotes goes over the line's end"] if any(word.lines for word in words) else []
    secret, remarks = _read_secret(words[2], read_file)
    warnings += remarks
    password, nt_hash, remarks = _password_or_hash(secret)
    warnings += remarks

    tail = [word.text for word in words[3:]]
    end = tail.index("--") if "--" in tail else len(tail)
    addresses, remarks = AddressRule.from_words(tail[:end])
    warnings += remarks
    options = tuple(tail[end + 1 :])
    pool, remarks = _read_options(options)
    warnings += remarks
    if not tail[:end]:
        warnings.append(f"{_shown(client)} may use no address, since the fourth column is empty; write * there for any")
    return Entry(client, server, password, nt_hash, addresses, options, words[0].line, pool), warnings


def _read_options(words: tuple[str, ...]) -> tuple[str, list[str]]:
    """Read the words behind ``--``: the pool they name, and what there is to warn about."""
    pool, unused = "", []
    rest = iter(words)
    for word in rest:
        if word != "pool":
            unused.append(word)
            continue
        pool = next(rest, "")
        if not pool:
            raise ConfigurationError("pool has no name behind it")
    return pool, ["of the options behind -- only pool is used"] if unused else []


def _read_secret(word: Word, read_file: ReadFile) -> tuple[Word, list[str]]:
    """Follow ``@/path``. A secret that begins with @ and has no slash behind it is just that."""
    if not word.value.startswith(b"@/"):
        return word, []
    path = Path(word.text[1:])
    data, warnings = read_file(path)
    first = next(iter(split_words(data, str(path))), None)
    if first is None:
        raise ConfigurationError(f"there is no secret in {path}")
    return first, warnings


def _password_or_hash(word: Word) -> tuple[str | None, bytes | None, list[str]]:
    if len(word.value) > MAXIMUM_SECRET:
        raise ConfigurationError(f"the secret is longer than {MAXIMUM_SECRET} octets")
    text = word.text
    if not text.startswith("nt:"):
        return text, None, [] if text else ["the secret is empty"]
    if _NT_HASH.fullmatch(text[3:]):
        return None, bytes.fromhex(text[3:]), []
    return text, None, ["the secret begins with nt: but 32 hex digits do not follow, so it is taken as a password"]


def _shown(name: str) -> str:
    printable = name if name.isprintable() else ascii(name)[1:-1]
    return f"'{printable}'" if len(printable) <= 64 else f"'{printable[:61]}...'"
