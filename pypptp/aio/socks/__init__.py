"""A SOCKS5 proxy (RFC 1928) in front of a tunnel: CONNECT and UDP ASSOCIATE, names looked up through it too."""

from pypptp.aio.socks.server import SocksServer

__all__ = ["SocksServer"]
