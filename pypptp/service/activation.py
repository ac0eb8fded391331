"""Socket activation: the listening socket that systemd opened, handed over as descriptor 3 (sd_listen_fds(3))."""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from ipaddress import IPv4Address

from pypptp.errors import ConfigurationError

FIRST_DESCRIPTOR = 3


def take_listener(
    environment: MutableMapping[str, str], *, first_descriptor: int = FIRST_DESCRIPTOR
) -> socket.socket | None:
    """Take the socket out of the environment; None where there is none for this process.

    Raises:
        ConfigurationError: what was handed over is no listening IPv4 TCP socket, or there are several.
    """
    pid, number = environment.pop("LISTEN_PID", ""), environment.pop("LISTEN_FDS", "")
    environment.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not number.isascii() or not number.isdigit() or int(number) == 0:
        return None
    if int(number) > 1:
        raise ConfigurationError(f"{number} sockets were handed over, and a server listens on one: write one per unit")
    try:
        listener = socket.socket(fileno=first_descriptor)
    except OSError as error:
        raise ConfigurationError(
            f"LISTEN_FDS promises a socket as descriptor {first_descriptor}, which is none: {error.strerror}"
        ) from None
    # systemd leaves it inheritable; hooks and workers have no business with it.
    listener.set_inheritable(False)
    wrong = _what_is_wrong(listener)
    if wrong:
        listener.close()
        raise ConfigurationError(wrong)
    listener.setblocking(False)
    return listener


def listening_on(listener: socket.socket) -> tuple[IPv4Address, int]:
    """Return the address and the port of a listening socket."""
    host, port = listener.getsockname()
    return IPv4Address(host), port


def _what_is_wrong(listener: socket.socket) -> str:
    if listener.family == socket.AF_INET6:
        return "the socket handed over is an IPv6 one, and PPTP is carried by IPv4: write ListenStream=0.0.0.0:1723"
    if listener.family != socket.AF_INET or listener.type != socket.SOCK_STREAM:
        return "the socket handed over is not TCP over IPv4: write ListenStream=0.0.0.0:1723"
    if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return "the socket handed over does not listen: write Accept=no"
    return ""
