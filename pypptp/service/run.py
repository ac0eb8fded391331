"""Start, stay, stop: the order of things around a running server or client, and what the signals mean."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from ipaddress import IPv4Network, collapse_addresses
from typing import Any

from pypptp.aio.client import Client, ClientConfig
from pypptp.aio.server import Server, ServerConfig
from pypptp.auth.account import Account, new_account
from pypptp.auth.authority import AccountAuthority, Authority, SecretsAuthority
from pypptp.auth.chap_secrets import read_chap_secrets
from pypptp.errors import NetworkError
from pypptp.net.edge import NetworkEdge
from pypptp.ppp.auth import Secret
from pypptp.service.core_config import client_endpoint, server_endpoint
from pypptp.service.credentials import Credentials
from pypptp.service.settings import ClientSettings, ServerSettings
from pypptp.service.warning import BROKEN_CRYPTOGRAPHY

log = logging.getLogger("pypptp")


def set_up_logging(level: str) -> None:
    """Send log lines to stderr: one line for each event, without a time stamp where journald adds its own."""
    stamped = "JOURNAL_STREAM" not in os.environ
    logging.basicConfig(
        stream=sys.stderr,
        level=level.upper(),
        format="%(asctime)s %(levelname)-7s %(message)s" if stamped else "%(message)s",
        datefmt="%H:%M:%S",
        force=True,
    )


def run_server(settings: ServerSettings, *, edge: NetworkEdge, announce_account: Callable[[Account], None]) -> None:
    """Run a server until SIGINT or SIGTERM, and leave the system as it was.

    Args:
        settings: what the user wants.
        edge: the system's network.
        announce_account: shows the user that was made up because no secrets were given.

    Raises:
        ConfigurationError: the secrets cannot be read.
        NetworkError: the system refuses something that is needed.
    """
    authority, account = _authority(settings)
    if account is not None:
        announce_account(account)
    _run(_serve(settings, authority, edge))


def _authority(settings: ServerSettings) -> tuple[Authority, Account | None]:
    if settings.secrets is None:
        account = new_account(os.urandom)
        return AccountAuthority(account), account
    secrets = read_chap_secrets(settings.secrets)
    for warning in secrets.warnings:
        log.warning("%s", warning)
    return SecretsAuthority(secrets), None


async def _serve(settings: ServerSettings, authority: Authority, edge: NetworkEdge) -> None:
    pool = settings.pool()
    if isinstance(authority, SecretsAuthority):
        pool.reserve(authority.secrets.fixed_addresses)
    config = ServerConfig(
        endpoint=server_endpoint(settings),
        local=settings.local,
        listen=settings.listen,
        port=settings.port,
        dns=settings.dns,
        ifname=settings.ifname,
    )
    server = Server(config, authority=authority, pool=pool, edge=edge)
    for warning in (BROKEN_CRYPTOGRAPHY, *settings.warnings()):
        log.warning("%s", warning)
    async with _stop_signals() as stopped, _undone(edge):
        await server.start()
        try:
            networks = list(collapse_addresses(IPv4Network(address) for address in pool.addresses))
            await asyncio.to_thread(_open_way_out, settings, edge, networks)
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


def _open_way_out(settings: ServerSettings, edge: NetworkEdge, networks: list[IPv4Network]) -> None:
    if settings.nat == "none":
        return
    interface = None if settings.nat == "auto" else settings.nat
    if interface is None and edge.default_route() is None:
        log.warning("no default route, so no NAT: clients reach this host only (name an interface with --nat)")
        return
    edge.enable_forwarding()
    used = edge.add_nat(interface, networks, tunnels=settings.ifname or "ppp%d")
    log.info("clients appear behind the address of %s", used)


def run_client(settings: ClientSettings, credentials: Credentials, *, edge: NetworkEdge) -> None:
    """Run a client until SIGINT or SIGTERM, and leave the system as it was.

    Raises:
        NetworkError: the server cannot be reached, or the system refuses something that is needed.
        SessionLost: the session did not come up, or was lost.
    """
    for warning in (BROKEN_CRYPTOGRAPHY, *credentials.warnings, *settings.warnings()):
        log.warning("%s", warning)
    _run(_connect(settings, credentials, edge))


async def _connect(settings: ClientSettings, credentials: Credentials, edge: NetworkEdge) -> None:
    config = ClientConfig(
        endpoint=client_endpoint(settings, credentials.user),
        server=settings.server,
        port=settings.port,
        ifname=settings.ifname,
        default_route=settings.default_route,
        routes=settings.route,
        bypass=settings.bypass,
    )
    client = Client(config, secret=Secret(password=credentials.password), edge=edge)
    async with _stop_signals() as stopped, _undone(edge):
        session = asyncio.create_task(client.run())
        signalled = asyncio.create_task(stopped.wait())
        await asyncio.wait({session, signalled}, return_when=asyncio.FIRST_COMPLETED)
        if not session.done():
            log.info("stopping")
            client.stop()
        signalled.cancel()
        await session


@asynccontextmanager
async def _stop_signals() -> AsyncIterator[asyncio.Event]:
    """Give an event that SIGINT and SIGTERM set; a second signal is taken by Python as ever, for the impatient."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def stop() -> None:
        stopped.set()
        loop.remove_signal_handler(signal.SIGINT)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        yield stopped
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


@asynccontextmanager
async def _undone(edge: NetworkEdge) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for error in await asyncio.to_thread(edge.undo):
            log.warning("%s", error)


def _run(work: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.run(work)
    except* NetworkError as group:
        raise group.exceptions[0] from None


__all__ = ["run_client", "run_server", "set_up_logging"]
