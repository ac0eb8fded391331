"""Start, stay, stop: the order of things around a running client."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Callable
from ipaddress import IPv4Address

from pypptp.aio.client import ClientConfig
from pypptp.aio.client_network import ClientNetworkConfig
from pypptp.aio.time_limits import TimeLimits
from pypptp.net.edge import NetworkEdge
from pypptp.net.enclosure import Enclosure, enclose
from pypptp.service.client_requests import client_requests
from pypptp.service.client_state import ClientState
from pypptp.service.control_socket import ControlSocket
from pypptp.service.core_config import client_endpoint
from pypptp.service.credentials import Credentials
from pypptp.service.enclosed_command import EnclosedCommand
from pypptp.service.enclosed_proxy import serving_socks
from pypptp.service.hooks import Hooks, HookSettings
from pypptp.service.lasting_client import Demand, LastingClient
from pypptp.service.notify import ServiceManager
from pypptp.service.redial import RedialPolicy
from pypptp.service.run import run_loop, stop_signals, undone
from pypptp.service.settings import ClientSettings
from pypptp.service.warning import BROKEN_CRYPTOGRAPHY

log = logging.getLogger("pypptp")


def run_client(
    settings: ClientSettings,
    credentials: Credentials,
    *,
    edge: NetworkEdge,
    on_connected: Callable[[], None] | None = None,
) -> int:
    """Run a client until SIGINT or SIGTERM, and leave the system as it was.

    Args:
        settings: what it was told.
        credentials: who logs in.
        edge: the system's network.
        on_connected: called in the event loop once packets can pass, or with ``demand`` once the first can come: the
            first time only. It must not block.

    Returns:
        An exit status: that of the command in ``exec``, else 0.

    Raises:
        NetworkError: the server cannot be reached, or the system refuses something that is needed.
        SessionLost: the session did not come up, or was lost.
    """
    for warning in (BROKEN_CRYPTOGRAPHY, *credentials.warnings, *settings.warnings()):
        log.warning("%s", warning)
    if not settings.is_enclosed:
        run_loop(_connect(settings, credentials, edge, on_connected))
        return 0
    enclosure = Enclosure()
    command = None
    if settings.exec is not None:
        command = EnclosedCommand(settings.exec, enclosure, environment=os.environ)
    try:
        run_loop(_connect(settings, credentials, enclose(edge, enclosure), on_connected, enclosure, command))
    finally:
        enclosure.close()
    return 0 if command is None else command.status or 0


def client_network(settings: ClientSettings) -> ClientNetworkConfig:
    """Return what of the machine's network a client is to change."""
    return ClientNetworkConfig(
        ifname=settings.ifname,
        default_route=settings.default_route,
        metric=settings.metric,
        routes=settings.route,
        bypass=settings.bypass,
        uplinks=settings.uplink,
        kill_switch=settings.kill_switch,
        peer_dns=settings.use_peer_dns or settings.is_enclosed,
    )


def is_address(server: str) -> bool:
    """Whether a server is given by its address: a name could not be looked up behind a predecessor's kill switch."""
    try:
        IPv4Address(server)
    except ValueError:
        return False
    return True


async def _connect(
    settings: ClientSettings,
    credentials: Credentials,
    edge: NetworkEdge,
    on_connected: Callable[[], None] | None,
    enclosure: Enclosure | None = None,
    command: EnclosedCommand | None = None,
) -> None:
    config = ClientConfig(
        endpoint=client_endpoint(settings, credentials.user),
        server=settings.server,
        port=settings.port,
        network=client_network(settings),
        limits=TimeLimits(idle=settings.idle, maxconnect=settings.maxconnect),
    )
    hook_settings = HookSettings(
        ip_up=settings.ip_up,
        ip_down=settings.ip_down,
        timeout=settings.hook_timeout,
        ipparam=settings.ipparam,
        linkname=settings.linkname or "",
    )
    for problem in hook_settings.problems():
        log.warning("%s", problem)
    manager = ServiceManager.take(os.environ)
    state = ClientState(settings.server, credentials.user)
    hooks = Hooks(hook_settings)
    ready = False

    def announce() -> None:
        nonlocal ready
        if ready:
            manager.status(state.describe())
            return
        ready = True
        manager.ready(state.describe())
        if command is not None:
            command.start()
        if on_connected is not None:
            on_connected()

    client = LastingClient(
        config,
        secret=credentials.secret,
        edge=edge,
        policy=RedialPolicy(
            persist=settings.persist or settings.demand, max_fail=settings.max_fail, holdoff=settings.holdoff
        ),
        state=state,
        # No secret hangs on it: it spreads the tries of many clients.
        chance=random.random,
        demand=Demand(local=settings.demand_local, peer=settings.demand_remote) if settings.demand else None,
        on_ready=announce,
        hooks=hooks,
    )
    async with (
        stop_signals() as stopped,
        ControlSocket(settings.instance, "client", client_requests(state, stopped.set)),
        undone(edge, keep_kill_switch=settings.kill_switch and is_address(settings.server)),
        manager.watching(state.describe),
        serving_socks(settings.socks, enclosure),
    ):
        session = asyncio.create_task(client.run())
        signalled = asyncio.create_task(stopped.wait())
        ended = asyncio.create_task(command.over.wait()) if command is not None else signalled
        try:
            await asyncio.wait({session, signalled, ended}, return_when=asyncio.FIRST_COMPLETED)
            if command is not None:
                await command.end()
            if not session.done():
                log.info("stopping")
                manager.stopping()
                client.stop()
            await session
        finally:
            # For the impatient too, who cancel: what the session does to the system comes before all is undone.
            for task in (signalled, ended, session):
                task.cancel()
            await asyncio.gather(session, signalled, ended, return_exceptions=True)
            if command is not None:
                await command.end()
            await hooks.close()
