"""How much one control connection can make us hold, worked out from the limits in the code.

``tests/test_held.py`` has a peer try for more; ``docs/reliability.md`` shows the figures.
"""

from __future__ import annotations

from pypptp.aio.dataplane import _SLOT_MULTIPLE, EARLY_PACKETS, LARGEST_MTU
from pypptp.aio.driver import READ_OCTETS
from pypptp.control import MAXIMUM_MESSAGE_LENGTH, MAXIMUM_PENDING_OUTPUT, ControlConfig
from pypptp.gre import TunnelConfig
from pypptp.gre.header import DATA_LENGTH
from pypptp.mppe.cipher import _CHECKPOINT_EVERY, MAXIMUM_CHANGES
from pypptp.session import Session

OUTER_HEADER = 20
LONGEST_OUTER_HEADER = 60
SLOT = -(-(LARGEST_MTU + LONGEST_OUTER_HEADER + Session.HEADROOM) // _SLOT_MULTIPLE) * _SLOT_MULTIPLE
"""Octets of the largest datagram taken in; what is longer is counted and forgotten."""

LARGEST_FRAME = SLOT - OUTER_HEADER - DATA_LENGTH
"""Octets of the largest PPP frame in one."""

ASYNCIO_HIGH_WATER = 64 * 1024
"""Octets in a transport's buffer beyond which asyncio asks for no more."""

KEPT_PACKETS = 4 * 4
"""The latest request, refusal, question and text of each of LCP, authentication, CCP and IPCP."""

CALLS = ControlConfig().maximum_calls

REORDER_FRAMES = 2 * TunnelConfig().reorder_window + 2
"""The queue, one frame far ahead that is held alone, and the one that proves it."""

CONTROL_IN = MAXIMUM_MESSAGE_LENGTH + READ_OCTETS
CONTROL_OUT = MAXIMUM_PENDING_OUTPUT + ASYNCIO_HIGH_WATER + MAXIMUM_PENDING_OUTPUT
REORDER = REORDER_FRAMES * LARGEST_FRAME
KEYS_AHEAD = MAXIMUM_CHANGES // _CHECKPOINT_EVERY * 16
NEGOTIATION = KEPT_PACKETS * LARGEST_FRAME
EARLY_TUN = EARLY_PACKETS * LARGEST_FRAME

CALL = REORDER + KEYS_AHEAD + NEGOTIATION + EARLY_TUN
CONNECTION = CONTROL_IN + CONTROL_OUT + CALLS * CALL
"""Octets of a peer's that one control connection holds at most, with as many calls as it may have."""
