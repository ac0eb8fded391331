"""The raw socket for GRE (IP protocol 47)."""

from __future__ import annotations

import errno
import socket
import sys

from pypptp.errors import NetworkError

IPPROTO_GRE = 47
BUFFER_OCTETS = 8 << 20
_SO_SNDBUFFORCE = 32
_SO_RCVBUFFORCE = 33


def open_gre_socket(local: str | None = None) -> socket.socket:
    """Open a raw GRE socket: non-blocking, close-on-exec, with large buffers.

    What it receives begins with the outer IP header; what is sent does not. Open it before the first control message,
    and leave it unconnected: while no such socket is open the kernel answers GRE with ICMP protocol-unreachable,
    which a connected one would report as an error.

    Args:
        local: the IPv4 address to send from and receive for; None for any.

    Raises:
        NetworkError: no right to open raw sockets, or no such address here.
    """
    try:
        gre = socket.socket(socket.AF_INET, socket.SOCK_RAW | getattr(socket, "SOCK_NONBLOCK", 0), IPPROTO_GRE)
    except PermissionError as error:
        raise NetworkError(
            "not allowed to open a raw GRE socket: run as root or give the process CAP_NET_RAW"
        ) from error
    except OSError as error:
        raise NetworkError(f"cannot open a raw GRE socket: {error.strerror or error}") from error
    try:
        gre.setblocking(False)
        _enlarge(gre, _SO_RCVBUFFORCE, socket.SO_RCVBUF)
        _enlarge(gre, _SO_SNDBUFFORCE, socket.SO_SNDBUF)
        if local is not None:
            gre.bind((local, 0))
    except OSError as error:
        gre.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise NetworkError(f"{local} is not an address of this machine: choose one that is, or none") from error
        raise NetworkError(f"cannot bind a raw GRE socket to {local}: {error.strerror or error}") from error
    except BaseException:
        gre.close()
        raise
    return gre


def _enlarge(gre: socket.socket, force: int, ordinary: int) -> None:
    """Ask for 8 MiB; without CAP_NET_ADMIN the kernel cuts that to net.core.rmem_max or wmem_max."""
    try:
        if sys.platform.startswith("linux"):
            gre.setsockopt(socket.SOL_SOCKET, force, BUFFER_OCTETS)
            return
    except OSError:
        pass
    try:
        gre.setsockopt(socket.SOL_SOCKET, ordinary, BUFFER_OCTETS)
    except OSError:
        pass  # some systems refuse what others cut; the socket works with what it has
