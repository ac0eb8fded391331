"""The two ends of a PPTP connection, and what both need from outside."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TypeAlias

RandomBytes: TypeAlias = Callable[[int], bytes]
"""``random(n)`` returns n random octets: ``os.urandom`` in the shell, a seeded source in a test."""


class Role(Enum):
    """Which end of the tunnel this is (RFC 2637 section 1.1, "voluntary" tunnelling as every real client does it).

    CLIENT is the PNS, which places Outgoing-Calls and proves who it is; SERVER is the PAC, which answers and asks for
    proof.
    """

    CLIENT = "client"
    SERVER = "server"
