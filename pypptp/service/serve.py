"""Start, stay, stop: the order of things around a running server."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Network, collapse_addresses

from pypptp.aio.server import Server
from pypptp.aio.workers import Parent
from pypptp.auth.account import Account, new_account
from pypptp.auth.authority import AccountAuthority, Authority, SecretsAuthority
from pypptp.auth.chap_secrets import read_chap_secrets
from pypptp.auth.leases import PoolLeases
from pypptp.auth.secret_file import ReadFile
from pypptp.auth.session_limits import SessionLimits
from pypptp.errors import ConfigurationError, NetworkError
from pypptp.net.edge import NetworkEdge
from pypptp.net.remote.edge import GONE
from pypptp.service.activation import listening_on, take_listener
from pypptp.service.core_config import hook_settings, server_config
from pypptp.service.descriptors import raise_descriptor_limit, sessions_for
from pypptp.service.hooks import Hooks, SessionHooks
from pypptp.service.launch import launch_worker
from pypptp.service.notify import ServiceManager
from pypptp.service.privileges import Separation, separated
from pypptp.service.reload import Reload, Terminal
from pypptp.service.run import run_loop, stop_signals, undone
from pypptp.service.server_requests import ServerRequests
from pypptp.service.settings import ServerSettings, as_flags
from pypptp.service.warning import BROKEN_CRYPTOGRAPHY

log = logging.getLogger("pypptp")

TUNNELS = "ppp%d"
"""The names of the TUN devices where nobody says another."""


def run_server(settings: ServerSettings, *, edge: NetworkEdge, announce_account: Callable[[Account], None]) -> None:
    """Run a server until SIGINT or SIGTERM, and leave the system as it was.

    Args:
        settings: what the user wants.
        edge: the system's network; with ``run_as`` another process holds it, and this one is not used.
        announce_account: shows the user that was made up because no secrets were given.

    Raises:
        ConfigurationError: the secrets cannot be read, or an address or interface named is not this machine's.
        NetworkError: the system refuses something that is needed.
    """
    manager, listener = ServiceManager.take(os.environ), take_listener(os.environ)
    try:
        if listener is not None:
            address, port = listening_on(listener)
            settings = replace(settings, listen=address, port=port)
        with nullcontext() if settings.run_as in (None, "root") else separated(settings) as separation:
            _check_names(settings)
            authority, account = _authority(settings, separation)
            if account is not None:
                announce_account(account)
            run_loop(_serve(settings, authority, edge, manager, listener, separation))
    finally:
        if listener is not None:
            listener.close()


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


def _authority(settings: ServerSettings, separation: Separation | None = None) -> tuple[Authority, Account | None]:
    if settings.secrets is None:
        account = new_account(os.urandom)
        return AccountAuthority(account), account
    secrets = read_chap_secrets(settings.secrets, read_file=_reader(settings, separation))
    for warning in secrets.warnings:
        log.warning("%s", warning)
    if not secrets:
        log.warning("%s names no user, so nobody can log in; 'pypptp user add NAME' makes one", settings.secrets)
    return SecretsAuthority(secrets), None


def _reader(settings: ServerSettings, separation: Separation | None) -> ReadFile:
    return settings.read_secrets if separation is None else separation.read_file


async def _serve(
    settings: ServerSettings,
    authority: Authority,
    edge: NetworkEdge,
    manager: ServiceManager,
    listener: socket.socket | None,
    separation: Separation | None = None,
) -> None:
    if separation is not None:
        edge = separation.edge
    pool = settings.address_pool()
    addresses = set(pool.addresses)
    if isinstance(authority, SecretsAuthority):
        fixed = frozenset(authority.secrets.fixed_addresses)
        pool.reserve(fixed)
        # Those who have an address of their own, outside the pool, need NAT as the others do.
        addresses |= fixed
        for warning in authority.secrets.without_pool(pool.names):
            log.warning("%s", warning)
    config, hooks = server_config(settings), Hooks(hook_settings(settings))
    limits = SessionLimits(settings.session_policy(), authority, PoolLeases(pool))
    watcher = SessionHooks(hooks, settings.wins)
    _look_at_descriptors(settings, pool.size)
    server: Server | Parent
    if settings.workers == 1:
        server = Server(config, authority=limits, leases=limits, edge=edge, watcher=watcher)
    else:
        server = Parent(
            config,
            workers=settings.workers,
            settings=tuple(as_flags(settings).items()),
            authority=limits,
            leases=limits,
            launch=launch_worker if separation is None else separation.launch_worker,
            watcher=watcher,
        )
    limits.end_session = server.disconnect
    for warning in (BROKEN_CRYPTOGRAPHY, *settings.warnings(), *hook_settings(settings).problems()):
        log.warning("%s", warning)
    requests = ServerRequests(settings, server, pools=pool.occupancy)
    async with (
        stop_signals() as stopped,
        requests.answering(stopped.set, place=None if separation is None else separation.place),
        undone(edge),
        _reload_signal(stopped) as reload,
    ):
        if separation is not None:
            loop = asyncio.get_running_loop()
            separation.on_lost(lambda: loop.call_soon_threadsafe(stopped.set))
        await server.start(listener, open_gre=None if separation is None else separation.helper.open_gre)
        try:
            networks = list(collapse_addresses(IPv4Network(address) for address in addresses))
            used = await asyncio.to_thread(_open_way_out, settings, edge, networks)
            cover_more = None if used is None else partial(edge.add_nat, used, tunnels=settings.ifname or TUNNELS)
            reloading = Reload(
                settings, authority, pool, addresses, cover_more, manager, read_file=_reader(settings, separation)
            )
            reload.begin(reloading)
            requests.begin(reloading, used)
            log.info(
                "listening on %s port %d as '%s', %s for %d clients",
                settings.listen,
                settings.port,
                settings.name,
                settings.local,
                pool.size,
            )

            def describe() -> str:
                number = len(server.sessions)
                return f"port {settings.port}: {number} session{'' if number == 1 else 's'}, at most {pool.size}"

            manager.ready(describe())
            async with manager.watching(describe):
                await stopped.wait()
                manager.stopping()
                log.info("stopping")
            if separation is not None and separation.lost:
                raise NetworkError(f"{GONE}, so this server ends, too; what it changed is taken back at the next start")
        finally:
            try:
                await server.stop()
            finally:
                await hooks.close()


def _look_at_descriptors(settings: ServerSettings, clients: int) -> None:
    """Have as many descriptors as may be, and say so where they are fewer than the addresses would need."""
    descriptors = raise_descriptor_limit()
    sessions = sessions_for(descriptors, settings.workers)
    if sessions < clients:
        log.warning(
            "%d file descriptors are enough for %d sessions, and there are %d addresses; raise the limit "
            "(LimitNOFILE= of a systemd unit, ulimit -Hn)",
            descriptors,
            sessions,
            clients,
        )


def _open_way_out(settings: ServerSettings, edge: NetworkEdge, networks: list[IPv4Network]) -> str | None:
    """Let the clients' packets out; return the interface they leave by, None where there is no NAT."""
    if settings.isolate:
        edge.isolate()
    if settings.nat == "none":
        _prepare_without_nat(settings, edge)
        return None
    interface = None if settings.nat == "auto" else settings.nat
    if interface is None and edge.default_route() is None:
        log.warning("no default route, so no NAT: clients reach this host only (name an interface with --nat)")
        _prepare_without_nat(settings, edge)
        return None
    edge.enable_forwarding()
    used = edge.add_nat(interface, networks, tunnels=settings.ifname or TUNNELS)
    log.info("clients appear behind the address of %s", used)
    return used


def _prepare_without_nat(settings: ServerSettings, edge: NetworkEdge) -> None:
    """Do what NAT would have brought along, for a host that forwards without it."""
    if settings.proxy_arp:
        try:
            edge.enable_forwarding()
        except NetworkError as error:
            log.warning("proxy ARP does nothing where this host does not forward: %s", error)
    try:
        edge.clamp_mss(tunnels=settings.ifname or TUNNELS)
    except NetworkError as error:
        log.info("the MSS of TCP connections through the tunnels is not clamped: %s", error)


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
