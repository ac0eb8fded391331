"""The messages of SOCKS5 (RFC 1928), as far as a proxy without authentication and without BIND has them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address
from typing import Final

VERSION: Final = 5
NO_AUTHENTICATION: Final = 0x00
NONE_ACCEPTABLE: Final = 0xFF

_IPV4, _DOMAIN, _IPV6 = 1, 3, 4
_NOWHERE: Final = IPv4Address(0)


class Command(IntEnum):
    """What a client asks for (section 4)."""

    CONNECT = 1
    BIND = 2
    UDP_ASSOCIATE = 3


class Reply(IntEnum):
    """What it is answered (section 6)."""

    SUCCEEDED = 0
    GENERAL_FAILURE = 1
    NOT_ALLOWED = 2
    NETWORK_UNREACHABLE = 3
    HOST_UNREACHABLE = 4
    CONNECTION_REFUSED = 5
    TTL_EXPIRED = 6
    COMMAND_NOT_SUPPORTED = 7
    ADDRESS_TYPE_NOT_SUPPORTED = 8


class SocksError(Exception):
    """The client broke the protocol, or asks for what there is not; ``reply`` answers it, None for no answer."""

    def __init__(self, message: str, reply: Reply | None = None) -> None:
        super().__init__(message)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Destination:
    """Where something is to go.

    Attributes:
        host: an address, or a name to be looked up.
        port: the port.
    """

    host: IPv4Address | str
    port: int


@dataclass(frozen=True, slots=True)
class Request:
    """A request: the command, and its destination."""

    command: Command
    destination: Destination


async def read_greeting(reader: asyncio.StreamReader) -> bool:
    """Read the methods a client offers; say whether going without authentication is among them.

    Raises:
        SocksError: it is not SOCKS5.
        IncompleteReadError: the client left.
    """
    version, count = await reader.readexactly(2)
    if version != VERSION:
        raise SocksError(f"version {version} is not SOCKS5")
    return NO_AUTHENTICATION in await reader.readexactly(count)


async def read_request(reader: asyncio.StreamReader) -> Request:
    """Read a request.

    Raises:
        SocksError: it is none, or one that is not supported.
        IncompleteReadError: the client left.
    """
    version, command, _, kind = await reader.readexactly(4)
    if version != VERSION:
        raise SocksError(f"version {version} is not SOCKS5")
    if kind == _IPV4:
        host: IPv4Address | str = IPv4Address(await reader.readexactly(4))
    elif kind == _DOMAIN:
        host = _host(await reader.readexactly((await reader.readexactly(1))[0]))
    elif kind == _IPV6:
        await reader.readexactly(18)
        raise SocksError("the tunnel carries no IPv6", Reply.ADDRESS_TYPE_NOT_SUPPORTED)
    else:
        raise SocksError(f"address type {kind} is not known", Reply.ADDRESS_TYPE_NOT_SUPPORTED)
    port = int.from_bytes(await reader.readexactly(2), "big")
    if command not in (Command.CONNECT, Command.UDP_ASSOCIATE):
        raise SocksError(f"command {command} is not supported", Reply.COMMAND_NOT_SUPPORTED)
    return Request(Command(command), Destination(host, port))


def build_reply(reply: Reply, address: IPv4Address = _NOWHERE, port: int = 0) -> bytes:
    """Build a reply with the address and port the proxy uses (section 6)."""
    return bytes((VERSION, reply, 0, _IPV4)) + address.packed + port.to_bytes(2, "big")


def parse_datagram(data: bytes) -> tuple[Destination, bytes] | None:
    """Take the header off a UDP datagram of a client (section 7); None for one that is broken, IPv6 or a fragment."""
    if len(data) < 5 or data[2]:
        return None
    kind = data[3]
    if kind == _IPV4:
        end = 8
    elif kind == _DOMAIN:
        end = 5 + data[4]
    else:
        return None
    if len(data) < end + 2:
        return None
    try:
        host = IPv4Address(data[4:8]) if kind == _IPV4 else _host(data[5:end])
    except SocksError:
        return None
    return Destination(host, int.from_bytes(data[end : end + 2], "big")), data[end + 2 :]


def build_datagram(address: IPv4Address, port: int, content: bytes) -> bytes:
    """Put the header in front of a datagram for the client, with where it came from."""
    return bytes((0, 0, 0, _IPV4)) + address.packed + port.to_bytes(2, "big") + content


def _host(octets: bytes) -> IPv4Address | str:
    """Read a name; some clients send addresses as such."""
    try:
        text = octets.decode("ascii")
    except UnicodeDecodeError:
        raise SocksError("a name with other than ASCII characters", Reply.HOST_UNREACHABLE) from None
    try:
        return IPv4Address(text)
    except ValueError:
        return text
