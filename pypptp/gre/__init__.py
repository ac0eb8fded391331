"""Enhanced GRE (RFC 2637 section 4): the header, sequence and acknowledgement numbers, the reorder queue.

One :class:`Tunnel` is the data path of one call; it writes headers into the caller's buffer and judges received packets
there, so that a frame in order is neither copied nor wrapped in an object.
"""

from __future__ import annotations

from pypptp.gre.header import HEADROOM, PROTOCOL_TYPE, GreHeader, build_header, parse_header
from pypptp.gre.reorder import ReorderQueue
from pypptp.gre.round_trip import RoundTrip, SendWindow
from pypptp.gre.tunnel import Tunnel, TunnelConfig
from pypptp.gre.verdicts import (
    ACK_ONLY,
    DELIVER,
    DUPLICATE,
    FAR,
    LATE,
    MALFORMED,
    QUEUE_FULL,
    QUEUED,
    WRONG_CALL,
)

__all__ = [
    "ACK_ONLY",
    "DELIVER",
    "DUPLICATE",
    "FAR",
    "HEADROOM",
    "LATE",
    "MALFORMED",
    "PROTOCOL_TYPE",
    "QUEUED",
    "QUEUE_FULL",
    "WRONG_CALL",
    "GreHeader",
    "ReorderQueue",
    "RoundTrip",
    "SendWindow",
    "Tunnel",
    "TunnelConfig",
    "build_header",
    "parse_header",
]
