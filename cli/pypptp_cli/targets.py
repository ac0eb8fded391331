"""Whom a tester's command is pointed at."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv4Network

from pypptp.errors import ConfigurationError

PORT = 1723
UNROUTED = tuple(map(IPv4Network, ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16")))
"""Loopback, private (RFC 1918) and link-local: whoever is there is near."""


def resolve(text: str) -> tuple[IPv4Address, int]:
    """Read ``HOST`` or ``HOST:PORT``; the port is 1723 where none is given.

    Raises:
        ConfigurationError: no port, or nobody of that name.
    """
    host, _, port = text.partition(":")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ConfigurationError(f"{text}: '{port}' is no port")
    try:
        found = socket.getaddrinfo(host, None, family=socket.AF_INET, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"{text}: there is no address for '{host}'") from error
    return IPv4Address(found[0][4][0]), int(port or PORT)


def require_own(address: IPv4Address, claimed: bool, why: str) -> None:
    """See that a target is near, or that the user says that it is theirs.

    Args:
        address: the target.
        claimed: whether ``--i-own-this-target`` was given.
        why: what is hostile about the command, for the sentence.

    Raises:
        ConfigurationError: neither.
    """
    if not (claimed or any(address in network for network in UNROUTED)):
        raise ConfigurationError(
            f"{address}: neither loopback nor a private address; {why}, so say --i-own-this-target as well "
            "if it is yours"
        )
