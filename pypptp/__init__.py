"""PPTP in pure Python: RFC 2637 control connection, enhanced GRE, PPP and MPPE.

This is the protocol stack without a socket, a clock or randomness of its own. An Endpoint is one whole end; its parts
(ControlConnection, Tunnel, Link, the ciphers) work alone as well. See the rooms' own docstrings:

    pypptp.control   RFC 2637 messages and the control connection
    pypptp.gre       enhanced GRE: header, order, acknowledgement
    pypptp.ppp       LCP, authentication, CCP, IPCP and the link's phases
    pypptp.mppe      RC4, MD4, keys and cipher state
    pypptp.session   one call, and the fast path of its packets
    pypptp.endpoint  a client or one connection of a server
    pypptp.testing   a simulated network to join two of them
    pypptp.capture   capture files read and decrypted
    pypptp.aio       the same over real sockets and TUN devices (Linux)

PPTP's cryptography is broken: MS-CHAPv2 can be cracked offline, MPPE has no integrity. Use it for networks you cannot
change, for labs and for tests.
"""

from pypptp.control import ControlConfig, ControlConnection, parse_message
from pypptp.endpoint import Endpoint, EndpointConfig, SessionEnded, SessionEvent, SessionStarted
from pypptp.errors import ConfigurationError, LocalProtocolError, NetworkError, PptpError, RemoteProtocolError
from pypptp.gre import Tunnel, parse_header
from pypptp.mppe import Strength
from pypptp.ppp.auth import AuthMethod, Secret
from pypptp.ppp.config import LinkConfig, MppePolicy
from pypptp.ppp.events import NetworkDown, NetworkUp
from pypptp.ppp.link import Link
from pypptp.roles import RandomBytes, Role
from pypptp.session import Session

__version__ = "0.1.0"

__all__ = [
    "AuthMethod",
    "ConfigurationError",
    "ControlConfig",
    "ControlConnection",
    "Endpoint",
    "EndpointConfig",
    "Link",
    "LinkConfig",
    "LocalProtocolError",
    "MppePolicy",
    "NetworkDown",
    "NetworkError",
    "NetworkUp",
    "PptpError",
    "RandomBytes",
    "RemoteProtocolError",
    "Role",
    "Secret",
    "Session",
    "SessionEnded",
    "SessionEvent",
    "SessionStarted",
    "Strength",
    "Tunnel",
    "__version__",
    "parse_header",
    "parse_message",
]
