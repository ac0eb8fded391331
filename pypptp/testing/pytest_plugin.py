"""Fixtures for projects that have a PPTP peer to test: a server and clients to test it against, and a bad line between.

They are there wherever pypptp is installed beside pytest::

    def test_my_client_connects(pptp_server):
        start_my_client(pptp_server.address, pptp_server.user, pptp_server.password)
        session = pptp_server.await_session()
        assert pptp_server.ping(session)


    def test_my_server_survives_loss(pptp_client, lossy_link):
        line = lossy_link("10.0.0.1", loss=0.01, reordering=0.01)
        client = pptp_client(line.address, user="alice", password="wonderland")
        client.await_connected()
        assert client.ping()

The ends are in this process, on loopback addresses of their own, and make no TUN: behind each is a host that answers
pings. GRE needs a raw socket: where there is none, for want of root or CAP_NET_RAW, the tests are skipped and say so.
"""

from __future__ import annotations

import itertools
import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from pypptp.ppp.config import LinkConfig
    from pypptp.testing.ends import RunningClient, RunningServer
    from pypptp.testing.proxy import RunningProxy

PORT = 1723
_hosts = itertools.count(1)


class StartClient(Protocol):
    """What ``pptp_client`` gives: connects a client, which ends with the test."""

    def __call__(
        self, address: str, port: int = PORT, *, user: str, password: str, link: LinkConfig | None = None
    ) -> RunningClient:
        """Connect; ``await_connected`` waits for it."""
        ...


class MakeLine(Protocol):
    """What ``lossy_link`` gives: puts a bad line in front of a server, which ends with the test."""

    def __call__(
        self,
        server: str,
        server_port: int = PORT,
        *,
        loss: float = 0.0,
        duplication: float = 0.0,
        reordering: float = 0.0,
        corruption: float = 0.0,
        latency: float = 0.0,
        jitter: float = 0.0,
        seed: int = 0,
    ) -> RunningProxy:
        """Make the line. Clients connect to its ``address`` and ``port``; shares are from 0 to 1, times in seconds."""
        ...


@pytest.fixture
def pptp_server() -> Iterator[RunningServer]:
    """Give a server on a loopback address of its own, with one user: ``user`` and ``password``.

    Its ``port`` is 1723, unless a server of this machine has that one on every address.
    """
    _need_raw_sockets()
    from pypptp.testing.ends import RunningServer

    users, address = {"tester": secrets.token_hex(6)}, _new_address()
    with RunningServer(users, address=address, port=PORT if _is_free(address) else 0) as server:
        yield server


@pytest.fixture
def pptp_client() -> Iterator[StartClient]:
    """Give a function that connects a client to a server."""
    _need_raw_sockets()
    from pypptp.testing.ends import RunningClient

    with ExitStack() as running:

        def start(
            address: str, port: int = PORT, *, user: str, password: str, link: LinkConfig | None = None
        ) -> RunningClient:
            return running.enter_context(RunningClient(address, port, user=user, password=password, link=link))

        yield start


@pytest.fixture
def lossy_link() -> Iterator[MakeLine]:
    """Give a function that puts a bad line in front of a server."""
    _need_raw_sockets()
    from pypptp.testing.path import Impairment
    from pypptp.testing.proxy import RunningProxy

    with ExitStack() as running:

        def make(
            server: str,
            server_port: int = PORT,
            *,
            loss: float = 0.0,
            duplication: float = 0.0,
            reordering: float = 0.0,
            corruption: float = 0.0,
            latency: float = 0.0,
            jitter: float = 0.0,
            seed: int = 0,
        ) -> RunningProxy:
            bad = Impairment(
                latency=latency,
                jitter=jitter,
                loss=loss,
                duplication=duplication,
                reordering=reordering,
                holding=0.005,
                corruption=corruption,
            )
            return running.enter_context(
                RunningProxy(server, server_port, listen=_new_address(), port=PORT, to_server=bad, seed=seed)
            )

        yield make


def _need_raw_sockets() -> None:
    from pypptp.errors import NetworkError
    from pypptp.net.raw_gre import open_gre_socket

    try:
        open_gre_socket().close()
    except NetworkError as error:
        pytest.skip(str(error))


def _is_free(address: str) -> bool:
    """Whether nobody listens on port 1723 there, by this address or by all."""
    try:
        socket.create_server((address, PORT)).close()
    except OSError:
        return False
    return True


def _new_address() -> str:
    """Return a loopback address that no other end of this process has; another process's may meet it, rarely."""
    number = next(_hosts)
    return f"127.{64 + secrets.randbelow(128)}.{number >> 7 & 255}.{1 + (number & 127)}"
