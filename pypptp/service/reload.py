"""Reading the secrets again while the server runs, when it is told to by SIGHUP."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, collapse_addresses

from pypptp.auth.address_pool import AddressPool
from pypptp.auth.authority import Authority, SecretsAuthority
from pypptp.auth.chap_secrets import read_chap_secrets
from pypptp.errors import ConfigurationError, NetworkError
from pypptp.service.settings import ServerSettings

log = logging.getLogger("pypptp")

CoverMore = Callable[[list[IPv4Network]], object]
"""Does for more addresses what was done for the clients' at the start. Blocks; raises NetworkError."""


class Reload:
    """Reads the secrets file again and puts it in force.

    Sessions do not notice: who is connected stays, a removed user too, until it is to prove itself again.

    Args:
        settings: the server's.
        authority: where users are looked up.
        pool: the addresses.
        covered: addresses for which there is NAT.
        cover_more: makes NAT for more of them; None where there is none to be made.
    """

    def __init__(
        self,
        settings: ServerSettings,
        authority: Authority,
        pool: AddressPool,
        covered: set[IPv4Address],
        cover_more: CoverMore | None,
    ) -> None:
        self._settings = settings
        self._authority = authority
        self._pool = pool
        self._covered = covered
        self._cover_more = cover_more
        self._wanted = asyncio.Event()

    def ask(self) -> None:
        """Ask for it; asked again while it is done, it is done once more."""
        self._wanted.set()

    async def run(self) -> None:
        """Do it whenever it is asked for, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self.once()

    async def once(self) -> None:
        """Read and put in force now. A file that is no good leaves the users as they were, and the log says why."""
        path, authority = self._settings.secrets, self._authority
        if path is None or not isinstance(authority, SecretsAuthority):
            log.info("nothing to read again: there is no secrets file")
            return
        try:
            secrets = await asyncio.to_thread(read_chap_secrets, path)
        except ConfigurationError as error:
            log.error("the users stay as they were: %s", error)
            return
        for warning in secrets.warnings:
            log.warning("%s", warning)
        before = len(authority.secrets)
        authority.replace(secrets)
        self._pool.reserve(secrets.fixed_addresses)
        log.info("%s read again: users now %d, before %d", path, len(secrets), before)
        await self._cover(set(secrets.fixed_addresses))

    async def _cover(self, fixed: set[IPv4Address]) -> None:
        new = fixed - self._covered
        if not new or self._cover_more is None:
            return
        networks = list(collapse_addresses(IPv4Network(address) for address in new))
        try:
            await asyncio.to_thread(self._cover_more, networks)
        except NetworkError as error:
            log.error("no NAT for %s: %s", ", ".join(map(str, networks)), error)
            return
        self._covered |= new


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
