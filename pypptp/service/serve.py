"""Start, stay, stop: the order of things around a running server."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import IPv4Network, collapse_addresses

from pypptp.aio.server import Server
from pypptp.aio.workers import Parent
from pypptp.auth.account import Account, new_account
from pypptp.auth.authority import AccountAuthority, Authority, SecretsAuthority
from pypptp.auth.chap_secrets import read_chap_secrets
from pypptp.auth.leases import PoolLeases
from pypptp.errors import ConfigurationError
from pypptp.net.edge import NetworkEdge
from pypptp.service.core_config import server_config
from pypptp.service.launch import launch_worker
from pypptp.service.reload import Reload, Terminal
from pypptp.service.run import run_loop, stop_signals, undone
from pypptp.service.settings import ServerSettings, as_flags
from pypptp.service.warning import BROKEN_CRYPTOGRAPHY

log = logging.getLogger("pypptp")

TUNNELS = "ppp%d"
"""The names of the TUN devices where nobody says another."""


def run_server(settings: ServerSettings, *, edge: NetworkEdge, announce_account: Callable[[Account], None]) -> None:
    """Run a server until SIGINT or SIGTERM, and leave the system as it was.

    Args:
        settings: what the user wants.
        edge: the system's network.
        announce_account: shows the user that was made up because no secrets were given.

    Raises:
        ConfigurationError: the secrets cannot be read, or an address or interface named is not this machine's.
        NetworkError: the system refuses something that is needed.
    """
    _check_names(settings)
    authority, account = _authority(settings)
    if account is not None:
        announce_account(account)
    run_loop(_serve(settings, authority, edge))


def _check_names(settings: ServerSettings) -> None:
    """Hold what the user named against what this machine has, before anything is begun."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        try:
            trial.bind((str(settings.listen), 0))
        except OSError as error:
            raise ConfigurationError(f"listen: {settings.listen} is not an address of this machine") from error
    if settings.nat not in ("auto", "none"):
        try:
            socket.if_nametoindex(settings.nat)
        except OSError as error:
            raise ConfigurationError(f"nat: there is no interface {settings.nat} here") from error


def _authority(settings: ServerSettings) -> tuple[Authority, Account | None]:
    if settings.secrets is None:
        account = new_account(os.urandom)
        return AccountAuthority(account), account
    secrets = read_chap_secrets(settings.secrets)
    for warning in secrets.warnings:
        log.warning("%s", warning)
    if not secrets:
        log.warning("%s names no user, so nobody can log in; 'pypptp user add NAME' makes one", settings.secrets)
    return SecretsAuthority(secrets), None


async def _serve(settings: ServerSettings, authority: Authority, edge: NetworkEdge) -> None:
    pool = settings.pool()
    addresses = set(pool.addresses)
    if isinstance(authority, SecretsAuthority):
        fixed = frozenset(authority.secrets.fixed_addresses)
        pool.reserve(fixed)
        # Those who have an address of their own, outside the pool, need NAT as the others do.
        addresses |= fixed
    config, leases = server_config(settings), PoolLeases(pool)
    server: Server | Parent
    if settings.workers == 1:
        server = Server(config, authority=authority, leases=leases, edge=edge)
    else:
        server = Parent(
            config,
            workers=settings.workers,
            settings=tuple(as_flags(settings).items()),
            authority=authority,
            leases=leases,
            launch=launch_worker,
        )
    for warning in (BROKEN_CRYPTOGRAPHY, *settings.warnings()):
        log.warning("%s", warning)
    async with stop_signals() as stopped, undone(edge), _reload_signal(stopped) as reload:
        await server.start()
        try:
            networks = list(collapse_addresses(IPv4Network(address) for address in addresses))
            used = await asyncio.to_thread(_open_way_out, settings, edge, networks)
            cover_more = None if used is None else partial(edge.add_nat, used, tunnels=settings.ifname or TUNNELS)
            reload.begin(Reload(settings, authority, pool, addresses, cover_more))
            log.info(
                "listening on %s port %d as '%s', %s for %d clients",
                settings.listen,
                settings.port,
                settings.name,
                settings.local,
                pool.size,
            )
            await stopped.wait()
            log.info("stopping")
        finally:
            await server.stop()


def _open_way_out(settings: ServerSettings, edge: NetworkEdge, networks: list[IPv4Network]) -> str | None:
    """Let the clients' packets out; return the interface they leave by, None where there is no NAT."""
    if settings.nat == "none":
        return None
    interface = None if settings.nat == "auto" else settings.nat
    if interface is None and edge.default_route() is None:
        log.warning("no default route, so no NAT: clients reach this host only (name an interface with --nat)")
        return None
    edge.enable_forwarding()
    used = edge.add_nat(interface, networks, tunnels=settings.ifname or TUNNELS)
    log.info("clients appear behind the address of %s", used)
    return used


class _OnHangUp:
    """What SIGHUP does: nothing until ``begin``, then the reload."""

    def __init__(self, stopped: asyncio.Event) -> None:
        self._stopped = stopped
        self._terminal = Terminal()
        self._reload: Reload | None = None
        self._work: asyncio.Task[None] | None = None

    def begin(self, reload: Reload) -> None:
        self._reload = reload
        self._work = asyncio.get_running_loop().create_task(reload.run())

    def signalled(self) -> None:
        if self._terminal.lost:
            self._stopped.set()
        elif self._reload is not None:
            self._reload.ask()

    async def end(self) -> None:
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)


@asynccontextmanager
async def _reload_signal(stopped: asyncio.Event) -> AsyncIterator[_OnHangUp]:
    loop = asyncio.get_running_loop()
    on_hang_up = _OnHangUp(stopped)
    loop.add_signal_handler(signal.SIGHUP, on_hang_up.signalled)
    try:
        yield on_hang_up
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        await on_hang_up.end()
