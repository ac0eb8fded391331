"""Start, stay, stop: the order of things around a running client."""

from __future__ import annotations

import asyncio
import logging

from pypptp.aio.client import Client, ClientConfig
from pypptp.net.edge import NetworkEdge
from pypptp.ppp.auth import Secret
from pypptp.service.core_config import client_endpoint
from pypptp.service.credentials import Credentials
from pypptp.service.run import run_loop, stop_signals, undone
from pypptp.service.settings import ClientSettings
from pypptp.service.warning import BROKEN_CRYPTOGRAPHY

log = logging.getLogger("pypptp")


def run_client(settings: ClientSettings, credentials: Credentials, *, edge: NetworkEdge) -> None:
    """Run a client until SIGINT or SIGTERM, and leave the system as it was.

    Raises:
        NetworkError: the server cannot be reached, or the system refuses something that is needed.
        SessionLost: the session did not come up, or was lost.
    """
    for warning in (BROKEN_CRYPTOGRAPHY, *credentials.warnings, *settings.warnings()):
        log.warning("%s", warning)
    run_loop(_connect(settings, credentials, edge))


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
    async with stop_signals() as stopped, undone(edge):
        session = asyncio.create_task(client.run())
        signalled = asyncio.create_task(stopped.wait())
        try:
            await asyncio.wait({session, signalled}, return_when=asyncio.FIRST_COMPLETED)
            if not session.done():
                log.info("stopping")
                client.stop()
            await session
        finally:
            # For the impatient too, who cancel: what the session does to the system comes before all is undone.
            signalled.cancel()
            session.cancel()
            await asyncio.gather(session, signalled, return_exceptions=True)
