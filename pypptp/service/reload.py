"""Reading the secrets again while the server runs, when it is told to by SIGHUP."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, collapse_addresses

from pypptp.auth.address_pool import AddressPool
from pypptp.auth.authority import Authority, SecretsAuthority
from pypptp.auth.chap_secrets import Entry, Secrets, read_chap_secrets
from pypptp.auth.secret_file import ReadFile
from pypptp.control import printable
from pypptp.errors import ConfigurationError, NetworkError
from pypptp.service.notify import ServiceManager
from pypptp.service.settings import ServerSettings

log = logging.getLogger("pypptp")

MOST_NAMES = 20

CoverMore = Callable[[list[IPv4Network]], object]
"""Does for more addresses what was done for the clients' at the start. Blocks; raises NetworkError."""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What came of it.

    Attributes:
        done: whether the file is in force now.
        said: what there is to say, in sentences: what changed, or what was wrong.
    """

    done: bool
    said: tuple[str, ...]


def describe_changes(before: Secrets, after: Secrets) -> tuple[str, ...]:
    """Say which users came, went, and have another secret or address."""
    old, new = _by_user(before), _by_user(after)
    groups = {
        "added": new.keys() - old.keys(),
        "removed": old.keys() - new.keys(),
        "changed": {user for user in old.keys() & new.keys() if old[user] != new[user]},
    }
    found = tuple(f"{what}: {_names(users)}" for what, users in groups.items() if users)
    return found or ("no user has changed",)


def _by_user(secrets: Secrets) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entry in secrets.entries:
        found.setdefault(entry.client, []).append(replace(entry, line=0))
    return found


def _names(users: set[str]) -> str:
    shown = [printable(user.encode("utf-8", "surrogateescape")) for user in sorted(users)[:MOST_NAMES]]
    return ", ".join(shown) + (f" and {len(users) - MOST_NAMES} more" if len(users) > MOST_NAMES else "")


def _said(level: int, sentence: str) -> Reloaded:
    log.log(level, "%s", sentence)
    return Reloaded(level < logging.ERROR, (sentence,))


class Reload:
    """Reads the secrets file again and puts it in force.

    Sessions do not notice: who is connected stays, a removed user too, until it is to prove itself again.

    Args:
        settings: the server's.
        authority: where users are looked up.
        pool: the addresses.
        covered: addresses for which there is NAT.
        cover_more: makes NAT for more of them; None where there is none to be made.
        manager: is told when it begins and when it is done.
        read_file: reads the file, where not as the settings say.
    """

    def __init__(
        self,
        settings: ServerSettings,
        authority: Authority,
        pool: AddressPool,
        covered: set[IPv4Address],
        cover_more: CoverMore | None,
        manager: ServiceManager | None = None,
        *,
        read_file: ReadFile | None = None,
    ) -> None:
        self._settings = settings
        self._authority = authority
        self._pool = pool
        self._covered = covered
        self._cover_more = cover_more
        self._manager = ServiceManager() if manager is None else manager
        self._read_file = settings.read_secrets if read_file is None else read_file
        self._wanted = asyncio.Event()
        self._doing = asyncio.Lock()

    def ask(self) -> None:
        """Ask for it; asked again while it is done, it is done once more."""
        self._wanted.set()

    async def run(self) -> None:
        """Do it whenever it is asked for, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self.now()

    async def now(self) -> Reloaded:
        """Do it now, behind one that is being done, and tell the service manager."""
        async with self._doing:
            self._manager.reloading()
            try:
                return await self.once()
            finally:
                self._manager.ready()

    async def once(self) -> Reloaded:
        """Read and put in force. A file that is no good leaves the users as they were, and the log says why."""
        path, authority = self._settings.secrets, self._authority
        if path is None or not isinstance(authority, SecretsAuthority):
            return _said(logging.INFO, "nothing to read again: there is no secrets file")
        try:
            secrets = await asyncio.to_thread(read_chap_secrets, path, read_file=self._read_file)
        except ConfigurationError as error:
            return _said(logging.ERROR, f"the users stay as they were: {error}")
        warnings = [*secrets.warnings, *secrets.without_pool(self._pool.names)]
        warned = [_said(logging.WARNING, warning) for warning in warnings]
        before = authority.secrets
        authority.replace(secrets)
        self._pool.reserve(secrets.fixed_addresses)
        read = _said(logging.INFO, f"{path} read again: users now {len(secrets)}, before {len(before)}")
        compared = Reloaded(True, describe_changes(before, secrets))
        covered = await self._cover(set(secrets.fixed_addresses))
        return Reloaded(True, tuple(line for part in (*warned, read, compared, covered) for line in part.said))

    async def _cover(self, fixed: set[IPv4Address]) -> Reloaded:
        new = fixed - self._covered
        if not new or self._cover_more is None:
            return Reloaded(True, ())
        networks = list(collapse_addresses(IPv4Network(address) for address in new))
        try:
            await asyncio.to_thread(self._cover_more, networks)
        except NetworkError as error:
            return _said(logging.ERROR, f"no NAT for {', '.join(map(str, networks))}: {error}")
        self._covered |= new
        return Reloaded(True, ())


class Terminal:
    """The terminal this process was started in, if it was.

    A terminal that is closed sends SIGHUP as well, and then the server is to end and to leave the system as it was.
    """

    def __init__(self) -> None:
        self._had = _has_terminal()

    @property
    def lost(self) -> bool:
        """Whether there was one, and is none any more."""
        return self._had and not _has_terminal()


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
